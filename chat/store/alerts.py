"""Finds the newest alerts of rooms, and those that a user has not confirmed."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from chat.conf import conf
from chat.models import Event
from chat.protocol import Posted
from chat.store.events import posted
from chat.store.room_user import RoomUser

# Older alerts are only in the history.
RECENT = timedelta(days=7)
# The most alerts of one room that a frame carries: the newest.
AT_MOST = 20
# Rooms, or pairs of room and user, in one query, because SQLite limits the number of parameters.
PER_QUERY = 400

# All forms find each room's alerts through the partial index, for any number of rooms and alerts. SQLite has no
# LATERAL, and PostgreSQL would evaluate the form for SQLite for every event. The head is read by the same statement,
# so it belongs to the same moment.
_NEWEST = f"""
    SELECT newest.id FROM chat_event newest
    WHERE newest.room_id = asked.room_id AND newest.kind = 0 AND newest.msg_type = {conf.MSG_TYPE_ALERT}
      AND newest.deleted_at IS NULL ORDER BY newest.seq DESC LIMIT {AT_MOST}
"""
_EVENTS = {
    "sqlite": f"CROSS JOIN chat_event event ON event.id IN ({_NEWEST})",
    "postgresql": f"CROSS JOIN LATERAL ({_NEWEST}) newest JOIN chat_event event ON event.id = newest.id",
}
_RECENT = """
WITH asked(room_id) AS (VALUES {values})
SELECT event.*, (SELECT room.head_seq FROM chat_room room WHERE room.id = asked.room_id) AS head
FROM asked {events}
"""
_UNCONFIRMED = """
WITH asked(room_id, user_id) AS (VALUES {values})
SELECT asked.room_id, asked.user_id, event.seq
FROM asked {events}
WHERE event.resolved IS NULL AND event.at >= %s
  AND (event.author_id IS NULL OR event.author_id <> asked.user_id)
  AND NOT EXISTS (SELECT 1 FROM chat_confirmation confirmation
                  WHERE confirmation.event_id = event.id AND confirmation.user_id = asked.user_id)
ORDER BY event.seq
"""


class RecentAlerts(NamedTuple):
    """The newest alerts of a room as they stood at `as_of`, without deleted ones."""

    as_of: int
    alerts: list[Posted]


def recent(room_ids: Collection[int]) -> dict[int, RecentAlerts]:
    """Return the newest alerts by room, as they stand now."""
    found = {room: RecentAlerts(0, []) for room in room_ids}
    ids = list(found)
    for start in range(0, len(ids), PER_QUERY):
        asked = ids[start : start + PER_QUERY]
        values = ", ".join(["(CAST(%s AS bigint))"] * len(asked))
        for row in Event.objects.raw(_RECENT.format(values=values, events=_EVENTS[connection.vendor]), asked):
            found[row.room_id].alerts.append(posted(row))
            found[row.room_id] = found[row.room_id]._replace(as_of=vars(row)["head"])
    return found


def unconfirmed(pairs: Iterable[RoomUser]) -> dict[RoomUser, tuple[int, ...]]:
    """Return the seqs of recent alerts that are not over, and that the user neither posted nor confirmed.

    Pairs without such alerts are left out.
    """
    found: dict[RoomUser, tuple[int, ...]] = {}
    asked = sorted(pairs)
    since = connection.ops.adapt_datetimefield_value(timezone.now() - RECENT)
    for start in range(0, len(asked), PER_QUERY):
        piece = asked[start : start + PER_QUERY]
        values = ", ".join(["(CAST(%s AS bigint), CAST(%s AS bigint))"] * len(piece))
        with connection.cursor() as cursor:
            sql = _UNCONFIRMED.format(values=values, events=_EVENTS[connection.vendor])
            cursor.execute(sql, [*(number for pair in piece for number in pair), since])
            for room, user, seq in cursor.fetchall():
                pair = RoomUser(room, user)
                found[pair] = (*found.get(pair, ()), seq)
    return found
