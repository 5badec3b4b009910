"""Read positions and layouts on their way to the database: the newest of each, together, behind messages."""

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
from chat.store.memberships import Checked, Layout, Move
from chat.store.policies import Login
from chat.store.room_user import RoomUser
from tests.fakes import turns, until

LOGIN = Login("a", 1, "")


def session_of(user):
    return SimpleNamespace(user_id=user, login=Login(f"session-{user}", user, ""), replies=[])


class FakeDatabase:
    """Takes what is written, one transaction after the other, or fails."""

    def __init__(self, monkeypatch):
        self.transactions = []
        self.layouts = []
        self.changes = []
        self.stored = ([4], None)
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
        monkeypatch.setattr(memberships, "lay_out", self._lay_out)
        monkeypatch.setattr(memberships, "layout", lambda user: self.stored)
        monkeypatch.setattr(layouts, "change", lambda login, change: self.changes.append((login, change)))

    async def _run(self, work, *arguments):
        await self.gate.wait()
        return work(*arguments)

    def _check(self, moves):
        refused = {pair: self.refused[pair] for pair in moves if pair in self.refused}
        # What is written is not looked at here.
        return Checked({pair: move for pair, move in moves.items() if pair not in refused}, [], refused)

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
async def told(fake):
    """What the positions tell: what was written, and what was refused."""
    told = SimpleNamespace(written=[], refused=[])
    told.positions = Positions(
        on_written=told.written.extend, on_refused=lambda session, pair, error: told.refused.append((pair, error.code))
    )
    yield told
    await told.positions.stop()


async def test_what_comes_within_a_moment_is_written_by_one_transaction_the_newest_of_each(fake, told):
    for seq in range(1, 6):
        for user in (1, 2):
            told.positions.move(session_of(user), 7, seq, back=False)
    assert told.positions.pending(RoomUser(7, 1)) == Move(session_of(1).login, 5)
    await told.positions.flush()
    assert fake.transactions == [{RoomUser(7, user): Move(session_of(user).login, 5) for user in (1, 2)}]
    assert sorted(told.written) == [RoomUser(7, 1), RoomUser(7, 2)]
    assert told.positions.pending(RoomUser(7, 1)) is None


async def test_back_and_forward_keep_their_order(fake, told):
    for seq, back in [(9, False), (3, True), (5, False), (4, False)]:
        told.positions.move(session_of(1), 7, seq, back=back)
    await told.positions.flush()
    assert fake.transactions == [{RoomUser(7, 1): Move(session_of(1).login, 5, is_set=True)}]


async def test_what_comes_while_it_is_written_is_written_after_it(fake, told):
    told.positions.move(session_of(1), 7, 9, back=False)
    fake.gate.clear()
    await asyncio.sleep(0.05)
    told.positions.move(session_of(1), 7, 4, back=True)
    assert told.positions.pending(RoomUser(7, 1)) == Move(session_of(1).login, 4, is_set=True)
    fake.gate.set()
    await told.positions.flush()
    assert [one[7, 1].seq for one in fake.transactions] == [9, 4]


async def test_positions_wait_while_messages_are_written_but_not_for_ever(fake, told):
    fake.is_writing = True
    told.positions.move(session_of(1), 7, 9, back=False)
    async with asyncio.timeout(5):
        await asyncio.sleep(0.05)
        assert not fake.transactions
        await until(lambda: fake.transactions)
    told.positions.move(session_of(1), 7, 10, back=False)
    await asyncio.sleep(0.03)
    assert len(fake.transactions) == 1
    fake.is_writing = False
    await until(lambda: len(fake.transactions) == 2)


async def test_many_are_written_in_pieces(fake, told, monkeypatch):
    monkeypatch.setattr(positions, "MAX_ROWS", 10)
    told.positions._rows = 10
    for user in range(25):
        told.positions.move(session_of(user), 7, 1, back=False)
    await told.positions.flush()
    assert [len(piece) for piece in fake.transactions] == [10, 10, 5]


async def test_a_database_that_is_away_loses_nothing_and_the_log_says_so_once(fake, told, caplog):
    fake.failure = lambda moves: OperationalError("away")
    told.positions.move(session_of(1), 7, 9, back=False)
    await until(lambda: "could not be written" in caplog.text)
    await asyncio.sleep(0.1)
    assert told.positions.pending(RoomUser(7, 1)) is not None
    told.positions.move(session_of(1), 7, 12, back=False)
    fake.failure = lambda moves: None
    await until(lambda: fake.transactions)
    assert fake.transactions == [{RoomUser(7, 1): Move(session_of(1).login, 12)}]
    assert caplog.text.count("could not be written") == 1


