"""A client that knows only the frames of the original multichat still works: the keys that it reads are exact."""

import uuid

import pytest
from django.contrib.auth.models import User

from chat.live import database
from chat.models import Room
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0


class OriginalClient:
    """Reads only the keys of a frame that the original's page read."""

    def __init__(self, socket):
        self._socket = socket

    async def send(self, command, room, **message):
        await self._socket.send(command=command, room=room, **message)

    async def next(self):
        frame = await self._socket.next()
        if "error" in frame:
            return {"error": frame["error"]}
        if "join" in frame:
            return {"join": frame["join"], "title": frame["title"]}
        if "leave" in frame:
            return {"leave": frame["leave"]}
        return {key: frame[key] for key in ("room", "username", "message", "msg_type")}


def message_frame(room, username, message, msg_type=0):
    return {"room": room, "username": username, "message": message, "msg_type": msg_type}


async def test_two_users_join_two_rooms_talk_and_leave(bob, charlie, rooms):
    lobby, random = str(rooms.lobby.pk), str(rooms.random.pk)
    async with connected(bob) as bobs, connected(charlie) as charlies:
        bobs, charlies = OriginalClient(bobs), OriginalClient(charlies)
        await bobs.send("join", lobby)
        assert await bobs.next() == {"join": lobby, "title": "Lobby"}
        await bobs.send("join", random)
        assert await bobs.next() == {"join": random, "title": "Random"}
        # A room id may be a string or a number.
        await charlies.send("join", rooms.lobby.pk)
        assert await charlies.next() == {"join": lobby, "title": "Lobby"}
        # The others get ENTER; the user who enters does not.
        assert await bobs.next() == message_frame(lobby, "charlie", None, 4)

        await bobs.send("send", lobby, message="hi")
        assert await bobs.next() == message_frame(lobby, "bob", "hi")
        assert await charlies.next() == message_frame(lobby, "bob", "hi")
        await charlies.send("send", rooms.lobby.pk, message="<b>hello</b>")
        assert await bobs.next() == message_frame(lobby, "charlie", "<b>hello</b>")
        assert await charlies.next() == message_frame(lobby, "charlie", "<b>hello</b>")
        await bobs.send("send", random, message="alone")
        assert await bobs.next() == message_frame(random, "bob", "alone")

        # The user who leaves gets their own LEAVE before the pane closes; the others get it, too.
        await bobs.send("leave", lobby)
        assert await bobs.next() == message_frame(lobby, "bob", None, 5)
        assert await bobs.next() == {"leave": lobby}
        assert await charlies.next() == message_frame(lobby, "bob", None, 5)
        await bobs.send("send", random, message="still here")
        assert await bobs.next() == message_frame(random, "bob", "still here")


