"""Which users and rooms a change of rights concerns (Concern), so that only their sessions are checked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# A change that names more users and rooms than this is treated as one of all users, which is cheaper to check then.
MAX_NAMED = 1000
# The same limit for the names that one bell carries.
MAX_IN_BELL = 200


@dataclass(frozen=True, slots=True)
class Concern:
    """The users and rooms whose rights may have changed."""

    users: frozenset[int] = frozenset()
    rooms: frozenset[int] = frozenset()
    is_all_users: bool = False

    def __bool__(self) -> bool:
        return self.is_all_users or bool(self.users or self.rooms)

    def __or__(self, other: "Concern") -> "Concern":
        if self.is_all_users or other.is_all_users:
            return ALL_USERS
        users, rooms = self.users | other.users, self.rooms | other.rooms
        return ALL_USERS if len(users) + len(rooms) > MAX_NAMED else Concern(users, rooms)

    def touches(self, *, user: int, room: int | None = None) -> bool:
        """Return whether the rights of this user (in this room) may have changed."""
        return self.is_all_users or user in self.users or room in self.rooms

    def as_message(self) -> Any:
        """Return the concern as a bell carries it. An older process asks only whether the value is true."""
        if not self:
            return False
        if self.is_all_users or len(self.users) + len(self.rooms) > MAX_IN_BELL:
            return True
        return {"users": sorted(self.users), "rooms": sorted(self.rooms)}


NO_USERS = Concern()
ALL_USERS = Concern(is_all_users=True)


def from_message(carried: Any) -> Concern:
    """Return the concern that a bell carries. A bell that says no more than `true` concerns all users."""
    if not carried:
        return NO_USERS
    if not isinstance(carried, dict):
        return ALL_USERS
    return about(users=map(int, carried.get("users", ())), rooms=map(int, carried.get("rooms", ())))


def about(*, users: Iterable[int] = (), rooms: Iterable[int] = ()) -> Concern:
    """Return the concern of a change about these users and rooms."""
    return NO_USERS | Concern(frozenset(users), frozenset(rooms))
