"""Rooms and users are deleted: closed at once, then removed in pieces, even after an interruption."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.models.deletion import Collector
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.exceptions import ClientError, ErrorCode
from chat.fields import FormerUserField
from chat.models import (
    Appearance,
    Bot,
    Confirmation,
    DeletedUser,
    Event,
    Invitation,
    Membership,
    Mention,
    PaneSet,
    Presence,
    PushSubscription,
    Reaction,
    Room,
    RoomMember,
    SignIn,
    StoredFile,
    UsernameKey,
    UserPicture,
    Visit,
    Webhook,
)
from chat.store import actions, deletion, leftovers, log, memberships, policies, presence
from chat.store.actions import Draft
from chat.store.room_user import RoomUser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(deletion, "PAUSE_SECONDS", 0)


def fill(room, author, count, text="hi"):
    for start in range(0, count, 500):
        size = min(500, count - start)
        actions.commit([Draft(room=room.pk, author=author.pk, body=text, trusted=True) for _ in range(size)])


@pytest.fixture
def pieces(monkeypatch):
    """How many rows each piece removed."""
    remove, sizes = deletion.remove_piece_of_room, []

    def count(room_id):
        removed = remove(room_id)
        sizes.append(removed.total())
        return removed

    monkeypatch.setattr(deletion, "remove_piece_of_room", count)
    return sizes


def finish_users():
    while deletion.unfinished().users:
        for user in deletion.unfinished().users:
            deletion.remove_piece_of_user(user)


# Rooms


def test_a_room_is_removed_in_pieces_with_all_its_rows(bob, rooms, pieces, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 20)
    fill(rooms.lobby, bob, 254, "@bob hi")
    fill(rooms.random, bob, 10, "@bob hi")
    Membership.objects.create(room=rooms.lobby, user=bob)
    Membership.objects.create(room=rooms.random, user=bob)
    count, by_model = rooms.lobby.delete()
    assert by_model == {
        "chat.Event": 254,
        "chat.Mention": 254,
        "chat.SearchText": 254,
        "chat.Membership": 1,
        "chat.Room": 1,
    }
    assert count == sum(by_model.values())
    # Each event has a mention and a text to search. The last piece takes what refers to the room itself.
    assert len(pieces) == 14
    assert max(pieces) == 60
    assert (Event.objects.count(), Mention.objects.count(), Membership.objects.count()) == (10, 10, 1)
    assert rooms.lobby.pk is None


def test_deleting_reads_no_message_bodies(bob, rooms):
    fill(rooms.lobby, bob, 300)
    with CaptureQueriesContext(connection) as queries:
        rooms.lobby.delete()
    assert len(queries) < 60, "a few for each table that refers to rooms"
    assert not [query for query in queries.captured_queries if '"body"' in query["sql"]]


def test_a_queryset_deletes_rooms_in_pieces(bob, rooms, pieces, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    fill(rooms.lobby, bob, 25)
    fill(rooms.random, bob, 25)
    assert Room.objects.filter(staff_only=False).delete() == (
        102,
        {"chat.Event": 50, "chat.SearchText": 50, "chat.Room": 2},
    )
    assert list(Room.all_objects.all()) == [rooms.staff]
    assert max(pieces) <= 21


def half_delete(room, bob, monkeypatch, count=50):
    """Delete a room, but end after two pieces, as if killed."""
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    fill(room, bob, count)
    remove, calls = deletion.remove_piece_of_room, []

    def die(room_id):
        calls.append(room_id)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return remove(room_id)

    with monkeypatch.context() as patch:
        patch.setattr(deletion, "remove_piece_of_room", die)
        with pytest.raises(KeyboardInterrupt):
            Room.objects.get(pk=room.pk).delete()
    assert Event.objects.filter(room=room.pk).count() == count - 20


def test_a_half_deleted_room_does_not_exist_for_any_user(alice, bob, rooms, monkeypatch, client):
    half_delete(rooms.lobby, bob, monkeypatch)
    room = rooms.lobby.pk
    assert rooms.lobby not in Room.objects.all()
    assert rooms.lobby not in Room.objects.enterable_by(alice)
    assert not Room.objects.titled("Lobby").exists()
    assert room not in log.heads()
    assert log.heads([room]) == {}
    assert room not in log.heads_after(0, limit=10)
    client.force_login(alice)
    assert client.get("/chat/Lobby/").status_code == 404
    assert "Lobby" not in client.get("/").content.decode()
    [standing] = policies.load_logins([client.session.session_key]).values()
    with pytest.raises(ClientError) as refused:
        policies.load_enterable_room(standing.login, room)
    assert refused.value.code == ErrorCode.ROOM_INVALID
    for draft in (
        Draft(room=room, author=alice.pk, login=standing.login, body="hi"),
        Draft(room=room, author=alice.pk, body="from a program", trusted=True),
    ):
        [outcome] = actions.commit([draft])
        assert outcome.code == ErrorCode.ROOM_INVALID
    presence.begin_lease("one")
    assert presence.update_presence("one", came={RoomUser(room, alice.pk)}, went=()) == []


def test_the_title_of_a_half_deleted_room_is_free_at_once(bob, rooms, monkeypatch):
    half_delete(rooms.lobby, bob, monkeypatch)
    again = Room(title="LOBBY")
    again.full_clean()
    again.save()
    assert Room.objects.titled("lobby").get() == again
    assert again.head_seq == 0
    # Now two deleted rooms have the same title.
    half_delete(again, bob, monkeypatch)
    Room.objects.create(title="Lobby")


def test_an_interrupted_deletion_continues_where_it_stopped(bob, rooms, monkeypatch, pieces):
    half_delete(rooms.lobby, bob, monkeypatch)
    assert deletion.unfinished() == ([rooms.lobby.pk], [])
    while deletion.unfinished().rooms:
        assert deletion.remove_piece_of_room(rooms.lobby.pk)
    # Each event has a text to search. 20 events were removed before the interruption.
    assert sum(pieces) == 2 * 50 + 1
    assert not Event.objects.exists()
    assert not Room.all_objects.filter(pk=rooms.lobby.pk).exists()


def test_inside_a_transaction_a_large_room_is_closed_and_one_piece_removed(bob, rooms, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    fill(rooms.lobby, bob, 50)
    with transaction.atomic():
        rooms.lobby.delete()
    assert Room.objects.count() == 2
    assert Event.objects.count() == 40
    assert len(deletion.unfinished().rooms) == 1


def test_a_deletion_that_is_rolled_back_leaves_the_room_as_it_was(bob, rooms):
    fill(rooms.lobby, bob, 5)

    def delete():
        with transaction.atomic():
            Room.objects.get(pk=rooms.lobby.pk).delete()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delete()
    assert Room.objects.count() == 3
    assert rooms.lobby.send_message("still here", bob) == 6


def test_a_row_that_is_written_late_does_not_keep_the_room_from_being_removed(bob, rooms, monkeypatch):
    """As by a transaction that had locked the room before it was closed."""
    half_delete(rooms.lobby, bob, monkeypatch)
    Membership.objects.create(room_id=rooms.lobby.pk, user=bob)
    while deletion.unfinished().rooms:
        deletion.remove_piece_of_room(rooms.lobby.pk)
    assert not Membership.objects.exists()


def test_a_piece_that_fails_is_tried_again(bob, rooms, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    fill(rooms.lobby, bob, 50)
    remove, failures = deletion.remove_piece_of_room, [OperationalError("deadlock detected")]

    def fail(room_id):
        if failures:
            raise failures.pop()
        return remove(room_id)

    monkeypatch.setattr(deletion, "remove_piece_of_room", fail)
    assert rooms.lobby.delete()[0] == 2 * 50 + 1


def in_threads(*works):
    def run(work):
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(run, work) for work in works]]


def test_a_room_may_be_deleted_by_several_threads_at_once(bob, rooms, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 20)
    fill(rooms.lobby, bob, 200)

    def delete():
        return deletion.delete_rooms([rooms.lobby.pk])[0]

    def help_out():
        while deletion.unfinished().rooms or Room.objects.filter(pk=rooms.lobby.pk).exists():
            for room in deletion.unfinished().rooms:
                deletion.remove_piece_of_room(room)

    in_threads(delete, delete, help_out)
    assert not Event.objects.exists()
    assert Room.all_objects.count() == 2


# Users


def test_deleting_a_user_touches_no_message_and_costs_the_same_for_any_number(bob, rooms):
    leftovers.left_tables("default")  # once in a process

    def statements(user):
        with CaptureQueriesContext(connection) as queries:
            user.delete()
        assert not [query for query in queries.captured_queries if "chat_event" in query["sql"]]
        return len(queries)

    dora, emil = (User.objects.create_user(name) for name in ("dora", "emil"))
    fill(rooms.lobby, dora, 1)
    fill(rooms.lobby, emil, 600)
    assert statements(dora) == statements(emil)
    event = Event.objects.latest("pk")
    assert event.author is None
    assert event.author_id is not None


def test_deleting_a_user_removes_memberships_mentions_presences_and_visit(alice, bob, rooms):
    presence.begin_lease("one")
    presence.update_presence(
        "one", came={RoomUser(rooms.lobby.pk, bob.pk), RoomUser(rooms.lobby.pk, alice.pk)}, went=()
    )
    fill(rooms.lobby, alice, 5, "@bob @alice")
    memberships.store_first_visits([alice.pk, bob.pk])
    bob.delete()
    for model in (Membership, Mention, Presence, Visit):
        assert set(model.objects.values_list("user_id", flat=True)) == {alice.pk}
    assert not DeletedUser.objects.exists()


def test_rows_of_many_deleted_users_are_removed_in_pieces(alice, rooms, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    users = User.objects.bulk_create(User(username=f"user{n}") for n in range(10))
    Membership.objects.bulk_create(Membership(room=room, user=user) for room in rooms for user in users)
    Membership.objects.create(room=rooms.lobby, user=alice)
    fill(rooms.lobby, alice, 25, "@user1")
    User.objects.filter(username__startswith="user").delete()
    # The transaction that deletes the users removes none of these rows.
    assert (Membership.objects.count(), Mention.objects.count(), DeletedUser.objects.count()) == (31, 25, 10)
    assert presence.present_usernames([rooms.lobby.pk]) == {rooms.lobby.pk: set()}
    assert deletion.remove_piece_of_user(users[1].pk).total() == 10
    finish_users()
    assert Membership.objects.get().user == alice
    assert not Mention.objects.exists()


def test_a_deleted_user_cannot_write(bob, rooms):
    stale = User.objects.get(pk=bob.pk)
    bob.delete()
    with pytest.raises(ClientError) as refused:
        rooms.lobby.send_message("too late", stale)
    assert refused.value.code == ErrorCode.MESSAGE_INVALID
    [outcome] = actions.commit([Draft(room=rooms.lobby.pk, author=stale.pk, body="too late")])
    assert outcome.code == ErrorCode.USER_HAS_TO_LOGIN


def test_a_new_user_never_gets_the_id_of_a_deleted_user(rooms):
    gone = User.objects.create_user("gone")
    fill(rooms.lobby, gone, 1)
    number = gone.pk
    gone.delete()
    assert User.objects.create_user("new").pk > number


def test_a_user_with_the_id_of_a_deleted_user_owns_none_of_their_messages(rooms):
    """As after copying the data, when ids continue after the highest existing user."""
    gone = User.objects.create_user("gone")
    fill(rooms.lobby, gone, 2)
    number = gone.pk
    gone.delete()
    Membership.objects.create(room=rooms.lobby, user_id=number, read_seq=2)
    Visit.objects.create(user_id=number, at=timezone.now())
    new = User.objects.create(pk=number, username="new")
    assert [event.author for event in Event.objects.all()] == [None, None]
    assert not policies.can_edit(new, author_id=Event.objects.first().author_id)
    assert not Membership.objects.exists()
    assert not Visit.objects.exists()


def test_references_to_users_have_no_constraint_in_the_database():
    models = apps.get_app_config("chat").get_models()
    fields = [field for model in models for field in model._meta.get_fields() if field.related_model is User]
    assert {field.model for field in fields} == {
        Event,
        StoredFile,
        Bot,
        Webhook,
        PushSubscription,
        Reaction,
        Confirmation,
        Membership,
        RoomMember,
        Mention,
        Presence,
        UsernameKey,
        Visit,
        Invitation,
        SignIn,
        Appearance,
        UserPicture,
        PaneSet,
    }
    assert {type(field) for field in fields} == {FormerUserField}


def test_a_visit_may_be_written_while_its_user_is_being_deleted(bob):
    number = bob.pk
    collector = Collector(using="default")
    collector.collect([bob])
    memberships.store_first_visits([number])
    with transaction.atomic():
        collector.delete()
    finish_users()
    assert not User.objects.exists()
    assert not Visit.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite allows one writer at a time")
@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.full_size) for turn in (1, 2))])
def test_deleting_many_users_at_once_does_not_deadlock_with_presence(rooms, turn):
    users = User.objects.bulk_create(User(username=f"user{n}") for n in range(60))
    presence.begin_lease("one")
    pairs = [RoomUser(room.pk, user.pk) for room in rooms for user in users]
    presence.update_presence("one", came=pairs, went=())
    begun = threading.Event()

    def delete(some):
        begun.wait(10)
        User.objects.filter(pk__in=[user.pk for user in some]).delete()

    def leave_and_enter():
        begun.set()
        for _ in range(10):
            presence.update_presence("one", came=(), went=pairs)
            presence.update_presence("one", came=pairs, went=())

    def tidy():
        begun.wait(10)
        for _ in range(20):
            for user in deletion.unfinished().users:
                deletion.remove_piece_of_user(user)

    in_threads(lambda: delete(users[:40]), lambda: delete(users[20:]), leave_and_enter, tidy)
    assert not User.objects.exists()
    finish_users()
    # A user may have entered last; they leave with the process.
    presence.update_presence("one", came=(), went=pairs)
    assert not Presence.objects.exists()
    assert not Membership.objects.filter(is_here=True).exists()


@pytest.mark.django_db(transaction=True)
def test_a_user_with_a_second_factor_can_be_deleted_after_second_factors_were_turned_off(bob, charlie):
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE mfa_authenticator (user_id integer REFERENCES auth_user (id) DEFERRABLE INITIALLY DEFERRED)"
        )
        cursor.executemany("INSERT INTO mfa_authenticator VALUES (%s)", [(bob.pk,), (charlie.pk,)])
    leftovers.left_tables.cache_clear()
    try:
        bob.delete()
        with connection.cursor() as cursor:
            cursor.execute("SELECT user_id FROM mfa_authenticator")
            assert cursor.fetchall() == [(charlie.pk,)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE mfa_authenticator")
        leftovers.left_tables.cache_clear()
