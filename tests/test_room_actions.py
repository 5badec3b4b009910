"""Rooms of members and direct rooms: who may make and change them, and what stays true when several users do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from chat.exceptions import ClientError, ErrorCode
from chat.models import AccessChange, Room, RoomMember
from chat.store import deletion, own_rooms, policies, room_actions
from chat.store.access import concern_of, recent_changes
from chat.store.room_user import RoomUser

pytestmark = pytest.mark.django_db


def members(room):
    return list(RoomMember.objects.filter(room=room).order_by("pk").values_list("user__username", flat=True))


def owners(room):
    return list(RoomMember.objects.filter(room=room, is_owner=True).values_list("user__username", flat=True))


@pytest.fixture
def plans(alice, bob):
    """A room of bob's, in which alice, who is staff, is not a member."""
    return room_actions.create_room("Plans", who="members", by=None, members=[bob.pk])


@pytest.mark.parametrize("is_superuser", [False, True])
def test_only_members_may_enter_a_room_of_members(plans, alice, bob, charlie, is_superuser):
    alice.is_superuser = is_superuser
    alice.save()
    assert plans in Room.objects.enterable_by(bob)
    assert plans not in Room.objects.enterable_by(alice)
    assert plans not in Room.objects.enterable_by(charlie)
    for user in (alice, charlie):
        with pytest.raises(ClientError) as refused:
            policies.check_enterable(user, plans)
        with pytest.raises(ClientError) as missing:
            policies.check_enterable(user, None)
        assert str(refused.value) == str(missing.value), "answered exactly like a room that does not exist"


def test_a_member_who_is_deactivated_may_enter_no_room(plans, bob):
    bob.is_active = False
    assert not Room.objects.enterable_by(bob)


def test_members_are_added_and_removed_from_python(plans, bob, charlie):
    plans.add_member(charlie)
    plans.add_member(charlie)
    assert members(plans) == ["bob", "charlie"]
    assert charlie.pk in concern_of(recent_changes()).users
    AccessChange.objects.all().delete()
    plans.remove_member(bob)
    plans.remove_member(bob)
    assert members(plans) == ["charlie"]
    assert bob.pk in concern_of(recent_changes()).users


def test_a_room_for_everybody_has_no_members_to_add(rooms, bob):
    for room in (rooms.lobby, rooms.staff):
        with pytest.raises(ClientError, match="COMMAND_INVALID"):
            room.add_member(bob)
    assert not RoomMember.objects.exists()


def test_every_member_may_add_others_and_users_who_are_not_members_may_not(plans, alice, bob, charlie):
    with pytest.raises(ClientError, match="ROOM_INVALID"):
        room_actions.add_members(plans.pk, [alice.pk], by=alice.pk)
    room_actions.add_members(plans.pk, [charlie.pk], by=bob.pk)
    room_actions.add_members(plans.pk, [alice.pk], by=charlie.pk)
    assert members(plans) == ["bob", "charlie", "alice"]


def test_a_user_who_does_not_exist_is_not_added(plans, bob):
    with pytest.raises(ClientError, match="COMMAND_INVALID"):
        room_actions.add_members(plans.pk, [bob.pk, 12345], by=bob.pk)
    assert members(plans) == ["bob"]


def test_only_owners_remove_others_and_every_member_may_leave(plans, bob, charlie, alice):
    room_actions.add_members(plans.pk, [charlie.pk, alice.pk], by=bob.pk)
    assert owners(plans) == ["bob"]
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        room_actions.remove_member(plans.pk, bob.pk, by=alice.pk)  # staff, but not the owner
    room_actions.remove_member(plans.pk, alice.pk, by=bob.pk)
    with pytest.raises(ClientError, match="ROOM_INVALID"):
        room_actions.remove_member(plans.pk, bob.pk, by=alice.pk)  # no member any more
    room_actions.remove_member(plans.pk, bob.pk, by=bob.pk)
    assert (members(plans), owners(plans)) == (["charlie"], ["charlie"]), "a room with members has an owner"


@pytest.mark.parametrize(
    ("who", "staff", "others", "others_with_setting"),
    [("everybody", True, False, True), ("members", True, False, True), ("staff", True, False, False)],
)
def test_users_may_make_the_rooms_of_their_role(alice, bob, settings, who, staff, others, others_with_setting):
    def may(user):
        try:
            return bool(room_actions.create_room(f"{user} {who}", who=who, by=user.pk))
        except ClientError as refusal:
            assert refusal.code == ErrorCode.ROOM_ACCESS_DENIED
            return False

    assert (may(alice), may(bob)) == (staff, others)
    settings.ROOMS_BY_EVERYBODY = True
    assert may(bob) == others_with_setting


def test_the_maker_of_a_room_of_members_is_its_owner(alice, bob):
    room = room_actions.create_room("Plans", topic=" What we do ", who="members", members=[bob.pk], by=alice.pk)
    assert (members(room), owners(room)) == (["alice", "bob"], ["alice"])
    assert (room.topic, room.members_only, room.staff_only) == ("What we do", True, False)


