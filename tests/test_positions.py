"""Read positions and layouts on their way to the database: only the newest is written, in batches, after messages."""

import asyncio
from types import SimpleNamespace

import pytest
from django.db import IntegrityError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from chat import protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.live import database, positions
from chat.live.positions import Pending, Positions, newest_move
from chat.store import layouts, memberships
from chat.store.layouts import Panes, UserLayout
from chat.store.memberships import CheckedMoves, Move
from chat.store.policies import Login
from chat.store.room_user import RoomUser
from tests.fakes import turns, until

LOGIN = Login("a", 1, "")


def session_of(user):
    return SimpleNamespace(user_id=user, login=Login(f"session-{user}", user, ""), replies=[])


class FakeDatabase:
    """A database that records each transaction, or fails."""

    def __init__(self, monkeypatch):
        self.transactions = []
        self.layouts = []
        self.changes = []
        self.stored = Panes([4])
        self.refused = {}
        self.failure = lambda moves: None
        self.is_writing = False
        self.gate = asyncio.Event()
        self.gate.set()
        monkeypatch.setattr(database, "read", self._run)
        monkeypatch.setattr(database, "write_behind", self._run)
        monkeypatch.setattr(database, "is_writing", lambda: self.is_writing)
        monkeypatch.setattr(memberships, "check_moves", self._check)
        monkeypatch.setattr(memberships, "store_moves", self._store)
        monkeypatch.setattr(layouts, "store_layouts", self._lay_out)
        monkeypatch.setattr(layouts, "load_layout", lambda user: self.stored)
        monkeypatch.setattr(layouts, "change_layout", lambda login, change: self.changes.append((login, change)))

    async def _run(self, work, *arguments):
        await self.gate.wait()
        return work(*arguments)

    def _check(self, moves):
        refused = {pair: self.refused[pair] for pair in moves if pair in self.refused}
        # The tests compare moves, so moves stand in for the rows to write.
        outdated = {pair for pair, move in moves.items() if move.epoch not in (None, "now")}
        kept = {pair: move for pair, move in moves.items() if pair not in refused.keys() | outdated}
        return CheckedMoves(kept, [], refused, outdated)

    def _store(self, checked):
        if error := self.failure(checked.forward):
            raise error
        self.transactions.append(checked.forward)

    def _lay_out(self, layouts):
        self.layouts.append(layouts)


@pytest.fixture
async def fake(monkeypatch):
    monkeypatch.setattr(conf, "POSITIONS_SECONDS", 0.01)
    monkeypatch.setattr(conf, "POSITIONS_BUSY_SECONDS", 0.2)
    return FakeDatabase(monkeypatch)


@pytest.fixture
async def world(fake):
    """The positions under test, with the pairs that they reported as written and as refused."""
    world = SimpleNamespace(written=[], refused=[], outdated=[])
    world.positions = Positions(
        on_written=world.written.extend,
        on_refused=lambda _, pair, error, command: world.refused.append((pair, error.code)),
        on_outdated=world.outdated.append,
    )
    yield world
    await world.positions.stop()


async def test_the_newest_positions_of_a_short_period_are_written_in_one_transaction(fake, world):
    for seq in range(1, 6):
        for user in (1, 2):
            world.positions.move(session_of(user), 7, seq, back=False)
    assert world.positions.pending(RoomUser(7, 1)) == Move(session_of(1).login, 5)
    await world.positions.flush()
    assert fake.transactions == [{RoomUser(7, user): Move(session_of(user).login, 5) for user in (1, 2)}]
    assert sorted(world.written) == [RoomUser(7, 1), RoomUser(7, 2)]
    assert world.positions.pending(RoomUser(7, 1)) is None


async def test_moves_back_and_forward_are_merged_in_order(fake, world):
    for seq, back in [(9, False), (3, True), (5, False), (4, False)]:
        world.positions.move(session_of(1), 7, seq, back=back)
    await world.positions.flush()
    assert fake.transactions == [{RoomUser(7, 1): Move(session_of(1).login, 5, is_set=True)}]


async def test_a_move_in_a_new_log_is_not_merged_with_one_in_the_log_before(fake, world):
    for user, seq, epoch in [(1, 9, "before"), (1, 3, "now"), (2, 9, "before"), (3, 9, None)]:
        world.positions.move(session_of(user), 7, seq, back=False, epoch=epoch)
    await world.positions.flush()
    first, third = Move(session_of(1).login, 3, epoch="now"), Move(session_of(3).login, 9)
    assert fake.transactions == [{RoomUser(7, 1): first, RoomUser(7, 3): third}]
    assert (world.written, world.outdated) == ([RoomUser(7, 1), RoomUser(7, 3)], [RoomUser(7, 2)])
    assert world.positions.pending(RoomUser(7, 2)) is None


async def test_a_move_during_a_write_is_written_after_it(fake, world):
    world.positions.move(session_of(1), 7, 9, back=False)
    fake.gate.clear()
    await asyncio.sleep(0.05)
    world.positions.move(session_of(1), 7, 4, back=True)
    assert world.positions.pending(RoomUser(7, 1)) == Move(session_of(1).login, 4, is_set=True)
    fake.gate.set()
    await world.positions.flush()
    assert [one[7, 1].seq for one in fake.transactions] == [9, 4]


async def test_positions_wait_for_messages_for_a_limited_time(fake, world):
    fake.is_writing = True
    world.positions.move(session_of(1), 7, 9, back=False)
    async with asyncio.timeout(5):
        await asyncio.sleep(0.05)
        assert not fake.transactions
        await until(lambda: fake.transactions)
    world.positions.move(session_of(1), 7, 10, back=False)
    await asyncio.sleep(0.03)
    assert len(fake.transactions) == 1
    fake.is_writing = False
    await until(lambda: len(fake.transactions) == 2)


