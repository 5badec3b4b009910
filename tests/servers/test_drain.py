"""Servers drain before they end: SIGTERM under load, a stuck socket, two processes replaced one after another."""

import asyncio
import os
import signal
import time
from functools import partial
from itertools import pairwise

import psycopg
import pytest

from chat.protocol import CloseCode
from chat.testing import check
from tests.servers.conftest import recorded
from tests.servers.figures import acks, in_ms, percentile, report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.services import WorkersServer, directory, wait_for
from tests.servers.test_slow_reader import FILLING, flood

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOMS = (1, 2)
# In seconds, so short that a lease left behind expires during the test.
PRESENCE = {"LEASE_SECONDS": 3.0, "LEASE_RENEW_SECONDS": 1.0, "GRACE_SECONDS": 1.0}


async def write_on(page, room):
    """Post messages one after another until cancelled."""
    number = 0
    while True:
        number += 1
        await page.send(room, f"{page.name} {number}")
        await asyncio.sleep(Q.think_seconds)


class Load:
    """Pages that write all the time, and what each of them received while the server ended."""

    def __init__(self, pages):
        self.pages = pages
        self.byes = []
        self._writing = []
        # By page, when each of its frames arrived.
        self.times = {page.name: [] for page in pages}
        for page in pages:
            page.on_frame = lambda frame, name=page.name: self._record_frame(name, frame)

    def _record_frame(self, name, frame):
        if self._writing:
            self.times[name].append(time.monotonic())
        if "bye" in frame:
            self.byes.append((name, frame["bye"]["retry_ms"]))

    async def __aenter__(self):
        self._writing = [asyncio.ensure_future(write_on(page, room)) for page in self.pages for room in ROOMS]
        await asyncio.sleep(0.3)
        return self

    async def __aexit__(self, *unused):
        writing, self._writing = self._writing, []
        for task in writing:
            task.cancel()
        ended = await asyncio.gather(*writing, return_exceptions=True)
        assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
        await asyncio.gather(*(page.until_sent() for page in self.pages))

    def gaps(self):
        """Return the longest time that each page received nothing, reconnecting included."""
        return [max(later - earlier for earlier, later in pairwise(times)) for times in self.times.values()]


def is_news(frame):
    """Tell whether a signal says that a user entered or left; the list of users who are here does not."""
    return "msg_type" in frame or isinstance(frame["present"], dict)


async def until_present(pages, username):
    """Wait until these pages show a user as present in each room."""

    def is_present(page, room):
        return any(frame["room"] == str(room) and username in frame.get("present", ()) for frame in page.signals)

    for page in pages:
        await page.until(lambda page=page: all(is_present(page, room) for room in ROOMS))


async def checked_run(server, pages, *writers):
    """Wait until all pages have the last messages; check the recorded run, with other writers' messages; return it."""
    last = {room: await pages[0].send(room, "last") for room in ROOMS}
    for page in pages:
        await page.until(lambda page=page: all(page.logs[str(room)].cursor >= seq for room, seq in last.items()))
    run = await asyncio.to_thread(recorded, server, [*pages, *writers])
    assert check(run) == []
    return run


async def stuck_page(open_page, url, writer):
    """Return a page that stopped reading, once its socket is full."""
    page = await open_page(url, "charlie@stuck", rooms=[3], heartbeat_seconds=60, receive_buffer=4096)
    page.stop_reading()
    await flood(writer, FILLING, 15_000, room=3)
    return page


async def test_on_sigterm_drafts_are_acknowledged_and_each_client_gets_a_time_to_reconnect(
    start_server, database_url, open_page
):
    server = start_server(database_url=database_url, settings={"STUCK_SECONDS": 60})
    pages = [
        await open_page(server.url, f"{name}@{number}", rooms=ROOMS)
        for name in ("alice", "bob")
        for number in (1, 2, 3)
    ]
    writer = await open_page(server.url, "bob@writer", rooms=[3], window=20)
    stuck = await stuck_page(open_page, server.url, writer)
    took = []
    async with Load(pages) as load:
        for _ in range(Q.drains):
            await asyncio.sleep(Q.pause_seconds)
            start = time.monotonic()
            await asyncio.to_thread(server.terminate)
            took.append(time.monotonic() - start)
            await asyncio.to_thread(server.start)
            for page in pages:
                await page.until(lambda page=page: page.is_connected)
    run = await checked_run(server, pages, writer)
    report(f"SIGTERM ×{Q.drains}: ended within {max(took):.1f} s; acknowledged {in_ms(acks(run))}")
    assert max(took) < 10
    assert [page.closes for page in pages] == [[CloseCode.RESTARTING] * Q.drains] * len(pages)
    assert len(load.byes) == Q.drains * len(pages)
    assert len({retry_ms for _, retry_ms in load.byes}) > len(pages) / 2, "all clients reconnect at the same time"
    stuck.resume_reading()


