"""Who is here, with real processes: told once, right within its time, whatever comes, goes and crashes."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.servers.figures import in_ms, report
from tests.servers.quantities import TIMEOUT, Q

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOM = 1
ENTER, LEAVE = 4, 5
CLOCKS = {
    "LEASE_SECONDS": Q.lease_seconds,
    "LEASE_RENEW_SECONDS": Q.lease_renew_seconds,
    "GRACE_SECONDS": Q.grace_seconds,
}
# Told to the others by a bell; without it by the next look at the leases.
TOLD_SECONDS = 1.0
# A process that was killed: its lease runs out, and another looks.
GONE_SECONDS = Q.lease_seconds + 2 * Q.lease_renew_seconds + TOLD_SECONDS


class Here:
    """Who is here, as a page shows it."""

    def __init__(self, page):
        self.page = page

    @property
    def names(self):
        names = set()
        for frame in self.page.signals:
            present = frame.get("present")
            if isinstance(present, list):
                names = set(present)
            for name, is_here in present.items() if isinstance(present, dict) else ():
                (names.add if is_here else names.discard)(name)
        return names

    def news(self, *names):
        """Count ENTER and LEAVE of these users."""
        told = Counter((frame["username"], frame["msg_type"]) for frame in self.page.signals if "msg_type" in frame)
        return {key: count for key, count in told.items() if not names or key[0] in names}

    async def until(self, names, seconds):
        await self.page.until(lambda: self.names == set(names), seconds)


@pytest.fixture
def two_servers(start_servers, database_url, redis):
    return start_servers(CLOCKS, CLOCKS, database_url=database_url, redis_url=redis.url)


async def test_tabs_and_reconnects_tell_one_enter_and_one_leave(two_servers, open_page):
    alice = await open_page(two_servers[0].url, "alice", rooms=[ROOM])
    here = Here(alice)
    tabs = [
        await open_page(two_servers[number % 2].url, f"bob@{number}", rooms=[ROOM], backoff_seconds=(0.01, 0.05))
        for number in range(3)
    ]
    await here.until(["alice", "bob"], 5)
    for number in range(Q.reconnects):
        tab = tabs[number % 3]
        if number % 10 == 9:
            # Closed by its user, while the others are open.
            await tab.leave(ROOM)
            await tab.join(ROOM)
        else:
            # Now and then all at once: for a moment bob has no socket at all.
            await come_back(tabs if number % 5 == 0 else [tab])
    assert here.news("bob") == {("bob", ENTER): 1}
    # A join is answered before who came is written: who leaves within that moment everywhere is told of once more.
    await asyncio.sleep(0.5)
    for tab in tabs:
        await tab.leave(ROOM)
    await here.until(["alice"], 5)
    await asyncio.sleep(Q.grace_seconds + 0.5)
    assert here.news("bob") == {("bob", ENTER): 1, ("bob", LEAVE): 1}
    # Each tab that sent `leave` got its own LEAVE; nobody got their own ENTER.
    for tab in tabs:
        mine = [frame["msg_type"] for frame in tab.signals if frame.get("username") == "bob"]
        assert ENTER not in mine
        assert LEAVE in mine


async def come_back(tabs):
    """Cut the lines of these pages at the same moment, and wait until all are back."""
    resumes = [tab.resumes for tab in tabs]
    for tab in tabs:
        tab.cut()
    for tab, before in zip(tabs, resumes, strict=True):
        await tab.until(lambda tab=tab, before=before: tab.resumes > before and tab.logs[str(ROOM)].is_joined)


async def test_two_processes_that_lose_the_last_sockets_at_once_tell_one_leave(two_servers, open_page):
    alice = await open_page(two_servers[0].url, "alice", rooms=[ROOM])
    here = Here(alice)
    tabs = [await open_page(server.url, f"bob@{server.port}") for server in two_servers]
    for number in range(Q.last_sockets):
        await asyncio.gather(*(tab.join(ROOM) for tab in tabs))
        await here.until(["alice", "bob"], 5)
        # Told by the faster process: the other one has written its own by now too, else it would be a new coming.
        await asyncio.sleep(0.3)
        await asyncio.gather(*(tab.leave(ROOM) for tab in tabs))
        await here.until(["alice"], 5)
        assert here.news("bob") == {("bob", ENTER): number + 1, ("bob", LEAVE): number + 1}
    await asyncio.sleep(Q.lease_renew_seconds + 0.5)
    assert here.news("bob") == {("bob", ENTER): Q.last_sockets, ("bob", LEAVE): Q.last_sockets}
    report(f"last sockets lost in two processes at once ×{Q.last_sockets}: one LEAVE each")


async def test_users_of_a_killed_process_are_gone_in_time_and_nobody_else_flickers(two_servers, open_page):
    alice = await open_page(two_servers[0].url, "alice", rooms=[ROOM])
    here = Here(alice)
    bob = await open_page(two_servers[1].url, "bob", rooms=[ROOM])
    # On both: only one of the two is lost.
    charlies = [await open_page(server.url, f"charlie@{server.port}", rooms=[ROOM]) for server in two_servers]
    await here.until(["alice", "bob", "charlie"], 5)
    start = time.monotonic()
    two_servers[1].kill()
    await here.until(["alice", "charlie"], GONE_SECONDS)
    took = time.monotonic() - start
    report(f"kill -9: gone after {took:.1f} s (lease {Q.lease_seconds:g} s)")
    # There once more, and its pages come back.
    await asyncio.to_thread(two_servers[1].start)
    await here.until(["alice", "bob", "charlie"], 10)
    await asyncio.sleep(Q.lease_renew_seconds + 0.5)
    assert here.news() == {("bob", ENTER): 2, ("bob", LEAVE): 1, ("charlie", ENTER): 1}
    assert {len(page.closes) for page in (alice, charlies[0])} == {0}
    assert bob.resumes > 0


async def test_a_frozen_process_that_comes_back_has_its_users_again(two_servers, open_page):
    alice = await open_page(two_servers[0].url, "alice", rooms=[ROOM])
    here = Here(alice)
    # Patient: the page notices nothing of the standstill.
    bob = await open_page(two_servers[1].url, "bob", rooms=[ROOM], heartbeat_seconds=60)
    await here.until(["alice", "bob"], 5)
    two_servers[1].freeze()
    await here.until(["alice"], GONE_SECONDS)
    two_servers[1].thaw()
    await here.until(["alice", "bob"], 2 * Q.lease_renew_seconds + TOLD_SECONDS)
    assert here.news() == {("bob", ENTER): 2, ("bob", LEAVE): 1}
    assert bob.closes == []
    assert Here(bob).names == {"alice", "bob"}


class Truth:
    """Who is really here: pages that are open, and since when that is so."""

    def __init__(self, servers, open_page):
        self.servers = servers
        self.open_page = open_page
        self.pages = {}
        self.changed = {}
        self.killed_at = 0.0

    @property
    def names(self):
        return {name for name, page in self.pages.items() if page is not None}

    async def come(self, name):
        # While they are on the way in or out, the list may say either.
        self.changed[name] = time.monotonic()
        self.pages[name] = await self.open_page(random.choice(self.servers).url, name, rooms=[ROOM])
        self.changed[name] = time.monotonic()

    async def go(self, name, *, says_so):
        self.changed[name] = time.monotonic()
        page, self.pages[name] = self.pages[name], None
        if says_so:
            # A line that is cut just now takes no farewell.
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await page.leave(ROOM)
        await page.stop()
        self.changed[name] = time.monotonic()

    async def step(self):
        name = random.choice(("bob", "charlie"))
        if self.pages.get(name) is None:
            await self.come(name)
        elif random.random() < 0.3:
            self.pages[name].cut()
        else:
            await self.go(name, says_so=random.random() < 0.5)

    def wrong(self, shown):
        """Return for how many seconds the list has been wrong, and how many are allowed, for each such user."""
        now = time.monotonic()
        for name in {"bob", "charlie"} & (shown ^ self.names):
            changed = self.changed.get(name, now)
            # Lost with a process that was then killed: the lease tells, not the grace time.
            was_killed = changed - Q.grace_seconds < self.killed_at
            yield now - changed, GONE_SECONDS if was_killed else Q.grace_seconds + TOLD_SECONDS


async def test_the_list_is_the_truth_while_clients_come_go_and_crash(two_servers, open_page):
    # This one's process is never killed: it is the one that looks.
    alice = await open_page(two_servers[0].url, "alice", rooms=[ROOM])
    here, truth = Here(alice), Truth(two_servers, open_page)
    wrong, samples = [], 0

    async def live():
        # One at least goes without a word, whatever chance says.
        await truth.come("bob")
        await asyncio.sleep(0.5)
        await truth.go("bob", says_so=False)
        while time.monotonic() < end:
            await truth.step()
            await asyncio.sleep(random.uniform(0.02, 0.3) * Q.grace_seconds)

    async def crash():
        while True:
            await asyncio.sleep(Q.presence_seconds / 3)
            truth.killed_at = time.monotonic()
            await asyncio.to_thread(two_servers[1].kill)
            await asyncio.to_thread(two_servers[1].start)

    end = time.monotonic() + Q.presence_seconds
    living, crashing = asyncio.ensure_future(live()), asyncio.ensure_future(crash())
    try:
        # To the end of its last step: cut short, it would leave a page behind that nobody knows of.
        while not living.done():
            await asyncio.sleep(0.05)
            assert not crashing.done(), crashing
            samples += 1
            wrong += truth.wrong(here.names)
        living.result()
    finally:
        for task in (living, crashing):
            task.cancel()
        await asyncio.gather(living, crashing, return_exceptions=True)
    if not two_servers[1].is_running:
        await asyncio.to_thread(two_servers[1].start)
    await here.until(truth.names | {"alice"}, GONE_SECONDS + 5)
    report(f"list against truth: {samples} samples, {len(wrong)} behind by {in_ms([seconds for seconds, _ in wrong])}")
    assert [one for one in wrong if one[0] > one[1]] == []
    assert wrong, "nobody went without a word"
