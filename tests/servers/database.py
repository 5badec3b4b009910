"""The tasks that tests run on a server's database, in a process beside the server (tests.servers.beside)."""

from collections.abc import Callable
from typing import Any

import django
import msgspec

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from chat import testing  # noqa: E402
from chat.models import Event, Membership, Presence, Room  # noqa: E402
from chat.store import actions  # noqa: E402
from tests.servers import rights  # noqa: E402
from tests.servers.services import CAST, PASSWORD  # noqa: E402


def make(count="6"):
    """Make the tables, the cast, and rooms numbered from 1."""
    call_command("migrate", interactive=False, verbosity=0)
    for name in CAST:
        User.objects.create_user(name, password=PASSWORD, is_staff=name == "alice")
    for number in range(1, int(count) + 1):
        Room.objects.create(title=f"Room {number}")


def rows():
    """Return the events of all rooms."""
    return testing.rows()


def fill(room, count):
    """Post many messages in large batches."""
    author = User.objects.get(username="bob")
    texts = [f"message {number}" for number in range(int(count))]
    for start in range(0, len(texts), 500):
        drafts = [
            actions.Draft(room=int(room), author=author.pk, username=author.username, body=text, trusted=True)
            for text in texts[start : start + 500]
        ]
        actions.commit(drafts)


def pour(room, count):
    """Insert messages by SQL, because posting so many would take too long."""
    author = User.objects.get(username="bob")
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            """
            INSERT INTO chat_event
                (room_id, seq, kind, author_id, username, body, msg_type, client_id_given, at)
            WITH RECURSIVE numbers(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < %s)
            SELECT %s, seq, 0, %s, %s, 'a message of some words', 0, %s, %s FROM numbers
            """,
            [int(count), int(room), author.pk, author.username, False, timezone.now()],
        )
        cursor.execute("UPDATE chat_room SET head_seq = %s WHERE id = %s", [int(count), int(room)])


def promote(name):
    """Make a user a superuser."""
    User.objects.filter(username=name).update(is_staff=True, is_superuser=True)


def delete_room(room):
    """Delete a room as in a shell."""
    Room.objects.get(pk=room).delete()


def count_room_rows(room):
    """Return how many rows of a room are left: visible rooms, rooms including deleted ones, events."""
    events = Event.objects.filter(room=room).count()
    return [Room.objects.filter(pk=room).count(), Room.all_objects.filter(pk=room).count(), events]


def make_room(title):
    """Make a room; raises ValidationError unless its title is free."""
    room = Room(title=title)
    room.full_clean()
    room.save()


def make_rooms(count):
    """Make more rooms, so that there are `count`, and return the ids of all rooms.

    The ids may have gaps: after a kill, PostgreSQL skips some numbers of a sequence.
    """
    existing = Room.objects.count()
    Room.objects.bulk_create([Room(title=f"Room {number}") for number in range(existing + 1, int(count) + 1)])
    return list(Room.objects.order_by("pk").values_list("pk", flat=True))


def count_presences(username, room):
    """Return how many processes have a user in a room."""
    return Presence.objects.filter(user__username=username, room=room).count()


def positions(room):
    """Return the read positions of all users in a room."""
    return list(Membership.objects.filter(room=room, read_seq__isnull=False).values_list("read_seq", flat=True))


def crowd(count):
    """Make signed-in users, and return the Cookie header of each."""
    existing = User.objects.filter(username__startswith="user").count()
    names = [f"user{existing + n}" for n in range(int(count))]
    users = User.objects.bulk_create([User(username=name, password=f"!{n}") for n, name in enumerate(names)])
    sessions = []
    for user in users:
        store = SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store._session_key = store._get_new_session_key()
        sessions.append(store.create_model_instance(dict(store.items())))
    Session.objects.bulk_create(sessions)
    return [f"{settings.SESSION_COOKIE_NAME}={session.session_key}" for session in sessions]


ANSWERS: dict[str, Callable[..., Any]] = {
    task.__name__: task
    for task in (
        count_room_rows,
        count_presences,
        crowd,
        make_rooms,
        positions,
        rights.make_target,
        rights.revoke,
        rows,
    )
}
TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task for task in (make, fill, pour, promote, delete_room, make_room, rights.post_to)
}


def answer(name: str, *arguments: Any) -> bytes:
    """Run a task and return its answer as JSON; empty if it has none."""
    try:
        if name in ANSWERS:
            return msgspec.json.encode(ANSWERS[name](*arguments))
        TASKS[name](*arguments)
        return b""
    finally:
        # So that SQLite's file is complete when the task is done.
        connections.close_all()
