"""Presence: which users are in which rooms, by the leases of processes, with a grace time for lost connections."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from chat import protocol
from chat.conf import conf
from chat.live import database
from chat.live.feed import PresenceLine
from chat.live.lease_keeper import LeaseKeeper
from chat.protocol import EnteredOrLeft, Frame, Present
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser

if TYPE_CHECKING:
    from chat.live.feed import Feed
    from chat.live.session import Session

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
# If more users than this come or go in a room at once, only the list of users is sent, and no ENTER or LEAVE for each.
CROWD = 50
# The share of the event loop's time that announcing may take: in a room of thousands each change is thousands of
# writes.
ANNOUNCING_SHARE = 0.1
MOST_ANNOUNCING_PAUSE_SECONDS = 3.0
# The share of the time that writing presence may take while users keep coming. The others of a pause are written
# together, so that thousands who connect at once cost few transactions.
SETTLING_SHARE = 0.1
MOST_SETTLING_PAUSE_SECONDS = 1.0
# The lists of all rooms are compared with the database once in so many renewals of the lease, a part of them each time.
# Only a signal that was lost makes them differ.
LIST_TURNS = 3


class Attendance:
    """The users who are in rooms through this process. A user with many tabs counts once.

    Only changes are written, many at once and never per socket. What is renewed is the process's lease alone.
    """

    def __init__(self, *, process: str, feeds: dict[int, "Feed"], announce: Callable[[Change], None]) -> None:
        self._feeds = feeds
        self._announce_elsewhere = announce
        self._sessions: Counter[RoomUser] = Counter()
        # Users whose last connection was lost, and the end of their grace time.
        self._in_grace: dict[RoomUser, asyncio.TimerHandle] = {}
        # Writes to the database, and knows what is written there.
        self._lease = LeaseKeeper(process, is_here=self._is_here, announce=self._announce)
        self._is_handing_over = False
        # The pairs that may differ from what the database has.
        self._unsettled: set[RoomUser] = set()
        # The usernames in each room, as last sent to it.
        self._here: dict[int, set[str]] = {}
        # The same as frames, each made when it is first needed.
        self._lists: dict[int, Frame] = {}
        # The order of the subscription that a user's first session here took, by room and username.
        self._orders: dict[tuple[int, str], int] = {}
        # Changes that were not announced yet.
        self._changes: list[Change] = []
        self._announcing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._settling: asyncio.Task[None] | None = None
        self._renewing: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to renew the lease and to check those of other processes."""
        self._renewing = self._loop.create_task(self._renew_always())

    async def stop(self) -> None:
        """Stop. Users who are still here have until the lease runs out to reconnect to another process."""
        for timer in self._in_grace.values():
            timer.cancel()
        tasks = [task for task in (self._settling, self._renewing, self._announcing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def hand_over(self) -> None:
        """Announce no leaving from now on: this process ends, and its users reconnect to another.

        The lease is left to run out. Users whom no other process has by then count as gone.
        """
        self._is_handing_over = True
        for timer in self._in_grace.values():
            timer.cancel()

    def join(self, feed: "Feed", session: "Session") -> None:
        """Count a session that has joined a room."""
        pair = RoomUser(feed.room, session.user_id)
        self._sessions[pair] += 1
        if self._sessions[pair] == 1:
            self._orders[feed.room, session.username] = session.subscriptions[feed.room].order
        if timer := self._in_grace.pop(pair, None):
            timer.cancel()
        if conf.SEND_PRESENCE and feed.room in self._here:
            session.signal(self._list(feed.room))
        # While a turn is being written, its end may find that this user had just left.
        if pair not in self._lease.written or self._settling is not None:
            self._unsettled.add(pair)
        if pair not in self._lease.written or feed.room not in self._here:
            self._settle_soon()

    def leave(self, feed: "Feed", session: "Session") -> None:
        """Count out a session that has left a room or was dismissed: its user leaves at once."""
        pair = RoomUser(feed.room, session.user_id)
        if self._count_out(pair):
            self._orders.pop((feed.room, session.username), None)
            self._unsettled.add(pair)
            self._settle_soon()

    def lose(self, feed: "Feed", session: "Session") -> None:
        """Count out a session whose connection was lost: its user has a grace time to come back."""
        pair = RoomUser(feed.room, session.user_id)
        if self._is_handing_over or not self._count_out(pair):
            return
        self._orders.pop((feed.room, session.username), None)
        if conf.GRACE_SECONDS:
            self._in_grace[pair] = self._loop.call_later(conf.GRACE_SECONDS, self._end_grace, pair)
        else:
            self._unsettled.add(pair)
            self._settle_soon()

    def forget_room(self, room: int) -> None:
        """Forget a room that has no sessions here any more: the next session reads its users again."""
        self._here.pop(room, None)
        self._lists.pop(room, None)

    def resend_lists(self, session: "Session") -> None:
        """Send the lists of users to a session that has missed signals."""
        for room in session.subscriptions:
            if conf.SEND_PRESENCE and room in self._here:
                session.signal(self._list(room))

    def rename_users(self, renamed: Mapping[str, str]) -> None:
        """Show users by their new usernames (from the earlier ones) in their rooms, before the next comparison."""
        for room, names in self._here.items():
            # All at once, because one user may have taken the name that another one gave up.
            if moved := {before: after for before, after in renamed.items() if before in names}:
                names.difference_update(moved)
                names.update(moved.values())
                self._lists.pop(room, None)
                if conf.SEND_PRESENCE and (feed := self._feeds.get(room)):
                    feed.signal(_present(room, dict.fromkeys(moved, False) | dict.fromkeys(moved.values(), True)))

    def apply_changes(self, changes: Iterable[Change]) -> None:
        """Take users' comings and goings, from here or elsewhere, and announce them to the rooms soon."""
        self._changes.extend(changes)
        if self._announcing is None and self._changes:
            self._announcing = self._loop.create_task(self._announce_changes())

    async def _announce_changes(self) -> None:
        try:
            while self._changes:
                took = 0.0
                rooms: dict[int, list[Change]] = {}
                pending, self._changes = self._changes, []
                for change in pending:
                    rooms.setdefault(change.room, []).append(change)
                for room, changes in rooms.items():
                    start = self._loop.time()
                    if feed := self._feeds.get(room):
                        self._announce_in(feed, changes)
                    took += self._loop.time() - start
                    await asyncio.sleep(0)
                # Events are written during the pause. Changes that come in it are announced together.
                await asyncio.sleep(min(took * (1 / ANNOUNCING_SHARE - 1), MOST_ANNOUNCING_PAUSE_SECONDS))
        finally:
            self._announcing = None

    def _announce_in(self, feed: "Feed", changes: list[Change]) -> None:
        """Announce the changes of one room, in their order."""
        names = self._here.get(feed.room)
        differences: dict[str, bool] = {}
        lines: list[PresenceLine] = []
        for change in changes:
            if conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS and len(changes) <= CROWD:
                lines.append(self._line(change))
            if names is not None and (change.username in names) is not change.is_here:
                self._lists.pop(feed.room, None)
                (names.add if change.is_here else names.discard)(change.username)
                differences[change.username] = change.is_here
        present = _present(feed.room, differences) if conf.SEND_PRESENCE and differences else None
        if lines or present is not None:
            feed.announce(lines, present)

    def _line(self, change: Change) -> PresenceLine:
        msg_type = conf.MSG_TYPE_ENTER if change.is_here else conf.MSG_TYPE_LEAVE
        # Users do not get their own ENTER in any tab, and get their own LEAVE with the command's answer.
        before = self._orders.get((change.room, change.username)) if change.is_here else None
        return PresenceLine(came(change.room, change.username, msg_type), change.username, before)

    async def until_settled(self) -> None:
        """Wait until all grace times are over and all changes are written."""
        while self.is_in_grace or self._settling is not None:
            if self._settling is not None:
                await asyncio.wait([self._settling])
            else:
                await asyncio.sleep(conf.GRACE_SECONDS / 10)

    @property
    def is_in_grace(self) -> bool:
        """Tell whether a user whose connection was lost may still come back in time."""
        return bool(self._in_grace) and not self._is_handing_over

    def _count_out(self, pair: RoomUser) -> bool:
        self._sessions[pair] -= 1
        if self._sessions[pair]:
            return False
        del self._sessions[pair]
        return True

    def _end_grace(self, pair: RoomUser) -> None:
        del self._in_grace[pair]
        self._unsettled.add(pair)
        self._settle_soon()

    def _settle_soon(self) -> None:
        if self._settling is None:
            self._settling = self._loop.create_task(self._settle())

    async def _settle(self) -> None:
        """Bring the database to what is true here. Changes that come in the meantime are written in the next turn."""
        try:
            while True:
                unsettled, self._unsettled = self._unsettled, set()
                different = [pair for pair in unsettled if self._is_here(pair) is not (pair in self._lease.written)]
                unknown = [room for room in self._feeds if room not in self._here]
                if not (different or unknown):
                    return
                start = self._loop.time()
                try:
                    is_written = await self._lease.settle(different)
                    self._update_lists(await database.read(presence.present_usernames, unknown))
                except Exception as error:
                    database.warn(logger, "presence could not be written; trying again", error)
                    is_written = False
                if not is_written:
                    self._unsettled.update(different)
                    await asyncio.sleep(RETRY_SECONDS)
                elif self._unsettled and not self._is_handing_over:
                    took = self._loop.time() - start
                    await asyncio.sleep(min(took * (1 / SETTLING_SHARE - 1), MOST_SETTLING_PAUSE_SECONDS))
        finally:
            self._settling = None

    def _is_here(self, pair: RoomUser) -> bool:
        return pair in self._sessions or pair in self._in_grace

    async def _renew_always(self) -> None:
        for turn in itertools.count():
            await asyncio.sleep(conf.LEASE_RENEW_SECONDS)
            try:
                if not await self._lease.renew():
                    # Other processes have taken this one for dead, as after a long standstill.
                    logger.warning("this process's lease had run out: its users are written again")
                    self._unsettled.update(self._sessions, self._in_grace)
                    self._settle_soon()
                await self._lease.expire_dead()
                self._update_lists(await database.read(presence.present_usernames, self._rooms_of_turn(turn)))
            except Exception as error:
                database.warn(logger, "the lease could not be renewed", error)

    def _rooms_of_turn(self, turn: int) -> list[int]:
        return [room for room in self._here if room % LIST_TURNS == turn % LIST_TURNS]

    def _announce(self, changes: Iterable[Change]) -> None:
        changes = list(changes)
        self.apply_changes(changes)
        for change in changes:
            self._announce_elsewhere(change)

    def _update_lists(self, here: dict[int, set[str]]) -> None:
        """Take the users of rooms as the database has them: this heals any signal that was lost."""
        for room, names in here.items():
            if room not in self._feeds:
                self.forget_room(room)
            elif room not in self._here:
                self._here[room] = names
                if conf.SEND_PRESENCE:
                    self._feeds[room].signal(self._list(room))
            elif names != self._here[room]:
                before, self._here[room] = self._here[room], names
                self._lists.pop(room, None)
                differences = dict.fromkeys(names - before, True) | dict.fromkeys(before - names, False)
                if conf.SEND_PRESENCE:
                    self._feeds[room].signal(_present(room, differences))

    def _list(self, room: int) -> Frame:
        if room not in self._lists:
            self._lists[room] = protocol.encode(Present(room=str(room), present=sorted(self._here[room])))
        return self._lists[room]


def _present(room: int, differences: dict[str, bool]) -> Frame:
    return protocol.encode(Present(room=str(room), present=differences))


def came(room: int, username: str, msg_type: int) -> Frame:
    """Return the frame of an ENTER or a LEAVE."""
    return protocol.encode(EnteredOrLeft(room=str(room), username=username, msg_type=msg_type))
