"""Fan a room's log out to this process's sockets (Hub, Feed, Session).

One rule stands for backlog, resume, gap healing and slow readers: a session takes event n of a room
only if n is its cursor + 1. If n is lower it already has it. If n is higher, or its socket is not
taking bytes, the session is behind: one task reads from the feed's ring, else from the log, from its
cursor, until it has caught up. Nothing is queued per socket.
"""

import asyncio
import logging
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from itertools import islice
from typing import Protocol
from weakref import WeakKeyDictionary

from chat import conf, database, log, protocol
from chat.doorbell import Doorbell
from chat.exceptions import ClientError, ErrorCode
from chat.log import LoggedEvent
from chat.protocol import Bye, ByeTime, Came, Deleted, Frame, Joined, Left

logger = logging.getLogger(__name__)

# What one write hands to a socket at most, so that a full socket holds little more than its own buffer.
WRITE_BYTES = 64 * 1024
# Up to here the sweep asks for the rooms with listeners by name; above, one look at all is cheaper.
MANY_ROOMS = 500


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

    __slots__ = ("cursor", "feed", "is_behind")

    def __init__(self, feed: "Feed", cursor: int) -> None:
        self.feed = feed
        self.cursor = cursor
        self.is_behind = False


class Session:
    """Our state for one socket: who it is, and its place in each room it has joined."""

    def __init__(self, socket: Socket, *, user_id: int, username: str, hub: "Hub") -> None:
        self.user_id = user_id
        self.username = username
        self.places: dict[int, Place] = {}
        self.hub = hub
        self.is_gone = False
        self.unacknowledged = 0
        self._socket = socket
        # Replies that found the socket full. Bounded: the consumer reads no frame while there are many.
        self._replies: deque[Frame] = deque()
        self._task: asyncio.Task[None] | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    def reply(self, frame: Frame) -> None:
        """Send a frame that is no event: in order, and never dropped. All frames of a socket pass this writer."""
        if self.is_gone:
            return
        if self._replies or not self._write([frame]):
            self._replies.append(frame)
            if len(self._replies) >= conf.SOCKET_UNACKNOWLEDGED:
                self._has_room.clear()
            self._work()

    def signal(self, frame: Frame) -> None:
        """Send a frame that may be lost: dropped while the session is behind."""
        if not self._replies and not any(place.is_behind for place in self.places.values()):
            self._write([frame])

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
        if self.unacknowledged >= conf.SOCKET_UNACKNOWLEDGED:
            self._has_room.clear()

    def answered(self, frame: Frame | None) -> None:
        """Answer a draft that was on its way."""
        self.unacknowledged -= 1
        self._make_room()
        if frame is not None:
            self.reply(frame)

    async def close(self, code: int) -> None:
        """Close the socket."""
        self.is_gone = True
        await self._socket.close(code)

    def end(self) -> None:
        """Forget the socket: it is gone, however it went."""
        self.is_gone = True
        self._replies.clear()
        self._has_room.set()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _make_room(self) -> None:
        few = conf.SOCKET_UNACKNOWLEDGED
        if len(self._replies) < few and self.unacknowledged < few:
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
                    self.is_gone = True
                    return
                # After every wait: joined and cursor are asked again, then frames are written.
                if self._replies:
                    self._write_replies()
                elif place := next((place for place in self.places.values() if place.is_behind), None):
                    await self._catch_up_in(place)
                else:
                    return
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except Exception:
            # The log may be away. This session tries again, and hurts no other.
            logger.exception("catching up failed: user=%s", self.user_id)
            await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None
            if not self.is_gone and (self._replies or any(place.is_behind for place in self.places.values())):
                self._work()

    def _write_replies(self) -> None:
        for _ in range(self._write(list(self._replies))):
            self._replies.popleft()
        self._make_room()

    async def _catch_up_in(self, place: Place) -> None:
        feed = place.feed
        if place.cursor >= feed.head:
            place.is_behind = False
            return
        events = feed.ring_after(place.cursor)
        if events is None:
            cursor = place.cursor
            events = await database.read(log.read, feed.room, after=cursor, limit=conf.CATCH_UP_PAGE)
            if self.places.get(feed.room) is not place or place.cursor != cursor:
                return  # Left, or joined from elsewhere, while the log was read.
            if not events or events[0].seq != cursor + 1:
                feed.start_over([self])
                return
        await self._write_events(place, events)

    async def _write_events(self, place: Place, events: Sequence[LoggedEvent]) -> None:
        """Write events from the place's cursor on, a bounded write a turn, until something comes between."""
        while events and self.places.get(place.feed.room) is place and events[0].seq == place.cursor + 1:
            chunk = _chunk(events)
            taken = self._write(chunk)
            place.cursor += taken
            events = events[taken:]
            # The socket's buffer tells only in the next turn of the loop whether it is full.
            await asyncio.sleep(0)
            if taken < len(chunk) or self._replies or not await self._socket.drained():
                return


