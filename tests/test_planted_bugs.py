"""Each bug planted on purpose is caught by the stepped model and its checker."""

import asyncio
from collections import deque

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chat.live import session as sessions
from chat.live import writer
from chat.live.feed import Feed
from chat.live.revocation import Revocation
from chat.live.ring import Ring
from chat.live.sweep import Sweep
from chat.store import actions
from chat.store.log import Committed
from tests import stepped, test_machine, test_races

# The first of these finds most bugs, and soon. Seed 0 takes 3 s to find one of them.
SEEDS = range(3, 33)


def acknowledge_before_commit(patch):
    """The ack is sent when the draft is queued, and a draft that the database then refuses is lost."""
    submit = writer.Writer.submit

    def too_soon(self, draft, answer):
        if draft.client_id is not None and draft.kind == 0:
            answer(Committed(draft.room, 1))
            submit(self, draft, lambda outcome: None)
        else:
            submit(self, draft, answer)

    patch.setattr(writer.Writer, "submit", too_soon)


def acknowledge_and_lose(patch):
    """A batch whose commit failed is dropped, but acknowledged."""
    write = stepped.World._write

    async def forgetful(self, work, *arguments, **options):
        try:
            return await write(self, work, *arguments, **options)
        except stepped.OperationalError:
            if work is not actions.commit:
                raise
            return [Committed(draft.room, len(self.events[draft.room]) + 1) for draft in arguments[0]]

    patch.setattr(stepped.World, "_write", forgetful)


def no_sweep(patch):
    """There is no sweep, so events after a lost bell are not sent."""

    async def run(self):
        pass

    patch.setattr(Sweep, "run", run)


def no_cursor_rule(patch):
    """A session writes every run that it is offered."""

    def offer(self, place, first, run):
        place.cursor = first + self._write_run(run) - 1

    patch.setattr(sessions.Session, "offer", offer)


def cursor_moved_before_the_write(patch):
    """The cursor moves on although the full socket took fewer frames."""

    def offer(self, place, first, run):
        if not place.is_behind and place.cursor == first - 1:
            place.cursor += len(run.frames)
            self._write_run(run)

    patch.setattr(sessions.Session, "offer", offer)


def no_deduplication(patch):
    """A repeated client_id posts a second message."""
    patch.setattr(stepped.World, "is_known", lambda self, draft: False)


def deduplication_in_one_statement(patch):
    """A duplicate uses up a number, and no event is stored under it."""
    commit = stepped.World.commit

    def holes(self, drafts):
        outcomes = commit(self, drafts)
        for draft, outcome in zip(drafts, outcomes, strict=True):
            if isinstance(outcome, Committed) and outcome.logged is None:
                self.skipped[draft.room] += 1
        return outcomes

    patch.setattr(stepped.World, "commit", holes)


def order_of_arrival(patch):
    """A feed takes events in the order of arrival, without waiting for missing numbers."""

    def advance(self, events):
        for event in events:
            if event.seq > self.head:
                self.ring.append(event)
        self._fan_out.offer_new()

    patch.setattr(Feed, "advance", advance)


def retried_batches_go_to_the_end(patch):
    """A failed batch is queued behind the drafts that came meanwhile."""
    write = writer.Writer._write

    async def behind(self, batch):
        done = await write(self, batch)
        if not done:
            others = [waiting for waiting in self._queue if waiting not in batch]
            self._queue = deque(others + [waiting for waiting in self._queue if waiting in batch])
        return done

    patch.setattr(writer.Writer, "_write", behind)


def join_reads_then_listens(patch):
    """The reply with the head is sent, and the session is attached only later."""
    attach = Feed.attach

    def late(self, session, *, cursor, reply):
        session.reply(reply)

        def attach_at_last():
            if not session.is_gone and session.hub.feeds.get(self.room) is self:
                attach(self, session, cursor=self.head, reply=stepped.encode(stepped.Pong()))

        asyncio.get_running_loop().call_later(0.02, attach_at_last)

    patch.setattr(Feed, "attach", late)


def resume_from_the_head(patch):
    """A page that resumes gets only new events, and not the ones that it missed."""
    attach = Feed.attach

    def forgetful(self, session, *, cursor, reply):
        attach(self, session, cursor=self.head, reply=reply)

    patch.setattr(Feed, "attach", forgetful)


def deleted_text_stays_in_the_ring(patch):
    """A session that catches up from the ring gets text that was deleted or edited away."""
    patch.setattr(Ring, "_apply_change", lambda self, seq, change: None)


def join_reply_comes_after_its_events(patch):
    """The reply is delayed, so events are written before it."""
    reply = sessions.Session.reply

    def later(self, frame):
        if b'"join"' in frame.payload[:8]:
            asyncio.get_running_loop().call_later(0.01, reply, self, frame)
        else:
            reply(self, frame)

    patch.setattr(sessions.Session, "reply", later)


def rights_are_not_checked_again(patch):
    """A pane stays open when its room becomes staff-only."""

    async def check(self, *concern):
        pass

    patch.setattr(Revocation, "check", check)


def epoch_is_ignored(patch):
    """A cursor of another epoch is accepted."""

    def serves(self, since, epoch):
        return since <= self.head

    patch.setattr(Feed, "serves", serves)

    async def reopen(self):
        pass

    patch.setattr(Feed, "reopen", reopen)


BUGS = [
    acknowledge_before_commit,
    acknowledge_and_lose,
    no_sweep,
    no_cursor_rule,
    cursor_moved_before_the_write,
    no_deduplication,
    deduplication_in_one_statement,
    order_of_arrival,
    retried_batches_go_to_the_end,
    join_reads_then_listens,
    resume_from_the_head,
    join_reply_comes_after_its_events,
]


MISFITS = (AttributeError, NameError, TypeError)


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_caught(plant, monkeypatch, caplog):
    plant(monkeypatch)
    # Without a bug, pages show all events within a second. A page that never does costs its whole time.
    monkeypatch.setattr(stepped, "SETTLE_SECONDS", 2)
    for seed in SEEDS:
        try:
            wrong = stepped.run(stepped.busy, seed)
        except Exception as error:  # a page that never shows all events, or a frame that it cannot apply
            wrong = [f"LIVE {type(error).__name__}"]
        # A plant that no longer fits the code stops the pages as well, and would prove nothing.
        errors = [record.exc_info[1] for record in caplog.records if record.exc_info]
        assert [error for error in errors if isinstance(error, MISFITS)] == []
        if wrong:
            return
    pytest.fail(f"{len(SEEDS)} interleavings did not find the bug: {plant.__doc__}")


@pytest.mark.parametrize(
    ("plant", "race"),
    [
        (rights_are_not_checked_again, test_races.test_r12_no_event_follows_a_revocation),
        (epoch_is_ignored, test_races.test_r14_a_restored_backup_starts_every_page_over),
        (deleted_text_stays_in_the_ring, test_races.test_r23_no_old_text_follows_the_ack_of_its_deletion_or_edit),
    ],
    ids=lambda function: function.__name__,
)
def test_a_planted_bug_fails_its_race_test(plant, race, monkeypatch):
    plant(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError)):
        for seed in range(5):
            race(seed)


@pytest.mark.parametrize("plant", [no_cursor_rule, cursor_moved_before_the_write], ids=lambda plant: plant.__name__)
def test_a_planted_bug_fails_the_state_machine(plant, monkeypatch):
    plant(monkeypatch)
    kept = test_machine.TestDelivery.settings
    few = settings(kept, max_examples=150, database=None, phases=[Phase.generate], derandomize=True)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(test_machine.Delivery, settings=few)
