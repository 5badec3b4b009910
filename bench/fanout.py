"""Fan-out: one room, one sender, and every member receives every message; deliveries a second on one server core.

Where a server's core is not busy, the load program or the way there and back is the limit, so the ratio to it is too
high. The targets: with 2,000 members 0.55 × the limit and 1.0 × socket.io with one message in flight, 0.65 and 1.2
with four; with 200 members 0.5 and 0.7 with four, 1.0 × socket.io with sixteen; 15 × the tutorials' way throughout.
"""

import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass

from bench import servers
from bench.load import Broken, Member, Socket, Stream, TooSlow, open_sockets
from bench.report import Bars, Part, Row, Rows, percentile, times
from bench.sizes import Sizes
from bench.wire import send_command

TEXT_BYTES = 60
PATIENCE_SECONDS = 20
# A server that uses less than this share of a core counts as idle. Keeping thousands of sockets takes some.
IDLE_SHARE = 0.1
FEW = 5
# A contender whose message takes longer than this is not measured with more of them in flight: each round would take
# minutes, and say no more.
MOST_ECHO_SECONDS = 3.0
# One whose message takes longer than this is measured in one round alone.
ONE_ROUND_ECHO_SECONDS = 0.8
LIMIT, BEST, TUTORIAL = "the limit", "socket.io", "tutorials' way, uvicorn"


@dataclass(frozen=True)
class Figure:
    """What one round has measured."""

    deliveries: float  # a second
    echo_p50: float  # seconds from the send to the last member
    server_cpu: float  # seconds of the server's CPU for each second


class Club:
    """A contender's room: its members, and the sender."""

    def __init__(self, running: servers.Running, members: list[Member], sender: Socket) -> None:
        self.running = running
        self.members = members
        self.sender = sender

    def shrink(self, size: int) -> None:
        """Let members leave until `size` are left."""
        for member in self.members[size:]:
            member.stream = None
            member.leave()
        del self.members[size:]

    async def until_quiet(self, seconds: float) -> None:
        """Wait until no frame has come for so long while the server was idle, but not for over PATIENCE_SECONDS.

        Multichat announces who entered or left, and that is no message. Some contenders take seconds to end thousands
        of sockets, on the core that all share.
        """
        until = time.perf_counter() + PATIENCE_SECONDS
        count, cpu = -1, 0.0
        while time.perf_counter() < until:
            before, cpu_before = count, cpu
            count, cpu = sum(member.count for member in self.members), self.running.cpu_seconds()
            if before == count and cpu - cpu_before < IDLE_SHARE * seconds:
                return
            for member in self.members:
                member.stream = None
            await asyncio.sleep(seconds)
        print(f"bench: {self.running.name} is still busy; its neighbours are measured beside that", file=sys.stderr)


async def open_club(running: servers.Running) -> Club:
    """Open a socket for each client of a contender; the last one is the sender."""
    *dialects, sending = running.dialects
    members = await open_sockets(Member, dialects, running.port)
    [sender] = await open_sockets(Socket, [sending], running.port)
    return Club(running, members, sender)


async def measure(club: Club, *, window: int, seconds: float, warm_up: float) -> Figure:
    """Send as fast as all members receive, with `window` messages in flight. Raises Broken."""
    return await Round(club, window=window, seconds=seconds, warm_up=warm_up).measure()


class Round:
    def __init__(self, club: Club, *, window: int, seconds: float, warm_up: float) -> None:
        self._club = club
        self._window = window
        self._seconds = seconds
        self._warm_up = warm_up
        self._sent_at: list[float] = []
        self._took: list[float] = []
        self._took_after: list[float] = []
        self._last = 0.0
        self._completed = 0
        self._begins = self._ends = float("inf")
        self._cpu = 0.0
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stream = Stream(len(club.members), self._complete, self._break)
        for member in club.members:
            member.listen(stream)

    async def measure(self) -> Figure:
        self._begins = time.perf_counter() + self._warm_up
        self._ends = self._begins + self._seconds
        cpu, began = self._club.running.cpu_seconds(), time.perf_counter()
        for _ in range(self._window):
            self._send()
        try:
            async with asyncio.timeout(self._warm_up + self._seconds + PATIENCE_SECONDS):
                await self._done
        except TimeoutError:
            raise TooSlow(
                f"{len(self._sent_at)} messages were sent and {self._completed} have reached all "
                f"{len(self._club.members)} sockets; the sender received {self._club.sender.errors[:1]}"
            ) from None
        cpu = self._club.running.cpu_seconds() - cpu
        took, seconds = self._took, self._seconds
        if len(took) < FEW:
            # A slow contender completes few messages in the time, so those count that were completed after it.
            took, seconds = took + self._took_after, self._last - self._begins
        return Figure(
            deliveries=len(took) * len(self._club.members) / seconds,
            echo_p50=percentile(sorted(took), 0.5),
            server_cpu=cpu / (time.perf_counter() - began),
        )

    def _send(self) -> None:
        number = len(self._sent_at) + 1
        self._sent_at.append(time.perf_counter())
        sender = self._club.sender
        sender.send(sender.dialect.wrap(send_command(number, TEXT_BYTES)))

    def _complete(self, number: int, at: float) -> None:
        self._completed += 1
        if at >= self._begins:
            (self._took if at < self._ends else self._took_after).append(at - self._sent_at[number - 1])
            self._last = at
        if at < self._ends:
            self._send()
        elif self._completed == len(self._sent_at) and not self._done.done():
            self._done.set_result(None)

    def _break(self, error: Broken) -> None:
        if not self._done.done():
            self._done.set_exception(error)


