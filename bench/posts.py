"""Posts: clients in closed loop, each sending when its last message is acknowledged after the durable commit.

Each client is in the one room, or in ten of the hundred rooms, and receives what is posted there. *One transaction
each* is the same server, with the same sockets, sessions and rights, that saves each message with the ORM in a
transaction of its own (`bench/contenders/one_by_one.py`). The targets against it: 3 × with 16 clients; with 64
clients 5 × on SQLite and 6 × on PostgreSQL. Two processes share one core here, so that their CPU time for each post
counts: at most 1.2 × that of one process. In the end the database is audited: every acknowledged message is there
exactly once.
"""

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass

from bench import servers
from bench.chatter import Ack, Chatter
from bench.load import Broken, open_sockets
from bench.report import Bars, Part, Row, Rows, percentile, times
from bench.sizes import Sizes
from bench.wire import WORDS

TEXT_BYTES = 60
PATIENCE_SECONDS = 30
# Each client is in this many of the rooms.
ROOMS_OF_CLIENT = 10


@dataclass(frozen=True)
class Figure:
    """What one round has measured."""

    posts: float  # acknowledged a second
    ack_p50: float  # seconds
    ack_p99: float
    cpu: float  # CPU seconds of the server for each post


class Posting:
    """The clients of one server, and all that was acknowledged to them, for the audit."""

    def __init__(self, running: servers.Running, clients: list[Chatter]) -> None:
        self.running = running
        self.clients = clients
        self.acks: dict[str, tuple[int, int]] = {}
        self._sent: dict[str, float] = {}
        self._took: list[float] = []
        self._done: asyncio.Future[None] | None = None
        self._begins = self._ends = 0.0
        self._turns = dict.fromkeys(clients, 0)
        for client in clients:
            client.on_ack = lambda ack, client=client: self._acknowledge(client, ack)  # type: ignore[misc]
            client.on_broken = self._break

    async def measure(self, *, seconds: float, warm_up: float, clients: int | None = None) -> Figure:
        """Let the first `clients` of them post for so many seconds. Raises Broken."""
        self._done = asyncio.get_running_loop().create_future()
        self._took = []
        self._begins = time.perf_counter() + warm_up
        self._ends = self._begins + seconds
        cpu, known = self.running.cpu_seconds(), len(self.acks)
        for client in self.clients[:clients]:
            self._post(client)
        try:
            async with asyncio.timeout(warm_up + seconds + PATIENCE_SECONDS):
                await self._done
        except TimeoutError:
            raise Broken(f"{len(self._sent)} messages were never acknowledged") from None
        cpu = self.running.cpu_seconds() - cpu
        took = sorted(self._took) or [float("nan")]
        return Figure(
            posts=len(self._took) / seconds,
            ack_p50=percentile(took, 0.5),
            ack_p99=percentile(took, 0.99),
            cpu=cpu / max(1, len(self.acks) - known),
        )

    def _post(self, client: Chatter) -> None:
        client_id = str(uuid.uuid4())
        rooms = list(client.heads)
        self._turns[client] += 1
        room = rooms[self._turns[client] % len(rooms)]
        self._sent[client_id] = time.perf_counter()
        text = f"{len(self.acks)} {WORDS}"[:TEXT_BYTES]
        client.send_command(command="send", room=str(room), message=text, client_id=client_id)

    def _acknowledge(self, client: Chatter, ack: Ack) -> None:
        now = time.perf_counter()
        sent = self._sent.pop(ack.client_id, None)
        if sent is None:
            self._break(Broken(f"message {ack.client_id} was acknowledged twice, or never sent"))
            return
        self.acks[ack.client_id] = ack.room, ack.seq
        if self._begins <= now < self._ends:
            self._took.append(now - sent)
        if now < self._ends:
            self._post(client)
        elif not self._sent and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _break(self, error: Broken) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)

    def shrink(self, size: int) -> None:
        """Close clients until `size` are left."""
        for client in self.clients[size:]:
            client.close()
        del self.clients[size:]

    def audit(self) -> None:
        """Compare the database with what was acknowledged. Raises Broken."""
        check_log(servers.ask(self.running.environment, "logged"), self.acks)


