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
        return self._show(await self._socket.next())

    def show_all(self, frames):
        """Return what it shows of these frames. Like the original, it passes over those without a type."""
        known = ("error", "join", "leave", "msg_type")
        return [self._show(frame) for frame in frames if any(key in frame for key in known)]

    @staticmethod
    def _show(frame):
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


async def test_it_passes_over_all_events_that_the_original_did_not_have(alice, bob, rooms, settings):
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False
    lobby, random, across = str(rooms.lobby.pk), str(rooms.random.pk), str(uuid.uuid4())
    async with connected(bob) as socket, connected(alice) as alices:
        client = OriginalClient(socket)
        for room, title in ((lobby, "Lobby"), (random, "Random")):
            await client.send("join", room)
            assert await client.next() == {"join": room, "title": title}
            await alices.ask(command="join", room=room)

        async def command(name, room=lobby, **fields):
            await alices.send(command=name, room=room, client_id=str(uuid.uuid4()), **fields)
            assert [frame for frame in await alices.rest() if "error" in frame] == []

        await command("send", message="hello")
        await command("send", message="disk full", msg_type=2)
        await alices.send(command="typing", room=lobby)
        await command("react", seq=1, emoji="👍")
        await command("react", seq=1, emoji="👍", on=False)
        await command("confirm", seq=2)
        await command("resolve", seq=2)
        await command("send", message="see there", source={"room": lobby, "seq": 1})
        await command("send", message="so do I", reply_to=1)
        for room in (lobby, random):
            await command("send", room, message="to both", across=across)
        await command("edit", seq=1, message="hello all")
        await command("delete", seq=1)
        ends = set()
        for room in (lobby, random):
            await command("send", room, message="the end")
        frames = await socket.until(
            lambda frame: frame.get("message") == "the end" and ends.add(frame["room"]) is None and len(ends) == 2
        )
        for key in ("typing", "reacted", "confirmed", "resolved", "source", "reply_to", "across", "edited"):
            assert any(key in frame for frame in frames), (key, frames)
        shown = client.show_all(frames)
        assert [frame for frame in shown if frame["room"] == lobby] == [
            message_frame(lobby, "alice", "hello"),
            message_frame(lobby, "alice", "disk full", 2),
            message_frame(lobby, "alice", "see there"),
            message_frame(lobby, "alice", "so do I"),
            message_frame(lobby, "alice", "to both"),
            message_frame(lobby, "alice", "the end"),
        ]
        copies = [message_frame(random, "alice", text) for text in ("to both", "the end")]
        assert [frame for frame in shown if frame["room"] != lobby] == copies
        # It goes on, also with a log that has such events.
        await client.send("send", lobby, message="hi")
        assert await client.next() == message_frame(lobby, "bob", "hi")
        await client.send("leave", lobby)
        assert await client.next() == {"leave": lobby}
        await client.send("join", lobby)
        assert await client.next() == {"join": lobby, "title": "Lobby"}
        await client.send("send", lobby, message="back")
        assert await client.next() == message_frame(lobby, "bob", "back")
