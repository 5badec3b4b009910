"""What is unread: counted in the database, by pairs of user and room, and never beyond MOST."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q

from chat.models import Event, Membership, PositionCounter, Visit
from chat.store.room_user import RoomUser

Kind = Event.Kind

# Counts stop here: on the wire it means "more than 999".
MOST = 1000
# Positions that moved, in one answer. More than one transaction may write under one number (chat.store.memberships).
MOVED_LIMIT = 1000

# The rows of VALUES come first in each join, so that each is one look-up by index: CROSS JOIN keeps this order on
# SQLite.
_POSITIONS = """
WITH asked(room_id, user_id) AS (VALUES {values})
SELECT asked.room_id, asked.user_id, room.head_seq, membership.id, COALESCE(
    membership.read_seq,
    (SELECT event.seq FROM chat_event event
     WHERE event.room_id = asked.room_id AND event.kind = 0 AND event.at <= visit.at
     ORDER BY event.at DESC, event.seq DESC LIMIT 1),
    0)
FROM asked CROSS JOIN chat_room room
LEFT JOIN chat_membership membership ON membership.room_id = asked.room_id AND membership.user_id = asked.user_id
LEFT JOIN chat_visit visit ON visit.user_id = asked.user_id
WHERE room.id = asked.room_id
"""
# ORDER BY, so that PostgreSQL reads the index and not the table when it expects many rows.
_COUNTS = f"""
WITH asked(room_id, user_id, seq) AS (VALUES {{values}})
SELECT asked.room_id, asked.user_id, room.head_seq, asked.seq,
    (SELECT COUNT(*) FROM (
        SELECT 1 FROM chat_event event
        WHERE event.room_id = asked.room_id AND event.seq > asked.seq AND event.kind = 0
          AND event.deleted_at IS NULL AND (event.author_id IS NULL OR event.author_id <> asked.user_id)
        ORDER BY event.seq LIMIT {MOST}) unread),
    (SELECT COUNT(*) FROM (
        SELECT 1 FROM chat_mention mention
        WHERE mention.user_id = asked.user_id AND mention.room_id = asked.room_id AND mention.seq > asked.seq
          AND COALESCE((SELECT event.author_id FROM chat_event event WHERE event.id = mention.event_id), -1)
              <> asked.user_id
        ORDER BY mention.seq LIMIT {MOST}) mentions)
FROM asked CROSS JOIN chat_room room
WHERE room.id = asked.room_id
"""


class Unread(NamedTuple):
    """What a user has not read of a room: posted, undeleted messages of others after `read`; MOST at most."""

    head: int
    read: int
    unread: int
    mentions: int


class Position(NamedTuple):
    """Up to where a user has read a room, as stored or by their first visit; and the row that holds it."""

    head: int
    membership: int | None
    read: int


class News(NamedTuple):
    """An event that moved a room's head: which message it is about, whose that is, and whom it names now."""

    room: int
    seq: int
    kind: int
    message: int
    author: int | None
    named: frozenset[int]


class Moved(NamedTuple):
    """Read positions that changed after a change that was seen before."""

    epoch: str
    changes: int
    positions: dict[RoomUser, int]
    is_all: bool


def visitors(users: Collection[int]) -> set[int]:
    """Return which of these users have watched before."""
    return set(Visit.objects.filter(user__in=users).values_list("user_id", flat=True))


def positions(pairs: Iterable[RoomUser]) -> dict[RoomUser, Position]:
    """Return up to where users have read rooms; rooms that are gone are left out.

    Where a user has no position, what was said before their first visit is read. By the event's `at`: good
    enough to count by, and never used to deliver.
    """
    rows = _rows(_POSITIONS, pairs)
    return {RoomUser(room, user): Position(head, membership, read) for room, user, head, membership, read in rows}


