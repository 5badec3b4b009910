"""Finds between which ids the messages of some days are, so that a search for them reads no others.

Events get ids in the order of time, but not exactly: transactions overlap, a clock is set back, and an import may have
times in any order. An index has the times of each block of ids, so blocks without a wanted message are skipped with one
index look-up each, and no order of ids and times can hide a message.
"""

from datetime import datetime

from django.db import connection

from chat.models import IDS_PER_BLOCK

# COALESCE: a block without messages is passed over too. MIN() and MAX() in place of ORDER BY would let PostgreSQL join
# all blocks with all messages.
BEFORE = f"""
    WITH RECURSIVE block(number) AS (
        SELECT MAX(id) / {IDS_PER_BLOCK} FROM chat_event
        UNION ALL
        SELECT number - 1 FROM block WHERE number >= 0 AND COALESCE((
            SELECT event.at FROM chat_event event WHERE event.kind = 0 AND event.id / {IDS_PER_BLOCK} = block.number
            ORDER BY event.at LIMIT 1
        ) >= %s, TRUE)
    ) SELECT MIN(number) FROM block
"""
SINCE = f"""
    WITH RECURSIVE block(number) AS (
        SELECT MIN(id) / {IDS_PER_BLOCK} FROM chat_event
        UNION ALL
        SELECT number + 1 FROM block
        WHERE number <= (SELECT MAX(id) / {IDS_PER_BLOCK} FROM chat_event) AND COALESCE((
            SELECT event.at FROM chat_event event WHERE event.kind = 0 AND event.id / {IDS_PER_BLOCK} = block.number
            ORDER BY event.at DESC LIMIT 1
        ) < %s, TRUE)
    ) SELECT MAX(number) FROM block
"""


def end_of(before: datetime) -> int:
    """Return an id that is above those of all messages before a time."""
    number = _block(BEFORE, before)
    return 0 if number is None else (number + 1) * IDS_PER_BLOCK


def start_of(since: datetime) -> int:
    """Return an id that is not above that of any message since a time."""
    return (_block(SINCE, since) or 0) * IDS_PER_BLOCK


def _block(sql: str, at: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(at)])
        number: int | None = cursor.fetchone()[0]
    return number
