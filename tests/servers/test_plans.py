"""No hot query reads a whole table, on either database, however large the site is (tests/servers/big.py)."""

import json
import os
import subprocess
import sys

import pytest

from tests.servers.figures import report
from tests.servers.quantities import IS_FULL, Q
from tests.servers.services import BASE, Server, directory

# Making the full size takes minutes.
pytestmark = pytest.mark.timeout(3600 if IS_FULL else 120)

# Rooms are listed, and looked at together, by their nature.
GROWING = ("chat_event", "chat_membership", "chat_mention", "chat_presence", "auth_user", "django_session")

# Steps of SQLite's virtual machine, by the first words of the work: the same at every size of the site.
# 200 users far behind: each of their counts ends at 1,000.
MOST_STEPS = {"history": 8_000, "unread: 200 users far behind": 4_000_000, "unread: news": 100_000, "": 60_000}


def python(server, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=BASE,
        env=server.environment | {"PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
        timeout=3600,
    )
    return done.stdout


def reads_whole(line):
    """Return the table that a line of a plan reads from one end to the other, if it is one that grows."""
    for table in GROWING:
        if line.startswith(f"SCAN {table}") and "USING" not in line:
            return table
        if f"Seq Scan on {table}" in line:
            return table
    return None


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_hot_query_reads_a_whole_table(database, request):
    url = request.getfixturevalue("postgres").create("large") if database == "postgresql" else ""
    with directory("large") as state:
        server = Server(state, database_url=url)
        try:
            python(server, "-m", "tests.servers.big", str(Q.large_scale))
            measured = json.loads(python(server, "-m", "tests.servers.plans", *([] if IS_FULL else ["small"])))
        finally:
            server.close()
    for work in measured:
        report(f"{database}, {work['name']}: {work['ms']:.1f} ms, {work['queries']} queries, {work['steps']} steps")
    wrong: list[tuple[object, ...]] = [
        (work["name"], work["steps"])
        for work in measured
        if work["steps"] > next(most for name, most in MOST_STEPS.items() if work["name"].startswith(name))
    ]
    wrong += [
        (work["name"], table, sql[:200])
        for work in measured
        for sql, plan in work["plans"].items()
        for line in plan
        if (table := reads_whole(line.strip(" ->")))
    ]
    assert wrong == []
