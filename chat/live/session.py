"""One socket's subscription to each room it has joined, and the one rule by which it takes frames (Session).

The rule replaces backlog, resume, gap healing and queues for slow readers: a session takes event n of a room only if
n is its cursor + 1. If n is lower, it already has it. If n is higher, or its socket is not taking bytes, the session
is behind: one task reads from the feed's ring, or else from the log, from its cursor on, until it has caught up. No
event is queued per socket.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import translation

from chat import protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.live.sockets import WRITE_BYTES, Run, Socket, chunk
from chat.protocol import CloseCode, Frame, Refused
from chat.store import log
from chat.store.events import LoggedEvent
from chat.store.policies import Login, Standing

if TYPE_CHECKING:
    from chat.live.feed import Feed
    from chat.live.hub import Hub

logger = logging.getLogger(__name__)

# The first page of the log is small, so that a client that leaves at once has cost little.
FIRST_PAGE = 16
# The most writes of one session in a turn of the event loop while it catches up.
WRITES_PER_TURN = 8


class Subscription:
    """Where a session stands in a room."""

    __slots__ = ("cursor", "feed", "is_behind", "order", "typed_at")

    _orders = count(1)

    def __init__(self, feed: "Feed", cursor: int) -> None:
        # A subscription that is taken later has a higher order.
        self.order = next(self._orders)
        self.feed = feed
        self.cursor = cursor
        self.is_behind = False
        # When the session last said that its user is writing here.
        self.typed_at = float("-inf")


class Session:
    """Our state for one socket: its user, and its subscription to each room it has joined."""

    def __init__(self, socket: Socket, *, hub: "Hub", language: str = settings.LANGUAGE_CODE) -> None:
        # None at first: a session is registered before its login is checked, so that a change of rights in between
        # is not missed.
        self.standing: Standing | None = None
        self.subscriptions: dict[int, Subscription] = {}
        self.hub = hub
        self.language = language
        self.is_gone = False
        # Drafts that are on their way to the log.
        self.unacknowledged = 0
        # What the commands show about the client. The original one joins (None: has not joined yet), and never sends
        # a cursor, `watch`, `history` or a client_id.
        self.is_original: bool | None = None
        self.gives_client_ids = False
        self._socket = socket
        # Replies that could not be written because the socket was full. Bounded: the consumer stops reading commands
        # while the queue is long or large.
        self._replies: deque[Frame] = deque()
        self._reply_bytes = 0
        self._has_missed_signals = False
        # How many events the next page of the log may hold.
        self._page_events = FIRST_PAGE
        self._task: asyncio.Task[None] | None = None
        # Whether another command may be read.
        self._is_ready = asyncio.Event()
        self._is_ready.set()

    @property
    def login(self) -> Login:
        assert self.standing is not None, "commands are read after the login was checked"
        return self.standing.login

    @property
    def user_id(self) -> int:
        return self.login.user_id

    @property
    def username(self) -> str:
        assert self.standing is not None, "commands are read after the login was checked"
        return str(self.standing.user.get_username())

    @property
    def is_closed(self) -> bool:
        """Tell whether nothing can be written to the socket any more, perhaps before its consumer has noticed."""
        return self.is_gone or self._socket.is_closed

    @property
    def has_replies(self) -> bool:
        """Tell whether replies wait for the socket."""
        return bool(self._replies)

    def reply(self, frame: Frame) -> None:
        """Send a frame that is not an event: in order, and never dropped. All frames of a socket pass this writer."""
        if self.is_gone:
            return
        if self._replies or not self._write([frame]):
            self._replies.append(frame)
            self._reply_bytes += len(frame.payload)
            self._update_ready()
            self._work()

    def signal(self, frame: Frame) -> bool:
        """Send a frame that may be lost, and return whether it was sent: it is dropped while the session is behind."""
        return self.signal_all(Run([frame]))

    def signal_all(self, run: Run) -> bool:
        """Send frames that may be lost in one write, and return whether all were sent."""
        is_live = not self._replies and not any(subscription.is_behind for subscription in self.subscriptions.values())
        if is_live and self._write_run(run) == run.count:
            return True
        self._has_missed_signals = True
        self._work()
        return False

    def hint(self, frame: Frame) -> None:
        """Send a frame that is soon out of date: it is dropped while the session is behind, and never sent again."""
        if not self._replies and not any(subscription.is_behind for subscription in self.subscriptions.values()):
            self._write([frame])

    def offer(self, subscription: Subscription, first: int, run: Run) -> None:
        """Take events from seq `first` on if the first is the next one; otherwise fall behind."""
        cursor, last = subscription.cursor, first + run.count - 1
        if subscription.is_behind or cursor >= last:
            return
        if cursor == first - 1 and not self._replies:
            subscription.cursor = cursor = cursor + self._write_run(run)
        if cursor < last:
            self.fall_behind(subscription)

    def fall_behind(self, subscription: Subscription) -> None:
        """Let the catching-up task bring this subscription to its room's head."""
        subscription.is_behind = True
        self._work()

    async def until_ready(self) -> None:
        """Wait while too many replies wait for the socket, or too many drafts for the database."""
        await self._is_ready.wait()

    def add_draft(self) -> None:
        """Count a draft that is on its way to the log."""
        self.unacknowledged += 1
        self._update_ready()

    def answer_draft(self, frame: Frame | None) -> None:
        """Send the answer to a draft that was on its way, if it has one."""
        self.unacknowledged -= 1
        self._update_ready()
        if frame is not None:
            self.reply(frame)

    def refusal(self, error: ClientError, **context: Any) -> Frame:
        """Return the error frame for a refusal, in the language of the page.

        Not in that of the current task, because the writer's task answers the drafts of all sockets.
        """
        with translation.override(self.language):
            return protocol.refusal(error, **context)

    async def refuse(self, reason: ErrorCode, code: CloseCode) -> None:
        """Send the reason, and close the socket."""
        self.reply(protocol.encode(Refused(error=reason.value)))
        await self.close(code)

    async def close(self, code: CloseCode) -> None:
        """Close the socket: nothing more is written to it."""
        if not self.is_gone:
            self._set_gone()
            await self._socket.close(code)

    async def turn_away(self) -> None:
        """Close without a reply, because this server is shutting down: another process takes over."""
        await self.close(CloseCode.RESTARTING)

    def end(self) -> None:
        """Forget the socket, because it is gone for whatever reason."""
        self._set_gone()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _set_gone(self) -> None:
        self.is_gone = True
        self._replies.clear()
        self._reply_bytes = 0
        # The consumer may be waiting. It has to go on to be notified that the socket is gone.
        self._is_ready.set()

    def _update_ready(self) -> None:
        if self.is_gone:
            return
        most = conf.SOCKET_UNACKNOWLEDGED
        if max(len(self._replies), self.unacknowledged) >= most or self._reply_bytes > WRITE_BYTES:
            self._is_ready.clear()
        else:
            self._is_ready.set()

    def _write(self, frames: Sequence[Frame]) -> int:
        return self._write_run(Run(frames))

    def _write_run(self, run: Run) -> int:
        """Write to the socket, and return how many frames it took."""
        # After a standstill the tail and the rights may be old, so nothing is written until a sweep has read them.
        if self.is_gone or self.hub.pulse.is_stale():
            return 0
        return self._socket.write(run)

    def _work(self) -> None:
        if self._task is None and not self.is_gone:
            self._task = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Write what waits, while the socket takes it: replies first, then each room from its cursor."""
        try:
            while True:
                await self.hub.pulse.until_fresh()
                if not await self._socket.drained():
                    self._set_gone()
                    return
                # After every await, check again that the room is still joined and where its cursor is.
                if self._replies:
                    self._write_replies()
                elif self._catch_up_from_rings():
                    pass
                elif subscription := self._next_behind():
                    await self._catch_up_in(subscription)
                elif self._has_missed_signals:
                    self._has_missed_signals = False
                    self.hub.resend_signals(self)
                else:
                    return
                await asyncio.sleep(0)
        except database.AWAY:
            # Not logged here, because the sweep logs it once for all. This session tries again; others go on.
            await asyncio.sleep(conf.SWEEP_SECONDS)
        except Exception:
            logger.exception("catching up failed: user=%s", self.user_id)
            await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None
            if not self.is_gone and self._has_work():
                self._work()

    def _has_work(self) -> bool:
        return (
            bool(self._replies)
            or self._has_missed_signals
            or any(subscription.is_behind for subscription in self.subscriptions.values())
        )

    def _write_replies(self) -> None:
        for _ in range(self._write(chunk(self._replies))):
            self._reply_bytes -= len(self._replies.popleft().payload)
        self._update_ready()

    def _next_behind(self) -> Subscription | None:
        return next((subscription for subscription in self.subscriptions.values() if subscription.is_behind), None)

    def _catch_up_from_rings(self) -> bool:
        """Write what the rings have of the rooms that are behind, a few runs at most. Return whether there was any.

        Nothing is awaited, so what is written is what the rings have now.
        """
        size = writes = 0
        for subscription in self.subscriptions.values():
            ring = subscription.feed.ring
            while subscription.is_behind and subscription.cursor < ring.head:
                run = subscription.feed.run_after(subscription.cursor)
                if run is None:
                    break  # The log has to be read for this room. Others may go on.
                written = self._write_run(run)
                subscription.cursor += written
                size += len(run.wire)
                writes += 1
                # The socket's buffer shows only in the next turn of the loop whether it is full. And thousands of
                # sessions may be behind at the same time.
                if written < run.count or size >= WRITE_BYTES or writes >= WRITES_PER_TURN:
                    return True
            if subscription.cursor >= ring.head:
                subscription.is_behind = False
        return writes > 0

    async def _catch_up_in(self, subscription: Subscription) -> None:
        """Read the log for a room of which the ring has not enough."""
        feed, cursor = subscription.feed, subscription.cursor
        await feed.reach_back(cursor)
        # The room may have been left, or joined from another cursor, while the log was read.
        if not self._is_at(subscription, cursor) or cursor >= feed.head or feed.run_after(cursor) is not None:
            return
        # Where the log was when the events were read. What changes them from here on is in the ring.
        head = feed.head
        limit = min(self._page_events, conf.CATCH_UP_PAGE)
        self._page_events = 2 * limit
        events = await database.read(log.read, feed.room, after=cursor, limit=limit)
        if not self._is_at(subscription, cursor):
            return
        if not events or events[0].seq != cursor + 1:
            feed.start_over([self])
            return
        await self._write_events(subscription, events, head)

    def _is_at(self, subscription: Subscription, cursor: int) -> bool:
        return self.subscriptions.get(subscription.feed.room) is subscription and subscription.cursor == cursor

    async def _write_events(self, subscription: Subscription, events: Sequence[LoggedEvent], head: int) -> None:
        """Write events from the cursor on, in writes of bounded size, until something else has to be done.

        They were read when the log was at `head`. Texts that were deleted or edited away since are not written.
        """
        feed, epoch = subscription.feed, subscription.feed.epoch
        while self.subscriptions.get(feed.room) is subscription and feed.epoch == epoch:
            now = feed.ring.as_now(events, head)
            if not now or now[0].seq != subscription.cursor + 1:
                return
            frames = chunk(event.frame for event in now)
            written = self._write(frames)
            subscription.cursor += written
            events, head = now[written:], feed.head
            # The socket's buffer shows only in the next turn of the loop whether it is full.
            await asyncio.sleep(0)
            if written < len(frames) or self._replies or not await self._socket.drained():
                return
