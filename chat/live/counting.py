"""Keeps the counts of what is unread up to date: counted once, then moved by news and reads (Counting)."""

from collections.abc import Callable, Collection, Iterable
from itertools import islice

from chat.live import database
from chat.live.audiences import Audiences, Slice
from chat.live.positions import Positions
from chat.live.unread_counts import Counts, RoomNews
from chat.store import unread
from chat.store.room_user import RoomUser
from chat.store.unread import News, Unread

# What one query takes at most; less after one that failed.
PAIRS = 200
ROOMS = 200
# More news of one room are not added up: its readers are counted anew, and a count ends at reading.MOST.
NEWS_LIMIT = 1000


class Counting:
    """The counts of all who watch. What is to be done waits here, and is done by one task, a bounded piece a turn."""

    def __init__(
        self, audiences: Audiences, positions: Positions, *, on_changed: Callable[[int, Iterable[int]], None]
    ) -> None:
        self.counts = Counts()
        self._audiences = audiences
        self._positions = positions
        self._on_changed = on_changed
        # Up to where each room's news are in the counts of all its readers. A count may be further by itself.
        self._heads: dict[int, int] = {}
        # How far rooms have moved since.
        self._moved: dict[int, int] = {}
        # Rooms whose head was lower than that when it was seen last.
        self._lower: set[int] = set()
        # What has to be counted: from a position, or None for the one that the database has. And the rooms of users
        # who are new, which wait behind, so that many rooms of one user keep nobody else waiting.
        self._pairs: dict[RoomUser, int | None] = {}
        self._rooms: dict[int, list[int]] = {}
        self._pair_limit = PAIRS
        self._room_limit = ROOMS
        # Up to which change of positions the counts know of them; None before the first look.
        self._change: tuple[str, int] | None = None
        self._is_look_due = False
        # Positions that this process has written while a look was under way, which may have missed them.
        self._written: set[RoomUser] = set()

    @property
    def has_work(self) -> bool:
        """Tell whether anything waits to be counted, added up or looked at."""
        return self._is_look_due or bool(self._pairs or self._rooms or self._moved)

    def want(self, user: int, rooms: Iterable[int]) -> None:
        """Count rooms for a user."""
        if rooms := list(rooms):
            self._rooms.setdefault(user, []).extend(rooms)

    def want_pair(self, pair: RoomUser) -> None:
        """Count a room for a user anew, from the position that the database has."""
        if self.counts.get(pair.user, pair.room) is not None:
            self._pairs[pair] = None

    def forget(self, user: int, rooms: Collection[int] | None = None) -> None:
        """Forget a user, or some rooms of theirs."""
        self.counts.forget(user, rooms)
        if rooms is None:
            self._rooms.pop(user, None)

    def clear(self) -> None:
        """Forget everything: nobody watches any more."""
        self._heads.clear()
        self._moved.clear()
        self._lower.clear()
        self._pairs.clear()
        self._change = None

    def head(self, user: int, room: int) -> int | None:
        """Return the head of a room as far as it is known here."""
        known = self.counts.get(user, room)
        return max(known.head, self._heads.get(room, 0), self._moved.get(room, 0)) if known else None

    def saw(self, heads: dict[int, int]) -> None:
        """Hear where some or all of the rooms' logs are now."""
        for room, head in heads.items():
            known = self._heads.get(room)
            if known is None:
                continue  # In no count yet: the first one tells its head.
            if head >= known:
                self._lower.discard(room)
                if head > known:
                    self._moved[room] = head
            elif room in self._lower:
                # Twice in a row: a backup was restored.
                self._lower.discard(room)
                self._count_readers(room, head)
            else:
                # It may have been asked before a count that was faster.
                self._lower.add(room)

    def look_soon(self) -> None:
        """Look for read positions that other processes have moved."""
        self._is_look_due = True

    def wrote(self, pairs: Iterable[RoomUser]) -> None:
        """Hear which positions this process has written."""
        self._written.update(pairs)

    def read(self, user: int, room: int, seq: int) -> None:
        """Take a new read position: told at once when nothing is left after it, else when this pair is counted."""
        if (is_changed := self.counts.read(user, room, seq)) is None:
            self._pairs[RoomUser(room, user)] = seq
        else:
            self._pairs.pop(RoomUser(room, user), None)
            if is_changed:
                self._on_changed(user, [room])

    async def look(self) -> None:
        """Take the read positions that were moved elsewhere: a bell may have been lost."""
        if not self._is_look_due:
            return
        self._is_look_due = False
        self._written.clear()
        try:
            moved = await database.read(unread.moved_since, self._change and self._change[1])
        except Exception:
            self._is_look_due = True
            raise
        before, self._change = self._change, (moved.epoch, moved.changes)
        if before is not None and (before[0] not in ("", moved.epoch) or before[1] > moved.changes):
            # Another database, restored from a backup.
            for user in self._audiences.users():
                self.want(user, self.counts.rooms(user))
        self._is_look_due = self._is_look_due or not moved.is_all
        for pair, seq in moved.positions.items():
            known, move = self.counts.get(pair.user, pair.room), self._positions.pending(pair)
            if known is None or known.read == seq or pair in self._written:
                continue
            if move is None or (seq > known.read and not move.is_set):
                self.read(pair.user, pair.room, seq)

    async def count(self) -> None:
        """Count a piece of what has to be counted."""
        if self._change is None:
            return  # First the look: a position that is moved between the two would be missed.
        asked = self._next_pairs()
        if not asked:
            return
        before = {pair: self.counts.get(pair.user, pair.room) for pair in asked}
        try:
            counted = await database.read(unread.count, asked)
        except Exception:
            # Smaller, and behind the others: one that always fails does not block them.
            self._pair_limit = max(1, self._pair_limit // 2)
            self._pairs = self._pairs | {pair: seq for pair, seq in asked.items() if pair not in self._pairs}
            raise
        self._pair_limit = min(PAIRS, self._pair_limit * 2)
        changed: dict[int, list[int]] = {}
        for pair, counts in counted.items():
            room, user = pair
            # Else it was read to its end meanwhile, which is newer; or the user is gone.
            if self.counts.get(user, room) is before[pair] and user in self._audiences:
                self._heads.setdefault(room, counts.head)
                if self._take(pair, counts, is_asked=asked[pair] is not None):
                    changed.setdefault(user, []).append(room)
        await self._tell(changed)

    def _next_pairs(self) -> dict[RoomUser, int | None]:
        pairs = list(islice(self._pairs, self._pair_limit))
        asked = {pair: self._pairs.pop(pair) for pair in pairs}
        for user in list(islice(self._rooms, self._pair_limit)):
            if (room_for := self._pair_limit - len(asked)) <= 0:
                break
            rooms = self._rooms.pop(user)
            asked |= {RoomUser(room, user): None for room in rooms[-room_for:]}
            if rest := rooms[:-room_for]:
                # Behind the others.
                self._rooms[user] = rest
        return {pair: seq for pair, seq in asked.items() if pair.room in self._audiences.rooms(pair.user)}

    def _take(self, pair: RoomUser, counts: Unread, *, is_asked: bool) -> bool:
        """Take what the database has counted; tell whether that is news."""
        room, user = pair
        move = self._positions.pending(pair)
        if move is None or is_asked:
            return self.counts.put(user, room, counts)
        # The database does not have the user's newest position yet.
        seq = move.seq if move.is_set else max(move.seq, counts.read)
        if seq < counts.head and seq != counts.read:
            self._pairs[pair] = seq
            return False
        return self.counts.put(user, room, counts if seq == counts.read else Unread(seq, seq, 0, 0))

    async def add_news(self) -> None:
        """Add a piece of the new events to the counts of their rooms' readers."""
        ranges = self._next_ranges()
        if not ranges:
            return
        try:
            news = await database.read(unread.news, ranges)
        except Exception:
            self._room_limit = max(1, self._room_limit // 2)
            for room, (_, up_to) in ranges.items():
                self._moved[room] = max(up_to, self._moved.pop(room, 0))
            raise
        self._room_limit = min(ROOMS, self._room_limit * 2)
        by_room: dict[int, list[News]] = {room: [] for room in ranges}
        for event in news:
            by_room[event.room].append(event)
        share = Slice()
        changed: dict[int, list[int]] = {}
        for room, events in by_room.items():
            up_to = ranges[room][1]
            self._heads[room] = up_to
            added = RoomNews(events, up_to)
            for users in self._audiences.readers(room):
                for user in users:
                    self._add(added, user, room, changed)
                    await share.turn()
        await self._tell(changed)

    def _add(self, news: RoomNews, user: int, room: int, changed: dict[int, list[int]]) -> None:
        known = self.counts.get(user, room)
        if known is None:
            return
        new = news.added_to(user, known)
        if new is None:
            self._pairs.setdefault(RoomUser(room, user), known.read)
        elif self.counts.put(user, room, new):
            changed.setdefault(user, []).append(room)

    def _next_ranges(self) -> dict[int, tuple[int, int]]:
        ranges: dict[int, tuple[int, int]] = {}
        size = 0
        for room in list(islice(self._moved, self._room_limit)):
            up_to, after = self._moved[room], self._heads.get(room, 0)
            if not self._audiences.has_readers(room):
                # The next one who is counted tells its head.
                self._heads.pop(room, None)
            elif up_to - after > NEWS_LIMIT:
                self._count_readers(room, up_to)
            elif up_to > after and (not ranges or size + up_to - after <= NEWS_LIMIT):
                size += up_to - after
                ranges[room] = (after, up_to)
            elif up_to > after:
                continue
            del self._moved[room]
        return ranges

    def _count_readers(self, room: int, head: int) -> None:
        self._heads[room] = head
        for users in self._audiences.readers(room):
            for user in users:
                self.want_pair(RoomUser(room, user))

    async def _tell(self, changed: dict[int, list[int]]) -> None:
        share = Slice()
        for user, rooms in changed.items():
            self._on_changed(user, rooms)
            await share.turn()
