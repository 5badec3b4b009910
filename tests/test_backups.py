"""`manage.py backup`, `restore` and `new_epoch` on SQLite. tests/servers/test_restore.py has PostgreSQL and clients."""

import errno
import io
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from django.core.management import call_command

from chat import backups
from chat.backups import BackupError
from chat.models import Membership, Process, Room
from chat.store import access
from chat.store.concerns import ALL_USERS
from tests import migrated
from tests.servers import beside
from tests.servers.quantities import IS_FULL

MAKE = """
from django.contrib.auth.models import User
from chat.models import Room
alice = User.objects.create_user("alice", password="x")
room = Room.objects.create(title="Lobby")
for number in range(3): room.send_message(f"text {number}", alice)
"""
LATER = """
INSERT INTO chat_event (room_id, seq, kind, username, body, msg_type, client_id_given, at)
       VALUES (1, 4, 0, 'alice', 'later', 0, false, '2030-01-01');
UPDATE chat_room SET head_seq = 4;
INSERT INTO chat_membership (room_id, user_id, is_here) VALUES (1, 1, true);
INSERT INTO chat_process (id, expires_at) VALUES ('a', '2030-01-01');
"""
SHOW = """
SELECT head_seq, epoch, (SELECT count(*) FROM chat_event), (SELECT count(*) FROM chat_process),
       (SELECT count(*) FROM chat_membership WHERE is_here)
FROM chat_room
"""
# Uploads a picture and another file as the page does, and posts them.
UPLOAD = """
from uuid import UUID
from django.contrib.auth.models import User
from django.test import Client
from chat.models import Room
from chat.store.actions import Draft, commit
from tests.hostile_files import picture
alice, client = User.objects.get(), Client(SERVER_NAME="127.0.0.1")
client.force_login(alice)
files = [("cat.png", picture()), ("data.bin", bytes(range(256)) * 2000)]
address = f"/rooms/{Room.objects.get().pk}/files/?name="
made = [
    client.post(address + name, content, content_type="application/octet-stream").json()["id"]
    for name, content in files
]
commit([Draft(room=Room.objects.get().pk, author=alice.pk, body="two files", files=tuple(map(UUID, made)))])
"""
# Prints how the files are served to a user: address, type, name, size and hash.
SERVE = """
import hashlib
from django.contrib.auth.models import User
from django.test import Client
from chat.models import StoredFile
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(User.objects.get())
for file in StoredFile.objects.order_by("size"):
    for part in ["", "thumbnail/"][: 1 + (file.width is not None)]:
        answer = client.get(f"/files/{file.pk}/{part}")
        body = answer.getvalue()
        print(file.pk, part, answer.status_code, answer["Content-Type"], answer.get("Content-Disposition"), len(body))
        print(hashlib.sha256(body).hexdigest())
"""
CALL = """
import io
from django.core.management import call_command
call_command(%r, %r, stdout=io.StringIO())
"""
# Tries to restore each file, in one process.
TRY_ALL = """
from django.core.management import CommandError, call_command
for file in %r:
    try:
        call_command("restore", file, yes=True)
    except CommandError as error:
        print(error)
"""
# Restores without a confirmation, and then what was saved meanwhile.
RESTORE_TWICE = """
from django.core.management import CommandError, call_command
from django.db import connection
file = %r
try:
    call_command("restore", file)
except CommandError as error:
    print(error)
with connection.cursor() as cursor:
    cursor.execute(%r)
    print("unchanged:", cursor.fetchone())
call_command("backup", file, overwrite=True)
call_command("restore", file, yes=True)
"""
# How far an older version goes back; tests/test_upgrade.py upgrades from 0004.
OLDER = "0004" if IS_FULL else "0056"

# Each starts some processes.
pytestmark = pytest.mark.timeout(180)


class Installation:
    """A database in its own directory, and manage.py on it."""

    def __init__(self, state):
        self.state = state
        state.mkdir()
        self.database = state / "db.sqlite3"

    def manage(self, *arguments, fails=False, database=None):
        environment = {"PATH": "/usr/bin:/bin", "VAR": str(self.state)}
        if database is not None:
            environment["DATABASE_URL"] = f"sqlite:///{database}"
        done = beside.manage(environment, *arguments)
        assert bool(done.returncode) is fails, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails else done.stdout

    def shell(self, code):
        return self.manage("shell", "--verbosity", "0", "--command", code)

    def show(self):
        return sql(self.database, SHOW)[0]


def sql(database, script):
    with closing(sqlite3.connect(database)) as connection, connection:
        if ";" not in script:
            return connection.execute(script).fetchall()
        connection.executescript(script)


