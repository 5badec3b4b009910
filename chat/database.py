"""Database work off the event loop, in threads of its own.

Django's own thread for async code is shared by everything in the process: one slow query there
would freeze every socket. Here each kind of work has threads and connections of its own, so that
no kind waits for another: `write` (messages), `write_behind` (everything else that is written),
`read` (joins, history, counts) and `look` (the sweep and the check of rights).
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from typing import Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError, InterfaceError, OperationalError, connection, connections

from chat import conf

READERS = 2
# For a query that still runs when the threads are given back.
CLOSE_SECONDS = 5
# A question that follows another so soon waits for more of them, and for how long.
BUSY_SECONDS = 0.05
GATHER_SECONDS = 0.01

# What a database raises that is away, overloaded or full.
AWAY = (DatabaseError, InterfaceError, TimeoutError)

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class WriteTurn:
    """Lets one thread of this process write at a time, messages before everything else.

    SQLite has one write lock. A thread that finds it taken sleeps up to 100 ms before it tries again,
    so without this a message could lose to a read position again and again.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._is_taken = False
        self._messages_waiting = 0

    @contextmanager
    def take(self, *, is_message: bool) -> Iterator[None]:
        """Hold the turn. Work that is no message keeps it short: at most some hundred rows."""
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
    """The threads of one event loop, made when first used."""

    def __init__(self) -> None:
        self.writer = ThreadPoolExecutor(1, "database-write")
        self.behind = ThreadPoolExecutor(1, "database-behind")
        self.readers = ThreadPoolExecutor(READERS, "database-read")
        self.looker = ThreadPoolExecutor(1, "database-look")
        self.turn = WriteTurn()

    async def run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, _keeping_connections, work)

    def close(self) -> asyncio.Future[list[None]]:
        """Begin to close, at once: the loop may end before anybody waits for it."""
        # Each thread closes its own connections. The readers wait for each other, so that no thread closes twice
        # while another never does.
        all_here = threading.Barrier(READERS)
        closing = [self.readers.submit(_close_connections, all_here) for _ in range(READERS)]
        closing += [one.submit(connections.close_all) for one in (self.writer, self.behind, self.looker)]
        for executor in (self.writer, self.behind, self.readers, self.looker):
            executor.shutdown(wait=False)
        return asyncio.gather(*map(asyncio.wrap_future, closing))


def _close_connections(all_here: threading.Barrier) -> None:
    with suppress(threading.BrokenBarrierError):
        all_here.wait(CLOSE_SECONDS)
    connections.close_all()


_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()
_closing: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[list[None]]]] = WeakKeyDictionary()


def _of_running_loop() -> Threads:
    loop = asyncio.get_running_loop()
    if loop not in _threads:
        _threads[loop] = Threads()
    return _threads[loop]


def _keeping_connections(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        # Kept from call to call whatever CONN_MAX_AGE says; one that broke is dropped, and the next use connects anew.
        for connection in connections.all(initialized_only=True):
            if connection.errors_occurred:
                if connection.is_usable():
                    connection.errors_occurred = False
                else:
                    connection.close()


async def read(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that reads, in a reader's thread.

    Raises TimeoutError when a database that hangs has not answered for DATABASE_SECONDS.
    """
    threads = _of_running_loop()
    async with asyncio.timeout(conf.DATABASE_SECONDS):
        return await threads.run(threads.readers, lambda: work(*args, **kwargs))


async def look(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the sweep's query or a check of rights, in a thread that no other work can keep busy.

    Raises TimeoutError when a database that hangs has not answered for DATABASE_SECONDS.
    """
    threads = _of_running_loop()
    async with asyncio.timeout(conf.DATABASE_SECONDS):
        return await threads.run(threads.looker, lambda: work(*args, **kwargs))


async def write(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes messages, in the writer's thread."""
    threads = _of_running_loop()
    return await threads.run(threads.writer, lambda: _in_turn(threads.turn, True, work, *args, **kwargs))


async def write_behind(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes anything but messages: behind them, and in a thread of its own.

    It keeps its transaction short (at most some hundred rows), because on SQLite messages wait for it.
    """
    threads = _of_running_loop()
    return await threads.run(threads.behind, lambda: _in_turn(threads.turn, False, work, *args, **kwargs))


def _in_turn(turn: WriteTurn, is_message: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with turn.take(is_message=is_message) if connection.vendor == "sqlite" else nullcontext():
        return work(*args, **kwargs)


def reason(error: BaseException) -> str:
    """Say in one line, for the log, why something was not done: "OperationalError: database or disk is full"."""
    # Of other errors the message may quote what was to be saved, and of these the lines after the first.
    lines = str(error).splitlines() if isinstance(error, OperationalError | InterfaceError) else []
    return ": ".join([type(error).__name__, *lines[:1]])


def warn(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log what was not done; with the traceback, unless it is the database that is away."""
    logger.warning("%s: %s", sentence, reason(error), exc_info=None if isinstance(error, AWAY) else error)


async def close() -> None:
    """Close the running loop's threads and their connections; the next use makes new ones."""
    loop = asyncio.get_running_loop()
    closing = _closing.setdefault(loop, set())
    if threads := _threads.pop(loop, None):
        one = threads.close()
        closing.add(one)
        one.add_done_callback(closing.discard)
    # Whoever comes second waits for the first, and whoever is cancelled ends nothing: after it no connection is open.
    await asyncio.shield(asyncio.gather(*closing))


class Gathering(Generic[K, V]):
    """Reads many things in one go: what is asked for while one query runs goes into the next."""

    def __init__(self, load: Callable[[set[K]], dict[K, V]]) -> None:
        self._load = load
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._read_at = float("-inf")

    async def get(self, key: K) -> V | None:
        """Return what the database has for this key now, or None. Raises what the query raised."""
        loop = asyncio.get_running_loop()
        if key not in self._asked:
            self._asked[key] = loop.create_future()
        if self._task is None:
            self._task = loop.create_task(self._load_all())
        return await asyncio.shield(self._asked[key])

    async def _load_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._asked:
            if loop.time() - self._read_at < BUSY_SECONDS:
                # One after the other comes, as after a cut: a moment's wait spares a fast database many queries.
                await asyncio.sleep(GATHER_SECONDS)
            # Whoever asks from now on gets an answer that begins after the question.
            asked, self._asked = self._asked, {}
            try:
                found = await read(self._load, set(asked))
            except Exception as error:
                for future in asked.values():
                    future.set_exception(error)
                    # Whoever asked may be gone.
                    future.exception()
            else:
                for key, future in asked.items():
                    future.set_result(found.get(key))
            self._read_at = loop.time()
        self._task = None
