"""People around: how many, by name, since when, and in which of the reader's rooms. Never anything of other rooms."""

import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from chat.live import hub
from chat.models import Presence, Process
from chat.store import around, presence, room_actions
from chat.store.room_user import RoomUser
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/people/around/"
User = get_user_model()


@pytest.fixture
def hidden(bob, charlie):
    return room_actions.create_room("Hidden plans", who="members", members=[bob.pk, charlie.pk])


def enter(*pairs, process="one"):
    presence.begin_lease(process)
    presence.update_presence(process, came=[RoomUser(room.pk, user.pk) for room, user in pairs], went=())


def counts(*readers):
    """Return how many users are around for each reader: in the page at first, and on its socket."""
    found = around.count_for_all([reader.pk for reader in readers])
    assert [found[reader.pk] for reader in readers] == [around.count_for(reader) for reader in readers]
    return [found[reader.pk] for reader in readers]


def people(client):
    return {person["username"]: person["rooms"] for person in client.get(PATH).json()["people"]}


def test_people_are_listed_with_the_rooms_that_the_reader_may_enter(client, alice, bob, charlie, rooms, hidden):
    lobby, staff = str(rooms.lobby.pk), str(rooms.staff.pk)
    enter((rooms.lobby, alice), (rooms.staff, alice), (hidden, bob), (rooms.lobby, charlie), (hidden, charlie))
    client.force_login(bob)
    # Neither the room for staff, nor bob himself.
    assert people(client) == {"alice": [lobby], "charlie": [lobby, str(hidden.pk)]}
    client.force_login(alice)
    # bob is in the hidden room alone.
    assert people(client) == {"charlie": [lobby]}
    answer = client.get(PATH).content.decode()
    assert "Hidden" not in answer
    alice.is_staff = False
    alice.save()
    hidden.add_member(alice)
    assert people(client) == {"bob": [str(hidden.pk)], "charlie": [lobby, str(hidden.pk)]}
    hidden.remove_member(alice)
    assert people(client) == {"charlie": [lobby]}
    assert staff not in str(people(client))


def test_a_user_is_around_since_they_came_and_not_after_their_process_died(client, alice, bob, rooms):
    enter((rooms.lobby, alice))
    enter((rooms.random, alice), process="two")
    first = timezone.now() - timedelta(hours=2)
    Presence.objects.filter(process="one").update(at=first)
    client.force_login(bob)
    [person] = client.get(PATH).json()["people"]
    assert abs(datetime.fromisoformat(person["since"]) - first) < timedelta(seconds=1)
    assert counts(bob) == [1]
    for is_active in (False, True):
        alice.is_active = is_active
        alice.save()
        assert counts(bob) == [int(is_active)]
    Process.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert (people(client), counts(bob)) == ({}, [0])


# A superuser is staff too, so what would be told to staff alone is told to a superuser as well.
@pytest.mark.parametrize(
    "flags", [(), pytest.param(("is_staff",), marks=pytest.mark.full_size), ("is_staff", "is_superuser")]
)
def test_a_user_in_hidden_rooms_alone_is_not_around(client, alice, bob, charlie, rooms, hidden, flags):
    """For users who may not enter them, whatever their flags: the list and the count are as without the page."""
    outsider = User.objects.create_user("dora", **dict.fromkeys(flags, True))
    direct = room_actions.open_direct([charlie.pk], by=bob.pk)
    client.force_login(outsider)
    enter((rooms.lobby, outsider), (rooms.lobby, charlie))
    first = timezone.now() - timedelta(hours=2)

    def seen():
        [button] = re.findall(r'data-part="around".*?</button>', client.get("/").content.decode(), re.DOTALL)
        return client.get(PATH).content, button, counts(outsider, alice)

    before = seen()
    enter((hidden, bob), (direct, bob), (hidden, charlie), (direct, charlie))
    # Nor does the time tell that charlie was in a hidden room earlier.
    Presence.objects.filter(room__in=[hidden, direct]).update(at=first)
    if not outsider.is_staff:
        enter((rooms.staff, bob))
        assert counts(outsider, alice) == [1, 3]
        presence.update_presence("one", came=(), went=[RoomUser(rooms.staff.pk, bob.pk)])
    assert seen() == before
    assert counts(charlie) == [2]  # bob and the outsider
    hidden.add_member(outsider)
    assert counts(outsider, alice) == [2, 2]
    assert people(client)["bob"] == [str(hidden.pk)]


def test_counts_stop_and_take_few_queries(
    alice, bob, charlie, rooms, hidden, monkeypatch, django_assert_max_num_queries
):
    enter((rooms.lobby, alice), (rooms.lobby, bob), (rooms.lobby, charlie), (hidden, bob))
    # Users, and three of each kind: who is in shared rooms, who is in rooms of members alone, and for whom.
    with django_assert_max_num_queries(7):
        assert around.count_for_all([alice.pk, bob.pk, charlie.pk]) == {alice.pk: 2, bob.pk: 2, charlie.pk: 2}
    monkeypatch.setattr(around, "MAX_COUNTED", 1)
    assert counts(alice, bob) == [1, 1]
    monkeypatch.setattr(around, "READERS_AT_ONCE", 1)
    assert counts(alice, bob) == [1, 1]


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


async def test_open_pages_are_told_how_many_others_are_around(alice, bob, charlie, rooms, monkeypatch):
    # After a count that took long because the machine is busy, the next one would be late.
    monkeypatch.setattr("chat.live.around.PAUSE_FACTOR", 0)

    async def count(socket):
        message = await socket._communicator.receive_output(20)
        while "around" not in message["text"]:
            message = await socket._communicator.receive_output(20)
        return message["text"]

    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.send(command="watch")
        await bobs.send(command="join", room=rooms.lobby.pk)
        hub.running().around.count_soon()
        # bob does not count himself.
        assert await count(bobs) == '{"around":0}'
        await alices.send(command="join", room=rooms.lobby.pk)
        assert await count(bobs) == '{"around":1}'
