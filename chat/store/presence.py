"""Who is here, in the database: presence rows that live as long as their process's lease.

Whether a user's coming or going is news is decided under the lock of their membership, so of any
number of processes exactly one tells it. Work is done by pairs of room and user, and in pieces: what
many users bring along after a restart never holds one long transaction.
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
from chat.store.room_user import RoomUser

# Of one transaction. Two parameters each, and SQLite may take no more than 999.
PIECE_PAIRS = 200
# Rooms whose lists are read in one query.
LIST_ROOMS = 500
# The lease of a process whose users are being told gone: it cannot be renewed.
_ENDED = datetime(1970, 1, 1, tzinfo=UTC)

User = get_user_model()


class Change(NamedTuple):
    """A user came to a room, or went."""

    room: int
    username: str
    is_here: bool


def pieces(pairs: Iterable[RoomUser]) -> Iterator[list[RoomUser]]:
    """Divide pairs into pieces for one transaction each, in one order everywhere: that of their keys."""
    ordered = sorted(pairs)
    for start in range(0, len(ordered), PIECE_PAIRS):
        yield ordered[start : start + PIECE_PAIRS]


def renew(process: str) -> bool:
    """Prolong a process's lease; False when it was given up for dead, and its users with it."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    return bool(Process.objects.filter(pk=process, expires_at__gt=_ENDED).update(expires_at=until))


def begin(process: str) -> None:
    """Take a lease for a new process."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    # It may be there: a try before this one was committed, and its answer lost.
    Process.objects.update_or_create(pk=process, defaults={"expires_at": until})


def expired() -> list[str]:
    """Return the processes that died, and those whose burial is not over."""
    return list(Process.objects.filter(expires_at__lt=Now()).order_by("pk").values_list("pk", flat=True))


def bury() -> list[Change]:
    """End the leases of all processes that died, a piece at a time, and return who went with them."""
    changes: list[Change] = []
    for process in expired():
        is_more = True
        while is_more:
            gone, is_more = bury_piece(process)
            changes += gone
    return changes


def bury_piece(process: str) -> tuple[list[Change], bool]:
    """End a piece of a dead process's lease; return who went, and whether there is more.

    From the first piece on the lease is over: a process that comes back to life finds that, and takes a new one.
    """
    with transaction.atomic():
        # Another process may be at it; and the dead one may have renewed after all. Not the key, which a presence
        # of this process refers to: whoever comes back to life and writes one holds memberships that are waited
        # for here.
        dead = Process.objects.filter(pk=process, expires_at__lt=Now())
        if not dead.select_for_update(skip_locked=True, no_key=True).exists():
            return [], False
        Process.objects.filter(pk=process).update(expires_at=_ENDED)
        left = Presence.objects.filter(process=process).order_by("room_id", "user_id")
        pairs = [RoomUser(*row) for row in left.values_list("room_id", "user_id")[: PIECE_PAIRS + 1]]
        changes = settle(process, came=(), went=pairs[:PIECE_PAIRS])
        if is_more := len(pairs) > PIECE_PAIRS:
            return changes, is_more
        Process.objects.filter(pk=process).delete()
    return changes, False


def settle(process: str, *, came: Collection[RoomUser], went: Collection[RoomUser]) -> list[Change]:
    """Write that users have sessions in rooms by this process, or none any more; return what is news.

    Both together are one piece: at most PIECE_PAIRS.
    """
    assert len(came) + len(went) <= PIECE_PAIRS, "a piece of work is divided by its caller"
    with transaction.atomic():
        came = _existing(came)
        # Sorted: two processes that make the same rows wait for each other in one order.
        Membership.objects.bulk_create(
            [Membership(room_id=room, user_id=user) for room, user in came], ignore_conflicts=True
        )
        pairs = sorted({*came, *went})
        # The lock first, and all of the rest after it, each as a statement of its own: it sees what the
        # lock's last holder committed.
        locking = _of(Membership.objects.select_for_update(no_key=True), pairs).order_by("pk")
        memberships = list(locking.only("pk", "room_id", "user_id", "is_here"))
        Presence.objects.bulk_create(
            [Presence(room_id=room, user_id=user, process_id=process) for room, user in came], ignore_conflicts=True
        )
        _of(Presence.objects.filter(process=process), sorted(went)).delete()
        here = set(_of(Presence.objects.all(), pairs).values_list("room_id", "user_id"))
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


def present(rooms: Sequence[int]) -> dict[int, set[str]]:
    """Return the usernames of who is here, by room."""
    names: dict[int, set[str]] = {room: set() for room in rooms}
    for start in range(0, len(rooms), LIST_ROOMS):
        here = Membership.objects.filter(room__in=rooms[start : start + LIST_ROOMS], is_here=True)
        for room, username in here.values_list("room_id", f"user__{User.USERNAME_FIELD}"):
            names[room].add(username)
    return names


def _existing(pairs: Collection[RoomUser]) -> list[RoomUser]:
    """Leave out who or what was deleted meanwhile."""
    if not pairs:
        return []
    rooms = set(Room.objects.filter(pk__in={room for room, _ in pairs}).values_list("pk", flat=True))
    users = set(User.objects.filter(pk__in={user for _, user in pairs}).values_list("pk", flat=True))
    return sorted(RoomUser(room, user) for room, user in pairs if room in rooms and user in users)


def _of(rows: QuerySet[Any], pairs: Collection[RoomUser]) -> QuerySet[Any]:
    """Narrow to the pairs, each looked up by the index; never to all users in all rooms."""
    if not pairs:
        return rows.none()
    table = connection.ops.quote_name(rows.model._meta.db_table)
    values = ", ".join(["(%s, %s)"] * len(pairs))
    is_one = RawSQL(
        # A bare VALUES would make SQLite read the whole table.
        f"({table}.room_id, {table}.user_id) IN (SELECT column1, column2 FROM (VALUES {values}) AS pairs)",
        [number for pair in pairs for number in pair],
        output_field=BooleanField(),
    )
    return rows.filter(is_one)
