"""How long a thread waits for rows that other transactions have locked.

The writer's thread saves the messages of all rooms, so it waits only briefly: a room that somebody holds in psql
must not delay the others. Bots and commands wait as long as the database allows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

# Longer than processes that post in the same room hold its row, and short enough not to be noticed elsewhere.
LOCK_SECONDS = 0.1
# Less than a draft is held for, so that its neighbours can still be saved.
STATEMENT_SECONDS = 5
# A process that was frozen in a transaction loses it, and the rooms that it had locked are free.
IDLE_SECONDS = 10

_thread = threading.local()


def is_brief() -> bool:
    """Tell whether this thread waits only briefly."""
    return getattr(_thread, "is_brief", False)


@contextmanager
def brief() -> Iterator[None]:
    """Wait only briefly in this thread, until the end of the block."""
    before = is_brief()
    _thread.is_brief = True
    try:
        yield
    finally:
        _thread.is_brief = before


def limit_transaction() -> None:
    """Limit the waits of a transaction that has just begun, if this thread waits only briefly."""
    if not is_brief() or connection.vendor != "postgresql":
        return
    limits = {
        "lock_timeout": LOCK_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    # For this transaction only: behind a pooler, the connection serves others afterwards.
    calls = ", ".join(f"set_config('{name}', '{int(seconds * 1000)}', true)" for name, seconds in limits.items())
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {calls}")
