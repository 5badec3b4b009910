"""Group commit: a transaction for each batch, and an answer for each draft after the commit."""

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
from tests.servers.quantities import seeds


def draft(body="hi", *, room=1, author=2):
    return Draft(room=room, author=author, body=body, client_id=uuid.uuid4())


class Log:
    """Stands in for actions.commit. It records the batches, and can be slow, fail, or leave the outcome unknown."""

    def __init__(self):
        self.batches = []
        self.seqs = {}
        self.errors = []  # raised before the commit, each by a separate call
        self.unknown = []  # raised after the commit
        self.gate = threading.Event()
        self.gate.set()

    def commit(self, drafts):
        assert self.gate.wait(10)
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append([draft.body for draft in drafts])
        outcomes = [Committed(draft.room, self.seqs.setdefault(draft.key, len(self.seqs) + 1)) for draft in drafts]
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
async def draft_writer(log):
    """A writer that discards the committed events."""
    draft_writer = Writer(lambda room, epoch, events: None)
    yield draft_writer
    log.gate.set()
    await draft_writer.flush()
    await database.close()


async def test_drafts_that_arrive_during_a_write_go_into_the_next_batch(draft_writer, log):
    log.gate.clear()
    answers = []
    draft_writer.submit(draft("first"), answers.append)
    await asyncio.sleep(0)
    for number in range(5):
        draft_writer.submit(draft(str(number)), answers.append)
    assert answers == []
    log.gate.set()
    await draft_writer.flush()
    assert log.batches == [["first"], ["0", "1", "2", "3", "4"]]
    assert [answer.seq for answer in answers] == [1, 2, 3, 4, 5, 6]


async def test_a_draft_is_not_answered_before_its_commit(draft_writer, log):
    answers = []
    log.errors = [OperationalError("away")] * 3
    draft_writer.submit(draft(), lambda outcome: answers.append((outcome.seq, list(log.batches))))
    await draft_writer.flush()
    assert answers == [(1, [["hi"]])]


async def test_a_batch_is_limited_in_drafts_and_bytes_but_has_at_least_one_draft(draft_writer, log, settings):
    settings.BATCH_DRAFTS = 3
    settings.BATCH_BYTES = 10
    for body in ["a", "b", "c", "d", "x" * 8, "y" * 50, "z" * 50]:
        draft_writer.submit(draft(body), lambda outcome: None)
    await draft_writer.flush()
    assert log.batches == [["a", "b", "c"], ["d", "x" * 8], ["y" * 50], ["z" * 50]]


async def test_a_full_queue_refuses_a_draft_with_a_time_to_retry(draft_writer, log, settings):
    settings.DRAFT_QUEUE = 2
    log.gate.clear()
    answers = []
    draft_writer.submit(draft(), answers.append)
    draft_writer.submit(draft(), answers.append)
    with pytest.raises(ClientError) as caught:
        draft_writer.submit(draft(), answers.append)
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    assert caught.value.context["retry_after"] > 0
    log.gate.set()
    await draft_writer.flush()
    assert len(answers) == 2
    draft_writer.submit(draft(), answers.append)
    await draft_writer.flush()
    assert len(answers) == 3


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_while_the_database_is_away_drafts_are_held_in_their_order(draft_writer, log, error):
    log.errors = [error("away")] * 3
    answers = []
    for body in "abc":
        draft_writer.submit(draft(body), answers.append)
    await draft_writer.flush()
    assert log.batches == [["a", "b", "c"]]
    assert [answer.seq for answer in answers] == [1, 2, 3]


async def test_drafts_held_for_too_long_are_answered_unavailable(draft_writer, log, settings):
    settings.DRAFT_HOLD_SECONDS = 0.02
    log.errors = [OperationalError("away")] * 100_000
    answers = []
    for body in "abc":
        draft_writer.submit(draft(body), answers.append)
    await asyncio.wait_for(draft_writer.flush(), 5)
    assert [answer.code for answer in answers] == [ErrorCode.SERVER_UNAVAILABLE] * 3
    assert all(answer.context["retry_after"] > 0 for answer in answers)
    assert log.batches == []


