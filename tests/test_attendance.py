"""Who is here, in one process: what is told to whom, and when."""

import asyncio
import json

import pytest

from chat.live import database, hub
from chat.live.attendance import CROWD
from chat.models import Membership, Process
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)

ENTER, LEAVE = 4, 5


@pytest.fixture(autouse=True)
def clocks(settings):
    settings.LEASE_SECONDS, settings.LEASE_RENEW_SECONDS, settings.GRACE_SECONDS = 5.0, 30.0, 0.0


async def signals(socket, *, until):
    """Return ENTER, LEAVE and `present` frames up to and with the first that is as wanted."""
    heard = []
    async with asyncio.timeout(5):
        while not heard or not until(heard[-1]):
            message = await socket._communicator.receive_output(5)
            frame = json.loads(message["text"])
            if "present" in frame or frame.get("msg_type") in (ENTER, LEAVE):
                heard.append(frame)
    return heard


async def join(socket, room):
    await socket.send(command="join", room=str(room.pk))
    return await signals(socket, until=lambda frame: isinstance(frame.get("present"), list))


async def test_the_list_comes_with_the_join_and_changes_after_it(rooms, alice, bob):
    room = str(rooms.lobby.pk)
    async with connected(alice) as first:
        assert (await join(first, rooms.lobby))[-1] == {"room": room, "present": ["alice"]}
        async with connected(bob) as second:
            await second.send(command="join", room=room)
            heard = await signals(first, until=lambda frame: "present" in frame)
            assert heard == [
                {"room": room, "username": "bob", "message": None, "msg_type": ENTER},
                {"room": room, "present": {"bob": True}},
            ]
            mine = await signals(second, until=lambda frame: "present" in frame and "bob" in frame["present"])
            assert not any(frame.get("msg_type") == ENTER for frame in mine), "nobody gets their own ENTER"
        heard = await signals(first, until=lambda frame: "present" in frame)
        assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]
        assert heard[-1]["present"] == {"bob": False}


async def test_who_is_back_within_the_grace_time_was_never_gone(settings, rooms, alice, bob):
    settings.GRACE_SECONDS = 0.3
    async with connected(alice) as first:
        await join(first, rooms.lobby)
        async with connected(bob) as second:
            await join(second, rooms.lobby)
        await signals(first, until=lambda frame: frame.get("present") == {"bob": True})
        async with connected(bob) as again:
            await join(again, rooms.lobby)
            await again.send(command="leave", room=str(rooms.lobby.pk))
            heard = await signals(first, until=lambda frame: "present" in frame)
    # The one LEAVE is that of the command, told at once.
    assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]


async def test_two_tabs_are_one_user(rooms, alice, bob):
    async with connected(alice) as first, connected(bob) as one, connected(bob) as other:
        await join(first, rooms.lobby)
        for tab in (one, other):
            await join(tab, rooms.lobby)
        await signals(first, until=lambda frame: frame.get("present") == {"bob": True})
        for tab in (one, other):
            await tab.send(command="leave", room=str(rooms.lobby.pk))
            # Whoever sends `leave` gets their own LEAVE, as in the original.
            assert any(frame.get("msg_type") == LEAVE for frame in await tab.until(lambda frame: "leave" in frame))
        heard = await signals(first, until=lambda frame: "present" in frame)
    assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]


@pytest.mark.parametrize(
    ("off", "heard"), [("TELL_WHO_IS_PRESENT", "msg_type"), ("NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS", "present")]
)
async def test_each_half_can_be_turned_off(settings, rooms, alice, bob, off, heard):
    setattr(settings, off, False)
    async with connected(alice) as first, connected(bob) as second:
        for socket in (first, second):
            await socket.ask(command="join", room=str(rooms.lobby.pk))
        news = await signals(first, until=lambda one: "bob" in (one.get("username"), *one.get("present", ())))
        assert heard in news[-1]
        await second.send(command="leave", room=str(rooms.lobby.pk))
        frames = await signals(first, until=lambda frame: heard in frame)
        assert all(heard in frame for frame in frames)


async def test_a_server_that_ends_tells_of_nobodys_going_and_leaves_its_lease(rooms, alice, bob):
    async with connected(alice) as first, connected(bob) as second:
        for socket in (first, second):
            await join(socket, rooms.lobby)
        running = hub.running()
        running.drain()
    memberships = await database.read(
        lambda: set(Membership.objects.filter(is_here=True).values_list("user__username"))
    )
    assert memberships == {("alice",), ("bob",)}
    assert await database.read(Process.objects.count) == 1
    # The next process finds its own users under itself; of the old ones it tells when their lease is over.
    async with connected(bob) as again:
        assert (await join(again, rooms.lobby))[-1]["present"] == ["alice", "bob"]
        assert await database.write(presence.bury) == []
    await database.close()


async def test_after_a_night_without_a_server_the_dead_are_gone_before_anybody_comes(settings, rooms, alice, bob):
    settings.LEASE_SECONDS = -1.0
    await database.write(presence.begin, "dead")
    await database.write(presence.settle, "dead", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
    settings.LEASE_SECONDS = 5.0
    async with connected(alice) as first:
        assert (await join(first, rooms.lobby))[-1]["present"] == ["alice"]


@pytest.mark.parametrize("count, lines", [(3, 3), (CROWD - 1, CROWD - 1), (CROWD + 1, 0)])
async def test_who_comes_with_many_is_told_of_in_one_list_and_a_crowd_has_no_lines(rooms, alice, count, lines):
    room = rooms.lobby.pk
    async with connected(alice) as first:
        await join(first, rooms.lobby)
        names = [f"guest{number}" for number in range(count)]
        # Alice's own coming may be told of in the same turn.
        hub.running().attendance.apply_changes(Change(room, name, True) for name in names)
        heard = await signals(first, until=lambda frame: "present" in frame)
        assert [frame["username"] for frame in heard[:-1]] == names[:lines]
        assert heard[-1] == {"room": str(room), "present": dict.fromkeys(names, True)}
        # The list that is kept as a frame is made anew.
        async with connected(alice) as second:
            assert sorted((await join(second, rooms.lobby))[-1]["present"]) == sorted([*names, "alice"])
