"""Finds between which ids the messages of some days are, so that a search for them reads no others.

Events get ids in the order of time, but not exactly: transactions overlap, a clock is set back, and an import may have
times in any order. An index has the times of each block of ids, so blocks without a wanted message are skipped with one
index look-up each, and no order of ids and times can hide a message.
"""

from datetime import datetime

from django.db import connection

from chat.models import IDS_PER_BLOCK

BLOCK = f"event.id / {IDS_PER_BLOCK}"
POSTED = "chat_event event WHERE event.kind = 0"


def _walk(start: str, *, step: str, back: str, next_one: str, time: str, is_unwanted: str, unwanted: str) -> str:
    """Return the SQL of a walk over blocks, up to the first one that has a wanted message, or the end of all.

    Behind an empty block, which has no time, it jumps to just before the next one that has messages, because a site
    that was pruned may have any number of empty ones. MIN() and MAX() in place of ORDER BY would let PostgreSQL join
    all blocks with all messages. An infinity stands for the time of the block before a jump: both databases find it
    later or earlier than every time, SQLite because it compares texts. No number is cast, because SQLite would not look
    up those of a type in the index.
    """
    jump = f"SELECT {BLOCK} {back} FROM {POSTED} AND {BLOCK} {next_one} LIMIT 1"
    look = f"SELECT event.at FROM {POSTED} AND {BLOCK} = block.number {step} ORDER BY event.at {time} LIMIT 1"
    return f"""
    WITH RECURSIVE block(number, at) AS (
        SELECT {start}, CAST(NULL AS timestamp with time zone)
        UNION ALL
        SELECT
            CASE WHEN block.at IS NULL THEN ({jump}) ELSE block.number {step} END,
            CASE WHEN block.at IS NULL THEN '{unwanted}' ELSE ({look}) END
        FROM block WHERE block.number IS NOT NULL AND (block.at IS NULL OR block.at {is_unwanted} %s)
    )"""


# Down from the empty block above all others.
BEFORE = _walk(
    f"(SELECT MAX(id) / {IDS_PER_BLOCK} + 1 FROM chat_event)",
    step="- 1",
    back="+ 1",
    next_one=f"< block.number ORDER BY {BLOCK} DESC",
    time="ASC",
    is_unwanted=">=",
    unwanted="infinity",
)
# Up from the empty block below all others.
SINCE = _walk(
    f"(SELECT MIN(id) / {IDS_PER_BLOCK} - 1 FROM chat_event)",
    step="+ 1",
    back="- 1",
    next_one=f"> block.number ORDER BY {BLOCK} ASC",
    time="DESC",
    is_unwanted="<",
    unwanted="-infinity",
)


def end_of(before: datetime) -> int:
    """Return an id that is above those of all messages before a time."""
    number = _block(f"{BEFORE} SELECT MIN(number) FROM block", before)
    return 0 if number is None else (number + 1) * IDS_PER_BLOCK


def start_of(since: datetime) -> int:
    """Return an id that is not above that of any message since a time."""
    return (_block(f"{SINCE} SELECT MAX(number) FROM block", since) or 0) * IDS_PER_BLOCK


def _block(sql: str, at: datetime) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(at)])
        number: int | None = cursor.fetchone()[0]
    return number
