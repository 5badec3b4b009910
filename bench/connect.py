"""Connect, sign in and join: sockets a second of one process, and its memory for each idle socket that has joined.

Each socket has a user and a web session of its own. The targets are 400 a second, 45 KB, and 1 % of a core for 1,000
idle sockets. Published by others, for their own servers: Rust 33 KB, Centrifugo 30 KB, Rails 147 KB.
"""

import asyncio
import contextlib
import time

from bench import servers
from bench.chatter import Chatter
from bench.load import open_sockets
from bench.report import Part, Row
from bench.sizes import Sizes

ROOMS = 100


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["sockets", "connect + session + join, a second", "KB for each socket", "idle CPU"]]
    with contextlib.ExitStack() as stack:
        make = servers.multichat(rooms=ROOMS)
        running = stack.enter_context(servers.started("SQLite", make, sizes.sockets))
        # Imports and caches of the first sockets do not count as memory of the others.
        few = sizes.sockets // 10
        clients = await open_sockets(Chatter, running.dialects[:few], running.port)
        await asyncio.sleep(sizes.settle_seconds)
        table.append([f"{few:,}", "", "", f"{await _idle(running, sizes):.1%}"])
        before, began = running.memory(), time.perf_counter()
        clients += await open_sockets(Chatter, running.dialects[few:], running.port)
        rate = (sizes.sockets - few) / (time.perf_counter() - began)
        await asyncio.sleep(sizes.settle_seconds)
        memory = (running.memory() - before) / (sizes.sockets - few) / 1000
        table.append([f"{len(clients):,}", f"{rate:,.0f}", f"{memory:.0f}", f"{await _idle(running, sizes):.1%}"])
        if errors := [client.errors for client in clients if client.errors]:
            raise RuntimeError(f"sockets were closed: {errors[0]}")
        for client in clients:
            client.close()
    return Part("Connections", __doc__ or "", table)


async def _idle(running: servers.Running, sizes: Sizes) -> float:
    """Return the share of a core that the server takes while no client asks anything."""
    cpu, began = running.cpu_seconds(), time.perf_counter()
    await asyncio.sleep(sizes.idle_seconds)
    return (running.cpu_seconds() - cpu) / (time.perf_counter() - began)
