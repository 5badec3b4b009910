"""The definitions of the public Campfire comparison (`basecamp/once-campfire-verification`), done again here.

**posts**: 16 clients in closed loop, 2 s of warm-up, 3 × 8 s, and every acknowledged post audited in the database,
exactly once. **cable**: 1,000 subscribers of one room and 4 or 64 posters in closed loop; a message counts when
*all* have it. **overload**: posts are sent at twice the rate of 64 posters in closed loop, and none may be
acknowledged and lost. **reconnect**: the server is killed and started again while messages are posted; the blackout
lasts from the cut until all 1,000 sockets have joined again and have what they missed, and all come back at once.

The differences: their post is an HTTP request that also renders HTML, and its server has four fast cores. Ours is a
frame on an open socket, and its server has one core. Both write a row of the search index. In *posts* each of our
posters also receives all messages. Published for *posts*: Django 262 a second, Rails 330, Express 2,155, Rust 8,037,
Go 9,021.
"""

import asyncio
import contextlib
import statistics
import time

from bench import servers
from bench.chatter import Chatter
from bench.load import Broken, open_sockets
from bench.pace import Pace
from bench.posts import Posting, check_log, open_posting
from bench.report import Bars, Part, Row, percentile
from bench.sizes import Sizes
from bench.storm import come_back

PUBLISHED = {"Django": 262.0, "Rails": 330.0, "Express": 2155.0, "Rust": 8037.0, "Go": 9021.0}
POSTERS = 16


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["definition", "setting", "figure", ""]]
    posts = await _posts(sizes)
    table.append(["posts", f"{POSTERS} clients", f"{posts:,.0f} posts/s", "each audited"])
    table += await _cable(sizes)
    table.append(await _overload(sizes))
    table.append(await _reconnect(sizes))
    values = [("Multichat, one core", posts), *((f"{name}, four cores", value) for name, value in PUBLISHED.items())]
    chart = Bars("Posts by Campfire's definition", "posts/s", values, own=frozenset({"Multichat, one core"}))
    return Part("Campfire's definitions", __doc__ or "", table, [chart])


async def _posts(sizes: Sizes) -> float:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(servers.started("SQLite", servers.multichat(), POSTERS))
        posting = await open_posting(running)
        await asyncio.sleep(sizes.settle_seconds)
        await posting.measure(seconds=sizes.campfire_warm_up, warm_up=0)
        figures = [(await posting.measure(seconds=sizes.campfire_seconds, warm_up=0)).posts for _ in range(3)]
        _close(posting.clients)
        posting.audit()
        return statistics.median(figures)


async def _cable(sizes: Sizes) -> list[Row]:
    rows = []
    with contextlib.ExitStack() as stack:
        count = sizes.subscribers + max(sizes.posters)
        running = stack.enter_context(servers.started("SQLite", servers.multichat(), count))
        clients = await open_sockets(Chatter, running.dialects, running.port)
        posting = Posting(running, clients)
        await asyncio.sleep(sizes.settle_seconds)
        for posters in sizes.posters:
            complete = Complete(clients)
            began, acked = time.perf_counter(), len(posting.acks)
            await posting.measure(seconds=sizes.cable_seconds, warm_up=0, clients=posters)
            await complete.until(posting.acks)
            took = time.perf_counter() - began
            messages = len(posting.acks) - acked
            rows.append(
                [
                    "cable",
                    f"{sizes.subscribers:,} subscribers, {posters} posters",
                    f"{messages / took:,.0f} complete messages/s",
                    f"{messages * len(clients) / took:,.0f} deliveries/s",
                ]
            )
        _close(clients)
        posting.audit()
    return rows


class Complete:
    """Waits until all clients have all messages."""

    def __init__(self, clients: list[Chatter]) -> None:
        self._clients = clients

    async def until(self, acks: dict[str, tuple[int, int]]) -> None:
        """Raises Broken when they do not have them after a minute."""
        last = max(seq for _, seq in acks.values())
        until = time.perf_counter() + 60
        while behind := sum(client.heads[1] < last for client in self._clients):
            if time.perf_counter() > until:
                raise Broken(f"{behind} sockets do not have all messages")
            await asyncio.sleep(0.01)


async def _overload(sizes: Sizes) -> Row:
    clients = max(sizes.posters)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(servers.started("SQLite", servers.multichat(), clients))
        posting = await open_posting(running)
        await asyncio.sleep(sizes.settle_seconds)
        closed = await posting.measure(seconds=sizes.campfire_warm_up, warm_up=0)
        before = dict(posting.acks)
        pace = Pace(posting.clients, retries=True)
        rate = max(2 * closed.posts, 50)
        began = time.perf_counter()
        _, acks = await pace.send(rate=rate, seconds=sizes.campfire_warm_up)
        took = time.perf_counter() - began
        _close(posting.clients)
        check_log(servers.ask(running.environment, "logged"), before | pace.acks)
        slow = percentile(acks, 0.99)
    return [
        "overload",
        f"{rate:,.0f} posts/s offered",
        f"{len(acks) / took:,.0f} posts/s acknowledged",
        f"none lost or doubled; ack p99 {slow:.1f} s; {pace.refused:,} answers asked to send again later",
    ]


async def _reconnect(sizes: Sizes) -> Row:
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(servers.started("SQLite", servers.multichat(), sizes.subscribers))
        dialects = running.dialects
        for dialect in dialects:
            dialect.answers, dialect.ready = {}, None
        nothing = [{1: 0} for _ in dialects]
        clients = await come_back(dialects, running.port, nothing, {1: 0})
        await asyncio.sleep(sizes.settle_seconds)
        for client in clients:
            client.is_closing = True
        began = time.perf_counter()
        running.kill()
        servers.ask(running.environment, "post", sizes.storm_missed)
        posted = time.perf_counter()
        running.start()
        back = await come_back(dialects, running.port, nothing, {1: sizes.storm_missed})
        now = time.perf_counter()
        _close([*clients, *back])
    return [
        "reconnect",
        f"{sizes.subscribers:,} sockets, {sizes.storm_missed} messages missed",
        f"{now - began:.1f} s from the cut until all are current",
        f"{now - posted:.1f} s of it after the server was started again",
    ]


def _close(clients: list[Chatter]) -> None:
    for client in clients:
        client.close()
