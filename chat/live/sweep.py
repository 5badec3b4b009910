"""Which rooms the sweep asks for: those with listeners here each time, of all others a slice at a time (Sweep)."""

from collections.abc import Iterable

from chat.store import log

# All rooms of a site that has no more than this are looked at by every sweep.
SLICE = 1000
# Rooms that bells named since the last sweep. More of them are found by the slices.
MOST_BELLS = 1000

# Head, floor and epoch of rooms, by id.
Heads = dict[int, tuple[int, int, str]]


class Sweep:
    """Remembers where the slices are, and which rooms a bell has named: the unread counts of those may have changed."""

    def __init__(self) -> None:
        self.after = 0
        self._rung: set[int] = set()

    def rung(self, room: int) -> None:
        """Hear a bell of a room that has no listeners here."""
        if len(self._rung) < MOST_BELLS:
            self._rung.add(room)

    def rooms(self, listened_to: Iterable[int]) -> list[int]:
        """Return the rooms to ask for in this sweep, whatever slice it looks at."""
        rung, self._rung = self._rung, set()
        return [*dict.fromkeys([*listened_to, *rung])]


def look(rooms: list[int], after: int | None) -> tuple[Heads, int]:
    """Return the heads of the rooms and of the slice of all rooms above id `after` (None: of no slice).

    And the id after which the next slice begins.
    """
    if after is None:
        return log.heads(rooms), 0
    heads = log.heads_after(after, limit=SLICE + 1)
    # One more than the slice, to know whether it is the last.
    last = max(heads) - 1 if len(heads) > SLICE else 0
    # From the first room to the last: what is not in it does not exist.
    if after or last:
        heads |= log.heads([room for room in rooms if room not in heads])
    return heads, last
