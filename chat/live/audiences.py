"""Users who watch, by kind, and their lists of rooms (Audiences).

All users of a kind share one list of rooms and one frame. A user who is a member of other rooms has a list of these
besides, and gets one frame made of both when it is sent.
"""

import asyncio
from collections import ChainMap
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET

from chat import protocol
from chat.live.session import Session
from chat.protocol import Frame, Rooms, RoomTitle
from chat.store import own_rooms, policies
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


class OwnRooms:
    """The rooms that a user sees as a member: their ids as on the wire, by id, and the encoded entries of the list."""

    __slots__ = ("direct", "entries", "rooms")

    def __init__(self, rooms: dict[int, str], direct: frozenset[int], entries: bytes) -> None:
        self.rooms = rooms
        self.direct = direct
        self.entries = entries


NO_ROOMS = OwnRooms({}, frozenset(), b"")


class UserList(NamedTuple):
    """All rooms of a user. Two lists are the same if both their parts are the same objects."""

    shared: RoomList
    own: OwnRooms

    def is_same(self, other: "UserList | None") -> bool:
        """Tell whether this list needs not be sent to a socket that has the other one."""
        return other is not None and self.shared is other.shared and self.own is other.own

    @property
    def rooms(self) -> Mapping[int, str]:
        """The ids on the wire, by id."""
        return ChainMap(self.own.rooms, self.shared.rooms) if self.own.rooms else self.shared.rooms

    def frame(self) -> Frame:
        """Return the frame. One with rooms of the user's own is not kept, because on a large site it is large."""
        if not self.own.rooms:
            return self.shared.frame
        opening, closing = _EMPTY.payload[:-2], _EMPTY.payload[-2:]
        entries = [self.shared.frame.payload.removeprefix(opening).removesuffix(closing), self.own.entries]
        return Frame(opening + b",".join(filter(None, entries)) + closing)


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
        self._sessions: dict[int, dict[Session, UserList | None]] = {}
        # The rooms of each user as a member, once they are known; and the users who see each of these rooms.
        self._own: dict[int, OwnRooms] = {}
        self._members: dict[int, dict[int, None]] = {}
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
        self.set_own(user, NO_ROOMS)
        del self._own[user]
        if audience := self._of.pop(user, None):
            self._leave(user, audience)
        return True

    def users(self) -> list[int]:
        """Return all users who watch."""
        return list(self._sessions)

    def listed_sessions(self, user: int) -> list[Session]:
        """Return a user's sockets that were sent a list already."""
        return [session for session, sent in self._sessions.get(user, {}).items() if sent is not None]

    def rooms(self, user: int) -> Mapping[int, str]:
        """Return the rooms of a user's list."""
        listed = self.list_of(user)
        return listed.rooms if listed else {}

    def is_direct(self, user: int, room: int) -> bool:
        """Tell whether a room in a user's list is a direct room."""
        own = self._own.get(user)
        return own is not None and room in own.direct

    def readers(self, room: int) -> Iterator[list[int]]:
        """Return the users who watch a room, one kind at a time."""
        for audience in list(self._kinds.values()):
            if audience.list and room in audience.list.rooms:
                yield list(audience.users)
        if members := self._members.get(room):
            yield list(members)

    def has_readers(self, room: int) -> bool:
        """Tell whether a user watches a room."""
        return room in self._members or any(
            audience.list and room in audience.list.rooms for audience in self._kinds.values()
        )

    def members(self, rooms: Iterable[int]) -> set[int]:
        """Return the users who see one of these rooms as a member."""
        return {user for room in rooms for user in self._members.get(room, ())}

    def lacks_own(self, user: int) -> bool:
        """Tell whether the rooms of a user who watches are not known yet."""
        return user in self._sessions and user not in self._own

    def set_own(self, user: int, own: OwnRooms) -> None:
        """Set the rooms that a user sees as a member. An unchanged list stays the same object."""
        before = self._own.get(user, NO_ROOMS)
        if own.entries == before.entries:
            self._own.setdefault(user, own)
            return
        for room in before.rooms.keys() - own.rooms.keys():
            del self._members[room][user]
            if not self._members[room]:
                del self._members[room]
        for room in own.rooms:
            self._members.setdefault(room, {})[user] = None
        self._own[user] = own

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

    def list_of(self, user: int) -> UserList | None:
        """Return a user's list, if it is known."""
        shared, own = self._of[user].list if user in self._of else None, self._own.get(user)
        return UserList(shared, own) if shared is not None and own is not None else None

    def set_lists(self, lists: Mapping[Hashable, RoomList]) -> None:
        """Set the lists of kinds. An unchanged list stays the same object, so it is not sent again."""
        for kind, new in lists.items():
            audience = self._kinds.get(kind)
            if audience and (audience.list is None or audience.list.frame.payload != new.frame.payload):
                audience.list = new

    def send_list(self, user: int) -> list[Session]:
        """Send the list to a user's sockets that have another one; return those that had none."""
        listed, new = self.list_of(user), []
        frame: Frame | None = None
        for session, sent in list(self._sessions.get(user, {}).items()):
            if listed is not None and not listed.is_same(sent):
                self._sessions[user][session] = listed
                frame = frame or listed.frame()
                session.signal(frame)
                if sent is None:
                    new.append(session)
        return new

    def _leave(self, user: int, audience: Audience) -> None:
        del audience.users[user]
        if not audience.users:
            del self._kinds[audience.kind]


def load(kinds: Mapping[Hashable, Any]) -> dict[Hashable, RoomList]:
    """Read the rooms that the users of each kind share, by title, with one query for each kind."""
    return {kind: _list(user) for kind, user in kinds.items()}


def load_own(users: Collection[int]) -> dict[int, OwnRooms]:
    """Read the rooms that each of these users sees as a member, in two queries for some hundred users."""
    return {user: _own(found) if found else NO_ROOMS for user, found in own_rooms.load(users).items()}


def _own(found: list[own_rooms.OwnRoom]) -> OwnRooms:
    titles = [
        RoomTitle(
            id=str(room.id),
            title=room.title,
            staff_only=False,
            kind="members" if room.people is None else "direct",
            people=UNSET if room.people is None else list(room.people),
            topic=room.topic or UNSET,
        )
        for room in found
    ]
    entries = protocol.encode(Rooms(rooms=titles)).payload
    opening, closing = _EMPTY.payload[:-2], _EMPTY.payload[-2:]
    direct = frozenset(room.id for room in found if room.people is not None)
    return OwnRooms(
        {room.id: str(room.id) for room in found}, direct, entries.removeprefix(opening).removesuffix(closing)
    )


def _list(user: Any) -> RoomList:
    rows = policies.list_shared_rooms(user)
    titles = [
        RoomTitle(id=str(pk), title=title, staff_only=staff_only, topic=topic or UNSET)
        for pk, title, staff_only, topic in rows
    ]
    return RoomList({pk: str(pk) for pk, *_ in rows}, protocol.encode(Rooms(rooms=titles)))


# A list without rooms: its bytes are what is around the entries of every list.
_EMPTY = protocol.encode(Rooms(rooms=[]))