def check_log(logged: list[list[object]], acks: dict[str, tuple[int, int]]) -> None:
    """Check that the log has every acknowledged message exactly once, with its number, and no other. Raises Broken."""
    found: dict[str, tuple[int, int]] = {}
    last: dict[int, int] = {}
    for client_id, room, seq in logged:
        assert isinstance(client_id, str) and isinstance(room, int) and isinstance(seq, int)
        if client_id in found:
            raise Broken(f"the log has message {client_id} twice")
        if room in last and seq != last[room] + 1:
            raise Broken(f"room {room}: number {seq} comes after {last[room]} in the log")
        found[client_id], last[room] = (room, seq), seq
    missing = acks.items() - found.items()
    if missing:
        raise Broken(f"{len(missing)} acknowledged messages are not in the log, or elsewhere: {sorted(missing)[:3]}")
    if len(found) > len(acks):
        raise Broken(f"the log has {len(found) - len(acks)} messages that were never acknowledged")


async def open_posting(running: servers.Running) -> Posting:
    """Open all clients of a server. Raises Broken."""
    try:
        return Posting(running, await open_sockets(Chatter, running.dialects, running.port))
    except Broken as error:
        raise Broken(f"{running.name}: {error}") from error


ONE_BY_ONE = "bench.contenders.one_by_one"
BASELINE = "one transaction each"
# Whether each of our servers is grown to other services.
GROWN = "PostgreSQL and Redis"
TWO = f"{GROWN}, two processes"
VARIANTS = {"SQLite": False, GROWN: True}


async def run(sizes: Sizes) -> Part:
    """Measure Multichat and one ORM transaction for each message, on both databases, in alternating rounds."""
    rows, acks, cpu = Rows("posts/s"), Rows("ms"), Rows("ms of CPU")
    for rooms in sizes.post_rooms:
        with contextlib.ExitStack() as stack:
            # All are started before any socket is opened, because starting keeps this loop from answering pings.
            most = max(sizes.post_clients)
            running = [stack.enter_context(servers.started(name, make, most)) for name, make in _makes(rooms)]
            postings = [await open_posting(server) for server in running]
            for clients in sorted(sizes.post_clients, reverse=True):
                for posting in postings:
                    posting.shrink(clients)
                await asyncio.sleep(sizes.settle_seconds)
                setting = f"{rooms} {'room' if rooms == 1 else 'rooms'}, {clients} clients"
                for _ in range(sizes.rounds):
                    for posting in postings:
                        figure = await posting.measure(seconds=sizes.posts_seconds, warm_up=sizes.warm_up)
                        rows.add(setting, posting.running.name, figure.posts)
                        acks.add(setting, posting.running.name, figure.ack_p50 * 1000)
                        cpu.add(setting, posting.running.name, figure.cpu * 1000)
            for posting in postings:
                posting.shrink(0)
                posting.audit()
    charts = [_bars(rows, setting) for setting in rows.settings]
    return Part("Posts", __doc__ or "", _table(rows, acks, cpu), charts, _remarks(cpu))


def _remarks(cpu: Rows) -> list[str]:
    found = []
    for setting in cpu.settings:
        two, one = cpu.median(setting, TWO), cpu.median(setting, GROWN)
        if two is not None:
            found.append(f"{setting}: two processes take {times(two, one)} × the CPU time of one for each post.")
    return found


def _makes(rooms: int) -> list[tuple[str, servers.Make]]:
    joined = min(rooms, ROOMS_OF_CLIENT)
    found = []
    for name, grown in VARIANTS.items():
        make = servers.multichat(grown=grown, rooms=rooms, joined=joined)
        baseline = servers.multichat(grown=grown, rooms=rooms, joined=joined, module=ONE_BY_ONE)
        found += [(name, make), (f"{name}, {BASELINE}", baseline)]
    if rooms == 1:
        two = servers.multichat(grown=True, rooms=rooms, joined=joined, processes=2)
        found.append((TWO, two))
    return found


def _table(rows: Rows, acks: Rows, cpu: Rows) -> list[Row]:
    table: list[Row] = [["", "server", "posts/s", "× one transaction", "ack p50, ms", "CPU ms for each post"]]
    for setting in rows.settings:
        for name in rows.names(setting):
            own = rows.median(setting, name)
            base = rows.median(setting, f"{name.split(', ')[0]}, {BASELINE}")
            ratio = times(own, base)
            table.append(
                [
                    setting,
                    name,
                    f"{own:,.0f}",
                    ratio,
                    f"{acks.median(setting, name):.1f}",
                    f"{cpu.median(setting, name):.2f}",
                ]
            )
    return table


def _bars(rows: Rows, setting: str) -> Bars:
    values = [(name, rows.median(setting, name) or 0) for name in rows.names(setting)]
    own = frozenset(name for name, _ in values if BASELINE not in name)
    return Bars(f"Posts: {setting}", "posts/s", values, own=own)
