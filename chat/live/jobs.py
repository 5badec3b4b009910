"""One piece of work in a database thread, which the event loop can give up (Job)."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

# For PostgreSQL to take the request to cancel a query.
CANCEL_SECONDS = 5

T = TypeVar("T")


class GivenUpError(OperationalError):
    """The caller stopped waiting for this work."""


class Job(Generic[T]):
    """Runs work once, and ends its query when it is given up: otherwise the query would keep the thread busy."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        # Held while a query is cancelled, so that the thread cannot begin other work and have that cancelled.
        self._lock = threading.Lock()
        self._is_given_up = False
        # The thread's connection, while the work runs.
        self._connection: Any = None

    def run(self) -> T:
        """Do the work, in the thread that calls this. Raises GivenUpError when nobody waits for it any more."""
        connection = connections[DEFAULT_DB_ALIAS]
        with self._lock:
            self._check()
            self._connection = connection
        try:
            with connection.execute_wrapper(self._execute):
                return self._work()
        finally:
            with self._lock:
                self._connection = None
            if self._is_given_up and connection.vendor == "postgresql":
                # The cancellation may still be on its way, and would end the connection's next query.
                connection.close()

    def give_up(self) -> None:
        """End the query that runs now, and let no other begin. Not on the event loop: PostgreSQL is asked."""
        with self._lock:
            self._is_given_up = True
            running = self._connection.connection if self._connection is not None else None
            # It may be closed at the same moment.
            with suppress(Exception):
                if isinstance(running, sqlite3.Connection):
                    running.interrupt()
                elif running is not None:
                    running.cancel_safe(timeout=CANCEL_SECONDS)

    def give_up_soon(self) -> None:
        """Give up in a thread of its own."""
        threading.Thread(target=self.give_up, name="database-give-up", daemon=True).start()

    def _check(self) -> None:
        if self._is_given_up:
            raise GivenUpError("nobody waits for this any more")

    def _execute(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._check()
        return execute(sql, params, many, context)
