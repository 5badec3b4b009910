"""Typing: the other users in a room see who is writing, seldom enough, and never a user who may not enter."""

import pytest

from chat.live import database, hub
from chat.store import room_actions
from tests.fakes import until
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


async def join(socket, room):
    await socket.ask(command="join", room=room.pk)
    await socket.rest()


async def test_the_other_users_in_the_room_see_who_is_writing(alice, bob, charlie, rooms):
    async with (
        connected(alice) as alices,
        connected(bob) as bobs,
        connected(bob) as tab,
        connected(charlie) as charlies,
    ):
        for socket in (alices, bobs, tab):
            await join(socket, rooms.lobby)
        await join(charlies, rooms.random)
        await bobs.send(command="typing", room=rooms.lobby.pk)
        assert await bobs.rest() == []
        assert await alices.rest() == [{"room": str(rooms.lobby.pk), "typing": "bob"}]
        assert await tab.rest() == []
        assert await charlies.rest() == []


async def test_a_socket_is_heard_once_in_three_seconds_in_each_room(alice, bob, rooms, settings):
    async with connected(alice) as alices, connected(bob) as bobs:
        for room in (rooms.lobby, rooms.random):
            await join(alices, room)
            await join(bobs, room)
        for _ in range(5):
            for room in (rooms.lobby, rooms.random):
                await bobs.send(command="typing", room=room.pk)
        await bobs.rest()
        assert [frame["room"] for frame in await alices.rest()] == [str(rooms.lobby.pk), str(rooms.random.pk)]
        settings.TYPING_SECONDS = 0
        await bobs.send(command="typing", room=rooms.lobby.pk)
        await bobs.rest()
        assert [frame["typing"] for frame in await alices.rest()] == ["bob"]


async def test_a_site_can_turn_it_off(alice, bob, rooms, settings):
    settings.SHOW_WHO_IS_TYPING = False
    async with connected(alice) as alices, connected(bob) as bobs:
        await join(alices, rooms.lobby)
        await join(bobs, rooms.lobby)
        await bobs.send(command="typing", room=rooms.lobby.pk)
        assert await bobs.rest() == []
        assert await alices.rest() == []


async def test_a_user_who_has_not_joined_is_refused(bob, rooms):
    async with connected(bob) as socket:
        for room in (rooms.lobby, rooms.staff):
            assert (await socket.ask(command="typing", room=room.pk))["error"] == "ROOM_ACCESS_DENIED"


async def test_other_processes_are_told(alice, bob, rooms, monkeypatch):
    async with connected(alice) as alices, connected(bob) as bobs:
        await join(alices, rooms.lobby)
        await join(bobs, rooms.lobby)
        running = hub.running()
        told = []
        monkeypatch.setattr(running._doorbell, "signal_typing", lambda *typing: told.append(typing))
        await bobs.send(command="typing", room=rooms.lobby.pk)
        await until(lambda: told == [(rooms.lobby.pk, "bob")])
        # As another process's doorbell is heard; a room that nobody has open here is ignored.
        await alices.rest()
        running._doorbell._dispatch(
            {"type": "bell", "from": "x", "heads": {}, "typing": [[rooms.lobby.pk, "charlie"], [99, "x"]]}
        )
        assert [frame["typing"] for frame in await alices.rest()] == ["charlie"]


async def test_in_a_room_of_members_only_members_see_it_and_not_after_their_removal(alice, bob, charlie):
    people = [bob.pk, charlie.pk]
    room = await database.write(room_actions.create_room, "Hidden", who="members", members=people)
    async with connected(bob) as bobs, connected(charlie) as charlies, connected(alice) as alices:
        assert (await alices.ask(command="typing", room=room.pk))["error"] == "ROOM_ACCESS_DENIED"
        await alices.ask(command="join", room=room.pk)
        for socket in (bobs, charlies):
            await join(socket, room)
        await bobs.send(command="typing", room=room.pk)
        await bobs.rest()
        assert await charlies.rest() == [{"room": str(room.pk), "typing": "bob"}]
        assert await alices.rest() == []
        await database.write(room.remove_member, charlie)
        await charlies.until(lambda frame: "leave" in frame)
        # As another process's doorbell is heard.
        hub.running()._doorbell._dispatch({"type": "bell", "from": "x", "heads": {}, "typing": [[room.pk, "bob"]]})
        assert await charlies.rest() == []
