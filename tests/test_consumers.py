"""One socket's life: its login, frames that are no commands, and what remains when it goes."""

import asyncio

import pytest

from chat import commands, database, hub
from tests.fakes import turns
from tests.sockets import connected, cookie_of, handshake

pytestmark = pytest.mark.django_db(transaction=True)
PING = '{"command":"ping"}'


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0


async def test_nobody_is_told_to_log_in_and_closed_with_4401():
    async with connected() as socket:
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
        assert socket.closed == 4401


async def test_a_page_of_another_user_is_told_to_log_in(bob, alice):
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


@pytest.mark.parametrize(
    ("text", "error"),
    [
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
    ],
    ids=lambda value: ascii(value[:30]),
)
async def test_a_bad_frame_is_answered_and_the_socket_lives(bob, text, error):
    async with connected(bob) as socket:
        await socket.send_text(text)
        answer = await socket.next()
        assert answer["error"] == error
        assert answer["detail"]
        assert await socket.ask(command="ping") == {"pong": True}


@pytest.mark.parametrize("data", [b"\x00\xff", PING.encode(), b""])
async def test_a_binary_frame_is_answered_and_the_socket_lives(bob, data):
    async with connected(bob) as socket:
        await socket.send_bytes(data)
        assert (await socket.next())["error"] == "JSON_INVALID"
        assert await socket.ask(command="ping") == {"pong": True}


async def test_a_fault_of_our_own_is_logged_answered_and_the_socket_lives(bob, rooms, monkeypatch, caplog):
    def fail(session, command):
        raise ZeroDivisionError

    monkeypatch.setattr(commands, "leave", fail)
    async with connected(bob) as socket:
        answer = await socket.ask(command="leave", room=rooms.lobby.pk)
        assert (answer["error"], answer["command"]) == ("SERVER_UNAVAILABLE", "leave")
        assert answer["detail"].split("frame ")[1].rstrip(").") in caplog.text
        assert await socket.ask(command="ping") == {"pong": True}


async def test_many_commands_at_once_are_answered_in_their_order(bob, rooms):
    async with connected(bob) as socket:
        for room in rooms[:2]:
            await socket.send(command="join", room=room.pk)
            await socket.send(command="leave", room=room.pk + 100)
        frames = await socket.rest()
    answers = [frame.get("join") or frame["leave"] for frame in frames if "msg_type" not in frame]
    first, second = rooms.lobby.pk, rooms.random.pk
    assert answers == [str(one) for one in (first, first + 100, second, second + 100)]


async def test_a_socket_that_goes_leaves_nothing_behind(bob, rooms):
    before = asyncio.all_tasks()
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        assert len(hub.running().sessions) == 1
    assert hub.running() is None
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()


async def test_what_comes_after_the_bye_is_not_answered(bob):
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        hub.running().drain()
        assert "bye" in await socket.next()
        await socket.send_text(PING)
        await turns(100)
        assert socket._communicator.output_queue.empty()
