"""Counts unread messages and mentions in the database, by pairs of user and room, up to MOST."""

import sys
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext_lazy

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Membership, PositionCounter, Room, Visit
from chat.store import alerts, policies, values
from chat.store.mentions import EVERYONE
from chat.store.policies import Login
from chat.store.room_user import RoomUser

Kind = Event.Kind

# Counts stop at this number, which means "more than 999" on the wire.
MOST = 1000
# The most moved positions in one answer. Must exceed the positions of one transaction (chat.live.positions.MAX_ROWS).
MOVED_LIMIT = 1000

# The given rows come first in each join, so that each is one look-up by index. On SQLite, CROSS JOIN keeps this
# order.
_POSITIONS = """
WITH asked(room_id, user_id) AS ({rows})
SELECT asked.room_id, asked.user_id, room.head_seq, room.epoch, COALESCE(membership.level, 0), membership.id, COALESCE(
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
# The ORDER BY makes PostgreSQL read the index instead of the table when it expects many rows.
_COUNTS = f"""
WITH asked(room_id, user_id, seq) AS ({{rows}})
SELECT asked.room_id, asked.user_id, room.head_seq, room.epoch, COALESCE(membership.level, 0), asked.seq,
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
        ORDER BY mention.seq LIMIT {MOST}) mentions),
    (SELECT COUNT(*) FROM (
        SELECT 1 FROM chat_mention mention
        WHERE mention.user_id = {EVERYONE} AND mention.room_id = asked.room_id AND mention.seq > asked.seq
          AND COALESCE((SELECT event.author_id FROM chat_event event WHERE event.id = mention.event_id), -1)
              <> asked.user_id
        ORDER BY mention.seq LIMIT {MOST}) of_all)
FROM asked CROSS JOIN chat_room room
LEFT JOIN chat_membership membership ON membership.room_id = asked.room_id AND membership.user_id = asked.user_id
WHERE room.id = asked.room_id
"""


# Rooms that are read up to their head cost nothing, and the others one look-up by index each.
_LAST_BEFORE = """
SELECT room.id,
    (SELECT event.seq FROM chat_event event
     WHERE event.room_id = room.id AND event.kind = 0 AND event.at < %s
     ORDER BY event.at DESC, event.seq DESC LIMIT 1),
    COALESCE(
        membership.read_seq,
        (SELECT event.seq FROM chat_event event
         WHERE event.room_id = room.id AND event.kind = 0 AND event.at <= visit.at
         ORDER BY event.at DESC, event.seq DESC LIMIT 1),
        0)
