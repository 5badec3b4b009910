"""Many sockets that are cut at once are current again soon; and the cost of an idle server."""

import asyncio
import json
import re
import time
from collections import Counter
from itertools import cycle

import pytest

from tests.servers.figures import in_ms, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.services import CAST

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOMS = ("1", "2")
# As in the page, the first wait after a cut is random within a second. Fewer sockets reconnect at the same rate.
FIRST_WAIT_SECONDS = max(0.05, 1.0 * Q.herd / 2000)


async def test_sockets_that_were_cut_at_once_are_current_soon(start_server, database_url, postgres, open_page):
    name = database_url.split("/")[3].split("?")[0]
    server = start_server(database_url=database_url)
    pages = []
    cookies = json.loads(server.ask("crowd", Q.herd))
    for start in range(0, len(cookies), 50):
        pages += await asyncio.gather(
            *(open_herd(open_page, server, n, cookie) for n, cookie in enumerate(cookies[start : start + 50], start))
        )
    for page in pages:
        await page.until(lambda page=page: page.is_current)
        page.cut()
    # The events that they miss.
    server.ask("fill", ROOMS[0], 20)
    # The restarted server opens new connections, whose queries are logged.
    postgres.log_queries(name)
    await asyncio.to_thread(server.terminate)
    before = len(postgres.queries(name))
    for page in pages:
        page.handshakes.clear()
    await asyncio.to_thread(server.start)
    start = time.monotonic()
    ready = asyncio.get_running_loop().time()
    await asyncio.gather(*(page.until(lambda page=page: page.is_current, TIMEOUT) for page in pages))
    took = time.monotonic() - start
    queries = postgres.queries(name)[before:]
    # Connections made while the server started waited in the listening socket's backlog.
    handshakes = [max(0.0, end - max(began, ready)) for page in pages for began, end in page.handshakes]
    report(
        f"{len(pages)} pages cut at once, the server started anew: all current after {took:.1f} s; handshakes "
        f"{in_ms(handshakes)}; {len(queries)} queries, {len(queries) / len(pages):.2f} each"
    )
    assert [page.name for page in pages if page.gaps or page.errors] == []
    assert took < 20
    assert max(handshakes) < 2
    # Sockets that come at the same time share queries, and these are few. Beside their queries are those of an idle
    # server.
    each = 2 if IS_FULL else 3
    assert len(queries) <= each * len(pages) + (int(2 * took) + 1) * QUERIES


def open_herd(open_page, server, number, cookie):
    return open_page(
        server.url,
        f"user{number}",
        ROOMS,
        cookie=cookie,
        heartbeat_seconds=20.0,
        backoff_seconds=(FIRST_WAIT_SECONDS, 4.0),
    )


# Of an idle server in half a second: three for each sweep, three for each renewal, and less often those for who is
# around, for webhooks, for notifications and for what has to be removed.
QUERIES = 3 + 3 + 3


def writes_in(queries):
    return sum(query.startswith(("INSERT", "UPDATE", "DELETE")) for query in queries)


async def idle_second(postgres, name):
    """Return the queries of about a second, and how many periods of half a second may begin in it.

    On a busy machine, pages that were opened are still being noted for a while, so the first seconds may have more.
    """
    for _ in range(5):
        before, began = len(postgres.queries(name)), time.monotonic()
        await asyncio.sleep(1)
        # On a busy machine, the log is read later.
        queries = postgres.queries(name)[before:]
        most = int(2 * (time.monotonic() - began)) + 1
        if writes_in(queries) <= most and len(queries) <= most * QUERIES:
            break
    return queries, most


async def test_an_idle_server_costs_next_to_nothing(start_server, database_url, postgres, open_page):
    name = database_url.split("/")[3].split("?")[0]
    postgres.log_queries(name)
    server = start_server(database_url=database_url, settings={"LEASE_RENEW_SECONDS": 0.5})
    costs = []
    for tabs, user in zip(range(10), cycle(CAST), strict=False):
        await open_page(server.url, f"{user}@{tabs}", rooms=[1, 2, 3])
        if tabs in (0, 9):
            costs.append(await idle_second(postgres, name))
    report(
        "idle for 1 s, with 1 and with 10 sockets in 3 rooms:"
        f" {[len(queries) for queries, _ in costs]} queries, {[writes_in(queries) for queries, _ in costs]} writes"
    )
    # The lease is renewed twice a second with one write each, for any number of sockets.
    assert all(1 <= writes_in(queries) <= most for queries, most in costs), costs
    # Nothing is asked more often than that, whoever is connected.
    for queries, most in costs:
        asked = Counter(re.sub(r"(?:(?:\d+|'[^']*')(?:, )?)+", "?", query) for query in queries)
        assert max(asked.values()) <= most, asked
        assert len(queries) <= most * QUERIES, asked
