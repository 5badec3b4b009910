"""A structured fuzzer on real sockets: no traceback, no closed socket, memory that does not grow."""

import asyncio
import json
import random
import time

import pytest

from chat.testing import sign_in
from tests.servers.figures import report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.raw import BINARY, PING, PONG, TEXT, Peer, frame
from tests.servers.services import PASSWORD
from tests.servers.test_abuse import faults

pytestmark = pytest.mark.timeout(TIMEOUT)

COMMANDS = [
    "join",
    "leave",
    "send",
    "edit",
    "delete",
    "resume",
    "history",
    "ping",
    "read",
    "typing",
    "",
    "JOIN",
    "ſend",
]
ROOMS = [
    "1",
    "2",
    1,
    0,
    -1,
    2**63 - 1,
    2**63,
    10**30,
    "١",
    "1 ",
    "0x1",
    "abc",
    "",
    None,
    True,
    1.0,
    1e308,
    [],
    {},
    "9" * 5000,
]
TEXTS = [
    "hi",
    "",
    " ",
    "\x00",
    "\u202e\u2066",
    "é" * 2000,
    "👩‍👩‍👧‍👦" * 300,
    "a\u0301" * 4001,
    "<script>alert(1)</script>",
    "x" * 33_000,
    "\ufeff",
    "\x1b[2J",
    "' OR 1=1 --",
    "{{ 7*7 }}",
]
IDS = ["0f8e9f6e-3c1f-4d31-9d2e-000000000001", "", "x", None, 7, "0F8E9F6E3C1F4D319D2E000000000001", "{" + "0" * 36]
NUMBERS = [0, 1, -1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**40, 1.5, "1", None, True, [1], {"a": 1}]
SPELLINGS = [
    "[" * 5000,
    '{"command":"join","room":' + "[" * 5000,
    '{"command":"send","room":"1","message":"\\ud800"}',
    '{"command":"send","room":"1","message":"\\udc00\\ud800","client_id":"x"}',
    '{"command":"ping","command":"join"}',
    '{"command":"history","room":"1","limit":NaN}',
    '{"command":"history","room":"1","limit":' + "9" * 5000 + "}",
    '{"command":"history","room":"1","limit":1e999}',
    '"' * 1000,
    '{"command":"\\u006aoin","room":"1"}',
    "null",
    "\ufeff{}",
    '{"command":"resume","rooms":{' + ",".join(f'"{n}":{{"since":0}}' for n in range(200)) + "}}",
]


def fields(chance):
    """Return a command whose fields are valid, invalid, missing or unknown."""
    command = {"command": chance.choice(COMMANDS)}
    for name, values in {
        "room": ROOMS,
        "message": TEXTS + NUMBERS,
        "client_id": IDS,
        "msg_type": NUMBERS,
        "seq": NUMBERS,
        "since": NUMBERS,
        "epoch": TEXTS + NUMBERS,
        "before": NUMBERS,
        "limit": NUMBERS,
    }.items():
        if chance.random() < 0.5:
            command[name] = chance.choice(values)
    if chance.random() < 0.2:
        cursors = [{"since": chance.choice(NUMBERS), "epoch": chance.choice(TEXTS)}, chance.choice(NUMBERS), {}]
        command["rooms"] = {str(chance.choice(ROOMS)): chance.choice(cursors) for _ in range(chance.randrange(6))}
    if chance.random() < 0.1:
        command[chance.choice(TEXTS)[:50]] = command
        del command[next(reversed(command))]
    return command


def hostile(chance):
    """Return one frame that no page would send; it must not close its socket."""
    kind = chance.random()
    if kind < 0.55:
        return frame(json.dumps(fields(chance), ensure_ascii=chance.random() < 0.5).encode())
    if kind < 0.75:
        text = bytearray(json.dumps(fields(chance)).encode())
        for _ in range(chance.randrange(1, 6)):
            text[chance.randrange(len(text))] = chance.randrange(32, 127)
        return frame(bytes(text))
    if kind < 0.85:
        return frame(chance.choice(SPELLINGS).encode("utf-8", "surrogatepass"))
    if kind < 0.9:
        return frame(chance.randbytes(chance.randrange(200)), BINARY)
    if kind < 0.95:
        text = json.dumps(fields(chance)).encode()
        cut = chance.randrange(len(text))
        return frame(text[:cut], fin=False) + frame(b"", PING) + frame(text[cut:], 0)
    return frame("".join(chr(chance.choice([chance.randrange(0xD800), 0x1F600])) for _ in range(20)).encode())


# No hostile frame names this room, so its refusal shows that all frames before it were answered.
LAST = b'{"command":"join","room":"777777"}'


async def send_and_settle(peer, frames=b""):
    """Send frames, and wait until all of them are answered, which shows that the socket is open."""
    # Read while sending. Otherwise the answers would fill the connection, and the server would close it as stuck.
    sending = asyncio.ensure_future(peer.send(frames + frame(LAST)))
    while True:
        opcode, payload = await peer.next(20)
        assert opcode is not None and opcode != 8, f"closed: {payload!r}"
        if opcode == PING:
            await peer.send(frame(payload, PONG))
        if opcode == TEXT and b'"room":"777777"' in payload:
            return await sending


async def test_hostile_frames_close_no_socket_and_leave_no_traceback(start_server, database_url):
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    server = start_server(database_url=database_url)
    cookies = [await sign_in(server.url, name, PASSWORD) for name in ("bob", "alice")]
    memory = []
    start = time.monotonic()
    async with Peer(server.url, cookies[0]) as peer, Peer(server.url, cookies[1]) as neighbour:
        assert [(await socket.open())[0] for socket in (peer, neighbour)] == [101, 101]
        await neighbour.send(frame(b'{"command":"join","room":"1"}'))
        for _ in range(10):
            for _ in range(Q.hostile_frames // 1000):
                await send_and_settle(peer, b"".join(hostile(chance) for _ in range(100)))
                await send_and_settle(neighbour)
            memory.append(server.memory())
            assert not (wrong := faults(server)), f"seed {seed}: {wrong[:3]}"
    report(
        f"fuzzing (seed {seed}): {Q.hostile_frames} hostile frames in {time.monotonic() - start:.0f} s, no traceback, "
        f"no socket closed; memory {memory[1] / 1e6:.1f} MB after a fifth, {memory[-1] / 1e6:.1f} MB at the end"
    )
    assert memory[-1] < 1.1 * memory[1] + 8_000_000
