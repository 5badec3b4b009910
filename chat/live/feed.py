"""One room in this process: its tail, its last events, and the sessions they are fanned out to (Feed)."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from chat import audit, conf, protocol
from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.live.alerts import Alerts
from chat.live.session import WRITE_BYTES, Place, Run, Session, chunk
from chat.protocol import AnyEvent, Deleted, Edited, Frame, Joined, Left, Overtaken, Posted
from chat.store import log
from chat.store.events import LoggedEvent, apply_changes

if TYPE_CHECKING:
    from chat.live.hub import Hub

logger = logging.getLogger(__name__)


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
        self.claims = 0
        self.opened: asyncio.Task[None] | None = None
        self._alerts = Alerts()
        # The last events, without holes up to the head. Empty at first: it fills as events come, and further back
        # when a session needs what came before (reach_back).
        self._ring: deque[LoggedEvent] = deque()
        self._ring_bytes = 0
        # The ring's latest edit of each message.
        self._edits: dict[int, int] = {}
        # How often an event of the ring has lost its text or got another one.
        self._changes = 0
        # Events that came before their turn, by seq: another process's commit was faster.
        self._early: dict[int, LoggedEvent] = {}
        self._gap: asyncio.TimerHandle | None = None
        self._target = 0
        self._offered = 0
        self._reading: asyncio.Task[None] | None = None
        self._reaching_back: asyncio.Task[None] | None = None
        self._offering: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether the tail is known, and the feed not forgotten."""
        return self.opened is not None and self.opened.done() and self.hub.feeds.get(self.room) is self

    async def open(self) -> None:
        """Read where the log stands. Raises ClientError: ROOM_INVALID when the room is gone."""
        place = await self.hub.heads.get(self.room)
        if place is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail="There is no such room.")
        self._start_at(*place, await self._alerts_now())
        # What was rung while the log was read; once this task is done.
        asyncio.get_running_loop().call_soon(self.rung, 0)

    def _start_at(self, head: int, floor: int, epoch: str, alerts: Iterable[Posted]) -> None:
        self.epoch, self.floor, self.head = epoch, floor, head
        self._alerts = Alerts(event for event in alerts if event.seq >= floor)
        self._offered = head
        self._early.clear()
        self._ring.clear()
        self._edits.clear()
        self._ring_bytes = 0

    async def _alerts_now(self) -> list[Posted]:
        # Asked after the head was read, so that none is missing: taking an event again changes nothing.
        return await self.hub.alerts.get(self.room) or []

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
        while self.head + 1 in self._early:
            self._keep(self._early.pop(self.head + 1))
            self.head += 1
            moved = True
        if moved:
            self._early = {seq: event for seq, event in self._early.items() if seq > self.head}
            self._offer_on()
        if len(self._early) > conf.RING_EVENTS:
            highest = max(self._early)
            self._early.clear()
            self.rung(highest)
        elif self._early and self._gap is None:
            # Another process's earlier commit is on its way; if not, the log has it.
            self._gap = asyncio.get_running_loop().call_later(conf.GAP_SECONDS, self._heal)

    def _heal(self) -> None:
        self._gap = None
        if self._early:
            self.rung(max(self._early))

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
        if cursor >= self.head:
            return []
        return list(self._ring_from(cursor + 1)) if self._ring_start <= cursor + 1 else None

    def as_now(self, events: Sequence[LoggedEvent], head: int) -> Sequence[LoggedEvent] | None:
        """Return events that were taken when the log was at `head`, without the texts that are gone since.

        None when the ring does not tell what has happened since.
        """
        since = self.ring_after(head)
        return None if since is None else apply_changes(events, since)

    async def reach_back(self, cursor: int) -> None:
        """Bring what came after `cursor` into the ring, if that is little: read once for all who need it."""
        while self._ring_start > cursor + 1 and self.head - cursor <= conf.REACH_BACK_EVENTS:
            start = self._ring_start
            if self._reaching_back is None:
                self._reaching_back = asyncio.get_running_loop().create_task(self._reach_back(cursor))
            # Shared: one who gives up ends it for no other.
            await asyncio.shield(self._reaching_back)
            if self._ring_start == start:
                return  # Larger than the ring may be, or pruned.

    async def _reach_back(self, cursor: int) -> None:
        try:
            start, head, epoch = self._ring_start, self.head, self.epoch
            page = await database.read(log.read, self.room, after=cursor, limit=start - cursor - 1)
            events = self.as_now(page, head)
            # The ring may have moved on meanwhile, or begun anew.
            if not events or self.epoch != epoch or events[-1].seq + 1 != self._ring_start:
                return
            for event in reversed(events):
                if not self._has_room_for(event):
                    return
                self._ring.appendleft(event)
                self._ring_bytes += event.size
                if isinstance(event.event, Edited):
                    self._edits.setdefault(event.event.edited, event.seq)
        finally:
            self._reaching_back = None

    def _has_room_for(self, event: LoggedEvent) -> bool:
        return len(self._ring) < conf.RING_EVENTS and self._ring_bytes + event.size <= conf.RING_BYTES

    def serves(self, since: int, epoch: str | None) -> bool:
        """Tell whether a client that has all up to `since` of this epoch can be given just the rest."""
        return (epoch is None or epoch == self.epoch) and self.floor - 1 <= since <= self.head

    def attach(self, session: Session, *, cursor: int, reply: Frame) -> None:
        """Let a session listen from `cursor` on. One step without a wait: no event precedes the reply."""
        session.reply(reply)
        place = session.places.get(self.room)
        if place is None:
            place = session.places[self.room] = self.sessions[session] = Place(self, cursor)
        place.cursor = cursor
        if cursor < self.head:
            session.fall_behind(place)

    def detach(self, session: Session) -> None:
        """Let a session listen no more."""
        del session.places[self.room]
        del self.sessions[session]
        self.hub.drop_idle(self)

    def signal(self, frame: Frame, *, but: str | None = None, before: int | None = None) -> None:
        """Send a frame that may be lost to all who listen: but for this user, and whose place is not older."""
        for session, place in list(self.sessions.items()):
            if session.username != but and (before is None or place.order < before):
                session.signal(frame)

    def joined(self, *, reset: bool = False, read: int = 0) -> Frame:
        """Return the frame that tells where this room stands, and up to where the user has read it."""
        return protocol.encode(
            Joined(
                join=str(self.room),
                title=self.title,
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
        """Tell sessions that their cursor cannot be served: they begin anew at the head."""
        reply = self.joined(reset=True)
        for session in list(sessions):
            place = session.places[self.room]
            place.is_behind = False
            if session.is_original:
                # The original client knows no `reset`. It would add a second pane beside the first, dead one.
                session.reply(protocol.encode(Left(leave=str(self.room))))
            self.attach(session, cursor=self.head, reply=reply)

    def dismiss(self, session: Session, reason: ErrorCode) -> None:
        """Close a session's pane, and say why."""
        audit.write("revoked", user=session.user_id, room=self.room, reason=reason.value)
        self.hub.attendance.leave(self, session)
        self.detach(session)
        session.reply(protocol.encode(Left(leave=str(self.room), reason=reason.value)))

    def close(self, reason: ErrorCode) -> None:
        """Close the pane of everybody here."""
        for session in list(self.sessions):
            self.dismiss(session, reason)

    def stop(self) -> None:
        """End this feed's tasks."""
        if self._gap is not None:
            self._gap.cancel()
        for task in (self._reading, self._reaching_back, self._offering, self.opened):
            if task is not None:
                task.cancel()

    async def reopen(self) -> None:
        """Start over from the log if it is another one now: a backup was restored, or it was reset."""
        # Taken before the log is read: the tail may move on meanwhile.
        before = self.head
        place = await self.hub.heads.get(self.room)
        if place is None:
            self.close(ErrorCode.ROOM_INVALID)
            return
        head, _, epoch = place
        if epoch != self.epoch or head < before:
            alerts = await self._alerts_now()
            # No wait from here to the end: no session is offered events of the new log before it has started over.
            logger.warning("room=%s has another log now: all start over", self.room)
            self._start_at(*place, alerts)
            self._target = head
            self.start_over(self.sessions)

    async def _read_on(self) -> None:
        try:
            while self.head < self._target:
                before, epoch = self.head, self.epoch
                page = await database.read(log.read, self.room, after=before, limit=conf.CATCH_UP_PAGE)
                if self.epoch != epoch:
                    continue  # Another log by now: this page is of the old one.
                self.advance(page)
                if self.head == before:
                    # The bell was wrong, or the log has begun anew: the sweep will tell.
                    self._target = self.head
                    self._early.clear()
        except database.AWAY as error:
            # Tried again at the next bell or sweep, and no other feed is hurt.
            logger.warning("room=%s: the log cannot be read: %s", self.room, database.reason(error))
        except Exception:
            logger.exception("room=%s: reading the log failed", self.room)
        finally:
            self._reading = None

    def _keep(self, event: LoggedEvent) -> None:
        self._alerts.take(event.event)
        change = event.event
        # Whoever catches up from the ring must not get a text that was deleted or edited away.
        match change:
            case Deleted(deleted=target):
                self._change(target, change)
                self._change(self._edits.pop(target, 0), change)
            case Edited(edited=target) | Overtaken(edited=target):
                self._change(target, change)
                self._change(self._edits.get(target, 0), change)
                self._edits[target] = event.seq
        self._ring.append(event)
        self._ring_bytes += event.size
        while len(self._ring) > conf.RING_EVENTS or (self._ring_bytes > conf.RING_BYTES and len(self._ring) > 1):
            self._forget_oldest()

    def _change(self, seq: int, change: AnyEvent) -> None:
        """Let an event of the ring stand as it is after a later one."""
        index = seq - self._ring[0].seq if self._ring else -1
        if 0 <= index < len(self._ring):
            kept = self._ring[index]
            self._ring[index] = changed = kept.changed_by(change)
            self._ring_bytes += changed.size - kept.size
            self._changes += changed is not kept

    def _forget_oldest(self) -> None:
        oldest = self._ring.popleft()
        self._ring_bytes -= oldest.size
        if isinstance(oldest.event, Edited | Overtaken) and self._edits.get(oldest.event.edited) == oldest.seq:
            del self._edits[oldest.event.edited]

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
        first = max(self._offered + 1, self._ring_start)
        run = Run(chunk(event.frame for event in self._ring_from(first)))
        self._offered = first + len(run.frames) - 1
        return first, run

    def _next_run_is_last(self) -> bool:
        return sum(len(event.frame.payload) for event in self._ring_from(self._offered + 1)) <= WRITE_BYTES

    @property
    def _ring_start(self) -> int:
        """The seq of the ring's first event, or of the one that it will have."""
        return self._ring[0].seq if self._ring else self.head + 1

    def _ring_from(self, seq: int, until: int | None = None) -> Iterable[LoggedEvent]:
        start = self._ring_start
        return islice(self._ring, max(0, seq - start), None if until is None else max(0, until + 1 - start))

    async def _offer_in_slices(self) -> None:
        # One run after the other, each to all: whoever came or went meanwhile is judged by the cursor.
        try:
            while self._offered < self.head:
                first, run = self._next_run()
                last, changes = self._offered, self._changes
                sessions = list(self.sessions.items())
                for start in range(0, len(sessions), conf.FAN_OUT_SLICE):
                    if changes != self._changes:
                        # While the loop turned, a text of this run may have been deleted or edited away.
                        changes, first = self._changes, max(first, self._ring_start)
                        run = Run([event.frame for event in self._ring_from(first, last)])
                    for session, place in sessions[start : start + conf.FAN_OUT_SLICE]:
                        if session.places.get(self.room) is place:
                            session.offer(place, first, run)
                    await asyncio.sleep(0)
        except Exception:
            logger.exception("room=%s: the fan-out failed: who was not reached catches up", self.room)
            for session, place in self.sessions.items():
                if place.cursor < self.head:
                    session.fall_behind(place)
        finally:
            self._offering = None
