"""Stores which users are in which rooms: presence rows that are valid as long as their process's lease.

A transaction decides under the lock of the user's membership whether they have entered or left the room, so
exactly one of any number of processes announces it. Work is done by pairs of room and user, in pieces, so that
even many users after a restart never need a long transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from chat.conf import conf
from chat.models import Membership, Presence, Process, Room
from chat.store.inserting import insert_missing
from chat.store.room_user import RoomUser

# The most pairs in one transaction. Each takes two parameters, and SQLite may allow no more than 999.
PIECE_PAIRS = 200
# The most rooms whose users are read in one query.
LIST_ROOMS = 500
# Marks the lease of a process whose users are being removed: it cannot be renewed.
_ENDED = datetime(1970, 1, 1, tzinfo=UTC)

User = get_user_model()


class Change(NamedTuple):
    """A user entered a room, or left it."""

    room: int
    username: str
    is_here: bool


def pieces(pairs: Iterable[RoomUser]) -> Iterator[list[RoomUser]]:
    """Divide pairs into pieces for one transaction each, sorted, so that all processes use the same order."""
    ordered = sorted(pairs)
    for start in range(0, len(ordered), PIECE_PAIRS):
        yield ordered[start : start + PIECE_PAIRS]


def renew_lease(process: str) -> bool:
    """Renew a process's lease; return False if another process has expired it, and removed its users."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    return bool(Process.objects.filter(pk=process, expires_at__gt=_ENDED).update(expires_at=until))


def begin_lease(process: str) -> None:
    """Begin the lease of a new process."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    # The row may exist, because an earlier try was committed and its answer was lost.
    Process.objects.update_or_create(pk=process, defaults={"expires_at": until})


def expired_processes() -> list[str]:
    """Return the processes whose lease has ended and whose rows are still stored."""
    return list(Process.objects.filter(expires_at__lt=Now()).order_by("pk").values_list("pk", flat=True))


def expire_piece(process: str) -> tuple[list[Change], bool]:
    """Remove a piece of a dead process's presences; return the users who left by it, and whether there are more.

    From the first piece on the lease cannot be renewed: a process that resumes work finds that, and begins another.
    """
    with transaction.atomic():
        # Another process may have locked the row, or the process may have renewed its lease after all. no_key avoids a
        # deadlock: a process that resumes work locks memberships, for which this transaction waits, and then writes
        # presences, which refer to this row.
        dead = Process.objects.filter(pk=process, expires_at__lt=Now())
        if not dead.select_for_update(skip_locked=True, no_key=True).exists():
            return [], False
        Process.objects.filter(pk=process).update(expires_at=_ENDED)
        left = Presence.objects.filter(process=process).order_by("room_id", "user_id")
        pairs = [RoomUser(*row) for row in left.values_list("room_id", "user_id")[: PIECE_PAIRS + 1]]
        changes = update_presence(process, came=(), went=pairs[:PIECE_PAIRS])
        if is_more := len(pairs) > PIECE_PAIRS:
            return changes, is_more
        Process.objects.filter(pk=process).delete()
    return changes, False


def update_presence(process: str, *, came: Collection[RoomUser], went: Collection[RoomUser]) -> list[Change]:
    """Store which users now have sessions in rooms in this process (`came`), and which no longer have one (`went`).

    Returns the users who have entered or left a room by it. At most PIECE_PAIRS pairs in total.
    """
    assert len(came) + len(went) <= PIECE_PAIRS, "the caller divides the work into pieces"
    with transaction.atomic():
        came = _existing(came)
        # Sorted, so that two processes that create the same rows cannot deadlock.
        insert_missing([Membership(room_id=room, user_id=user) for room, user in came])
        pairs = sorted({*came, *went})
        # The lock comes first. Everything after it is a statement of its own, so that it sees what the last
        # holder of the lock committed.
        locking = _filter_pairs(Membership.objects.select_for_update(no_key=True), pairs).order_by("pk")
        memberships = list(locking.only("pk", "room_id", "user_id", "is_here"))
        insert_missing([Presence(room_id=room, user_id=user, process_id=process) for room, user in came])
        _filter_pairs(Presence.objects.filter(process=process), sorted(went)).delete()
        here = set(_filter_pairs(Presence.objects.all(), pairs).values_list("room_id", "user_id"))
        changed = [m for m in memberships if m.is_here != ((m.room_id, m.user_id) in here)]
        for is_here in (True, False):
            rows = [m.pk for m in changed if m.is_here is not is_here]
            if rows:
                Membership.objects.filter(pk__in=rows).update(is_here=is_here)
    return _changes(changed)


def _changes(changed: Sequence[Membership]) -> list[Change]:
    if not changed:
        return []
    names = dict(User.objects.filter(pk__in={m.user_id for m in changed}).values_list("pk", User.USERNAME_FIELD))
    return [Change(m.room_id, names[m.user_id], not m.is_here) for m in changed if m.user_id in names]


def present_usernames(rooms: Sequence[int]) -> dict[int, set[str]]:
    """Return the usernames of the users who are present, by room."""
    names: dict[int, set[str]] = {room: set() for room in rooms}
    for start in range(0, len(rooms), LIST_ROOMS):
        here = Membership.objects.filter(room__in=rooms[start : start + LIST_ROOMS], is_here=True)
        for room, username in here.values_list("room_id", f"user__{User.USERNAME_FIELD}"):
            names[room].add(username)
    return names


def _existing(pairs: Collection[RoomUser]) -> list[RoomUser]:
    """Leave out the pairs whose room or user was deleted meanwhile."""
    if not pairs:
        return []
    rooms = set(Room.objects.filter(pk__in={room for room, _ in pairs}).values_list("pk", flat=True))
    users = set(User.objects.filter(pk__in={user for _, user in pairs}).values_list("pk", flat=True))
    return sorted(RoomUser(room, user) for room, user in pairs if room in rooms and user in users)


def _filter_pairs(rows: QuerySet[Any], pairs: Collection[RoomUser]) -> QuerySet[Any]:
    """Narrow rows to these pairs. Each is looked up by the index; all users in all rooms are never compared."""
    if not pairs:
        return rows.none()
    table = connection.ops.quote_name(rows.model._meta.db_table)
    values = ", ".join(["(%s, %s)"] * len(pairs))
    is_in_pairs = RawSQL(
        # With a bare VALUES, SQLite would read the whole table.
        f"({table}.room_id, {table}.user_id) IN (SELECT column1, column2 FROM (VALUES {values}) AS pairs)",
        [number for pair in pairs for number in pair],
        output_field=BooleanField(),
    )
    return rows.filter(is_in_pairs)
