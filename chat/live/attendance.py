"""Who is here, by the leases of processes; enter and leave after a grace time."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from chat import conf, protocol
from chat.live import database
from chat.live.lease_keeper import LeaseKeeper
from chat.protocol import Came, Frame, Present
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser

if TYPE_CHECKING:
    from chat.live.feed import Feed
    from chat.live.session import Session

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# So many who come or go at once are a crowd: the list tells of them, and nobody gets a line for each.
CROWD = 50
# Of all time, what telling may take at most: to a room of thousands each change is thousands of writes.
TELLING_SHARE = 0.2


class Attendance:
    """This process's share of who is here: per user, however many tabs.

    Written when it changes, many changes at once, and never per socket; the lease alone is renewed.
    """

    def __init__(self, *, process: str, feeds: dict[int, "Feed"], tell: Callable[[Change], None]) -> None:
        self._feeds = feeds
        self._tell_others = tell
        self._sessions: Counter[RoomUser] = Counter()
        # Lost connections that are waited for.
        self._waiting: dict[RoomUser, asyncio.TimerHandle] = {}
        # What of all this the database has.
        self._lease = LeaseKeeper(process, is_here=self._is_here, tell=self._tell)
        self._is_handing_over = False
        # Who is here by room, as last told to the room.
        self._here: dict[int, set[str]] = {}
        # The same as a frame, made when it is first asked for.
        self._lists: dict[int, Frame] = {}
        # What place a user's first session here took, by room and username.
        self._orders: dict[tuple[int, str], int] = {}
        self._heard: list[Change] = []
        self._telling: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._settling: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew the lease and to look at the others'."""
        self._renewing = self._loop.create_task(self._renew_always())

    async def stop(self) -> None:
        """Stop. Whoever is still here is given the time of the lease to turn up elsewhere."""
        for timer in self._waiting.values():
            timer.cancel()
        tasks = [task for task in (self._settling, self._renewing, self._telling) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hand_over(self) -> None:
        """Tell of nobody's going from now on: this process ends, and its users turn up in another.

        The lease is left to run out: then whoever is under no other process is gone.
        """
        self._is_handing_over = True
        for timer in self._waiting.values():
            timer.cancel()

    def arrive(self, feed: "Feed", session: "Session") -> None:
        """A session has joined a room."""
        pair = RoomUser(feed.room, session.user_id)
        self._sessions[pair] += 1
        if self._sessions[pair] == 1:
            self._orders[feed.room, session.username] = session.places[feed.room].order
        if timer := self._waiting.pop(pair, None):
            timer.cancel()
        if conf.TELL_WHO_IS_PRESENT and feed.room in self._here:
            session.signal(self._list(feed.room))
        if pair not in self._lease.written or feed.room not in self._here:
            self._settle_soon()

    def leave(self, feed: "Feed", session: "Session") -> None:
        """A session has left a room, or was made to: its going is told at once."""
        if self._count_out(RoomUser(feed.room, session.user_id)):
            self._orders.pop((feed.room, session.username), None)
            self._settle_soon()

    def lose(self, feed: "Feed", session: "Session") -> None:
        """A session's connection is lost: its user has a grace time to be back."""
        pair = RoomUser(feed.room, session.user_id)
        if self._is_handing_over or not self._count_out(pair):
            return
        self._orders.pop((feed.room, session.username), None)
        if conf.GRACE_SECONDS:
            self._waiting[pair] = self._loop.call_later(conf.GRACE_SECONDS, self._give_up, pair)
        else:
            self._settle_soon()

    def forget(self, room: int) -> None:
        """Nobody here listens to the room any more: who is in it is asked anew by whoever comes."""
        self._here.pop(room, None)
        self._lists.pop(room, None)

    def recap(self, session: "Session") -> None:
        """Tell a session that has missed signals who is here now."""
        for room in session.places:
            if conf.TELL_WHO_IS_PRESENT and room in self._here:
                session.signal(self._list(room))

    def hear_all(self, changes: Iterable[Change]) -> None:
        """Take up comings and goings, decided here or elsewhere, and tell the rooms."""
        self._heard.extend(changes)
        if self._telling is None and self._heard:
            self._telling = self._loop.create_task(self._tell_heard())

    async def _tell_heard(self) -> None:
        try:
            while self._heard:
                took = 0.0
                rooms: dict[int, list[Change]] = {}
                heard, self._heard = self._heard, []
                for change in heard:
                    rooms.setdefault(change.room, []).append(change)
                for room, changes in rooms.items():
                    start = self._loop.time()
                    if feed := self._feeds.get(room):
                        self._hear(feed, changes)
                    took += self._loop.time() - start
                    await asyncio.sleep(0)
                # Events go in between, and what is heard meanwhile is told together.
                await asyncio.sleep(took * (1 / TELLING_SHARE - 1))
        finally:
            self._telling = None

    def _hear(self, feed: "Feed", changes: list[Change]) -> None:
        """Take up what happened in one room, in its order, and tell the room."""
        names = self._here.get(feed.room)
        news: dict[str, bool] = {}
        for change in changes:
            if conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS and len(changes) <= CROWD:
                self._tell_one(feed, change)
            if names is not None and (change.username in names) is not change.is_here:
                self._lists.pop(feed.room, None)
                (names.add if change.is_here else names.discard)(change.username)
                news[change.username] = change.is_here
        if news:
            self._tell_present(feed.room, news)

    def _tell_one(self, feed: "Feed", change: Change) -> None:
        msg_type = conf.MSG_TYPE_ENTER if change.is_here else conf.MSG_TYPE_LEAVE
        # Nobody gets their own ENTER, in no tab; who leaves gets their own LEAVE with the command's answer.
        # And whoever came later than they did finds them there.
        before = self._orders.get((feed.room, change.username)) if change.is_here else None
        feed.signal(came(feed.room, change.username, msg_type), but=change.username, before=before)

    async def until_nobody(self) -> None:
        """Wait until no lost connection is waited for and all is written."""
        while self.is_waiting or self._settling is not None:
            if self._settling is not None:
                await asyncio.wait([self._settling])
            else:
                await asyncio.sleep(conf.GRACE_SECONDS / 10)

    @property
    def is_waiting(self) -> bool:
        """Tell whether a lost connection is waited for."""
        return bool(self._waiting) and not self._is_handing_over

    def _count_out(self, pair: RoomUser) -> bool:
        self._sessions[pair] -= 1
        if self._sessions[pair]:
            return False
        del self._sessions[pair]
        return True

    def _give_up(self, pair: RoomUser) -> None:
        del self._waiting[pair]
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settling is None:
            self._settling = self._loop.create_task(self._settle())

    async def _settle(self) -> None:
        """Bring the database to what is true here; what comes meanwhile goes into the next turn."""
        try:
            while True:
                different = {*self._sessions, *self._waiting} ^ self._lease.written
                unknown = [room for room in self._feeds if room not in self._here]
                if not (different or unknown):
                    return
                try:
                    is_written = await self._lease.settle(different)
                    self._learn(await database.read(presence.present, unknown))
                except Exception as error:
                    database.warn(logger, "who is here could not be written, held", error)
                    is_written = False
                if not is_written:
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            self._settling = None

    def _is_here(self, pair: RoomUser) -> bool:
        return pair in self._sessions or pair in self._waiting

    async def _renew_always(self) -> None:
        while True:
            await asyncio.sleep(conf.LEASE_RENEW_SECONDS)
            try:
                if not await self._lease.renew():
                    # Given up for dead, as after a long standstill: whoever is here came back with us.
                    logger.warning("this process's lease had run out: its users are written anew")
                    self._settle_soon()
                await self._lease.bury_dead()
                self._learn(await database.read(presence.present, list(self._here)))
            except Exception as error:
                database.warn(logger, "the lease could not be renewed", error)

    def _tell(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        self.hear_all(changes)
        for change in changes:
            self._tell_others(change)

    def _learn(self, here: dict[int, set[str]]) -> None:
        """Take who is here from the database: the list itself heals whatever signal was lost."""
        for room, names in here.items():
            if room not in self._feeds:
                self.forget(room)
            elif room not in self._here:
                self._here[room] = names
                if conf.TELL_WHO_IS_PRESENT:
                    self._feeds[room].signal(self._list(room))
            elif names != self._here[room]:
                before, self._here[room] = self._here[room], names
                self._lists.pop(room, None)
                changes = dict.fromkeys(names - before, True) | dict.fromkeys(before - names, False)
                self._tell_present(room, changes)

    def _tell_present(self, room: int, changes: dict[str, bool]) -> None:
        if conf.TELL_WHO_IS_PRESENT and (feed := self._feeds.get(room)):
            feed.signal(protocol.encode(Present(room=str(room), present=changes)))

    def _list(self, room: int) -> Frame:
        if room not in self._lists:
            self._lists[room] = protocol.encode(Present(room=str(room), present=sorted(self._here[room])))
        return self._lists[room]


def came(room: int, username: str, msg_type: int) -> Frame:
    """Return the frame that tells of an ENTER or a LEAVE."""
    return protocol.encode(Came(room=str(room), username=username, msg_type=msg_type))
