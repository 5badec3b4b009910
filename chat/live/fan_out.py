"""Offers a room's new events to all sessions that listen to it (FanOut)."""

import asyncio
import logging

from chat.conf import conf
from chat.live.ring import Ring
from chat.live.session import Session, Subscription
from chat.live.sockets import WRITE_BYTES, Run, chunk

logger = logging.getLogger(__name__)


class FanOut:
    """One run of events after the other, each encoded and joined once for all sessions."""

    def __init__(self, room: int, ring: Ring, sessions: dict[Session, Subscription]) -> None:
        self._room = room
        self._ring = ring
        self._sessions = sessions
        # The last event that was offered.
        self._offered = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether events are being offered in slices."""
        return self._task is not None

    def start_at(self, head: int) -> None:
        """Offer what comes after `head`, and nothing before it."""
        self._offered = head

    def offer_new(self) -> None:
        """Offer the ring's new events; if there are many sessions or events, in slices and in a task."""
        if self.is_busy:
            return  # It will see the new head.
        if len(self._sessions) <= conf.FAN_OUT_SLICE and self._next_run_is_last():
            first, run = self._next_run()
            for session, subscription in self._sessions.items():
                session.offer(subscription, first, run)
        else:
            self._task = asyncio.get_running_loop().create_task(self._offer_in_slices())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _next_run(self) -> tuple[int, Run]:
        """Return the next events to offer, as many as one write may hold, and the seq of the first."""
        # Events that the ring has lost already are left to the sessions' catching up.
        first = max(self._offered + 1, self._ring.start)
        run = Run(chunk(event.frame for event in self._ring.range(first)))
        self._offered = first + len(run.frames) - 1
        return first, run

    def _next_run_is_last(self) -> bool:
        return sum(len(event.frame.payload) for event in self._ring.range(self._offered + 1)) <= WRITE_BYTES

    async def _offer_in_slices(self) -> None:
        # One run after the other, each to all sessions. If a session comes or goes in between, its cursor decides.
        try:
            while self._offered < self._ring.head:
                first, run = self._next_run()
                last, changes = self._offered, self._ring.changes
                sessions = list(self._sessions.items())
                for start in range(0, len(sessions), conf.FAN_OUT_SLICE):
                    if changes != self._ring.changes:
                        # A text of this run may have been deleted or edited away while other tasks ran.
                        changes, first = self._ring.changes, max(first, self._ring.start)
                        run = Run([event.frame for event in self._ring.range(first, last)])
                    for session, subscription in sessions[start : start + conf.FAN_OUT_SLICE]:
                        if session.subscriptions.get(self._room) is subscription:
                            session.offer(subscription, first, run)
                    await asyncio.sleep(0)
        except Exception:
            logger.exception("room=%s: the fan-out failed: sessions that were not reached catch up", self._room)
            for session, subscription in self._sessions.items():
                if subscription.cursor < self._ring.head:
                    session.fall_behind(subscription)
        finally:
            self._task = None
