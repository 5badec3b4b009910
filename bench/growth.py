"""What grows: Multichat on a large site. Each work takes a constant number of queries, whatever the site's size.

Times are of the second run in a database thread (`tests/servers/plans.py`), and for the page and `watch` over a
connection.
"""

import asyncio
import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from typing import Any

from bench import data, servers
from bench.chatter import Chatter
from bench.history import start_on_large
from bench.load import open_sockets
from bench.posts import open_posting
from bench.report import Part, Row, Rows, percentile, times
from bench.sizes import Sizes

POSTERS = 16


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["database", "work", "queries", "ms"]]
    remarks = [await _rooms(sizes)]
    for kind in data.KINDS:
        if data.scale_of(kind) is None:
            remarks.append(f"{kind}: {data.MISSING}")
            continue
        with contextlib.ExitStack() as stack:
            running, cookies = start_on_large(stack, kind, users=sizes.page_reads)
            pages = [_get(running.port, cookie) for cookie in cookies]
            table.append([data.describe(kind), "page `/`, a user's first", "", f"{_median(pages):.1f}"])
            watches = [await _watch(running.port, cookie) for cookie in cookies]
            table.append([data.describe(kind), "`watch`, a user's first", "", f"{_median(watches):.1f}"])
            for measured in _plans(running.environment):
                table.append([data.describe(kind), measured["name"], str(measured["queries"]), f"{measured['ms']:.1f}"])
    return Part("What grows", __doc__ or "", table, remarks=remarks)


async def _rooms(sizes: Sizes) -> str:
    """Return a sentence about the same members in few and in many rooms, into which sixteen of them post in turn."""
    rows = Rows("deliveries/s")
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                servers.started(_name(rooms), servers.multichat(rooms=rooms, joined=rooms), sizes.room_members)
            )
            for rooms in sizes.room_counts
        ]
        postings = [await open_posting(server) for server in running]
        await asyncio.sleep(sizes.settle_seconds)
        for _ in range(sizes.rounds):
            for posting in postings:
                figure = await posting.measure(seconds=sizes.posts_seconds, warm_up=sizes.warm_up, clients=POSTERS)
                rows.add("rooms", posting.running.name, figure.posts * sizes.room_members)
        for posting in postings:
            posting.shrink(0)
            posting.audit()
    one = rows.median("rooms", rows.names("rooms")[0])
    figures = [
        f"{own:,.0f} in {name} ({times(own, one)} ×)"
        for name in rows.names("rooms")
        if (own := rows.median("rooms", name)) is not None
    ]
    members = f"{sizes.room_members} sockets in all rooms, {POSTERS} of which post"
    return f"Deliveries a second, {members}: {', '.join(figures)}. The target is 0.85 to 1.15 ×."


def _name(rooms: int) -> str:
    return "one room" if rooms == 1 else f"{rooms} rooms"


def _median(values: list[float]) -> float:
    return percentile(sorted(values), 0.5) * 1000


def _get(port: int, cookie: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    began = time.perf_counter()
    connection.request("GET", "/", headers={"Cookie": cookie})
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"the page was answered with {answer.status}")
    return took


async def _watch(port: int, cookie: str) -> float:
    """Return how long the list of rooms and the unread counts take."""
    [client] = await open_sockets(Chatter, [servers.chat_dialect(port, cookie, [])], port)
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    kinds: set[bytes] = set()

    def take(payload: bytes) -> None:
        kinds.add(payload[:8])
        if {b'{"rooms"', b'{"heads"'} <= kinds and not answer.done():
            answer.set_result(None)

    client.on_frame = take
    began = time.perf_counter()
    client.send_command(command="watch")
    async with asyncio.timeout(30):
        await answer
    took = time.perf_counter() - began
    client.close()
    return took


def _plans(environment: dict[str, str]) -> list[dict[str, Any]]:
    done = subprocess.run(
        servers.pinned(servers.SERVER_CORE, [sys.executable, "-m", "tests.servers.plans"]),
        cwd=servers.BASE,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found
