"""Notices when the whole process stood still, as when a laptop slept or a container was frozen (Pulse)."""

import asyncio
import logging
from collections.abc import Callable

from chat.conf import conf

logger = logging.getLogger(__name__)


class Pulse:
    """Tells whether this process has been running since it last read the rooms' heads and its users' rights.

    After a standstill both may be old. The process writes nothing to any socket until a sweep has read them again.
    """

    def __init__(self, *, on_standstill: Callable[[], None]) -> None:
        self.standstills = 0
        self._on_standstill = on_standstill
        self._loop = asyncio.get_running_loop()
        self._last_beat = self._loop.time()
        self._fresh = asyncio.Event()
        self._fresh.set()

    async def beat_always(self) -> None:
        """Keep a process that runs from looking frozen."""
        while True:
            await asyncio.sleep(conf.FROZEN_SECONDS / 8)
            self.is_stale()
            self._last_beat = self._loop.time()

    def is_stale(self) -> bool:
        """Tell whether this process stood still and has not swept since."""
        # Asked for each socket that is written to, so the usual answer comes first.
        pause = self._loop.time() - self._last_beat
        is_fresh = self._fresh.is_set()
        if pause <= conf.FROZEN_SECONDS:
            return not is_fresh
        if is_fresh:
            logger.warning("this process stood still for %.1f s: it sweeps before it writes", pause)
            # Counted from now on, so that waiting for the sweep is not taken for another standstill.
            self._last_beat = self._loop.time()
            self.standstills += 1
            self._fresh.clear()
            self._on_standstill()
        return self.is_waiting_for_sweep

    @property
    def is_waiting_for_sweep(self) -> bool:
        """Tell whether a standstill was noticed and not healed yet."""
        return not self._fresh.is_set()

    async def until_fresh(self) -> None:
        """Wait until no standstill is unhealed."""
        await self._fresh.wait()

    def heal(self, standstills: int) -> None:
        """End the wait: a sweep that began after this many standstills is done. Do nothing if there was another one."""
        if standstills == self.standstills:
            self._fresh.set()
