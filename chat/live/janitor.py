"""Removes what deletions leave to the server, a piece at a time and behind everything else (Janitor)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from chat import conf
from chat.live import database
from chat.store import deletion

logger = logging.getLogger(__name__)

# From one look at what is unfinished to the next, however often it is asked for.
LOOK_SECONDS = 0.5


class Janitor:
    """Goes on with deletions that were begun here, elsewhere, or before the last restart."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work_always())

    def wake(self) -> None:
        """Hear that something may have been deleted."""
        self._wanted.set()

    async def stop(self) -> None:
        """Stop after the piece that is under way. What is left is for another process, or for the next start."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work_always(self) -> None:
        while True:
            self._wanted.clear()
            try:
                while await self._work():
                    pass
            except Exception as error:
                database.warn(logger, "what was deleted could not be removed, tried again", error)
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(conf.JANITOR_SECONDS):
                    await self._wanted.wait()

    async def _work(self) -> bool:
        """Remove a piece of each unfinished deletion; False when nothing was removed."""
        unfinished = await database.look(deletion.unfinished)
        # Others may be at it. Each alone, so that one that fails does not stop the others.
        removed = [await self._remove(deletion.remove_piece_of_room, room) for room in unfinished.rooms]
        removed += [await self._remove(deletion.remove_piece_of_user, user) for user in unfinished.users]
        return any(removed)

    async def _remove(self, remove: Callable[[int], deletion.Removed], number: int) -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            removed = await database.write_behind(remove, number)
        except Exception as error:
            database.warn(logger, "a deletion could not go on, tried again", error)
            return False
        # As long as the piece took, at least: half of the database's time stays free for others.
        await asyncio.sleep(max(deletion.PAUSE_SECONDS, loop.time() - began))
        return bool(removed)


_running: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Janitor, int]] = WeakKeyDictionary()


def enter() -> Janitor:
    """Return the running loop's janitor. It works until each that has entered has left."""
    loop = asyncio.get_running_loop()
    janitor, users = _running.get(loop) or (Janitor(), 0)
    _running[loop] = (janitor, users + 1)
    return janitor


async def exit() -> None:
    """Leave the running loop's janitor; the last one stops it."""
    loop = asyncio.get_running_loop()
    janitor, users = _running[loop]
    if users > 1:
        _running[loop] = (janitor, users - 1)
    else:
        del _running[loop]
        await janitor.stop()