def migrations(database):
    return set(sql(database, "SELECT app, name FROM django_migrations"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("site") / "var")
    migrated.copy_to(installation.database)
    installation.shell(MAKE)
    return installation


@pytest.fixture(scope="module")
def first_backup(site):
    file = site.state.parent / "backup.sqlite3"
    assert site.manage("backup", file) == f"Saved in {file}: 1 room and 1 user.\n"
    return file


@pytest.fixture
def backup(first_backup, tmp_path):
    file = tmp_path / "backup.sqlite3"
    file.write_bytes(first_backup.read_bytes())
    return file


def test_a_backup_is_one_file_that_only_its_owner_can_read(first_backup, site):
    assert sorted(path.name for path in first_backup.parent.iterdir()) == ["backup.sqlite3", "var"]
    assert sql(first_backup, "SELECT count(*) FROM chat_event") == [(3,)]
    assert first_backup.stat().st_mode & 0o777 == 0o600
    before = first_backup.read_bytes()
    assert "already exists" in site.manage("backup", first_backup, fails=True)
    assert first_backup.read_bytes() == before


def test_a_restored_log_has_a_new_epoch_and_no_presence(backup, site):
    site.manage("restore", backup, "--yes")
    head, epoch, events, *_ = site.show()
    assert (head, events) == (3, 3)
    sql(site.database, LATER)
    refused = site.shell(RESTORE_TWICE % (str(backup), SHOW))
    assert "1 room and 1 user" in refused
    assert "--yes" in refused
    assert f"unchanged: {(4, epoch, 4, 1, 1)}" in refused
    after = site.show()
    assert (after[0], *after[2:]) == (4, 4, 0, 0)
    assert after[1] != epoch


def test_a_restore_into_an_empty_database_needs_no_confirmation(backup, site, tmp_path):
    fresh = Installation(tmp_path / "var")
    assert "Restored" in fresh.manage("restore", backup)
    assert fresh.show()[0] == 3
    assert migrations(fresh.database) == migrations(site.database)


def test_files_are_served_byte_for_byte_after_a_restore_elsewhere(backup, tmp_path):
    old, new = Installation(tmp_path / "old"), Installation(tmp_path / "new")
    old.database.write_bytes(backup.read_bytes())
    saved = tmp_path / "saved"
    served = old.shell(UPLOAD + SERVE + CALL % ("backup", str(saved)))
    for words in ("200 image/png inline", "200 image/webp inline", "attachment; filename*=UTF-8''data.bin 512000"):
        assert words in served
    shutil.rmtree(old.state)
    assert new.shell(CALL % ("restore", str(saved)) + SERVE) == served


def test_a_file_that_is_not_a_backup_is_refused_with_a_reason(site, backup, tmp_path):
    before = site.show()
    text = tmp_path / "text"
    text.write_text("hello" * 1000)
    other = tmp_path / "other.sqlite3"
    sql(other, "CREATE TABLE other (id)")
    dump = tmp_path / "dump"
    dump.write_bytes(b"PGDMP....")
    sql(backup, "INSERT INTO django_migrations (app, name, applied) VALUES ('chat', '9999_later', '2030-01-01')")
    files = [text, other, dump, tmp_path / "none", site.database, backup]
    answers = site.shell(TRY_ALL % [str(file) for file in files]).splitlines()
    reasons = [
        "is not a backup of Multichat",
        "is not a backup of Multichat",
        "is a backup of PostgreSQL",
        "There is no file",
        "is the database itself",
        "is of a newer version of Multichat (it has chat.9999_later)",
    ]
    assert len(answers) == len(reasons)
    assert [answer for answer, expected in zip(answers, reasons, strict=True) if expected not in answer] == []
    assert site.show() == before


def test_a_backup_of_an_older_version_is_migrated(backup, site):
    before, applied = site.show(), migrations(site.database)
    site.manage("migrate", "chat", OLDER, "--verbosity", "0", database=backup)
    assert migrations(backup) != applied
    site.manage("restore", backup, "--yes")
    assert migrations(site.database) == applied
    assert site.show()[1] != before[1]


@pytest.mark.django_db
def test_new_epoch_gives_every_room_a_new_epoch_and_clears_presence(rooms, alice):
    before = dict(Room.objects.values_list("pk", "epoch"))
    Membership.objects.create(room=rooms.lobby, user=alice, is_here=True)
    output = io.StringIO()
    call_command("new_epoch", stdout=output)
    after = dict(Room.objects.values_list("pk", "epoch"))
    assert all(after[room] != before[room] for room in before)
    assert not Membership.objects.filter(is_here=True).exists()
    assert not Process.objects.exists()
    assert access.concern_of(access.recent_changes()) == ALL_USERS
    assert "3 rooms" in output.getvalue()


@pytest.mark.django_db  # for the list of files
@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS])
def test_a_backup_works_on_a_file_system_without_hard_links(tmp_path, monkeypatch, error):
    file = tmp_path / "backup"
    monkeypatch.setattr(os, "link", refusing(error))
    monkeypatch.setattr(backups, "engine", lambda: Writes(b"the database"))
    backups.save(file)
    assert file.read_bytes() == b"the database"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


@pytest.mark.django_db  # for the list of files
@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_was_created_meanwhile_is_not_overwritten(tmp_path, monkeypatch, has_links):
    file = tmp_path / "backup"
    if not has_links:
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    monkeypatch.setattr(backups, "engine", lambda: Writes(b"mine", meanwhile=lambda: file.write_bytes(b"another's")))
    with pytest.raises(BackupError, match="already exists"):
        backups.save(file)
    assert file.read_bytes() == b"another's"


def refusing(number):
    def link(*arguments, **named):
        raise OSError(number, os.strerror(number))

    return link


class Writes:
    """A backup engine whose database is a few bytes."""

    def __init__(self, content, meanwhile=lambda: None):
        self._content, self._meanwhile = content, meanwhile

    def save(self, file):
        file.write_bytes(self._content)
        self._meanwhile()


def test_recognizing_a_backup_reads_only_its_beginning(site, tmp_path):
    # A sparse file of 8 GB: reading all of it would raise a MemoryError.
    file = tmp_path / "huge"
    with file.open("wb") as opened:
        opened.write(b"PGDMP")
        opened.truncate(8 * 1024**3)
    output = site.shell(
        f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));{TRY_ALL % [str(file)]}"
    )
    assert "is a backup of PostgreSQL" in output
