"""Database work off the event loop, in threads of its own.

Django's own thread for async code is shared by everything in the process: one slow query there
would freeze every socket. Here one thread writes and a few read, each with its own connection.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.db import connections

READERS = 2

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """The threads of one event loop, made when first used."""

    def __init__(self) -> None:
        # Executors of one thread each: so each one's connections can be closed when it goes.
        self._writer = ThreadPoolExecutor(1, "database-write")
        self._readers = [ThreadPoolExecutor(1, f"database-read-{number}") for number in range(READERS)]
        self._next = cycle(self._readers)

    async def run(self, executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, _keeping_connections, work)

    async def close(self) -> None:
        executors = [self._writer, *self._readers]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(one, connections.close_all) for one in executors))
        for one in executors:
            one.shutdown(wait=False)


_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()


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
    """Run a function that reads, in a reader's thread."""
    threads = _of_running_loop()
    return await threads.run(next(threads._next), lambda: work(*args, **kwargs))


async def write(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes, in the writer's thread."""
    threads = _of_running_loop()
    return await threads.run(threads._writer, lambda: work(*args, **kwargs))


async def close() -> None:
    """Close the running loop's threads and their connections; the next use makes new ones."""
    if threads := _threads.pop(asyncio.get_running_loop(), None):
        await threads.close()