async def test_an_outage_of_the_database_and_its_end_are_logged_once(draft_writer, log, caplog):
    caplog.set_level("INFO", "chat.live.writer")
    for tries in (20, 0, 3):
        log.errors = [OperationalError("away") for _ in range(tries)]
        draft_writer.submit(draft(), lambda outcome: None)
        await draft_writer.flush()
    away = "the database takes no messages (OperationalError: away): they are held"
    back = "the database takes messages again after "
    lines = [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"]
    assert lines[::2] == [away, away]
    assert [line.startswith(back) for line in lines[1::2]] == [True, True]


async def test_a_database_that_hangs_is_logged_once(draft_writer, log, caplog, settings):
    settings.DRAFT_HOLD_SECONDS = 0.02
    caplog.set_level("INFO", "chat.live.writer")
    log.gate.clear()
    answers = []
    for _ in range(2):
        draft_writer.submit(draft(), answers.append)
        await until(lambda: len(answers) == len(draft_writer._queue))
    log.gate.set()
    await draft_writer.flush()
    lines = [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"]
    assert len(lines) == 2
    assert lines[0].startswith("the database takes no messages (no answer)")
    assert lines[1].startswith("the database takes messages again after ")


async def test_a_batch_with_an_unknown_outcome_is_committed_again(draft_writer, log):
    log.unknown = [OperationalError("connection lost")]
    answers = []
    first = draft("a")
    draft_writer.submit(first, answers.append)
    draft_writer.submit(draft("b"), answers.append)
    await draft_writer.flush()
    assert log.batches == [["a", "b"], ["a", "b"]]
    assert [answer.seq for answer in answers] == [1, 2]
    assert len(log.seqs) == 2


async def test_an_internal_error_is_answered_and_the_next_batch_is_written(draft_writer, log, caplog):
    log.errors = [ZeroDivisionError()]
    answers = []
    draft_writer.submit(draft("a"), answers.append)
    await draft_writer.flush()
    draft_writer.submit(draft("b"), answers.append)
    await draft_writer.flush()
    assert (answers[0].code, answers[1].seq) == (ErrorCode.SERVER_UNAVAILABLE, 1)
    assert "ZeroDivisionError" in caplog.text


async def test_a_callback_that_fails_does_not_affect_other_drafts(draft_writer, log, caplog):
    answers = []

    def fail(outcome):
        raise ZeroDivisionError

    draft_writer.submit(draft("a"), fail)
    draft_writer.submit(draft("b"), answers.append)
    await draft_writer.flush()
    assert [answer.seq for answer in answers] == [2]


async def test_a_draft_submitted_by_a_callback_is_written(draft_writer, log):
    answers = []
    draft_writer.submit(draft("a"), lambda outcome: draft_writer.submit(draft("b"), answers.append))
    await draft_writer.flush()
    assert log.batches == [["a"], ["b"]]
    assert len(answers) == 1


class LockedRooms:
    """Stands in for actions.commit where some rooms are locked, and some drafts fail alone."""

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
async def writer_with_locks(locks):
    writer_with_locks = Writer(lambda room, epoch, events: None)
    yield writer_with_locks
    locks.locked.clear()
    locks.failing.clear()
    await writer_with_locks.flush()
    await database.close()


async def test_a_locked_room_delays_only_its_own_drafts_and_keeps_their_order(writer_with_locks, locks):
    locks.locked = {1}
    answers = []
    for number in range(20):
        for room in (1, 2, 3):
            writer_with_locks.submit(draft(f"{room}.{number}", room=room), answers.append)
        await asyncio.sleep(0)
    await until(lambda: len(answers) == 40)
    assert {answer.room for answer in answers} == {2, 3}
    # The other rooms waited for the lock once.
    assert locks.waits == 1
    locks.locked.clear()
    await writer_with_locks.flush()
    assert locks.seqs == {room: [f"{room}.{number}" for number in range(20)] for room in (1, 2, 3)}


async def test_a_locked_room_is_retried_with_growing_delays(writer_with_locks, locks):
    locks.locked = {1}
    for number in range(50):
        writer_with_locks.submit(draft(str(number)), lambda outcome: None)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: len(locks.tried) >= 5)
    assert loop.time() - began > 0.05 + 0.1 + 0.2 + 0.4
    # Only one draft of the room is retried.
    assert {len(tried) for tried in locks.tried[1:]} == {1}


async def test_drafts_of_a_locked_room_are_refused_in_time_and_other_rooms_are_written(
    writer_with_locks, locks, settings
):
    settings.DRAFT_HOLD_SECONDS = 0.3
    locks.locked = {1}
    answers = []
    writer_with_locks.submit(draft("locked", room=1), answers.append)
    await until(lambda: answers)
    assert (answers[0].code, answers[0].context["retry_after"]) == (ErrorCode.SERVER_UNAVAILABLE, 1)
    # The room is known to be locked, so other rooms do not wait for it again.
    writer_with_locks.submit(draft("locked", room=1), answers.append)
    writer_with_locks.submit(draft("free", room=2), answers.append)
    await until(lambda: len(answers) == 3)
    assert answers[1] == Committed(2, 1)
    assert locks.waits == 1


async def test_a_locked_room_does_not_use_up_the_queue_of_others(writer_with_locks, locks, settings):
    settings.DRAFT_QUEUE = 3
    locks.locked = {1}
    writer_with_locks.submit(draft("1", room=1), lambda outcome: None)
    await until(lambda: len(writer_with_locks._held))
    for number in range(2):
        writer_with_locks.submit(draft(str(number), room=1), lambda outcome: None)
    with pytest.raises(ClientError) as caught:
        writer_with_locks.submit(draft("too many", room=1), lambda outcome: None)
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    answers = []
    writer_with_locks.submit(draft("free", room=2), answers.append)
    await until(lambda: answers)
    assert answers == [Committed(2, 1)]


async def test_a_draft_that_fails_alone_delays_only_its_author_in_its_room(writer_with_locks, locks, settings, caplog):
    settings.DRAFT_HOLD_SECONDS = 0.4
    locks.failing = {"poison"}
    answers = {}
    for author, body in [(2, "poison"), (2, "after it"), (3, "of another"), (2, "elsewhere")]:
        room = 2 if body == "elsewhere" else 1
        writer_with_locks.submit(
            draft(body, room=room, author=author), lambda outcome, body=body: answers.update({body: outcome})
        )
    await until(lambda: len(answers) == 2)
    assert answers == {"of another": Committed(1, 1), "elsewhere": Committed(2, 1)}
    writer_with_locks.submit(draft("later", room=1, author=4), lambda outcome: answers.update(later=outcome))
    await until(lambda: len(answers) == 5)
    assert answers["later"] == Committed(1, 2)
    assert answers["poison"].code == ErrorCode.SERVER_UNAVAILABLE
    # Drafts after it are answered with it, or saved after it, but never before it.
    assert "poison" not in locks.seqs[1]
    lines = [record for record in caplog.records if "a message is held" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].exc_info is None


async def test_a_locked_room_is_logged_once_and_reported_to_the_health_check(
    writer_with_locks, locks, caplog, monkeypatch
):
    caplog.set_level("INFO", "chat.live.writer")
    monkeypatch.setattr(writer, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(runtime.current(), "writer", writer_with_locks)
    locks.locked = {1}
    for number in range(3):
        writer_with_locks.submit(draft(str(number)), lambda outcome: None)
    await until(lambda: len(locks.tried) >= 4)
    assert writer.state() == "locked"
    locks.locked.clear()
    await writer_with_locks.flush()
    assert writer.state() is None
    assert [record.getMessage() for record in caplog.records if record.name == "chat.live.writer"] == [
        "room=1 is locked by another transaction: its messages are held",
        "room=1 takes messages again",
    ]


async def test_many_locked_rooms_are_all_retried(writer_with_locks, locks, settings):
    settings.BATCH_DRAFTS = 4
    locks.locked = set(range(1, 31))
    answers = []
    for room in range(1, 31):
        writer_with_locks.submit(draft(str(room), room=room), answers.append)
    await until(lambda: len(writer_with_locks._held) == 30)
    locks.locked.clear()
    await asyncio.wait_for(writer_with_locks.flush(), 10)
    assert {answer.room for answer in answers} == set(range(1, 31))


@pytest.mark.parametrize("seed", seeds(20))
async def test_drafts_of_an_author_in_a_room_keep_their_order_under_changing_locks(writer_with_locks, locks, seed):
    chance = random.Random(seed)
    sent = {}
    for number in range(120):
        if chance.random() < 0.1:
            locks.locked ^= {chance.choice([1, 2])}
        if chance.random() < 0.1:
            locks.failing = {f"{number}"} if chance.random() < 0.5 else set()
        room, author = chance.choice([1, 2, 3]), chance.choice([2, 3])
        body = str(number)
        writer_with_locks.submit(draft(body, room=room, author=author), lambda outcome: None)
        sent.setdefault((room, author), []).append(body)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.choice([0, 0.01]))
    locks.locked.clear()
    locks.failing.clear()
    await asyncio.wait_for(writer_with_locks.flush(), 20)
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
async def test_drafts_are_held_for_every_error_class_of_an_unavailable_database(draft_writer, log, error, caplog):
    log.errors = [error] * 3
    answers = []
    for body in "ab":
        draft_writer.submit(draft(body), answers.append)
    await draft_writer.flush()
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
    async def test_committed_events_are_published_by_room_and_in_order(self, bob, rooms):
        published = []
        draft_writer = Writer(
            lambda room, epoch, events: published.append((room, epoch, [event.seq for event in events]))
        )
        answers = []
        draft_writer.submit(draft("first", room=rooms.lobby.pk, author=bob.pk), answers.append)
        await draft_writer.flush()
        again = draft(room=rooms.lobby.pk, author=bob.pk)
        for room in (rooms.lobby, rooms.random, rooms.lobby):
            draft_writer.submit(draft(room=room.pk, author=bob.pk), answers.append)
        draft_writer.submit(again, answers.append)
        draft_writer.submit(again, answers.append)
        await draft_writer.flush()
        lobby, other = ((room.pk, room.epoch) for room in (rooms.lobby, rooms.random))
        assert published == [(*lobby, [1]), (*lobby, [2, 3, 4]), (*other, [1])]
        assert [answer.seq for answer in answers] == [1, 2, 1, 3, 4, 4]
        await database.close()

    async def test_a_commit_with_an_unknown_outcome_posts_once(self, bob, rooms, monkeypatch):
        commit, lost = actions.commit, [OperationalError("connection lost")]

        def commit_and_lose(drafts):
            outcomes = commit(drafts)
            if lost:
                raise lost.pop()
            return outcomes

        monkeypatch.setattr(actions, "commit", commit_and_lose)
        monkeypatch.setattr(writer, "RETRY_SECONDS", 0.001)
        answers = []
        draft_writer = Writer(lambda room, epoch, events: None)
        # The first has the sender's client_id. The second gets an id from the server.
        draft_writer.submit(draft(room=rooms.lobby.pk, author=bob.pk), answers.append)
        draft_writer.submit(Draft(room=rooms.lobby.pk, author=bob.pk, body="hi"), answers.append)
        await draft_writer.flush()
        assert [answer.seq for answer in answers] == [1, 2]
        assert await database.read(lambda: rooms.lobby.events.count()) == 2
        await database.close()
