"""One socket's place in each room it has joined, and the one rule by which it takes frames (Session).

One rule stands for backlog, resume, gap healing and slow readers: a session takes event n of a room
only if n is its cursor + 1. If n is lower it already has it. If n is higher, or its socket is not
taking bytes, the session is behind: one task reads from the feed's ring, else from the log, from its
cursor, until it has caught up. No event is queued per socket.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Protocol

from chat import conf, protocol
from chat.exceptions import ErrorCode
from chat.live import database
from chat.protocol import Frame, Refused
from chat.store import log
from chat.store.events import LoggedEvent
from chat.store.policies import Login, Standing

if TYPE_CHECKING:
    from chat.live.feed import Feed
    from chat.live.hub import Hub

logger = logging.getLogger(__name__)

# What one write hands to a socket at most, so that a full socket holds little more than its own buffer.
WRITE_BYTES = 64 * 1024
# The first page of the log is small: one who leaves at once has cost little.
FIRST_PAGE = 16
CLOSE_RESTARTING = 1012
CLOSE_SIGN_IN = 4401


class Run:
    """Frames that go out together; of events, without holes. Joined once for all sockets."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames

    @cached_property
    def wire(self) -> bytes:
        return b"".join(frame.wire for frame in self.frames)


class Socket(Protocol):
    """What a session writes to. server.py has the one of uvicorn, consumers.py the one of any ASGI server."""

    def write(self, run: Run) -> int:
        """Write frames from the first on and return how many were taken; the rest was not begun."""

    async def drained(self) -> bool:
        """Wait until the socket takes bytes again; False when it is gone."""

    async def close(self, code: int) -> None:
        """Close, with a WebSocket close code."""


class Place:
    """Where a session stands in a room."""

    __slots__ = ("cursor", "feed", "is_behind", "order")

    _orders = count(1)

    def __init__(self, feed: "Feed", cursor: int) -> None:
        # A place taken later has a higher one.
        self.order = next(self._orders)
        self.feed = feed
        self.cursor = cursor
        self.is_behind = False


