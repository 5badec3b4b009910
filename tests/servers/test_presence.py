"""Presence with real processes: each change is announced once, and in time, while users join, leave and crash."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from itertools import cycle

import pytest

from tests.servers.conftest import ROOMS
from tests.servers.figures import in_ms, report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.services import Redis, Server, directory

pytestmark = pytest.mark.timeout(TIMEOUT)

ENTER, LEAVE = 4, 5
CLOCKS = {
    "LEASE_SECONDS": Q.lease_seconds,
    "LEASE_RENEW_SECONDS": Q.lease_renew_seconds,
    "GRACE_SECONDS": Q.grace_seconds,
}
# The time until a change is announced: by a bell, or without it by the next check of the leases.
ANNOUNCED_SECONDS = 1.0
# The time until the users of a killed process are gone: its lease expires, and another process finds it.
GONE_SECONDS = Q.lease_seconds + 2 * Q.lease_renew_seconds + ANNOUNCED_SECONDS


class PresenceList:
    """The users who are here, as a page shows them."""

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
        """Count ENTER and LEAVE signals of these users, or of all."""
        counts = Counter((frame["username"], frame["msg_type"]) for frame in self.page.signals if "msg_type" in frame)
        return {key: count for key, count in counts.items() if not names or key[0] in names}

    async def until(self, names, seconds):
        await self.page.until(lambda: self.names == set(names), seconds)


# Each test has a room of its own, so that it sees no user of another test.
rooms = cycle(range(1, ROOMS + 1))


@pytest.fixture
def room():
    return next(rooms)


@pytest.fixture(scope="module")
def shared_servers(postgres):
    """Two processes for all tests, which start the process again that they kill."""
    with directory("redis") as path, directory("state") as state:
        redis = Redis(path).start()
        url = postgres.create("presence", template="template")
        servers = [Server(state, database_url=url, redis_url=redis.url, settings=CLOCKS) for _ in range(2)]
        try:
            for server in servers:
                server.start(wait=False)
            yield servers
        finally:
            for program in (*servers, redis):
                program.kill()
            for server in servers:
                server.close()


@pytest.fixture
def two_servers(shared_servers):
    for server in shared_servers:
        # After a test that failed.
        if server.is_running:
            server.thaw()
        else:
            server.start(wait=False)
        server.wait_until_ready()
    return shared_servers


async def test_a_user_with_tabs_and_reconnects_enters_once_and_leaves_once(two_servers, open_page, room):
    alice = await open_page(two_servers[0].url, "alice", rooms=[room])
    here = PresenceList(alice)
    tabs = [
        await open_page(two_servers[number % 2].url, f"bob@{number}", rooms=[room], backoff_seconds=(0.01, 0.05))
        for number in range(3)
    ]
    await here.until(["alice", "bob"], 5)
    for number in range(Q.reconnects):
        tab = tabs[number % 3]
        if number % 10 == 9:
            # The user closes one tab while the other tabs are open.
            await tab.leave(room)
            await tab.join(room)
        else:
            # Sometimes all tabs are cut at once, so that bob has no socket for a moment.
            await cut_and_reconnect(tabs if number % 5 == 0 else [tab], room)
    assert here.news("bob") == {("bob", ENTER): 1}
    # A join is answered before its presence is written. A user who left all rooms before that would be announced again.
    await asyncio.sleep(0.5)
    for tab in tabs:
        await tab.leave(room)
    await here.until(["alice"], 5)
    await asyncio.sleep(Q.grace_seconds + 0.5)
    assert here.news("bob") == {("bob", ENTER): 1, ("bob", LEAVE): 1}
    # Each tab that sent `leave` got its own LEAVE; no tab got its user's own ENTER.
    for tab in tabs:
        own = [frame["msg_type"] for frame in tab.signals if frame.get("username") == "bob"]
        assert ENTER not in own
        assert LEAVE in own


async def cut_and_reconnect(tabs, room):
    """Cut the connections of these pages at the same time, and wait until all have resumed."""
    resumes = [tab.resumes for tab in tabs]
    for tab in tabs:
        tab.cut()
    for tab, before in zip(tabs, resumes, strict=True):
        await tab.until(lambda tab=tab, before=before: tab.resumes > before and tab.logs[str(room)].is_joined)


async def count_presences(server, username, room):
    return int(await asyncio.to_thread(server.ask, "count_presences", username, room))


async def test_two_processes_that_lose_a_users_last_sockets_at_once_send_one_leave(two_servers, open_page, room):
    alice = await open_page(two_servers[0].url, "alice", rooms=[room])
    here = PresenceList(alice)
    tabs = [await open_page(server.url, f"bob@{server.port}") for server in two_servers]
    for number in range(Q.last_sockets):
        await asyncio.gather(*(tab.join(room) for tab in tabs))
        await here.until(["alice", "bob"], 5)
        # The faster process announced it. Wait until the other one has written its presence, too; otherwise it would be
        # a new ENTER.
        async with asyncio.timeout(5):
            while await count_presences(two_servers[0], "bob", room) < len(tabs):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.gather(*(tab.leave(room) for tab in tabs))
        await here.until(["alice"], 5)
        assert here.news("bob") == {("bob", ENTER): number + 1, ("bob", LEAVE): number + 1}
    await asyncio.sleep(Q.lease_renew_seconds + 0.5)
    assert here.news("bob") == {("bob", ENTER): Q.last_sockets, ("bob", LEAVE): Q.last_sockets}
    report(f"last sockets lost in two processes at once ×{Q.last_sockets}: one LEAVE each")


async def test_users_of_a_killed_process_leave_in_time_and_no_other_user_does(two_servers, open_page, room):
    alice = await open_page(two_servers[0].url, "alice", rooms=[room])
    here = PresenceList(alice)
    bob = await open_page(two_servers[1].url, "bob", rooms=[room])
    # Charlie has a page on each process, and loses only one of them.
    charlies = [await open_page(server.url, f"charlie@{server.port}", rooms=[room]) for server in two_servers]
    await here.until(["alice", "bob", "charlie"], 5)
    start = time.monotonic()
    two_servers[1].kill()
    await here.until(["alice", "charlie"], GONE_SECONDS)
    took = time.monotonic() - start
    report(f"kill -9: gone after {took:.1f} s (lease {Q.lease_seconds:g} s)")
    # The process is started again, and its pages reconnect.
    await asyncio.to_thread(two_servers[1].start)
    await here.until(["alice", "bob", "charlie"], 10)
    await asyncio.sleep(Q.lease_renew_seconds + 0.5)
    assert here.news() == {("bob", ENTER): 2, ("bob", LEAVE): 1, ("charlie", ENTER): 1}
    assert {len(page.closes) for page in (alice, charlies[0])} == {0}
    assert bob.resumes > 0


async def test_users_of_a_frozen_process_are_here_again_when_it_continues(two_servers, open_page, room):
    alice = await open_page(two_servers[0].url, "alice", rooms=[room])
    here = PresenceList(alice)
    # The page's heartbeat is so long that it does not notice the standstill.
    bob = await open_page(two_servers[1].url, "bob", rooms=[room], heartbeat_seconds=60)
    await here.until(["alice", "bob"], 5)
    two_servers[1].freeze()
    await here.until(["alice"], GONE_SECONDS)
    two_servers[1].thaw()
    await here.until(["alice", "bob"], 2 * Q.lease_renew_seconds + ANNOUNCED_SECONDS)
    assert here.news() == {("bob", ENTER): 2, ("bob", LEAVE): 1}
    assert bob.closes == []
    # The list of the process that continued follows its next read of who is here.
    await PresenceList(bob).until(["alice", "bob"], 2 * Q.lease_renew_seconds + ANNOUNCED_SECONDS)


class OpenPages:
    """The pages that are really open, and when each user's page was opened or closed."""

    def __init__(self, servers, open_page, room):
        self.servers = servers
        self.open_page = open_page
        self.room = room
        self.pages = {}
        self.changed = {}
        self.killed_at = 0.0

    @property
    def names(self):
        return {name for name, page in self.pages.items() if page is not None}

    async def open(self, name):
        # While a user is joining or leaving, the list may show either.
        self.changed[name] = time.monotonic()
        # Signed in at the process that is never killed. A sign-in is not repeated, as a page's connection is.
        url, calm = random.choice(self.servers).url, self.servers[0].url
        self.pages[name] = await self.open_page(url, name, rooms=[self.room], at=calm)
        self.changed[name] = time.monotonic()

    async def close(self, name, *, leaves):
        self.changed[name] = time.monotonic()
        page, self.pages[name] = self.pages[name], None
        if leaves:
            # If the connection is being cut, `leave` is never answered.
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await page.leave(self.room)
        await page.stop()
        self.changed[name] = time.monotonic()

    async def step(self):
        name = random.choice(("bob", "charlie"))
        if self.pages.get(name) is None:
            await self.open(name)
        elif random.random() < 0.3:
            self.pages[name].cut()
        else:
            await self.close(name, leaves=random.random() < 0.5)

    def delays(self, shown):
        """Yield, for each user whom the list shows wrongly, for how many seconds it has, and how many are allowed."""
        now = time.monotonic()
        for name in {"bob", "charlie"} & (shown ^ self.names):
            changed = self.changed.get(name, now)
            # If the process was killed during the grace time, the lease decides.
            was_killed = changed - Q.grace_seconds < self.killed_at
            yield now - changed, GONE_SECONDS if was_killed else Q.grace_seconds + ANNOUNCED_SECONDS


