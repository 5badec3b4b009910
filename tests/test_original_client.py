"""A client that knows only the shapes of the original multichat still works: what it reads of each frame is exact."""

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


class Original:
    """Reads frames as the original's page did, key by key, and nothing else of them."""

    def __init__(self, socket):
        self._socket = socket

    async def send(self, command, room, **message):
        await self._socket.send(command=command, room=room, **message)

    async def reads(self):
        frame = await self._socket.next()
        if "error" in frame:
            return {"error": frame["error"]}
        if "join" in frame:
            return {"join": frame["join"], "title": frame["title"]}
        if "leave" in frame:
            return {"leave": frame["leave"]}
        return {key: frame[key] for key in ("room", "username", "message", "msg_type")}


def said(room, username, message, msg_type=0):
    return {"room": room, "username": username, "message": message, "msg_type": msg_type}


async def test_two_join_two_rooms_talk_and_leave(bob, charlie, rooms):
    lobby, random = str(rooms.lobby.pk), str(rooms.random.pk)
    async with connected(bob) as bobs, connected(charlie) as charlies:
        bobs, charlies = Original(bobs), Original(charlies)
        await bobs.send("join", lobby)
        assert await bobs.reads() == {"join": lobby, "title": "Lobby"}
        await bobs.send("join", random)
        assert await bobs.reads() == {"join": random, "title": "Random"}
        # Room ids of either type are the same room.
        await charlies.send("join", rooms.lobby.pk)
        assert await charlies.reads() == {"join": lobby, "title": "Lobby"}
        # Others are told who entered, the one who enters is not.
        assert await bobs.reads() == said(lobby, "charlie", None, 4)

        await bobs.send("send", lobby, message="hi")
        assert await bobs.reads() == said(lobby, "bob", "hi")
        assert await charlies.reads() == said(lobby, "bob", "hi")
        await charlies.send("send", rooms.lobby.pk, message="<b>hello</b>")
        assert await bobs.reads() == said(lobby, "charlie", "<b>hello</b>")
        assert await charlies.reads() == said(lobby, "charlie", "<b>hello</b>")
        await bobs.send("send", random, message="alone")
        assert await bobs.reads() == said(random, "bob", "alone")

        # The one who leaves gets their own LEAVE before the pane closes; the others get it too.
        await bobs.send("leave", lobby)
        assert await bobs.reads() == said(lobby, "bob", None, 5)
        assert await bobs.reads() == {"leave": lobby}
        assert await charlies.reads() == said(lobby, "bob", None, 5)
        await bobs.send("send", random, message="still here")
        assert await bobs.reads() == said(random, "bob", "still here")


async def test_without_notices_nobody_is_told_who_comes_and_goes(bob, charlie, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as bobs, connected(charlie) as charlies:
        bobs, charlies = Original(bobs), Original(charlies)
        for client in (bobs, charlies):
            await client.send("join", lobby)
            assert await client.reads() == {"join": lobby, "title": "Lobby"}
        await charlies.send("leave", lobby)
        assert await charlies.reads() == {"leave": lobby}
        await bobs.send("send", lobby, message="hi")
        assert await bobs.reads() == said(lobby, "bob", "hi")


async def test_each_of_its_errors(bob, rooms):
    async with connected(bob) as socket:
        client = Original(socket)
        await client.send("join", "999")
        assert await client.reads() == {"error": "ROOM_INVALID"}
        await client.send("join", str(rooms.staff.pk))
        assert await client.reads() == {"error": "ROOM_ACCESS_DENIED"}
        await client.send("send", str(rooms.lobby.pk), message="not joined")
        assert await client.reads() == {"error": "ROOM_ACCESS_DENIED"}
    async with connected() as socket:
        client = Original(socket)
        await client.send("join", str(rooms.lobby.pk))
        assert await client.reads() == {"error": "USER_HAS_TO_LOGIN"}


async def test_without_a_session_it_is_told_nothing_until_its_user_clicks(settings):
    # It shows each error in a modal dialog, and comes back for ever.
    settings.UNAUTHENTICATED_SECONDS = 0
    for _ in range(3):
        async with connected() as socket:
            assert await socket.next() is None
            assert socket.closed == 4401


@pytest.mark.parametrize("text", ["", "  ", "\n"])
async def test_an_empty_message_is_ignored(bob, rooms, text):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = Original(socket)
        await client.send("join", lobby)
        await client.reads()
        await client.send("send", lobby, message=text)
        await client.send("send", lobby, message="hi")
        assert await client.reads() == said(lobby, "bob", "hi")


async def test_an_empty_message_is_refused_once_a_client_has_given_a_client_id(bob, rooms):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        await socket.send(command="send", room=lobby, message="hi", client_id=str(uuid.uuid4()))
        await socket.until(lambda frame: "ack" in frame)
        await socket.rest()
        assert (await socket.ask(command="send", room=lobby, message=" "))["error"] == "MESSAGE_EMPTY"


def new_log(room):
    Room.objects.filter(pk=room.pk).update(epoch="another")


@pytest.mark.parametrize("is_original", [True, False])
async def test_a_room_with_a_new_log_is_shown_once(bob, rooms, is_original):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = Original(socket)
        await client.send("join", lobby)
        assert await client.reads() == {"join": lobby, "title": "Lobby"}
        if not is_original:
            await socket.send(command="resume", rooms={lobby: {"since": 0}})
            assert await client.reads() == {"join": lobby, "title": "Lobby"}
        await database.write(new_log, rooms.lobby)
        if is_original:
            # Its pane for the old log is dead: it goes first.
            assert await socket.next() == {"leave": lobby}
        joined = await socket.next()
        assert (joined["join"], joined["epoch"], joined["reset"]) == (lobby, "another", True)
        await client.send("send", lobby, message="hi")
        assert await client.reads() == said(lobby, "bob", "hi")


async def test_it_leaves_a_room_whose_right_is_gone(alice, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    staff = str(rooms.staff.pk)
    async with connected(alice) as socket:
        client = Original(socket)
        await client.send("join", staff)
        assert await client.reads() == {"join": staff, "title": "Staff"}
        # Behind Django's back, so that nothing closes the pane by itself.
        await database.write(lambda: User.objects.update(is_staff=False))
        await database.write(lambda: Room.objects.filter(pk=staff).update(title="Secret", title_key="secret"))
        await client.send("leave", staff)
        assert await client.reads() == {"leave": staff}


@pytest.mark.parametrize("msg_type", [1, 2, 3])
async def test_it_shows_what_python_posts(bob, rooms, msg_type):
    lobby = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        client = Original(socket)
        await client.send("join", lobby)
        await client.reads()
        await database.write(rooms.lobby.send_message, "Backup tonight", bob, msg_type)
        assert await client.reads() == said(lobby, "bob", "Backup tonight", msg_type)
