"""Statements that are sent together have the same effect as statements that are sent one by one."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from chat.models import Room
from chat.store.round_trip import RoundTrip

TITLE = "SELECT title FROM chat_room WHERE id = %s"
RENAME = "UPDATE chat_room SET title = %s, title_key = %s WHERE id = %s"


@pytest.fixture(params=["together", "one by one"])
def sending(request, monkeypatch):
    if request.param == "one by one":
        monkeypatch.setattr(connection.features, "uses_server_side_binding", True, raising=False)
    return request.param


@pytest.mark.django_db
def test_each_statement_gets_its_own_rows_and_sees_the_ones_before_it(rooms, sending):
    trip, seen = RoundTrip(), []
    before = trip.add(TITLE, [rooms.lobby.pk])
    none = trip.add(RENAME, ["100 % 'quoted'; --", "x", rooms.lobby.pk])
    after = trip.add(TITLE, [rooms.lobby.pk], then=seen.extend)
    missing = trip.add(TITLE, [0])
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        trip.run()
    assert (before, none, after, missing) == ([("Lobby",)], [], [("100 % 'quoted'; --",)], [])
    assert seen == after
    is_one = connection.vendor == "postgresql" and sending == "together"
    assert len([query for query in captured if "chat_room" in query["sql"]]) == (1 if is_one else 4)


@pytest.mark.django_db
def test_a_round_trip_without_statements_needs_none_and_runs_each_once(rooms, django_assert_num_queries):
    trip = RoundTrip()
    trip.add(TITLE, [rooms.lobby.pk])
    trip.run()
    with django_assert_num_queries(0):
        trip.run()


@pytest.mark.django_db(transaction=True)
def test_a_statement_that_fails_raises_its_error_and_nothing_is_kept(rooms, sending):
    trip, seen = RoundTrip(), []
    trip.add(RENAME, ["Renamed", "renamed", rooms.lobby.pk], then=seen.append)
    trip.add("INSERT INTO chat_roommember (room_id, user_id) VALUES (%s, %s)", [rooms.lobby.pk, None])
    trip.add(TITLE, [rooms.lobby.pk])
    with pytest.raises(IntegrityError), transaction.atomic():
        trip.run()
    assert not seen
    assert Room.objects.get(pk=rooms.lobby.pk).title == "Lobby"
