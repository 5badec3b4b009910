"""How long a thread waits for rows that other transactions have locked.

The writer's thread saves the messages of all rooms, so it waits only briefly: a room that is locked in psql must
not delay the other rooms. Bots and management commands wait as long as the database allows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from chat.store.round_trip import RoundTrip

# Longer than other processes hold the row of a room to post in it, and too short to be noticed in other rooms.
LOCK_SECONDS = 0.1
# Shorter than the time for which drafts are held, so that the other drafts can still be saved.
STATEMENT_SECONDS = 5
# Ends the transaction of a frozen process, which unlocks its rooms.
IDLE_SECONDS = 10

_thread = threading.local()


def is_brief() -> bool:
    """Return whether this thread waits only briefly."""
    return getattr(_thread, "is_brief", False)


@contextmanager
def brief() -> Iterator[None]:
    """Let this thread wait only briefly until the end of the block."""
    before = is_brief()
    _thread.is_brief = True
    try:
        yield
    finally:
        _thread.is_brief = before


def limit_transaction(trip: RoundTrip) -> None:
    """Limit the waits of a transaction that begins with this round trip, if this thread waits only briefly."""
    if not is_brief() or connection.vendor != "postgresql":
        return
    limits = {
        "lock_timeout": LOCK_SECONDS,
        "statement_timeout": STATEMENT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    # For this transaction only, because behind a pooler the connection serves other clients afterwards.
    calls = ", ".join(f"set_config('{name}', '{int(seconds * 1000)}', true)" for name, seconds in limits.items())
    trip.add(f"SELECT {calls}", [])
