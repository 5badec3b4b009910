"""No hot query reads a whole table, on SQLite or PostgreSQL, at any size of the site (tests/servers/big.py)."""

import json
import os
import subprocess
import sys

import pytest

from tests import migrated
from tests.servers.figures import report
from tests.servers.quantities import IS_FULL, Q
from tests.servers.services import BASE, Server, directory

# Making the full-size site takes minutes.
pytestmark = pytest.mark.timeout(3600 if IS_FULL else 120)

# Tables that must not be read whole. Rooms are not among them, because they are listed.
GROWING = ("chat_event", "chat_membership", "chat_mention", "chat_presence", "auth_user", "django_session")

# The most steps of SQLite's virtual machine, by how the function's name begins: the same at every size of the site.
# For 200 users far behind, each count stops at 1,000.
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
    """Return the growing table that a line of a plan reads whole, or None."""
    for table in GROWING:
        if line.startswith(f"SCAN {table}") and "USING" not in line:
            return table
        if f"Seq Scan on {table}" in line:
            return table
    return None


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_hot_query_reads_a_whole_table(database, request):
    url = ""
    if database == "postgresql":
        url = request.getfixturevalue("postgres").create("large", template="empty")
    with directory("large") as state:
        if not url:
            migrated.copy_to(state / "db.sqlite3")
        server = Server(state, database_url=url)
        try:
            options = [] if IS_FULL else ["small"]
            measured = json.loads(python(server, "-m", "tests.servers.plans", *options, "make", str(Q.large_scale)))
        finally:
            server.close()
    for function in measured:
        report(
            f"{database}, {function['name']}: {function['ms']:.1f} ms, "
            f"{function['queries']} queries, {function['steps']} steps"
        )
    wrong: list[tuple[object, ...]] = [
        (function["name"], function["steps"])
        for function in measured
        if function["steps"] > next(most for name, most in MOST_STEPS.items() if function["name"].startswith(name))
    ]
    wrong += [
        (function["name"], table, sql[:200])
        for function in measured
        for sql, plan in function["plans"].items()
        for line in plan
        if (table := reads_whole(line.strip(" ->")))
    ]
    # The index of messages, because edits and reactions may be many. PostgreSQL chooses it only for its whole order.
    wrong += [
        (function["name"], line)
        for function in measured
        if function["name"].startswith("history")
        for plan in function["plans"].values()
        for line in plan
        if "event_room_seq" in line
    ]
    assert wrong == []