async def test_many_positions_are_written_in_pieces(fake, world, monkeypatch):
    monkeypatch.setattr(positions, "MAX_ROWS", 10)
    world.positions._rows = 10
    for user in range(25):
        world.positions.move(session_of(user), 7, 1, back=False)
    await world.positions.flush()
    assert [len(piece) for piece in fake.transactions] == [10, 10, 5]


async def test_a_database_outage_loses_no_position_and_is_logged_once(fake, world, caplog):
    fake.failure = lambda moves: OperationalError("away")
    world.positions.move(session_of(1), 7, 9, back=False)
    await until(lambda: "could not be written" in caplog.text)
    await asyncio.sleep(0.1)
    assert world.positions.pending(RoomUser(7, 1)) is not None
    world.positions.move(session_of(1), 7, 12, back=False)
    fake.failure = lambda moves: None
    await until(lambda: fake.transactions)
    assert fake.transactions == [{RoomUser(7, 1): Move(session_of(1).login, 12)}]
    assert caplog.text.count("could not be written") == 1


async def test_a_position_that_cannot_be_written_does_not_delay_others(fake, world, caplog):
    fake.failure = lambda moves: IntegrityError("no such user") if RoomUser(7, 13) in moves else None
    for user in range(100):
        world.positions.move(session_of(user), 7, 1, back=False)
    await until(lambda: sum(map(len, fake.transactions)) == 99)
    # The bad one is found by halving, not one by one, and within one round, so the others do not wait for the next.
    assert len(fake.transactions) < 12
    assert world.positions._rows >= positions.MAX_ROWS / 2
    assert world.positions.pending(RoomUser(7, 13)) is not None
    fake.failure = lambda moves: None
    await until(lambda: world.positions.pending(RoomUser(7, 13)) is None)


async def test_a_refusal_is_reported_to_its_session_and_affects_no_other_move(fake, world):
    fake.refused[RoomUser(3, 1)] = ClientError(ErrorCode.ROOM_ACCESS_DENIED)
    world.positions.move(session_of(1), 3, 1, back=False)
    world.positions.move(session_of(1), 7, 1, back=False)
    await world.positions.flush()
    assert world.refused == [(RoomUser(3, 1), ErrorCode.ROOM_ACCESS_DENIED)]
    assert world.written == [RoomUser(7, 1)]
    assert world.positions.pending(RoomUser(3, 1)) is None


async def test_the_newest_layout_is_written_and_visible_before_that(fake, world):
    for rooms in ([1, 2], [2], [2, 3]):
        world.positions.set_layout(session_of(1), Panes(rooms, 3))
    assert positions.layout_of(1) == Panes([2, 3], 3)
    assert positions.layout_of(2) == fake.stored
    await world.positions.flush()
    assert fake.layouts == [[UserLayout(session_of(1).login, Panes([2, 3], 3))]]
    assert positions.layout_of(1) == fake.stored


async def test_layout_changes_are_written_in_order_and_visible_before_that(fake, world):
    session = session_of(1)
    opened = protocol.Layout(put=[protocol.Put(room=5)], wide=5)
    closed = protocol.Layout(close=protocol.RoomIds([4]))
    world.positions.change_layout(session, opened)
    world.positions.change_layout(session, closed)
    assert positions.layout_of(1) == Panes([5], 5)
    await world.positions.flush()
    assert (fake.layouts, fake.changes) == ([], [(session.login, opened), (session.login, closed)])
    # A whole layout replaces earlier changes, and is written before later ones.
    fake.changes.clear()
    world.positions.change_layout(session, opened)
    world.positions.set_layout(session, Panes([7, 8]))
    world.positions.change_layout(session, closed)
    assert positions.layout_of(1) == Panes([7, 8])
    await world.positions.flush()
    assert fake.layouts == [[UserLayout(session.login, Panes([7, 8]))]]
    assert fake.changes == [(session.login, closed)]


async def test_pending_positions_are_written_on_stop(fake, world):
    fake.is_writing = True
    world.positions.move(session_of(1), 7, 9, back=False)
    world.positions.set_layout(session_of(1), Panes([7]))
    await world.positions.stop()
    assert len(fake.transactions) == len(fake.layouts) == 1


async def test_stop_gives_up_when_the_database_does_not_answer(fake, world, monkeypatch, caplog):
    monkeypatch.setattr(conf, "DRAIN_SECONDS", 0.05)
    fake.gate.clear()
    world.positions.move(session_of(1), 7, 9, back=False)
    await world.positions.stop()
    await turns()
    assert "could not be saved in time" in caplog.text


moves = st.lists(st.builds(Move, st.just(LOGIN), st.integers(0, 9), st.booleans(), st.none()), min_size=1, max_size=9)


@given(moves, st.lists(st.sampled_from(["begin", "done", "fail"]), max_size=9), st.integers(0, 9))
def test_merged_moves_give_the_same_position_as_single_ones(moves, steps, stored):
    """Moves applied one by one, or merged while some are being written or fail, give the same position."""

    def apply(position, move):
        return move.seq if move.is_set else max(position, move.seq)

    expected = stored
    pending = Pending(newest_move)
    steps = iter(steps)
    for move in moves:
        expected = apply(expected, move)
        pending.put("pair", move)
        match next(steps, None):
            case "begin" if not pending._writing:
                pending.start_write()
            case "done" if pending._writing:
                # This move is stored, even if later ones fail.
                stored = apply(stored, pending._writing["pair"])
                pending.finish_write(["pair"])
            case "fail":
                pending.put_back()
        assert pending.get("pair") is None or apply(stored, pending.get("pair")) == expected
    pending.put_back()
    for move in pending.start_write().values():
        stored = apply(stored, move)
    assert stored == expected
