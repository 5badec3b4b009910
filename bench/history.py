"""A page of 50 messages of history over one socket: at any depth of a large room, and behind many edits and reactions.

The target is 3 ms for the median at any depth, on both databases.
"""

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Callable

from bench import data, servers
from bench.chatter import Chatter
from bench.load import Broken, open_sockets
from bench.report import Part, Row, percentile
from bench.sizes import Sizes

# Rooms of tests.servers.big: room 1 has a fifth of all events, and the newest events of room 2 are edits and reactions.
DEEP, EDITED = 1, 2


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [["database", "page", "p50, ms", "p99, ms"]]
    remarks = []
    for kind in data.KINDS:
        if data.scale_of(kind) is None:
            remarks.append(f"{kind}: {data.MISSING}")
            continue
        with contextlib.ExitStack() as stack:
            running, [cookie] = start_on_large(stack, kind, users=1)
            dialect = servers.chat_dialect(running.port, cookie, [str(DEEP), str(EDITED)])
            [client] = await open_sockets(Chatter, [dialect], running.port)
            head = client.heads[DEEP]
            chance = random.Random(1)
            pages: dict[str, Callable[[], dict[str, object]]] = {
                f"newest of {head:,} events": lambda: {"room": str(DEEP)},
                f"anywhere in {head:,} events": lambda: {"room": str(DEEP), "before": chance.randint(51, head)},  # noqa: B023
                "oldest": lambda: {"room": str(DEEP), "before": 60},
                f"newest, behind edits, reactions, of {client.heads[EDITED]:,} events": lambda: {"room": str(EDITED)},
            }
            for name, question in pages.items():
                took = sorted([await _ask(client, question()) for _ in range(sizes.pages)])
                figures = [f"{percentile(took, share) * 1000:.1f}" for share in (0.5, 0.99)]
                table.append([data.describe(kind), name, *figures])
            client.close()
    return Part("History", __doc__ or "", table, remarks=remarks)


def start_on_large(stack: contextlib.ExitStack, kind: str, users: int) -> tuple[servers.Running, list[str]]:
    """Start Multichat on a large database; return it and the Cookie headers of some users."""
    environment = stack.enter_context(data.opened(kind))
    cookies = servers.ask(environment, "sign_in_some", users)
    command = [sys.executable, "-m", "multichat.server", "--fd"]
    running = stack.enter_context(
        servers.started(kind, lambda port, clients, stack: servers.Plan(command, [], environment), 0)
    )
    return running, cookies


async def _ask(client: Chatter, question: dict[str, object]) -> float:
    """Ask for a page and return how long it took. Raises Broken when it is not the page that was asked for."""
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    client.on_frame = lambda payload: answer.set_result(payload) if payload.startswith(b'{"history"') else None
    client.on_broken = answer.set_exception
    began = time.perf_counter()
    client.send_command(command="history", limit=50, **question)
    async with asyncio.timeout(30):
        payload = await answer
    took = time.perf_counter() - began
    if payload.count(b'"msg_type"') != 50:
        raise Broken(f"a page of {payload.count(b'msg_type')} messages: {payload[:200]!r}")
    return took
