"""Handles SIGHUP: replaces the process to load new code, or ends it if its terminal was closed."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

from django.conf import settings

logger = logging.getLogger("multichat.reloading")

STDERR = 2
# The check that must pass before a server hands over to its successor.
CHECK = (sys.executable, "manage.py", "check", "--fail-level", "ERROR")


class Terminal:
    """Distinguishes a closed terminal, which sends SIGHUP to all its programs, from a request to reload."""

    def __init__(self) -> None:
        self._was_terminal = os.isatty(STDERR)

    def is_closed(self) -> bool:
        return self._was_terminal and not os.isatty(STDERR)


async def can_start() -> bool:
    """Return whether a new process would start: its settings are valid and its checks find no error."""
    process = await asyncio.create_subprocess_exec(
        *CHECK, cwd=settings.BASE_DIR, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    _, output = await process.communicate()
    if process.returncode:
        lines = output.decode(errors="replace").strip().splitlines() or ["no reason was given"]
        logger.error("this process continues to serve, because a new one could not start: %s", lines[-1])
    return not process.returncode


def replace_process(descriptor: int) -> None:
    """Become a new server on the same listening socket. The system queues new connections meanwhile."""
    os.set_inheritable(descriptor, True)
    # The default action would kill the new program until it handles the signal. Ignoring it is inherited.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-m", "multichat.server", "--fd", str(descriptor)])