async def run(sizes: Sizes) -> Part:
    """Measure all contenders with many and with few members, in rounds that alternate between them."""
    rows = Rows("deliveries/s")
    echoes = Rows("ms")
    cpu = Rows("share of a core")
    with contextlib.ExitStack() as stack:
        # All are started before any socket is opened, because starting keeps this loop from answering pings.
        running = [
            stack.enter_context(servers.started(name, make, sizes.members[0] + 1))
            for name, make in servers.contenders().items()
            if not sizes.contenders or name in sizes.contenders
        ]
        clubs: list[Club] = []
        failures: list[str] = []
        slow: list[str] = []
        for server in running:
            try:
                clubs.append(await open_club(server))
            except Broken as error:
                failures.append(f"{server.name}, {len(server.dialects):,} sockets: {error}")
        for members in sizes.members:
            for club in clubs:
                club.shrink(members)
            await asyncio.gather(*(club.until_quiet(sizes.settle_seconds) for club in clubs))
            waiting: set[str] = set()
            for window in sizes.windows:
                setting = f"{members:,} members, {window} in flight"
                for number in range(sizes.rounds):
                    for club in [club for club in clubs if club.running.name not in waiting]:
                        if number and _is_over(echoes.median(setting, club.running.name), ONE_ROUND_ECHO_SECONDS):
                            continue
                        try:
                            figure = await _measure(club, window, sizes)
                        except Broken as error:
                            # Its later rounds would compare with what is left of this one.
                            is_other = not club.running.is_own
                            (slow if is_other and isinstance(error.__cause__, TooSlow) else failures).append(str(error))
                            clubs.remove(club)
                            continue
                        rows.add(setting, club.running.name, figure.deliveries)
                        echoes.add(setting, club.running.name, figure.echo_p50 * 1000)
                        cpu.add(setting, club.running.name, figure.server_cpu)
                names = [club.running.name for club in clubs]
                late = {name for name in names if _is_over(echoes.median(setting, name), MOST_ECHO_SECONDS)}
                slow += [
                    f"{name}: not measured with more than {window} in flight to {members:,} members, because a "
                    f"message takes over {MOST_ECHO_SECONDS:.0f} s then."
                    for name in sorted(late - waiting)
                    if window != sizes.windows[-1]
                ]
                waiting |= late
    charts = [_bars(rows, setting) for setting in rows.settings]
    return Part("Fan-out", __doc__ or "", _table(rows, echoes, cpu), charts, [*_remarks(), *slow], failures)


def _is_over(echo: float | None, seconds: float) -> bool:
    return echo is not None and echo > seconds * 1000


def _remarks() -> list[str]:
    """Return which contenders are missing, and why."""
    remarks = []
    if "ejabberd" not in servers.contenders():
        remarks.append("ejabberd is not measured, because it is not installed (Debian: apt-get install ejabberd).")
    if not servers.has_node_packages():
        remarks.append("Node's contenders are not measured, because their packages are not installed.")
    if not servers.has_daphne():
        remarks.append("The tutorials' way on daphne is not measured, because daphne is not installed.")
    return remarks


async def _measure(club: Club, window: int, sizes: Sizes) -> Figure:
    try:
        return await measure(club, window=window, seconds=sizes.seconds, warm_up=sizes.warm_up)
    except Broken as error:
        raise Broken(f"{club.running.name}, {len(club.members)} members, {window} in flight: {error}") from error


def _table(rows: Rows, echoes: Rows, cpu: Rows) -> list[Row]:
    head = ["", "contender", "deliveries/s", "× limit", "× socket.io", "× tutorials", "echo p50, ms", "server CPU"]
    table: list[Row] = [head]
    for setting in rows.settings:
        for name in rows.names(setting):
            own = rows.median(setting, name)
            ratios = [times(own, rows.median(setting, other)) for other in (LIMIT, BEST, TUTORIAL)]
            measured = [f"{echoes.median(setting, name):.2f}", f"{cpu.median(setting, name):.0%}"]
            table.append([setting, name, f"{own:,.0f}", *ratios, *measured])
    return table


def _bars(rows: Rows, setting: str) -> Bars:
    values = [(name, rows.median(setting, name) or 0) for name in rows.names(setting)]
    own = frozenset(name for name, _ in values if name.startswith("Multichat"))
    return Bars(f"Fan-out: {setting}", "deliveries/s", values, own=own)
