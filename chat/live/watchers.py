"""Sends the list of rooms and the unread counts to the sockets that watch (Watchers)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from chat import protocol
from chat.conf import conf
from chat.live import audiences, database
from chat.live.audiences import Audiences, Slice, UserList
from chat.live.counting import Counting
from chat.live.positions import Positions
from chat.live.session import Session
from chat.protocol import Frame, Head, Heads
from chat.store import memberships, own_rooms, unread
from chat.store.concerns import Concern
from chat.store.room_user import RoomUser
from chat.store.unread import Unread

logger = logging.getLogger(__name__)

# The number of new users whose first visits are read at once.
MAX_NEW_USERS = 500
# The number of users whose rooms as members are read at once.
MAX_OWN_USERS = 500
# Rooms in one heads frame.
MAX_HEADS = 1000


class Watchers:
    """The sockets of this process that have sent `watch`, and what each of them was sent.

    One task does all work, in slices; its cost is proportional to what changed. One frame serves all sockets that get
    the same: a list of rooms goes to all users of a kind, counts go to all sockets of a user.
    """

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._audiences = Audiences()
        self._counting = Counting(
            self._audiences, positions, on_changed=self._send_heads, on_replaced=self._database_replaced
        )
        # Users with a socket that has no answer to its `watch` yet.
        self._unanswered: dict[int, None] = {}
        # Users whose first visit was not read yet.
        self._new_users: dict[int, None] = {}
        # The list by which a user's rooms are counted.
        self._listed: dict[int, UserList] = {}
        self._are_rooms_old = False
        # Users whose rooms as a member have to be read again, and rooms whose members have.
        self._own_old: dict[int, None] = {}
        self._members_old: set[int] = set()
        # By user: rooms whose panes were closed because the user lost the right, until the lists are read again.
        self._lost: dict[int, set[int]] = {}
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether no socket watches."""
        return not self._audiences

    def add(self, session: Session) -> None:
        """Send a socket all rooms and counts, and from now on the changes."""
        if self.is_idle:
            self._counting.read_moves_soon()
        if self._audiences.add(session):
            self._new_users[session.user_id] = None
            self._own_old[session.user_id] = None
        self._unanswered[session.user_id] = None
        self._work()

    def remove(self, session: Session) -> None:
        """Forget a socket that is gone."""
        # A socket that never signed in does not watch.
        if session.standing is None or not self._audiences.remove(session):
            return
        user = session.user_id
        self._counting.forget(user)
        self._unanswered.pop(user, None)
        self._new_users.pop(user, None)
        self._own_old.pop(user, None)
        self._listed.pop(user, None)
        self._lost.pop(user, None)
        if self.is_idle:
            self._counting.clear()

    async def stop(self) -> None:
        """Stop counting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def note_epochs(self, epochs: dict[int, str]) -> None:
        """Take the epochs of some or all rooms, as a sweep has read them, before their heads."""
        if not self.is_idle:
            self._counting.note_epochs(epochs)
            self._work()

    def note_heads(self, heads: dict[int, int]) -> None:
        """Take the heads of some or all rooms, as a sweep has read them."""
        if not self.is_idle:
            self._counting.note_heads(heads)
            self._counting.read_moves_soon()
            self._work()

    def note_floors(self, floors: dict[int, int]) -> None:
        """Take the floors of some or all rooms, as a sweep has read them."""
        if not self.is_idle:
            self._counting.note_floors(floors)
            self._work()

    def rooms_changed(self) -> None:
        """Read the lists of shared rooms again, because rooms or rights have changed."""
        self._are_rooms_old = True
        self._work()

    def memberships_changed(self, concern: Concern) -> None:
        """Read again which rooms these users, or the members of these rooms, see as members."""
        if self.is_idle:
            return
        users = self._audiences.users() if concern.is_all_users else concern.users
        self._own_old |= dict.fromkeys(user for user in users if user in self._audiences)
        self._own_old |= dict.fromkeys(self._audiences.members(concern.rooms))
        self._members_old |= concern.rooms
        self._work()

    def room_lost(self, user: int, room: int) -> None:
        """Send a user no more counts of a room, although their list has it until it is read again."""
        if user in self._audiences:
            self._lost.setdefault(user, set()).add(room)

    def position_moved(self, user: int, room: int) -> None:
        """Update a count, because a socket of this process has moved the user's read position."""
        move, known = self._positions.pending(RoomUser(room, user)), self._counting.counts.get(user, room)
        if move is None or known is None:
            return
        if move.epoch not in (None, known.epoch):
            # One of the two is of the log before a restore.
            self._counting.recount(RoomUser(room, user))
        elif move.is_set or move.seq > known.read:
            self._counting.move_position(user, room, move.seq)
        self._work()

    def level_changed(self, user: int, room: int) -> None:
        """Show a level that a socket of this process has set, at once in all sockets of its user."""
        self._counting.show_level(RoomUser(room, user))
        self._work()

    def positions_written(self, pairs: Iterable[RoomUser]) -> None:
        """Note which read positions and levels this process has written."""
        self._counting.positions_written(pairs)

    def position_dropped(self, pair: RoomUser) -> None:
        """Count again, because a read position was refused or outdated: the count that was sent is wrong."""
        self._counting.recount(pair)
        self._work()

    def position_moved_elsewhere(self, user: int) -> None:
        """Read moved positions soon, because another process has moved one of this user."""
        if user in self._audiences:
            self._counting.read_moves_soon()
            self._work()

    def position(self, user: int, room: int) -> int:
        """Return up to where a user has read a room, or 0 if it is not known here."""
        if known := self._counting.counts.get(user, room):
            return known.read
        move = self._positions.pending(RoomUser(room, user))
        return move.seq if move else 0

    def head(self, user: int, room: int) -> int | None:
        """Return the head of a room as it was sent to a user who watches."""
        return self._counting.head(user, room)

    def epoch(self, user: int, room: int) -> str | None:
        """Return the epoch of the log in which a user's counts are."""
        known = self._counting.counts.get(user, room)
        return known.epoch if known else None

    def users(self) -> list[int]:
        """Return all users who watch."""
        return self._audiences.users()

    def sessions_of(self, user: int) -> list[Session]:
        """Return a user's sockets that watch."""
        return self._audiences.listed_sessions(user)

    def resend(self, session: Session) -> None:
        """Send everything again, from memory, to one socket that has missed signals."""
        if session.standing is not None and self._audiences.has(session):
            self.add(session)

    def _database_replaced(self) -> None:
        # Users who first came after the backup was made have no first visit in it.
        self._new_users |= dict.fromkeys(self._audiences.users())

    def _work(self) -> None:
        if self._audiences and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work_on())

    async def _work_on(self) -> None:
        try:
            while self._audiences and self._has_work():
                # Each part fails alone, so that a pair that cannot be counted does not delay other news.
                done = [
                    await self._try(self._read_own_rooms, "rooms of members could not be read; trying again"),
                    await self._try(self._list_rooms, "rooms could not be listed; trying again"),
                    # After the lists, because a user may have lost one of the rooms.
                    await self._try(self._counting.announce, "unread counts could not be sent; trying again"),
                    await self._try(self._answer_watches, "rooms could not be sent; trying again"),
                    await self._try(self._add_new_users, "first visits could not be stored; trying again"),
                    await self._try(self._counting.read_moves, "read positions could not be read; trying again"),
                    await self._try(self._counting.count_pairs, "unread messages could not be counted; trying again"),
                    await self._try(self._counting.add_news, "new messages could not be counted; trying again"),
                ]
                self._end_losses()
                await asyncio.sleep(0 if all(done) else conf.SWEEP_SECONDS)
        finally:
            self._task = None

    def _has_work(self) -> bool:
        is_listing = self._are_rooms_old or bool(self._unanswered or self._own_old or self._members_old)
        return is_listing or bool(self._new_users) or self._counting.has_work

    async def _try(self, work: Callable[[], Awaitable[None]], failure: str) -> bool:
        try:
            await work()
        except Exception as error:
            # Logged once, however often it fails.
            if failure not in self._failing:
                database.warn(logger, failure, error)
            self._failing.add(failure)
            return False
        self._failing.discard(failure)
        return True

    async def _read_own_rooms(self) -> None:
        """Read the rooms that some users see as members, and send the list to users whose rooms have changed."""
        if rooms := self._members_old:
            self._members_old = set()
            try:
                members = await database.read(own_rooms.members_of, rooms)
            except Exception:
                self._members_old |= rooms
                raise
            self._own_old |= dict.fromkeys(user for user in members if user in self._audiences)
        users = list(islice(self._own_old, MAX_OWN_USERS))
        if not users:
            return
        # Taken out before the query, so that a change meanwhile asks again.
        for user in users:
            del self._own_old[user]
        try:
            found = await database.read(audiences.load_own, users)
        except Exception:
            self._own_old |= dict.fromkeys(user for user in users if user in self._audiences)
            raise
        share = Slice()
        for user, own in found.items():
            if user in self._audiences:
                self._audiences.set_own(user, own)
                # A list of shared rooms that is old may still have a room that is for members now.
                if not self._are_rooms_old:
                    self._send_rooms(user)
            await share.pause_if_used()

    def _end_losses(self) -> None:
        """Rely on the lists again, which were read after the rights were lost. Some may have been given back since."""
        # A check of rights marks the lists as old before it closes panes.
        if self._lost and not (self._are_rooms_old or self._own_old or self._members_old):
            lost, self._lost = self._lost, {}
            for user, rooms in lost.items():
                self._send_heads(user, rooms)

    async def _list_rooms(self) -> None:
        """Sort users by kind, load the rooms of each kind, and send the list to users whose rooms have changed."""
        if not self._are_rooms_old:
            return
        self._are_rooms_old = False
        share = Slice()
        for user in self._audiences.users():
            self._audiences.sort(user)
            await share.pause_if_used()
        try:
            self._audiences.set_lists(await database.read(audiences.load, self._audiences.kinds()))
        except Exception:
            self._are_rooms_old = True
            raise
        for user in self._audiences.users():
            self._send_rooms(user)
            await share.pause_if_used()

    async def _answer_watches(self) -> None:
        """Send rooms and counts to the sockets that have sent `watch`."""
        # The others are answered when their rooms as members are known.
        users = [user for user in self._unanswered if not self._audiences.lacks_own(user)]
        for user in users:
            self._audiences.sort(user)
        if unlisted := self._audiences.kinds(without_list=True):
            self._audiences.set_lists(await database.read(audiences.load, unlisted))
        share = Slice()
        for user in users:
            self._unanswered.pop(user, None)
            self._send_rooms(user)
            await share.pause_if_used()

    def _send_rooms(self, user: int) -> None:
        """Send a user's list of rooms to the sockets that have another one, and count the rooms that are new in it."""
        now, before = self._audiences.list_of(user), self._listed.get(user)
        if now is None:
            return  # The user has gone, or has just come.
        if not now.is_same(before):
            self._listed[user] = now
            if before is not None:
                self._counting.forget(user, before.rooms.keys() - now.rooms.keys())
                if user not in self._new_users:
                    self._counting.count_rooms(user, now.rooms.keys() - before.rooms.keys())
        if unanswered := self._audiences.send_list(user):
            for frame in self._heads(user, now.rooms):
                for session in unanswered:
                    session.signal(frame)

    async def _add_new_users(self) -> None:
        """Store the first visits of new users, and count their rooms."""
        users = [user for user in islice(self._new_users, MAX_NEW_USERS) if user in self._listed]
        if not users:
            return
        if new := set(users) - await database.read(unread.visitors, users):
            await database.write_behind(memberships.store_first_visits, new)
        share = Slice()
        for user in users:
            # The user may have gone, or come again, in the meantime.
            if user in self._new_users and user in self._listed:
                del self._new_users[user]
                self._counting.count_rooms(user, self._listed[user].rooms)
            await share.pause_if_used()

    def _send_heads(self, user: int, rooms: Iterable[int]) -> None:
        """Send the unread counts of some rooms to a user's sockets."""
        if sessions := self._audiences.listed_sessions(user):
            for frame in self._heads(user, rooms):
                for session in sessions:
                    session.signal(frame)

    def _heads(self, user: int, rooms: Iterable[int]) -> Iterable[Frame]:
        """Return frames with the unread counts of these rooms, if they are counted and the user may enter them."""
        names, get, lost = self._audiences.rooms(user), self._counting.counts.get, self._lost.get(user, ())
        heads = {
            names[room]: self._head(user, room, known)
            for room in rooms
            if room in names and room not in lost and (known := get(user, room))
        }
        entries = iter(heads.items())
        while part := dict(islice(entries, MAX_HEADS)):
            yield protocol.encode(Heads(heads=part))

    def _head(self, user: int, room: int, known: Unread) -> Head:
        """Return a room's counts as frames have them: every message in a direct room is for its reader."""
        if self._audiences.is_direct(user, room):
            known = known._replace(mentions=known.unread)
        # A user may have read beyond the events that are counted.
        head, level = max(known.head, known.read), protocol.LEVELS[known.level]
        return Head(head, known.read, known.unread, known.mentions, known.alerts, level)
