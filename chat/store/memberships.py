"""Stores a user's read positions and their first visit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from chat.exceptions import ClientError
from chat.models import PositionCounter, Visit
from chat.protocol import MAX_ID
from chat.store import policies, unread, values
from chat.store.policies import Login
from chat.store.room_user import RoomUser

# The room is asked again for its epoch, because a backup may have been restored since the rows were checked.
_UPSERT = """
WITH moved(membership, room_id, user_id, read_seq, epoch) AS ({rows})
INSERT INTO chat_membership (room_id, user_id, is_here, is_wide, read_seq, read_change)
SELECT moved.room_id, moved.user_id, FALSE, FALSE, moved.read_seq, {change}
FROM moved JOIN chat_room room ON room.id = moved.room_id WHERE room.epoch = moved.epoch
ORDER BY moved.membership, moved.room_id, moved.user_id
ON CONFLICT (room_id, user_id) DO UPDATE SET read_seq = excluded.read_seq, read_change = excluded.read_change
"""
# Another process may have moved the position further meanwhile.
_FORWARD = " WHERE chat_membership.read_seq IS NULL OR chat_membership.read_seq < excluded.read_seq"


class Move(NamedTuple):
    """A read position to be stored: only forward, or exactly as given if `is_set`.

    It is a place in the log of an epoch; None is the epoch that the room has when the position is written.
    """

    login: Login
    seq: int
    is_set: bool = False
    epoch: str | None = None


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
    epoch: str


class CheckedMoves(NamedTuple):
    """The result of checking moves: the positions to write, the refused moves, and those of a log that was replaced."""

    forward: list[PositionRow]
    exact: list[PositionRow]
    refused: dict[RoomUser, ClientError]
    outdated: set[RoomUser]


def check_moves(moves: Mapping[RoomUser, Move]) -> CheckedMoves:
    """Return the positions to write: never beyond the head, and forward only. Takes a few queries for all moves.

    Moves are refused with USER_HAS_TO_LOGIN, ROOM_INVALID or ROOM_ACCESS_DENIED, and then change nothing.
    """
    answers = policies.load_enterable_rooms({(move.login, room) for (room, _), move in moves.items()})
    checked = CheckedMoves([], [], {}, set())
    for pair, move in moves.items():
        answer = answers[move.login, pair.room]
        if isinstance(answer, ClientError):
            checked.refused[pair] = answer
    for pair, now in unread.positions(moves.keys() - checked.refused.keys()).items():
        if moves[pair].epoch not in (None, now.epoch):
            checked.outdated.add(pair)
            continue
        # New rows come last.
        row = PositionRow(now.membership or MAX_ID, pair.room, pair.user, min(moves[pair].seq, now.head), now.epoch)
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
    text, parameters = values.source(sorted(rows), ["bigint", "bigint", "bigint", "bigint", "text"])
    with connection.cursor() as cursor:
        cursor.execute(sql.format(rows=text, change="%s"), [*parameters, change])


def is_newcomer(user_id: int) -> bool:
    """Return whether the user's page has never been connected."""
    return not Visit.objects.filter(user=user_id).exists()
