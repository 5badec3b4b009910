"""Tells the sockets that want it which rooms there are, and what is unread in them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from chat import conf, protocol
from chat.live import audiences, database
from chat.live.audiences import Audiences, RoomList, Slice
from chat.live.counting import Counting
from chat.live.positions import Positions
from chat.live.session import Session
from chat.protocol import Frame, Head, Heads
from chat.store import memberships, unread
from chat.store.room_user import RoomUser

logger = logging.getLogger(__name__)

# Of how many new users first visits are asked for at once.
USERS = 500
# Rooms in one heads frame.
HEADS = 1000


class Watch:
    """What this process's watching sockets know of rooms and unread counts.

    One task does all work that waits, in slices; it is proportional to what changed. One frame serves all sockets
    that are told the same: a list of rooms all users of a kind, counts all sockets of a user.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._audiences = Audiences()
        self._counting = Counting(self._audiences, positions, on_changed=self._tell_heads)
        # Users with a socket that has asked, and has no answer yet; and those whose first visit is not known.
        self._asking: dict[int, None] = {}
        self._new_users: dict[int, None] = {}
        # The list by which a user's rooms are counted.
        self._listed: dict[int, RoomList] = {}
        self._are_rooms_old = False
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody watches."""
        return not self._audiences

    def begin(self, session: Session) -> None:
        """Tell a socket of all rooms and counts, and from now on of changes."""
        if self.is_idle:
            self._counting.look_soon()
        if self._audiences.add(session):
            self._new_users[session.user_id] = None
        self._asking[session.user_id] = None
        self._work()

    def end(self, session: Session) -> None:
        """A socket is gone."""
        # One that never signed in watches nothing.
        if session.standing is None or not self._audiences.remove(session):
            return
        user = session.user_id
        self._counting.forget(user)
        self._asking.pop(user, None)
        self._new_users.pop(user, None)
        self._listed.pop(user, None)
        if self.is_idle:
            self._counting.clear()

    async def stop(self) -> None:
        """Stop counting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def saw(self, heads: dict[int, int]) -> None:
        """Hear where some or all of the rooms' logs are now."""
        if not self.is_idle:
            self._counting.saw(heads)
            self._counting.look_soon()
            self._work()

    def rooms_changed(self) -> None:
        """Hear that rooms or rights are other ones now."""
        self._are_rooms_old = True
        self._work()

    def read(self, user: int, room: int) -> None:
        """Hear that a socket of this process has moved a user's read position."""
        move, known = self._positions.pending(RoomUser(room, user)), self._counting.counts.get(user, room)
        if move is not None and known is not None and (move.is_set or move.seq > known.read):
            self._counting.read(user, room, move.seq)
            self._work()

    def wrote(self, pairs: Iterable[RoomUser]) -> None:
        """Hear which read positions this process has written."""
        self._counting.wrote(pairs)

    def refused(self, pair: RoomUser) -> None:
        """Hear that a read position was refused: what was told of it is not so."""
        self._counting.want_pair(pair)
        self._work()

    def heard_read(self, user: int) -> None:
        """Hear that another process has moved a user's read position."""
        if user in self._audiences:
            self._counting.look_soon()
            self._work()

    def position(self, user: int, room: int) -> int:
        """Return up to where a user has read a room, as far as it is known here; else 0."""
        if known := self._counting.counts.get(user, room):
            return known.read
        move = self._positions.pending(RoomUser(room, user))
        return move.seq if move else 0

    def head(self, user: int, room: int) -> int | None:
        """Return the head of a room that a watching user was told of."""
        return self._counting.head(user, room)

    def recap(self, session: Session) -> None:
        """Tell a socket that has missed signals everything again: from memory, and no other socket."""
        if session.standing is not None and self._audiences.has(session):
            self.begin(session)

    def _work(self) -> None:
        if self._audiences and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work_on())

    async def _work_on(self) -> None:
        try:
            while self._audiences and self._has_work():
                # Each fails alone: what cannot be counted keeps no news from the others.
                done = [
                    await self._try(self._list_rooms, "rooms could not be listed, held"),
                    await self._try(self._answer, "rooms could not be told, held"),
                    await self._try(self._begin_users, "first visits could not be stored, held"),
                    await self._try(self._counting.look, "read positions could not be read, held"),
                    await self._try(self._counting.count, "unread messages could not be counted, held"),
                    await self._try(self._counting.add_news, "new messages could not be counted, held"),
                ]
                await asyncio.sleep(0 if all(done) else conf.SWEEP_SECONDS)
        finally:
            self._task = None

    def _has_work(self) -> bool:
        return self._are_rooms_old or bool(self._asking or self._new_users) or self._counting.has_work

    async def _try(self, work: Callable[[], Awaitable[None]], failure: str) -> bool:
        try:
            await work()
        except Exception as error:
            # Once, however often it is tried.
            if failure not in self._failing:
                database.warn(logger, failure, error)
            self._failing.add(failure)
            return False
        self._failing.discard(failure)
        return True

    async def _list_rooms(self) -> None:
        """Put users with their kind, load the rooms of each, and tell the users whose rooms are other ones now."""
        if not self._are_rooms_old:
            return
        self._are_rooms_old = False
        share = Slice()
        for user in self._audiences.users():
            self._audiences.sort(user)
            await share.turn()
        try:
            self._audiences.put(await database.read(audiences.load, self._audiences.kinds()))
        except Exception:
            self._are_rooms_old = True
            raise
        for user in self._audiences.users():
            self._tell_rooms(user)
            await share.turn()

    async def _answer(self) -> None:
        """Tell the sockets that asked."""
        asking = list(self._asking)
        for user in asking:
            self._audiences.sort(user)
        if unlisted := self._audiences.kinds(without_list=True):
            self._audiences.put(await database.read(audiences.load, unlisted))
        share = Slice()
        for user in asking:
            self._asking.pop(user, None)
            self._tell_rooms(user)
            await share.turn()

    def _tell_rooms(self, user: int) -> None:
        """Send a user's list of rooms where it is another one, and count the rooms that came."""
        now, before = self._audiences.list_of(user), self._listed.get(user)
        if now is None:
            return  # Gone, or came meanwhile.
        if now is not before:
            self._listed[user] = now
            if before is not None:
                self._counting.forget(user, before.rooms.keys() - now.rooms.keys())
                if user not in self._new_users:
                    self._counting.want(user, now.rooms.keys() - before.rooms.keys())
        if asking := self._audiences.tell(user):
            for frame in self._heads(user, now.rooms):
                for session in asking:
                    session.signal(frame)

    async def _begin_users(self) -> None:
        """Store when users came first, and count their rooms."""
        users = [user for user in islice(self._new_users, USERS) if user in self._listed]
        if not users:
            return
        if new := set(users) - await database.read(unread.visitors, users):
            await database.write_behind(memberships.visit, new)
        share = Slice()
        for user in users:
            # Gone, or in line again, meanwhile.
            if user in self._new_users and user in self._listed:
                del self._new_users[user]
                self._counting.want(user, self._listed[user].rooms)
            await share.turn()

    def _tell_heads(self, user: int, rooms: Iterable[int]) -> None:
        """Tell a user's sockets what is unread in some rooms."""
        if sessions := self._audiences.told(user):
            for frame in self._heads(user, rooms):
                for session in sessions:
                    session.signal(frame)

    def _heads(self, user: int, rooms: Iterable[int]) -> Iterable[Frame]:
        """Return frames of what is unread in those of the rooms that are counted and the user's."""
        names, get = self._audiences.rooms(user), self._counting.counts.get
        heads = {names[room]: Head(*known) for room in rooms if room in names and (known := get(user, room))}
        entries = iter(heads.items())
        while part := dict(islice(entries, HEADS)):
            yield protocol.encode(Heads(heads=part))
