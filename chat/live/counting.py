"""Keeps the unread counts up to date: counted once, then changed by new events and read positions (Counting)."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from itertools import islice

from chat.live import database
from chat.live.audiences import Audiences, Slice
from chat.live.positions import Positions
from chat.live.unread_counts import Counts, RoomNews
from chat.store import unread
from chat.store.room_user import RoomUser
from chat.store.unread import News, Unread

# The most that one query takes; less after a query that failed.
MAX_PAIRS = 200
MAX_ROOMS = 200
# If a room has more new events than this, they are not added up. Its readers are counted again instead, because a
# count ends at unread.MOST anyway.
MAX_NEWS = 1000
# How often a slice of announcements checks whether messages are still being written before it goes on regardless.
ANNOUNCE_POLLS = 10
ANNOUNCE_POLL_SECONDS = 0.002


class Counting:
    """The counts of all users who watch. Work waits here, and one task (of Watchers) does a bounded piece per turn."""

    def __init__(
        self,
        audiences: Audiences,
        positions: Positions,
        *,
        on_changed: Callable[[int, Iterable[int]], None],
        on_replaced: Callable[[], None],
    ) -> None:
        self.counts = Counts()
        self._audiences = audiences
        self._positions = positions
        self._on_changed = on_changed
        # A backup was restored, so all users who watch have to be counted again.
        self._on_replaced = on_replaced
        # Up to which seq each room's events are in the counts of all its readers. A single count may be further.
        self._heads: dict[int, int] = {}
        # The heads of rooms that have moved since.
        self._moved: dict[int, int] = {}
        # The epochs of the rooms' logs. They stay when no user watches, because only a change of one matters.
        self._epochs: dict[int, str] = {}
        # From which seq each room's events are kept, where some have expired.
        self._floors: dict[int, int] = {}
        # Rooms whose head at the last sweep was lower than the known one.
        self._lower: set[int] = set()
        # The pairs to count: from a position, or None for the one that the database has.
        self._pairs: dict[RoomUser, int | None] = {}
        # The rooms to count of new users. They wait behind the pairs, so that a user with many rooms does not delay the
        # others.
        self._rooms: dict[int, list[int]] = {}
        self._pair_limit = MAX_PAIRS
        self._room_limit = MAX_ROOMS
        # The epoch and number of the last change of positions that the counts include; None before the first read.
        self._change: tuple[str, int] | None = None
        self._are_moves_due = False
        # Positions that this process has written during a read of moved positions, which may have missed them.
        self._written: set[RoomUser] = set()
        # The rooms whose counts have changed, by user, until the user's sockets are notified.
        self._changed: dict[int, dict[int, None]] = {}

    @property
    def has_work(self) -> bool:
        """Tell whether there is something to count, to add up or to read."""
        return self._are_moves_due or bool(self._changed or self._pairs or self._rooms or self._moved)

    def count_rooms(self, user: int, rooms: Iterable[int]) -> None:
        """Count rooms for a user soon."""
        if rooms := list(rooms):
            self._rooms.setdefault(user, []).extend(rooms)

    def recount(self, pair: RoomUser) -> None:
        """Count a room for a user again soon, from the position that the database has."""
        if self.counts.get(pair.user, pair.room) is not None or pair in self._pairs:
            self._pairs[pair] = None

    def forget(self, user: int, rooms: Collection[int] | None = None) -> None:
        """Forget a user, or some rooms of theirs."""
        self.counts.forget(user, rooms)
        if rooms is None:
            self._rooms.pop(user, None)

    def clear(self) -> None:
        """Forget everything, because no user watches any more."""
        self._heads.clear()
        self._moved.clear()
        self._lower.clear()
        self._floors.clear()
        self._pairs.clear()
        self._change = None

    def head(self, user: int, room: int) -> int | None:
        """Return the head of a room as far as it is known here."""
        known = self.counts.get(user, room)
        return max(known.head, self._heads.get(room, 0), self._moved.get(room, 0)) if known else None

    def note_epochs(self, epochs: dict[int, str]) -> None:
        """Take the epochs of some or all rooms. Where one has changed, a backup was restored: count again.

        The head alone does not show it: the restored log may be longer by the time a sweep reads it.
        """
        for room, epoch in epochs.items():
            before = self._epochs.get(room)
            if before == epoch:
                continue
            self._epochs[room] = epoch
            if before is not None and self._heads.pop(room, None) is not None:
                # The first new count will bring the head.
                self._moved.pop(room, None)
                self._lower.discard(room)
                self._floors.pop(room, None)
                self._recount_readers(room)

    def note_heads(self, heads: dict[int, int]) -> None:
        """Take the heads of some or all rooms, as a sweep has read them."""
        for room, head in heads.items():
            known = self._heads.get(room)
            if known is None:
                continue  # No count includes this room yet; the first one will bring its head.
            if head >= known:
                self._lower.discard(room)
                if head > known:
                    self._moved[room] = head
            elif room in self._lower:
                # Lower twice in a row, so a backup was restored by other means, which left the epoch as it was.
                self._lower.discard(room)
                self._heads[room] = head
                self._recount_readers(room)
            else:
                # The sweep may have read it before a count that was faster.
                self._lower.add(room)

    def note_floors(self, floors: dict[int, int]) -> None:
        """Take the floors of some or all rooms. Where one has risen, unread messages have expired: count again."""
        for room, floor in floors.items():
            if floor > self._floors.get(room, 1):
                self._floors[room] = floor
                # If no count includes this room yet, the first one will begin at this floor.
                if room in self._heads:
                    self._recount_readers(room)

    def read_moves_soon(self) -> None:
        """Read soon which positions other processes have moved."""
        self._are_moves_due = True

    def positions_written(self, pairs: Iterable[RoomUser]) -> None:
        """Note which positions this process has written."""
        self._written.update(pairs)

    def move_position(self, user: int, room: int, seq: int) -> None:
        """Move a read position. If the new count is zero, it is announced soon, otherwise when this pair is counted."""
        if (is_changed := self.counts.read(user, room, seq)) is None:
            self._pairs[RoomUser(room, user)] = seq
        else:
            self._pairs.pop(RoomUser(room, user), None)
            if is_changed:
                self._note_change(user, room)

    def show_level(self, pair: RoomUser) -> None:
        """Show the level of a room that waits to be written. If the room is not counted yet, its first count has it."""
        known, level = self.counts.get(pair.user, pair.room), self._positions.pending_level(pair)
        if known is None or level is None:
            return
        if self.counts.put(pair.user, pair.room, known._replace(level=level)):
            self._note_change(pair.user, pair.room)
            # A count that is under way is dropped, because it began before this change. So it is made again.
            self._pairs.setdefault(pair, None)

    async def read_moves(self) -> None:
        """Read which positions other processes have moved, because bells may be lost."""
        if not self._are_moves_due:
            return
        self._are_moves_due = False
        self._written.clear()
        try:
            moved = await database.read(unread.moved_since, self._change and self._change[1])
        except Exception:
            self._are_moves_due = True
            raise
        before, self._change = self._change, (moved.epoch, moved.changes)
        if before is not None and (before[0] not in ("", moved.epoch) or before[1] > moved.changes):
            self._on_replaced()
        self._are_moves_due = self._are_moves_due or not moved.is_all
        for pair, level in moved.levels.items():
            known = self.counts.get(pair.user, pair.room)
            if known is None or pair in self._written or self._positions.pending_level(pair) is not None:
                continue
            if self.counts.put(pair.user, pair.room, known._replace(level=level)):
                self._note_change(pair.user, pair.room)
        for pair, seq in moved.positions.items():
            known, move = self.counts.get(pair.user, pair.room), self._positions.pending(pair)
            if known is None or known.read == seq or pair in self._written:
                continue
            if move is None or (seq > known.read and not move.is_set):
                self.move_position(pair.user, pair.room, seq)

    async def count_pairs(self) -> None:
        """Count some of the pairs and rooms that wait."""
        if self._change is None:
            return  # Moved positions are read first: a position that moves between the two would be missed.
        asked = self._next_pairs()
        if not asked:
            return
        before = {pair: self.counts.get(pair.user, pair.room) for pair in asked}
        try:
            counted = await database.read(unread.count, asked)
        except Exception:
            # Try fewer at once, and behind the others, so that a pair that always fails does not block them.
            self._pair_limit = max(1, self._pair_limit // 2)
            self._pairs = self._pairs | {pair: seq for pair, seq in asked.items() if pair not in self._pairs}
            raise
        self._pair_limit = min(MAX_PAIRS, self._pair_limit * 2)
        for pair, counts in counted.items():
            room, user = pair
            # Otherwise the user has read to the end in the meantime, which is newer, or is gone.
            if self.counts.get(user, room) is before[pair] and user in self._audiences:
                self._heads.setdefault(room, counts.head)
                if self._set_counted(pair, counts, is_from_move=asked[pair] is not None):
                    self._note_change(user, room)
        await self.announce()

    def _next_pairs(self) -> dict[RoomUser, int | None]:
        pairs = list(islice(self._pairs, self._pair_limit))
        asked = {pair: self._pairs.pop(pair) for pair in pairs}
        for user in list(islice(self._rooms, self._pair_limit)):
            if (room_for := self._pair_limit - len(asked)) <= 0:
                break
            rooms = self._rooms.pop(user)
            asked |= {RoomUser(room, user): None for room in rooms[-room_for:]}
            if rest := rooms[:-room_for]:
                # Behind the other users.
                self._rooms[user] = rest
        return {pair: seq for pair, seq in asked.items() if pair.room in self._audiences.rooms(pair.user)}

    def _set_counted(self, pair: RoomUser, counts: Unread, *, is_from_move: bool) -> bool:
        """Set the database's counts, corrected by a position that it does not have yet; return whether they changed."""
        room, user = pair
        if (level := self._positions.pending_level(pair)) is not None:
            counts = counts._replace(level=level)
        move = self._positions.pending(pair)
        # A position in the log before a restore says nothing of this one.
        if move is None or is_from_move or move.epoch not in (None, counts.epoch):
            return self.counts.put(user, room, counts)
        # The database does not have the user's newest position yet.
        seq = move.seq if move.is_set else max(move.seq, counts.read)
        if seq < counts.head and seq != counts.read:
            self._pairs[pair] = seq
            return False
        return self.counts.put(
            user, room, counts if seq == counts.read else counts._replace(read=seq, unread=0, mentions=0)
        )

    async def add_news(self) -> None:
        """Add some of the new events to the counts of their rooms' readers."""
        ranges = self._next_ranges()
        if not ranges:
            return
        epochs = {room: self._epochs.get(room) for room in ranges}
        try:
            news = await database.read(unread.news, ranges)
        except Exception:
            self._room_limit = max(1, self._room_limit // 2)
            for room, (_, up_to) in ranges.items():
                self._moved[room] = max(up_to, self._moved.pop(room, 0))
            raise
        self._room_limit = min(MAX_ROOMS, self._room_limit * 2)
        by_room: dict[int, list[News]] = {room: [] for room in ranges}
        for event in news:
            by_room[event.room].append(event)
        share = Slice()
        for room, events in by_room.items():
            if self._epochs.get(room) != epochs[room]:
                continue  # A backup was restored meanwhile, and the room is counted again.
            up_to = ranges[room][1]
            self._heads[room] = up_to
            added = RoomNews(events, up_to)
            for users in self._audiences.readers(room):
                for user in users:
                    self._add(added, user, room)
                    await share.pause_if_used()
        await self.announce()

    def _add(self, news: RoomNews, user: int, room: int) -> None:
        known = self.counts.get(user, room)
        if known is None:
            return
        new = news.added_to(user, known)
        if new is None:
            self._pairs.setdefault(RoomUser(room, user), known.read)
        elif self.counts.put(user, room, new):
            self._note_change(user, room)

    def _next_ranges(self) -> dict[int, tuple[int, int]]:
        ranges: dict[int, tuple[int, int]] = {}
        size = 0
        for room in list(islice(self._moved, self._room_limit)):
            up_to, after = self._moved[room], self._heads.get(room, 0)
            if not self._audiences.has_readers(room):
                # The next count of this room will bring its head.
                self._heads.pop(room, None)
            elif up_to - after > MAX_NEWS:
                self._heads[room] = up_to
                self._recount_readers(room)
            elif up_to > after and (not ranges or size + up_to - after <= MAX_NEWS):
                size += up_to - after
                ranges[room] = (after, up_to)
            elif up_to > after:
                continue
            del self._moved[room]
        return ranges

    def _recount_readers(self, room: int) -> None:
        for users in self._audiences.readers(room):
            for user in users:
                self.recount(RoomUser(room, user))

    def _note_change(self, user: int, room: int) -> None:
        self._changed.setdefault(user, {})[room] = None

    async def announce(self) -> None:
        """Notify users of their counts that have changed: in slices, and behind messages that are being written."""
        share = Slice()
        await _until_messages_are_written()
        while self._changed:
            user = next(iter(self._changed))
            self._on_changed(user, self._changed.pop(user))
            if await share.pause_if_used():
                await _until_messages_are_written()


async def _until_messages_are_written() -> None:
    """Wait while messages are being written, so that their acks come first, but at most a moment."""
    for _ in range(ANNOUNCE_POLLS):
        if not database.is_writing():
            return
        await asyncio.sleep(ANNOUNCE_POLL_SECONDS)
