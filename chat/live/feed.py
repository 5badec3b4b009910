"""One room in this process: its tail, its recent events, and the sessions they are fanned out to (Feed)."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

from chat import protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, unavailable
from chat.live import database
from chat.live.alerts import Alerts
from chat.live.database import Gathering
from chat.live.fan_out import FanOut
from chat.live.ring import Ring
from chat.live.session import Session, Subscription
from chat.live.sockets import Run
from chat.protocol import FloorRaised, Frame, IsTyping, Joined, Left
from chat.store import log, own_rooms
from chat.store.alerts import RecentAlerts
from chat.store.events import LoggedEvent

logger = logging.getLogger(__name__)

# How long a run that was joined is kept for other sessions that stand at the same place.
RUNS_KEPT_SECONDS = 2.0


class RoomView(NamedTuple):
    """What a join frame says about a room besides its title; `people` are those of a direct room, by id."""

    topic: str = ""
    kind: str = ""
    is_archived: bool = False
    people: Mapping[int, str] = {}


class PresenceLine(NamedTuple):
    """The line that says that a user entered or left. `before` is the order of the user's own subscription here."""

    frame: Frame
    username: str
    before: int | None = None

    def is_for(self, session: Session, subscription: Subscription) -> bool:
        """Tell whether this session gets it.

        Users get no line of their own, and users who came later get no ENTER of those whom they find here.
        """
        return session.username != self.username and (self.before is None or subscription.order < self.before)