class Session:
    """Our state for one socket: who it is, and its place in each room it has joined."""

    def __init__(self, socket: Socket, *, hub: "Hub") -> None:
        # Registered before its login is checked: so a change of rights in between is not missed.
        self.standing: Standing | None = None
        self.places: dict[int, Place] = {}
        self.hub = hub
        self.is_gone = False
        self.unacknowledged = 0
        # What its commands tell of the client. The original one joins (None: has not joined yet), and never sends
        # a cursor, `watch`, `history` or a client_id.
        self.is_original: bool | None = None
        self.gives_client_ids = False
        self._socket = socket
        # Replies that found the socket full. Bounded: no command is read while they are many or large.
        self._replies: deque[Frame] = deque()
        self._reply_bytes = 0
        self._has_missed_signals = False
        # How many events the next page of the log may hold.
        self._page_events = FIRST_PAGE
        self._task: asyncio.Task[None] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

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
    def has_replies(self) -> bool:
        """Tell whether answers wait for the socket."""
        return bool(self._replies)

    def reply(self, frame: Frame) -> None:
        """Send a frame that is no event: in order, and never dropped. All frames of a socket pass this writer."""
        if self.is_gone:
            return
        if self._replies or not self._write([frame]):
            self._replies.append(frame)
            self._reply_bytes += len(frame.payload)
            self._make_room()
            self._work()

    def signal(self, frame: Frame) -> None:
        """Send a frame that may be lost: dropped while the session is behind."""
        is_live = not self._replies and not any(place.is_behind for place in self.places.values())
        if not (is_live and self._write([frame])):
            self._has_missed_signals = True
            self._work()

    def offer(self, place: Place, first: int, run: Run) -> None:
        """Take events from seq `first` on if the first is the next one; otherwise fall behind."""
        if place.is_behind or place.cursor >= first + len(run.frames) - 1:
            return
        if place.cursor == first - 1 and not self._replies:
            place.cursor += self._taken(run)
        if place.cursor < first + len(run.frames) - 1:
            self.fall_behind(place)

    def fall_behind(self, place: Place) -> None:
        """Let the catching-up task bring this place to its room's head."""
        place.is_behind = True
        self._work()

    async def until_room(self) -> None:
        """Wait while too many replies wait for the socket or too many drafts for the database."""
        await self._has_room.wait()

    def hold(self) -> None:
        """Count a draft that is on its way to the log."""
        self.unacknowledged += 1
        self._make_room()

    def answered(self, frame: Frame | None) -> None:
        """Answer a draft that was on its way."""
        self.unacknowledged -= 1
        self._make_room()
        if frame is not None:
            self.reply(frame)

    async def refuse(self, reason: ErrorCode, code: int) -> None:
        """Tell why, and close the socket."""
        self.reply(protocol.encode(Refused(error=reason.value)))
        await self.close(code)

    async def close(self, code: int) -> None:
        """Close the socket: nothing more is written to it."""
        if not self.is_gone:
            self._let_go()
            await self._socket.close(code)

    async def turn_away(self) -> None:
        """Close without a word: this server is ending, and its neighbour or successor takes over."""
        await self.close(CLOSE_RESTARTING)

    def end(self) -> None:
        """Forget the socket: it is gone, however it went."""
        self._let_go()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _let_go(self) -> None:
        self.is_gone = True
        self._replies.clear()
        self._reply_bytes = 0
        # The consumer may wait for room; it has to go on, to hear that the socket is gone.
        self._has_room.set()

    def _make_room(self) -> None:
        if self.is_gone:
            return
        many = conf.SOCKET_UNACKNOWLEDGED
        if max(len(self._replies), self.unacknowledged) >= many or self._reply_bytes > WRITE_BYTES:
            self._has_room.clear()
        else:
            self._has_room.set()

    def _write(self, frames: Sequence[Frame]) -> int:
        return self._taken(Run(frames))

    def _taken(self, run: Run) -> int:
        # A process that was frozen may hold an old tail and old rights: it looks before it writes.
        if self.is_gone or self.hub.is_stale():
            return 0
        return self._socket.write(run)

    def _work(self) -> None:
        if self._task is None and not self.is_gone:
            self._task = asyncio.get_running_loop().create_task(self._catch_up())

    async def _catch_up(self) -> None:
        """Write what waits: replies first, then each room from its cursor, while the socket takes it."""
        try:
            while True:
                await self.hub.until_fresh()
                if not await self._socket.drained():
                    self._let_go()
                    return
                # After every wait: joined and cursor are asked again, then frames are written.
                if self._replies:
                    self._write_replies()
                elif place := next((place for place in self.places.values() if place.is_behind), None):
                    await self._catch_up_in(place)
                elif self._has_missed_signals:
                    self._has_missed_signals = False
                    self.hub.recap(self)
                else:
                    return
                await asyncio.sleep(0)
        except database.AWAY:
            # The log is away: the sweep says so, once for all. This session tries again, and hurts no other.
            await asyncio.sleep(conf.SWEEP_SECONDS)
        except Exception:
            logger.exception("catching up failed: user=%s", self.user_id)
            await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None
            if not self.is_gone and self._has_work():
                self._work()

    def _has_work(self) -> bool:
        return bool(self._replies) or self._has_missed_signals or any(place.is_behind for place in self.places.values())

    def _write_replies(self) -> None:
        for _ in range(self._write(chunk(self._replies))):
            self._reply_bytes -= len(self._replies.popleft().payload)
        self._make_room()

    async def _catch_up_in(self, place: Place) -> None:
        feed = place.feed
        if place.cursor >= feed.head:
            place.is_behind = False
            return
        # Where the log was when the events were taken: what happens to them from here on is in the ring.
        head, cursor = feed.head, place.cursor
        events = feed.ring_after(cursor)
        if events is None:
            await feed.reach_back(cursor)
            if not self._is_at(place, cursor):
                return  # Left, or joined from elsewhere, while the log was read.
            head, events = feed.head, feed.ring_after(cursor)
        if events is None:
            limit = min(self._page_events, conf.CATCH_UP_PAGE)
            self._page_events = 2 * limit
            events = await database.read(log.read, feed.room, after=cursor, limit=limit)
            if not self._is_at(place, cursor):
                return
            if not events or events[0].seq != cursor + 1:
                feed.start_over([self])
                return
        await self._write_events(place, events, head)

    def _is_at(self, place: Place, cursor: int) -> bool:
        return self.places.get(place.feed.room) is place and place.cursor == cursor

    async def _write_events(self, place: Place, events: Sequence[LoggedEvent], head: int) -> None:
        """Write events from the place's cursor on, a bounded write a turn, until something comes between.

        They were taken when the log was at `head`. Texts that were deleted or edited away since are not written.
        """
        feed, epoch = place.feed, place.feed.epoch
        while self.places.get(feed.room) is place and feed.epoch == epoch:
            now = feed.as_now(events, head)
            if not now or now[0].seq != place.cursor + 1:
                return
            frames = chunk(event.frame for event in now)
            taken = self._write(frames)
            place.cursor += taken
            events, head = now[taken:], feed.head
            # The socket's buffer tells only in the next turn of the loop whether it is full.
            await asyncio.sleep(0)
            if taken < len(frames) or self._replies or not await self._socket.drained():
                return


def chunk(frames: Iterable[Frame]) -> list[Frame]:
    """Return the first frames, as many as one write may hold, and one at least."""
    first: list[Frame] = []
    size = 0
    for frame in frames:
        size += len(frame.payload)
        if first and size > WRITE_BYTES:
            break
        first.append(frame)
    return first
