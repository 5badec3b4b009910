"""All rooms of this process: its feeds and sessions, the bells it hears, the sweep (Hub)."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager

from chat import audit, protocol
from chat.conf import conf
from chat.doorbell import Doorbell
from chat.exceptions import ClientError, ErrorCode
from chat.live import database, janitor, own_settings, runtime
from chat.live.around import AroundCount
from chat.live.attendance import Attendance
from chat.live.display_names import DisplayNames
from chat.live.feed import Feed, RoomView
from chat.live.janitor import Janitor
from chat.live.positions import Positions
from chat.live.pulse import Pulse
from chat.live.revocation import Revocation
from chat.live.session import Session
from chat.live.sweep import Sweep
from chat.live.turnstile import Turnstile
from chat.live.watchers import Watchers
from chat.protocol import Bye, ByeTime, Left
from chat.store import alerts, log, policies
from chat.store.concerns import Concern
from chat.store.events import LoggedEvent
from chat.store.presence import Change
from chat.store.room_user import RoomUser


class Hub:
    """Belongs to the running event loop: starts with the first session, stops with the last."""

    def __init__(self) -> None:
        self.feeds: dict[int, Feed] = {}
        self.sessions: set[Session] = set()
        # Many sockets connect at once after a cut, so their questions to the database are gathered into few queries.
        self.logins = database.Gathering(policies.load_logins)
        self.rooms = database.Gathering(policies.load_enterable_rooms)
        self._heads = database.Gathering(log.heads)
        self._alerts = database.Gathering(alerts.recent)
        # Sockets that come back join their rooms here, so that the others have their turn between them.
        self.returning = Turnstile()
        self.positions = Positions(
            on_written=self._on_positions_written,
            on_refused=self._on_position_refused,
            on_outdated=self._on_position_outdated,
        )
        self.watchers = Watchers(self.positions)
        self.display_names = DisplayNames(on_renamed=self._on_renamed)
        self.around = AroundCount(self.watchers.users, self.watchers.sessions_of)
        self.appearances = own_settings.appearance(self.watchers.users, self.watchers.sessions_of)
        self.pane_sets = own_settings.versions_of_pane_sets(self.watchers.users, self.watchers.sessions_of)
        self.revocation = Revocation(
            self.sessions,
            self.feeds,
            dismiss=self.dismiss,
            on_checked=self.watchers.rooms_changed,
            on_concerned=self._on_concerned,
        )
        self._doorbell = Doorbell(
            on_bell=self.hear_bell,
            on_signal=self._on_signal,
            on_access=self._on_access,
            on_read=self.watchers.position_moved_elsewhere,
            on_typing=self._show_typing,
        )
        self.attendance = Attendance(process=self._doorbell.id, feeds=self.feeds, announce=self._announce_presence)
        self.sweep = Sweep(self)
        self.pulse = Pulse(on_standstill=self.sweep.run_soon)
        self.is_draining = False
        self._loop = asyncio.get_running_loop()
        self._janitor: Janitor | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to hear bells and to sweep."""
        self._doorbell.start()
        self._janitor = janitor.acquire()
        self.attendance.start()
        work = (
            self.sweep.run_always(),
            self.revocation.check_always(),
            self.revocation.prune_always(),
            self.pulse.beat_always(),
            self.around.count_always(),
        )
        self._tasks = [self._loop.create_task(task) for task in work]

    async def stop(self) -> None:
        """End all tasks."""
        for feed in list(self.feeds.values()):
            feed.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.positions.stop()
        await self.watchers.stop()
        await self.display_names.stop()
        await self.appearances.stop()
        await self.pane_sets.stop()
        await self.attendance.stop()
        await self._doorbell.stop()
        if self._janitor is not None:
            await janitor.release()

    def stop_later(self) -> None:
        """Stop when the grace times of all lost connections are over, unless a session came in the meantime."""
        if self._stopping is None:
            self._stopping = self._loop.create_task(self._stop_later())

    async def _stop_later(self) -> None:
        try:
            await self.attendance.until_settled()
        finally:
            self._stopping = None
        await _stop_if_empty(self)

    @property
    def is_degraded(self) -> bool:
        """Tell whether bells are lost, so that only the sweep brings what other processes write."""
        return self._doorbell.is_degraded

    @asynccontextmanager
    async def feed(
        self, room: int, *, title: str, staff_only: bool, head: int, view: RoomView | None = None
    ) -> AsyncIterator[Feed]:
        """Hold a room's feed, opened and brought to `head`, which the caller has read in the database.

        Raises ClientError: ROOM_INVALID, SERVER_UNAVAILABLE.
        """
        feed = self.feeds.get(room)
        if feed is None:
            # Registered before the log is read, so that a bell in between is heard.
            feed = self.feeds[room] = Feed(room, heads=self._heads, alerts=self._alerts)
            feed.opened = self._loop.create_task(feed.open())
            # Every caller that waits raises what the task raised, so asyncio need not report it.
            feed.opened.add_done_callback(lambda task: task.cancelled() or task.exception())
        feed.claims += 1
        try:
            assert feed.opened is not None, "a feed is opened when it is made"
            await asyncio.shield(feed.opened)
            feed.describe(title=title, staff_only=staff_only, view=view or feed.view)
            await feed.reach(head)
            yield feed
        finally:
            feed.claims -= 1
            self._drop_if_idle(feed)

    def _drop_if_idle(self, feed: Feed) -> None:
        """Forget a feed that has no sessions."""
        if not feed.sessions and not feed.claims and self.feeds.get(feed.room) is feed:
            del self.feeds[feed.room]
            feed.stop()
            self.attendance.forget_room(feed.room)

    def leave(self, session: Session, room: int, *, is_lost: bool = False) -> bool:
        """Let a session leave a room; return False if it has not joined it.

        With `is_lost` its connection was lost, so its user has a grace time to come back.
        """
        subscription = session.subscriptions.get(room)
        if subscription is None:
            return False
        if is_lost:
            self.attendance.lose(subscription.feed, session)
        else:
            self.attendance.leave(subscription.feed, session)
        subscription.feed.detach(session)
        self._drop_if_idle(subscription.feed)
        return True

    def dismiss(self, session: Session, room: int, reason: ErrorCode) -> None:
        """Close a session's pane, and send the reason."""
        audit.write("revoked", user=session.user_id, room=room, reason=reason.value)
        self.leave(session, room)
        self.watchers.room_lost(session.user_id, room)
        session.reply(protocol.encode(Left(leave=str(room), reason=reason.value)))

    def advance(self, room: int, epoch: str, events: Iterable[LoggedEvent]) -> None:
        """Take events that this process has committed to a log of this epoch."""
        feed = self.feeds.get(room)
        if feed is None:
            return
        if feed.is_open and feed.epoch != epoch:
            # A backup was restored around the commit. The sweep finds out which of the two logs is the current one.
            self.sweep.run_soon()
        elif feed.is_open:
            feed.advance(events)
        else:
            feed.hear_bell(max(event.seq for event in events))

    def hear_bell(self, room: int, head: int) -> None:
        """Note that a room's head is at least `head`."""
        if feed := self.feeds.get(room):
            feed.hear_bell(head)
        elif not self.watchers.is_idle:
            self.sweep.hear_bell(room)

    def drain(self) -> None:
        """Take no more commands, and send every client a `bye` with its own time to come back."""
        self.is_draining = True
        self.attendance.hand_over()
        for session in list(self.sessions):
            session.reply(protocol.encode(Bye(ByeTime(retry_ms=random.randrange(conf.BYE_SPREAD_MS)))))

    def resend_signals(self, session: Session) -> None:
        """Send the current state to a session that has missed signals."""
        self.attendance.resend_lists(session)
        self.watchers.resend(session)
        self.display_names.resend(session)
        self.appearances.resend(session)
        self.pane_sets.resend(session)

    def move_position(self, session: Session, room: int, seq: int, *, back: bool, epoch: str | None = None) -> None:
        """Move a user's read position: their sockets here are notified at once, and it is written soon.

        It is one in the log of `epoch`, if the client has said so, otherwise in the log that its user was shown last.
        """
        feed = self.feeds.get(room)
        heads = [self.watchers.head(session.user_id, room), feed.head if feed and feed.is_open else None]
        # Never beyond the head. If this process does not know it, it is read when the position is written.
        head = max((head for head in heads if head is not None), default=protocol.MAX_ID)
        if epoch is None:
            joined = session.subscriptions.get(room)
            epoch = joined.feed.epoch if joined else self.watchers.epoch(session.user_id, room)
        self.positions.move(session, room, min(seq, head), back=back, epoch=epoch)
        self.watchers.position_moved(session.user_id, room)

    def set_level(self, session: Session, room: int, level: int) -> None:
        """Set what a user wants to hear of a room: their sockets here are notified at once, and it is written soon."""
        self.positions.set_level(session, room, level)
        self.watchers.level_changed(session.user_id, room)

    def show_typing(self, session: Session, room: int) -> None:
        """Show the other users in a room that a session's user is writing, in all processes; may be lost."""
        self._show_typing(room, session.username)
        self._doorbell.signal_typing(room, session.username)

    def _show_typing(self, room: int, username: str) -> None:
        if feed := self.feeds.get(room):
            feed.show_typing(username)

    def _on_positions_written(self, pairs: Collection[RoomUser]) -> None:
        self.watchers.positions_written(pairs)
        for pair in pairs:
            self._doorbell.signal_read(pair.user)

    def _on_position_refused(self, session: Session, pair: RoomUser, refusal: ClientError, command: str) -> None:
        session.reply(session.refusal(refusal, command=command, room=pair.room))
        self._on_position_outdated(pair)

    def _on_position_outdated(self, pair: RoomUser) -> None:
        self.watchers.position_dropped(pair)

    def _on_access(self, concern: Concern) -> None:
        self.revocation.check_soon(concern)
        self.look_for_deletions(concern)

    def _on_concerned(self, concern: Concern) -> None:
        self.watchers.memberships_changed(concern)
        self.display_names.users_changed(concern)
        self.appearances.users_changed(concern)
        self.pane_sets.users_changed(concern)
        # The users who are around for a reader are those in rooms that the reader may enter.
        self.around.count_soon()

    def _on_renamed(self, renamed: dict[str, str]) -> None:
        self.attendance.rename_users(renamed)

    def look_for_deletions(self, concern: Concern) -> None:
        """Wake the janitor if a room may have been deleted."""
        if self._janitor is not None and (concern.is_all_users or concern.rooms):
            self._janitor.wake()

    def _announce_presence(self, change: Change) -> None:
        self._doorbell.signal_presence(*change)
        self.around.count_soon()

    def _on_signal(self, room: int, username: str, is_here: bool) -> None:
        # Frames are built here from these parts, so a process that reaches the layer can never forge a message.
        self.attendance.apply_changes([Change(room, username, is_here)])
        self.around.count_soon()


