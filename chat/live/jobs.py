"""One piece of work in a database thread, which the event loop can cancel (Job)."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, OperationalError, connections

# How long PostgreSQL may take to accept a request to cancel a query.
CANCEL_SECONDS = 5

T = TypeVar("T")


class GivenUpError(OperationalError):
    """The caller stopped waiting for this work."""


class Job(Generic[T]):
    """Runs work once. When the work is given up, its query is cancelled, because it would keep the thread busy."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        # Held while a query is cancelled. Otherwise the thread could begin other work in that moment, and that would be
        # cancelled.
        self._lock = threading.Lock()
        self._is_given_up = False
        # The thread's connection, while the work runs.
        self._connection: Any = None

    def run(self) -> T:
        """Do the work, in the calling thread. Raises GivenUpError when its caller does not wait for it any more."""
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
                # The cancellation may still be on its way, and would cancel the connection's next query.
                connection.close()

    def give_up(self) -> None:
        """Cancel the running query, and let no other begin. Not for the event loop, because it sends a request."""
        with self._lock:
            self._is_given_up = True
            running = self._connection.connection if self._connection is not None else None
            # The connection may be closed at the same moment.
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
            raise GivenUpError("the caller does not wait for this any more")

    def _execute(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._check()
        return execute(sql, params, many, context)
