"""Many sockets are cut at once, and all are back soon; and what a server costs that has nothing to do."""

import asyncio
import json
import random
import time
from contextlib import suppress
from itertools import cycle

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.servers.figures import in_ms, report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.services import CAST

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOMS = ("1", "2")
# As the page: the first wait after a cut is drawn from a second. Fewer sockets come at the same pace.
FIRST_WAIT_SECONDS = 1.0 * Q.herd / 2000


class Socket:
    """One of many: as little of a page as comes back and resumes."""

    def __init__(self, server, cookie):
        self._address = f"ws://127.0.0.1:{server.port}/chat/stream/"
        self._headers = {"Cookie": cookie, "Origin": server.url}
        self.cursors = {}
        self.handshakes = []
        self._line = None

    async def come(self):
        """Connect, resume or join, and return when all of it is current."""
        start = time.monotonic()
        self._line = await connect(
            self._address, additional_headers=self._headers, compression=None, open_timeout=30, ping_interval=None
        )
        self.handshakes.append(time.monotonic() - start)
        if self.cursors:
            await self._line.send(json.dumps({"command": "resume", "rooms": self.cursors}))
        else:
            for room in ROOMS:
                await self._line.send(json.dumps({"command": "join", "room": room}))
        heads = {}
        while len(heads) < len(ROOMS) or any(self.cursors[room]["since"] < head for room, head in heads.items()):
            frame = json.loads(await self._line.recv())
            assert "error" not in frame, frame
            if "join" in frame:
                heads[frame["join"]] = frame["head"]
                self.cursors.setdefault(frame["join"], {"since": frame["head"], "epoch": frame["epoch"]})
                assert not frame.get("reset")
            elif "seq" in frame:
                assert frame["seq"] == self.cursors[frame["room"]]["since"] + 1
                self.cursors[frame["room"]]["since"] = frame["seq"]

    async def come_back(self):
        await asyncio.sleep(random.random() * FIRST_WAIT_SECONDS)
        await self.come()

    def cut(self):
        self._line.transport.abort()

    async def close(self):
        with suppress(ConnectionClosed):
            await self._line.close()


async def test_all_that_were_cut_at_once_are_current_soon(start_server, database_url, postgres, open_page):
    name = database_url.split("/")[3].split("?")[0]
    server = start_server(database_url=database_url)
    sockets = [Socket(server, cookie) for cookie in json.loads(server.ask("crowd", Q.herd))]
    for start in range(0, len(sockets), 50):
        await asyncio.gather(*(socket.come() for socket in sockets[start : start + 50]))
    for socket in sockets:
        socket.cut()
        socket.handshakes.clear()
    # What they miss.
    server.ask("fill", ROOMS[0], 20)
    # Its connections are new from here on, so that their queries are seen.
    postgres.log_queries(name)
    await asyncio.to_thread(server.terminate)
    await asyncio.to_thread(server.start)
    before = len(postgres.queries(name))
    start = time.monotonic()
    await asyncio.gather(*(socket.come_back() for socket in sockets))
    took = time.monotonic() - start
    queries = postgres.queries(name)[before:]
    handshakes = [seconds for socket in sockets for seconds in socket.handshakes]
    report(
        f"{len(sockets)} sockets cut at once: all current after {took:.1f} s; handshakes {in_ms(handshakes)};"
        f" {len(queries)} queries, {len(queries) / len(sockets):.2f} each"
    )
    await asyncio.gather(*(socket.close() for socket in sockets))
    assert took < 20
    assert max(handshakes) < 2
    assert len(queries) <= 2 * len(sockets)


async def test_an_idle_server_costs_next_to_nothing(start_server, database_url, postgres, open_page):
    name = database_url.split("/")[3].split("?")[0]
    postgres.log_queries(name)
    server = start_server(database_url=database_url, settings={"LEASE_RENEW_SECONDS": 0.5})
    costs = []
    for tabs, user in zip(range(10), cycle(CAST), strict=False):
        await open_page(server.url, f"{user}@{tabs}", rooms=[1, 2, 3])
        if tabs in (0, 9):
            await asyncio.sleep(1)
            before = len(postgres.queries(name))
            await asyncio.sleep(1)
            costs.append(postgres.queries(name)[before:])
    writes = [sum(query.startswith(("INSERT", "UPDATE", "DELETE")) for query in queries) for queries in costs]
    report(
        f"idle for 1 s, with 1 and with 10 sockets in 3 rooms: {[len(queries) for queries in costs]} queries,"
        f" {writes} writes"
    )
    # One write to renew the lease, twice in a second, whatever the number of sockets.
    assert all(1 <= count <= 3 for count in writes), costs
    # Looks of the sweep, two in a second and two queries each, and what two renewals ask.
    assert all(len(queries) <= 3 * 2 + 3 * 4 for queries in costs), costs
