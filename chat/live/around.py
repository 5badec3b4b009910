"""Sends to sockets that watch how many other users are around (AroundCount)."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from weakref import WeakKeyDictionary

from chat import protocol
from chat.conf import conf
from chat.live import database
from chat.live.session import Session
from chat.protocol import AroundFrame, Frame
from chat.store import around

logger = logging.getLogger(__name__)

# The least time between two counts, and how many times longer than a count it is.
PAUSE_SECONDS = 1.0
PAUSE_FACTOR = 20


class AroundCount:
    """Counts when users come and go, and every few seconds, because the signal of another process may be lost.

    Users see those around who are in a room that they may enter, so the counts differ. Equal ones share a frame.
    """

    def __init__(self, users: Callable[[], Collection[int]], sessions: Callable[[int], Collection[Session]]) -> None:
        self._users = users
        self._sessions = sessions
        self._wanted = asyncio.Event()
        # What each socket was sent last.
        self._sent: WeakKeyDictionary[Session, int] = WeakKeyDictionary()

    def count_soon(self) -> None:
        """Count again, because users may have come or gone."""
        self._wanted.set()

    async def count_always(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(conf.LEASE_RENEW_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            began = asyncio.get_running_loop().time()
            if conf.SHOW_WHO_IS_AROUND and (users := self._users()):
                try:
                    self._send(await database.read(around.count_for_all, users))
                except Exception as error:
                    database.warn(logger, "the users around could not be counted; trying again", error)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(PAUSE_SECONDS, took * PAUSE_FACTOR))

    def _send(self, counts: dict[int, int]) -> None:
        frames: dict[int, Frame] = {}
        for user, others in counts.items():
            for session in self._sessions(user):
                if self._sent.get(session) != others:
                    self._sent[session] = others
                    if others not in frames:
                        frames[others] = protocol.encode(AroundFrame(around=others))
                    session.signal(frames[others])
