"""Rows of a room's log for frames are the same as the model's, and need no instances of it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.models import Event, Room
from chat.store import actions, event_rows, log
from chat.store.actions import Draft
from chat.store.event_rows import EventRow
from chat.store.log import HistoryPlace, Kind
from tests.test_log import post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lobby(bob, rooms):
    """A room with messages 1 to 4 and 6; event 5 edits message 2, and event 7 deletes message 3."""
    change = {"room": rooms.lobby.pk, "author": bob.pk}
    post(rooms.lobby, bob, *"abcd")
    actions.commit([Draft(kind=Kind.EDITED, target_seq=2, body="B @bob", **change)])
    post(rooms.lobby, bob, "é")
    actions.commit([Draft(kind=Kind.DELETED, target_seq=3, body="", **change)])
    post(rooms.random, bob, "elsewhere")
    return Room.objects.get(pk=rooms.lobby.pk)


def seqs(rows):
    return [row.seq for row in rows]


def test_rows_have_the_values_of_the_model(lobby):
    rows = list(event_rows.events_upwards(lobby.pk, 1, 100))
    events = Event.objects.filter(room=lobby).order_by("seq")
    assert [row._asdict() for row in rows] == [
        {name: getattr(event, name) for name in EventRow._fields} for event in events
    ]
    assert [type(value) for value in rows[0]] == [type(getattr(events[0], name)) for name in EventRow._fields]


def test_rows_are_those_of_the_room_from_a_place_on(lobby):
    assert seqs(event_rows.events_upwards(lobby.pk, 2, 3)) == [2, 3, 4]
    assert seqs(event_rows.messages_upwards(lobby.pk, 4, 10)) == [4, 6]
    assert seqs(event_rows.messages_downwards(lobby.pk, 6, 2, 10)) == [6, 4, 3, 2]
    assert seqs(event_rows.messages_downwards(lobby.pk, 5, 1, 2)) == [4, 3]
    assert [event_rows.has_message(lobby.pk, seq) for seq in (1, 6, 7)] == [True, True, False]


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_small_queries_return_the_same_rows(lobby, monkeypatch, count):
    monkeypatch.setattr(event_rows, "ROWS_PER_QUERY", count)
    assert seqs(event_rows.events_upwards(lobby.pk, 1, 6)) == [1, 2, 3, 4, 5, 6]
    assert seqs(event_rows.messages_upwards(lobby.pk, 1, 5)) == [1, 2, 3, 4, 6]
    assert seqs(event_rows.messages_downwards(lobby.pk, 7, 2, 9)) == [6, 4, 3, 2]


def test_a_caller_that_stops_early_costs_one_query(lobby, monkeypatch):
    monkeypatch.setattr(event_rows, "ROWS_PER_QUERY", 2)
    with CaptureQueriesContext(connection) as captured:
        assert next(event_rows.events_upwards(lobby.pk, 1, 100)).seq == 1
    assert len(captured) == 1


def test_pages_and_catching_up_make_no_model_instances(lobby, monkeypatch):
    monkeypatch.setattr(Event, "from_db", lambda *unused: pytest.fail("an instance costs more than its query"))
    page = log.history(lobby, HistoryPlace(before=6), limit=2, max_bytes=10**6)
    assert seqs(page.events) == [3, 4]
    assert (page.more, page.newer) == (True, True)
    assert seqs(log.read(lobby.pk, after=0, limit=50)) == [1, 2, 3, 4, 5, 6, 7]
