"""Group commit: one transaction per batch, an answer for each draft, after the commit."""

import asyncio
import random
import threading
import uuid

import pytest
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, ProgrammingError

from chat.exceptions import ClientError, ErrorCode
from chat.live import database, runtime, writer
from chat.live.writer import Writer
from chat.store import actions
from chat.store.actions import Draft, NotSaved
from chat.store.log import Committed
from tests.fakes import until


def draft(body="hi", *, room=1, author=2):
    return Draft(room=room, author=author, body=body, client_id=uuid.uuid4())


class Log:
    """Stands in for actions.commit: keeps what was committed, and can be slow, away or unsure."""

    def __init__(self):
        self.batches = []
        self.seqs = {}
        self.errors = []  # raised before the commit, one per call
        self.unknown = []  # raised after it
        self.gate = threading.Event()
        self.gate.set()

    def commit(self, drafts):
        assert self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append([one.body for one in drafts])
        outcomes = [Committed(one.room, self.seqs.setdefault(one.key, len(self.seqs) + 1)) for one in drafts]
        if self.unknown:
            raise self.unknown.pop(0)
        return outcomes


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr(actions, "commit", log.commit)
    monkeypatch.setattr(writer, "RETRY_SECONDS", 0.001)
    return log


@pytest.fixture
async def one(log):
    """A writer that publishes to nobody."""
    one = Writer(lambda room, epoch, events: None)
    yield one
    log.gate.set()
    await one.flush()
    await database.close()


async def test_what_comes_in_while_one_batch_is_written_goes_into_the_next(one, log):
    log.gate.clear()
    answers = []
    one.submit(draft("first"), answers.append)
    await asyncio.sleep(0)
    for number in range(5):
        one.submit(draft(str(number)), answers.append)
    assert answers == []
    log.gate.set()
    await one.flush()
    assert log.batches == [["first"], ["0", "1", "2", "3", "4"]]
    assert [answer.seq for answer in answers] == [1, 2, 3, 4, 5, 6]


async def test_nothing_is_answered_before_the_commit(one, log):
    answers = []
    log.errors = [OperationalError("away")] * 3
    one.submit(draft(), lambda outcome: answers.append((outcome.seq, list(log.batches))))
    await one.flush()
    assert answers == [(1, [["hi"]])]


async def test_a_batch_holds_so_many_drafts_and_bytes_and_one_at_least(one, log, settings):
    settings.BATCH_DRAFTS = 3
    settings.BATCH_BYTES = 10
    for body in ["a", "b", "c", "d", "x" * 8, "y" * 50, "z" * 50]:
        one.submit(draft(body), lambda outcome: None)
    await one.flush()
    assert log.batches == [["a", "b", "c"], ["d", "x" * 8], ["y" * 50], ["z" * 50]]


async def test_a_full_queue_says_to_try_later(one, log, settings):
    settings.DRAFT_QUEUE = 2
    log.gate.clear()
    answers = []
    one.submit(draft(), answers.append)
    one.submit(draft(), answers.append)
    with pytest.raises(ClientError) as caught:
        one.submit(draft(), answers.append)
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    assert caught.value.context["retry_after"] > 0
    log.gate.set()
    await one.flush()
    assert len(answers) == 2
    one.submit(draft(), answers.append)
    await one.flush()
    assert len(answers) == 3


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_while_the_database_is_away_drafts_are_held_in_their_order(one, log, error):
    log.errors = [error("away")] * 3
    answers = []
    for body in "abc":
        one.submit(draft(body), answers.append)
    await one.flush()
    assert log.batches == [["a", "b", "c"]]
    assert [answer.seq for answer in answers] == [1, 2, 3]


async def test_drafts_held_for_too_long_are_answered_unavailable(one, log, settings):
    settings.DRAFT_HOLD_SECONDS = 0.02
    log.errors = [OperationalError("away")] * 100_000
    answers = []
    for body in "abc":
        one.submit(draft(body), answers.append)
    await asyncio.wait_for(one.flush(), 5)
    assert [answer.code for answer in answers] == [ErrorCode.SERVER_UNAVAILABLE] * 3
    assert all(answer.context["retry_after"] > 0 for answer in answers)
    assert log.batches == []


