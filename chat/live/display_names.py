"""Sends the display names of users to the pages that have asked for some, and each change of one (DisplayNames)."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from chat import protocol
from chat.conf import conf
from chat.live import database
from chat.live.session import Session
from chat.protocol import ShownUser, ShownUsers
from chat.store import display_names
from chat.store.concerns import NO_USERS, Concern
from chat.store.display_names import Shown

logger = logging.getLogger(__name__)

# The most users that this process remembers. The oldest are forgotten first.
MAX_KNOWN = 5000
# The users whose names one query reads again, and the most in one frame.
PIECE = 400


class DisplayNames:
    """The names and pictures that the pages of this process show.

    All users may see all display names, so a change is one frame for all sockets that have asked for any. Their pages
    pass over users whom they do not show. A name is remembered, so that a thousand pages that come back at once ask
    the database little.
    """

    def __init__(self, *, on_renamed: Callable[[dict[str, str]], None]) -> None:
        # Called with the new usernames by the earlier ones.
        self._on_renamed = on_renamed
        self._sessions: set[Session] = set()
        # By username, as they were sent; and the usernames by id.
        self._known: dict[str, Shown] = {}
        self._usernames: dict[int, str] = {}
        # Whether a user was forgotten whom a page may still show.
        self._has_forgotten = False
        # The users to read again.
        self._pending = NO_USERS
        # How often users have changed. An answer that was read before a change is read again.
        self._changes = 0
        self._task: asyncio.Task[None] | None = None

    async def answer(self, session: Session, usernames: list[str], *, only_named: bool = False) -> None:
        """Send a socket these users, and from now on the changes.

        With `only_named`, nothing is sent if none of them has a name or a picture.
        """
        # Before anything is read, so that a change in between is sent too.
        if not session.is_gone:
            self._sessions.add(session)
        while missing := [name for name in usernames if name not in self._known]:
            changes = self._changes
            found = await database.read(display_names.load_users_named, missing)
            if changes == self._changes:
                self._send(self._keep(found))
                break
        users = {name: as_sent(shown) for name in usernames if (shown := self._known.get(name))}
        if not only_named or any(user.name or user.picture for user in users.values()):
            session.reply(protocol.encode(ShownUsers(users=users)))
        self._forget_oldest()

    def remove(self, session: Session) -> None:
        """Forget a socket that is gone."""
        self._sessions.discard(session)

    def resend(self, session: Session) -> None:
        """Let a socket that has missed signals ask again."""
        if session in self._sessions:
            session.signal(protocol.encode(ShownUsers(users={}, reset=True)))

    def users_changed(self, concern: Concern) -> None:
        """Read again the users who may have changed."""
        if not (concern.is_all_users or concern.users):
            return
        self._changes += 1
        if not self._sessions:
            # No page here shows any names, so they are read when the next one asks.
            self._known.clear()
            self._usernames.clear()
            return
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
                users = sorted(self._usernames if concern.is_all_users else concern.users)
                try:
                    for start in range(0, len(users), PIECE):
                        await self._read_again(users[start : start + PIECE], is_all=concern.is_all_users)
                except Exception as error:
                    self._pending |= concern
                    database.warn(logger, "display names could not be read; trying again", error)
                    await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None

    async def _read_again(self, users: list[int], *, is_all: bool) -> None:
        # Of users whom no page here has asked for, nothing is sent, unless they were forgotten.
        wanted = [user for user in users if user in self._usernames or (self._has_forgotten and not is_all)]
        if not wanted:
            return
        found = await database.read(display_names.load_users, wanted)
        changed = self._keep(found)
        if not is_all and self._has_forgotten:
            changed |= {shown.username: as_sent(shown) for shown in found}
        existing = {shown.user for shown in found}
        for user in wanted:
            if user not in existing and (name := self._usernames.pop(user, None)) is not None:
                self._known.pop(name, None)
                changed[name] = ShownUser()
        self._send(changed)

    def _keep(self, found: Iterable[Shown]) -> dict[str, ShownUser]:
        """Remember users, and return those who were known by another name."""
        changed: dict[str, ShownUser] = {}
        renamed: dict[str, str] = {}
        for shown in found:
            before = self._usernames.get(shown.user)
            if before is not None and before != shown.username:
                if self._known.get(before, shown).user == shown.user:
                    self._known.pop(before, None)
                    changed.setdefault(before, ShownUser())
                changed[shown.username] = as_sent(shown)
                renamed[before] = shown.username
            elif self._known.get(shown.username, shown) != shown:
                changed[shown.username] = as_sent(shown)
            self._known[shown.username], self._usernames[shown.user] = shown, shown.username
        if renamed:
            self._on_renamed(renamed)
        return changed

    def _forget_oldest(self) -> None:
        while len(self._known) > MAX_KNOWN:
            name = next(iter(self._known))
            self._usernames.pop(self._known.pop(name).user, None)
            self._has_forgotten = True

    def _send(self, changed: dict[str, ShownUser]) -> None:
        if changed:
            frame = protocol.encode(ShownUsers(users=changed))
            for session in list(self._sessions):
                session.signal(frame)


def as_sent(shown: Shown) -> ShownUser:
    """Return a user as frames have them."""
    return ShownUser(user=shown.user, name=shown.name, picture=shown.picture)
