"""Lets the work of thousands of sockets that come back at once pass one after the other (Turnstile)."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from chat.live.audiences import Slice

T = TypeVar("T")


class Turnstile:
    """Runs pieces of work in the order in which they came, for a small share of each turn of the event loop.

    Without it, all sockets whose questions were answered by the same query would do their work in the same turn.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises. The work of a cancelled caller is left out."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, future))
        if self._task is None:
            self._task = loop.create_task(self._run_all())
        return await future

    async def _run_all(self) -> None:
        share = Slice()
        try:
            while self._waiting:
                work, future = self._waiting.popleft()
                if not future.done():
                    try:
                        future.set_result(work())
                    except Exception as error:
                        future.set_exception(error)
                await share.pause_if_used()
        finally:
            self._task = None
