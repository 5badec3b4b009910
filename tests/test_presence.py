"""Presence in the database: news is decided once, and lives as long as the lease of its process."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from chat.models import Membership, Presence, Process, Room
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser

pytestmark = pytest.mark.django_db


@pytest.fixture
def processes(settings):
    settings.LEASE_SECONDS = 15.0
    for name in ("one", "two"):
        presence.begin(name)
    return "one", "two"


def expire(process):
    Process.objects.filter(pk=process).update(expires_at=Now() - timedelta(seconds=1))


def test_only_the_first_to_come_and_the_last_to_go_are_news(processes, rooms, bob):
    pair, room = RoomUser(rooms.lobby.pk, bob.pk), rooms.lobby.pk
    assert presence.settle("one", came={pair}, went=()) == [Change(room, "bob", True)]
    assert presence.settle("two", came={pair}, went=()) == []
    assert presence.present([room, rooms.random.pk]) == {room: {"bob"}, rooms.random.pk: set()}
    assert presence.settle("one", came=(), went={pair}) == []
    assert presence.settle("two", came=(), went={pair}) == [Change(room, "bob", False)]
    assert presence.present([room]) == {room: set()}


def test_said_twice_it_is_no_news(processes, rooms, bob):
    pair = RoomUser(rooms.lobby.pk, bob.pk)
    assert len(presence.settle("one", came={pair}, went=())) == 1
    assert presence.settle("one", came={pair}, went=()) == []
    assert len(presence.settle("one", came=(), went={pair})) == 1
    assert presence.settle("one", came=(), went={pair}) == []


def test_many_at_once_are_not_mixed_up(processes, rooms, bob, charlie):
    lobby, random = rooms.lobby.pk, rooms.random.pk
    came = {RoomUser(lobby, bob.pk), RoomUser(random, charlie.pk)}
    assert sorted(presence.settle("one", came=came, went=())) == sorted(
        [Change(lobby, "bob", True), Change(random, "charlie", True)]
    )
    # Both rooms and both users are in the query; neither bob in Random nor charlie in Lobby ever came.
    assert presence.present([lobby, random]) == {lobby: {"bob"}, random: {"charlie"}}
    changes = presence.settle("one", came={RoomUser(lobby, charlie.pk)}, went={RoomUser(lobby, bob.pk)})
    assert sorted(changes) == sorted([Change(lobby, "charlie", True), Change(lobby, "bob", False)])


def test_a_dead_process_is_buried_once_with_those_who_are_nowhere_else(processes, rooms, bob, charlie):
    room = rooms.lobby.pk
    presence.settle("one", came={RoomUser(room, bob.pk), RoomUser(room, charlie.pk)}, went=())
    presence.settle("two", came={RoomUser(room, charlie.pk)}, went=())
    assert presence.bury() == []
    expire("one")
    assert presence.bury() == [Change(room, "bob", False)]
    assert presence.bury() == []
    assert presence.present([room]) == {room: {"charlie"}}
    assert list(Process.objects.values_list("pk", flat=True)) == ["two"]
    assert presence.renew("one") is False
    assert presence.renew("two") is True


def test_who_renews_in_time_is_not_buried(processes, rooms, bob):
    presence.settle("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
    expire("one")
    assert presence.renew("one") is True
    assert presence.bury() == []


def test_who_was_given_up_for_dead_begins_anew(processes, rooms, bob):
    pair = RoomUser(rooms.lobby.pk, bob.pk)
    presence.settle("one", came={pair}, went=())
    expire("one")
    presence.bury()
    presence.begin("one")
    assert presence.settle("one", came={pair}, went=()) == [Change(pair[0], "bob", True)]


def test_a_room_or_user_that_was_deleted_meanwhile_is_left_out(processes, rooms, bob, charlie):
    room = rooms.lobby.pk
    gone = RoomUser(rooms.random.pk, bob.pk)
    presence.settle("one", came={gone}, went=())
    rooms.random.delete()
    assert presence.settle("one", came={gone, RoomUser(room, charlie.pk)}, went=()) == [Change(room, "charlie", True)]
    left = RoomUser(room, charlie.pk)
    charlie.delete()
    presence.settle("one", came=(), went={gone, left})
    assert presence.present([room]) == {room: set()}
    assert not Presence.objects.exists()
    assert not Membership.objects.filter(is_here=True).exists()


def test_a_renewal_is_one_query_whatever_it_carries(processes, rooms, bob, charlie, django_assert_num_queries):
    pairs = {RoomUser(room.pk, user.pk) for room in rooms for user in (bob, charlie)}
    presence.settle("one", came=pairs, went=())
    with django_assert_num_queries(1):
        assert presence.renew("one") is True
    with django_assert_num_queries(1):
        assert presence.bury() == []


@pytest.fixture
def cross(django_user_model):
    """40 users with memberships in 40 rooms each: the pairs of one piece are few of them."""
    users = django_user_model.objects.bulk_create(django_user_model(username=f"user{n}") for n in range(40))
    made = Room.objects.bulk_create(Room(title=f"Room {n}") for n in range(40))
    Membership.objects.bulk_create(Membership(room=room, user=user) for room in made for user in users)
    return [RoomUser(room.pk, user.pk) for room, user in zip(made, users, strict=True)]


def test_work_reads_and_locks_its_own_pairs_and_no_others(processes, cross, monkeypatch):
    made = []
    from_db = Membership.from_db.__func__
    monkeypatch.setattr(Membership, "from_db", classmethod(lambda cls, *row: made.append(row) or from_db(cls, *row)))
    assert len(presence.settle("one", came=cross, went=())) == 40
    assert len(made) == 40
    assert len(presence.settle("one", came=(), went=cross)) == 40
    assert len(made) == 80


def test_a_piece_is_a_bounded_number_of_statements(processes, cross, django_assert_max_num_queries):
    with django_assert_max_num_queries(13):
        presence.settle("one", came=cross, went=())


def test_pairs_are_found_by_an_index(processes, cross):
    rows = presence._of(Membership.objects.order_by(), cross)
    plan = rows.explain()
    if connection.vendor == "sqlite":
        assert "(room_id=? AND user_id=?)" in plan, plan
    else:
        with connection.cursor() as cursor:
            # As with many rows: of few, PostgreSQL reads them all.
            cursor.execute("SET LOCAL enable_seqscan = off")
        plan = rows.explain()
        assert "Nested Loop" in plan and "Index Cond: " in plan, plan


def test_more_than_a_piece_is_refused(processes):
    too_many = [(1, user) for user in range(presence.PIECE_PAIRS + 1)]
    with pytest.raises(AssertionError, match="divided"):
        presence.settle("one", came=too_many, went=())