async def test_the_presence_list_is_right_in_time_while_clients_join_leave_and_crash(two_servers, open_page, room):
    # The process of this page is never killed, because the list is taken from it.
    alice = await open_page(two_servers[0].url, "alice", rooms=[room])
    here, open_pages = PresenceList(alice), OpenPages(two_servers, open_page, room)
    delays, samples = [], 0

    async def live():
        # At least one user disconnects without `leave`, whatever the random steps are.
        await open_pages.open("bob")
        await asyncio.sleep(0.5)
        await open_pages.close("bob", leaves=False)
        while time.monotonic() < end:
            await open_pages.step()
            await asyncio.sleep(random.uniform(0.02, 0.3) * Q.grace_seconds)

    restarting = asyncio.Lock()

    async def crash():
        while True:
            await asyncio.sleep(Q.presence_seconds / 3)
            async with restarting:
                open_pages.killed_at = time.monotonic()
                await asyncio.to_thread(two_servers[1].kill)
                await asyncio.to_thread(two_servers[1].start)

    end = time.monotonic() + Q.presence_seconds
    living, crashing = asyncio.ensure_future(live()), asyncio.ensure_future(crash())
    try:
        # Wait for the end of its last step. Cut short, it could leave an open page that is not in `open_pages`.
        while not living.done():
            await asyncio.sleep(0.05)
            assert not crashing.done(), crashing
            samples += 1
            delays += open_pages.delays(here.names)
        living.result()
    finally:
        # A thread goes on when its task is cancelled, so a kill that is under way would come after the start.
        async with restarting:
            for task in (living, crashing):
                task.cancel()
        await asyncio.gather(living, crashing, return_exceptions=True)
    await here.until(open_pages.names | {"alice"}, GONE_SECONDS + 5)
    late = in_ms([seconds for seconds, _ in delays])
    report(f"presence list against open pages: {samples} samples, {len(delays)} behind by {late}")
    assert [(seconds, allowed) for seconds, allowed in delays if seconds > allowed] == []
    assert delays, "no user disconnected without `leave`"
