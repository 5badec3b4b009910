"""Drafts that are held back by room or author. tests/test_writer.py tests what the writer does with them."""

import pytest
from django.db import OperationalError

from chat.live import held
from chat.live.held import Held, Waiting
from chat.store.actions import Draft, NotSaved

LOCKED = NotSaved(is_locked=True)
FAILED = NotSaved(error=OperationalError("too many SQL variables"))


def draft(room=1, author=2):
    return Draft(room=room, author=author, body="hi")


def waiting(room=1, author=2):
    return Waiting(draft(room, author), until=0.0, answer=lambda outcome: None)


@pytest.fixture
def now(monkeypatch):
    """A stepped clock."""
    time = [100.0]
    monkeypatch.setattr(held, "_now", lambda: time[0])
    return time


def test_a_locked_room_holds_all_its_drafts_and_a_failed_draft_only_its_authors(now):
    drafts = Held()
    drafts.hold(draft(1), LOCKED)
    drafts.hold(draft(2, author=3), FAILED)
    assert [drafts.find(draft(*key)) for key in ((1, 9), (2, 3), (2, 9), (3, 3))] == [(1, None), (2, 3), None, None]


def test_retries_back_off_up_to_a_limit_with_one_draft_for_each_room(now):
    drafts = Held()
    drafts.hold(draft(), LOCKED)
    first = waiting()
    for draft_waiting in (first, waiting()):
        drafts.add((1, None), draft_waiting)
    gaps = []
    for _ in range(6):
        assert drafts.due(10) == []
        gaps.append(drafts.next_probe_at() - now[0])
        now[0] = drafts.next_probe_at()
        assert drafts.due(10) == [((1, None), first)]
        drafts.postpone((1, None), took=0.001)
    assert gaps == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])


def test_a_draft_that_fails_slowly_is_retried_rarely_and_alone(now):
    drafts = Held()
    drafts.hold(draft(1), LOCKED)
    drafts.add((1, None), waiting(1))
    for author in (2, 3):
        drafts.hold(draft(2, author), FAILED)
        drafts.add((2, author), waiting(2, author))
    now[0] += 1
    assert [key for key, _ in drafts.due(10)] == [(1, None)]
    drafts.postpone((1, None), took=0.001)
    assert [key for key, _ in drafts.due(10)] == [(2, 2)]
    drafts.postpone((2, 2), took=5.0)
    now[0] += 60
    drafts.postpone((1, None), took=0.001)
    assert (2, 2) not in [key for key, _ in drafts.due(10)]


def test_a_room_stays_suspect_for_a_while_after_its_drafts_were_answered(now):
    drafts = Held()
    drafts.hold(draft(), LOCKED)
    answered = waiting()
    drafts.add((1, None), answered)
    answered.is_answered = True
    drafts.drop_answered()
    assert (len(drafts), drafts.find(draft())) == (0, (1, None))
    now[0] += held.SUSPECT_SECONDS + 1
    drafts.drop_answered()
    assert drafts.find(draft()) is None


def test_a_room_is_reported_once(now):
    drafts = Held()
    drafts.hold(draft(), LOCKED)
    drafts.hold(draft(2), FAILED)
    assert (drafts.report(1.0), drafts.reported()) == ([], set())
    now[0] += 2
    assert (drafts.report(1.0), drafts.report(1.0), drafts.reported()) == ([1], [], {(1, None)})
