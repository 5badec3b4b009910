"""A user in a room: the key of presence, read positions and counts."""

from typing import NamedTuple


class RoomUser(NamedTuple):
    """Ids of a room and a user."""

    room: int
    user: int
