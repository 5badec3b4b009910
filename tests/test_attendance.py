"""The presence that one process sends to its sessions: which frames, to which sockets, and when."""

import asyncio
import json
import threading

import pytest
from django.contrib.auth import get_user_model

from chat.live import database, hub
from chat.live.attendance import CROWD
from chat.models import Membership, Process
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser
from tests.fakes import expire_dead_processes
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)

User = get_user_model()
ENTER, LEAVE = 4, 5


@pytest.fixture(autouse=True)
def clocks(settings):
    settings.LEASE_SECONDS, settings.LEASE_RENEW_SECONDS, settings.GRACE_SECONDS = 5.0, 30.0, 0.0


async def signals(socket, *, until):
    """Return ENTER, LEAVE and `present` frames up to and including the first for which `until` is true."""
    heard = []
    async with asyncio.timeout(5):
        while not heard or not until(heard[-1]):
            message = await socket._communicator.receive_output(5)
            frame = json.loads(message["text"])
            if "present" in frame or frame.get("msg_type") in (ENTER, LEAVE):
                heard.append(frame)
    return heard


@pytest.mark.parametrize("other", [None, "bob"])
async def test_a_user_who_is_renamed_is_listed_by_the_new_name_at_once(alice, bob, rooms, other):
    """Once, and the pages of the user learn their new name, also when another user has the old one by then."""
    async with connected(alice) as alices, connected(bob) as bobs:
        for socket in (alices, bobs):
            await join(socket, rooms.lobby)
            assert (await socket.ask(command="users", names=["bob"]))["users"]
        await hub.running().attendance.until_settled()
        bob.username = "robert"
        await database.write(bob.save)
        if other:
            await database.write(User.objects.create_user, other)
        for socket in (alices, bobs):
            renamed = {"room": str(rooms.lobby.pk), "present": {"bob": False, "robert": True}}
            assert (await signals(socket, until=lambda frame: "robert" in frame.get("present", ())))[-1] == renamed
        assert hub.running().attendance._here[rooms.lobby.pk] == {"alice", "robert"}
        # bob leaves under the new name.
        await bobs.send(command="leave", room=rooms.lobby.pk)
        left = await signals(alices, until=lambda frame: "present" in frame)
        assert left[-1]["present"] == {"robert": False}


async def test_a_name_that_passes_from_one_user_to_another_keeps_both_in_the_list(alice, bob, charlie, rooms):
    async with connected(alice) as alices, connected(bob) as bobs, connected(charlie) as charlies:
        for socket in (alices, bobs, charlies):
            await join(socket, rooms.lobby)
        await hub.running().attendance.until_settled()
        hub.running().attendance.rename_users({"charlie": "bob", "bob": "robert"})
        assert hub.running().attendance._here[rooms.lobby.pk] == {"alice", "bob", "robert"}
        frames = await signals(alices, until=lambda frame: "robert" in frame.get("present", ()))
        assert frames[-1]["present"] == {"charlie": False, "bob": True, "robert": True}


async def join(socket, room):
    await socket.send(command="join", room=str(room.pk))
    return await signals(socket, until=lambda frame: isinstance(frame.get("present"), list))


async def test_a_join_brings_the_list_of_present_users_and_later_its_changes(rooms, alice, bob):
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
            assert not any(frame.get("msg_type") == ENTER for frame in mine), "a user must not get their own ENTER"
        heard = await signals(first, until=lambda frame: "present" in frame)
        assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]
        assert heard[-1]["present"] == {"bob": False}


async def test_a_user_who_is_back_within_the_grace_time_causes_no_frame(settings, rooms, alice, bob):
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
    # The only LEAVE is the one that the command caused at once.
    assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]


