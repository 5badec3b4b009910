"""A client that never reads delays no other client and costs little; the server closes it, and it catches up later."""

import asyncio
import time

import pytest

from chat.testing import check
from tests.servers.conftest import recorded
from tests.servers.figures import in_ms, percentile, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.services import wait_for

pytestmark = pytest.mark.timeout(TIMEOUT)

FLOOD, PROBE = 1, 2
LEFT = 5
# The frames of the measurements without the slow client.
SOME_FRAMES = min(Q.unread_frames, 20_000) if IS_FULL else 100
# Messages of 15,000 bytes that fill the buffers of a socket many times (SEND_BUFFER_BYTES of multichat.server).
FILLING = 60


async def flood(page, count, size=Q.unread_bytes, *, room=FLOOD):
    """Post messages of so many bytes, at most 15,000, and return when all are acknowledged."""
    # With four bytes in each character, few messages fill the buffers.
    text = "\U0001f600" * (size // 4)
    for start in range(0, count, 500):
        for number in range(start, min(start + 500, count)):
            page.send(room, f"{number} {text}")
        await page.until_sent(TIMEOUT)
    assert page.errors == []


async def probe(page, reader, until):
    """Post short messages, and return how long each took until the reader had it."""
    took = []
    while not until.done():
        sent = page.sent[-1:]
        start = time.monotonic()
        seq = await page.send(PROBE, f"probe {len(took)}")
        await reader.until(lambda seq=seq: reader.logs[str(PROBE)].cursor >= seq, 10)
        took.append(time.monotonic() - start)
        assert page.sent[-1:] != sent
        await asyncio.sleep(0.01)
    return took


async def measure(alice, bob, reader, frames=SOME_FRAMES):
    flooding = asyncio.ensure_future(flood(alice, frames))
    took = await probe(bob, reader, flooding)
    await flooding
    return took


async def test_a_client_that_never_reads_delays_no_other_client_and_catches_up_later(
    start_server, database_url, open_page
):
    # STUCK_SECONDS is scaled; at full size it is the server's default. Without a grace time, bob is notified as soon as
    # the socket is closed. The abort is so late that the client can read the close code after the flood even on a slow
    # machine; the next test is about the abort.
    settings = {"STUCK_SECONDS": Q.stuck_seconds, "STUCK_ABORT_SECONDS": 60.0, "GRACE_SECONDS": 0}
    server = start_server(database_url=database_url, settings=settings)
    alice = await open_page(server.url, "alice", rooms=[FLOOD], window=60)
    bob = await open_page(server.url, "bob", rooms=[FLOOD, PROBE])
    reader = await open_page(server.url, "alice@reader", rooms=[PROBE])
    await measure(alice, bob, reader)  # warm up, so that allocators and caches have their final size
    before = server.memory()
    without = await measure(alice, bob, reader)
    grown_without = server.memory() - before

    slow = await open_page(server.url, "charlie", receive_buffer=4096)
    for room in (PROBE, FLOOD):
        await slow.join(room)
    before = server.memory()
    await asyncio.to_thread(wait_for, lambda: server.connection_count() == 4, 10)
    slow.stop_reading()
    gone = {"room": str(FLOOD), "username": "charlie", "message": None, "msg_type": LEFT}
    seen_gone = []
    start = time.monotonic()
    bob.on_frame = lambda frame: frame == gone and seen_gone.append(time.monotonic() - start)
    beside = await measure(alice, bob, reader, Q.unread_frames)
    grown = server.memory() - before

    await bob.until(lambda: seen_gone, 20)
    slow.resume_reading()
    await slow.until(lambda: slow.closes != [], 10)
    # At full size the flood may last longer than the time in which the client can still read the close code.
    assert slow.closes == [4408] or (IS_FULL and slow.closes == [1006])
    head = alice.logs[str(FLOOD)].cursor
    await slow.until(lambda: slow.logs[str(FLOOD)].cursor == head, 60)
    run = await asyncio.to_thread(recorded, server, [alice, bob, reader, slow])

    report(
        f"a client that never reads, {Q.unread_frames} frames of {Q.unread_bytes} bytes: others' latency without it "
        f"{in_ms(without)}, beside it {in_ms(beside)}; server grew by {grown_without / 1e6:.1f} and "
        f"{grown / 1e6:.1f} MB; "
        f"its LEAVE came {seen_gone[0]:.1f} s after the flood began"
    )
    assert check(run) == []
    assert slow.resumes == 1
    assert slow.logs[str(FLOOD)].resets == 0
    assert grown < 5_000_000
    assert seen_gone[0] < 20
    # script/test shares the processors with other lanes, and measures one after the other.
    slack = 0.0 if IS_FULL else 0.2
    assert percentile(beside, 0.5) < 1.5 * percentile(without, 0.5) + 0.005 + slack
    assert percentile(beside, 0.95) < 2 * percentile(without, 0.95) + 0.05 + slack
    # Its old connection is closed, too, and not only its session.
    await asyncio.to_thread(wait_for, lambda: server.connection_count() == 4, 10)


async def test_the_connection_of_a_client_that_never_reads_again_is_cut(start_server, database_url, open_page):
    server = start_server(database_url=database_url, settings={"STUCK_SECONDS": 1.0, "STUCK_ABORT_SECONDS": 1.0})
    alice = await open_page(server.url, "alice", rooms=[FLOOD], window=60)
    slow = await open_page(server.url, "charlie", rooms=[FLOOD], receive_buffer=4096)
    slow.stop_reading()
    await flood(alice, FILLING, 15_000)
    await asyncio.to_thread(wait_for, lambda: server.connection_count() == 1, 20)
