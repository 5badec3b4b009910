"""Sockets that stay connected while others come back (Staying): how long a message takes to the last of them.

They are in a process of their own. The load program is busy while thousands of sockets come back, so in its own
process they would measure its delay in place of the server's. Both processes share the load program's core, so a
message may still wait for the scheduler.
"""

import asyncio
import contextlib
import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from bench.chatter import Chatter
from bench.load import Broken, Dialect, open_sockets
from bench.pace import Pace

POSTS_PER_SECOND = 10
# How long the process may take to answer.
PATIENCE_SECONDS = 60
# What a dialect of Multichat consists of. Functions, which other dialects have, can't be sent to a process.
Parts = tuple[str, str, dict[bytes | None, bytes], bytes | None]


class Staying:
    """A process that holds the sockets. It posts from `post` to `stop`."""

    def __init__(self, dialects: Sequence[Dialect], port: int) -> None:
        # A new interpreter, because this one may have a running event loop.
        spawn = multiprocessing.get_context("spawn")
        self._pipe, other = spawn.Pipe()
        parts: list[Parts] = [(each.path, each.headers, each.answers, each.ready) for each in dialects]
        self._process = spawn.Process(target=_run, args=(port, parts, other), daemon=True)
        self._process.start()
        other.close()
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def post(self) -> None:
        """Begin to post."""
        self._ask()

    async def stop(self) -> list[float]:
        """End posting, and return the seconds that each message took to the last socket. Raises Broken."""
        self._ask()
        echoes: list[float] = await asyncio.to_thread(self._receive)
        return echoes

    def _ask(self) -> None:
        # A process that has ended has left its reason in the pipe.
        with contextlib.suppress(BrokenPipeError):
            self._pipe.send(None)

    def _receive(self) -> Any:
        if not self._pipe.poll(PATIENCE_SECONDS):
            raise Broken("the process of the sockets that stay does not answer")
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise Broken("the process of the sockets that stay has ended") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def _run(port: int, parts: list[Parts], pipe: Connection) -> None:
    try:
        answer: Any = asyncio.run(_stay(port, parts, pipe))
    except Exception as error:
        answer = error
    pipe.send(answer)


async def _stay(port: int, parts: list[Parts], pipe: Connection) -> list[float]:
    loop = asyncio.get_running_loop()
    dialects = [
        Dialect(path=path, headers=headers, answers=answers, ready=ready) for path, headers, answers, ready in parts
    ]
    clients = await open_sockets(Chatter, dialects, port)
    pipe.send(None)
    asked = asyncio.Event()

    def receive() -> None:
        try:
            pipe.recv()
        except EOFError:
            # The load program has ended.
            os._exit(1)
        asked.set()

    loop.add_reader(pipe.fileno(), receive)
    await asked.wait()
    asked.clear()
    pace = Pace(clients)
    echoes: list[float] = []
    while not asked.is_set():
        echoes += (await pace.send(rate=POSTS_PER_SECOND, seconds=0.5))[0]
    for client in clients:
        client.close()
    return echoes