async def test_one_that_cannot_be_written_holds_up_no_other(fake, told, caplog):
    fake.failure = lambda moves: IntegrityError("no such user") if RoomUser(7, 13) in moves else None
    for user in range(100):
        told.positions.move(session_of(user), 7, 1, back=False)
    await until(lambda: sum(map(len, fake.transactions)) == 99)
    # Found by halves, not one by one, and within one round: the others do not wait for the next.
    assert len(fake.transactions) < 12
    assert told.positions._rows >= positions.MAX_ROWS / 2
    assert told.positions.pending(RoomUser(7, 13)) is not None
    fake.failure = lambda moves: None
    await until(lambda: told.positions.pending(RoomUser(7, 13)) is None)


async def test_a_refusal_is_told_to_who_asked_and_changes_nothing_else(fake, told):
    fake.refused[RoomUser(3, 1)] = ClientError(ErrorCode.ROOM_ACCESS_DENIED)
    told.positions.move(session_of(1), 3, 1, back=False)
    told.positions.move(session_of(1), 7, 1, back=False)
    await told.positions.flush()
    assert told.refused == [(RoomUser(3, 1), ErrorCode.ROOM_ACCESS_DENIED)]
    assert told.written == [RoomUser(7, 1)]
    assert told.positions.pending(RoomUser(3, 1)) is None


async def test_of_layouts_the_newest_is_written_and_is_shown_before_it_is(fake, told):
    for rooms in ([1, 2], [2], [2, 3]):
        told.positions.set_layout(session_of(1), rooms, 3)
    assert positions.layout_of(1) == ((2, 3), 3)
    assert positions.layout_of(2) == fake.stored
    await told.positions.flush()
    assert fake.layouts == [[Layout(session_of(1).login, (2, 3), 3)]]
    assert positions.layout_of(1) == fake.stored


async def test_changes_of_a_layout_are_written_in_their_order_and_are_shown_before_they_are(fake, told):
    session = session_of(1)
    opened = protocol.Layout(put=[protocol.Put(room=5)], wide=5)
    closed = protocol.Layout(close=protocol.RoomIds([4]))
    told.positions.change_layout(session, opened)
    told.positions.change_layout(session, closed)
    assert positions.layout_of(1) == ([5], 5)
    await told.positions.flush()
    assert (fake.layouts, fake.changes) == ([], [(session.login, opened), (session.login, closed)])
    # A whole layout makes what came before it void, and is written before what came after it.
    fake.changes.clear()
    told.positions.change_layout(session, opened)
    told.positions.set_layout(session, [7, 8], None)
    told.positions.change_layout(session, closed)
    assert positions.layout_of(1) == ([7, 8], None)
    await told.positions.flush()
    assert fake.layouts == [[Layout(session.login, (7, 8), None)]]
    assert fake.changes == [(session.login, closed)]


async def test_what_waits_is_written_when_it_stops(fake, told):
    fake.is_writing = True
    told.positions.move(session_of(1), 7, 9, back=False)
    told.positions.set_layout(session_of(1), [7], None)
    await told.positions.stop()
    assert len(fake.transactions) == len(fake.layouts) == 1


async def test_stopping_ends_when_the_database_does_not_answer(fake, told, monkeypatch, caplog):
    monkeypatch.setattr(conf, "DRAIN_SECONDS", 0.05)
    fake.gate.clear()
    told.positions.move(session_of(1), 7, 9, back=False)
    await told.positions.stop()
    await turns()
    assert "could not be saved in time" in caplog.text


moves = st.lists(st.builds(Move, st.just(LOGIN), st.integers(0, 9), st.booleans()), min_size=1, max_size=9)


@given(moves, st.lists(st.sampled_from(["begin", "done", "fail"]), max_size=9), st.integers(0, 9))
def test_whatever_is_merged_comes_to_the_same_position(moves, steps, stored):
    """One after the other, or merged while some of it is being written and fails: the position is the same."""

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
                # Written, whatever comes after it.
                stored = apply(stored, pending._writing["pair"])
                pending.finish_write(["pair"])
            case "fail":
                pending.put_back()
        assert pending.get("pair") is None or apply(stored, pending.get("pair")) == expected
    pending.put_back()
    for move in pending.start_write().values():
        stored = apply(stored, move)
    assert stored == expected
