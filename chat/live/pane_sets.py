"""Notifies a user's open pages that one of the user's sets of panes has changed (PaneSets)."""

import asyncio
import logging
from collections.abc import Callable, Collection
from weakref import WeakKeyDictionary

from chat import protocol
from chat.conf import conf
from chat.live import database
from chat.live.session import Session
from chat.protocol import PaneSetsFrame
from chat.store import pane_sets
from chat.store.concerns import NO_USERS, Concern

logger = logging.getLogger(__name__)

# The users whose sets are read at once.
PIECE = 500


class PaneSets:
    """Sends the versions of the sets. A page whose own set has another version asks for it over HTTP."""

    def __init__(self, users: Callable[[], Collection[int]], sessions: Callable[[int], Collection[Session]]) -> None:
        # The users who watch, and their sockets.
        self._users = users
        self._sessions = sessions
        # What each socket was sent last.
        self._sent: WeakKeyDictionary[Session, dict[str, int]] = WeakKeyDictionary()
        self._pending = NO_USERS
        self._task: asyncio.Task[None] | None = None

    def users_changed(self, concern: Concern) -> None:
        """Read again the users who may have changed, and now and then all, because a bell may be lost."""
        if concern.is_all_users or concern.users:
            self._pending |= Concern(concern.users, is_all_users=concern.is_all_users)
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._read_changes())

    async def stop(self) -> None:
        """Read nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read_changes(self) -> None:
        try:
            while self._pending:
                concern, self._pending = self._pending, NO_USERS
                users = [user for user in self._users() if concern.touches(user=user)]
                try:
                    for start in range(0, len(users), PIECE):
                        self._send(await database.read(pane_sets.versions, users[start : start + PIECE]))
                except Exception as error:
                    self._pending |= concern
                    database.warn(logger, "workspaces of users could not be read; trying again", error)
                    await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None

    def _send(self, found: dict[int, dict[str, int]]) -> None:
        for user, versions in found.items():
            frame = protocol.encode(PaneSetsFrame(workspaces=versions))
            for session in self._sessions(user):
                # Most users have no sets, and are sent nothing.
                if self._sent.get(session, {}) != versions:
                    self._sent[session] = versions
                    session.signal(frame)