def _chunk(events: Iterable[LoggedEvent]) -> list[Frame]:
    """Return the frames of the first events, as many as one write may hold, and one at least."""
    frames: list[Frame] = []
    size = 0
    for event in events:
        size += len(event.frame.payload)
        if frames and size > WRITE_BYTES:
            break
        frames.append(event.frame)
    return frames


class Feed:
    """One room in this process: how far its log was read, its last events, and who listens."""

    def __init__(self, hub: "Hub", room: int) -> None:
        self.hub = hub
        self.room = room
        self.title = ""
        self.staff_only = False
        self.epoch = ""
        self.floor = 1
        self.head = 0
        self.sessions: dict[Session, Place] = {}
        self.users: Counter[int] = Counter()
        self.claims = 0
        self.opened: asyncio.Task[None] | None = None
        self._ring: deque[LoggedEvent] = deque()
        self._ring_bytes = 0
        # Events that came before their turn, by seq: another process's commit was faster.
        self._early: dict[int, LoggedEvent] = {}
        self._target = 0
        self._offered = 0
        self._reading: asyncio.Task[None] | None = None
        self._offering: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the tail is known, and the feed not forgotten."""
        return self.opened is not None and self.opened.done() and self.hub.feeds.get(self.room) is self

    async def open(self) -> None:
        """Read where the log stands. Raises ClientError: ROOM_INVALID when the room is gone."""
        tail = await database.read(log.tail, self.room, limit=conf.RING_EVENTS)
        if tail is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail="There is no such room.")
        self._start_at(tail)
        # What was rung while the log was read; once this task is done.
        asyncio.get_running_loop().call_soon(self.rung, 0)

    def _start_at(self, tail: log.Tail) -> None:
        self.epoch, self.floor, self.head = tail.epoch, tail.floor, tail.head
        self._offered = tail.head
        self._early.clear()
        self._ring.clear()
        self._ring_bytes = 0
        for event in tail.events:
            self._keep(event)

    def rung(self, head: int) -> None:
        """Hear that the room's head is at least `head`: read on if that is news."""
        self._target = max(self._target, head)
        if self._target > self.head and self._reading is None and self.is_open:
            self._reading = asyncio.get_running_loop().create_task(self._read_on())

    def advance(self, events: Iterable[LoggedEvent]) -> None:
        """Move the tail on: the one way it grows, by a commit here, a bell, the sweep or healing. Idempotent."""
        for event in events:
            if event.seq > self.head:
                self._early[event.seq] = event
        moved = False
        while (event := self._early.pop(self.head + 1, None)) is not None:  # type: ignore[assignment]
            self.head += 1
            self._keep(event)
            moved = True
        if moved:
            self._early = {seq: event for seq, event in self._early.items() if seq > self.head}
            self._offer_on()
        if self._early:
            # Another process's earlier commit is on its way; if not, the log has it.
            highest = max(self._early)
            asyncio.get_running_loop().call_later(conf.GAP_SECONDS, self.rung, highest)
            if len(self._early) > conf.RING_EVENTS:
                self._early.clear()

    async def reach(self, head: int) -> None:
        """Wait until the tail is at `head`, which the caller has read in the database."""
        while self.head < head:
            self.rung(head)
            if self._reading is None:
                return
            await asyncio.wait([self._reading])
            if self._reading is None and self.head < head:
                # The log could not be read on; the next sweep tries again.
                raise ClientError(ErrorCode.SERVER_UNAVAILABLE, retry_after=1)

    def ring_after(self, cursor: int) -> Sequence[LoggedEvent] | None:
        """Return the kept events after `cursor`, or None when the ring does not go back that far."""
        if not self._ring or self._ring[0].seq > cursor + 1:
            return None
        return list(self._ring_from(cursor + 1))

    def serves(self, since: int, epoch: str | None) -> bool:
        """Tell whether a client that has all up to `since` of this epoch can be given just the rest."""
        return (epoch is None or epoch == self.epoch) and self.floor - 1 <= since <= self.head

    def attach(self, session: Session, *, cursor: int, reply: Frame) -> None:
        """Let a session listen from `cursor` on. One step without a wait: no event precedes the reply."""
        session.reply(reply)
        place = session.places.get(self.room)
        if place is None:
            place = session.places[self.room] = self.sessions[session] = Place(self, cursor)
            self.users[session.user_id] += 1
        place.cursor = cursor
        if cursor < self.head:
            session.fall_behind(place)

    def detach(self, session: Session) -> None:
        """Let a session listen no more."""
        del session.places[self.room]
        del self.sessions[session]
        self.users[session.user_id] -= 1
        if not self.users[session.user_id]:
            del self.users[session.user_id]
        self.hub.drop_idle(self)

    def signal(self, frame: Frame, *, but: Session | None = None) -> None:
        """Send a frame that may be lost to all who listen."""
        for session in list(self.sessions):
            if session is not but:
                session.signal(frame)

    def joined(self, *, reset: bool = False) -> Frame:
        """Return the frame that tells where this room stands."""
        return protocol.encode(
            Joined(
                join=str(self.room),
                title=self.title,
                head=self.head,
                floor=self.floor,
                epoch=self.epoch,
                staff_only=self.staff_only,
                reset=reset,
            )
        )

    def start_over(self, sessions: Iterable[Session]) -> None:
        """Tell sessions that their cursor cannot be served: they begin anew at the head."""
        reply = self.joined(reset=True)
        for session in list(sessions):
            place = session.places[self.room]
            place.is_behind = False
            self.attach(session, cursor=self.head, reply=reply)

    def close(self, reason: ErrorCode) -> None:
        """Close the pane of everybody here."""
        frame = protocol.encode(Left(leave=str(self.room), reason=reason.value))
        for session in list(self.sessions):
            self.detach(session)
            session.reply(frame)

    def stop(self) -> None:
        """End this feed's tasks."""
        for task in (self._reading, self._offering, self.opened):
            if task is not None:
                task.cancel()

    async def reopen(self) -> None:
        """Start over from the log: it is another one now (a backup was restored, or it was reset)."""
        tail = await database.read(log.tail, self.room, limit=conf.RING_EVENTS)
        if tail is None:
            self.close(ErrorCode.ROOM_INVALID)
        elif tail.epoch != self.epoch or tail.head < self.head:
            logger.warning("room=%s has another log now: all start over", self.room)
            self._start_at(tail)
            self._target = tail.head
            self.start_over(self.sessions)

    async def _read_on(self) -> None:
        try:
            while self.head < self._target:
                before = self.head
                page = await database.read(log.read, self.room, after=before, limit=conf.CATCH_UP_PAGE)
                self.advance(page)
                if self.head == before:
                    # The bell was wrong, or the log has begun anew: the sweep will tell.
                    self._target = self.head
        except asyncio.CancelledError:
            raise
        except Exception:
            # Logged, tried again at the next bell or sweep, and no other feed is hurt.
            logger.exception("room=%s: reading the log failed", self.room)
        finally:
            self._reading = None

    def _keep(self, event: LoggedEvent) -> None:
        if isinstance(event.event, Deleted):
            target = event.event.deleted
            # Whoever catches up from the ring must not get a text that was deleted.
            self._ring = deque(kept.without_text_of(target) for kept in self._ring)
        self._ring.append(event)
        self._ring_bytes += len(event.frame.payload)
        while len(self._ring) > conf.RING_EVENTS or (self._ring_bytes > conf.RING_BYTES and len(self._ring) > 1):
            self._ring_bytes -= len(self._ring.popleft().frame.payload)

    def _offer_on(self) -> None:
        """Offer what is new to everybody; with many listeners in slices, in a task of its own."""
        if self._offering is not None:
            return  # It will see the new head.
        if len(self.sessions) <= conf.FAN_OUT_SLICE and self._next_run_is_last():
            first, run = self._next_run()
            for session, place in self.sessions.items():
                session.offer(place, first, run)
        else:
            self._offering = asyncio.get_running_loop().create_task(self._offer_in_slices())

    def _next_run(self) -> tuple[int, Run]:
        """Return what is to be offered next, as much as one write may hold."""
        # What the ring has lost already is for those who catch up.
        first = max(self._offered + 1, self._ring[0].seq)
        run = Run(_chunk(self._ring_from(first)))
        self._offered = first + len(run.frames) - 1
        return first, run

    def _next_run_is_last(self) -> bool:
        return sum(len(event.frame.payload) for event in self._ring_from(self._offered + 1)) <= WRITE_BYTES

    def _ring_from(self, seq: int) -> Iterable[LoggedEvent]:
        return islice(self._ring, max(0, seq - self._ring[0].seq), None)

    async def _offer_in_slices(self) -> None:
        # One run after the other, each to all: whoever came or went meanwhile is judged by the cursor.
        try:
            while self._offered < self.head:
                first, run = self._next_run()
                sessions = list(self.sessions.items())
                for start in range(0, len(sessions), conf.FAN_OUT_SLICE):
                    for session, place in sessions[start : start + conf.FAN_OUT_SLICE]:
                        if session.places.get(self.room) is place:
                            session.offer(place, first, run)
                    await asyncio.sleep(0)
        finally:
            self._offering = None


