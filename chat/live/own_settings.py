"""Sends users' own settings to their open pages when they change: their appearance, and their sets of panes."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from chat import protocol
from chat.conf import conf
from chat.live import database
from chat.live.session import Session
from chat.protocol import Appearance, AppearanceFrame, Frame, PaneSetsFrame
from chat.store import appearances, pane_sets
from chat.store.appearances import Look
from chat.store.concerns import NO_USERS, Concern

logger = logging.getLogger(__name__)

# The users whose settings are read at once.
PIECE = 500
Setting = TypeVar("Setting")


class OwnSetting(Generic[Setting]):
    """Reads one setting of the users who may have changed it. A page that has it already passes over the frame.

    `load` returns the settings of those users, of a piece at a time, who have any.
    """

    def __init__(
        self,
        users: Callable[[], Collection[int]],
        sessions: Callable[[int], Collection[Session]],
        *,
        load: Callable[[Collection[int]], dict[int, Setting]],
        encode: Callable[[Setting], Frame],
        default: Setting | None = None,
    ) -> None:
        # The users who watch, and their sockets.
        self._users = users
        self._sessions = sessions
        self._load = load
        self._encode = encode
        # What most users have. A socket that was sent nothing is sent this only after a change of its own user.
        self._default = default
        # What each socket was sent last, and the sockets that were behind and could not take it.
        self._sent: WeakKeyDictionary[Session, Setting] = WeakKeyDictionary()
        self._missed: WeakSet[Session] = WeakSet()
        self._pending = NO_USERS
        self._task: asyncio.Task[None] | None = None

    def users_changed(self, concern: Concern) -> None:
        """Read again the users who may have changed, and now and then all, because a bell may be lost."""
        if concern.is_all_users or concern.users:
            self._pending |= Concern(concern.users, is_all_users=concern.is_all_users)
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._read_changes())

    def resend(self, session: Session) -> None:
        """Read again what a socket has missed that is not behind any more."""
        if session in self._missed:
            self._missed.discard(session)
            self.users_changed(Concern(frozenset({session.user_id})))

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
                        found = await database.read(self._load, users[start : start + PIECE])
                        self._send(found, changed=concern.users)
                except Exception as error:
                    self._pending |= concern
                    database.warn(logger, "settings of users could not be read; trying again", error)
                    await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None

    def _send(self, found: dict[int, Setting], *, changed: Collection[int]) -> None:
        for user, setting in found.items():
            frame = self._encode(setting)
            unsent = None if user in changed else self._default
            for session in self._sessions(user):
                if self._sent.get(session, unsent) == setting:
                    continue
                if session.signal(frame):
                    self._sent[session] = setting
                else:
                    self._missed.add(session)


def appearance(
    users: Callable[[], Collection[int]], sessions: Callable[[int], Collection[Session]]
) -> OwnSetting[Look]:
    """Build the setting for users' choices of theme, density and clock."""

    def encode(look: Look) -> Frame:
        # A page shows another language once it is loaded again.
        shown = Appearance(theme=look.theme, density=look.density, clock=look.clock)
        return protocol.encode(AppearanceFrame(appearance=shown))

    return OwnSetting(users, sessions, load=appearances.load, encode=encode)


def versions_of_pane_sets(
    users: Callable[[], Collection[int]], sessions: Callable[[int], Collection[Session]]
) -> OwnSetting[dict[str, int]]:
    """Build the setting for the versions of users' sets. A page whose set has another version asks for it over HTTP."""

    def encode(versions: dict[str, int]) -> Frame:
        return protocol.encode(PaneSetsFrame(workspaces=versions))

    # Most users have no sets, and are sent nothing until that changes.
    return OwnSetting(users, sessions, load=pane_sets.versions, encode=encode, default={})
