"""Prints the plans and times of the hot queries on a large database as JSON: `python -m tests.servers.plans`.

With `make SCALE` as the last arguments it makes the database first (tests.servers.big).
"""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django
import msgspec

django.setup()

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from chat.models import Process, Room  # noqa: E402
from chat.store import access, actions, alerts, log, memberships, policies, presence, round_trip, unread  # noqa: E402
from chat.store.log import HistoryPlace  # noqa: E402
from chat.store.policies import Login  # noqa: E402
from chat.store.room_user import RoomUser  # noqa: E402
from tests.servers import big  # noqa: E402

PROCESS = "plans"
# Messages that are unread in a room that is opened.
UNREAD = 20


def run(is_small: bool) -> list[dict[str, Any]]:
    """Return the plans of each hot function's queries and the milliseconds of its second run."""
    if is_small and connection.vendor == "postgresql":
        # PostgreSQL would scan a small table because that is fastest; the question is whether an index could be used.
        connection.cursor().execute("SET enable_seqscan = off")
    return [_measure(name, query) for name, query in hot_functions().items()]


def hot_functions() -> dict[str, Callable[[], Any]]:
    user = User.objects.order_by("pk").last()
    assert user is not None, "the database has users"
    keys = [_sign_in(user) for _ in range(50)]
    logins = [standing.login for standing in policies.load_logins(keys).values()]
    large, edited = Room.objects.get(pk=1), Room.objects.get(pk=2)
    middle, last = large.head_seq // 2, large.head_seq
    at = log.read(1, after=middle, limit=1)[0].event.at
    pages = {
        "newest": (large, HistoryPlace()),
        "before": (large, HistoryPlace(before=middle)),
        "after": (large, HistoryPlace(after=middle)),
        "around": (large, HistoryPlace(around=middle)),
        "around the end": (large, HistoryPlace(around=last)),
        "from a date": (large, HistoryPlace(since_time=_parse(at))),
        "from the future": (large, HistoryPlace(since_time=_parse("2999-01-01T00:00:00Z"))),
        "newest, behind edits and reactions": (edited, HistoryPlace()),
    }
    memberships.store_first_visits([user.pk])
    room_heads = {room: head for room, (head, _, _) in log.heads(list(range(1, 101))).items()}
    pairs = {RoomUser(room, user_id) for room in range(1, 11) for user_id in range(1, 21)}
    return {
        "sweep: heads of 100 rooms": lambda: log.heads(list(range(1, 101))),
        "sweep: access": access.recent_changes,
        "sign in 50 sockets": lambda: policies.load_logins(keys),
        "check 50 logins": lambda: policies.load_standings(logins),
        "enter 12 rooms": lambda: policies.load_enterable_rooms([(logins[0], room) for room in range(1, 13)]),
        "catch up: 500 events": lambda: log.read(1, after=last - 500, limit=500),
        **{
            f"history, {name}": partial(log.history, room, place, limit=50, max_bytes=256 * 1024)
            for name, (room, place) in pages.items()
        },
        **{
            f"open {name}": partial(_open, room.pk, logins[0], _before_others(room, user, UNREAD))
            for name, room in (("a room", large), ("a room behind edits and reactions", edited))
        },
        "unread: 200 rooms of a user": lambda: unread.count({RoomUser(room, user.pk): None for room in range(1, 201)}),
        "unread: 200 users far behind": lambda: unread.count({RoomUser(1, user_id): 0 for user_id in range(1, 201)}),
        "unread: by the first visit": lambda: unread.positions(
            [RoomUser(room, logins[0].user_id) for room in range(1, 101)]
        ),
        "unread: news of 100 rooms": lambda: unread.news(
            {room: (room_heads[room] - 5, room_heads[room]) for room in range(1, 101)}
        ),
        "unread: positions moved since": lambda: unread.moved_since(0),
        "read: 50 positions": lambda: memberships.store_moves(
            memberships.check_moves(
                {RoomUser(room, user.pk): memberships.Move(logins[0], 5, is_set=True) for room in range(1, 51)}
            )
        ),
        "post 64 messages": lambda: _post(user.pk, [1] * 64),
        "post into 64 rooms": lambda: _post(user.pk, range(1, 65)),
        "edit and delete": lambda: _edit_and_delete(user.pk),
        "presence: 200 users arrive": lambda: presence.update_presence(PROCESS, came=pairs, went=()),
        "presence: who is here": lambda: presence.present_usernames(list(range(1, 65))),
        "presence: 200 users leave": lambda: presence.update_presence(PROCESS, came=(), went=pairs),
    }


