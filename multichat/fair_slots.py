"""A fixed number of slots, and a bounded line for them that is fair to every address."""

import asyncio
from collections import deque
from collections.abc import Hashable

from chat import limits


class NoSlotError(Exception):
    """No slot became free: the line is full, or the wait was too long."""


class FairSlots:
    """At most so many at once; the rest waits in one line per key, and the lines take turns.

    A key that asks for thousands waits for its own requests, and delays another key by one at most. When the
    lines are full, the newest request of the longest line is refused, not the one that comes now.
    """

    def __init__(self, name: str) -> None:
        self._count, self._waiting_count, self._seconds = name, f"{name}_WAITING", f"{name}_WAIT_SECONDS"
        self._taken = 0
        self._waiting = 0
        # In the order of their turns.
        self._lines: dict[Hashable, deque[asyncio.Future[None]]] = {}

    def try_enter(self) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        most = limits.of(self._count)
        if most and (self._lines or self._taken >= most):
            return False
        self._taken += 1
        return True

    async def enter(self, key: Hashable) -> None:
        """Take a slot, in turn. Raises NoSlotError."""
        if self.try_enter():
            return
        self._make_room(key)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(key, deque()).append(turn)
        self._waiting += 1
        try:
            async with asyncio.timeout(limits.of(self._seconds) or None):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # The slot was given in the moment in which its taker gave up.
                self.exit()
            else:
                self._forget(key, turn)
            if isinstance(error, TimeoutError):
                raise NoSlotError from None
            raise

    def exit(self) -> None:
        """Give a slot back, and let in the address whose turn it is."""
        self._taken -= 1
        most = limits.of(self._count)
        while self._lines and (not most or self._taken < most):
            key, line = next(iter(self._lines.items()))
            turn = line.popleft()
            self._waiting -= 1
            # To the end of the round.
            del self._lines[key]
            if line:
                self._lines[key] = line
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _make_room(self, key: Hashable) -> None:
        most = limits.of(self._waiting_count)
        if not most or self._waiting < most:
            return
        longest = max(self._lines, key=lambda other: len(self._lines[other]), default=key)
        if len(self._lines.get(key, ())) + 1 >= len(self._lines.get(longest, ())):
            raise NoSlotError
        turn = self._lines[longest].pop()
        self._waiting -= 1
        if not turn.done():
            turn.set_exception(NoSlotError())

    def _forget(self, key: Hashable, turn: "asyncio.Future[None]") -> None:
        line = self._lines.get(key)
        if line is None or turn not in line:
            return
        line.remove(turn)
        self._waiting -= 1
        if not line:
            del self._lines[key]