FROM chat_room room
LEFT JOIN chat_membership membership ON membership.room_id = room.id AND membership.user_id = %s
LEFT JOIN chat_visit visit ON visit.user_id = %s
WHERE room.id IN ({rooms}) AND room.archived_at IS NULL AND COALESCE(membership.read_seq, 0) < room.head_seq
"""


class Unread(NamedTuple):
    """How much a user has not read in a room: undeleted messages of other users after `read`, at most MOST."""

    head: int
    read: int
    unread: int
    mentions: int
    # The recent alerts that the user has not confirmed, by seq.
    alerts: tuple[int, ...] = ()
    # What the user wants to hear of the room (Membership.Level).
    level: int = 0
    # The epoch of the log that was counted.
    epoch: str = ""


class Position(NamedTuple):
    """The seq up to which a user has read a room, as stored or by their first visit, and the row that stores it."""

    head: int
    epoch: str
    level: int
    membership: int | None
    read: int


class News(NamedTuple):
    """An event that moved a room's head: its message, the message's author, and whom it names now (EVERYONE: all)."""

    room: int
    seq: int
    kind: int
    message: int
    author: int | None
    named: frozenset[int]
    # The author of the event itself, and whether its message is an alert.
    by: int | None = None
    is_alert: bool = False


class Moved(NamedTuple):
    """Read positions and levels of the rows that were changed after a given change."""

    epoch: str
    changes: int
    positions: dict[RoomUser, int]
    is_all: bool
    levels: dict[RoomUser, int]


def visitors(users: Collection[int]) -> set[int]:
    """Return the users among these who have watched before."""
    return set(Visit.objects.filter(user__in=users).values_list("user_id", flat=True))


def positions(pairs: Iterable[RoomUser]) -> dict[RoomUser, Position]:
    """Return the read positions of users in rooms; deleted rooms are left out.

    If a user has no position in a room, messages from before their first visit count as read. The comparison uses
    the event's `at`, which is exact enough for counting, and is never used for delivery.
    """
    rows = values.select(_POSITIONS, pairs)
    return {RoomUser(room, user): Position(*position) for room, user, *position in rows}


def last_before(login: Login, before: datetime) -> dict[int, int]:
    """Return the last message before a time, by room, in the listed rooms of a user who has not read up to there.

    Times are those of the events, which is exact enough for counting. Raises ClientError: USER_HAS_TO_LOGIN, or
    COMMAND_INVALID when the time is not in the years 1 to 9999 of UTC.
    """
    try:
        at = connection.ops.adapt_datetimefield_value(before.astimezone(UTC))
    except OverflowError:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=gettext_lazy("This time is out of range.")) from None
    rooms = Room.objects.enterable_by(policies.load_user(login))
    rooms_sql, params = rooms.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(_LAST_BEFORE.format(rooms=rooms_sql), [at, login.user_id, login.user_id, *params])
        return {room: last for room, last, read in cursor.fetchall() if last is not None and read < last}


def count(asked: Mapping[RoomUser, int | None]) -> dict[RoomUser, Unread]:
    """Count unread messages and mentions after these positions; None stands for the stored position."""
    unknown = [pair for pair, read in asked.items() if read is None]
    known = {(room, user, read) for (room, user), read in asked.items() if read is not None}
    counts: dict[RoomUser, Unread] = {}
    for pair, (head, epoch, level, _, read) in positions(unknown).items():
        if read >= head:
            counts[pair] = Unread(head, read, 0, 0, level=level, epoch=sys.intern(epoch))
        else:
            known.add((*pair, read))
    # One statement reads head and counts, so they belong to the same moment, and all later events are news.
    for room, user, head, epoch, level, read, unread, mentions, of_all in values.select(_COUNTS, known):
        of_user = min(mentions + of_all, MOST)
        # Interned, because the counts of many users have the same epoch.
        counts[RoomUser(room, user)] = Unread(head, read, unread, of_user, level=level, epoch=sys.intern(epoch))
    # Read after the heads, so none is missing. A later event is applied a second time, which changes nothing.
    for pair, seqs in alerts.unconfirmed(counts).items():
        counts[pair] = counts[pair]._replace(alerts=seqs)
    return counts


def news(ranges: Mapping[int, tuple[int, int]]) -> list[News]:
    """Return the events of rooms between two seqs (after, up to), in order. The caller bounds their number."""
    events = _events({room: Q(seq__gt=after, seq__lte=up_to) for room, (after, up_to) in ranges.items()})
    changed: dict[int, set[int]] = {}
    for event in events.values():
        if event.kind in (Kind.EDITED, Kind.DELETED) and event.target is not None:
            changed.setdefault(event.room, set()).add(event.target)
    targets = _events({room: Q(seq__in=seqs) for room, seqs in changed.items()}) if changed else {}
    found = []
    for (room, seq), event in events.items():
        message = seq if event.target is None else event.target
        message_event = targets.get((room, message)) or events.get((room, message)) or event
        named = frozenset(message_event.named)
        news = News(room, seq, event.kind, message, message_event.author, named, event.author, event.is_alert)
        found.append(news)
    return found


def moved_since(changes: int | None) -> Moved:
    """Return the read positions and levels that any process changed after a change; None: the newest change."""
    row = PositionCounter.objects.values_list("epoch", "changes").first()
    epoch, counted = row or ("", 0)
    if changes is None or changes == counted:
        return Moved(epoch, counted, {}, is_all=True, levels={})
    # Read after the counter. All changes up to its number are committed, because its lock is held until the commit.
    moved = Membership.objects.filter(read_change__gt=changes).order_by("read_change")
    rows = list(moved.values_list("room_id", "user_id", "read_seq", "level", "read_change")[:MOVED_LIMIT])
    is_all = len(rows) < MOVED_LIMIT
    last = max([counted, *(change for *_, change in rows)]) if is_all else max(changes, rows[-1][4] - 1)
    positions = {RoomUser(room, user): read for room, user, read, *_ in rows if read is not None}
    levels = {RoomUser(room, user): level for room, user, _, level, _ in rows}
    return Moved(epoch, last, positions, is_all, levels)


class _Event(NamedTuple):
    room: int
    kind: int
    author: int | None
    target: int | None
    is_alert: bool
    named: set[int]


def _events(conditions: Mapping[int, Q]) -> dict[tuple[int, int], _Event]:
    # One OR for each room. SQLite takes some hundred of them, and callers ask for no more.
    found = Q(pk__in=[])
    for room, condition in conditions.items():
        found |= Q(room=room) & condition
    # Reactions neither are messages nor change whether one counts.
    rows = Event.objects.filter(found).exclude(kind=Kind.REACTED).order_by("room", "seq")
    events: dict[tuple[int, int], _Event] = {}
    # There is a row for each user whom a message names.
    for room, seq, kind, author, target, msg_type, user in rows.values_list(
        "room_id", "seq", "kind", "author_id", "target_seq", "msg_type", "mentions__user_id"
    ):
        is_alert = msg_type == conf.MSG_TYPE_ALERT
        event = events.setdefault((room, seq), _Event(room, kind, author, target, is_alert, set()))
        if user is not None:
            event.named.add(user)
    return events
