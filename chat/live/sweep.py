"""The periodic look at all heads and changes of rights: it finds what a lost bell would have announced (Sweep)."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from chat.conf import conf
from chat.exceptions import ClientError
from chat.live import database
from chat.store import access, log

if TYPE_CHECKING:
    from chat.live.feed import Feed
    from chat.live.hub import Hub

logger = logging.getLogger(__name__)

# On a site with at most this many rooms, every sweep reads the heads of all of them.
SLICE = 1000
# Rooms that bells named since the last sweep. The slices find the rest.
MAX_BELLS = 1000

# Head, floor and epoch of rooms, by id.
Heads = dict[int, tuple[int, int, str]]


class Sweep:
    """Runs twice a second, more often while bells are lost, and at once after a standstill."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._wanted = asyncio.Event()
        # After which room the next slice begins.
        self.after = 0
        # Rooms without listeners here that a bell has named: their unread counts may have changed.
        self._rung: set[int] = set()

    def run_soon(self) -> None:
        """Do not wait for the end of the period."""
        self._wanted.set()

    def hear_bell(self, room: int) -> None:
        """Include a room that has no listeners here in the next sweep."""
        if len(self._rung) < MAX_BELLS:
            self._rung.add(room)

    def next_rooms(self, listened_to: Iterable[int]) -> list[int]:
        """Return the rooms to read whatever the slice is: those with listeners, and those that bells named."""
        rung, self._rung = self._rung, set()
        return [*dict.fromkeys([*listened_to, *rung])]

    async def run_always(self) -> None:
        hub = self._hub
        was_failing = False
        while True:
            period = conf.SWEEP_DEGRADED_SECONDS if hub.is_degraded else conf.SWEEP_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await self._wanted.wait()
            self._wanted.clear()
            standstills = hub.pulse.standstills
            try:
                await self.run()
                if hub.pulse.is_waiting_for_sweep:
                    # Rights as well as heads, before anything is written again.
                    await hub.revocation.check()
                was_failing = False
            except Exception as error:
                if not was_failing:
                    database.warn(logger, "the database does not answer the sweep", error)
                was_failing = True
                continue
            hub.pulse.heal(standstills)

    async def run(self) -> None:
        """Read the heads and the changes of rights once, and act on them."""
        hub = self._hub
        hub.revocation.find_expired()
        rooms = [room for room, feed in hub.feeds.items() if feed.is_open]
        # Taken before the query, because a tail may move on while it runs.
        before = {room: hub.feeds[room].head for room in rooms}
        began = asyncio.get_running_loop().time()
        # A slice of all rooms is read only if users watch: for their unread counts.
        after = None if hub.watchers.is_idle else self.after
        heads, self.after, changes = await database.poll(_poll, self.next_rooms(rooms), after)
        # Before any feed reads on: messages that came after a right ended must not reach the users who had it.
        hub.look_for_deletions(await hub.revocation.sweep(changes, began=began))
        hub.watchers.note_epochs({room: epoch for room, (_, _, epoch) in heads.items()})
        hub.watchers.note_heads({room: head for room, (head, _, _) in heads.items()})
        hub.watchers.note_floors({room: floor for room, (_, floor, _) in heads.items()})
        for room in rooms:
            if feed := hub.feeds.get(room):
                await self._apply_head(feed, before[room], *heads.get(room, (0, 0, "")))

    async def _apply_head(self, feed: "Feed", before: int, head: int, floor: int, epoch: str) -> None:
        """Take what was read about a feed's room; `before` was the feed's head when the sweep began."""
        if epoch == feed.epoch and head >= before:
            feed.raise_floor(floor)
            feed.hear_bell(head)
            return
        try:
            try:
                await feed.reopen()
            except ClientError as refusal:
                for session in list(feed.sessions):
                    self._hub.dismiss(session, feed.room, refusal.code)
        except Exception:
            # The next sweep tries again; the other rooms go on.
            logger.exception("room=%s: starting over failed", feed.room)


def _poll(rooms: list[int], after: int | None) -> tuple[Heads, int, list[access.Row]]:
    return *read_heads(rooms, after), access.recent_changes()


def read_heads(rooms: list[int], after: int | None) -> tuple[Heads, int]:
    """Return the heads of these rooms, and of the slice of all rooms above id `after` (None: of no slice).

    And the id after which the next slice begins.
    """
    if after is None:
        return log.heads(rooms), 0
    heads = log.heads_after(after, limit=SLICE + 1)
    # One more than the slice, to know whether this is the last one.
    last = max(heads) - 1 if len(heads) > SLICE else 0
    # If the slice is all rooms, a room that is not in it does not exist.
    if after or last:
        heads |= log.heads([room for room in rooms if room not in heads])
    return heads, last