async def test_with_notices_off_no_client_gets_enter_or_leave(bob, charlie, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as bobs, connected(charlie) as charlies:
        bobs, charlies = OriginalClient(bobs), OriginalClient(charlies)
        for client in (bobs, charlies):
            await client.send("join", lobby)
            assert await client.next() == {"join": lobby, "title": "Lobby"}
        await charlies.send("leave", lobby)
        assert await charlies.next() == {"leave": lobby}
        await bobs.send("send", lobby, message="hi")
        assert await bobs.next() == message_frame(lobby, "bob", "hi")


async def test_it_gets_the_errors_that_it_knows(bob, rooms):
    async with connected(bob) as socket:
        client = OriginalClient(socket)
        await client.send("join", "999")
        assert await client.next() == {"error": "ROOM_INVALID"}
        await client.send("join", str(rooms.staff.pk))
        assert await client.next() == {"error": "ROOM_ACCESS_DENIED"}
        await client.send("send", str(rooms.lobby.pk), message="not joined")
        assert await client.next() == {"error": "ROOM_ACCESS_DENIED"}
    async with connected() as socket:
        client = OriginalClient(socket)
        await client.send("join", str(rooms.lobby.pk))
        assert await client.next() == {"error": "USER_HAS_TO_LOGIN"}


async def test_without_a_session_its_socket_is_closed_without_an_error_frame(settings):
    # It shows each error in a modal dialog and reconnects for ever.
    settings.UNAUTHENTICATED_SECONDS = 0
    for _ in range(3):
        async with connected() as socket:
            assert await socket.next() is None
            assert socket.closed == 4401


@pytest.mark.parametrize("text", ["", "  ", "\n"])
async def test_an_empty_message_is_ignored(bob, rooms, text):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = OriginalClient(socket)
        await client.send("join", lobby)
        await client.next()
        await client.send("send", lobby, message=text)
        await client.send("send", lobby, message="hi")
        assert await client.next() == message_frame(lobby, "bob", "hi")


async def test_an_empty_message_is_refused_once_the_client_has_sent_a_client_id(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        await socket.send(command="send", room=lobby, message="hi", client_id=str(uuid.uuid4()))
        await socket.until(lambda frame: "ack" in frame)
        await socket.rest()
        assert (await socket.ask(command="send", room=lobby, message=" "))["error"] == "MESSAGE_EMPTY"


def new_log(room):
    Room.objects.filter(pk=room.pk).update(epoch="another")


@pytest.mark.parametrize("newer", ["", "since", "epoch", "resume", "watch"])
async def test_a_room_with_a_new_log_is_shown_in_one_pane(bob, rooms, newer):
    """A client that has used any of the newer ways knows what `reset` means."""
    lobby = str(rooms.lobby.pk)
    is_original = newer == ""
    cursor = {"since": {"since": 0}, "epoch": {"epoch": rooms.lobby.epoch}}
    async with connected(bob) as socket:
        client = OriginalClient(socket)
        await client.send("join", lobby, **cursor.get(newer, {}))
        assert await client.next() == {"join": lobby, "title": "Lobby"}
        if newer == "resume":
            await socket.send(command="resume", rooms={lobby: {"since": 0}})
            assert await client.next() == {"join": lobby, "title": "Lobby"}
        if newer == "watch":
            await socket.send(command="watch")
            await socket.until(lambda frame: "heads" in frame)
        await database.write(new_log, rooms.lobby)
        if is_original:
            # Its pane for the old log no longer works, so it closes first.
            assert await socket.next() == {"leave": lobby}
        joined = await socket.next()
        assert (joined["join"], joined["epoch"], joined["reset"]) == (lobby, "another", True)
        await client.send("send", lobby, message="hi")
        assert await client.next() == message_frame(lobby, "bob", "hi")


async def test_a_deleted_room_ends_with_a_leave(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = OriginalClient(socket)
        await client.send("join", lobby)
        assert await client.next() == {"join": lobby, "title": "Lobby"}
        await database.write(lambda: Room.objects.get(pk=lobby).delete())
        assert await client.next() == {"leave": lobby}


async def test_it_can_leave_a_room_that_it_may_no_longer_enter(alice, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    staff = str(rooms.staff.pk)
    async with connected(alice) as socket:
        client = OriginalClient(socket)
        await client.send("join", staff)
        assert await client.next() == {"join": staff, "title": "Staff"}
        # By plain SQL, so that the server does not close the pane.
        await database.write(lambda: User.objects.update(is_staff=False))
        await database.write(lambda: Room.objects.filter(pk=staff).update(title="Secret", title_key="secret"))
        await client.send("leave", staff)
        assert await client.next() == {"leave": staff}


@pytest.mark.parametrize("msg_type", [1, 2, 3])
async def test_it_shows_messages_posted_from_python(bob, rooms, msg_type):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = OriginalClient(socket)
        await client.send("join", lobby)
        await client.next()
        await database.write(rooms.lobby.send_message, "Backup tonight", bob, msg_type)
        assert await client.next() == message_frame(lobby, "bob", "Backup tonight", msg_type)