async def test_a_database_that_goes_and_comes_back_is_logged_once_each(one, log, caplog):
    caplog.set_level("INFO", "chat.live.writer")
    for tries in (20, 0, 3):
        log.errors = [OperationalError("away") for _ in range(tries)]
        one.submit(draft(), lambda outcome: None)
        await one.flush()
    away = "the database takes no messages (OperationalError: away): they are held"
    back = "the database takes messages again after "
    lines = [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"]
    assert lines[::2] == [away, away]
    assert [line.startswith(back) for line in lines[1::2]] == [True, True]


async def test_a_database_that_hangs_is_logged_once(one, log, caplog, settings):
    settings.DRAFT_HOLD_SECONDS = 0.02
    caplog.set_level("INFO", "chat.live.writer")
    log.gate.clear()
    answers = []
    for _ in range(2):
        one.submit(draft(), answers.append)
        await until(lambda: len(answers) == len(one._queue))
    log.gate.set()
    await one.flush()
    lines = [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"]
    assert len(lines) == 2
    assert lines[0].startswith("the database takes no messages (no answer)")
    assert lines[1].startswith("the database takes messages again after ")


async def test_a_commit_of_unknown_outcome_is_run_again_with_the_same_drafts(one, log):
    log.unknown = [OperationalError("connection lost")]
    answers = []
    first = draft("a")
    one.submit(first, answers.append)
    one.submit(draft("b"), answers.append)
    await one.flush()
    assert log.batches == [["a", "b"], ["a", "b"]]
    assert [answer.seq for answer in answers] == [1, 2]
    assert len(log.seqs) == 2


async def test_a_fault_of_our_own_is_answered_and_the_next_batch_is_written(one, log, caplog):
    log.errors = [ZeroDivisionError()]
    answers = []
    one.submit(draft("a"), answers.append)
    await one.flush()
    one.submit(draft("b"), answers.append)
    await one.flush()
    assert (answers[0].code, answers[1].seq) == (ErrorCode.SERVER_UNAVAILABLE, 1)
    assert "ZeroDivisionError" in caplog.text


async def test_an_answer_that_fails_keeps_no_other_from_theirs(one, log, caplog):
    answers = []

    def fail(outcome):
        raise ZeroDivisionError

    one.submit(draft("a"), fail)
    one.submit(draft("b"), answers.append)
    await one.flush()
    assert [answer.seq for answer in answers] == [2]


async def test_a_draft_taken_while_its_answer_is_given_is_written_too(one, log):
    answers = []
    one.submit(draft("a"), lambda outcome: one.submit(draft("b"), answers.append))
    await one.flush()
    assert log.batches == [["a"], ["b"]]
    assert len(answers) == 1


class LockedRooms:
    """Stands in for actions.commit where some rooms are locked, and some drafts fail by themselves."""

    def __init__(self, monkeypatch):
        self.locked, self.failing = set(), set()
        self.seqs, self.tried, self.waits = {}, [], 0
        monkeypatch.setattr(actions, "commit", self.commit)
        monkeypatch.setattr(actions, "commit_unlocked", self.commit_unlocked)

    def commit(self, drafts):
        self.waits += any(draft.room in self.locked for draft in drafts)
        return self.commit_unlocked(drafts)

    def commit_unlocked(self, drafts):
        self.tried.append([draft.body for draft in drafts])
        failed = set()
        return [self._save(draft, failed) for draft in drafts]

    def _save(self, draft, failed):
        sender = (draft.room, draft.author)
        if draft.room in self.locked:
            return NotSaved(is_locked=True)
        if sender in failed:
            return NotSaved()
        if draft.body in self.failing:
            failed.add(sender)
            return NotSaved(error=OperationalError("too many SQL variables"))
        room = self.seqs.setdefault(draft.room, [])
        room.append(draft.body)
        return Committed(draft.room, len(room))


@pytest.fixture
def locks(monkeypatch):
    return LockedRooms(monkeypatch)


@pytest.fixture
async def two_lanes(locks):
    one = Writer(lambda room, epoch, events: None)
    yield one
    locks.locked.clear()
    locks.failing.clear()
    await one.flush()
    await database.close()


async def test_a_locked_room_stops_only_itself_and_keeps_its_order(two_lanes, locks):
    locks.locked = {1}
    answers = []
    for number in range(20):
        for room in (1, 2, 3):
            two_lanes.submit(draft(f"{room}.{number}", room=room), answers.append)
        await asyncio.sleep(0)
    await until(lambda: len(answers) == 40)
    assert {answer.room for answer in answers} == {2, 3}
    # The others waited for the lock once.
    assert locks.waits == 1
    locks.locked.clear()
    await two_lanes.flush()
    assert locks.seqs == {room: [f"{room}.{number}" for number in range(20)] for room in (1, 2, 3)}


async def test_a_locked_room_is_asked_about_now_and_then_and_not_all_the_time(two_lanes, locks):
    locks.locked = {1}
    for number in range(50):
        two_lanes.submit(draft(str(number)), lambda outcome: None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: len(locks.tried) >= 5)
    assert loop.time() - began > 0.05 + 0.1 + 0.2 + 0.4
    # One draft stands for all of its room.
    assert {len(tried) for tried in locks.tried[1:]} == {1}


async def test_drafts_of_a_locked_room_are_given_back_in_time_and_those_of_others_are_not(two_lanes, locks, settings):
    settings.DRAFT_HOLD_SECONDS = 0.3
    locks.locked = {1}
    answers = []
    two_lanes.submit(draft("locked", room=1), answers.append)
    await until(lambda: answers)
    assert (answers[0].code, answers[0].context["retry_after"]) == (ErrorCode.SERVER_UNAVAILABLE, 1)
    # The room is known to be locked: the others do not wait for it again.
    two_lanes.submit(draft("locked", room=1), answers.append)
    two_lanes.submit(draft("free", room=2), answers.append)
    await until(lambda: len(answers) == 3)
    assert answers[1] == Committed(2, 1)
    assert locks.waits == 1


async def test_a_locked_room_does_not_use_up_the_queue_of_others(two_lanes, locks, settings):
    settings.DRAFT_QUEUE = 3
    locks.locked = {1}
    two_lanes.submit(draft("1", room=1), lambda outcome: None)
    await until(lambda: len(two_lanes._held))
    for number in range(2):
        two_lanes.submit(draft(str(number), room=1), lambda outcome: None)
    with pytest.raises(ClientError) as caught:
        two_lanes.submit(draft("too many", room=1), lambda outcome: None)
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    answers = []
    two_lanes.submit(draft("free", room=2), answers.append)
    await until(lambda: answers)
    assert answers == [Committed(2, 1)]


async def test_a_draft_that_fails_alone_holds_up_only_its_sender_in_its_room(two_lanes, locks, settings, caplog):
    settings.DRAFT_HOLD_SECONDS = 0.4
    locks.failing = {"poison"}
    answers = {}
    for author, body in [(2, "poison"), (2, "after it"), (3, "of another"), (2, "elsewhere")]:
        room = 2 if body == "elsewhere" else 1
        two_lanes.submit(
            draft(body, room=room, author=author), lambda outcome, body=body: answers.update({body: outcome})
        )
    await until(lambda: len(answers) == 2)
    assert answers == {"of another": Committed(1, 1), "elsewhere": Committed(2, 1)}
    two_lanes.submit(draft("later", room=1, author=4), lambda outcome: answers.update(later=outcome))
    await until(lambda: len(answers) == 5)
    assert answers["later"] == Committed(1, 2)
    assert answers["poison"].code == ErrorCode.SERVER_UNAVAILABLE
    # What came after it was given back with it, or saved after it: never before.
    assert "poison" not in locks.seqs[1]
    lines = [record for record in caplog.records if "a message is held" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].exc_info is None


async def test_a_locked_room_is_logged_once_and_named_for_the_health_check(two_lanes, locks, caplog, monkeypatch):
    caplog.set_level("INFO", "chat.live.writer")
    monkeypatch.setattr(writer, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(runtime.current(), "writer", two_lanes)
    locks.locked = {1}
    for number in range(3):
        two_lanes.submit(draft(str(number)), lambda outcome: None)
    await until(lambda: len(locks.tried) >= 4)
    assert writer.state() == "locked"
    locks.locked.clear()
    await two_lanes.flush()
    assert writer.state() is None
    assert [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"] == [
        "room=1 is locked by another transaction: its messages are held",
        "room=1 takes messages again",
    ]


async def test_many_locked_rooms_are_all_tried_again(two_lanes, locks, settings):
    settings.BATCH_DRAFTS = 4
    locks.locked = set(range(1, 31))
    answers = []
    for room in range(1, 31):
        two_lanes.submit(draft(str(room), room=room), answers.append)
    await until(lambda: len(two_lanes._held) == 30)
    locks.locked.clear()
    await asyncio.wait_for(two_lanes.flush(), 10)
    assert {answer.room for answer in answers} == set(range(1, 31))


@pytest.mark.parametrize("seed", range(20))
async def test_the_order_of_each_sender_in_each_room_survives_locks_that_come_and_go(two_lanes, locks, seed):
    chance = random.Random(seed)
    sent = {}
    for number in range(120):
        if chance.random() < 0.1:
            locks.locked ^= {chance.choice([1, 2])}
        if chance.random() < 0.1:
            locks.failing = {f"{number}"} if chance.random() < 0.5 else set()
        room, author = chance.choice([1, 2, 3]), chance.choice([2, 3])
        body = str(number)
        two_lanes.submit(draft(body, room=room, author=author), lambda outcome: None)
        sent.setdefault((room, author), []).append(body)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.01]))
    locks.locked.clear()
    locks.failing.clear()
    await asyncio.wait_for(two_lanes.flush(), 20)
    for (room, _), bodies in sent.items():
        assert [body for body in locks.seqs[room] if body in bodies] == bodies


