"""Every command and every refusal, over a socket within this process."""

import contextlib
import threading
import uuid

import pytest

from chat import limits
from chat.live import commands, database
from chat.models import Event, Room
from tests.fakes import until
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


def code(frame):
    """Return an error's code, its command and its room."""
    assert frame["detail"][0].isupper()
    return frame["error"], frame.get("command"), frame.get("room")


async def test_a_join_reply_carries_title_head_floor_and_epoch(bob, rooms):
    async with connected(bob) as socket:
        joined = await socket.ask(command="join", room=rooms.lobby.pk)
        epoch = rooms.lobby.epoch
        assert joined == {"join": str(rooms.lobby.pk), "title": "Lobby", "head": 0, "floor": 1, "epoch": epoch}
        again = await socket.ask(command="join", room=str(rooms.lobby.pk))
        assert again == joined


async def test_a_message_reaches_all_sessions_in_the_room_and_is_acknowledged_to_its_author(alice, bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.ask(command="join", room=lobby)
        await alices.ask(command="join", room=lobby)
        await bobs.send(command="send", room=lobby, message="hi", client_id=UUID)
        frames = await bobs.until(lambda frame: "ack" in frame) + await bobs.rest()
        assert {"ack": UUID, "room": lobby, "seq": 1} in frames
        posted = await alices.next()
        assert posted in frames
        at = posted.pop("at")
        assert at.endswith("Z")
        assert posted == {
            "room": lobby,
            "username": "bob",
            "message": "hi",
            "msg_type": 0,
            "seq": 1,
            "client_id": UUID,
            "user": bob.pk,
        }
        assert await alices.rest() == []


async def test_a_message_does_not_reach_sessions_in_another_room(alice, bob, rooms):
    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.ask(command="join", room=rooms.lobby.pk)
        await alices.ask(command="join", room=rooms.random.pk)
        await bobs.send(command="send", room=rooms.lobby.pk, message="hi", client_id=UUID)
        await bobs.until(lambda frame: "ack" in frame)
        assert await alices.rest() == []


async def test_a_pong_carries_the_version_of_the_servers_page(bob, settings):
    async with connected(bob) as socket:
        assert await socket.ask(command="ping") == {"pong": True}
        settings.PAGE_VERSION = "c26f9c6a7f1e"
        assert await socket.ask(command="ping") == {"pong": True, "version": "c26f9c6a7f1e"}


async def test_a_send_without_a_client_id_gets_no_ack(bob, rooms):
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await socket.send(command="send", room=rooms.lobby.pk, message="hi")
        assert [frame["seq"] for frame in await socket.until(lambda frame: "seq" in frame)] == [1]
        assert await socket.rest() == []


async def test_a_repeated_client_id_is_acknowledged_with_the_first_room_and_number(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        await socket.ask(command="join", room=rooms.random.pk)
        await socket.send(command="send", room=lobby, message="hi", client_id=UUID)
        await socket.until(lambda frame: "ack" in frame)
        await socket.rest()
        for room, text in ((lobby, "hi"), (lobby, "another"), (rooms.random.pk, "hi")):
            ack = await socket.ask(command="send", room=room, message=text, client_id=UUID.upper())
            assert ack == {"ack": UUID, "room": lobby, "seq": 1}
        assert await socket.rest() == []
        assert await database.read(Event.objects.count) == 1


REFUSED = [
    ({"message": ""}, "MESSAGE_EMPTY"),
    ({"message": " \u200b\n"}, "MESSAGE_EMPTY"),
    ({"message": "a\x00b"}, "MESSAGE_INVALID"),
    ({"message": "x" * 4001}, "MESSAGE_TOO_LONG"),
    ({"message": "𝕏" * 8193}, "MESSAGE_TOO_LONG"),
    ({"message": "hi", "msg_type": 1}, "MESSAGE_TYPE_DENIED"),
    ({"message": "hi", "msg_type": 4}, "MESSAGE_INVALID"),
    ({"message": "hi", "msg_type": 77}, "MESSAGE_INVALID"),
    ({"message": None}, "MESSAGE_INVALID"),
    ({}, "MESSAGE_INVALID"),
]


async def test_a_refused_send_is_answered_with_its_client_id_and_the_socket_stays_open(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        for fields, error in REFUSED:
            limits.clear()
            answer = await socket.ask(command="send", room=lobby, client_id=UUID, **fields)
            assert code(answer) == (error, "send", lobby), fields
            assert answer["client_id"] == UUID
            assert await socket.rest() == []
            assert not await database.read(Event.objects.exists)


async def test_staff_post_warnings(alice, rooms):
    async with connected(alice) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await socket.send(command="send", room=rooms.lobby.pk, message="hi", msg_type=1)
        assert (await socket.next())["msg_type"] == 1


async def test_commands_in_a_room_that_is_not_joined_are_denied(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        for command in (
            {"command": "send", "message": "hi"},
            {"command": "edit", "seq": 1, "message": "hi"},
            {"command": "delete", "seq": 1},
            {"command": "history"},
        ):
            answer = await socket.ask(room=lobby, **command)
            assert code(answer) == ("ROOM_ACCESS_DENIED", command["command"], lobby)
        assert await socket.rest() == []


async def test_a_room_that_does_not_exist_is_invalid(bob, rooms):
    async with connected(bob) as socket:
        for room in ("abc", "", None, True, 999, "999", -1):
            assert (await socket.ask(command="join", room=room))["error"] == "ROOM_INVALID", room
            assert await socket.rest() == []


async def test_a_staff_room_is_denied_to_other_users_without_its_title(bob, rooms):
    staff = str(rooms.staff.pk)
    async with connected(bob) as socket:
        answer = await socket.ask(command="join", room=staff)
        assert code(answer) == ("ROOM_ACCESS_DENIED", "join", staff)
        assert "Staff" not in str(answer)
        resumed = await socket.ask(command="resume", rooms={staff: {"since": 0}})
        assert resumed == {"leave": staff, "reason": "ROOM_ACCESS_DENIED"}


async def test_leaving_always_works_and_announces_nothing_when_not_joined(bob, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = True
    async with connected(bob) as socket:
        for room in (rooms.lobby.pk, 999):
            assert await socket.ask(command="leave", room=room) == {"leave": str(room)}
        await socket.ask(command="join", room=rooms.lobby.pk)
        await database.write(rooms.lobby.delete)
        frames = await socket.until(lambda frame: "leave" in frame)
        assert frames[-1] == {"leave": frames[-1]["leave"], "reason": "ROOM_INVALID"}
        assert await socket.ask(command="leave", room=frames[-1]["leave"]) == {"leave": frames[-1]["leave"]}


async def test_a_session_that_left_a_room_gets_no_frame_of_it_and_may_not_send(alice, bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.ask(command="join", room=lobby)
        await alices.ask(command="join", room=lobby)
        assert await bobs.ask(command="leave", room=lobby) == {"leave": lobby}
        await alices.send(command="send", room=lobby, message="hi", client_id=UUID)
        await alices.until(lambda frame: "ack" in frame)
        assert code(await bobs.ask(command="send", room=lobby, message="hi")) == ("ROOM_ACCESS_DENIED", "send", lobby)
        assert await bobs.rest() == []


def say(room, user, count):
    for number in range(1, count + 1):
        room.send_message(f"m{number}", user)


async def test_a_join_with_since_replays_exactly_the_later_events_and_moves_the_cursor_back(bob, rooms):
    await database.write(say, rooms.lobby, bob, 5)
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        assert (await socket.ask(command="join", room=lobby, since=3))["head"] == 5
        assert [(await socket.next())["seq"] for _ in range(2)] == [4, 5]
        await socket.ask(command="join", room=lobby)
        assert await socket.rest() == []
        await socket.ask(command="join", room=lobby, since=4, epoch=rooms.lobby.epoch)
        assert (await socket.next())["seq"] == 5
        assert await socket.rest() == []


@pytest.mark.parametrize("cursor", [{"since": 99}, {"since": -1}, {"since": 2, "epoch": "other"}, {"since": 10**30}])
async def test_a_join_with_a_cursor_that_cannot_be_served_starts_over(bob, rooms, cursor):
    await database.write(say, rooms.lobby, bob, 5)
    async with connected(bob) as socket:
        joined = await socket.ask(command="join", room=rooms.lobby.pk, **cursor)
        assert (joined["reset"], joined["head"]) == (True, 5)
        assert await socket.rest() == []


async def test_resume_is_answered_for_each_room(bob, rooms):
    await database.write(say, rooms.lobby, bob, 3)
    lobby, random, staff = (str(room.pk) for room in rooms)
    cursors = {lobby: {"since": 1, "epoch": rooms.lobby.epoch}, random: {"since": 7}, staff: {"since": 0}}
    async with connected(bob) as socket:
        await socket.send(command="resume", rooms=cursors | {"999": {"since": 0}})
        frames = [await socket.next() for _ in range(6)] + await socket.rest()
    assert [frame["seq"] for frame in frames if "seq" in frame] == [2, 3]
    joins = {frame["join"]: frame.get("reset", False) for frame in frames if "join" in frame}
    leaves = {frame["leave"]: frame["reason"] for frame in frames if "leave" in frame}
    assert joins == {lobby: False, random: True}
    assert leaves == {staff: "ROOM_ACCESS_DENIED", "999": "ROOM_INVALID"}


async def test_edits_and_deletes_are_acknowledged_and_sent_as_events(alice, bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket, connected(alice) as alices:
        await socket.ask(command="join", room=lobby)
        await alices.ask(command="join", room=lobby)
        await socket.send(command="send", room=lobby, message="secret")
        await socket.next()
        for command in ({"command": "edit", "message": "new"}, {"command": "delete"}):
            client_id = str(uuid.uuid4())
            await socket.send(room=lobby, seq=1, client_id=client_id, **command)
            assert (await socket.until(lambda frame: "ack" in frame))[-1]["ack"] == client_id
        frames = await alices.until(lambda frame: "deleted" in frame)
        assert [(frame["seq"], frame.get("edited"), frame.get("deleted")) for frame in frames] == [
            (1, None, None),
            (2, 1, None),
            (3, None, 1),
        ]
        await socket.rest()
        answer = await socket.ask(command="edit", room=lobby, seq=1, message="x")
        assert code(answer) == ("MESSAGE_INVALID", "edit", lobby)
        await alices.send(command="send", room=lobby, message="hers")
        await socket.next()
        for command in ({"command": "edit", "message": "new"}, {"command": "delete"}):
            answer = await socket.ask(room=lobby, seq=4, **command)
            assert code(answer) == ("NOT_AUTHOR", command["command"], lobby)


async def test_a_message_for_another_log_of_the_room_is_refused_with_its_client_id(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        fields = {"command": "send", "room": lobby, "message": "hi", "client_id": str(uuid.uuid4())}
        refused = await socket.ask(**fields, epoch="before")
        assert code(refused) == ("EPOCH_CHANGED", "send", lobby)
        assert refused["client_id"] == fields["client_id"]
        await socket.send(**fields, epoch=rooms.lobby.epoch)
        frames = await socket.until(lambda frame: "ack" in frame)
        assert frames[-1]["seq"] == 1


async def test_a_change_in_another_log_of_the_room_is_refused_and_changes_nothing(alice, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(alice) as socket:
        await socket.ask(command="join", room=lobby)
        await socket.ask(command="send", room=lobby, message="fire", msg_type=2)
        changes = [
            {"command": "edit", "message": "no fire"},
            {"command": "react", "emoji": "👍"},
            {"command": "confirm"},
            {"command": "resolve"},
            {"command": "delete"},
        ]
        for change in changes:
            refused = await socket.ask(room=lobby, seq=1, epoch="before", **change)
            assert code(refused) == ("EPOCH_CHANGED", change["command"], lobby)
        for seq, change in enumerate(changes, 2):
            event = await socket.ask(room=lobby, seq=1, epoch=rooms.lobby.epoch, **change)
            assert event["seq"] == seq, event


async def test_one_user_holds_at_most_one_reader_thread_for_history(alice, bob, rooms, monkeypatch):
    """Joins need the reader threads, so all sockets of one user together may hold only one of them."""
    running, most, gate, read = set(), [], threading.Event(), commands._read_history

    def read_slowly(login, *arguments):
        running.add(login)
        most.append(len(running))
        assert gate.wait(20)
        running.discard(login)
        return read(login, *arguments)

    monkeypatch.setattr(commands, "_read_history", read_slowly)
    lobby = str(rooms.lobby.pk)
    async with contextlib.AsyncExitStack() as stack:
        bobs = [await stack.enter_async_context(connected(bob)) for _ in range(2 * database.READERS)]
        for socket in bobs:
            await socket.ask(command="join", room=lobby)
            await socket.send(command="history", room=lobby)
        await until(lambda: most)
        socket = await stack.enter_async_context(connected(alice))
        assert (await socket.ask(command="join", room=lobby))["join"] == lobby
        assert len(most) == 1
        gate.set()
        for socket in bobs:
            await socket.until(lambda frame: "history" in frame)


async def test_history_is_served_in_pages(bob, rooms, settings):
    settings.HISTORY_PAGE = 3
    settings.HISTORY_PAGE_MAX = 4
    await database.write(say, rooms.lobby, bob, 9)
    lobby = str(rooms.lobby.pk)

    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)

        async def page(**fields):
            answer = await socket.ask(command="history", room=lobby, **fields)
            assert (answer["history"], answer["as_of"]) == (lobby, 9)
            return [event["seq"] for event in answer["events"]], answer["more"]

        assert await page() == ([7, 8, 9], True)
        assert await page(before=7, limit=100) == ([3, 4, 5, 6], True)
        settings.HISTORY_PAGE_BYTES = 1
        assert await page() == ([9], True)
        settings.HISTORY_PAGE_BYTES = 1_000_000
        assert await page(before=3) == ([1, 2], False)
        assert await page(before=0) == ([], False)
        answer = await socket.ask(command="history", room=lobby, limit=-1)
        assert code(answer) == ("COMMAND_INVALID", "history", lobby)
        answer = await socket.ask(command="history", room=lobby, before=10**30)
        assert code(answer) == ("COMMAND_INVALID", "history", lobby)


async def test_a_message_posted_from_python_arrives_by_the_bell_or_else_by_the_sweep(bob, rooms, monkeypatch, settings):
    settings.SWEEP_SECONDS = 0.05
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await database.write(rooms.lobby.send_message, "by the bell", None, 1)
        assert (await socket.next())["msg_type"] == 1
        monkeypatch.setattr("chat.doorbell.ring", lambda heads: None)
        await database.write(rooms.lobby.send_message, "by the sweep", None)
        assert (await socket.next())["message"] == "by the sweep"


async def test_sends_of_one_socket_keep_their_order(bob, rooms):
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        for number in range(50):
            await socket.send(command="send", room=rooms.lobby.pk, message=str(number))
        frames = await socket.until(lambda frame: frame.get("seq") == 50)
    assert [frame["message"] for frame in frames] == [str(number) for number in range(50)]
    assert await database.read(lambda: Room.objects.get(pk=rooms.lobby.pk).head_seq) == 50
    await database.close()
