"""Lets the work of thousands of sockets that come back at once pass one after the other (Turnstile)."""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any, TypeVar

from chat.live.audiences import Slice

T = TypeVar("T")


class Turnstile:
    """Runs work in the order in which it came, for a small share of each turn of the event loop.

    Without it, all sockets whose questions were answered by the same query would do their work in the same turn. Work
    is a generator that yields where it may be interrupted.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[Generator[None, None, Any], asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def run(self, work: Generator[None, None, T]) -> T:
        """Return what the work returns, or raise what it raises. Once its caller is cancelled, no more of it runs."""
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
                work, future = self._waiting[0]
                if future.done() or _is_finished(work, future):
                    self._waiting.popleft()
                await share.pause_if_used()
        finally:
            self._task = None


def _is_finished(work: Generator[None, None, T], future: asyncio.Future[T]) -> bool:
    """Run the next piece of some work, and tell whether it was the last one."""
    try:
        next(work)
    except StopIteration as end:
        future.set_result(end.value)
    except Exception as error:
        future.set_exception(error)
    else:
        return False
    return True