@pytest.mark.parametrize(
    "error",
    [
        InternalError("cannot execute INSERT in a read-only transaction"),
        DatabaseError("database disk image is malformed"),
        ProgrammingError("permission denied for table chat_event"),
        TimeoutError(),
    ],
)
async def test_whatever_class_the_driver_chose_a_database_that_is_away_holds_drafts(one, log, error, caplog):
    log.errors = [error] * 3
    answers = []
    for body in "ab":
        one.submit(draft(body), answers.append)
    await one.flush()
    assert [answer.seq for answer in answers] == [1, 2]
    assert [
        record.exc_info
        for record in caplog.records
        if record.levelname == "WARNING" and record.name == "chat.live.writer"
    ] == [None]


async def test_a_running_loop_has_one_writer():
    first = writer.running()
    assert writer.running() is first
    await writer.flush()


@pytest.mark.django_db(transaction=True)
class TestWithTheDatabase:
    async def test_what_is_committed_is_published_by_room_and_in_order(self, bob, rooms):
        published = []
        one = Writer(lambda room, epoch, events: published.append((room, epoch, [event.seq for event in events])))
        answers = []
        one.submit(draft("first", room=rooms.lobby.pk, author=bob.pk), answers.append)
        await one.flush()
        again = draft(room=rooms.lobby.pk, author=bob.pk)
        for room in (rooms.lobby, rooms.random, rooms.lobby):
            one.submit(draft(room=room.pk, author=bob.pk), answers.append)
        one.submit(again, answers.append)
        one.submit(again, answers.append)
        await one.flush()
        lobby, other = ((room.pk, room.epoch) for room in (rooms.lobby, rooms.random))
        assert published == [(*lobby, [1]), (*lobby, [2, 3, 4]), (*other, [1])]
        assert [answer.seq for answer in answers] == [1, 2, 1, 3, 4, 4]
        await database.close()

    async def test_a_commit_of_unknown_outcome_posts_once(self, bob, rooms, monkeypatch):
        commit, lost = actions.commit, [OperationalError("connection lost")]

        def commit_and_lose(drafts):
            outcomes = commit(drafts)
            if lost:
                raise lost.pop()
            return outcomes

        monkeypatch.setattr(actions, "commit", commit_and_lose)
        monkeypatch.setattr(writer, "RETRY_SECONDS", 0.001)
        answers = []
        one = Writer(lambda room, epoch, events: None)
        # One with the sender's key, one with ours.
        one.submit(draft(room=rooms.lobby.pk, author=bob.pk), answers.append)
        one.submit(Draft(room=rooms.lobby.pk, author=bob.pk, body="hi"), answers.append)
        await one.flush()
        assert [answer.seq for answer in answers] == [1, 2]
        assert await database.read(lambda: rooms.lobby.events.count()) == 2
        await database.close()
