"""Rooms in Django's admin."""

import pytest

from chat.models import Room

pytestmark = pytest.mark.django_db
ROOMS = "/admin/chat/room/"


@pytest.fixture
def admin(client, alice):
    alice.is_superuser = True
    alice.save(update_fields=["is_superuser"])
    client.force_login(alice)
    return client


def test_rooms_are_listed_with_links_search_and_a_filter(admin, rooms):
    page = admin.get(ROOMS).content.decode()
    for room in rooms:
        assert page.count(f'href="{ROOMS}{room.pk}/change/"') == 2
    found = admin.get(ROOMS, {"q": "rand"}).context["cl"].queryset
    assert list(found) == [rooms.random]
    assert list(admin.get(ROOMS, {"staff_only__exact": 1}).context["cl"].queryset) == [rooms.staff]


def test_rooms_are_made_changed_and_deleted(admin):
    admin.post(f"{ROOMS}add/", {"title": " Kitchen "})
    room = Room.objects.get()
    assert (room.title, room.staff_only, room.head_seq) == ("Kitchen", False, 0)
    admin.post(f"{ROOMS}{room.pk}/change/", {"title": "KITCHEN", "staff_only": "on"})
    room.refresh_from_db()
    assert (room.title, room.staff_only) == ("KITCHEN", True)
    admin.post(f"{ROOMS}{room.pk}/delete/", {"post": "yes"})
    assert not Room.objects.exists()


def test_a_title_that_is_taken_is_refused_in_words(admin, rooms):
    answer = admin.post(f"{ROOMS}add/", {"title": "LOBBY"})
    assert "There is a room with this title already." in answer.content.decode()
    assert Room.objects.count() == 3


def test_a_room_with_messages_is_deleted_with_them(admin, bob, rooms):
    rooms.lobby.send_message("hi", bob)
    admin.post(ROOMS, {"action": "delete_selected", "_selected_action": [rooms.lobby.pk], "post": "yes"})
    assert Room.objects.count() == 2


def test_people_without_the_right_have_no_admin(client, bob, rooms):
    client.force_login(bob)
    assert client.get(ROOMS).status_code == 302
