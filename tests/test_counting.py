"""Unread counts: counted once, in bounded pieces, then updated by news and reads."""

import asyncio
from types import SimpleNamespace

import pytest

from chat.live import counting, database
from chat.live.counting import Counting
from chat.models import Event
from chat.store import unread
from chat.store.memberships import Move
from chat.store.policies import Login
from chat.store.room_user import RoomUser
from chat.store.unread import Moved, News, Unread

Kind = Event.Kind


class FakeAudiences:
    """Audiences in which every user watches all rooms."""

    def __init__(self, users, rooms):
        self._users, self._rooms = users, {room: str(room) for room in rooms}

    def __contains__(self, user):
        return user in self._users

    def users(self):
        return list(self._users)

    def rooms(self, user):
        return self._rooms

    def has_readers(self, room):
        return room in self._rooms

    def readers(self, room):
        return [list(self._users)]


class FakeDatabase:
    """Rooms whose log holds only posted messages, all by another user."""

    def __init__(self, monkeypatch):
        self.heads = {}
        self.read = {}
        self.counted = []
        self.news_queries = []
        self.moved = Moved("a", 0, {}, True, {})
        self.broken = set()
        self.on_count = self.on_news = lambda: None
        monkeypatch.setattr(database, "read", self._run)
        monkeypatch.setattr(unread, "count", self._count)
        monkeypatch.setattr(unread, "news", self._news)
        monkeypatch.setattr(unread, "moved_since", lambda change: self.moved)

    async def _run(self, work, *arguments):
        return work(*arguments)

    def _count(self, pairs):
        self.counted.append(dict(pairs))
        if self.broken & pairs.keys():
            raise TimeoutError
        found = {}
        for pair, known in pairs.items():
            head = self.heads.get(pair.room, 0)
            read = self.read.get(pair, 0) if known is None else known
            found[pair] = Unread(head, read, max(0, head - read), 0)
        self.on_count()
        return found

    def _news(self, ranges):
        self.news_queries.append(ranges)
        self.on_news()
        return [
            News(room, seq, Kind.POSTED, seq, None, frozenset())
            for room, (after, up_to) in ranges.items()
            for seq in range(after + 1, up_to + 1)
        ]


class World(SimpleNamespace):
    async def settle(self, tries=300):
        """Work until nothing is left, and retry failed parts as chat/live/watchers.py does."""
        for _ in range(tries):
            if not self.counting.has_work:
                return
            counting = self.counting
            for part in (counting.announce, counting.read_moves, counting.count_pairs, counting.add_news):
                try:
                    await part()
                except TimeoutError:
                    self.failures += 1
        raise AssertionError("the counting does not end")

    def get(self, user, room):
        return self.counting.counts.get(user, room)


@pytest.fixture
def make(monkeypatch):
    def make_world(users=(1,), rooms=(7,)):
        world = World(database=FakeDatabase(monkeypatch), notified=[], pending={}, failures=0)
        world.positions = SimpleNamespace(pending=lambda pair: world.pending.get(pair), pending_level=lambda pair: None)

        def count_all():
            for user in users:
                world.counting.count_rooms(user, rooms)

        world.counting = Counting(
            FakeAudiences(users, rooms),
            world.positions,
            on_changed=lambda user, changed: world.notified.append((user, set(changed))),
            on_replaced=count_all,
        )
        world.counting.read_moves_soon()
        count_all()
        return world

    return make_world


async def test_many_pairs_are_counted_in_pieces_and_a_user_with_many_rooms_delays_no_other(make):
    world = make(users=[1, 2], rooms=range(1000))
    world.counting.forget(2)
    world.counting.count_rooms(2, [5])
    await world.settle()
    assert max(map(len, world.database.counted)) == counting.MAX_PAIRS
    assert len(world.database.counted) == 6
    assert RoomUser(5, 2) in world.database.counted[1]
    assert sum(map(len, world.database.counted)) == 1001


async def test_a_piece_that_fails_is_split_and_does_not_delay_the_others(make):
    world = make(users=[1], rooms=range(400))
    world.database.broken = {RoomUser(13, 1)}
    with pytest.raises(AssertionError, match="does not end"):
        await world.settle(60)
    assert len(world.counting.counts.rooms(1)) == 399
    assert len(world.database.counted[-1]) == 1
    world.database.broken = set()
    await world.settle()
    assert world.get(1, 13) is not None


async def test_news_are_read_once_for_all_users_and_added_without_counting(make):
    world = make(users=range(50), rooms=[7, 8])
    await world.settle()
    counts, world.notified[:] = len(world.database.counted), []
    world.counting.note_heads({7: 3, 8: 0})
    await world.settle()
    assert world.database.news_queries == [{7: (0, 3)}]
    assert len(world.database.counted) == counts
    assert world.notified == [(user, {7}) for user in range(50)]
    assert world.get(49, 7) == Unread(3, 0, 3, 0)
    world.counting.note_heads({7: 3})
    await world.settle()
    assert len(world.database.news_queries) == 1


