"""Whom a change of rights concerns, so that nobody else has to be checked (Concern)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# A change that names more users or rooms than this concerns everybody: one check of all is cheaper by then.
MAX_NAMED = 1000
# The same for what one bell may carry.
MAX_IN_BELL = 200


@dataclass(frozen=True, slots=True)
class Concern:
    """The users and rooms whose rights may have changed."""

    users: frozenset[int] = frozenset()
    rooms: frozenset[int] = frozenset()
    is_everybody: bool = False

    def __bool__(self) -> bool:
        return self.is_everybody or bool(self.users or self.rooms)

    def __or__(self, other: "Concern") -> "Concern":
        if self.is_everybody or other.is_everybody:
            return EVERYBODY
        users, rooms = self.users | other.users, self.rooms | other.rooms
        return EVERYBODY if len(users) + len(rooms) > MAX_NAMED else Concern(users, rooms)

    def touches(self, *, user: int, room: int | None = None) -> bool:
        """Tell whether the right of this user (to be in this room) may be another one now."""
        return self.is_everybody or user in self.users or room in self.rooms

    def as_message(self) -> Any:
        """Return this as a bell carries it. A process of an older version reads it as `true`."""
        if not self:
            return False
        if self.is_everybody or len(self.users) + len(self.rooms) > MAX_IN_BELL:
            return True
        return {"users": sorted(self.users), "rooms": sorted(self.rooms)}


NOBODY = Concern()
EVERYBODY = Concern(is_everybody=True)


def from_message(carried: Any) -> Concern:
    """Read what a bell carries. What it does not name concerns everybody."""
    if not carried:
        return NOBODY
    if not isinstance(carried, dict):
        return EVERYBODY
    return of(users=map(int, carried.get("users", ())), rooms=map(int, carried.get("rooms", ())))


def of(*, users: Iterable[int] = (), rooms: Iterable[int] = ()) -> Concern:
    """Return what concerns these users and rooms."""
    return NOBODY | Concern(frozenset(users), frozenset(rooms))