def count(asked: Mapping[RoomUser, int | None]) -> dict[RoomUser, Unread]:
    """Count what is unread after these positions; None is the one that the database has."""
    unknown = [pair for pair, read in asked.items() if read is None]
    known = {(room, user, read) for (room, user), read in asked.items() if read is not None}
    counts: dict[RoomUser, Unread] = {}
    for pair, (head, _, read) in positions(unknown).items():
        if read >= head:
            counts[pair] = Unread(head, read, 0, 0)
        else:
            known.add((*pair, read))
    # Head and counts are of one statement, so of one moment: later events are news to them.
    for room, user, head, read, unread, mentions in _rows(_COUNTS, known):
        counts[RoomUser(room, user)] = Unread(head, read, unread, mentions)
    return counts


def news(ranges: Mapping[int, tuple[int, int]]) -> list[News]:
    """Return the events of rooms after one seq up to another, in order. The caller bounds their number."""
    events = _events({room: Q(seq__gt=after, seq__lte=up_to) for room, (after, up_to) in ranges.items()})
    changed: dict[int, set[int]] = {}
    for event in events.values():
        if event.kind != Kind.POSTED and event.target is not None:
            changed.setdefault(event.room, set()).add(event.target)
    targets = _events({room: Q(seq__in=seqs) for room, seqs in changed.items()}) if changed else {}
    found = []
    for (room, seq), event in events.items():
        message = seq if event.target is None else event.target
        about = targets.get((room, message)) or events.get((room, message)) or event
        found.append(News(room, seq, event.kind, message, about.author, frozenset(about.named)))
    return found


def moved_since(changes: int | None) -> Moved:
    """Return the read positions that were moved after a change, by any process; None is the newest change."""
    row = PositionCounter.objects.values_list("epoch", "changes").first()
    epoch, counted = row or ("", 0)
    if changes is None or changes == counted:
        return Moved(epoch, counted, {}, is_all=True)
    # After the counter: all changes up to it are committed, because its lock is held to the commit.
    moved = Membership.objects.filter(read_change__gt=changes).order_by("read_change")
    rows = list(moved.values_list("room_id", "user_id", "read_seq", "read_change")[:MOVED_LIMIT])
    is_all = len(rows) < MOVED_LIMIT
    last = max([counted, *(change for *_, change in rows)]) if is_all else max(changes, rows[-1][3] - 1)
    positions = {RoomUser(room, user): read for room, user, read, _ in rows if read is not None}
    return Moved(epoch, last, positions, is_all)


class _Event(NamedTuple):
    room: int
    kind: int
    author: int | None
    target: int | None
    named: set[int]


def _events(wanted: Mapping[int, Q]) -> dict[tuple[int, int], _Event]:
    # One OR for each room: SQLite takes some hundred of them, and the caller brings no more.
    found = Q(pk__in=[])
    for room, condition in wanted.items():
        found |= Q(room=room) & condition
    rows = Event.objects.filter(found).order_by("room", "seq")
    events: dict[tuple[int, int], _Event] = {}
    # With a row for each user that a message names.
    for room, seq, kind, author, target, user in rows.values_list(
        "room_id", "seq", "kind", "author_id", "target_seq", "mentions__user_id"
    ):
        event = events.setdefault((room, seq), _Event(room, kind, author, target, set()))
        if user is not None:
            event.named.add(user)
    return events


def _rows(sql: str, asked: Iterable[tuple[int, ...]]) -> list[Any]:
    """Run a query over rows of numbers that stand in its WITH."""
    asked = sorted(asked)
    if not asked:
        return []
    width = len(asked[0])
    # Typed by the first row: PostgreSQL does not guess what a parameter is.
    first = f"({', '.join(['CAST(%s AS bigint)'] * width)})"
    rest = f"({', '.join(['%s'] * width)})"
    rows: list[Any]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.format(values=", ".join([first, *[rest] * (len(asked) - 1)])),
            [number for row in asked for number in row],
        )
        rows = cursor.fetchall()
    return rows
