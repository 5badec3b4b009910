"""A server that measures the CPU time of its event loop's steps: python -m tests.servers.probe --fd 3.

A step is everything the loop does between two turns of the probe, which come every 5 ms while the loop is idle. That is
at least one whole iteration, so a figure is never too small. It is the CPU time of the loop's thread, so it does not
depend on the load of the machine. The largest step so far is in VAR/loop-step, in seconds; deleting the file resets it.
"""

import asyncio
import os
import time
from pathlib import Path

from multichat import server
from tests.servers.services import LOOP_STEP

PERIOD_SECONDS = 0.005


class Steps:
    """The largest step so far, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._largest = -1.0

    def record(self, seconds: float) -> None:
        if not self._path.exists():
            self._largest = -1.0
        if seconds > self._largest:
            self._largest = seconds
            self._path.write_text(str(seconds))


async def measure_steps(steps: Steps) -> None:
    steps.record(0.0)
    while True:
        start = time.thread_time()
        await asyncio.sleep(PERIOD_SECONDS)
        steps.record(time.thread_time() - start)


class ProbedServer(server.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.probe = asyncio.create_task(measure_steps(Steps(Path(os.environ["VAR"]) / LOOP_STEP)))


if __name__ == "__main__":
    server.Server = ProbedServer  # type: ignore[misc]
    server.main()
