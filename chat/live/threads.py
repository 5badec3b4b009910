"""The threads in which one event loop's database work runs, each with its own connections (Threads)."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.db import DatabaseError, InterfaceError, connection, connections

from chat.conf import conf
from chat.live.jobs import Job
from chat.store import faults
from chat.store.faults import AWAY, Blame

READERS = 2
# How long closing waits for a query that still runs.
CLOSE_SECONDS = 5
# The least time between two reconnects because the server became read-only: a database may stay read-only.
LEAVE_SECONDS = 1.0

T = TypeVar("T")


class WriteTurn:
    """Lets one thread of this process write at a time, and messages before everything else.

    SQLite has one write lock. A thread that finds it taken sleeps up to 100 ms before it tries again, so without this
    a message could have to wait for one read position after the other.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_taken = False
        self._messages_waiting = 0

    @contextmanager
    def hold(self, *, is_message: bool) -> Iterator[None]:
        """Hold the turn. Work that is not a message must be short: at most some hundred rows."""
        with self._condition:
            self._messages_waiting += is_message
            self._condition.wait_for(lambda: not self._is_taken and (is_message or not self._messages_waiting))
            self._messages_waiting -= is_message
            self._is_taken = True
        try:
            yield
        finally:
            with self._condition:
                self._is_taken = False
                self._condition.notify_all()


class Threads:
    """The threads of one event loop. Each is started when it is first used."""

    def __init__(self) -> None:
        self.writer = ThreadPoolExecutor(1, "database-write")
        self.behind = ThreadPoolExecutor(1, "database-behind")
        self.readers = ThreadPoolExecutor(READERS, "database-read")
        self.poller = ThreadPoolExecutor(1, "database-poll")
        self.aside = ThreadPoolExecutor(1, "database-aside")
        self.turn = WriteTurn()
        self.is_closed = False
        # The number of message writes that run or wait.
        self.writes = 0
        # What was wrong at the last write, and when that was.
        self.fault: tuple[str, float] | None = None
        # Incremented when all threads have to connect again, because their server takes no writes.
        self._generation = 0
        self._left_at = float("-inf")
        self._thread = threading.local()

    async def run(self, executor: ThreadPoolExecutor, work: Callable[[], T], *, is_write: bool = False) -> T:
        job = Job(work)
        running = executor.submit(self._run, job, is_write)
        try:
            async with asyncio.timeout(conf.DATABASE_SECONDS):
                return await asyncio.wrap_future(running)
        except TimeoutError:
            if is_write:
                self.fault = ("away", time.monotonic())
            job.give_up_soon()
            raise
        except asyncio.CancelledError:
            # A write goes on although its caller has ended, because it is still valid.
            if not is_write:
                job.give_up_soon()
            raise

    def _run(self, job: Job[T], is_write: bool) -> T:
        try:
            self._leave_old_server()
            result = job.run()
        except (DatabaseError, InterfaceError) as error:
            self._note(error, is_write)
            if isinstance(error, DatabaseError) and faults.is_passing(error) and not isinstance(error, AWAY):
                raise faults.as_operational(error) from error
            raise
        else:
            if is_write:
                self.fault = None
            return result
        finally:
            if self.is_closed:
                # This thread was still busy when the threads were closed, so it may have missed its turn to close.
                connections.close_all()
            else:
                _check_connections()

    def _note(self, error: BaseException, is_write: bool) -> None:
        if faults.blame(error) is not Blame.DATABASE:
            return
        now = time.monotonic()
        if is_write:
            self.fault = (faults.state(error), now)
        if connection.vendor == "postgresql" and faults.state(error) == "read_only":
            if now - self._left_at > LEAVE_SECONDS:
                self._left_at = now
                self._generation += 1
                # The pool's idle connections lead to the same server.
                wrapper: Any = connection
                wrapper.close_pool()
            self._leave_old_server()

    def _leave_old_server(self) -> None:
        """Close this thread's connections if their server takes no writes; the next use connects again."""
        if getattr(self._thread, "generation", self._generation) != self._generation:
            connections.close_all()
        self._thread.generation = self._generation

    def close(self) -> asyncio.Future[list[None]]:
        """Begin to close at once, because the loop may end before the result is awaited."""
        return asyncio.gather(*map(asyncio.wrap_future, self.begin_to_close()))

    def begin_to_close(self) -> list[Future[None]]:
        """Do the same as `close`, but return futures that need no event loop."""
        self.is_closed = True
        # Each thread closes its own connections. The readers wait for each other. Otherwise one of them could do it
        # twice and the other never.
        all_here = threading.Barrier(READERS)
        closing = [self.readers.submit(_close_connections, all_here) for _ in range(READERS)]
        single = (self.writer, self.behind, self.poller, self.aside)
        closing += [executor.submit(connections.close_all) for executor in single]
        for executor in (*single, self.readers):
            executor.shutdown(wait=False)
        return closing


def _close_connections(all_here: threading.Barrier) -> None:
    with suppress(threading.BrokenBarrierError):
        all_here.wait(CLOSE_SECONDS)
    connections.close_all()


def _check_connections() -> None:
    # Connections are kept whatever CONN_MAX_AGE is. One that broke is closed, and the next use connects again.
    for each in connections.all(initialized_only=True):
        if each.errors_occurred:
            if each.is_usable():
                each.errors_occurred = False
            else:
                each.close()
