"""What SIGHUP means: a new process with the code that is there now, or the end of one whose terminal was closed."""

import asyncio
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE

from django.conf import settings

logger = logging.getLogger("multichat.reloading")

STDERR = 2
# What is checked before a server gives up its place to its successor.
CHECK = (sys.executable, "manage.py", "check", "--fail-level", "ERROR")


class Terminal:
    """Tells a closed terminal, which sends SIGHUP to all of its programs, from a request to reload."""

    def __init__(self) -> None:
        self._was_there = os.isatty(STDERR)

    def is_gone(self) -> bool:
        return self._was_there and not os.isatty(STDERR)


async def can_start() -> bool:
    """Tell whether a new process would start: its settings are right and its checks find no error."""
    process = await asyncio.create_subprocess_exec(
        *CHECK, cwd=settings.BASE_DIR, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    _, words = await process.communicate()
    if process.returncode:
        lines = words.decode(errors="replace").strip().splitlines() or ["no reason was given"]
        logger.error("this process serves on as it is, because a new one could not start: %s", lines[-1])
    return not process.returncode


def replace_process(descriptor: int) -> None:
    """Become a new server on the same listening socket: meanwhile the system keeps new connections waiting."""
    os.set_inheritable(descriptor, True)
    # Its default would kill the new program until that listens for the signal; being ignored is inherited.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-m", "multichat.server", "--fd", str(descriptor)])
