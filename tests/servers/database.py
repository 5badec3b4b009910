"""What a test asks of a server's database, in a process of its own (tests.servers.beside)."""

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
from chat.models import Event, Membership, Room  # noqa: E402
from chat.store import actions  # noqa: E402
from tests.servers.services import CAST, PASSWORD  # noqa: E402


def make(count="6"):
    """Make the tables, the cast and rooms numbered from 1 on."""
    call_command("migrate", interactive=False, verbosity=0)
    for name in CAST:
        User.objects.create_user(name, password=PASSWORD, is_staff=name == "alice")
    for number in range(1, int(count) + 1):
        Room.objects.create(title=f"Room {number}")


def rows():
    """Return the events of all rooms."""
    return testing.rows()


def fill(room, count):
    """Post many messages, quickly."""
    author = User.objects.get(username="bob")
    texts = [f"message {number}" for number in range(int(count))]
    for start in range(0, len(texts), 500):
        drafts = [
            actions.Draft(room=int(room), author=author.pk, username=author.username, body=text, trusted=True)
            for text in texts[start : start + 500]
        ]
        actions.commit(drafts)


def pour(room, count):
    """Make so many messages that posting them would take too long."""
    author = User.objects.get(username="bob")
    with connection.cursor() as cursor:
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
    """Let a user do everything in the admin."""
    User.objects.filter(username=name).update(is_staff=True, is_superuser=True)


def delete_room(room):
    """Delete a room as in a shell."""
    Room.objects.get(pk=room).delete()


def left(room):
    """Return how much of a room there is: as others see it, its row, its events."""
    events = Event.objects.filter(room=room).count()
    return [Room.objects.filter(pk=room).count(), Room.all_objects.filter(pk=room).count(), events]


def make_room(title):
    """Make a room; its title has to be free."""
    room = Room(title=title)
    room.full_clean()
    room.save()


def titles(count):
    """Make more rooms, up to this number, and return the ids of all rooms.

    The ids may have gaps: a PostgreSQL that was killed leaves out some numbers of a sequence.
    """
    there = Room.objects.count()
    Room.objects.bulk_create([Room(title=f"Room {number}") for number in range(there + 1, int(count) + 1)])
    return list(Room.objects.order_by("pk").values_list("pk", flat=True))


def positions(room):
    """Return the read positions of all users in a room."""
    return list(Membership.objects.filter(room=room, read_seq__isnull=False).values_list("read_seq", flat=True))


def crowd(count):
    """Make users that are signed in, and return the Cookie header of each."""
    there = User.objects.filter(username__startswith="user").count()
    users = User.objects.bulk_create([User(username=f"user{there + n}", password=f"!{n}") for n in range(int(count))])
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


ANSWERS: dict[str, Callable[..., Any]] = {"left": left, "rows": rows, "crowd": crowd, "positions": positions}
WORKS: dict[str, Callable[..., Any]] = {
    work.__name__: work for work in (make, fill, pour, promote, delete_room, make_room, titles)
}


def answer(name: str, *arguments: Any) -> bytes:
    """Do a work, and return its answer as JSON; nothing if it has none."""
    try:
        if name in ANSWERS:
            return msgspec.json.encode(ANSWERS[name](*arguments))
        WORKS[name](*arguments)
        return b""
    finally:
        # SQLite's file is whole when the work is done.
        connections.close_all()