def test_a_title_that_a_hidden_room_has_gives_no_other_answer(plans, rooms, alice, bob, settings):
    settings.ROOMS_BY_EVERYBODY = True
    # Neither a room of members nor one for staff is revealed by its title.
    assert room_actions.create_room("PLANS", by=alice.pk).pk
    assert room_actions.create_room("Staff", by=bob.pk).pk
    assert room_actions.create_room("Lobby", who="members", by=bob.pk).pk
    assert room_actions.create_room("Hidden", who="members", by=bob.pk).pk
    assert room_actions.change_room(rooms.random.pk, title="hidden", by=alice.pk).title == "hidden"
    with pytest.raises(ClientError, match="There is a room with this title already"):
        room_actions.create_room("lobby", by=bob.pk)
    with pytest.raises(ClientError, match="There is a room with this title already"):
        room_actions.create_room("staff", who="staff", by=alice.pk)


def test_a_title_that_another_transaction_takes_meanwhile_is_refused(alice, rooms, monkeypatch):
    monkeypatch.setattr(Room, "full_clean", lambda room, **options: None)
    with pytest.raises(ClientError, match="There is a room with this title already"):
        room_actions.create_room("Lobby", by=alice.pk)


def test_the_database_refuses_a_room_for_staff_and_members(db):
    with pytest.raises(ValidationError, match="not both"):
        Room(title="Both", staff_only=True, members_only=True).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(title="Both", staff_only=True, members_only=True)


def test_staff_manage_shared_rooms_and_owners_their_own(rooms, plans, alice, bob):
    assert room_actions.change_room(rooms.lobby.pk, title="Hall", topic="Hello", by=alice.pk).title == "Hall"
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        room_actions.change_room(rooms.lobby.pk, title="Mine", by=bob.pk)
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        room_actions.change_room(rooms.staff.pk, title="Mine", by=bob.pk)
    with pytest.raises(ClientError, match="ROOM_INVALID"):
        room_actions.change_room(plans.pk, title="Seen", by=alice.pk)
    room_actions.change_room(plans.pk, title="Lobby", by=bob.pk)
    assert Room.objects.get(pk=plans.pk).title_key == "lobby"


@pytest.mark.parametrize("title", ["", "  ", "..", "a\nb", "x" * 256, "a\x00b", "a\u202eb", "\u2067a"])
def test_a_title_that_is_no_title_is_refused(alice, title):
    with pytest.raises(ClientError, match="COMMAND_INVALID"):
        room_actions.create_room(title, by=alice.pk)


def test_a_room_whose_title_turns_text_keeps_it_and_no_room_is_renamed_so(rooms, alice):
    old = "\u202eold\u2066"
    Room.objects.filter(pk=rooms.lobby.pk).update(title=old)
    assert room_actions.change_room(rooms.lobby.pk, title=old, topic="Hello", by=alice.pk).title == old
    assert room_actions.change_room(rooms.lobby.pk, topic="Hi", by=alice.pk).topic == "Hi"
    for room, title in ((rooms.lobby, "\u202eolder\u2066"), (rooms.random, f"{old}2"), (rooms.random, "a\u2069")):
        with pytest.raises(ClientError, match="change the direction of text"):
            room_actions.change_room(room.pk, title=title, by=alice.pk)
    # Marks that the spelling of right-to-left titles needs turn nothing beside them.
    assert room_actions.change_room(rooms.random.pk, title="C++\u200e שלום", by=alice.pk).title == "C++\u200e שלום"


def test_nothing_can_be_written_in_an_archived_room_until_it_is_opened_again(rooms, alice, bob):
    room_actions.change_room(rooms.lobby.pk, is_archived=True, by=alice.pk)
    archived = Room.objects.get(pk=rooms.lobby.pk)
    assert archived in Room.objects.enterable_by(bob), "it can still be read"
    assert archived.pk not in {pk for pk, *_ in policies.list_shared_rooms(bob)}
    with pytest.raises(ClientError, match="ROOM_READ_ONLY"):
        policies.check_writable(alice, archived, msg_type=0)
    room_actions.change_room(rooms.lobby.pk, is_archived=False, by=alice.pk)
    assert policies.check_writable(bob, Room.objects.get(pk=rooms.lobby.pk), msg_type=0)


# Direct rooms


def test_there_is_one_direct_room_for_each_set_of_people(alice, bob, charlie):
    room = room_actions.open_direct([bob.pk], by=alice.pk)
    assert room_actions.open_direct([alice.pk, bob.pk], by=bob.pk) == room
    other = room_actions.open_direct([bob.pk, charlie.pk], by=alice.pk)
    assert other != room and members(other) == ["alice", "bob", "charlie"]
    assert (room.kind, room.members_only, owners(room)) == ("direct", True, [])
    assert own_rooms.load([alice.pk, charlie.pk]) == {
        alice.pk: [(room.pk, "bob", "", ("bob",)), (other.pk, "bob, charlie", "", ("bob", "charlie"))],
        charlie.pk: [(other.pk, "alice, bob", "", ("alice", "bob"))],
    }


