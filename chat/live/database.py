"""Runs database work in threads, off the event loop.

Django's own thread for async code is shared by everything in the process, so one slow query there would freeze every
socket. Here each kind of work has its own threads and connections, so that no kind waits for another: `write`
(messages), `write_behind` (everything else that is written), `read` (joins, history, counts), `read_aside` (what
webhooks send) and `poll` (the sweep and the check of rights). Each of them raises TimeoutError after DATABASE_SECONDS
and cancels the query, so that its thread is free again soon after.

When the database is away, overloaded, full or read-only, the caller gets one of AWAY, whatever class the driver has
chosen for the error: the same work may succeed later. Other errors of the database are caused by the work.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import Generic, ParamSpec, TypeVar, cast

from django.db import DatabaseError, connection

from chat.conf import conf
from chat.live import runtime
from chat.live.threads import READERS, WriteTurn
from chat.store import faults, lock_waits
from chat.store.faults import AWAY, Blame, reason

__all__ = [
    "AWAY",
    "READERS",
    "Gathering",
    "close",
    "is_writing",
    "only_one",
    "poll",
    "read",
    "read_aside",
    "reason",
    "state",
    "warn",
    "warn_sparingly",
    "write",
    "write_behind",
]

# If one query follows another this soon, it first waits GATHER_SECONDS for more questions.
BUSY_SECONDS = 0.05
GATHER_SECONDS = 0.01

# How long a failed write counts as the database's state.
STATE_SECONDS = 15.0
# The least time between two log lines of the same sentence in `warn_sparingly`.
WARN_SECONDS = 5.0

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


async def read(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that reads, in a reader's thread."""
    threads = runtime.current().open_threads()
    return await threads.run(threads.readers, lambda: work(*args, **kwargs))


async def read_aside(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that reads what no user waits for, in a thread of its own, so that joins do not wait for it."""
    threads = runtime.current().open_threads()
    return await threads.run(threads.aside, lambda: work(*args, **kwargs))


async def poll(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run the sweep's query or a check of rights, in a thread that no other work can block."""
    threads = runtime.current().open_threads()
    return await threads.run(threads.poller, lambda: work(*args, **kwargs))


async def write(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes messages, in the writer's thread, which waits only briefly for locked rows."""
    threads = runtime.current().open_threads()
    threads.writes += 1
    try:
        return await threads.run(
            threads.writer, lambda: _write_messages(threads.turn, work, *args, **kwargs), is_write=True
        )
    finally:
        threads.writes -= 1


def is_writing() -> bool:
    """Tell whether messages are being written, or wait for it."""
    threads = runtime.current().threads
    return threads is not None and threads.writes > 0


async def write_behind(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that writes anything but messages, behind them and in another thread.

    Its transaction has to be short (at most some hundred rows), because on SQLite messages wait for it.
    """
    threads = runtime.current().open_threads()
    return await threads.run(
        threads.behind, lambda: _in_turn(threads.turn, False, work, *args, **kwargs), is_write=True
    )


def _write_messages(turn: WriteTurn, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with lock_waits.brief():
        return _in_turn(turn, True, work, *args, **kwargs)


def _in_turn(turn: WriteTurn, is_message: bool, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    with turn.hold(is_message=is_message) if connection.vendor == "sqlite" else nullcontext():
        return work(*args, **kwargs)


def state() -> str | None:
    """Return what is wrong with the database, by this loop's last writes (faults.state), or None."""
    threads = runtime.current().threads
    if threads is None or threads.fault is None:
        return None
    name, at = threads.fault
    return name if time.monotonic() - at < STATE_SECONDS else None


@asynccontextmanager
async def only_one(key: Hashable) -> AsyncIterator[None]:
    """Let one block of each key run at a time. Raises TimeoutError when it waits longer than DATABASE_SECONDS."""
    lock = runtime.current().locks.setdefault(key, asyncio.Lock())
    async with asyncio.timeout(conf.DATABASE_SECONDS):
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()


def warn(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log that something was not done and why; with the place in our code if the fault is there."""
    is_ours = faults.blame(error) is Blame.PROGRAM
    if is_ours and not isinstance(error, DatabaseError):
        logger.warning("%s: %s", sentence, reason(error), exc_info=error)
    else:
        logger.warning("%s: %s%s", sentence, reason(error), faults.trace(error) if is_ours else "")


def warn_sparingly(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log like `warn`, but each sentence at most once in WARN_SECONDS; the next line says how many were left out."""
    counts = runtime.current().warned
    at, left_out = counts.get(sentence, (float("-inf"), 0))
    now = time.monotonic()
    if now - at < WARN_SECONDS:
        counts[sentence] = (at, left_out + 1)
        return
    counts[sentence] = (now, 0)
    warn(logger, f"{sentence} ({left_out} more not logged)" if left_out else sentence, error)


async def close() -> None:
    """Close the running loop's threads and their connections; the next use starts new ones."""
    current = runtime.current()
    if current.threads is not None:
        closed = current.threads.close()
        current.threads = None
        current.closing.add(closed)
        closed.add_done_callback(current.closing.discard)
    # A second caller waits for the first one's threads too, and a caller that is cancelled does not stop the closing.
    # So no connection is open when this returns.
    await asyncio.shield(asyncio.gather(*current.closing))


class Gathering(Generic[K, V]):
    """Answers many questions with one query: those that are asked while a query runs go into the next one."""

    def __init__(self, load: Callable[[set[K]], dict[K, V]]) -> None:
        self._load = load
        self._asked: dict[K, asyncio.Future[V | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._read_at = float("-inf")

    async def get(self, key: K) -> V | None:
        """Return what the database has for this key now, or None. Raises what the query raised."""
        return await asyncio.shield(self._ask(key))

    async def get_all(self, keys: Iterable[K]) -> dict[K, V | Exception | None]:
        """Return what the database has for these keys, or why the question for a key failed."""
        futures = {key: self._ask(key) for key in keys}
        if futures:
            await asyncio.wait(futures.values())
        answers: dict[K, V | Exception | None] = {}
        for key, future in futures.items():
            error = future.exception()
            # What the query raised is an Exception: anything else ends the task that asked.
            answers[key] = future.result() if error is None else cast("Exception", error)
        return answers

    def _ask(self, key: K) -> asyncio.Future[V | None]:
        loop = asyncio.get_running_loop()
        if key not in self._asked:
            self._asked[key] = loop.create_future()
        if self._task is None:
            self._task = loop.create_task(self._load_all())
        return self._asked[key]

    async def _load_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._asked:
            if loop.time() - self._read_at < BUSY_SECONDS:
                # Many questions come one after the other, as after a cut. Waiting a moment saves many queries.
                await asyncio.sleep(GATHER_SECONDS)
            # Later questions go into the next query, because an answer must not be older than its question.
            asked, self._asked = self._asked, {}
            await self._answer(asked)
            self._read_at = loop.time()
        self._task = None

    async def _answer(self, asked: dict[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await read(self._load, set(asked))
        except Exception as error:
            if len(asked) > 1 and faults.blame(error) is not Blame.DATABASE:
                # One of the questions causes the error. Halve them: a few bad ones among many then cost few queries.
                questions = list(asked.items())
                middle = len(questions) // 2
                await self._answer(dict(questions[:middle]))
                await self._answer(dict(questions[middle:]))
                return
            for future in asked.values():
                future.set_exception(error)
                # Mark it as retrieved, because the caller may be gone.
                future.exception()
        else:
            for key, future in asked.items():
                future.set_result(found.get(key))
