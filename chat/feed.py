"""One room in this process: its tail, its last events, and the sessions they are fanned out to (Feed)."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from chat import audit, conf, database, log, protocol
from chat.exceptions import ClientError, ErrorCode
from chat.log import LoggedEvent
from chat.protocol import Deleted, Frame, Joined, Left
from chat.session import WRITE_BYTES, Place, Run, Session, chunk

if TYPE_CHECKING:
    from chat.hub import Hub

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
        while self.head + 1 in self._early:
            self._keep(self._early.pop(self.head + 1))
            self.head += 1
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
        place.cursor = cursor
        if cursor < self.head:
            session.fall_behind(place)

    def detach(self, session: Session) -> None:
        """Let a session listen no more."""
        del session.places[self.room]
        del self.sessions[session]
        self.hub.drop_idle(self)

    def signal(self, frame: Frame, *, but: str | None = None) -> None:
        """Send a frame that may be lost to all who listen, but for the user of this name."""
        for session in list(self.sessions):
            if session.username != but:
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
            )
        )

    def start_over(self, sessions: Iterable[Session]) -> None:
        """Tell sessions that their cursor cannot be served: they begin anew at the head."""
        reply = self.joined(reset=True)
        for session in list(sessions):
            place = session.places[self.room]
            place.is_behind = False
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
        for task in (self._reading, self._offering, self.opened):
            if task is not None:
                task.cancel()

    async def reopen(self) -> None:
        """Start over from the log if it is another one now: a backup was restored, or it was reset."""
        # Taken before the log is read: the tail may move on meanwhile.
        before = self.head
        tail = await database.read(log.tail, self.room, limit=conf.RING_EVENTS)
        if tail is None:
            self.close(ErrorCode.ROOM_INVALID)
        elif tail.epoch != self.epoch or tail.head < before:
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
            self._ring_bytes = sum(len(kept.frame.payload) for kept in self._ring)
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
        run = Run(chunk(event.frame for event in self._ring_from(first)))
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
