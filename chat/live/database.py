"""Database work off the event loop, in threads of its own.

Django's own thread for async code is shared by everything in the process: one slow query there
would freeze every socket. Here each kind of work has threads and connections of its own, so that
no kind waits for another: `write` (messages), `write_behind` (everything else that is written),
`read` (joins, history, counts) and `look` (the sweep and the check of rights). Each of them raises TimeoutError
after DATABASE_SECONDS, and ends the query: its thread serves others soon after.

When the database is away, overloaded, full, read-only … the caller gets one of AWAY, whichever class the driver has
chosen for the error: the same work may succeed later. Other errors of the database are about the work.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, nullcontext
from typing import Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from django.db import DatabaseError, connection

from chat import conf
from chat.live.threads import READERS, Threads, WriteTurn
from chat.store import faults, lock_waits
from chat.store.faults import AWAY, Blame, reason

__all__ = [
    "AWAY",
    "READERS",
    "Gathering",
    "close",
    "is_writing",
    "look",
    "only_one",
    "read",
    "reason",
    "state",
    "warn",
    "warn_sparingly",
    "write",
    "write_behind",
]

# A question that follows another so soon waits for more of them, and for how long.
BUSY_SECONDS = 0.05
GATHER_SECONDS = 0.01

# A failed write says nothing about the database any more after this time without another one.
STATE_SECONDS = 15.0
# For lines that anybody can cause.
WARN_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


_threads: WeakKeyDictionary[asyncio.AbstractEventLoop, Threads] = WeakKeyDictionary()
_closing: WeakKeyDictionary[asyncio.AbstractEventLoop, set[asyncio.Future[list[None]]]] = WeakKeyDictionary()


def _of_running_loop() -> Threads:
    loop = asyncio.get_running_loop()
    if loop not in _threads:
        _threads[loop] = Threads()
    return _threads[loop]


async def read(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that reads, in a reader's thread."""
    threads = _of_running_loop()
    return await threads.run(threads.readers, lambda: work(*args, **kwargs))


async def look(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the sweep's query or a check of rights, in a thread that no other work can keep busy."""
    threads = _of_running_loop()
    return await threads.run(threads.looker, lambda: work(*args, **kwargs))


async def write(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes messages, in the writer's thread, where locked rows are waited for only briefly."""
    threads = _of_running_loop()
    threads.writes += 1
    try:
        return await threads.run(
            threads.writer, lambda: _write_messages(threads.turn, work, *args, **kwargs), is_write=True
        )
    finally:
        threads.writes -= 1


def is_writing() -> bool:
    """Tell whether messages are being written, or wait for it."""
    threads = _threads.get(asyncio.get_running_loop())
    return threads is not None and threads.writes > 0


async def write_behind(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes anything but messages: behind them, and in a thread of its own.

    It keeps its transaction short (at most some hundred rows), because on SQLite messages wait for it.
    """
    threads = _of_running_loop()
    return await threads.run(
        threads.behind, lambda: _in_turn(threads.turn, False, work, *args, **kwargs), is_write=True
    )


def _write_messages(turn: WriteTurn, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with lock_waits.brief():
        return _in_turn(turn, True, work, *args, **kwargs)


def _in_turn(turn: WriteTurn, is_message: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with turn.take(is_message=is_message) if connection.vendor == "sqlite" else nullcontext():
        return work(*args, **kwargs)


def state() -> str | None:
    """Name what is wrong with the database of this loop's writes (faults.state), or None when nothing is known."""
    threads = _threads.get(asyncio.get_running_loop())
    if threads is None or threads.fault is None:
        return None
    name, at = threads.fault
    return name if time.monotonic() - at < STATE_SECONDS else None


@asynccontextmanager
async def only_one(key: Hashable) -> AsyncIterator[None]:
    """Let one block of each key run at a time. Raises TimeoutError when its turn does not come for DATABASE_SECONDS."""
    locks = _locks.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    lock = locks.setdefault(key, asyncio.Lock())
    async with asyncio.timeout(conf.DATABASE_SECONDS):
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, asyncio.Lock]] = WeakKeyDictionary()


def warn(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log what was not done; with the place in our code if it is our fault."""
    is_ours = faults.blame(error) is Blame.PROGRAM
    if is_ours and not isinstance(error, DatabaseError):
        logger.warning("%s: %s", sentence, reason(error), exc_info=error)
    else:
        logger.warning("%s: %s%s", sentence, reason(error), faults.trace(error) if is_ours else "")


def warn_sparingly(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log as `warn`, but each sentence at most once in WARN_SECONDS; the next line says how many were left out."""
    counts = _warned.setdefault(asyncio.get_running_loop(), {})
    at, left_out = counts.get(sentence, (float("-inf"), 0))
    now = time.monotonic()
    if now - at < WARN_SECONDS:
        counts[sentence] = (at, left_out + 1)
        return
    counts[sentence] = (now, 0)
    warn(logger, f"{sentence} ({left_out} more not logged)" if left_out else sentence, error)


_warned: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[float, int]]] = WeakKeyDictionary()


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
            await self._answer(asked)
            self._read_at = loop.time()
        self._task = None

    async def _answer(self, asked: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await read(self._load, set(asked))
        except Exception as error:
            if len(asked) > 1 and faults.blame(error) is not Blame.DATABASE:
                # One of the questions is at fault. In halves, so that a few bad ones among many cost few queries.
                questions = list(asked.items())
                middle = len(questions) // 2
                await self._answer(dict(questions[:middle]))
                await self._answer(dict(questions[middle:]))
                return
            for future in asked.values():
                future.set_exception(error)
                # Whoever asked may be gone.
                future.exception()
        else:
            for key, future in asked.items():
                future.set_result(found.get(key))