async def test_news_of_more_rooms_than_one_query_takes_are_read_in_pieces(make):
    world = make(rooms=range(1, 1201))
    await world.settle()
    world.counting.note_heads(dict.fromkeys(range(1, 1201), 1))
    await world.settle()
    assert [len(ranges) for ranges in world.database.news_queries] == [counting.MAX_ROOMS] * 6
    assert all(world.get(1, room).unread == 1 for room in range(1, 1201))


async def test_one_query_for_news_returns_a_bounded_number(make):
    world = make(rooms=range(1, 11))
    await world.settle()
    world.counting.note_heads(dict.fromkeys(range(1, 11), 400))
    await world.settle()
    sizes = [sum(up_to - after for after, up_to in ranges.values()) for ranges in world.database.news_queries]
    assert max(sizes) <= counting.MAX_NEWS and sum(sizes) == 4000


async def test_a_room_with_too_many_news_is_counted_instead(make):
    world = make(users=range(3))
    await world.settle()
    world.database.heads[7] = 5000
    world.counting.note_heads({7: 5000})
    await world.settle()
    assert world.database.news_queries == []
    assert [world.get(user, 7).head for user in range(3)] == [5000] * 3


async def test_heads_of_some_rooms_leave_the_counts_of_the_others_unchanged(make):
    world = make(rooms=[7, 8])
    await world.settle()
    for heads in ({7: 2}, {8: 1}, {}, {9: 4}):
        world.counting.note_heads(heads)
        await world.settle()
    assert (world.get(1, 7).unread, world.get(1, 8).unread) == (2, 1)


async def test_a_head_that_is_lower_twice_means_a_replaced_log(make):
    world = make()
    world.database.heads[7] = 9
    await world.settle()
    counted = len(world.database.counted)
    # A lower head may come from a query that ran before the count.
    for head in (8, 9, 8):
        world.counting.note_heads({7: head})
        await world.settle()
    assert len(world.database.counted) == counted
    world.database.heads[7] = 8
    world.counting.note_heads({7: 8})
    await world.settle()
    assert world.get(1, 7).head == 8


async def test_a_log_of_another_epoch_is_counted_again_although_it_is_longer(make):
    world = make(rooms=[7, 8])
    world.database.heads = {7: 20, 8: 20}
    await world.settle()
    world.counting.note_epochs({7: "a", 8: "a"})
    world.counting.move_position(1, 7, 20)
    world.counting.move_position(1, 8, 20)
    await world.settle()
    assert (world.get(1, 7).unread, world.get(1, 8).unread) == (0, 0)
    # A backup of room 7 is restored, without the position, and grows beyond the old head before a sweep reads it.
    world.database.heads = {7: 60, 8: 60}
    world.counting.note_epochs({7: "b", 8: "a"})
    world.counting.note_heads({7: 60, 8: 60})
    await world.settle()
    assert (world.get(1, 7), world.get(1, 8)) == (Unread(60, 0, 60, 0), Unread(60, 20, 40, 0))
    world.counting.note_heads({7: 61})
    await world.settle()
    assert world.get(1, 7).unread == 61, "news are added again"


async def test_the_floor_of_a_replaced_log_is_not_that_of_the_log_before(make):
    world = make()
    world.database.heads[7] = 60
    await world.settle()
    for epoch, floor in (("a", 50), ("b", 1)):
        world.counting.note_epochs({7: epoch})
        world.counting.note_floors({7: floor})
        await world.settle()
    counted = len(world.database.counted)
    # Messages of the new log expire, below the floor of the old one.
    world.counting.note_floors({7: 40})
    await world.settle()
    assert len(world.database.counted) == counted + 1


async def test_news_of_a_log_that_was_replaced_meanwhile_are_not_added(make):
    world = make()
    world.counting.note_epochs({7: "a"})
    await world.settle()

    def replace():
        world.database.on_news = lambda: None
        world.database.heads[7] = 2
        world.counting.note_epochs({7: "b"})
        world.counting.note_heads({7: 2})

    world.database.on_news = replace
    world.counting.note_heads({7: 5})
    await world.settle()
    assert world.get(1, 7) == Unread(2, 0, 2, 0)
    world.counting.note_heads({7: 3})
    await world.settle()
    assert world.get(1, 7).unread == 3


async def test_a_read_to_the_head_needs_no_query_and_an_earlier_one_counts_only_its_pair(make):
    world = make(users=[1, 2], rooms=[7, 8])
    world.database.heads = {7: 5, 8: 5}
    await world.settle()
    counted, world.notified[:] = len(world.database.counted), []
    world.counting.move_position(1, 7, 5)
    await world.settle()
    assert (world.notified, len(world.database.counted)) == ([(1, {7})], counted)
    world.counting.move_position(1, 7, 2)
    await world.settle()
    assert world.database.counted[counted:] == [{RoomUser(7, 1): 2}]
    assert world.get(1, 7) == Unread(5, 2, 3, 0)
    assert world.notified == [(1, {7})] * 2


