"""A room's recent events in memory: bounded, and without texts that are gone."""

import pytest

from chat.live.ring import Ring
from tests.fakes import deleted, edited, posted


@pytest.fixture
def ring():
    ring = Ring(head=0)
    for seq in range(1, 6):
        ring.append(posted(seq))
    return ring


def seqs(events):
    return [event.seq for event in events]


def test_it_gives_what_comes_after_a_cursor_or_says_that_it_does_not_go_back_so_far(ring, settings):
    assert seqs(ring.after(3)) == [4, 5]
    assert ring.after(5) == []
    settings.RING_EVENTS = 2
    ring.append(posted(6))
    assert (ring.start, ring.after(3)) == (5, None)
    assert seqs(ring.after(4)) == [5, 6]


def test_sessions_at_the_same_place_share_one_run_and_none_has_a_text_that_is_gone(ring):
    run = ring.run_after(2)
    assert [frame.text for frame in run.frames] == [event.frame.text for event in ring.range(3)]
    assert ring.run_after(2) is run
    assert ring.run_after(5) is None
    ring.append(posted(6))
    assert ring.run_after(2).count == 4
    secret = edited(7, 4, "secret")
    ring.append(secret)
    assert b"secret" in ring.run_after(2).wire
    ring.append(deleted(8, 4))
    assert b"secret" not in ring.run_after(2).wire
    # Another log with the same head.
    ring.restart(7)
    ring.append(posted(8, "other"))
    assert ring.run_after(7).count == 1
    assert ring.run_after(2) is None


def test_a_run_of_another_ring_that_stands_at_the_same_place_is_another_one():
    first, second = Ring(head=0), Ring(head=0)
    first.append(posted(1, "first"))
    second.append(posted(1, "second"))
    assert b"first" in first.run_after(0).wire
    assert b"second" in second.run_after(0).wire


def test_a_range_has_both_of_its_ends(ring):
    assert seqs(ring.range(2, 4)) == [2, 3, 4]
    assert seqs(ring.range(4)) == [4, 5]


def test_a_deleted_text_leaves_the_ring_and_events_that_were_read_before(ring):
    ring.append(edited(6, 2, "secret"))
    before = list(ring.events)
    ring.append(deleted(7, 2))
    assert not any(getattr(event.event, "message", None) == "secret" for event in ring.events)
    assert not any(getattr(event.event, "message", None) == "secret" for event in ring.as_now(before, 6))
    assert ring.changes == 3
    assert ring.size == sum(event.size for event in ring.events)


def test_it_grows_backwards_while_there_is_room(settings):
    settings.RING_EVENTS = 3
    ring = Ring(head=5)
    ring.append(posted(6))
    ring.prepend([posted(seq) for seq in (3, 4, 5)])
    assert seqs(ring.events) == [4, 5, 6]


def test_it_restarts_at_the_head_of_another_log(ring):
    ring.restart(2)
    assert (ring.head, ring.start, ring.size, len(ring.events)) == (2, 3, 0, 0)
