"""Copying from SQLite to PostgreSQL and back keeps every row, continues the numbers, and takes constant memory."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.servers.figures import report
from tests.servers.quantities import IS_FULL, TIMEOUT
from tests.servers.services import PRINT_PEAK
from tests.test_copying import Installation

pytestmark = pytest.mark.timeout(TIMEOUT)

GROW = """
from django.utils import timezone
from chat.models import Event, Room
room = Room.objects.get(title="Lobby")
text, now = "x" * 500, timezone.now()
head = room.head_seq
# {count} rows, not through the log, because only the size matters here.
Event.objects.bulk_create(
    [Event(room=room, seq=head + n + 1, kind=0, username="bob", body=text, msg_type=0, at=now) for n in range({count})],
    batch_size=1000,
)
Room.objects.filter(pk=room.pk).update(head_seq=head + {count})
"""
NEW = """
from django.contrib.auth.models import User
from chat.models import Room
room = Room.objects.get(title="Lobby")
user = User.objects.create_user("new", password="x")
print(user.pk, room.send_message("after", user))
"""


def test_sqlite_to_postgresql_and_back(postgres, tmp_path):
    old = Installation(tmp_path / "old").make()
    with closing(sqlite3.connect(old.file)) as database:
        [[head]] = database.execute("SELECT head_seq FROM chat_room WHERE title = 'Lobby'")
    moved = Installation(tmp_path / "moved", postgres.create("moved", template="empty"))
    done = moved.manage("copy_from", str(old.file))
    assert done.returncode == 0, done.stderr
    back = Installation(tmp_path / "back").migrate()
    done = back.manage("copy_from", moved._environment["DATABASE_URL"])
    assert done.returncode == 0, done.stderr
    assert back.rows() == old.rows()
    # Numbers continue, so no id and no seq is given twice.
    pk, seq = map(int, moved.manage("shell", "--no-imports", "-c", NEW).stdout.split())
    assert pk > 2
    assert seq == head + 1
    again = moved.manage("copy_from", str(old.file))
    assert "This database is not empty" in again.stderr


COPY = """
import runpy, sys
sys.argv = ["manage.py", "copy_from", sys.argv[1]]
try:
    runpy.run_path("manage.py", run_name="__main__")
except SystemExit as end:
    assert not end.code, end
"""


def peak(installation, source):
    """Return the peak memory, in bytes, of copying a source."""
    done = subprocess.run(
        [sys.executable, "-c", COPY + PRINT_PEAK, str(source)],
        env=installation._environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return int(done.stdout.split("peak ")[1])


@pytest.mark.skipif(not IS_FULL, reason="script/soak measures it")
@pytest.mark.timeout(200)
def test_memory_does_not_grow_with_the_source(postgres, tmp_path):
    old = Installation(tmp_path / "old").make()
    small = peak(Installation(tmp_path / "a", postgres.create("copy_of_few")), old.file)
    assert old.manage("shell", "--no-imports", "-c", GROW.format(count=30_000)).returncode == 0
    large = peak(Installation(tmp_path / "b", postgres.create("copy_of_many")), old.file)
    report(f"copy_from to PostgreSQL: peak {small / 1e6:.0f} MB for 1,200 events, {large / 1e6:.0f} MB for 31,200")
    assert large < small + 10_000_000
