"""Looks for new messages and sends them to the browsers of users who are away (Pusher), behind all other work."""

import asyncio
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from chat.conf import conf
from chat.live import database, runtime
from chat.store import push
from chat.store.push import News, Push

logger = logging.getLogger(__name__)

# Keys are committed out of order, so a look begins where the newest key was this long ago.
OVERLAP_SECONDS = 10.0
# How many messages from before the start are looked at: their process may have ended before it queued them.
FROM_BEFORE = 200
# Requests to push services at the same time, so that a slow one does not hold up the others.
THREADS = 4
# The most rooms that are queued at once.
MAX_ROOMS = 20


class Pusher:
    """One task of a server process. Several processes may queue the same message: the queue has it once."""

    def __init__(self) -> None:
        # The newest keys at the last looks, with their times, and the messages that were queued since then.
        self._looks: deque[tuple[float, int]] = deque()
        self._queued: dict[int, None] = {}
        self._is_failing = False
        self._threads = ThreadPoolExecutor(THREADS, "push")
        self._task = asyncio.get_running_loop().create_task(self._work_always())

    async def stop(self) -> None:
        """Stop. Another process, or the next start, sends what is queued."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _work_always(self) -> None:
        while True:
            await asyncio.sleep(conf.PUSH_LOOK_SECONDS)
            try:
                if await database.poll(push.has_subscriptions):
                    await self.look()
                    await self.send_due()
                else:
                    self._looks.clear()
                self._is_failing = False
            except Exception as error:
                if not self._is_failing:
                    database.warn(logger, "push messages could not be queued or sent; trying again", error)
                self._is_failing = True

    async def look(self) -> None:
        """Queue what was posted since the last looks."""
        now = asyncio.get_running_loop().time()
        newest = await database.poll(push.newest)
        while len(self._looks) > 1 and self._looks[1][0] <= now - OVERLAP_SECONDS:
            self._looks.popleft()
        after = self._looks[0][1] if self._looks else newest - FROM_BEFORE
        found = await database.read(push.news, after)
        if len(found) == push.MOST_NEWS:
            # More than one look takes: the next one goes on from here.
            newest = min(newest, found[-1].pk)
        await self._queue([message for message in found if message.pk not in self._queued])
        self._looks.append((now, newest))
        self._queued = {message.pk: None for message in found}

    async def _queue(self, found: list[News]) -> None:
        heads: dict[int, int] = {}
        for message in found:
            heads[message.room] = max(message.seq, heads.get(message.room, 0))
        rooms = list(heads)
        for start in range(0, len(rooms), MAX_ROOMS):
            piece = {room: heads[room] for room in rooms[start : start + MAX_ROOMS]}
            await database.write_behind(push.queue, piece)

    async def send_due(self) -> None:
        """Send all that is due."""
        while due := await database.write_behind(push.take_due, self._users_here()):
            await asyncio.gather(*(self._send(message) for message in due))

    async def _send(self, message: Push) -> None:
        answer = await asyncio.get_running_loop().run_in_executor(self._threads, push.send, message)
        await database.write_behind(push.finish, message, answer)

    def _users_here(self) -> set[int]:
        hub = runtime.current().hub
        return {session.user_id for session in hub.sessions if session.standing is not None} if hub else set()
