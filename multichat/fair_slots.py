"""A fixed number of slots, and a bounded queue for them that is fair to every address."""

import asyncio
from collections import deque
from collections.abc import Hashable

from chat import limits


class NoSlotError(Exception):
    """No slot became free: the queue is full, or the wait was too long."""


class FairSlots:
    """Grants a limited number of slots. Other requests wait in one queue per key, and the queues take turns.

    A key with thousands of requests waits for its own requests, and delays another key by at most one. When the
    queues are full, the newest request of the longest queue is refused, instead of the request that arrives.
    """

    def __init__(self, name: str) -> None:
        self._count, self._waiting_count, self._seconds = name, f"{name}_WAITING", f"{name}_WAIT_SECONDS"
        self._taken = 0
        self._waiting = 0
        # One queue per key, in the order in which the keys are served.
        self._queues: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def try_enter(self) -> bool:
        """Take a slot if one is free and no other request waits for it."""
        most = limits.of(self._count)
        if most and (self._queues or self._taken >= most):
            return False
        self._taken += 1
        return True

    async def enter(self, key: Hashable) -> None:
        """Wait for a slot and take it. Raises NoSlotError."""
        if self.try_enter():
            return
        self._refuse_longest(key)
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(key, deque()).append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(limits.of(self._seconds) or None):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The slot was granted at the moment when the waiting request gave up.
                self.exit()
            else:
                self._forget(key, turn)
            if isinstance(error, TimeoutError):
                raise NoSlotError from None
            raise

    def exit(self) -> None:
        """Release a slot, and grant it to the key whose turn it is."""
        self._taken -= 1
        most = limits.of(self._count)
        while self._queues and (not most or self._taken < most):
            key, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            self._waiting -= 1
            # Move the key to the end of the round.
            del self._queues[key]
            if queue:
                self._queues[key] = queue
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _refuse_longest(self, key: Hashable) -> None:
        most = limits.of(self._waiting_count)
        if not most or self._waiting < most:
            return
        longest = max(self._queues, key=lambda other: len(self._queues[other]), default=key)
        if len(self._queues.get(key, ())) + 1 >= len(self._queues.get(longest, ())):
            raise NoSlotError
        turn = self._queues[longest].pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_exception(NoSlotError())

    def _forget(self, key: Hashable, turn: "asyncio.Future[None]") -> None:
        queue = self._queues.get(key)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[key]
