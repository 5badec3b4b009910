"""The life of one socket: its login, invalid frames, and the clean-up when it closes."""

import asyncio
import uuid

import pytest

from chat import limits
from chat.live import commands, database, hub
from chat.models import Event
from tests.fakes import translate, turns, until
from tests.sockets import Socket, connected, cookie_of, handshake

pytestmark = pytest.mark.django_db(transaction=True)
PING = '{"command":"ping"}'
NOT_ALLOWED = [
    "You can edit only your own messages.",
    "This message does not exist. It may have been deleted.",
    "This room is for staff only. Ask an administrator for access.",
]


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0


@pytest.mark.parametrize("text", [PING, '{"command":"join","room":"1"}', "hello", "x" * (64 * 1024 + 1)])
async def test_a_socket_without_a_session_gets_an_error_for_its_first_command_and_is_closed(text):
    async with connected() as socket:
        await socket.send_text(text)
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
        assert socket.closed == 4401


async def test_a_silent_socket_without_a_session_is_closed_without_a_frame(settings):
    settings.UNAUTHENTICATED_SECONDS = 0
    async with connected() as socket:
        assert await socket.next() is None
        assert socket.closed == 4401


async def test_sockets_without_a_session_are_limited_per_address_and_users_still_connect(bob, settings):
    settings.LIMITS = {"UNAUTHENTICATED_PER_ADDRESS": 1}
    sockets = []
    for host in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"):
        cookie = await database.write(cookie_of, bob) if len(sockets) == 3 else ""
        communicator = handshake(cookie=cookie)
        communicator.scope["client"] = (host, 5)
        assert (await communicator.connect(5))[0]
        sockets.append(Socket(communicator))
    first, second, elsewhere, user = sockets
    # The second socket gets no error frame, because the original client would show it to a user who did nothing.
    assert (await second.next(), second.closed) == (None, 4401)
    assert await user.ask(command="ping") == {"pong": True}
    for waiting in (first, elsewhere):
        assert await waiting.ask(command="ping") == {"error": "USER_HAS_TO_LOGIN"}
    for socket in sockets:
        await socket.end()
    assert limits.unauthenticated_of_address.acquire("192.0.2.1")
    await database.close()


async def test_a_socket_for_another_user_than_the_sessions_must_log_in(bob, alice):
    for query, is_let_in in [(f"?user={bob.pk}", True), (f"?user={alice.pk}", False), ("?user=x", False)]:
        cookie = await database.write(cookie_of, bob)
        communicator = handshake(f"/chat/stream/{query}", cookie=cookie)
        assert (await communicator.connect())[0]
        await communicator.send_input({"type": "websocket.receive", "text": PING})
        answer = await communicator.receive_output(5)
        assert ("pong" in answer["text"]) is is_let_in
        if not is_let_in:
            assert (await communicator.receive_output(5))["code"] == 4401
        await communicator.disconnect()
        await database.close()


BAD_FRAMES = [
    ("hello", "JSON_INVALID"),
    ("", "JSON_INVALID"),
    ("[" * 60_000, "JSON_INVALID"),
    ('{"command":"join","room":' + "[" * 60_000, "JSON_INVALID"),
    ('{"command":"send","room":"1","message":"\\ud800"}', "JSON_INVALID"),
    ('{"command":"dance"}', "COMMAND_INVALID"),
    ("[]", "COMMAND_INVALID"),
    ('{"command":"join"}', "ROOM_INVALID"),
    ("x" * (64 * 1024 + 1), "MESSAGE_TOO_LONG"),
    ("é" * (32 * 1024 + 1), "MESSAGE_TOO_LONG"),
]


async def test_a_bad_frame_is_answered_and_the_socket_stays_open(bob):
    async with connected(bob) as socket:
        for text, error in BAD_FRAMES:
            await socket.send_text(text)
            answer = await socket.next()
            assert answer["error"] == error, text[:30]
            assert answer["detail"]
            assert await socket.ask(command="ping") == {"pong": True}
        # Binary frames, of any content.
        for data in (b"\x00\xff", PING.encode(), b""):
            await socket.send_bytes(data)
            assert (await socket.next())["error"] == "JSON_INVALID", data
            assert await socket.ask(command="ping") == {"pong": True}


