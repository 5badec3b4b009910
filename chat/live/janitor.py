"""Removes the rows of deleted rooms and users, and files that no message has, behind all other work (Janitor)."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from chat.conf import conf
from chat.live import database, runtime
from chat.store import deletion, file_storage, files

logger = logging.getLogger(__name__)

# The least time between two looks for unfinished deletions, however often the janitor is woken.
LOOK_SECONDS = 0.5


class Janitor:
    """Continues deletions that were begun here, in another process, or before the last restart."""

    def __init__(self) -> None:
        # How many callers have acquired it and not released it.
        self.holders = 0
        self._wanted = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._work_always())

    def wake(self) -> None:
        """Look soon, because a room or a user may have been deleted."""
        self._wanted.set()

    async def stop(self) -> None:
        """Stop after the piece that is being removed. Another process, or the next start, removes the rest."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work_always(self) -> None:
        while True:
            self._wanted.clear()
            try:
                while await self._work():
                    pass
            except Exception as error:
                database.warn(logger, "deleted rows could not be removed; trying again", error)
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(conf.JANITOR_SECONDS):
                    await self._wanted.wait()

    async def _work(self) -> bool:
        """Remove a piece of each unfinished deletion; return False when nothing was removed."""
        unfinished = await database.poll(deletion.unfinished)
        # Another process may remove the same piece first. Each deletion fails alone, and does not stop the others.
        removed = [await self._remove(deletion.remove_piece_of_room, room) for room in unfinished.rooms]
        removed += [await self._remove(deletion.remove_piece_of_user, user) for user in unfinished.users]
        return any(removed) or await self._remove_files()

    async def _remove_files(self) -> bool:
        """Remove some files that were never posted, or whose messages are gone; return False when there are none."""
        expired = await database.write_behind(files.remove_unposted)
        removed = await database.poll(files.removed)
        # In a thread without a database connection, because a storage may take long to answer.
        gone = [file_id for file_id in removed if await asyncio.to_thread(_remove_bytes, file_id)]
        if gone:
            await database.write_behind(files.forget_removed, gone)
        return bool(expired or gone)

    async def _remove(self, remove: Callable[[int], deletion.Removed], number: int) -> bool:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            removed = await database.write_behind(remove, number)
        except Exception as error:
            database.warn(logger, "a deletion could not continue; trying again", error)
            return False
        # Pause at least as long as the piece took, so that half of the database's time stays free for other work.
        await asyncio.sleep(max(deletion.PAUSE_SECONDS, loop.time() - began))
        return bool(removed)


def _remove_bytes(file_id: UUID) -> bool:
    """Remove a file's bytes; return False when the storage failed, so that it is tried again later."""
    try:
        file_storage.remove(file_id)
    except file_storage.StorageError:
        return False
    return True


def acquire() -> Janitor:
    """Return the running loop's janitor, started. It works until each caller has released it."""
    loop = runtime.current()
    if loop.janitor is None:
        loop.janitor = Janitor()
    loop.janitor.holders += 1
    return loop.janitor


async def release() -> None:
    """Release the running loop's janitor; the last caller stops it."""
    loop = runtime.current()
    janitor = loop.janitor
    assert janitor is not None, "it was acquired before"
    janitor.holders -= 1
    if not janitor.holders:
        loop.janitor = None
        await janitor.stop()
