"""Drafts that cannot be saved now although others can, and when to try them again (Held)."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chat.store.actions import Draft, NotSaved, Outcome

# How soon a locked room is tried again: the first wait and the longest. A try never waits for a lock, and takes a
# millisecond or two.
PROBE_SECONDS = 0.05
PROBE_MAX_SECONDS = 0.5
# A draft that fails alone may take seconds to fail. It gets at most this share of the writer's time.
PROBE_SHARE = 0.05
# How long a room stays suspect after its last draft was refused. Otherwise its next draft would make the others wait
# for the lock again.
SUSPECT_SECONDS = 30.0

# A room that is locked (without an author); or a room and the author of a draft that fails alone. The author's next
# drafts in this room wait behind it.
Key = tuple[int, int | None]


@dataclass(slots=True)
class Waiting:
    """A draft that was submitted and is not answered yet."""

    draft: Draft
    # When it is refused if it could not be saved.
    until: float
    answer: Callable[[Outcome], None]
    is_answered: bool = False


@dataclass(slots=True)
class Hold:
    """The drafts of one key, in order."""

    since: float
    # When it last had drafts.
    used_at: float
    due_at: float
    delay: float = PROBE_SECONDS
    is_reported: bool = False
    drafts: deque[Waiting] = field(default_factory=deque)


class Held:
    """The first draft of each key is tried again from time to time; its others wait behind it."""

    def __init__(self) -> None:
        self._holds: dict[Key, Hold] = {}

    def __len__(self) -> int:
        return sum(len(hold.drafts) for hold in self._holds.values())

    def __iter__(self) -> Iterator[tuple[Key, Waiting]]:
        """Iterate over all drafts that wait, with their keys."""
        return iter([(key, waiting) for key, hold in self._holds.items() for waiting in hold.drafts])

    def find(self, draft: Draft) -> Key | None:
        """Return the key under which a draft has to wait, or None if it can be tried."""
        # The author's key first, so that drafts behind one that failed keep their order.
        keys = ((draft.room, draft.author), (draft.room, None))
        return next((key for key in keys if key in self._holds), None)

    def hold(self, draft: Draft, outcome: NotSaved) -> None:
        """Let the drafts of this one's room wait, or those of its author there, because it could not be saved."""
        now = _now()
        key = (draft.room, None if outcome.is_locked else draft.author)
        self._holds.setdefault(key, Hold(now, now, now + PROBE_SECONDS))

    def add(self, key: Key, waiting: Waiting) -> None:
        """Let a draft wait under a key, after those that wait already."""
        self._holds[key].drafts.append(waiting)

    def release(self, key: Key) -> list[Waiting]:
        """Forget a key, and return the drafts that waited under it."""
        return list(self._holds.pop(key).drafts)

    def next_probe_at(self) -> float:
        """Return the time of the next try."""
        return min((hold.due_at for hold in self._holds.values() if hold.drafts), default=float("inf"))

    def due(self, limit: int) -> list[tuple[Key, Waiting]]:
        """Return the drafts to try now in one transaction, each the first of its key."""
        now = _now()
        due = [(key, hold.drafts[0]) for key, hold in self._holds.items() if hold.drafts and hold.due_at <= now]
        # A draft that fails alone is tried alone, because the others of its transaction would fail with it.
        return [(key, waiting) for key, waiting in due if key[1] is None][:limit] or due[:1]

    def postpone(self, key: Key, took: float) -> None:
        """Set when a key is tried next, after a try that failed and took this many seconds."""
        hold = self._holds[key]
        hold.delay = min(2 * hold.delay, PROBE_MAX_SECONDS)
        hold.due_at = _now() + (hold.delay if key[1] is None else max(hold.delay, took / PROBE_SHARE))

    def drop_answered(self) -> None:
        """Forget drafts that were answered, and keys that have had no drafts for a while."""
        now = _now()
        for key, hold in list(self._holds.items()):
            hold.drafts = deque(waiting for waiting in hold.drafts if not waiting.is_answered)
            if hold.drafts:
                hold.used_at = now
            elif now - hold.used_at > SUSPECT_SECONDS:
                del self._holds[key]

    def report(self, seconds: float) -> list[int]:
        """Return the rooms that have been locked for this long, each only once."""
        now = _now()
        late = {key: hold for key, hold in self._holds.items() if key[1] is None and now - hold.since > seconds}
        new = [room for (room, _), hold in late.items() if not hold.is_reported]
        for hold in late.values():
            hold.is_reported = True
        return new

    def reported(self) -> set[Key]:
        """Return the keys of rooms that were reported."""
        return {key for key, hold in self._holds.items() if hold.is_reported}


def _now() -> float:
    return asyncio.get_running_loop().time()
