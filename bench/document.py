"""Writes docs/performance.md and its charts from the results of all parts."""

import os
import platform
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench.charts import svg
from bench.report import Part, Row

BASE = Path(__file__).resolve().parents[1]
DOCUMENT = BASE / "docs" / "performance.md"
CHARTS = BASE / "docs" / "images" / "performance"

# Kept when the page is written again.
BY_HAND = "## Missed targets\n"
HEAD = """# Performance

`script/bench` wrote this page. It starts each contender pinned to one core, loads it from another, and **fails when
a message is missing, doubled or out of order**. Only ratios within one run mean something on another machine. Rounds
alternate between the contenders, and each figure is the median of its rounds.

    script/bench              # everything, and this page
    script/bench fanout       # one part: {parts}
    script/bench data         # makes the large database once, under var/

Every contender does the same work: it receives a command of about 150 bytes and sends each member about 220
bytes. Multichat also checks the author's login and rights, and writes the message durably to its log, before it sends
it. The others neither sign users in nor store anything. Limits are lifted (`LIMITS=off`), as
[configuration.md](configuration.md) describes.
"""


def write(parts: dict[str, Part], *, seconds: float, commands: list[str], failed: list[str]) -> None:
    """Write the page and its charts. `failed` names parts without a result."""
    CHARTS.mkdir(parents=True, exist_ok=True)
    for old in CHARTS.glob("*.svg"):
        old.unlink()
    lines = [HEAD.format(parts=", ".join(commands)), "## Machine and versions", ""]
    lines += [f"- {line}" for line in machine()]
    lines += [f"- This run took {seconds / 60:.0f} minutes.", ""]
    if failed:
        lines += [f"**These parts failed in this run: {', '.join(failed)}.**", ""]
    for name, part in parts.items():
        lines += [f"## {part.title}", "", part.about.strip(), ""]
        lines += markdown(part.table)
        for remark in part.remarks:
            lines += ["", remark]
        for failure in part.failures:
            lines += ["", f"**Failed:** {failure}"]
        for number, chart in enumerate(part.charts, 1):
            path = CHARTS / f"{name}-{number}.svg"
            path.write_text(svg(chart))
            lines += ["", f"![{chart.title}](images/performance/{path.name})"]
        lines.append("")
    DOCUMENT.write_text("\n".join(lines).rstrip() + "\n" + by_hand())


def by_hand() -> str:
    """Return the section of the page that is written by hand, as it is now; its figures are of the run before."""
    before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    _, heading, section = before.partition(BY_HAND)
    return f"\n{heading}{section}" if heading else ""


def markdown(table: list[Row]) -> list[str]:
    """Return a table in Markdown. A first cell that repeats the one above is left empty."""
    if not table:
        return []
    lines = [f"| {' | '.join(table[0])} |", "|" + "---|" * len(table[0])]
    before = ""
    for row in table[1:]:
        lines.append(f"| {' | '.join([row[0] if row[0] != before else '', *row[1:]])} |")
        before = row[0]
    return lines


def machine() -> list[str]:
    """Return what the figures depend on: processor, memory, system and versions."""
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    packages = [
        "Django",
        "channels",
        "channels-redis",
        "uvicorn",
        "uvloop",
        "websockets",
        "daphne",
        "psycopg",
        "msgspec",
    ]
    return [
        f"Measured on {datetime.now(UTC):%Y-%m-%d}.",
        f"Processor: {cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"
        + (f", {int(memory[1]) // 2**20} GiB of memory." if memory else "."),
        f"System: {platform.system()} {platform.release()}.",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + ".",
        ", ".join(found for command in COMMANDS if (found := _first_line(command))) + ".",
        f"Multichat {_commit()}.",
    ]


COMMANDS = [["node", "--version"], ["redis-server", "--version"], ["psql", "--version"]]


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return ""
    text = done.stdout.splitlines()[0]
    if command[0] == "redis-server":
        return "Redis " + text.partition("v=")[2].split()[0]
    return f"Node.js {text}" if command[0] == "node" else text


def _commit() -> str:
    try:
        describe = ["git", "-C", str(BASE), "describe", "--always", "--dirty"]
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "without git"


if __name__ == "__main__":
    print("\n".join(machine()), file=sys.stdout)
