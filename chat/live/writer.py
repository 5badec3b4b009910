"""Collects drafts and commits them in batches, one transaction each; every draft gets its own outcome (Writer)."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from django.utils.translation import gettext_lazy

from chat.conf import conf
from chat.exceptions import unavailable
from chat.live import database, runtime
from chat.live.held import Held, Key, Waiting
from chat.store import actions
from chat.store.actions import Draft, NotSaved, Outcome
from chat.store.log import Committed, LoggedEvent

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.2
# A room that is locked for longer than this is logged.
REPORT_SECONDS = 1.0

# Gets a room, the epoch of its log, and the events that were added to it.
Publish = Callable[[int, str, list[LoggedEvent]], None]


class Writer:
    """Writes for the sockets of this event loop.

    Drafts that come in while a transaction is being written go into the next one, so under load one thread hop and one
    commit serve many. First in, first out, also after a failed batch: a room's log has the messages of a socket in the
    order in which it sent them. The drafts of a room that another transaction has locked wait apart (chat.live.held),
    and those of other rooms go on.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._queue: deque[Waiting] = deque()
        self._held = Held()
        self._task: asyncio.Task[None] | None = None
        self._has_news = asyncio.Event()
        # Since when the database has been away; None while it is not.
        self._away_since: float | None = None

    def submit(self, draft: Draft, answer: Callable[[Outcome], None]) -> None:
        """Take a draft. `answer` gets its outcome after the commit, never before.

        Raises ClientError: SERVER_UNAVAILABLE when too many drafts wait already.
        """
        key = self._held.find(draft)
        # Held drafts are counted apart, so that one locked room does not fill the queue of all rooms.
        if len(self._queue if key is None else self._held) >= conf.DRAFT_QUEUE:
            raise unavailable(gettext_lazy("Too many messages are waiting to be saved. Try again in a moment."))
        loop = asyncio.get_running_loop()
        waiting = Waiting(draft, loop.time() + conf.DRAFT_HOLD_SECONDS, answer)
        if key is None:
            self._queue.append(waiting)
        else:
            self._held.add(key, waiting)
        self._has_news.set()
        if self._task is None:
            self._task = loop.create_task(self._write_all())

    async def flush(self) -> None:
        """Wait until all drafts are answered."""
        while self._task is not None:
            await asyncio.wait([self._task])

    @property
    def is_holding(self) -> bool:
        """Tell whether a room has been locked for longer than REPORT_SECONDS."""
        self._held.drop_answered()
        return bool(self._held.reported())

    async def _write_all(self) -> None:
        try:
            while self._queue or self._held:
                if heads := self._held.due(conf.BATCH_DRAFTS):
                    await self._probe(heads)
                elif batch := self._next_batch():
                    await self._write(batch)
                elif self._held:
                    await self._until_probe()
        finally:
            self._task = None

    def _next_batch(self) -> list[Waiting]:
        if any(waiting.is_answered for waiting in self._queue):
            self._queue = deque(waiting for waiting in self._queue if not waiting.is_answered)
        batch: list[Waiting] = []
        size = 0
        for waiting in self._queue:
            size += len(waiting.draft.body.encode())
            if batch and (len(batch) >= conf.BATCH_DRAFTS or size > conf.BATCH_BYTES):
                break
            batch.append(waiting)
        return batch

    async def _write(self, batch: list[Waiting]) -> None:
        """Write the first drafts of the queue and answer them. If the database is away, they stay in the queue."""
        outcomes = await self._commit(actions.commit, batch)
        if outcomes is None:
            return
        for _ in batch:
            self._queue.popleft()
        self._answer(batch, outcomes)
        later = [
            (waiting, outcome)
            for waiting, outcome in zip(batch, outcomes, strict=True)
            if isinstance(outcome, NotSaved) and not waiting.is_answered
        ]
        if later:
            # In their order, and before the drafts that came after them.
            self._queue.extendleft(waiting for waiting, _ in reversed(later))
            self._hold([(waiting.draft, outcome) for waiting, outcome in later])

    async def _probe(self, heads: list[tuple[Key, Waiting]]) -> None:
        """Try again the first draft of each locked room, or a draft that failed alone."""
        began = asyncio.get_running_loop().time()
        batch = [waiting for _, waiting in heads]
        outcomes = await self._commit(actions.commit_unlocked, batch)
        if outcomes is not None:
            self._answer(batch, outcomes)
        took = asyncio.get_running_loop().time() - began
        for (key, waiting), outcome in zip(heads, outcomes or [NotSaved() for _ in heads], strict=True):
            if not isinstance(outcome, NotSaved):
                self._release(key)
            elif key[1] is None and outcome.error is not None:
                # The room is free again, but this draft fails alone.
                self._release(key)
                self._hold([(waiting.draft, outcome)])
            else:
                self._held.postpone(key, took)
        self._held.drop_answered()
        for room in self._held.report(REPORT_SECONDS):
            logger.warning("room=%s is locked by another transaction: its messages are held", room)

    async def _until_probe(self) -> None:
        self._has_news.clear()
        now = asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(self._held.next_probe_at() - now, self._until_overdue()))):
                await self._has_news.wait()
        self._refuse_overdue()

    async def _commit(
        self, work: Callable[[Sequence[Draft]], list[Outcome]], batch: list[Waiting]
    ) -> list[Outcome] | None:
        """Return an outcome for each draft; None when the database is away and all have to be tried again."""
        commit = asyncio.ensure_future(database.write(work, [waiting.draft for waiting in batch]))
        try:
            while not commit.done():
                # A database may hang without an error. Its drafts are refused in time, and a client that sends one
                # again gets its outcome.
                await asyncio.wait([commit], timeout=self._until_overdue())
                if self._refuse_overdue():
                    self._set_away("no answer")
            outcomes = commit.result()
            self._set_back()
            return outcomes
        except database.AWAY as error:
            # It is unknown whether the batch was committed. Try the same drafts again: their keys keep them from being
            # appended twice.
            self._set_away(database.reason(error))
            await asyncio.sleep(RETRY_SECONDS)
            self._refuse_overdue()
            return None
        except Exception:
            logger.exception("batch of %d failed", len(batch))
            return [unavailable(actions.TRY_AGAIN) for _ in batch]

    def _answer(self, batch: list[Waiting], outcomes: list[Outcome]) -> None:
        committed: dict[tuple[int, str], list[LoggedEvent]] = {}
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if not isinstance(outcome, NotSaved):
                _answer(waiting, outcome)
            if isinstance(outcome, Committed) and outcome.logged is not None:
                committed.setdefault((outcome.room, outcome.epoch), []).append(outcome.logged)
        for (room, epoch), events in committed.items():
            try:
                self._publish(room, epoch, events)
            except Exception:
                # The events are in the log, so the bell or the sweep brings them.
                logger.exception("room=%s: publishing failed", room)

    def _hold(self, later: list[tuple[Draft, NotSaved]]) -> None:
        """Hold locked rooms, and the authors of drafts that failed alone, with all their drafts in the queue."""
        for draft, outcome in later:
            if self._held.find(draft) is None and (outcome.is_locked or outcome.error is not None):
                self._held.hold(draft, outcome)
                if outcome.error is not None:
                    reason = database.reason(outcome.error)
                    logger.warning("room=%s author=%s: a message is held: %s", draft.room, draft.author, reason)
        self._sort_queue()

    def _release(self, key: Key) -> None:
        if key in self._held.reported():
            logger.info("room=%s takes messages again", key[0])
        self._queue.extendleft(reversed([waiting for waiting in self._held.release(key) if not waiting.is_answered]))
        self._sort_queue()

    def _sort_queue(self) -> None:
        """Move drafts that have to wait apart from the queue to the held ones."""
        queue, self._queue = self._queue, deque()
        for waiting in queue:
            if (key := self._held.find(waiting.draft)) is None:
                self._queue.append(waiting)
            else:
                self._held.add(key, waiting)

    def _until_overdue(self) -> float:
        now = asyncio.get_running_loop().time()
        drafts = [*self._queue, *(waiting for _, waiting in self._held)]
        until = min((waiting.until for waiting in drafts if not waiting.is_answered), default=now + 1)
        return max(0.0, until - now) + 0.01

    def _refuse_overdue(self) -> bool:
        """Refuse drafts that have waited too long; return whether any of them waits for the database as a whole."""
        # If they waited longer, uvicorn would stop reading their socket, miss a pong and close it.
        now = asyncio.get_running_loop().time()
        for (_, author), waiting in self._held:
            if waiting.until <= now:
                _answer(waiting, NotSaved(is_locked=author is None))
        self._held.drop_answered()
        overdue = [waiting for waiting in self._queue if waiting.until <= now and not waiting.is_answered]
        for waiting in overdue:
            _answer(waiting, unavailable())
        return bool(overdue)

    def _set_away(self, why: str) -> None:
        # Logged once, however often it fails.
        if self._away_since is None:
            self._away_since = asyncio.get_running_loop().time()
            logger.warning("the database takes no messages (%s): they are held", why)

    def _set_back(self) -> None:
        if self._away_since is not None:
            logger.info(
                "the database takes messages again after %.1f s", asyncio.get_running_loop().time() - self._away_since
            )
            self._away_since = None


def _answer(waiting: Waiting, outcome: Outcome) -> None:
    if waiting.is_answered:
        return
    waiting.is_answered = True
    try:
        waiting.answer(outcome)
    except Exception:
        logger.exception("answering failed: room=%s", waiting.draft.room)


def running() -> Writer:
    """Return the running loop's writer, which publishes to the loop's hub."""
    loop = runtime.current()
    if loop.writer is None:
        loop.writer = Writer(loop.publish)
    return loop.writer


async def flush() -> None:
    """Wait until all drafts of the running loop are answered."""
    if writer := runtime.current().writer:
        await writer.flush()


def state() -> str | None:
    """Return what keeps messages from being saved on the running loop, or None.

    One of read_only, full, damaged, denied, schema, overloaded, slow, failing, away; or locked, when only some rooms
    are. For a health check, so it includes no addresses and nothing that the database said.
    """
    if wrong := database.state():
        return wrong
    writer = runtime.current().writer
    return "locked" if writer is not None and writer.is_holding else None
