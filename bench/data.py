"""The large databases, made once by `script/bench data` and kept: 10,000 rooms, 100,000 users, 10,000,000 events.

`script/bench data 0.1` makes smaller ones. Parts that need them say how large they are, or that there are none. Search
has databases of its own, with 1,000,000 messages whose words are drawn as in natural language.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import servers
from bench.servers import BASE
from tests.servers.services import Postgres, directory

PLACE = BASE / "var" / "bench"
# The server of PostgreSQL refuses root, and its own user may not enter var/.
CLUSTER = PLACE / "postgres" if os.geteuid() else Path("/var/tmp/multichat-bench-postgres")
KINDS = ("SQLite", "PostgreSQL")
MESSAGES = 1_000_000


def make(scale: float) -> None:
    """Make both databases, unless they are there in this size."""
    PLACE.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        if scale_of(kind) == scale:
            continue
        began = time.monotonic()
        with _new(kind) as environments:
            for program, arguments in (("big", [str(scale)]), ("bench_search", [str(MESSAGES), "--make"])):
                command = [sys.executable, "-m", f"tests.servers.{program}", *arguments]
                subprocess.run(command, cwd=BASE, env=environments[program], check=True)
        _note(kind).write_text(json.dumps({"scale": scale, "messages": MESSAGES}))
        print(f"data, {kind}: {time.monotonic() - began:.0f} s", flush=True)


def scale_of(kind: str) -> float | None:
    """Return the scale of a kind's databases, or None when one of them is missing."""
    try:
        note = json.loads(_note(kind).read_text())
        return float(note["scale"]) if note["messages"] == MESSAGES else None
    except (OSError, ValueError, KeyError):
        return None


def describe(kind: str) -> str:
    """Return how large a database is."""
    scale = scale_of(kind) or 0
    return f"{kind}, {10_000 * scale:,.0f} rooms, {100_000 * scale:,.0f} users, {10_000_000 * scale:,.0f} events"


MISSING = "There was no large database when this was measured: `script/bench data` makes it."


@contextlib.contextmanager
def opened(kind: str, name: str = "big") -> Iterator[dict[str, str]]:
    """Run what a database needs, and return the environment of a Multichat server on it.

    `name`: "big", or "bench_search" for the database of search.
    """
    with contextlib.ExitStack() as stack:
        environment = servers.multichat_environment(stack.enter_context(directory("bench")))
        if kind == "SQLite":
            environment["DATABASE_URL"] = f"sqlite:///{_sqlite(name)}"
        else:
            cluster: Any = Postgres(CLUSTER)  # type: ignore[no-untyped-call]
            cluster.start_again()
            stack.callback(cluster.stop)
            environment |= {"DATABASE_URL": cluster.url(name), "REDIS_URL": stack.enter_context(servers.redis())}
        yield environment


@contextlib.contextmanager
def _new(kind: str) -> Iterator[dict[str, dict[str, str]]]:
    """Yield an environment for each of the new databases, by name."""
    names = ("big", "bench_search")
    _note(kind).unlink(missing_ok=True)
    environment = os.environ | servers.multichat_environment(PLACE)
    if kind == "SQLite":
        for name in names:
            for suffix in ("", "-wal", "-shm"):
                _sqlite(name).with_name(_sqlite(name).name + suffix).unlink(missing_ok=True)
        yield {name: environment | {"DATABASE_URL": f"sqlite:///{_sqlite(name)}"} for name in names}
        return
    subprocess.run(["rm", "-rf", str(CLUSTER)], check=True)
    CLUSTER.mkdir(parents=True)
    cluster: Any = Postgres(CLUSTER)  # type: ignore[no-untyped-call]
    cluster.start(locale="C.UTF-8")  # pg_trgm finds no letters but those of ASCII in C
    try:
        yield {name: environment | {"DATABASE_URL": cluster.create(name)} for name in names}
        # Committed data is safe, but the statistics of an immediate stop are not.
        cluster.execute("big", "CHECKPOINT")
    finally:
        cluster.stop()


def _sqlite(name: str) -> Path:
    return PLACE / f"{name}.sqlite3"


def _note(kind: str) -> Path:
    return PLACE / f"{kind.lower()}.json"
