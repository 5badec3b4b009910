"""Reconnect storm: all sockets are cut at once, each room gets messages, and all sockets come back with one `resume`.

A socket is current when it has every missed message of all its rooms, in order and without a hole. Meanwhile other
sockets stay connected and post, from a process of their own. The targets: all are current within 30 s, and no message
takes longer than 1 s to the sockets that stayed.
"""

import asyncio
import contextlib
import json
import time

from bench import servers
from bench.chatter import Chatter
from bench.load import Broken, Dialect
from bench.report import Part, Row
from bench.sizes import Sizes
from bench.staying import Staying

LIVE = 20
PATIENCE_SECONDS = 200
# Handshakes that are under way at once. The kernel's queue holds no more.
AT_ONCE = 500


class Returning(Chatter):
    """Comes back with its cursors. `current` is done when it has everything up to the targets."""

    targets: dict[int, int] = {}
    cursors: dict[int, int] = {}
    joined: set[int]
    current: asyncio.Future[None]

    def begin(self, cursors: dict[int, int], targets: dict[int, int]) -> None:
        self.cursors, self.targets = cursors, targets
        # A room's head grows from the cursor on, so an event that is missing is found.
        self.heads = dict(cursors)
        self.joined: set[int] = set()
        self.current = asyncio.get_running_loop().create_future()
        self.on_events = self._advance
        self.on_frame = self._answer_join
        self.on_broken = self._fail
        rooms = {str(room): {"since": since} for room, since in cursors.items()}
        self.send_command(command="resume", rooms=rooms)

    def _answer_join(self, payload: bytes) -> None:
        if payload.startswith(b'{"join"'):
            joined = json.loads(payload)
            if joined.get("reset"):
                self._fail(Broken(f"room {joined['join']} was reset"))
            self.joined.add(int(joined["join"]))
            self._check()

    def _advance(self, room: int, first: int, last: int) -> None:
        if last >= self.targets[room]:
            self._check()

    def _check(self) -> None:
        has_all = all(self.heads[room] >= target for room, target in self.targets.items())
        if has_all and len(self.joined) == len(self.targets) and not self.current.done():
            self.current.set_result(None)

    def _fail(self, error: Broken) -> None:
        if not self.current.done():
            self.current.set_exception(error)


async def come_back(
    dialects: list[Dialect], port: int, cursors: list[dict[int, int]], targets: dict[int, int]
) -> list[Returning]:
    """Connect all sockets at once and wait until each is current. Raises Broken."""
    slots = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()

    async def one(dialect: Dialect, own: dict[int, int]) -> Returning:
        async with slots:
            client = Returning(dialect, f"127.0.0.1:{port}")
            await loop.create_connection(lambda: client, "127.0.0.1", port)
            await client.ready
            client.begin(own, {room: targets[room] for room in own})
        await client.current
        return client

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await asyncio.gather(*(one(*pair) for pair in zip(dialects, cursors, strict=True)))
    except TimeoutError:
        raise Broken(f"not all sockets were current after {PATIENCE_SECONDS} s") from None


async def run(sizes: Sizes) -> Part:
    table: list[Row] = [
        [
            "server",
            "sockets",
            "rooms each",
            "missed in each room",
            "all current, s",
            "slowest live echo, s",
            "load program",
        ]
    ]
    with contextlib.ExitStack() as stack:
        make = servers.multichat(rooms=sizes.storm_rooms)
        running = stack.enter_context(servers.started("SQLite", make, sizes.storm_sockets + LIVE))
        returning = running.dialects[:-LIVE]
        for dialect in returning:
            dialect.answers, dialect.ready = {}, None
        rooms = range(1, sizes.storm_rooms + 1)
        each = min(sizes.storm_rooms_each, sizes.storm_rooms)
        own = [[rooms[(number * 7 + step) % len(rooms)] for step in range(each)] for number in range(len(returning))]
        staying = await asyncio.to_thread(Staying, running.dialects[-LIVE:], running.port)
        stack.callback(staying.close)
        cursors = [dict.fromkeys(mine, 0) for mine in own]
        clients = await come_back(returning, running.port, cursors, dict.fromkeys(rooms, 0))
        await asyncio.sleep(sizes.settle_seconds)
        for client in clients:
            client.close()
        servers.ask(running.environment, "post", sizes.storm_missed)
        # The live sockets have seen these messages too.
        await asyncio.sleep(sizes.settle_seconds)
        staying.post()
        began, cpu = time.perf_counter(), time.process_time()
        clients = await come_back(returning, running.port, cursors, dict.fromkeys(rooms, sizes.storm_missed))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        slowest = max(await staying.stop())
        load = f"{cpu / took:.0%} of its core" + (", so it is the limit" if cpu / took > 0.9 else "")
        table.append(
            ["SQLite", f"{len(clients):,}", str(each), str(sizes.storm_missed), f"{took:.1f}", f"{slowest:.2f}", load]
        )
        for client in clients:
            client.close()
    return Part("Reconnect storm", __doc__ or "", table)
