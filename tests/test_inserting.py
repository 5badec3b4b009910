"""Rows that are inserted past `bulk_create` are the same as those that it would insert."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db import DataError, connection
from django.test.utils import CaptureQueriesContext

from chat.models import Event, Membership, SearchText
from chat.store import inserting
from chat.store.inserting import insert_missing
from chat.store.round_trip import RoundTrip

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 26, 4, 5, 6, 789000, tzinfo=UTC)


def event(room, seq, **fields):
    return Event(room=room, seq=seq, username="bob", at=AT, **fields)


def insert(rows):
    trip = RoundTrip()
    inserting.insert(trip, rows)
    trip.run()


def columns(row):
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if field.attname != "id"}


def test_rows_have_every_value_that_the_model_would_write(rooms, bob):
    full = {
        "kind": Event.Kind.REACTED,
        "author_id": bob.pk,
        "body": "häi 'quoted' %s",
        "msg_type": 2,
        "target_seq": 1,
        "edit_seq": 2,
        "first_body": "before",
        "client_id": uuid.uuid4(),
        "client_id_given": True,
        "reply_to": 3,
        "across": uuid.uuid4(),
        "source_room": 4,
        "source_seq": 5,
        "named": "[]",
        "is_on": False,
        "reactions": "[]",
        "confirmations": "[]",
        "resolved": "{}",
        "edited_at": AT,
        "deleted_at": AT,
    }
    made = [event(rooms.lobby, 1, **full), event(rooms.lobby, 2)]
    insert(made)
    assert [row.pk for row in made] == list(Event.objects.order_by("seq").values_list("pk", flat=True))
    for row in made:
        assert columns(Event.objects.get(pk=row.pk)) == columns(row)
    # A model's own save must write the same, so that queries compare the values as equal.
    saved = event(rooms.staff, 1, **full | {"client_id": uuid.uuid4()})
    saved.save()
    assert Event.objects.filter(at=saved.at, deleted_at=saved.deleted_at, across=saved.across, is_on=False).count() == 2


def test_many_rows_are_inserted_in_few_statements_and_keep_their_keys(rooms):
    made = [event(rooms.lobby, seq) for seq in range(1, 301)]
    with CaptureQueriesContext(connection) as captured:
        insert(made)
        insert([SearchText(event_id=row.pk, room_id=row.room_id, text=f"text {row.seq}") for row in made])
    assert len(captured) <= 5
    assert {text.event_id: text.text for text in SearchText.objects.all()} == {
        row.pk: f"text {row.seq}" for row in Event.objects.all()
    }


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no lengths")
def test_a_value_that_is_too_long_is_refused_and_not_cut(rooms):
    with pytest.raises(DataError):
        insert([Event(room=rooms.lobby, seq=1, username="b" * 151, at=AT)])


def test_no_rows_need_no_statement(django_assert_num_queries):
    with django_assert_num_queries(0):
        insert([])


def test_rows_that_are_there_already_are_left_as_they_are(rooms, alice, bob, django_assert_num_queries):
    Membership.objects.create(user=alice, room=rooms.lobby, read_seq=7)
    with django_assert_num_queries(1):
        insert_missing([Membership(user=alice, room=rooms.lobby), Membership(user=bob, room=rooms.lobby)])
    made = Membership.objects.get(user=bob)
    by_django = Membership.objects.create(user=bob, room=rooms.random)
    by_django.refresh_from_db()
    assert columns(made) | {"room_id": None, "at": None} == columns(by_django) | {"room_id": None, "at": None}
    assert Membership.objects.get(user=alice).read_seq == 7
    insert_missing([])
