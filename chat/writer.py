"""Collects drafts; one transaction per batch; a result for each."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from django.db import DatabaseError, InterfaceError

from chat import actions, conf, database
from chat.actions import Draft, Outcome
from chat.exceptions import ClientError, ErrorCode
from chat.log import Committed, LoggedEvent

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.2

# A room, the epoch of its log, and what was added to it.
Publish = Callable[[int, str, list[LoggedEvent]], None]


@dataclass(slots=True)
class _Waiting:
    draft: Draft
    until: float
    answer: Callable[[Outcome], None]
    is_answered: bool = False


class Writer:
    """The one who writes for the sockets of this event loop.

    What comes in while a transaction is being written goes into the next one: under load one thread
    hop and one commit serve many. First in, first out, also after a failed batch: the order in which
    a socket sent is the order in the log.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        # Since when the database takes nothing; None while it does.
        self._away_since: float | None = None

    def submit(self, draft: Draft, answer: Callable[[Outcome], None]) -> None:
        """Take a draft; `answer` gets its outcome after the commit, never before.

        Raises ClientError: SERVER_UNAVAILABLE when too many wait already.
        """
        if len(self._queue) >= conf.DRAFT_QUEUE:
            raise _unavailable("Too many messages wait to be saved.")
        loop = asyncio.get_running_loop()
        self._queue.append(_Waiting(draft, loop.time() + conf.DRAFT_HOLD_SECONDS, answer))
        if self._task is None:
            self._task = loop.create_task(self._write_all())

    async def flush(self) -> None:
        """Wait until all that was taken is answered."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _write_all(self) -> None:
        try:
            while self._queue:
                batch = self._next_batch()
                if batch and await self._write(batch):
                    for _ in batch:
                        self._queue.popleft()
        finally:
            self._task = None

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and self._queue[0].is_answered:
            self._queue.popleft()
        for waiting in self._queue:
            size += len(waiting.draft.body.encode())
            if batch and (len(batch) >= conf.BATCH_DRAFTS or size > conf.BATCH_BYTES):
                break
            batch.append(waiting)
        return batch

    async def _write(self, batch: list[_Waiting]) -> bool:
        """Write a batch and answer it; False when it is to be tried again as it is."""
        drafts = [waiting.draft for waiting in batch]
        commit = asyncio.ensure_future(database.write(actions.commit, drafts))
        try:
            while not commit.done():
                # A database that hangs says nothing: its drafts are answered in time, and what became of them
                # is told to whoever sends them again.
                await asyncio.wait([commit], timeout=self._until_overdue())
                if self._refuse_overdue():
                    self._set_away("no answer")
            outcomes = commit.result()
            self._set_back()
        except (DatabaseError, InterfaceError) as error:
            # Whether it was committed is unknown. The same drafts again: their keys keep them from doubling.
            self._set_away(database.reason(error))
            await asyncio.sleep(RETRY_SECONDS)
            self._refuse_overdue()
            return False
        except Exception:
            logger.exception("batch of %d failed", len(batch))
            outcomes = [_unavailable("The message could not be saved.") for _ in batch]
        committed: dict[tuple[int, str], list[LoggedEvent]] = {}
        for waiting, outcome in zip(batch, outcomes, strict=True):
            _answer(waiting, outcome)
            if isinstance(outcome, Committed) and outcome.logged is not None:
                committed.setdefault((outcome.room, outcome.epoch), []).append(outcome.logged)
        for (room, epoch), events in committed.items():
            try:
                self._publish(room, epoch, events)
            except Exception:
                # It is in the log: the bell or the sweep brings it.
                logger.exception("room=%s: handing over failed", room)
        return True

    def _until_overdue(self) -> float:
        now = asyncio.get_running_loop().time()
        return max(0.0, min((one.until for one in self._queue if not one.is_answered), default=now + 1) - now) + 0.01

    def _refuse_overdue(self) -> bool:
        """Answer what was held for too long; tell whether there was any."""
        # Held for longer, the socket's server would stop reading, miss a pong and close it.
        now = asyncio.get_running_loop().time()
        overdue = [waiting for waiting in self._queue if waiting.until <= now and not waiting.is_answered]
        for waiting in overdue:
            _answer(waiting, _unavailable("The database is away. Nothing is lost: try again."))
        return bool(overdue)

    def _set_away(self, why: str) -> None:
        # Once, however often it is tried.
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()
            logger.warning("the database takes no messages (%s): they are held", why)

    def _set_back(self) -> None:
        if self._away_since is not None:
            logger.info(
                "the database takes messages again after %.1f s", asyncio.get_running_loop().time() - self._away_since
            )
            self._away_since = None


def _answer(waiting: _Waiting, outcome: Outcome) -> None:
    if waiting.is_answered:
        return
    waiting.is_answered = True
    try:
        waiting.answer(outcome)
    except Exception:
        logger.exception("answering failed: room=%s", waiting.draft.room)


def _unavailable(detail: str) -> ClientError:
    return ClientError(ErrorCode.SERVER_UNAVAILABLE, detail=detail, retry_after=1)


_writers: WeakKeyDictionary[asyncio.AbstractEventLoop, Writer] = WeakKeyDictionary()


def running(publish: Publish) -> Writer:
    """Return the running loop's writer; a new one hands what it commits to `publish`, a room's events at once."""
    loop = asyncio.get_running_loop()
    if loop not in _writers:
        _writers[loop] = Writer(publish)
    return _writers[loop]


async def flush() -> None:
    """Wait until all drafts of the running loop are answered."""
    if writer := _writers.get(asyncio.get_running_loop()):
        await writer.flush()
