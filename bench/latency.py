"""Echo latency: from the time at which a message was due to be sent until the last member of its room has it.

500 sockets in 50 rooms, ten in each, at 100 and at 1,000 posts a second. The target is 5 ms for the median and 25 ms
for the 99th percentile, on a quiet machine. The first row shows how quiet this one is: a computation on the server's
core that waits for nothing.
"""

import asyncio
import contextlib

from bench import control, servers
from bench.chatter import Chatter
from bench.load import open_sockets
from bench.pace import Pace
from bench.posts import VARIANTS, check_log
from bench.report import Bars, Part, Row, percentile
from bench.sizes import Sizes


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["server", "posts/s", "echo p50, ms", "echo p99, ms", "ack p50, ms", "server CPU"]]
    median, slow = await asyncio.to_thread(control.measure, sizes.latency_seconds)
    table.append(["a computation alone", "", f"{median * 1000:.1f}", f"{slow * 1000:.1f}", "", ""])
    medians = []
    for name, grown in VARIANTS.items():
        with contextlib.ExitStack() as stack:
            make = servers.multichat(grown=grown, rooms=sizes.latency_rooms)
            running = stack.enter_context(servers.started(name, make, sizes.latency_sockets))
            clients = await open_sockets(Chatter, running.dialects, running.port)
            await asyncio.sleep(sizes.settle_seconds)
            pace = Pace(clients)
            await pace.send(rate=50, seconds=sizes.warm_up)
            for rate in sizes.latency_rates:
                cpu = running.cpu_seconds()
                echoes, acks = await pace.send(rate=rate, seconds=sizes.latency_seconds)
                cpu = (running.cpu_seconds() - cpu) / sizes.latency_seconds
                figures = [percentile(echoes, 0.5), percentile(echoes, 0.99), percentile(acks, 0.5)]
                table.append([name, f"{rate:,.0f}", *(f"{figure * 1000:.1f}" for figure in figures), f"{cpu:.0%}"])
                medians.append((f"{name}, {rate:,.0f} posts/s", figures[0] * 1000))
            for client in clients:
                client.close()
            check_log(servers.ask(running.environment, "logged"), pace.acks)
    return Part("Echo latency", __doc__ or "", table, [Bars("Echo latency, median", "ms", medians)])
