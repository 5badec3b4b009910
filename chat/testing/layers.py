"""Channel layers that drop, double, reorder and delay received messages, or are full, by a seeded chance."""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

# How long a reordered message is held, so that later messages overtake it.
HOLD_SECONDS = 0.05

Message = dict[str, Any]


class Fault(NamedTuple):
    """The probability of each fault (0 to 1), and the largest delay in seconds."""

    drop: float = 0.0
    double: float = 0.0
    reorder: float = 0.0
    full: float = 0.0
    delay: float = 0.0


class _Faults:
    """Applies `fault` to each received message, for each receiver separately.

    With the same seed and the same messages the same faults happen.
    """

    def __init__(
        self,
        *,
        drop: float = 0.0,
        double: float = 0.0,
        reorder: float = 0.0,
        full: float = 0.0,
        delay: float = 0.0,
        seed: int = 0,
        **config: Any,
    ) -> None:
        super().__init__(**config)
        self.fault = Fault(drop, double, reorder, full, delay)
        self.counts: Counter[str] = Counter()
        self._chance = random.Random(seed)
        self._held: dict[str, list[tuple[float, int, Message]]] = {}
        self._number = 0

    async def _receive_with_faults(self, channel: str, receive: Callable[[str], Awaitable[Message]]) -> Message:
        loop = asyncio.get_running_loop()
        held = self._held.setdefault(channel, [])
        receiving: asyncio.Future[Message] | None = None
        try:
            while True:
                if held and held[0][0] <= loop.time():
                    return heapq.heappop(held)[2]
                # One receive at a time. Held messages do not end it, because a cancelled receive may lose a message.
                receiving = receiving or asyncio.ensure_future(receive(channel))
                await asyncio.wait([receiving], timeout=held[0][0] - loop.time() if held else None)
                if receiving.done():
                    message, receiving = receiving.result(), None
                    self._apply_faults(held, message, loop.time())
        finally:
            if receiving is not None:
                receiving.cancel()

    def _apply_faults(self, held: list[tuple[float, int, Message]], message: Message, now: float) -> None:
        self.counts["received"] += 1
        if self._happens("drop"):
            return
        for _ in range(1 + self._happens("double")):
            late = self._chance.uniform(0, self.fault.delay) + HOLD_SECONDS * self._happens("reorder")
            self._number += 1
            heapq.heappush(held, (now + late, self._number, dict(message)))

    def _check_room(self, channel: str) -> None:
        if self._happens("full"):
            raise ChannelFull(channel)

    def _happens(self, what: str) -> bool:
        happens = self._chance.random() < float(getattr(self.fault, what))
        self.counts[what] += happens
        return happens


class FaultyChannelLayer(_Faults, InMemoryChannelLayer):
    """The in-memory layer with faults, for one process: `"BACKEND": "chat.testing.FaultyChannelLayer"`."""

    async def receive(self, channel: str) -> Message:
        return await self._receive_with_faults(channel, super().receive)

    async def group_send(self, group: str, message: Message) -> None:
        self._check_room(group)
        await super().group_send(group, message)


class FaultyRedisChannelLayer(_Faults, RedisPubSubChannelLayer):  # type: ignore[misc]
    """The Redis pub/sub layer with faults, for many processes: takes that layer's CONFIG too."""

    # The class forwards only names that it does not have. The layer of the running loop does the work.

    async def receive(self, channel: str) -> Message:
        return await self._receive_with_faults(channel, self._get_layer().receive)

    async def group_send(self, group: str, message: Message) -> None:
        self._check_room(group)
        await self._get_layer().group_send(group, message)
