"""Queries that are composed once return the same rows as those that Django composes."""

import re

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.models import Room
from chat.store import prepared
from chat.store.round_trip import RoundTrip

pytestmark = pytest.mark.django_db


def by_id(ids):
    return Room.objects.filter(pk__in=ids).order_by("-pk")


def by_id_and_title(ids):
    return Room.objects.filter(pk__in=ids, title="Lobby")


def expiries(keys):
    return Session.objects.filter(session_key__in=keys).only("expire_date")


def values(query, ids):
    trip = RoundTrip()
    answer = prepared.ask_values(trip, query, ids)
    trip.run()
    return answer()


@pytest.fixture
def many(db):
    return [Room.objects.create(title=f"Room {number}") for number in range(11)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 11])
def test_any_number_of_ids_returns_each_row_once_and_complete(many, count):
    ids = [room.pk for room in many[:count]]
    found = prepared.select(by_id, ids)
    assert [room.__dict__ | {"_state": 0} for room in found] == [room.__dict__ | {"_state": 0} for room in by_id(ids)]


def test_values_are_those_of_the_models_attributes(bob, client):
    client.force_login(bob)
    [session] = Session.objects.all()
    assert [tuple(row) for row in values(expiries, [session.pk])] == [(session.pk, session.expire_date)]
    assert prepared.select(expiries, [session.pk])[0].session_data == session.session_data


def test_ids_without_a_row_are_left_out_and_deleted_rooms_stay_hidden(many):
    many[0].delete()
    assert prepared.select(by_id, [many[0].pk, many[1].pk, 10**12]) == [many[1]]


def test_more_ids_than_one_query_takes_are_read_in_pieces(many):
    ids = [*range(10**9, 10**9 + prepared.MOST), many[3].pk, many[4].pk]
    assert prepared.select(by_id, ids) == [many[4], many[3]]


def test_no_ids_need_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert prepared.select(by_id, []) == []


def test_a_query_is_composed_for_few_different_numbers_of_ids(many):
    with CaptureQueriesContext(connection) as captured:
        for count in range(1, 12):
            prepared.select(by_id, [room.pk for room in many[:count]])
    composed = {re.sub(r"'\{.*\}'|\d+(?=[,)])", "", query["sql"]).count(",") for query in captured}
    assert len(composed) == (1 if connection.vendor == "postgresql" else 5)


def test_a_query_with_other_parameters_is_refused(many):
    with pytest.raises(AssertionError, match="other parameters"):
        prepared.select(by_id_and_title, [many[0].pk])