def running() -> Hub | None:
    """Return the running loop's hub, if it has one."""
    return runtime.current().hub


def add(make_session: Callable[[Hub], Session]) -> Session:
    """Register a session with the running loop's hub; the first one starts the hub."""
    loop = runtime.current()
    if loop.hub is None:
        loop.hub = Hub()
        # The handshake may have been under way when the server began to shut down.
        loop.hub.is_draining = loop.is_draining
        loop.hub.start()
    session = make_session(loop.hub)
    loop.hub.sessions.add(session)
    return session


async def remove(session: Session) -> None:
    """Forget a session whose connection is gone, and its subscriptions; the last one stops the hub."""
    hub = session.hub
    session.end()
    for room in list(session.subscriptions):
        hub.leave(session, room, is_lost=True)
    hub.watchers.remove(session)
    hub.display_names.remove(session)
    hub.sessions.discard(session)
    if hub.sessions:
        return
    if hub.attendance.is_in_grace:
        # Users may come back in a moment. If they do not, their leaving is announced.
        hub.stop_later()
    else:
        await hub.attendance.until_settled()
        await _stop_if_empty(hub)


def drain() -> None:
    """Take no more commands on the running loop, and send every client a `bye`."""
    loop = runtime.current()
    loop.is_draining = True
    if loop.hub is not None:
        loop.hub.drain()


async def flush() -> None:
    """Write the read positions and layouts that the running loop's sockets have sent."""
    if hub := running():
        await hub.positions.flush()


async def until_replied() -> None:
    """Wait until every session's replies are written, those of full sockets too."""
    # Polled, because it happens once in a process's life: no session needs an event for it.
    while (hub := running()) and any(session.has_replies for session in hub.sessions):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def _stop_if_empty(hub: Hub) -> None:
    if not hub.sessions and running() is hub:
        runtime.current().hub = None
        await hub.stop()
        if running() is None:
            await database.close()
