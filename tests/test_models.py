"""Rooms, their titles, and the users who may enter them."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.forms import modelform_factory

from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Room, title_key

pytestmark = pytest.mark.django_db

SAME = [
    ("Lobby", "LOBBY"),
    ("Кухня", "КУХНЯ"),
    ("Straße", "STRASSE"),
    ("ΟΔΟΣ", "οδος"),
    ("Café", "CAFE\u0301"),
    ("Lobby", " lobby "),
    ("ǅ", "ǆ"),
]
DIFFERENT = [("Lobby", "Lobbi"), ("Cafe", "Café"), ("台所", "台"), ("a b", "ab"), ("İ", "i")]


@pytest.mark.parametrize(("title", "other"), SAME)
def test_titles_that_differ_only_in_case_are_refused_by_every_way_to_save(title, other):
    room = Room.objects.create(title=title)
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(title=other)
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.bulk_create([Room(title=other)])
    with pytest.raises(IntegrityError), transaction.atomic():
        renamed = Room.objects.create(title="Something else")
        renamed.title = other
        renamed.save(update_fields=["title"])
    with pytest.raises(ValidationError, match="There is a room with this title already"):
        Room(title=other).full_clean()
    assert Room.objects.titled(other).get() == room


@pytest.mark.parametrize(("title", "other"), DIFFERENT)
def test_different_titles_are_different_rooms(title, other):
    assert Room.objects.create(title=title) != Room.objects.create(title=other)
    assert Room.objects.titled(title).get().title == title


def test_the_same_title_twice_in_one_bulk_create_is_refused():
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.bulk_create([Room(title="Lobby"), Room(title="lobby")])


def test_the_case_of_a_title_may_be_changed():
    room = Room.objects.create(title="Lobby")
    room.title = "LOBBY"
    room.full_clean()
    room.save(update_fields=["title"])
    assert Room.objects.get().title_key == "lobby"


@pytest.mark.parametrize("stored", ["Lob\u202eby", " Lob\u202eby "])
def test_a_room_keeps_a_title_that_turns_text_and_gets_no_other_one(stored):
    room = Room.objects.create(title=stored)
    room.full_clean()
    assert room.title == stored.strip()
    room.title = "\u202eLobby"
    with pytest.raises(ValidationError, match="change the direction of text"):
        room.full_clean()


def test_a_form_says_that_a_title_exists():
    Room.objects.create(title="Кухня")
    form = modelform_factory(Room, fields=["title", "staff_only"])({"title": "КУХНЯ"})
    assert form.errors == {"title": ["There is a room with this title already."]}


@pytest.mark.parametrize("title", ["", " ", "\u3000", "a\nb", "a\x00b", "x" * 256])
def test_a_title_must_be_one_line_that_is_not_blank(title):
    with pytest.raises(ValidationError):
        Room(title=title).full_clean()


@pytest.mark.parametrize("title", ["ﷺ" * 255, "ΐ" * 255, "ﬃ" * 255, "x" * 255])
def test_the_key_of_the_longest_title_fits_its_column(title):
    room = Room(title=title)
    room.full_clean()
    room.save()
    assert len(title_key(title)) <= Room._meta.get_field("title_key").max_length


def test_staff_may_enter_all_rooms_and_other_users_those_that_are_not_staff_only(alice, bob, rooms):
    assert list(Room.objects.enterable_by(alice)) == [rooms.lobby, rooms.random, rooms.staff]
    assert list(Room.objects.enterable_by(bob)) == [rooms.lobby, rooms.random]


def test_only_active_accounts_may_enter_rooms(alice, rooms):
    alice.is_active = False
    assert not Room.objects.enterable_by(alice)
    assert not Room.objects.enterable_by(AnonymousUser())


def test_rooms_are_listed_by_title_without_regard_to_case(bob):
    for title in ("b", "C", "a", "я", "Б"):
        Room.objects.create(title=title)
    assert [room.title for room in Room.objects.enterable_by(bob)] == ["a", "b", "C", "Б", "я"]


def test_enterable_by_and_titled_can_be_combined(bob, rooms):
    assert not Room.objects.enterable_by(bob).titled("STAFF").exists()
    assert Room.objects.enterable_by(bob).titled("LOBBY").get() == rooms.lobby


@pytest.mark.parametrize("msg_type", [0, 1, 2, 3])
def test_send_message_posts_any_type(bob, rooms, msg_type):
    assert rooms.lobby.send_message("hi", bob, msg_type) == 1
    event = Event.objects.get()
    assert (event.room, event.author, event.username, event.body) == (rooms.lobby, bob, "bob", "hi")
    assert event.msg_type == msg_type


def test_send_message_refuses_empty_messages_and_types_of_signals(bob, rooms):
    with pytest.raises(ClientError) as caught:
        rooms.lobby.send_message(" ", bob)
    assert caught.value.code == ErrorCode.MESSAGE_EMPTY
    for msg_type in (4, 5, 6, -1):
        with pytest.raises(ClientError) as caught:
            rooms.lobby.send_message("hi", bob, msg_type)
        assert caught.value.code == ErrorCode.MESSAGE_INVALID
    assert not Event.objects.exists()


def test_send_message_posts_in_rooms_that_its_author_may_not_enter(bob, rooms):
    assert rooms.staff.send_message("from a program", bob) == 1


def test_events_are_kept_when_their_author_is_deleted_and_removed_with_their_room(bob, rooms):
    rooms.lobby.send_message("hi", bob)
    bob.delete()
    event = Event.objects.get()
    assert (event.author, event.username) == (None, "bob")
    rooms.lobby.delete()
    assert not Event.objects.exists()


def test_two_events_of_a_room_cannot_have_the_same_number(bob, rooms):
    rooms.lobby.send_message("hi", bob)
    event = Event.objects.get()
    event.pk = None
    event.client_id = None
    with pytest.raises(IntegrityError), transaction.atomic():
        event.save()


def test_saving_a_stale_room_does_not_change_its_head(bob, rooms):
    edited = Room.objects.get(pk=rooms.lobby.pk)
    rooms.lobby.send_message("sent while the form was open", bob)
    edited.title = "Foyer"
    edited.save()
    assert rooms.lobby.send_message("sent after that", bob) == 2
    assert Room.objects.get(pk=edited.pk).title == "Foyer"
