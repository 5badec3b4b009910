"""The machine without a server: a computation on the server's core, a hundred times a second.

It waits for no disk, no socket and no other thread, and its clock runs only while it computes. So the difference
between its median and its 99th percentile is delay that the machine adds to whatever runs there. `measure` runs it,
and `python -m bench.control SECONDS` prints the two figures.
"""

import json
import subprocess
import sys
import time

from bench import servers
from bench.report import percentile

RATE = 100
# This many take about as long as one small transaction of Multichat.
LOOKUPS = 10_000


def measure(seconds: float) -> tuple[float, float]:
    """Return the median and the 99th percentile of one computation, in seconds."""
    command = servers.pinned(servers.SERVER_CORE, [sys.executable, "-m", "bench.control", str(seconds)])
    done = subprocess.run(command, cwd=servers.BASE, stdout=subprocess.PIPE, check=True)
    median, slow = json.loads(done.stdout)
    return median, slow


def _compute(table: dict[int, str]) -> int:
    return sum(len(table[number * 7919 % len(table)]) for number in range(LOOKUPS))


def _run(seconds: float) -> tuple[float, float]:
    table = {number: str(number) for number in range(2 * LOOKUPS)}
    took = []
    began = time.perf_counter()
    for number in range(round(RATE * seconds)):
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        start = time.perf_counter()
        _compute(table)
        took.append(time.perf_counter() - start)
    took.sort()
    return percentile(took, 0.5), percentile(took, 0.99)


if __name__ == "__main__":
    print(json.dumps(_run(float(sys.argv[1]))))
