"""Database work off the event loop, in threads of its own.

Django's own thread for async code is shared by everything in the process: one slow query there
would freeze every socket. Here one thread writes and a few read, each with its own connection.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import DatabaseError, InterfaceError, OperationalError, connections

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


class Threads:
    """The threads of one event loop, made when first used."""

    def __init__(self) -> None:
        self.writer = ThreadPoolExecutor(1, "database-write")
        self.readers = ThreadPoolExecutor(READERS, "database-read")

    async def run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, _keeping_connections, work)

    def close(self) -> asyncio.Future[list[None]]:
        """Begin to close, at once: the loop may end before anybody waits for it."""
        # Each thread closes its own: they wait for each other, so that none closes twice and another never.
        all_here = threading.Barrier(READERS)
        closing = [self.readers.submit(_close_connections, all_here) for _ in range(READERS)]
        closing.append(self.writer.submit(connections.close_all))
        for executor in (self.writer, self.readers):
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


async def write(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes, in the writer's thread."""
    threads = _of_running_loop()
    return await threads.run(threads.writer, lambda: work(*args, **kwargs))


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
