"""Presence in the database: each change is announced once, and presence ends with the lease of its process."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now

from chat.models import Membership, Presence, Process, Room
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser
from tests.fakes import expire_dead_processes

pytestmark = pytest.mark.django_db


@pytest.fixture
def processes(settings):
    settings.LEASE_SECONDS = 15.0
    for name in ("one", "two"):
        presence.begin_lease(name)
    return "one", "two"


def expire(process):
    Process.objects.filter(pk=process).update(expires_at=Now() - timedelta(seconds=1))


def test_only_a_users_first_entering_and_last_leaving_are_changes(processes, rooms, bob):
    pair, room = RoomUser(rooms.lobby.pk, bob.pk), rooms.lobby.pk
    assert presence.update_presence("one", came={pair}, went=()) == [Change(room, "bob", True)]
    assert presence.update_presence("two", came={pair}, went=()) == []
    assert presence.present_usernames([room, rooms.random.pk]) == {room: {"bob"}, rooms.random.pk: set()}
    assert presence.update_presence("one", came=(), went={pair}) == []
    assert presence.update_presence("two", came=(), went={pair}) == [Change(room, "bob", False)]
    assert presence.present_usernames([room]) == {room: set()}


def test_settling_the_same_twice_is_no_change(processes, rooms, bob):
    pair = RoomUser(rooms.lobby.pk, bob.pk)
    assert len(presence.update_presence("one", came={pair}, went=())) == 1
    assert presence.update_presence("one", came={pair}, went=()) == []
    assert len(presence.update_presence("one", came=(), went={pair})) == 1
    assert presence.update_presence("one", came=(), went={pair}) == []


def test_pairs_of_different_rooms_and_users_are_not_mixed_up(processes, rooms, bob, charlie):
    lobby, random = rooms.lobby.pk, rooms.random.pk
    came = {RoomUser(lobby, bob.pk), RoomUser(random, charlie.pk)}
    assert sorted(presence.update_presence("one", came=came, went=())) == sorted(
        [Change(lobby, "bob", True), Change(random, "charlie", True)]
    )
    # Both rooms and both users are in the query, but bob did not enter Random, nor charlie Lobby.
    assert presence.present_usernames([lobby, random]) == {lobby: {"bob"}, random: {"charlie"}}
    changes = presence.update_presence("one", came={RoomUser(lobby, charlie.pk)}, went={RoomUser(lobby, bob.pk)})
    assert sorted(changes) == sorted([Change(lobby, "charlie", True), Change(lobby, "bob", False)])


def test_expiring_a_dead_process_announces_once_the_users_who_are_in_no_other_process(processes, rooms, bob, charlie):
    room = rooms.lobby.pk
    presence.update_presence("one", came={RoomUser(room, bob.pk), RoomUser(room, charlie.pk)}, went=())
    presence.update_presence("two", came={RoomUser(room, charlie.pk)}, went=())
    assert expire_dead_processes() == []
    expire("one")
    assert expire_dead_processes() == [Change(room, "bob", False)]
    assert expire_dead_processes() == []
    assert presence.present_usernames([room]) == {room: {"charlie"}}
    assert list(Process.objects.values_list("pk", flat=True)) == ["two"]
    assert presence.renew_lease("one") is False
    assert presence.renew_lease("two") is True


def test_a_process_that_renews_its_lease_before_the_next_check_is_not_expired(processes, rooms, bob):
    presence.update_presence("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
    expire("one")
    assert presence.renew_lease("one") is True
    assert expire_dead_processes() == []


def test_a_process_that_was_expired_can_begin_again(processes, rooms, bob):
    pair = RoomUser(rooms.lobby.pk, bob.pk)
    presence.update_presence("one", came={pair}, went=())
    expire("one")
    expire_dead_processes()
    presence.begin_lease("one")
    assert presence.update_presence("one", came={pair}, went=()) == [Change(pair[0], "bob", True)]


def test_pairs_of_a_deleted_room_or_user_are_left_out(processes, rooms, bob, charlie):
    room = rooms.lobby.pk
    gone = RoomUser(rooms.random.pk, bob.pk)
    presence.update_presence("one", came={gone}, went=())
    rooms.random.delete()
    assert presence.update_presence("one", came={gone, RoomUser(room, charlie.pk)}, went=()) == [
        Change(room, "charlie", True)
    ]
    left = RoomUser(room, charlie.pk)
    charlie.delete()
    presence.update_presence("one", came=(), went={gone, left})
    assert presence.present_usernames([room]) == {room: set()}
    assert not Presence.objects.exists()
    assert not Membership.objects.filter(is_here=True).exists()


def test_a_renewal_takes_one_query_for_any_number_of_pairs(processes, rooms, bob, charlie, django_assert_num_queries):
    pairs = {RoomUser(room.pk, user.pk) for room in rooms for user in (bob, charlie)}
    presence.update_presence("one", came=pairs, went=())
    with django_assert_num_queries(1):
        assert presence.renew_lease("one") is True
    with django_assert_num_queries(1):
        assert expire_dead_processes() == []


@pytest.fixture
def cross(django_user_model):
    """40 of the 1,600 pairs of 40 users and 40 rooms; every pair has a membership."""
    users = django_user_model.objects.bulk_create(django_user_model(username=f"user{n}") for n in range(40))
    rooms = Room.objects.bulk_create(Room(title=f"Room {n}") for n in range(40))
    Membership.objects.bulk_create(Membership(room=room, user=user) for room in rooms for user in users)
    return [RoomUser(room.pk, user.pk) for room, user in zip(rooms, users, strict=True)]


def test_settling_reads_and_locks_only_the_given_pairs(processes, cross, monkeypatch):
    loaded = []
    from_db = Membership.from_db.__func__
    monkeypatch.setattr(Membership, "from_db", classmethod(lambda cls, *row: loaded.append(row) or from_db(cls, *row)))
    assert len(presence.update_presence("one", came=cross, went=())) == 40
    assert len(loaded) == 40
    assert len(presence.update_presence("one", came=(), went=cross)) == 40
    assert len(loaded) == 80


def test_settling_a_piece_takes_a_bounded_number_of_statements(processes, cross, django_assert_max_num_queries):
    with django_assert_max_num_queries(13):
        presence.update_presence("one", came=cross, went=())


def test_pairs_are_found_by_an_index(processes, cross):
    rows = presence._filter_pairs(Membership.objects.order_by(), cross)
    if connection.vendor == "sqlite":
        plan = rows.explain()
        assert "(room_id=? AND user_id=?)" in plan, plan
    else:
        with connection.cursor() as cursor:
            # With few rows PostgreSQL would read the whole table, one way or another; with many it uses the index.
            cursor.execute("ANALYZE chat_membership")
            for way in ("seqscan", "mergejoin", "hashjoin"):
                cursor.execute(f"SET LOCAL enable_{way} = off")
        plan = rows.explain()
        assert "Nested Loop" in plan and "Index Cond: " in plan, plan


def test_more_than_a_piece_is_refused(processes):
    too_many = [(1, user) for user in range(presence.PIECE_PAIRS + 1)]
    with pytest.raises(AssertionError, match="divides"):
        presence.update_presence("one", came=too_many, went=())