async def test_a_user_who_is_back_while_their_leaving_is_being_written_is_here(rooms, alice, bob, monkeypatch):
    room, update = rooms.lobby, presence.update_presence
    is_writing, may_write = threading.Event(), threading.Event()

    def write_late(process, *, came, went):
        if went:
            is_writing.set()
            assert may_write.wait(10)
        return update(process, came=came, went=went)

    async with connected(alice) as first, connected(bob) as second:
        await join(first, room)
        await join(second, room)
        await signals(first, until=lambda frame: frame.get("present") == {"bob": True})
        monkeypatch.setattr(presence, "update_presence", write_late)
        await second.send(command="leave", room=str(room.pk))
        assert await asyncio.to_thread(is_writing.wait, 10)
        await second.send(command="join", room=str(room.pk))
        await second.until(lambda frame: "join" in frame)
        may_write.set()
        await signals(first, until=lambda frame: frame.get("present") == {"bob": False})
        await signals(first, until=lambda frame: frame.get("present") == {"bob": True})
        assert await database.read(presence.present_usernames, [room.pk]) == {room.pk: {"alice", "bob"}}


async def test_two_tabs_of_a_user_count_as_one_presence(rooms, alice, bob):
    async with connected(alice) as first, connected(bob) as second, connected(bob) as third:
        await join(first, rooms.lobby)
        for tab in (second, third):
            await join(tab, rooms.lobby)
        await signals(first, until=lambda frame: frame.get("present") == {"bob": True})
        for tab in (second, third):
            await tab.send(command="leave", room=str(rooms.lobby.pk))
            # A user who sends `leave` gets their own LEAVE, as in the original.
            assert any(frame.get("msg_type") == LEAVE for frame in await tab.until(lambda frame: "leave" in frame))
        heard = await signals(first, until=lambda frame: "present" in frame)
    assert [frame.get("msg_type") for frame in heard] == [LEAVE, None]


@pytest.mark.parametrize(
    ("off", "heard"), [("SEND_PRESENCE", "msg_type"), ("NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS", "present")]
)
async def test_enter_and_leave_and_the_list_can_be_turned_off_separately(settings, rooms, alice, bob, off, heard):
    setattr(settings, off, False)
    async with connected(alice) as first, connected(bob) as second:
        for socket in (first, second):
            await socket.ask(command="join", room=str(rooms.lobby.pk))
        news = await signals(first, until=lambda frame: "bob" in (frame.get("username"), *frame.get("present", ())))
        assert heard in news[-1]
        await second.send(command="leave", room=str(rooms.lobby.pk))
        frames = await signals(first, until=lambda frame: heard in frame)
        assert all(heard in frame for frame in frames)


async def test_a_server_that_stops_announces_no_leave_and_keeps_its_lease(rooms, alice, bob):
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
    # The next process records its own users under its own lease, and announces that the old process's users left only
    # when that process's lease has expired.
    async with connected(bob) as again:
        assert (await join(again, rooms.lobby))[-1]["present"] == ["alice", "bob"]
        assert await database.write(expire_dead_processes) == []
    await database.close()


async def test_the_first_process_after_an_outage_expires_dead_processes_before_joins(settings, rooms, alice, bob):
    settings.LEASE_SECONDS = -1.0
    await database.write(presence.begin_lease, "dead")
    await database.write(presence.update_presence, "dead", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
    settings.LEASE_SECONDS = 5.0
    async with connected(alice) as first:
        assert (await join(first, rooms.lobby))[-1]["present"] == ["alice"]


@pytest.mark.parametrize("count, lines", [(3, 3), (CROWD - 1, CROWD - 1), (CROWD + 1, 0)])
async def test_many_arrivals_share_one_list_and_a_crowd_gets_no_enter_frames(rooms, alice, count, lines):
    room = rooms.lobby.pk
    async with connected(alice) as first:
        await join(first, rooms.lobby)
        names = [f"guest{number}" for number in range(count)]
        # Alice's own ENTER may be sent in the same turn of the loop.
        hub.running().attendance.apply_changes(Change(room, name, True) for name in names)
        heard = await signals(first, until=lambda frame: "present" in frame)
        assert [frame["username"] for frame in heard[:-1]] == names[:lines]
        assert heard[-1] == {"room": str(room), "present": dict.fromkeys(names, True)}
        # The cached frame with the whole list is encoded again.
        async with connected(alice) as second:
            assert sorted((await join(second, rooms.lobby))[-1]["present"]) == sorted([*names, "alice"])
