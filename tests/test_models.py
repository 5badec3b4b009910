"""Rooms and who may enter them."""

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
def test_titles_that_differ_only_in_case_are_the_same_however_they_are_saved(title, other):
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
def test_other_titles_are_other_rooms(title, other):
    assert Room.objects.create(title=title) != Room.objects.create(title=other)
    assert Room.objects.titled(title).get().title == title


def test_the_same_title_twice_in_one_bulk_is_refused():
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.bulk_create([Room(title="Lobby"), Room(title="lobby")])


def test_a_room_may_be_renamed_to_another_case_of_its_title():
    room = Room.objects.create(title="Lobby")
    room.title = "LOBBY"
    room.full_clean()
    room.save(update_fields=["title"])
    assert Room.objects.get().title_key == "lobby"


def test_a_form_says_in_words_that_a_title_is_taken():
    Room.objects.create(title="Кухня")
    form = modelform_factory(Room, fields=["title", "staff_only"])({"title": "КУХНЯ"})
    assert form.errors == {"title": ["There is a room with this title already."]}


@pytest.mark.parametrize("title", ["", " ", "\u3000", "a\nb", "a\x00b", "x" * 256])
def test_a_title_is_one_line_with_something_in_it(title):
    with pytest.raises(ValidationError):
        Room(title=title).full_clean()


@pytest.mark.parametrize("title", ["ﷺ" * 255, "ΐ" * 255, "ﬃ" * 255, "x" * 255])
def test_the_longest_title_has_room_for_its_key(title):
    room = Room(title=title)
    room.full_clean()
    room.save()
    assert len(title_key(title)) <= Room._meta.get_field("title_key").max_length


def test_staff_may_enter_all_rooms_others_those_that_are_not_for_staff(alice, bob, rooms):
    assert list(Room.objects.enterable_by(alice)) == [rooms.lobby, rooms.random, rooms.staff]
    assert list(Room.objects.enterable_by(bob)) == [rooms.lobby, rooms.random]


def test_nobody_enters_without_an_active_account(alice, rooms):
    alice.is_active = False
    assert not Room.objects.enterable_by(alice)
    assert not Room.objects.enterable_by(AnonymousUser())


def test_rooms_are_listed_by_title_without_regard_to_case(bob):
    for title in ("b", "C", "a", "я", "Б"):
        Room.objects.create(title=title)
    assert [room.title for room in Room.objects.enterable_by(bob)] == ["a", "b", "C", "Б", "я"]


def test_enterable_and_titled_go_together(bob, rooms):
    assert not Room.objects.enterable_by(bob).titled("STAFF").exists()
    assert Room.objects.enterable_by(bob).titled("LOBBY").get() == rooms.lobby


@pytest.mark.parametrize("msg_type", [0, 1, 2, 3])
def test_send_message_posts_any_type(bob, rooms, msg_type):
    assert rooms.lobby.send_message("hi", bob, msg_type) == 1
    event = Event.objects.get()
    assert (event.room, event.author, event.username, event.body) == (rooms.lobby, bob, "bob", "hi")
    assert event.msg_type == msg_type


def test_send_message_refuses_what_cannot_be_a_message(bob, rooms):
    with pytest.raises(ClientError) as caught:
        rooms.lobby.send_message(" ", bob)
    assert caught.value.code == ErrorCode.MESSAGE_EMPTY
    for msg_type in (4, 5, 6, -1):
        with pytest.raises(ClientError) as caught:
            rooms.lobby.send_message("hi", bob, msg_type)
        assert caught.value.code == ErrorCode.MESSAGE_INVALID
    assert not Event.objects.exists()


def test_send_message_posts_where_its_author_may_not_enter(bob, rooms):
    assert rooms.staff.send_message("from a program", bob) == 1


def test_history_survives_a_deleted_user_and_goes_with_its_room(bob, rooms):
    rooms.lobby.send_message("hi", bob)
    bob.delete()
    event = Event.objects.get()
    assert (event.author, event.username) == (None, "bob")
    rooms.lobby.delete()
    assert not Event.objects.exists()


def test_two_events_of_a_room_cannot_have_one_number(bob, rooms):
    rooms.lobby.send_message("hi", bob)
    event = Event.objects.get()
    event.pk = None
    event.client_id = None
    with pytest.raises(IntegrityError), transaction.atomic():
        event.save()


def test_a_room_that_was_edited_meanwhile_keeps_its_place_in_the_log(bob, rooms):
    edited = Room.objects.get(pk=rooms.lobby.pk)
    rooms.lobby.send_message("said while the form was open", bob)
    edited.title = "Foyer"
    edited.save()
    assert rooms.lobby.send_message("and after", bob) == 2
    assert Room.objects.get(pk=edited.pk).title == "Foyer"
