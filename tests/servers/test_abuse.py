"""Peers that break the rules of WebSocket: each harms only itself."""

import asyncio
import json
import time
import zlib

import pytest

from chat.testing import sign_in
from tests.servers.figures import percentile, report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.raw import BINARY, CLOSE, PING, PONG, TEXT, Peer, frame
from tests.servers.services import PASSWORD, Server, directory

pytestmark = pytest.mark.timeout(TIMEOUT)

ASK = b'{"command":"ping"}'
DEFLATED = zlib.compressobj(wbits=-15).compress(b"x" * 1_000_000)


# Frames that end the socket, each with its close code. RFC 6455 5.1-5.5, 7.4, 8.1.
BROKEN = {
    "not masked": (frame(ASK, masked=False), 1002),
    "first reserved bit": (frame(ASK, reserved=4), 1002),
    "second reserved bit": (frame(ASK, reserved=2), 1002),
    "third reserved bit": (frame(ASK, reserved=1), 1002),
    "compressed without negotiation": (frame(DEFLATED, reserved=4), 1002),
    **{f"opcode {opcode}": (frame(ASK, opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": (frame(ASK, 0), 1002),
    "text inside fragments": (frame(b"{", fin=False) + frame(ASK), 1002),
    "binary inside fragments": (frame(b"{", fin=False) + frame(b"x", BINARY), 1002),
    "ping in fragments": (frame(b"", PING, fin=False), 1002),
    "close in fragments": (frame(b"", CLOSE, fin=False), 1002),
    "ping above 125 bytes": (frame(b"x" * 126, PING), 1002),
    "close above 125 bytes": (frame(b"\x03\xe8" + b"x" * 124, CLOSE), 1002),
    "close with one byte": (frame(b"\x03", CLOSE), 1002),
    "close with code 0": (frame(b"\x00\x00", CLOSE), 1002),
    "close with code 1005": (frame(b"\x03\xed", CLOSE), 1002),
    "close with code 65535": (frame(b"\xff\xff", CLOSE), 1002),
    "close with a reason that is not UTF-8": (frame(b"\x03\xe8\xff", CLOSE), 1007),
    "text that is not UTF-8": (frame(b"\xc3\x28"), 1007),
    "text with a UTF-8 surrogate": (frame(b"\xed\xa0\x80"), 1007),
    "text with an overlong NUL": (frame(b"\xc0\x80"), 1007),
    "text cut inside a character": (frame(b"\xe2\x82"), 1007),
    "fragments that are not UTF-8 together": (frame(b"\xe2", fin=False) + frame(b"\x28\xa1", 0), 1007),
    "above 1 MiB": (frame(b"x" * (2**20 + 1)), 1009),
    "claims a length of 2**63": (frame(b"x", length=2**63 - 1), 1009),
    "claims a length of 2**64": (frame(b"x", length=2**64 - 1), 1009),
    "fragments above 1 MiB": (frame(b"x" * 2**19, fin=False) + frame(b"x" * 2**19, 0, fin=False) * 2, 1009),
    "endless empty fragments": (frame(b"{", fin=False) + frame(b"", 0, fin=False) * 20_000, 4429),
    "endless small fragments": (frame(b"{", fin=False) + frame(b"x", 0, fin=False) * 20_000, 4429),
    "endless pings": (frame(b"x" * 125, PING) * 5000, 4429),
    "a close, and frames after it": (frame(b"\x03\xe8", CLOSE) + frame(ASK) * 100, 1000),
}
# Frames after which the socket still answers.
TOLERATED = {
    "a binary frame": frame(ASK, BINARY),
    "an empty text": frame(b""),
    "a command in fragments": frame(ASK[:5], fin=False) + frame(ASK[5:-3], 0, fin=False) + frame(ASK[-3:], 0),
    "a ping between fragments": frame(ASK[:5], fin=False) + frame(b"", PING) + frame(ASK[5:], 0),
    "an unsolicited pong": frame(b"x" * 125, PONG),
    "a text above 64 KiB": frame(b"x" * (64 * 1024 + 1)),
    "60,000 brackets": frame(b"[" * 60_000),
    "a NUL": frame(b"\x00"),
    "a byte order mark": frame(b"\xef\xbb\xbf" + ASK),
}
# Handshakes that are refused, each with the status of the answer.
REFUSED = {
    "no key": ({"without": ["Sec-WebSocket-Key"]}, 400),
    "a key that is too short": ({"Sec_WebSocket_Key": "YWJj"}, 400),
    "version 8": ({"Sec_WebSocket_Version": "8"}, 400),
    "no Origin": ({"without": ["Origin"]}, 403),
    "Origin null": ({"Origin": "null"}, 403),
    "another origin": ({"Origin": "https://evil.example"}, 403),
    "another port": ({"Origin": "http://127.0.0.1:1"}, 403),
    "another path": ({"path": "/chat/streams/"}, 403),
    "a very long header line": ({"Cookie": "a=" + "x" * 100_000}, 400),
}


@pytest.fixture(scope="module")
def shared_server(postgres):
    """One server with its default limits, for tests that use up none of them."""
    with directory("state") as state:
        url = postgres.create("abuse", template="template")
        server = Server(state, database_url=url, environment={"LIMITS": "on"})
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
async def shared(shared_server):
    """The shared server, and the cookies of two users who are signed in."""
    return await sign_users_in(shared_server)


@pytest.fixture
async def limited(start_server, database_url):
    """A new server with its default limits, and the cookies of two users who are signed in."""
    server = start_server(database_url=database_url, environment={"LIMITS": "on"})
    return await sign_users_in(server)


async def sign_users_in(server):
    server.cookie = await sign_in(server.url, "bob", PASSWORD)
    server.other = await sign_in(server.url, "alice", PASSWORD)
    return server


async def echo(peer, count=1):
    """Send pings, and return the seconds that each answer took."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        await peer.send(frame(ASK))
        while True:
            opcode, payload = await peer.next()
            assert opcode in (TEXT, PING, PONG), (opcode, payload)
            if payload == b'{"pong":true}':
                break
        took.append(time.perf_counter() - start)
        await asyncio.sleep(0.025)  # 40 a second: below the rate limit of commands
    return took


def faults(server):
    """Return the lines of the server's log that report a fault; there should be none."""
    lines = server.log.read_text().splitlines()
    return [line for line in lines if "Traceback" in line or "Error" in line or " ERROR " in line]


async def test_each_broken_rule_ends_its_own_socket_and_no_other(shared):
    wrong = {}
    async with Peer(shared.url, shared.other) as neighbour:
        assert (await neighbour.open())[0] == 101
        for name, (data, code) in BROKEN.items():
            async with Peer(shared.url, shared.cookie) as peer:
                assert (await peer.open())[0] == 101
                await peer.send(data)
                try:
                    got = await peer.until_closed()
                except TimeoutError:
                    got = "left open"
                if got != code:
                    wrong[name] = got
            await echo(neighbour)
        for name, data in TOLERATED.items():
            async with Peer(shared.url, shared.cookie) as peer:
                assert (await peer.open())[0] == 101
                await peer.send(data)
                try:
                    await echo(peer)
                except AssertionError as error:
                    wrong[name] = error
            await echo(neighbour)
        for name, (changed, status) in REFUSED.items():
            async with Peer(shared.url, shared.cookie) as peer:
                got, _ = await peer.open(**changed)
                if got != status:
                    wrong[name] = got
            await echo(neighbour)
    assert wrong == {}
    assert faults(shared) == []
    assert "evil.example" in shared.log.read_text(), "a refused handshake is in the security log"
    report(f"WebSocket abuse: {len(BROKEN) + len(TOLERATED) + len(REFUSED)} cases, no neighbour hurt, no traceback")


async def test_no_compression_is_agreed_on(shared):
    for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits", "x-webkit-deflate-frame"):
        async with Peer(shared.url, shared.cookie) as peer:
            status, head = await peer.open(Sec_WebSocket_Extensions=offer)
            assert status == 101
            assert b"extensions" not in head.lower()


async def test_a_connection_that_never_ends_its_handshake_or_request_is_cut(start_server, database_url):
    server = start_server(database_url=database_url, environment={"LIMITS": "on", "LIMIT_HANDSHAKE_SECONDS": "1"})
    beginnings = [b"", b"G", b"GET /chat/stream/ HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: "]

    async def begin_and_wait(beginning):
        async with Peer(server.url) as peer:
            await peer.send(beginning)
            assert (await peer.head(5))[0] in (0, 400, 408)
            # The server closes the connection after its answer.
            await asyncio.wait_for(peer.reader.read(), 1)

    async def drip():
        """Send a header line ten times a second, and return after how many seconds the server ended the connection."""
        async with Peer(server.url) as peer:
            start = time.monotonic()
            await peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            ending = asyncio.ensure_future(peer.reader.read())
            while not ending.done():
                await peer.send(b"X: y\r\n")
                await asyncio.wait([ending], timeout=0.1)
            # A line that comes too late may reset the connection, before or after the answer is read.
            assert ending.exception() or ending.result()[:12] in (b"", b"HTTP/1.1 408")
            return time.monotonic() - start

    async with asyncio.timeout(10):
        *_, dripped = await asyncio.gather(*map(begin_and_wait, beginnings), drip())
    assert dripped < 3


async def test_smuggled_headers_change_nothing(shared):
    """Forwarded headers of a peer that is not a trusted proxy, and header names with underscores."""
    for more in (["X-Forwarded-For: 203.0.113.9"], ["X_Forwarded_For: 203.0.113.9"], ["Forwarded: for=203.0.113.9"]):
        async with Peer(shared.url, shared.cookie) as peer:
            assert (await peer.open(*more, Origin="https://evil.example"))[0] == 403
    assert "203.0.113.9" not in shared.log.read_text()


async def test_half_frames_idle_and_unauthenticated_sockets_cost_little_and_slow_no_neighbour(limited):
    """Connections that send nothing, half a request or half a frame, or have no session; a flood; and a neighbour."""
    async with Peer(limited.url, limited.other) as neighbour:
        assert (await neighbour.open())[0] == 101
        await echo(neighbour, 20)
        before = await echo(neighbour, 60)
        memory = limited.memory()
        peers = [Peer(limited.url) for _ in range(Q.idle_sockets)]
        try:
            for start in range(0, len(peers), 50):
                # Below the rate limit of handshakes per address.
                await asyncio.gather(*(peer.__aenter__() for peer in peers[start : start + 50]))
            for peer in peers[:200]:
                await peer.send(peer.request())
                assert (await peer.head())[0] in (101, 429)
            for peer in peers[220:620]:
                await peer.send(b"GET /chat/stream/ HTTP/1.1\r\nHost: ")
            for peer in peers[200:220]:
                peer.cookie = limited.cookie
                await asyncio.sleep(0.02)
                assert (await peer.open())[0] in (101, 429)
                await peer.send(frame(b"x" * 1000, length=100_000))
            during = await echo(neighbour, 60)
            grown = limited.memory() - memory
        finally:
            for peer in peers:
                peer.writer.transport.abort()
        flood = asyncio.ensure_future(flooding(limited))
        flooded = await echo(neighbour, 60)
        floods = await flood
        report(
            f"idle, half and unauthenticated connections: {len(peers)}; server grew by {grown / 1e6:.1f} MB;"
            f" a neighbour's echo p50 "
            f"{percentile(before, 0.5) * 1e3:.2f} ms before, {percentile(during, 0.5) * 1e3:.2f} beside them, "
            f"{percentile(flooded, 0.5) * 1e3:.2f} beside floods ({floods} closed with 4429)"
        )
    assert floods > 0
    assert grown < 40_000_000
    assert percentile(during, 0.5) < 1.5 * percentile(before, 0.5) + 0.002
    assert percentile(flooded, 0.5) < 2 * percentile(before, 0.5) + 0.005
    assert faults(limited) == []


async def flooding(server):
    """Flood the server, and reconnect whenever it closes; return how often it closed."""
    closed = 0
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        async with Peer(server.url, server.cookie) as peer:
            if (await peer.open())[0] == 101:
                await peer.send(frame(ASK) * 1000)
                closed += await peer.until_closed() == 4429
        await asyncio.sleep(0.05)
    return closed


async def test_handshakes_of_one_address_are_limited(limited):
    statuses = []
    for _ in range(330):
        async with Peer(limited.url) as peer:
            status, head = await peer.open()
            statuses.append(status)
            if status == 429:
                assert b"retry-after:" in head.lower()
    assert statuses[0] == 101
    lines = [json.loads(line) for line in limited.log.read_text().splitlines() if line.startswith("{")]
    if 429 in statuses:
        assert any(line.get("reason") == "handshakes" for line in lines)
