"""The most expensive frames of every command, as fast as the limits allow, beside a neighbour on a real server."""

import asyncio
import json
import time

import pytest

from chat.testing import sign_in
from tests.hostile_frames import TABLE, FrameContext
from tests.servers.figures import percentile, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.raw import CLOSE, PING, PONG, Peer, frame
from tests.servers.services import PASSWORD
from tests.servers.test_abuse import faults

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOM, OTHERS = "1", ["2", "3", "4", "5", "6"]
# Frames per second by command, as many as the limits allow; 30 for the others.
PER_SECOND = {"send": 10, "edit": 10, "delete": 10, "join": 10, "resume": 10, "history": 10, "watch": 1}
PING_SECONDS = 0.02
# The most CPU time of one step of the loop (tests.servers.probe); the replies of 64 rooms are one step.
STEP_SECONDS = 0.2


async def answer(peer):
    """Read all frames and answer pings, as a well-behaved client does."""
    while True:
        opcode, payload = await peer.next(60)
        if opcode in (None, CLOSE):
            return
        if opcode == PING:
            await peer.send(frame(payload, PONG))


async def pings(peer, seconds):
    """Send pings for some seconds, and return how long each answer took."""
    took = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        start = time.monotonic()
        await peer.send(frame(b'{"command":"ping"}'))
        await until_pong(peer)
        took.append(time.monotonic() - start)
        await asyncio.sleep(PING_SECONDS)
    return took


async def until_pong(peer):
    """Read until the answer, and answer the server's own pings, because it closes the connection otherwise."""
    while True:
        opcode, payload = await peer.next(20)
        assert opcode not in (None, CLOSE), f"the neighbour's connection was closed: {payload!r}"
        if opcode == PING:
            await peer.send(frame(payload, PONG))
        elif b"pong" in payload:
            return


async def attack(server, cookie, hostile, seconds):
    """Send an entry's frames for some seconds, from a new socket."""
    context = FrameContext(ROOM, OTHERS, 1)
    async with Peer(server.url, cookie) as peer:
        assert (await peer.open())[0] == 101
        await peer.send(frame(json.dumps({"command": "join", "room": ROOM}).encode()))
        reading = asyncio.ensure_future(answer(peer))
        for number in range(max(1, int(seconds * PER_SECOND.get(hostile.command, 30)))):
            if reading.done():
                break  # the server closed the socket for flooding
            await peer.send(frame(hostile.frame(context, number).encode()))
            await asyncio.sleep(1 / PER_SECOND.get(hostile.command, 30))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.skipif(not IS_FULL, reason="script/soak measures it")
async def test_the_most_expensive_frames_delay_no_neighbour(start_server):
    server = start_server(is_probed=True, environment={"LIMITS": "on"})
    server.ask("fill", 1, 500)
    cookies = [await sign_in(server.url, name, PASSWORD) for name in ("bob", "alice")]
    slow = {}
    async with Peer(server.url, cookies[1]) as neighbour:
        assert (await neighbour.open())[0] == 101
        control = await pings(neighbour, Q.hostile_seconds)
        # What the first frame of each kind loads or caches stays in memory, and is no growth.
        for hostile in TABLE:
            await attack(server, cookies[0], hostile, 0.1)
        server.largest_step()
        memory = [server.memory()]
        for hostile in TABLE:
            took, _ = await asyncio.gather(
                pings(neighbour, Q.hostile_seconds), attack(server, cookies[0], hostile, Q.hostile_seconds)
            )
            slow[hostile.name] = percentile(took, 0.99), server.largest_step()
            memory.append(server.memory())
            assert not (wrong := faults(server)), f"{hostile.name}: {wrong[:3]}"
        assert len(await pings(neighbour, 0.1)) > 0
    worst = sorted(slow, key=lambda name: -slow[name][0])[:3]
    report(
        f"hostile frames: a neighbour's ping p99 {percentile(control, 0.99) * 1000:.0f} ms without; "
        + ", ".join(f"{name}: {slow[name][0] * 1000:.0f} ms" for name in worst)
        + f"; largest step {max(step for _, step in slow.values()) * 1000:.0f} ms; "
        f"memory {memory[0] / 1e6:.0f} MB after one frame of each, {memory[-1] / 1e6:.0f} MB last"
    )
    assert max(step for _, step in slow.values()) < STEP_SECONDS
    assert memory[-1] < 1.2 * memory[0] + 8_000_000
    if IS_FULL:
        most = max(0.02, 2 * percentile(control, 0.99))
        assert {name: p99 for name, (p99, _) in slow.items() if p99 > most} == {}