async def test_a_read_during_the_count_of_its_pair_wins(make):
    world = make()
    world.database.heads[7] = 5
    await world.settle()
    world.counting.move_position(1, 7, 2)
    world.database.on_count = lambda: world.counting.move_position(1, 7, 5)
    await world.settle()
    assert world.get(1, 7) == Unread(5, 5, 0, 0)


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (Move(Login("", 1, ""), 3), Unread(5, 3, 2, 0)),
        (Move(Login("", 1, ""), 1), Unread(5, 2, 3, 0)),
        (Move(Login("", 1, ""), 1, is_set=True), Unread(5, 1, 4, 0)),
        (Move(Login("", 1, ""), 5), Unread(5, 5, 0, 0)),
        # In the log before a restore.
        (Move(Login("", 1, ""), 5, epoch="before"), Unread(5, 2, 3, 0)),
    ],
)
async def test_a_pending_position_is_included_in_the_count(make, move, expected):
    world = make()
    world.database.heads[7], world.database.read[RoomUser(7, 1)] = 5, 2
    world.pending[RoomUser(7, 1)] = move
    await world.settle()
    assert world.get(1, 7) == expected


async def test_a_pair_that_waits_to_be_counted_for_the_first_time_is_counted_from_the_stored_position(make):
    world = make()
    world.database.heads[7], world.database.read[RoomUser(7, 1)] = 5, 2
    world.pending[RoomUser(7, 1)] = Move(Login("", 1, ""), 4)
    await world.counting.read_moves()
    await world.counting.count_pairs()
    assert world.get(1, 7) is None, "it waits to be counted from the pending position"
    # The position is dropped before that.
    world.pending.clear()
    world.counting.recount(RoomUser(7, 1))
    await world.settle()
    assert world.get(1, 7) == Unread(5, 2, 3, 0)


async def test_a_position_moved_by_another_process_updates_the_count(make):
    world = make(users=[1, 2])
    world.database.heads[7] = 5
    await world.settle()
    for change, (seq, expected) in enumerate([(4, 1), (5, 0), (1, 4)], 1):
        world.database.moved = Moved("a", change, {RoomUser(7, 1): seq, RoomUser(7, 3): 1}, True, {})
        world.counting.read_moves_soon()
        await world.settle()
        assert world.get(1, 7) == Unread(5, seq, expected, 0)
    assert world.get(2, 7).unread == 5
    assert world.get(3, 7) is None


async def test_a_result_older_than_our_own_write_moves_no_position_back(make):
    world = make()
    world.database.heads[7] = 5
    await world.settle()
    world.counting.move_position(1, 7, 5)

    def answer(change):
        # Our own write finishes while this older result is on its way.
        world.counting.positions_written([RoomUser(7, 1)])
        return Moved("a", 1, {RoomUser(7, 1): 2}, True, {})

    unread.moved_since = answer
    world.counting.read_moves_soon()
    await world.settle()
    assert world.get(1, 7).read == 5


async def test_a_pending_position_wins_over_a_position_that_another_process_wrote(make):
    world = make()
    world.database.heads[7] = 5
    await world.settle()
    world.counting.move_position(1, 7, 5)
    world.pending[RoomUser(7, 1)] = Move(Login("", 1, ""), 5)
    world.database.moved = Moved("a", 1, {RoomUser(7, 1): 3}, True, {})
    world.counting.read_moves_soon()
    await world.settle()
    assert world.get(1, 7).read == 5


async def test_after_a_restored_backup_everything_is_counted_again(make):
    world = make(rooms=[7, 8])
    await world.settle()
    world.database.heads[8] = 3
    world.database.moved = Moved("b", 9, {}, True, {})
    world.counting.read_moves_soon()
    await world.settle()
    assert world.get(1, 8).unread == 3


async def test_nothing_is_counted_before_the_number_of_the_last_change_is_known(make, monkeypatch):
    world = make()

    def fail(change):
        raise TimeoutError

    monkeypatch.setattr(unread, "moved_since", fail)
    with pytest.raises(AssertionError, match="does not end"):
        await world.settle(5)
    assert world.database.counted == []


async def test_announcements_wait_while_messages_are_written_but_only_a_moment(make, monkeypatch):
    world = make()
    world.database.heads = {7: 5}
    await world.settle()
    world.notified.clear()
    writing = [True]
    monkeypatch.setattr(database, "is_writing", lambda: writing[0])
    world.counting.move_position(1, 7, 5)
    task = asyncio.ensure_future(world.counting.announce())
    await asyncio.sleep(0)
    assert world.notified == []
    writing[0] = False
    await task
    assert world.notified == [(1, {7})]
    # Messages that never end delay the counts only a moment.
    writing[0] = True
    world.counting.move_position(1, 7, 4)
    await world.settle()
    world.counting.move_position(1, 7, 5)
    await asyncio.wait_for(world.counting.announce(), 5)
    assert world.notified[-1] == (1, {7})
