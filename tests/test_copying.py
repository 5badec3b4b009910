"""`manage.py copy_from` copies all rows of another database. tests/servers/test_copying.py has PostgreSQL."""

import os
import sqlite3
from contextlib import closing

import pytest
from django.conf import settings

from multichat import claim
from tests import migrated
from tests.servers import beside
from tests.servers.quantities import IS_FULL

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
WITHOUT_AXES = "DELETE FROM django_migrations WHERE app = 'axes'"
# Tries to copy each source, in one process.
TRY_ALL = """
from django.core.management import CommandError, call_command
for source in %r:
    try:
        call_command("copy_from", source)
    except CommandError as error:
        print(error)
"""
IMPORT_EXPORT_IMPORT = """
import sys
from django.core.management import CommandError, call_command
file = %r
call_command("import", file, stdout=sys.stderr)
call_command("export")
try:
    call_command("import", file, stdout=sys.stderr)
except CommandError:
    print("The second import was refused.", file=sys.stderr)
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


def sql(installation, script):
    with closing(sqlite3.connect(installation.file)) as database, database:
        database.executescript(script)


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return Installation(tmp_path_factory.mktemp("old")).make()


def test_every_row_is_copied_unchanged(old, tmp_path):
    new = Installation(tmp_path / "new")
    # At full size all tables are created. Otherwise creating those of one app proves that `copy_from` migrates.
    if not IS_FULL:
        tables = [name for name in new.migrate().rows() if name.startswith("axes_")]
        sql(new, "".join(f"DROP TABLE {name};" for name in tables) + WITHOUT_AXES)
    done = new.manage("copy_from", str(old.file))
    assert done.returncode == 0, done.stderr
    assert "chat_event: 1200" in done.stdout
    assert "3 rooms and 2 users." in done.stdout
    rows = old.rows()
    assert new.rows() == rows
    assert len(rows["chat_event"]) == 1200
    assert len(rows["axes_accessattempt"]) == 1


def test_a_database_that_is_not_empty_is_not_changed(old, tmp_path):
    new = Installation(tmp_path / "new").migrate()
    assert "Password" in new.manage("first_run", "--skip-checks").stdout
    before = new.rows()
    done = new.manage("copy_from", str(old.file))
    assert done.returncode == 1
    assert "Nothing was copied. This database is not empty" in done.stderr
    assert "Traceback" not in done.stderr
    assert new.rows() == before


def test_an_invalid_source_is_refused_with_a_reason(old, tmp_path, monkeypatch):
    target, older = Installation(tmp_path / "new").migrate(), Installation(tmp_path / "older").migrate()
    sql(older, "DELETE FROM django_migrations WHERE app = 'chat' AND name >= '0058'")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a text").write_text("not a database\n" * 100)
    (folder / "empty").touch()
    refusals = {
        "nowhere.sqlite3": "There is no file nowhere.sqlite3.",
        "mysql://u:hunter2@h/d": "The source is not an address",
        "postgres://u:hun/ter2@h/d": "percent-encoded",
        f"{folder}/a text": "The database says: file is not a database.",
        f"{folder}/empty": "The source is not a database of Multichat.",
        str(target.file): "The source is the database that DATABASE_URL names.",
        str(older.file): "of an older version",
        str(old.file): "A server is running on the source. Stop it first",
    }
    # As a server does that serves this database.
    monkeypatch.setattr(settings, "DATABASES", {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": old.file}})
    monkeypatch.setattr(claim, "_claim", None)
    claim.claim_process()
    with claim._claim:
        done = target.manage("shell", "--no-imports", "--command", TRY_ALL % list(refusals))
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert [words in answer for words, answer in zip(refusals.values(), answers, strict=True)] == [True] * 8, answers
    assert "hunter2" not in done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a text", "empty"]
    assert target.rows() == older.rows(), "nothing was copied"


def test_an_export_is_imported_into_a_new_installation_and_exported_as_the_same_bytes(old, tmp_path):
    file = tmp_path / "old.jsonl"
    done = old.manage("export", "--output", str(file))
    assert done.returncode == 0, done.stderr
    assert "3 rooms and 1200 messages" in done.stdout
    new = Installation(tmp_path / "new").migrate()
    done = new.manage("shell", "--no-imports", "--command", IMPORT_EXPORT_IMPORT % str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout.encode() == file.read_bytes()
    assert "The second import was refused." in done.stderr
