"""Who watches, by the kinds of users that may enter the same rooms: one list of rooms, one frame for each kind."""

import asyncio
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

from chat import protocol
from chat.live.session import Session
from chat.protocol import Frame, Rooms, RoomTitle
from chat.store import policies
from chat.store.policies import Standing

# How long work on the event loop goes on before other tasks have their turn.
SLICE_SECONDS = 0.005


class Slice:
    """A share of the event loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + SLICE_SECONDS

    async def turn(self) -> None:
        """Let other tasks run when the share is used up."""
        if self._loop.time() > self._until:
            await asyncio.sleep(0)
            self._until = self._loop.time() + SLICE_SECONDS


class RoomList(NamedTuple):
    """The rooms of a kind of user: their ids, and as a frame."""

    rooms: dict[int, str]
    frame: Frame


class Audience:
    """The users of one kind who watch."""

    def __init__(self, kind: Hashable) -> None:
        self.kind = kind
        self.users: dict[int, None] = {}
        self.list: RoomList | None = None


class Audiences:
    """All who watch, by user and by kind."""

    def __init__(self) -> None:
        # The list that each socket was told last; None until it was told one.
        self._sessions: dict[int, dict[Session, RoomList | None]] = {}
        self._kinds: dict[Hashable, Audience] = {}
        self._of: dict[int, Audience] = {}

    def __bool__(self) -> bool:
        return bool(self._sessions)

    def __contains__(self, user: int) -> bool:
        return user in self._sessions

    def add(self, session: Session) -> bool:
        """Take a socket, to be told anew; tell whether it is the first one of its user."""
        is_new = session.user_id not in self._sessions
        self._sessions.setdefault(session.user_id, {})[session] = None
        return is_new

    def has(self, session: Session) -> bool:
        """Tell whether a socket watches."""
        return session.user_id in self._sessions and session in self._sessions[session.user_id]

    def remove(self, session: Session) -> bool:
        """Forget a socket; tell whether it was the last one of its user."""
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
        """Return all who watch."""
        return list(self._sessions)

    def told(self, user: int) -> list[Session]:
        """Return a user's sockets that were told of rooms already."""
        return [session for session, told in self._sessions.get(user, {}).items() if told is not None]

    def rooms(self, user: int) -> dict[int, str]:
        """Return the rooms of a user, as they were listed last."""
        listed = self.list_of(user)
        return listed.rooms if listed else {}

    def readers(self, room: int) -> Iterator[list[int]]:
        """Return the users who watch a room, a kind at a time."""
        for audience in list(self._kinds.values()):
            if audience.list and room in audience.list.rooms:
                yield list(audience.users)

    def has_readers(self, room: int) -> bool:
        """Tell whether anybody watches a room."""
        return any(audience.list and room in audience.list.rooms for audience in self._kinds.values())

    def sort(self, user: int) -> None:
        """Put a user with their kind, which may be another one since their rights were checked."""
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
        """Return the kinds, or those whose rooms are not known, each with a user of it."""
        return {
            kind: self._standing(next(iter(audience.users))).user
            for kind, audience in self._kinds.items()
            if not (without_list and audience.list)
        }

    def list_of(self, user: int) -> RoomList | None:
        """Return a user's list, if it is known."""
        return self._of[user].list if user in self._of else None

    def put(self, lists: Mapping[Hashable, RoomList]) -> None:
        """Take the lists of kinds; one that says the same as before stays the same object."""
        for kind, new in lists.items():
            audience = self._kinds.get(kind)
            if audience and (audience.list is None or audience.list.frame.payload != new.frame.payload):
                audience.list = new

    def tell(self, user: int) -> list[Session]:
        """Send the list to a user's sockets that have another one; return those that had none."""
        listed, asking = self.list_of(user), []
        for session, told in list(self._sessions.get(user, {}).items()):
            if listed is not None and told is not listed:
                self._sessions[user][session] = listed
                session.signal(listed.frame)
                if told is None:
                    asking.append(session)
        return asking

    def _leave(self, user: int, audience: Audience) -> None:
        del audience.users[user]
        if not audience.users:
            del self._kinds[audience.kind]


def load(kinds: Mapping[Hashable, Any]) -> dict[Hashable, RoomList]:
    """Return the rooms of each kind of user, by title: one query for each."""
    return {kind: _list(user) for kind, user in kinds.items()}


def _list(user: Any) -> RoomList:
    rows = policies.list_rooms(user)
    titles = [RoomTitle(id=str(pk), title=title, staff_only=staff_only) for pk, title, staff_only in rows]
    return RoomList({pk: str(pk) for pk, _, _ in rows}, protocol.encode(Rooms(rooms=titles)))
