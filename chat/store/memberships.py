"""Stores a user's read positions, the layout of their panes, and their first visit."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from chat.exceptions import ClientError, ErrorCode
from chat.models import Membership, PositionCounter, Room, Visit
from chat.protocol import MAX_ID
from chat.store import policies, unread
from chat.store.policies import Login
from chat.store.room_user import RoomUser

_UPSERT = """
INSERT INTO chat_membership (room_id, user_id, is_here, is_wide, read_seq, read_change) VALUES {values}
ON CONFLICT (room_id, user_id) DO UPDATE SET read_seq = excluded.read_seq, read_change = excluded.read_change
"""
# Another process may have moved the position further meanwhile.
_FORWARD = " WHERE chat_membership.read_seq IS NULL OR chat_membership.read_seq < excluded.read_seq"


class Move(NamedTuple):
    """A read position to be stored: only forward, or exactly as given if `is_set`."""

    login: Login
    seq: int
    is_set: bool = False


class UserLayout(NamedTuple):
    """The rooms of a user's open panes, in order, and the room of the wide pane."""

    login: Login
    rooms: tuple[int, ...]
    wide: int | None


def store_first_visits(users: Iterable[int]) -> None:
    """Store the first visit of users who have none."""
    now = timezone.now()
    users = policies.load_users(users)
    Visit.objects.bulk_create([Visit(user_id=user, at=now) for user in sorted(users)], ignore_conflicts=True)


class PositionRow(NamedTuple):
    """A position to write. Sorting these gives the order in which presence locks the rows."""

    membership: int
    room: int
    user: int
    seq: int


class CheckedMoves(NamedTuple):
    """The result of checking moves: the positions to write, and the refused moves."""

    forward: list[PositionRow]
    exact: list[PositionRow]
    refused: dict[RoomUser, ClientError]


def check_moves(moves: Mapping[RoomUser, Move]) -> CheckedMoves:
    """Return the positions to write: never beyond the head, and forward only. Takes a few queries for all moves.

    Moves are refused with USER_HAS_TO_LOGIN, ROOM_INVALID or ROOM_ACCESS_DENIED, and then change nothing.
    """
    answers = policies.load_enterable_rooms({(move.login, room) for (room, _), move in moves.items()})
    checked = CheckedMoves([], [], {})
    for pair, move in moves.items():
        answer = answers[move.login, pair.room]
        if isinstance(answer, ClientError):
            checked.refused[pair] = answer
    for pair, now in unread.positions(moves.keys() - checked.refused.keys()).items():
        # New rows come last.
        row = PositionRow(now.membership or MAX_ID, pair.room, pair.user, min(moves[pair].seq, now.head))
        if moves[pair].is_set:
            checked.exact.append(row)
        elif row.seq > now.read:
            checked.forward.append(row)
    return checked


def store_moves(checked: CheckedMoves) -> None:
    """Write read positions, in one transaction."""
    if not (checked.forward or checked.exact):
        return
    with transaction.atomic():
        change = next_change()
        _write(_UPSERT + _FORWARD, checked.forward, change)
        _write(_UPSERT, checked.exact, change)


def next_change() -> int:
    """Take the next number of the changes of positions and levels, and hold its lock to the commit."""
    if not PositionCounter.objects.update(changes=F("changes") + 1):
        PositionCounter.objects.bulk_create([PositionCounter(pk=1)], ignore_conflicts=True)
        PositionCounter.objects.update(changes=F("changes") + 1)
    return PositionCounter.objects.values_list("changes", flat=True)[0]


def _write(sql: str, rows: Sequence[PositionRow], change: int) -> None:
    if not rows:
        return
    values = ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            sql.format(values=values),
            [value for row in sorted(rows) for value in (row.room, row.user, False, False, row.seq, change)],
        )


def store_layouts(layouts: Collection[UserLayout]) -> None:
    """Store one layout for each user, in one transaction; rooms that the user may not enter are left out."""
    standings = policies.load_standings({layout.login for layout in layouts})
    rooms = Room.objects.in_bulk({room for layout in layouts for room in layout.rooms})
    asked = {RoomUser(room, layout.login.user_id) for layout in layouts for room in layout.rooms}
    members = policies.load_members(asked, rooms)
    panes: dict[RoomUser, tuple[int, bool]] = {}
    for layout in layouts:
        if standing := standings.get(layout.login):
            user = layout.login.user_id
            allowed = [
                room
                for room in layout.rooms
                if _may_enter(standing.user, rooms.get(room), is_member=RoomUser(room, user) in members)
            ]
            panes |= {RoomUser(room, user): (place, room == layout.wide) for place, room in enumerate(allowed)}
    users = {layout.login.user_id for layout in layouts if layout.login in standings}
    with transaction.atomic():
        # Locked in the order in which presence locks them.
        placed = Membership.objects.select_for_update(no_key=True).filter(user_id__in=users, position__isnull=False)
        known = {RoomUser(row.room_id, row.user_id): row for row in placed.order_by("pk")}
        closed = [membership.pk for pair, membership in known.items() if pair not in panes]
        Membership.objects.filter(pk__in=closed).update(position=None, is_wide=False)
        changed = [
            Membership(room_id=pair.room, user_id=pair.user, position=place, is_wide=is_wide)
            for pair, (place, is_wide) in sorted(panes.items())
            if (row := known.get(pair)) is None or (row.position, row.is_wide) != (place, is_wide)
        ]
        Membership.objects.bulk_create(
            changed,
            update_conflicts=True,
            unique_fields=["room", "user"],
            update_fields=["position", "is_wide"],
        )


def _may_enter(user: object, room: Room | None, *, is_member: bool) -> bool:
    try:
        policies.check_enterable(user, room, is_member=is_member)
    except ClientError as refusal:
        assert refusal.code in (ErrorCode.ROOM_INVALID, ErrorCode.ROOM_ACCESS_DENIED, ErrorCode.USER_HAS_TO_LOGIN)
        return False
    return True


def is_newcomer(user_id: int) -> bool:
    """Return whether the user's page has never been connected."""
    return not Visit.objects.filter(user=user_id).exists()


def load_layout(user_id: int) -> tuple[Sequence[int], int | None]:
    """Return the rooms of the user's open panes in order, and the room of the wide pane."""
    panes = Membership.objects.filter(user=user_id, position__isnull=False).order_by("position")
    rows = list(panes.values_list("room_id", "is_wide"))
    return [room for room, _ in rows], next((room for room, is_wide in rows if is_wide), None)