def _before_others(room: Room, user: Any, count: int) -> int:
    """Return the read position of a user before so many messages of others. Earlier runs may have left own ones."""
    others = room.events.filter(kind=log.Kind.POSTED, deleted_at=None).exclude(author=user.pk).order_by("-seq")
    return int(others.values_list("seq", flat=True)[count - 1]) - 1


def _open(room_id: int, login: Login, read: int) -> None:
    """Read what a page that opens a room needs: the right, alerts, what is unread, and the newest messages."""
    room = policies.load_enterable_room(login, room_id)
    assert alerts.recent([room_id])[room_id].alerts == []
    [counted] = unread.count({RoomUser(room_id, login.user_id): read}).values()
    assert counted.unread == UNREAD, counted
    page = log.history(room, HistoryPlace(), limit=50, max_bytes=256 * 1024, reader=login.user_id)
    assert len(page.events) == 50, "a whole page"


def _measure(name: str, function: Callable[[], Any]) -> dict[str, Any]:
    function()
    start = time.perf_counter()
    function()
    took = time.perf_counter() - start
    with CaptureQueriesContext(connection) as captured, _counting() as steps, _one_by_one():
        function()
    queries = [query["sql"] for query in captured.captured_queries]
    planned = ("SELECT", "UPDATE", "DELETE", "WITH", "INSERT")
    plans = {sql: _plan(sql) for sql in dict.fromkeys(queries) if sql.lstrip().startswith(planned)}
    return {"name": name, "ms": took * 1000, "queries": len(queries), "steps": sum(steps), "plans": plans}


@contextmanager
def _one_by_one() -> Iterator[None]:
    """Let round trips send their statements one by one: EXPLAIN would plan the first of a text, and run the others."""
    with patch.object(round_trip, "_takes_many", lambda: False):
        yield


@contextmanager
def _counting() -> Iterator[list[int]]:
    """Count the steps of SQLite's virtual machine in hundreds: a figure that does not depend on the machine's load."""
    steps: list[int] = []
    if connection.vendor == "sqlite":
        connection.connection.set_progress_handler(lambda: steps.append(100), 100)
    try:
        yield steps
    finally:
        if connection.vendor == "sqlite":
            connection.connection.set_progress_handler(None, 0)


def _plan(sql: str) -> list[str]:
    with connection.cursor() as cursor, transaction.atomic():
        if connection.vendor == "postgresql":
            cursor.execute("EXPLAIN " + sql.replace("%", "%%"))
            return [line for (line,) in cursor.fetchall()]
        cursor.execute("EXPLAIN QUERY PLAN " + sql.replace("%", "%%"))
        return [row[3] for row in cursor.fetchall()]


def _parse(at: str) -> Any:
    return datetime.fromisoformat(at)


def _sign_in(user: Any) -> str:
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return str(store.session_key)


def _post(author: int, rooms: Any) -> None:
    actions.commit([actions.Draft(room=room, author=author, body="hi @user1", trusted=True) for room in rooms])


def _edit_and_delete(author: int) -> None:
    login = next(iter(policies.load_logins([_sign_in(User.objects.get(pk=author))]).values())).login
    [posted] = actions.commit([actions.Draft(room=2, author=author, login=login, body="hi")])
    assert isinstance(posted, log.Committed), posted
    for kind in (log.Kind.EDITED, log.Kind.EDITED, log.Kind.DELETED):
        draft = actions.Draft(
            room=2,
            author=author,
            login=login,
            kind=kind,
            body="" if kind == log.Kind.DELETED else "hello",
            target_seq=posted.seq,
            client_id=uuid.uuid4(),
        )
        [outcome] = actions.commit([draft])
        assert isinstance(outcome, log.Committed), outcome


if __name__ == "__main__":
    if "make" in sys.argv:
        big.make(float(sys.argv[-1]))
    presence.begin_lease(PROCESS)
    try:
        answer = run(is_small="small" in sys.argv)
    finally:
        Process.objects.filter(pk=PROCESS).delete()
    Path("/dev/stdout").write_bytes(msgspec.json.encode(answer))