def test_the_people_of_a_direct_room_never_change(alice, bob, charlie):
    room = room_actions.open_direct([bob.pk], by=alice.pk)
    for change in (
        lambda: room.add_member(charlie),
        lambda: room.remove_member(bob),
        lambda: room_actions.add_members(room.pk, [charlie.pk], by=alice.pk),
        lambda: room_actions.remove_member(room.pk, alice.pk, by=alice.pk),
        lambda: room_actions.change_room(room.pk, title="Ours"),
    ):
        with pytest.raises(ClientError, match="COMMAND_INVALID"):
            change()
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        room_actions.change_room(room.pk, title="Ours", by=alice.pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.filter(pk=room.pk).update(members_only=False)
    assert members(room) == ["alice", "bob"]


def test_a_direct_room_needs_other_people_who_can_sign_in(alice, bob, charlie):
    User.objects.filter(pk=bob.pk).update(is_active=False)
    for people in ([], [alice.pk], [bob.pk], [12345], range(charlie.pk, charlie.pk + 20)):
        with pytest.raises(ClientError, match="COMMAND_INVALID"):
            room_actions.open_direct(people, by=alice.pk)
    with pytest.raises(ClientError, match="USER_HAS_TO_LOGIN"):
        room_actions.open_direct([alice.pk], by=bob.pk)
    assert not Room.objects.exists()


def test_a_direct_room_stays_when_its_other_person_is_deleted(alice, bob):
    room = room_actions.open_direct([bob.pk], by=alice.pk)
    bob.delete()
    assert own_rooms.load([alice.pk])[alice.pk] == [(room.pk, "Deleted user", "", ())]


def test_a_new_user_with_the_id_of_a_deleted_one_gets_none_of_their_rooms(alice, bob, plans):
    room, bob_id = room_actions.open_direct([bob.pk], by=alice.pk), bob.pk
    bob.delete()
    while deletion.remove_piece_of_user(bob_id):
        pass
    again = User.objects.create(pk=bob_id, username="bob again")
    assert {room, plans}.isdisjoint(Room.objects.enterable_by(again))
    with pytest.raises(ClientError, match="COMMAND_INVALID"):
        room_actions.open_direct([alice.pk], by=again.pk)


def test_memberships_are_asked_for_in_pairs(plans, rooms, bob, charlie):
    known = {plans.pk: plans, rooms.lobby.pk: rooms.lobby}
    pairs = [RoomUser(room, user.pk) for room in (plans.pk, rooms.lobby.pk, 999) for user in (bob, charlie)]
    assert policies.load_members(pairs, known) == {RoomUser(plans.pk, bob.pk)}
    many = [RoomUser(plans.pk, number) for number in range(2000)]
    assert policies.load_members(many, known) == {RoomUser(plans.pk, bob.pk)} & set(many)


def test_a_missing_room_takes_as_many_queries_as_a_hidden_one(plans, charlie, django_assert_num_queries):
    login = policies.Login("", charlie.pk, "")
    for room in (plans.pk, 999):
        with django_assert_num_queries(4):
            policies.load_enterable_rooms([(login, room)])


def test_a_room_that_a_user_may_not_enter_is_not_locked_for_them(plans, charlie):
    changes = (
        lambda: room_actions.change_room(plans.pk, title="x", by=charlie.pk),
        lambda: room_actions.add_members(plans.pk, [charlie.pk], by=charlie.pk),
        lambda: room_actions.remove_member(plans.pk, charlie.pk, by=charlie.pk),
    )
    for change in changes:
        with CaptureQueriesContext(connection) as queries, pytest.raises(ClientError):
            change()
        # A transaction is a savepoint here. On SQLite its beginning is the lock.
        assert not [query["sql"] for query in queries if "SAVEPOINT" in query["sql"]]


@pytest.mark.django_db(transaction=True)
def test_users_who_open_a_direct_room_at_the_same_moment_get_the_same_one(alice, bob, monkeypatch):
    find, both_searched = room_actions._find_direct, threading.Barrier(2)

    def find_and_wait(key, by):
        found = find(key, by)
        if found is None and not both_searched.broken:
            both_searched.wait(10)
        return found

    monkeypatch.setattr(room_actions, "_find_direct", find_and_wait)

    def open_by(user, other):
        try:
            return room_actions.open_direct([other.pk], by=user.pk).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(open_by, alice, bob), pool.submit(open_by, bob, alice)]
        first, second = (task.result(20) for task in running)
    assert first == second
    assert Room.objects.count() == 1 and RoomMember.objects.count() == 2
