"""Given rows come back from the database as they were given, in their order."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection

from chat.models import Event
from chat.store import values
from chat.store.round_trip import RoundTrip

pytestmark = pytest.mark.django_db


def read(rows, types):
    text, parameters = values.source(rows, types)
    with connection.cursor() as cursor:
        cursor.execute(text, parameters)
        return cursor.fetchall()


def test_rows_come_back_in_their_order_with_every_character():
    rows = [(3, "häi 'quoted' \"double\" \\ {a,b} %s %", None), (1, "", 2**40), (2, "NULL", Event.Kind.DELETED)]
    assert read(rows, ["bigint", "text", "bigint"]) == rows


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite stores these types as text and numbers")
def test_each_type_of_postgresql_comes_back_as_it_was_given():
    at = datetime(2026, 11, 27, 3, 4, 5, 678000, tzinfo=UTC)
    rows = [(True, uuid.uuid4(), at), (None, None, None), (False, uuid.uuid4(), at)]
    assert read(rows, ["boolean", "uuid", "timestamp with time zone"]) == rows


def test_rows_are_asked_for_sorted_and_none_need_no_statement(rooms, django_assert_num_queries):
    sql = "WITH asked(id, other) AS ({rows}) SELECT id FROM asked WHERE other > 0"
    assert values.select(sql, {(2, 1), (1, 1), (3, 0)}) == [(1,), (2,)]
    with django_assert_num_queries(0):
        trip = RoundTrip()
        assert values.add(trip, sql, []) == []
        trip.run()