class Feed:
    """One room in this process: how far its log was read, its recent events, and the sessions that listen to it."""

    def __init__(
        self, room: int, *, heads: Gathering[int, tuple[int, int, str]], alerts: Gathering[int, RecentAlerts]
    ) -> None:
        self.room = room
        self.title = ""
        self.staff_only = False
        self.view = RoomView()
        self.epoch = ""
        self.floor = 1
        self.ring = Ring(head=0)
        self.sessions: dict[Session, Subscription] = {}
        self._fan_out = FanOut(room, self.ring, self.sessions)
        # How many callers are about to attach a session. Until then the feed is not forgotten.
        self.claims = 0
        self.opened: asyncio.Task[None] | None = None
        self._read_bounds = heads.get
        self._read_alerts = alerts.get
        self._is_stopped = False
        self._alerts = Alerts()
        # Events that came before their turn, by seq, because another process's commit was faster.
        self._early: dict[int, LoggedEvent] = {}
        self._gap: asyncio.TimerHandle | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        # The highest head that a bell or a sweep has named.
        self._target = 0
        self._reading: asyncio.Task[None] | None = None
        self._reaching_back: asyncio.Task[None] | None = None

    @property
    def head(self) -> int:
        return self.ring.head

    @property
    def is_open(self) -> bool:
        """Tell whether the tail is known and the feed was not stopped."""
        opened = self.opened
        if opened is None or not opened.done() or self._is_stopped:
            return False
        return not opened.cancelled() and opened.exception() is None

    def run_after(self, cursor: int) -> Run | None:
        """Return the next events after `cursor` as one run for all sessions that are there, or None (`Ring`)."""
        run = self.ring.run_after(cursor)
        if run is not None and self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(RUNS_KEPT_SECONDS, self._forget_runs)
        return run

    def _forget_runs(self) -> None:
        self._forgetting = None
        self.ring.forget_runs()

    def describe(self, *, title: str, staff_only: bool, view: RoomView) -> None:
        """Take what the database says about the room."""
        self.title, self.staff_only, self.view = title, staff_only, view

    def has_reached(self, head: int) -> bool:
        """Tell whether the tail is known and is at `head` at least."""
        return self.is_open and self.head >= head

    async def open(self) -> None:
        """Read where the log stands. Raises ClientError: ROOM_INVALID when the room is gone."""
        head, floor, epoch = await self._bounds()
        self._start_at(head, floor, epoch, await self._alerts_now())
        # Read what was rung in the meantime, as soon as this task is done.
        asyncio.get_running_loop().call_soon(self.hear_bell, 0)

    async def _bounds(self) -> tuple[int, int, str]:
        bounds = await self._read_bounds(self.room)
        if bounds is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail=_("This room does not exist. It may have been deleted."))
        return bounds

    def _start_at(self, head: int, floor: int, epoch: str, recent: RecentAlerts) -> None:
        self.epoch, self.floor = epoch, floor
        self._alerts = Alerts((event for event in recent.alerts if event.seq >= floor), as_of=recent.as_of)
        self._fan_out.start_at(head)
        self._early.clear()
        self.ring.restart(head)

    async def _alerts_now(self) -> RecentAlerts:
        # Read after the head, so that none is missing. They know which of the next events they include already.
        return await self._read_alerts(self.room) or RecentAlerts(0, [])

    def hear_bell(self, head: int) -> None:
        """Note that the room's head is at least `head`, and read the log if that is new."""
        self._target = max(self._target, head)
        if self._target > self.head and self._reading is None and self.is_open:
            self._reading = asyncio.get_running_loop().create_task(self._read_on())

    def advance(self, events: Iterable[LoggedEvent]) -> None:
        """Move the tail on. A local commit, a bell, the sweep and healing all come through here. Idempotent."""
        for event in events:
            if event.seq > self.head:
                self._early[event.seq] = event
        has_moved = False
        while self.head + 1 in self._early:
            event = self._early.pop(self.head + 1)
            self._alerts.apply_event(event.event)
            self.ring.append(event)
            has_moved = True
        if has_moved:
            self._early = {seq: event for seq, event in self._early.items() if seq > self.head}
            self._fan_out.offer_new()
        if len(self._early) > conf.RING_EVENTS:
            highest = max(self._early)
            self._early.clear()
            self.hear_bell(highest)
        elif self._early and self._gap is None:
            # Another process's earlier commit is on its way. If it does not come, read the log.
            self._gap = asyncio.get_running_loop().call_later(conf.GAP_SECONDS, self._heal)

    def _heal(self) -> None:
        self._gap = None
        if self._early:
            self.hear_bell(max(self._early))

    async def reach(self, head: int) -> None:
        """Wait until the tail is at `head`, which the caller has read in the database.

        Raises ClientError: SERVER_UNAVAILABLE.
        """
        while self.head < head:
            self.hear_bell(head)
            if self._reading is None:
                return
            await asyncio.wait([self._reading])
            if self._reading is None and self.head < head:
                # The log could not be read; the next sweep tries again.
                raise unavailable(_("The room's messages could not be read. Try again in a moment."))

    async def reach_back(self, cursor: int) -> None:
        """Bring the events after `cursor` into the ring if they are few: one read serves all sessions that need it."""
        while self.ring.start > cursor + 1 and self.head - cursor <= conf.REACH_BACK_EVENTS:
            start = self.ring.start
            if self._reaching_back is None:
                self._reaching_back = asyncio.get_running_loop().create_task(self._reach_back(cursor))
            # Shared: a session that goes must not cancel the read for the others.
            await asyncio.shield(self._reaching_back)
            if self.ring.start == start:
                return  # The events are larger than the ring may be, or were pruned from the log.

    async def _reach_back(self, cursor: int) -> None:
        try:
            start, head, epoch = self.ring.start, self.head, self.epoch
            page = await database.read(log.read, self.room, after=cursor, limit=start - cursor - 1)
            events = self.ring.as_now(page, head)
            # The ring may have moved on in the meantime, or started over.
            if events and self.epoch == epoch and events[-1].seq + 1 == self.ring.start:
                self.ring.prepend(events)
        finally:
            self._reaching_back = None

    def serves(self, since: int, epoch: str | None) -> bool:
        """Tell whether a client that has all events up to `since` of this epoch can be given just the rest."""
        return (epoch is None or epoch == self.epoch) and self.floor - 1 <= since <= self.head

    def attach(self, session: Session, *, cursor: int, reply: Frame) -> None:
        """Let a session listen from `cursor` on. Nothing is awaited, so no event precedes the reply."""
        session.reply(reply)
        subscription = session.subscriptions.get(self.room)
        if subscription is None:
            subscription = session.subscriptions[self.room] = self.sessions[session] = Subscription(self, cursor)
        subscription.cursor = cursor
        if cursor < self.head:
            session.fall_behind(subscription)

    def detach(self, session: Session) -> None:
        """End a session's listening."""
        del session.subscriptions[self.room]
        del self.sessions[session]

    def signal(self, frame: Frame) -> None:
        """Send a frame that may be lost to all sessions."""
        run = Run([frame])
        for session in list(self.sessions):
            session.signal_all(run)

    def announce(self, lines: Sequence[PresenceLine], present: Frame | None) -> None:
        """Send who came and went, and then the change of the list of users, in one write for each session."""
        shared = Run([*(line.frame for line in lines), *filter(None, [present])])
        names = {line.username for line in lines}
        # Most sessions get all lines, so they share what is joined once.
        before = min((line.before for line in lines if line.before is not None), default=None)
        for session, subscription in list(self.sessions.items()):
            if session.username not in names and (before is None or subscription.order < before):
                session.signal_all(shared)
                continue
            own = [line.frame for line in lines if line.is_for(session, subscription)]
            if present is not None or own:
                session.signal_all(Run([*own, *filter(None, [present])]))

    def show_typing(self, username: str) -> None:
        """Show all other users who listen that a user is writing."""
        frame = protocol.encode(IsTyping(room=str(self.room), typing=username))
        for session in list(self.sessions):
            if session.username != username:
                session.hint(frame)

    def joined(self, *, reader: int | None = None, reset: bool = False, read: int = 0) -> Frame:
        """Return the frame that says where this room stands, and up to where the user `reader` has read it.

        It is the same for all readers, except that a direct room shows each of them the names of the others.
        """
        people = own_rooms.others(self.view.people, reader) if self.view.people and reader is not None else []
        return protocol.encode(
            Joined(
                join=str(self.room),
                title=own_rooms.title_for(people) if self.view.people else self.title,
                kind=self.view.kind,
                people=people,
                topic=self.view.topic,
                archived=self.view.is_archived,
                head=self.head,
                floor=self.floor,
                epoch=self.epoch,
                staff_only=self.staff_only,
                reset=reset,
                read=read,
                alerts=self._alerts.recent(),
            )
        )

    def start_over(self, sessions: Iterable[Session]) -> None:
        """Reset sessions whose cursor cannot be served: they begin again at the head."""
        shared = self.joined(reset=True)
        for session in list(sessions):
            reply = self.joined(reader=session.user_id, reset=True) if self.view.people else shared
            subscription = session.subscriptions[self.room]
            subscription.is_behind = False
            if session.is_original:
                # The original client knows no `reset`. It would add a second pane beside the first, dead one.
                session.reply(protocol.encode(Left(leave=str(self.room))))
            self.attach(session, cursor=self.head, reply=reply)

    def raise_floor(self, floor: int) -> None:
        """Forget the events below `floor`, which have expired, and let all sessions know."""
        if floor <= self.floor:
            return
        self.floor = floor
        self.ring.forget_before(floor)
        self._alerts.forget_before(floor)
        frame = protocol.encode(FloorRaised(room=str(self.room), floor=floor))
        behind = [session for session, subscription in self.sessions.items() if subscription.cursor < floor - 1]
        for session in list(self.sessions):
            session.reply(frame)
        # What they have not read yet does not exist any more.
        self.start_over(behind)

    def stop(self) -> None:
        """End this feed's tasks."""
        self._is_stopped = True
        for timer in (self._gap, self._forgetting):
            if timer is not None:
                timer.cancel()
        for task in (self._reading, self._reaching_back, self.opened):
            if task is not None:
                task.cancel()
        self._fan_out.stop()

    async def reopen(self) -> None:
        """Start over from the log if it is another one now, because a backup was restored or the log was reset.

        Raises ClientError: ROOM_INVALID when the room is gone.
        """
        # Taken before the log is read, because the tail may move on in the meantime.
        before = self.head
        head, floor, epoch = await self._bounds()
        if epoch != self.epoch or head < before:
            alerts = await self._alerts_now()
            # Nothing is awaited from here to the end: no session may get events of the new log before its reset.
            logger.warning("room=%s has another log now: all sessions start over", self.room)
            self._start_at(head, floor, epoch, alerts)
            self._target = head
            self.start_over(self.sessions)

    async def _read_on(self) -> None:
        try:
            while self.head < self._target:
                before, epoch = self.head, self.epoch
                page = await database.read(log.read, self.room, after=before, limit=conf.CATCH_UP_PAGE)
                if self.epoch != epoch:
                    continue  # The feed has another log now, and this page is of the old one.
                self.advance(page)
                if self.head == before:
                    # The bell was wrong, or the log has started over: the sweep will find out.
                    self._target = self.head
                    self._early.clear()
        except database.AWAY as error:
            # The next bell or sweep tries again, and no other feed is affected.
            logger.warning("room=%s: the log cannot be read: %s", self.room, database.reason(error))
        except Exception:
            logger.exception("room=%s: reading the log failed", self.room)
        finally:
            self._reading = None
