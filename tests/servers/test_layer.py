"""A client of Redis without our key can read nothing, forge nothing, and stop no bell."""

import asyncio
import time

import msgpack
import pytest
from redis import Redis as Client

from tests.servers.quantities import TIMEOUT

pytestmark = pytest.mark.timeout(TIMEOUT)


async def test_messages_on_redis_can_neither_be_read_nor_forged(two_servers, redis, open_page):
    client = Client(unix_socket_path=str(redis.path))
    tap = client.pubsub()
    tap.psubscribe("*")
    bob = await open_page(two_servers[0].url, "bob", rooms=[1])
    charlie = await open_page(two_servers[1].url, "charlie", rooms=[1])
    await bob.send(1, "a secret")
    await charlie.until(lambda: charlie.logs["1"].cursor >= 1)
    received = []
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        if message := await asyncio.to_thread(tap.get_message, timeout=0.2):
            received.append(message)
    published = [message for message in received if message["type"] == "pmessage"]
    assert published, "no bell was published"
    for message in published:
        for word in (b"secret", b"bob", b"charlie", b"heads", b"room"):
            assert word not in message["data"]

    [channel] = {message["channel"] for message in published}
    forged = {"type": "bell", "heads": {}, "signals": [{"room": 1, "username": "mallory", "is_here": True}]}
    for data in (msgpack.packb(forged), b"", b"gAAAAA" + b"x" * 100, bytes(100)):
        for _ in range(50):
            client.publish(channel, data)
    start = time.monotonic()
    for number in range(20):
        await bob.send(1, f"text {number}")
    head = bob.logs["1"].cursor
    await charlie.until(lambda: charlie.logs["1"].cursor >= head)
    assert time.monotonic() - start < 5
    assert not any("mallory" in str(signal) for page in (bob, charlie) for signal in page.signals)
    for server in two_servers:
        lines = server.log.read_text()
        assert lines.count("foreign messages") == 1
        assert "does not answer" not in lines
        assert "Traceback" not in lines
    client.close()
