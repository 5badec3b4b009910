"""People around: how many, by name, since when, and in which of the reader's rooms. Never anything of other rooms."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from chat.live import database, hub
from chat.models import Presence, Process
from chat.store import around, presence, room_actions
from chat.store.room_user import RoomUser
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/people/around/"


@pytest.fixture
def hidden(bob, charlie):
    return room_actions.create_room("Hidden plans", who="members", members=[bob.pk, charlie.pk])


def enter(*pairs, process="one"):
    presence.begin_lease(process)
    presence.update_presence(process, came=[RoomUser(room.pk, user.pk) for room, user in pairs], went=())


def people(client):
    return {person["username"]: person["rooms"] for person in client.get(PATH).json()["people"]}


def test_people_are_listed_with_the_rooms_that_the_reader_may_enter(client, alice, bob, charlie, rooms, hidden):
    lobby, staff = str(rooms.lobby.pk), str(rooms.staff.pk)
    enter((rooms.lobby, alice), (rooms.staff, alice), (hidden, bob), (rooms.lobby, charlie), (hidden, charlie))
    client.force_login(bob)
    # Neither the room for staff, nor bob himself.
    assert people(client) == {"alice": [lobby], "charlie": [lobby, str(hidden.pk)]}
    client.force_login(alice)
    assert people(client) == {"bob": [], "charlie": [lobby]}
    answer = client.get(PATH).content.decode()
    assert "Hidden" not in answer
    alice.is_staff = False
    alice.save()
    hidden.add_member(alice)
    assert people(client) == {"bob": [str(hidden.pk)], "charlie": [lobby, str(hidden.pk)]}
    hidden.remove_member(alice)
    assert people(client) == {"bob": [], "charlie": [lobby]}
    assert staff not in str(people(client))


def test_a_user_is_around_since_they_came_and_not_after_their_process_died(client, alice, bob, rooms):
    enter((rooms.lobby, alice))
    enter((rooms.random, alice), process="two")
    first = timezone.now() - timedelta(hours=2)
    Presence.objects.filter(process="one").update(at=first)
    client.force_login(bob)
    [person] = client.get(PATH).json()["people"]
    assert abs(datetime.fromisoformat(person["since"]) - first) < timedelta(seconds=1)
    assert around.count() == {alice.pk}
    for is_active in (False, True):
        alice.is_active = is_active
        alice.save()
        assert around.count() == ({alice.pk} if is_active else set())
    Process.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert (people(client), around.count()) == ({}, set())


def test_a_site_can_turn_it_off_and_strangers_see_nothing(client, alice, bob, rooms, settings):
    enter((rooms.lobby, alice))
    assert client.get(PATH).status_code == 403
    client.force_login(bob)
    assert "1 around" in client.get("/").content.decode()
    settings.SHOW_WHO_IS_AROUND = False
    assert client.get(PATH).status_code == 404
    assert 'data-part="around"' not in client.get("/").content.decode()


def test_the_list_is_bounded(client, alice, bob, charlie, rooms, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(around, "MAX_LISTED", 1)
    enter((rooms.lobby, alice), (rooms.lobby, charlie))
    with django_assert_max_num_queries(6):
        listed, is_more = around.list_people(bob)
    assert (len(listed), is_more) == (1, True)


async def test_open_pages_are_told_how_many_others_are_around(alice, bob, charlie, rooms):
    async def count(socket):
        message = await socket._communicator.receive_output(5)
        while "around" not in message["text"]:
            message = await socket._communicator.receive_output(5)
        return message["text"]

    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.send(command="watch")
        await bobs.send(command="join", room=rooms.lobby.pk)
        await database.read(around.count)
        hub.running().around.count_soon()
        # bob does not count himself.
        assert await count(bobs) == '{"around":0}'
        await alices.send(command="join", room=rooms.staff.pk)
        assert await count(bobs) == '{"around":1}'