async def test_drafts_received_before_sigterm_are_saved_and_acknowledged(
    start_server, database_url, postgres, open_page
):
    name = database_url.split("/")[3].split("?")[0]
    server = start_server(database_url=database_url)
    bob = await open_page(server.url, "bob", rooms=ROOMS, window=30)
    frames = []
    bob.on_frame = lambda frame: frames.append(next(iter(frame)))
    # The room is locked from outside, so that the drafts wait for the database when the signal arrives.
    with psycopg.connect(dbname=name, user=postgres.USER, host=str(postgres.directory)) as holder:
        holder.execute("SELECT * FROM chat_room FOR UPDATE")
        waiting = [bob.send(1, f"held {number}") for number in range(20)]
        await asyncio.sleep(0.3)
        ending = asyncio.ensure_future(asyncio.to_thread(server.terminate))
        await bob.until(lambda: "bye" in frames)
        assert not any(send.done() for send in waiting)
        holder.commit()
    async with asyncio.timeout(15):
        await asyncio.gather(*waiting)
    assert bob.closes == [], "the socket was closed before the acks"
    await ending
    assert [frames.count(kind) for kind in ("bye", "ack")] == [1, 20]


async def write_during_rolls(server, open_page):
    """Replace the workers while pages write; return the pages, and how long each of them received nothing."""
    # Longer than it may take to check the recorded run, during which this process answers no heartbeat.
    open_ = partial(open_page, server.url, rooms=ROOMS, heartbeat_seconds=20)
    alices = [await open_(f"alice@{number}") for number in range(Q.rolled_pages)]
    await until_present(alices, "alice")
    bobs = [await open_(f"bob@{number}") for number in range(Q.rolled_pages)]
    await until_present([*alices, *bobs], "bob")
    # Presence is written behind messages: what the first joins announce may come after their answers.
    for page in alices:
        await page.until(lambda page=page: len([True for frame in page.signals if "msg_type" in frame]) == 2)
    pages = [*alices, *bobs]
    for page in pages:
        page.signals.clear()
    async with Load(pages) as load:
        for _ in range(Q.rolls):
            await asyncio.to_thread(server.roll)
            await asyncio.sleep(1)
    return pages, load.gaps()


def check_that_a_dead_worker_is_replaced(server):
    starts = server.log.read_text().count("serving on")
    killed = min(server.workers())
    os.kill(killed, signal.SIGKILL)
    # While other tests use both processors, a start takes up to half a minute.
    wait_for(lambda: server.log.read_text().count("serving on") == starts + 1, 60)
    assert server.is_ready()
    assert f"process {killed} ended by itself" in server.log.read_text()


def check_that_workers_go_on_when_none_can_start(server):
    serving = server.workers()
    (server.state / "secret_key").write_text("short")
    server.process.send_signal(signal.SIGHUP)
    wait_for(
        lambda: "the running processes continue" in server.log.read_text(), 60, what="the failed start was not logged"
    )
    assert server.workers() == serving
    assert server.is_ready()


async def test_rolling_restarts_delay_no_page_and_show_no_user_as_leaving_and_dead_workers_are_replaced(
    database_url, redis, open_page
):
    with directory("state") as state:
        server = WorkersServer(state, database_url=database_url, redis_url=redis.url, settings=PRESENCE).start()
        try:
            pages, gaps = await write_during_rolls(server, open_page)
            run = await checked_run(server, pages)
            # Until the leases that the old processes left behind have expired.
            await asyncio.sleep(PRESENCE["LEASE_SECONDS"] + PRESENCE["LEASE_RENEW_SECONDS"] + 1)
            closes = [list(page.closes) for page in pages]
            signals = [frame for page in pages for frame in page.signals]
            await asyncio.to_thread(check_that_a_dead_worker_is_replaced, server)
            await asyncio.to_thread(check_that_workers_go_on_when_none_can_start, server)
            start = time.monotonic()
            server.terminate()
            took = time.monotonic() - start
        finally:
            server.close()
    waits = acks(run)
    report(
        f"rolling restart ×{Q.rolls}, {len(pages)} pages: 0 of {len(run.rows)} lost or doubled; longest silence of a"
        f" page {in_ms(gaps)}; acknowledged {in_ms(waits)}"
    )
    assert {code for codes in closes for code in codes} == {CloseCode.RESTARTING}
    assert sum(map(len, closes)) >= Q.rolls * len(pages)
    assert percentile(gaps, 0.99) < 2
    assert percentile(waits, 0.99) < 2
    assert [frame for frame in signals if is_news(frame)] == []
    assert took < 10
