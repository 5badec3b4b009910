"""`manage.py copy_from` copies all rows of another database. tests/servers/test_copying.py has PostgreSQL."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests import migrated
from tests.servers import beside

BASE = Path(__file__).resolve().parents[1]
MAKE = """
import datetime, uuid
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.utils import timezone
from axes.models import AccessAttempt
from chat.models import Event, Room
staff = Group.objects.create(name="desk")
for name in ("alice", "böb"):
    user = User.objects.create_user(name, password="x")
    user.groups.add(staff)
    User.objects.filter(pk=user.pk).update(date_joined=timezone.now() - datetime.timedelta(days=400))
# A gap in the ids, as after a deletion.
User.objects.create_user("gone", password="x").delete()
rooms = [Room.objects.create(title=title) for title in ("Lobby", "Ünïcode 😀", "Staff")]
for number in range(12):
    rooms[number % 3].send_message(f"text {number} 😀", user)
# More rows than one piece has, and keys that are not numbers.
now = timezone.now()
Event.objects.bulk_create(
    [Event(room=rooms[0], seq=n + 5, kind=0, username="alice", body=f"{n} 😀", msg_type=0, at=now) for n in range(1188)]
)
Room.objects.filter(pk=rooms[0].pk).update(head_seq=1192)
Session.objects.bulk_create(
    [Session(session_key=uuid.uuid4().hex, session_data="x", expire_date=now) for _ in range(1100)]
)
AccessAttempt.objects.create(username="x", failures_since_start=1)
AccessAttempt.objects.update(attempt_time=timezone.now() - datetime.timedelta(days=3))
"""

# Each starts some processes.
pytestmark = pytest.mark.timeout(180)


class Installation:
    """A clone's state in its own directory."""

    def __init__(self, state, database_url=""):
        state.mkdir(exist_ok=True)
        self.file = state / "db.sqlite3"
        self._environment = {"PATH": os.environ["PATH"], "VAR": str(state), "DATABASE_URL": database_url}

    def manage(self, *arguments):
        return beside.manage(self._environment, *arguments)

    def migrate(self):
        migrated.copy_to(self.file)
        return self

    def make(self):
        self.migrate()
        done = self.manage("shell", "--no-imports", "--command", MAKE)
        assert done.returncode == 0, done.stderr
        return self

    def rows(self):
        """Return all rows of all tables except the migrations, whose times differ."""
        with closing(sqlite3.connect(self.file)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            # The tables of the search index depend on the order in which it was filled. chat_search has its content.
            tables = [name for name in names if not name.startswith(("sqlite_", "chat_search_", "django_migrations"))]
            return {name: sorted(database.execute(f'SELECT * FROM "{name}"'), key=repr) for name in tables}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return Installation(tmp_path_factory.mktemp("old")).make()


def test_every_row_is_copied_unchanged(old, tmp_path):
    new = Installation(tmp_path / "new")
    done = new.manage("copy_from", str(old.file))
    assert done.returncode == 0, done.stderr
    assert "chat_event: 1200" in done.stdout
    assert "3 rooms and 2 users." in done.stdout
    assert new.rows() == old.rows()
    assert len(old.rows()["chat_event"]) == 1200


def test_a_database_that_is_not_empty_is_not_changed(old, tmp_path):
    new = Installation(tmp_path / "new").migrate()
    assert "Password" in new.manage("first_run", "--skip-checks").stdout
    before = new.rows()
    done = new.manage("copy_from", str(old.file))
    assert done.returncode == 1
    assert "Nothing was copied. This database is not empty" in done.stderr
    assert new.rows() == before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere.sqlite3", "There is no file nowhere.sqlite3."),
        ("mysql://u:hunter2@h/d", "The source is not an address"),
        ("postgres://u:hun/ter2@h/d", "percent-encoded"),
        ("{folder}/a text", "The database says: file is not a database."),
    ],
)
def test_an_invalid_source_is_refused_with_a_reason(tmp_path, source, words):
    (tmp_path / "a text").write_text("not a database\n" * 100)
    done = Installation(tmp_path / "new").manage("copy_from", source.format(folder=tmp_path))
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a text", "new"]


def test_the_database_itself_an_empty_file_and_an_older_database_are_refused(old, tmp_path):
    assert "The source is the database that DATABASE_URL names." in old.manage("copy_from", str(old.file)).stderr
    new = Installation(tmp_path / "new")
    empty = tmp_path / "empty"
    empty.touch()
    assert "The source is not a database of Multichat." in new.manage("copy_from", str(empty)).stderr
    older = Installation(tmp_path / "older").migrate()
    with closing(sqlite3.connect(older.file)) as database, database:
        database.execute("DELETE FROM django_migrations WHERE app = 'chat' AND name >= '0058'")
    assert "of an older version" in new.manage("copy_from", str(older.file)).stderr


def test_a_source_with_a_running_server_is_refused(old, tmp_path):
    code = (
        "import django; django.setup(); from multichat import claim; claim.claim_process(); print('held', flush=True)"
    )
    environment = {**old._environment, "DJANGO_SETTINGS_MODULE": "multichat.settings"}
    with subprocess.Popen(
        [sys.executable, "-c", f"{code}; input()"],
        cwd=BASE,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout.readline() == b"held\n"
        done = Installation(tmp_path / "new").manage("copy_from", str(old.file))
        server.kill()
    assert "A server is running on the source. Stop it first" in done.stderr


def test_an_export_is_imported_into_a_new_installation_and_exported_as_the_same_bytes(old, tmp_path):
    done = old.manage("export", "--output", str(tmp_path / "old.jsonl"))
    assert done.returncode == 0, done.stderr
    assert "3 rooms and 1200 messages" in done.stdout
    new = Installation(tmp_path / "new").migrate()
    done = new.manage("import", str(tmp_path / "old.jsonl"))
    assert done.returncode == 0, done.stderr
    done = new.manage("export")
    assert done.stdout.encode() == (tmp_path / "old.jsonl").read_bytes()
    assert new.manage("import", str(tmp_path / "old.jsonl")).returncode == 1
