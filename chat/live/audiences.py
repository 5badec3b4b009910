"""Users who watch, by kind: users who may enter the same rooms share one list and one frame (Audiences)."""

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

from chat import protocol
from chat.live.session import Session
from chat.protocol import Frame, Rooms, RoomTitle
from chat.store import policies
from chat.store.policies import Standing

# How long work on the event loop continues before other tasks run.
SLICE_SECONDS = 0.005


class Slice:
    """A share of the event loop's time, so that long work does not delay other tasks."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + SLICE_SECONDS

    async def pause_if_used(self) -> bool:
        """Let other tasks run if the share is used up, and tell whether it was."""
        if self._loop.time() <= self._until:
            return False
        await asyncio.sleep(0)
        self._until = self._loop.time() + SLICE_SECONDS
        return True


class RoomList(NamedTuple):
    """The rooms of a kind of user: their ids as on the wire, by id, and the frame."""

    rooms: dict[int, str]
    frame: Frame


class Audience:
    """The users of one kind who watch, and their list of rooms if it is known."""

    def __init__(self, kind: Hashable) -> None:
        self.kind = kind
        self.users: dict[int, None] = {}
        self.list: RoomList | None = None


class Audiences:
    """All users who watch, by user and by kind."""

    def __init__(self) -> None:
        # The list that each socket was sent last; None before the first one.
        self._sessions: dict[int, dict[Session, RoomList | None]] = {}
        self._kinds: dict[Hashable, Audience] = {}
        # The audience of each user.
        self._of: dict[int, Audience] = {}

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def __contains__(self, user: int) -> bool:
        return user in self._sessions

    def add(self, session: Session) -> bool:
        """Add a socket, or let it get its list again; return whether it is the first one of its user."""
        is_new = session.user_id not in self._sessions
        self._sessions.setdefault(session.user_id, {})[session] = None
        return is_new

    def has(self, session: Session) -> bool:
        """Tell whether a socket watches."""
        return session.user_id in self._sessions and session in self._sessions[session.user_id]

    def remove(self, session: Session) -> bool:
        """Remove a socket; return whether it was the last one of its user."""
        user = session.user_id
        sessions = self._sessions.get(user, {})
        if session not in sessions:
            return False
        del sessions[session]
        if sessions:
            return False
        del self._sessions[user]
        if audience := self._of.pop(user, None):
            self._leave(user, audience)
        return True

    def users(self) -> list[int]:
        """Return all users who watch."""
        return list(self._sessions)

    def listed_sessions(self, user: int) -> list[Session]:
        """Return a user's sockets that were sent a list already."""
        return [session for session, sent in self._sessions.get(user, {}).items() if sent is not None]

    def rooms(self, user: int) -> dict[int, str]:
        """Return the rooms of a user's list."""
        listed = self.list_of(user)
        return listed.rooms if listed else {}

    def readers(self, room: int) -> Iterator[list[int]]:
        """Return the users who watch a room, one kind at a time."""
        for audience in list(self._kinds.values()):
            if audience.list and room in audience.list.rooms:
                yield list(audience.users)

    def has_readers(self, room: int) -> bool:
        """Tell whether a user watches a room."""
        return any(audience.list and room in audience.list.rooms for audience in self._kinds.values())

    def sort(self, user: int) -> None:
        """Put a user into the audience of their kind, which may have changed with their rights."""
        if user not in self._sessions:
            return
        kind = policies.kind_of(self._standing(user).user)
        before = self._of.get(user)
        if before is not None and before.kind == kind:
            return
        if before is not None:
            self._leave(user, before)
        audience = self._of[user] = self._kinds.setdefault(kind, Audience(kind))
        audience.users[user] = None

    def _standing(self, user: int) -> Standing:
        # All sockets of a user are checked together.
        standing = next(iter(self._sessions[user])).standing
        assert standing is not None, "only sockets that have signed in watch"
        return standing

    def kinds(self, *, without_list: bool = False) -> dict[Hashable, Any]:
        """Return the kinds, or those whose list is not known, each with one user of it."""
        return {
            kind: self._standing(next(iter(audience.users))).user
            for kind, audience in self._kinds.items()
            if not (without_list and audience.list)
        }

    def list_of(self, user: int) -> RoomList | None:
        """Return a user's list, if it is known."""
        return self._of[user].list if user in self._of else None

    def set_lists(self, lists: Mapping[Hashable, RoomList]) -> None:
        """Set the lists of kinds. An unchanged list stays the same object, so it is not sent again."""
        for kind, new in lists.items():
            audience = self._kinds.get(kind)
            if audience and (audience.list is None or audience.list.frame.payload != new.frame.payload):
                audience.list = new

    def send_list(self, user: int) -> list[Session]:
        """Send the list to a user's sockets that have another one; return those that had none."""
        listed, new = self.list_of(user), []
        for session, sent in list(self._sessions.get(user, {}).items()):
            if listed is not None and sent is not listed:
                self._sessions[user][session] = listed
                session.signal(listed.frame)
                if sent is None:
                    new.append(session)
        return new

    def _leave(self, user: int, audience: Audience) -> None:
        del audience.users[user]
        if not audience.users:
            del self._kinds[audience.kind]


def load(kinds: Mapping[Hashable, Any]) -> dict[Hashable, RoomList]:
    """Read the rooms of each kind of user, by title, with one query for each kind."""
    return {kind: _list(user) for kind, user in kinds.items()}


def _list(user: Any) -> RoomList:
    rows = policies.list_rooms(user)
    titles = [RoomTitle(id=str(pk), title=title, staff_only=staff_only) for pk, title, staff_only in rows]
    return RoomList({pk: str(pk) for pk, _, _ in rows}, protocol.encode(Rooms(rooms=titles)))