class Hub:
    """All rooms of this process. Belongs to the running event loop: starts with the first session, stops with the last."""

    def __init__(self) -> None:
        self.feeds: dict[int, Feed] = {}
        self.sessions: set[Session] = set()
        self._doorbell = Doorbell(on_bell=self.rung, on_signal=self._on_signal)
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._pulse = self._loop.time()
        self._fresh = asyncio.Event()
        self._fresh.set()
        self._sweep_now = asyncio.Event()

    def start(self) -> None:
        """Begin to hear bells and to sweep."""
        self._doorbell.start()
        self._tasks = [self._loop.create_task(work) for work in (self._sweep_always(), self._beat())]

    async def stop(self) -> None:
        """End all tasks, and give back the database threads."""
        for feed in list(self.feeds.values()):
            feed.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._doorbell.stop()

    @asynccontextmanager
    async def feed(self, room: int, *, title: str, staff_only: bool, head: int) -> AsyncIterator[Feed]:
        """Hold a room's feed, opened, and brought to `head` as the caller has read it.

        Raises ClientError: ROOM_INVALID, SERVER_UNAVAILABLE.
        """
        feed = self.feeds.get(room)
        if feed is None:
            # Registered before the log is read: a bell in between is heard.
            feed = self.feeds[room] = Feed(self, room)
            feed.opened = self._loop.create_task(feed.open())
            # Whoever waits raises what it raised.
            feed.opened.add_done_callback(lambda task: task.cancelled() or task.exception())
        feed.claims += 1
        try:
            assert feed.opened is not None, "a feed is opened when it is made"
            await asyncio.shield(feed.opened)
            feed.title, feed.staff_only = title, staff_only
            await feed.reach(head)
            yield feed
        finally:
            feed.claims -= 1
            self.drop_idle(feed)

    def drop_idle(self, feed: Feed) -> None:
        """Forget a feed that nobody listens to."""
        if not feed.sessions and not feed.claims and self.feeds.get(feed.room) is feed:
            del self.feeds[feed.room]
            feed.stop()

    def advance(self, room: int, events: Iterable[LoggedEvent]) -> None:
        """Hand over what was committed in this process."""
        feed = self.feeds.get(room)
        if feed is None:
            return
        if feed.is_open:
            feed.advance(events)
        else:
            feed.rung(max(event.seq for event in events))

    def rung(self, room: int, head: int) -> None:
        """Hear a bell."""
        if feed := self.feeds.get(room):
            feed.rung(head)

    def came(self, feed: Feed, session: Session, msg_type: int) -> None:
        """Tell all others, here and elsewhere, that a user entered or left a room."""
        feed.signal(_came(feed.room, session.username, msg_type), but=session)
        self._doorbell.signal(feed.room, session.username, msg_type)

    def say_bye(self) -> None:
        """Tell every client that the server goes, and when to come back: each at a time of its own."""
        for session in list(self.sessions):
            session.reply(protocol.encode(Bye(ByeTime(retry_ms=random.randrange(conf.BYE_SPREAD_MS)))))

    def is_stale(self) -> bool:
        """Tell whether this process was frozen and has not looked around since."""
        if self._fresh.is_set() and self._loop.time() - self._pulse > conf.FROZEN_SECONDS:
            self._wake_up()
        return not self._fresh.is_set()

    async def until_fresh(self) -> None:
        """Wait until heads are as new as the process is awake."""
        await self._fresh.wait()

    def _on_signal(self, room: int, username: str, msg_type: int) -> None:
        # Built here from its parts: whoever can reach the layer can tell of comings, never forge a message.
        if (feed := self.feeds.get(room)) and msg_type in (conf.MSG_TYPE_ENTER, conf.MSG_TYPE_LEAVE):
            feed.signal(_came(room, username, msg_type))

    def _wake_up(self) -> None:
        logger.warning(
            "this process stood still for %.1f s: it looks before it writes", self._loop.time() - self._pulse
        )
        self._fresh.clear()
        self._sweep_now.set()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(conf.FROZEN_SECONDS / 8)
            self.is_stale()
            self._pulse = self._loop.time()

    async def _sweep_always(self) -> None:
        was_failing = False
        while True:
            period = conf.SWEEP_DEGRADED_SECONDS if self._doorbell.is_degraded else conf.SWEEP_SECONDS
            try:
                await asyncio.wait_for(self._sweep_now.wait(), period)
            except TimeoutError:
                pass
            self._sweep_now.clear()
            try:
                await self.sweep()
                was_failing = False
            except asyncio.CancelledError:
                raise
            except Exception as error:
                if not was_failing:
                    logger.warning("the database does not answer the sweep: %s", type(error).__name__)
                was_failing = True
                continue
            self._fresh.set()

    async def sweep(self) -> None:
        """Look at the heads of all rooms with listeners, and find what a lost bell would have told."""
        rooms = [room for room, feed in self.feeds.items() if feed.is_open]
        if not rooms:
            return
        # One cheap query for all rooms; where few of many are listened to, for those.
        heads = await database.read(log.heads, rooms if len(rooms) < MANY_ROOMS else None)
        for room in rooms:
            if (feed := self.feeds.get(room)) is None:
                continue
            head, epoch = heads.get(room, (0, ""))
            if epoch == feed.epoch and head >= feed.head:
                feed.rung(head)
            else:
                try:
                    await feed.reopen()
                except Exception:
                    # The next sweep tries again; the other rooms are not hurt.
                    logger.exception("room=%s: starting over failed", room)


def _came(room: int, username: str, msg_type: int) -> Frame:
    return protocol.encode(Came(room=str(room), username=username, msg_type=msg_type))


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def running() -> Hub | None:
    """Return the running loop's hub, if it has one."""
    return _hubs.get(asyncio.get_running_loop())


def enter(make_session: Callable[[Hub], Session]) -> Session:
    """Register a session with the running loop's hub; the first one starts it."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        hub.start()
    session = make_session(hub)
    hub.sessions.add(session)
    return session


async def exit(session: Session) -> None:
    """Forget a session and its places; the last one stops the hub."""
    hub = session.hub
    session.end()
    for place in list(session.places.values()):
        place.feed.detach(session)
    hub.sessions.discard(session)
    if not hub.sessions:
        _hubs.pop(asyncio.get_running_loop(), None)
        await hub.stop()
        if running() is None:
            await database.close()
