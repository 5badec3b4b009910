"""All rooms of this process: its feeds and sessions, the bells it hears, the sweep (Hub)."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from weakref import WeakKeyDictionary, WeakSet

from chat import conf, protocol
from chat.doorbell import Doorbell
from chat.exceptions import ClientError
from chat.live import database, janitor
from chat.live.attendance import Attendance
from chat.live.feed import Feed
from chat.live.janitor import Janitor
from chat.live.positions import Positions
from chat.live.revocation import Rights
from chat.live.session import Session
from chat.live.sweep import Heads, Sweep, look
from chat.live.watchers import Watch
from chat.protocol import Bye, ByeTime
from chat.store import access, log, policies
from chat.store.concerns import Concern
from chat.store.events import LoggedEvent
from chat.store.presence import Change
from chat.store.room_user import RoomUser

logger = logging.getLogger(__name__)


class Hub:
    """Belongs to the running event loop: starts with the first session, stops with the last."""

    def __init__(self) -> None:
        self.feeds: dict[int, Feed] = {}
        self.sessions: set[Session] = set()
        # Many sockets come at once after a cut: what they ask of the database is asked together.
        self.logins = database.Gathering(policies.load_logins)
        self.rooms = database.Gathering(policies.load_enterable_rooms)
        self.heads = database.Gathering(log.heads)
        self.alerts = database.Gathering(log.alerts)
        self.positions = Positions(on_written=self._on_positions, on_refused=self._on_refused)
        self.watch = Watch(self.positions)
        self.rights = Rights(self.sessions, self.feeds, on_checked=self.watch.rooms_changed)
        self.is_draining = False
        self._doorbell = Doorbell(
            on_bell=self.rung,
            on_signal=self._on_signal,
            on_access=self._on_access,
            on_read=self.watch.heard_read,
        )
        self.attendance = Attendance(
            process=self._doorbell.id, feeds=self.feeds, tell=lambda change: self._doorbell.signal(*change)
        )
        self._loop = asyncio.get_running_loop()
        self._janitor: Janitor | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None
        self._pulse = self._loop.time()
        self._fresh = asyncio.Event()
        self._fresh.set()
        self._sweep = Sweep()
        self._sweep_now = asyncio.Event()
        self._standstills = 0

    def start(self) -> None:
        """Begin to hear bells and to sweep."""
        self._doorbell.start()
        self._janitor = janitor.enter()
        self.attendance.start()
        work = (self._sweep_always(), self.rights.watch(), self.rights.prune(), self._beat())
        self._tasks = [self._loop.create_task(one) for one in work]

    async def stop(self) -> None:
        """End all tasks, and give back the database threads."""
        for feed in list(self.feeds.values()):
            feed.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.positions.stop()
        await self.watch.stop()
        await self.attendance.stop()
        await self._doorbell.stop()
        if self._janitor is not None:
            await janitor.exit()

    def stop_later(self) -> None:
        """Stop when no lost connection is waited for any more, unless somebody came."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop_later())

    async def _stop_later(self) -> None:
        try:
            await self.attendance.until_nobody()
        finally:
            self._stopping = None
        await _stop_if_empty(self)

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
            self.attendance.forget(feed.room)

    def advance(self, room: int, epoch: str, events: Iterable[LoggedEvent]) -> None:
        """Hand over what was committed in this process, to a log of this epoch."""
        feed = self.feeds.get(room)
        if feed is None:
            return
        if feed.is_open and feed.epoch != epoch:
            # A backup was restored around the commit: which of the two is the log now, the sweep asks.
            self._sweep_now.set()
        elif feed.is_open:
            feed.advance(events)
        else:
            feed.rung(max(event.seq for event in events))

    def rung(self, room: int, head: int) -> None:
        """Hear a bell."""
        if feed := self.feeds.get(room):
            feed.rung(head)
        elif not self.watch.is_idle:
            self._sweep.rung(room)

    def drain(self) -> None:
        """Take no more commands, and tell every client when to come back: each at a time of its own."""
        self.is_draining = True
        self.attendance.hand_over()
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

    def recap(self, session: Session) -> None:
        """Tell a session that has missed signals how things are."""
        self.attendance.recap(session)
        self.watch.recap(session)

    def read(self, session: Session, room: int, seq: int, *, back: bool) -> None:
        """Take a read position: the user's sockets here are told at once, and it is written soon."""
        feed = self.feeds.get(room)
        heads = [self.watch.head(session.user_id, room), feed.head if feed and feed.is_open else None]
        # Never beyond the head. One that is not known here is asked for when the position is written.
        head = max((head for head in heads if head is not None), default=protocol.MAX_ID)
        self.positions.move(session, room, min(seq, head), back=back)
        self.watch.read(session.user_id, room)

    def _on_positions(self, pairs: Collection[RoomUser]) -> None:
        self.watch.wrote(pairs)
        for pair in pairs:
            self._doorbell.tell_read(pair.user)

    def _on_refused(self, session: Session, pair: RoomUser, refusal: ClientError) -> None:
        session.reply(protocol.refusal(refusal, command="read", room=pair.room))
        self.watch.refused(pair)

    def _on_access(self, concern: Concern) -> None:
        self.rights.check_soon(concern)
        self._look_for_deletions(concern)

    def _look_for_deletions(self, concern: Concern) -> None:
        if self._janitor is not None and (concern.is_everybody or concern.rooms):
            # One may have been deleted.
            self._janitor.wake()

    def _on_signal(self, room: int, username: str, is_here: bool) -> None:
        # Frames are built here from these parts: whoever reaches the layer can never forge a message.
        self.attendance.hear_all([Change(room, username, is_here)])

    def _wake_up(self) -> None:
        logger.warning(
            "this process stood still for %.1f s: it looks before it writes", self._loop.time() - self._pulse
        )
        # From here on it is the sweep that is waited for.
        self._pulse = self._loop.time()
        self._standstills += 1
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
            with suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await self._sweep_now.wait()
            self._sweep_now.clear()
            standstills = self._standstills
            try:
                await self.sweep()
                if not self._fresh.is_set():
                    # Rights as well as heads, before anything is written again.
                    await self.rights.check()
                was_failing = False
            except Exception as error:
                if not was_failing:
                    database.warn(logger, "the database does not answer the sweep", error)
                was_failing = True
                continue
            if standstills == self._standstills:
                self._fresh.set()

    async def sweep(self) -> None:
        """Look at the heads of all rooms with listeners, and find what a lost bell would have told."""
        self.rights.find_expired()
        rooms = [room for room, feed in self.feeds.items() if feed.is_open]
        # Taken before the query: a tail may move on while it runs.
        before = {room: self.feeds[room].head for room in rooms}
        began = self._loop.time()
        # For the rooms that are listened to; where somebody watches, for all others too, or for a slice of them.
        after = None if self.watch.is_idle else self._sweep.after
        heads, self._sweep.after, changes = await database.look(_look, self._sweep.rooms(rooms), after)
        # Before any feed reads on: what was said after a right ended is not for whoever had it.
        self._look_for_deletions(await self.rights.sweep(changes, began=began))
        self.watch.saw({room: head for room, (head, _, _) in heads.items()})
        for room in rooms:
            if (feed := self.feeds.get(room)) is None:
                continue
            head, floor, epoch = heads.get(room, (0, 0, ""))
            if epoch == feed.epoch and head >= before[room]:
                feed.floor = floor
                feed.rung(head)
            else:
                try:
                    await feed.reopen()
                except Exception:
                    # The next sweep tries again; the other rooms are not hurt.
                    logger.exception("room=%s: starting over failed", room)


