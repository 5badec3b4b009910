"""The echo of one message: 200 members, one message in flight, and where its time goes.

The target: no longer than one bare commit on the same disk and twice the echo of the limit.
"""

import asyncio
import contextlib
import json
import sqlite3
import statistics
import sys
import time
from pathlib import Path

from bench import servers
from bench.fanout import LIMIT, Figure, measure, open_club
from bench.report import Bars, Part, Row
from bench.sizes import Sizes
from tests.servers.services import directory

TRACED = "Multichat, SQLite"
COMMITS = 200


async def run(sizes: Sizes) -> Part:
    figures: dict[str, list[Figure]] = {LIMIT: [], TRACED: []}
    commits = []
    with contextlib.ExitStack() as stack:
        traced = servers.multichat(module="bench.contenders.traced")
        makes = {LIMIT: servers.plain(sys.executable, "-m", "bench.contenders.limit"), TRACED: traced}
        members = sizes.members[-1]
        running = [stack.enter_context(servers.started(name, make, members + 1)) for name, make in makes.items()]
        clubs = [await open_club(server) for server in running]
        await asyncio.gather(*(club.until_quiet(sizes.settle_seconds) for club in clubs))
        for _ in range(sizes.rounds):
            commits.append(_bare_commit())
            for club in clubs:
                figure = await measure(club, window=1, seconds=sizes.seconds, warm_up=sizes.warm_up)
                figures[club.running.name].append(figure)
        steps = _steps(Path(running[1].environment["VAR"], "trace.json"))
    commit = statistics.median(commits)
    limit, own = (statistics.median(one.echo_p50 for one in figures[name]) for name in (LIMIT, TRACED))
    budget = commit + 2 * limit
    table: list[Row] = [
        ["", "ms"],
        ["one bare commit on this disk", _ms(commit)],
        [f"echo of the limit, {members} members", _ms(limit)],
        ["budget: one bare commit and twice the limit's echo", _ms(budget)],
        [f"echo of Multichat, {members} members", _ms(own)],
        ["its part of the budget", f"{own / budget:.2f}"],
        *([f"of it: {step}", _ms(seconds)] for step, seconds in steps.items()),
        ["of it: sockets, kernel and load program", _ms(own - sum(steps.values()))],
    ]
    chart = Bars("Where the time of an echo goes", "ms", [(step, value * 1000) for step, value in steps.items()])
    return Part("Echo of one message", __doc__ or "", table, [chart] if steps else [])


def _steps(trace: Path) -> dict[str, float]:
    """Return the median of each step, or nothing when too few messages were sent to know."""
    found: dict[str, float] = json.loads(trace.read_text()) if trace.exists() else {}
    return found


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _bare_commit() -> float:
    """Return how long SQLite takes to commit one row durably, as the median of many."""
    with directory("bench-disk") as path:
        connection = sqlite3.connect(path / "disk.sqlite3", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, body TEXT)")
        took = []
        for _ in range(COMMITS):
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO message (body) VALUES (?)", ["x" * 60])
            connection.execute("COMMIT")
            took.append(time.perf_counter() - began)
        connection.close()
    return statistics.median(took)
