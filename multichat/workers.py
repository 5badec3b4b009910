"""Starts and supervises WORKERS server processes on one listening socket, and on SIGHUP replaces them one by one.

script/server and the image start it as `python -m multichat.workers`. Settings come from the environment.
It imports no code of the chat and starts each worker as a new program, so a rolling restart loads the current code.
"""

import asyncio
import logging
import logging.config
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from contextlib import suppress

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "multichat.settings")

from django.conf import settings

from multichat.listening import bind
from multichat.reloading import Terminal

logger = logging.getLogger("multichat.workers")

SERVER = (sys.executable, "-m", "multichat.server")
START_SECONDS = 60.0
# A worker promises to end within 10 s of SIGTERM.
END_SECONDS = 12.0
RETRY_SECONDS = 1.0


class StartError(Exception):
    """A worker ended or did not report ready in time. Its own messages are in the log."""


class Workers:
    """Keeps `count` workers serving on one socket."""

    def __init__(self, listening: socket.socket, count: int) -> None:
        self._listening = listening
        self._count = count
        # Each serving worker with the task that waits for its end. Draining workers are only in `_all`.
        self._serving: dict[Process, asyncio.Task[int]] = {}
        self._all: set[Process] = set()
        self._is_roll_wanted = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled, then end all workers. Raises StartError if the first workers do not start."""
        try:
            await asyncio.gather(*(self._start() for _ in range(self._count)))
            logger.info("%d processes serve on %s", self._count, settings.URL)
            while True:
                await self._wait_for_event()
                await self._replace_dead()
                if self._is_roll_wanted.is_set():
                    self._is_roll_wanted.clear()
                    await self._roll()
        finally:
            await asyncio.gather(*(self._end(process) for process in list(self._all)))

    def roll_soon(self) -> None:
        """Request that every worker is replaced. Each new one serves before an old one is stopped."""
        self._is_roll_wanted.set()

    async def _wait_for_event(self) -> None:
        wanted = asyncio.ensure_future(self._is_roll_wanted.wait())
        try:
            await asyncio.wait([wanted, *self._serving.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            wanted.cancel()

    async def _replace_dead(self) -> None:
        for process, end in list(self._serving.items()):
            if end.done():
                logger.warning("process %d ended by itself (%s): starting another", process.pid, end.result())
                del self._serving[process]
        while len(self._serving) < self._count:
            try:
                await self._start()
            except StartError as error:
                logger.error("%s; trying again", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _roll(self) -> None:
        for old in list(self._serving):
            try:
                await self._start()
            except StartError as error:
                logger.error("%s; the running processes continue", error)
                return
            del self._serving[old]
            await self._end(old)
        logger.info("all %d processes were replaced", self._count)

    async def _start(self) -> None:
        """Start a worker and wait until it serves."""
        read, write = os.pipe()
        try:
            process = await self._spawn(ready=write)
            end = asyncio.create_task(self._reap(process))
            if not await _says_ready(read):
                await self._end(process)
                raise StartError(f"process {process.pid} did not start")
            self._serving[process] = end
        finally:
            os.close(read)

    async def _spawn(self, *, ready: int) -> Process:
        fds = (self._listening.fileno(), ready)
        command = (*SERVER, "--fd", str(fds[0]), "--ready-fd", str(ready))
        try:
            process = await asyncio.create_subprocess_exec(*command, pass_fds=fds, stdin=asyncio.subprocess.DEVNULL)
        finally:
            # Only the worker keeps the write end open, so it closes when the worker ends.
            os.close(ready)
        self._all.add(process)
        return process

    async def _reap(self, process: Process) -> int:
        status = await process.wait()
        self._all.discard(process)
        return status

    async def _end(self, process: Process) -> None:
        _send(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            logger.error("process %d did not end in time: killing it", process.pid)
            _send(process, signal.SIGKILL)
            await process.wait()


def _send(process: Process, number: signal.Signals) -> None:
    # Not through Popen, which would poll for the exit status and take it from asyncio's watcher.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


async def _says_ready(pipe: int) -> bool:
    """Wait for a worker's byte. If the pipe closes without one, the worker has ended."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(pipe, readable.set)
    try:
        async with asyncio.timeout(START_SECONDS):
            await readable.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(pipe)
    return bool(os.read(pipe, 1))


async def serve(listening: socket.socket, count: int) -> None:
    """Run workers until SIGTERM or SIGINT."""
    workers = Workers(listening, count)
    running = asyncio.ensure_future(workers.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    terminal = Terminal()

    def on_hangup() -> None:
        if terminal.is_closed():
            running.cancel()
        else:
            workers.roll_soon()

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    with suppress(asyncio.CancelledError):
        await running


def main() -> None:
    if settings.WORKERS == 1:
        os.execv(SERVER[0], [*SERVER, *sys.argv[1:]])
    if not settings.REDIS_URL:
        sys.exit(f"Multichat: WORKERS is {settings.WORKERS}, but several processes need REDIS_URL to work together.")
    logging.config.dictConfig(settings.LOGGING)
    listening = bind(settings.HOST, settings.PORT)
    try:
        asyncio.run(serve(listening, settings.WORKERS))
    except StartError as error:
        sys.exit(f"Multichat: {error}. The reason is above.")


if __name__ == "__main__":
    main()