async def test_an_internal_error_is_logged_and_answered_and_the_socket_stays_open(bob, rooms, monkeypatch, caplog):
    def fail(session, command):
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "leave", fail)
    async with connected(bob) as socket:
        answer = await socket.ask(command="leave", room=rooms.lobby.pk)
        assert (answer["error"], answer["command"]) == ("SERVER_UNAVAILABLE", "leave")
        assert answer["detail"].split("frame ")[1].rstrip(").") in caplog.text
        assert await socket.ask(command="ping") == {"pong": True}


async def test_refusals_are_in_the_language_of_each_page_whichever_task_answers(alice, bob, rooms, monkeypatch):
    """The writer's task, and that of read positions, belong to no socket."""
    sentences = {
        "You can edit only your own messages.": "Nur eigene.",
        "This room is for staff only. Ask an administrator for access.": "Nur Mitarbeitende.",
        "This message does not exist. It may have been deleted.": "Gibt es nicht.",
    }
    translate(monkeypatch, "de", sentences)
    await database.write(rooms.lobby.send_message, "hers", alice)
    path = "/chat/stream/?language="
    async with connected(bob, path + "de") as german, connected(bob, path + "xx") as other:
        for socket, is_translated in ((german, True), (other, False), (german, True)):
            await socket.ask(command="join", room=rooms.lobby.pk)
            await socket.rest()
            answers = [
                await socket.ask(command="edit", room=rooms.lobby.pk, seq=1, message="his"),
                await socket.ask(command="edit", room=rooms.lobby.pk, seq=9, message="his"),
                await socket.ask(command="join", room=rooms.staff.pk),
            ]
            # Refused after the command, together with those of other sockets.
            await socket.send(command="level", room=rooms.staff.pk, level="quiet")
            answers.append((await socket.until(lambda frame: "detail" in frame))[-1])
            details = [answer["detail"] for answer in answers]
            expected = [sentences[detail] if is_translated else detail for detail in NOT_ALLOWED]
            assert details == [*expected, expected[-1]]


async def test_a_flood_is_logged_in_english(bob, settings, monkeypatch, caplog):
    settings.LIMITS = {"SOCKETS_PER_USER": 1}
    translate(monkeypatch, "de", {"You have too many pages open. Close some.": "Zu viele Seiten."})
    async with connected(bob), connected(bob, "/chat/stream/?language=de") as second:
        with caplog.at_level("INFO"):
            assert (await second.next())["detail"] == "Zu viele Seiten."
    assert "You have too many pages open. Close some." in caplog.text and "Zu viele" not in caplog.text


async def test_many_commands_at_once_are_answered_in_their_order(bob, rooms):
    async with connected(bob) as socket:
        for room in rooms[:2]:
            await socket.send(command="join", room=room.pk)
            await socket.send(command="leave", room=room.pk + 100)
        frames = await socket.rest()
    answers = [frame.get("join") or frame["leave"] for frame in frames if "msg_type" not in frame]
    first, second = rooms.lobby.pk, rooms.random.pk
    assert answers == [str(room) for room in (first, first + 100, second, second + 100)]


async def test_a_closed_socket_leaves_no_session_and_no_task_behind(bob, rooms):
    before = asyncio.all_tasks()
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        assert len(hub.running().sessions) == 1
    assert hub.running() is None
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_commands_after_the_bye_are_not_answered(bob):
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        hub.running().drain()
        assert "bye" in await socket.next()
        await socket.send_text(PING)
        await turns(100)
        assert socket._communicator.output_queue.empty()


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_copy_whose_room_is_read_while_the_server_drains_or_the_socket_goes_is_not_written(
    bob, rooms, monkeypatch, is_gone
):
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running()
        [session] = running.sessions
        read = running.rooms.get

        async def read_slowly(key):
            room = await read(key)
            if is_gone:
                session.end()
            else:
                running.drain()
            return room

        monkeypatch.setattr(running.rooms, "get", read_slowly)
        copy = {"client_id": str(uuid.uuid4()), "across": str(uuid.uuid4())}
        await socket.send(command="send", room=str(rooms.lobby.pk), message="hi", **copy)
        await until(lambda: session.is_gone if is_gone else running.is_draining)
        await turns(100)
        assert session.unacknowledged == 0
    assert await database.read(Event.objects.count) == 0