def _look(rooms: list[int], after: int | None) -> tuple[Heads, int, list[access.Row]]:
    return *look(rooms, after), access.recent()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()
# Loops of servers that are ending.
_draining: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def running() -> Hub | None:
    """Return the running loop's hub, if it has one."""
    return _hubs.get(asyncio.get_running_loop())


def enter(make_session: Callable[[Hub], Session]) -> Session:
    """Register a session with the running loop's hub; the first one starts it."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
        # A handshake that was under way when the server began to end.
        hub.is_draining = loop in _draining
        hub.start()
    session = make_session(hub)
    hub.sessions.add(session)
    return session


def drain() -> None:
    """Take no more commands on the running loop, and send every client away."""
    _draining.add(asyncio.get_running_loop())
    if hub := running():
        hub.drain()


async def flush() -> None:
    """Write what the running loop's sockets have read and laid out."""
    if hub := running():
        await hub.positions.flush()


async def until_told() -> None:
    """Wait until every session's answers are written, those of full sockets too."""
    # Looked at now and then, once in a process's life: no event for it in each session.
    while (hub := running()) and any(session.has_replies for session in hub.sessions):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def exit(session: Session) -> None:
    """Forget a session whose connection is gone, and its places; the last one stops the hub."""
    hub = session.hub
    session.end()
    for place in list(session.places.values()):
        hub.attendance.lose(place.feed, session)
        place.feed.detach(session)
    hub.watch.end(session)
    hub.sessions.discard(session)
    if hub.sessions:
        return
    if hub.attendance.is_waiting:
        # Somebody may be back in a moment; their going is told if not.
        hub.stop_later()
    else:
        await hub.attendance.until_nobody()
        await _stop_if_empty(hub)


async def _stop_if_empty(hub: Hub) -> None:
    if not hub.sessions and running() is hub:
        del _hubs[asyncio.get_running_loop()]
        await hub.stop()
        if running() is None:
            await database.close()
