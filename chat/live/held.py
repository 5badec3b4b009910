"""Drafts that cannot be saved now although others can, and when to try them again (Held)."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chat.store.actions import Draft, NotSaved, Outcome

# How soon a locked room is tried again: first, and at most. A try waits for nothing and takes a millisecond or two.
PROBE_SECONDS = 0.05
PROBE_MAX_SECONDS = 0.5
# A draft that fails alone may take seconds to fail. It gets this share of the writer's time at most.
PROBE_SHARE = 0.05
# A room stays suspect for so long after its last draft was given back. Otherwise its next one would make the others
# wait for the lock once more.
SUSPECT_SECONDS = 30.0

# A room that is locked; or a room and the author of a draft that fails alone, behind which their next ones wait.
Key = tuple[int, int | None]


@dataclass(slots=True)
class Waiting:
    """A draft that was taken and is not answered yet."""

    draft: Draft
    # When it is given back to its sender.
    until: float
    answer: Callable[[Outcome], None]
    is_answered: bool = False


@dataclass(slots=True)
class Hold:
    """The drafts of one key, in their order."""

    since: float
    # When it last had drafts.
    used_at: float
    due_at: float
    delay: float = PROBE_SECONDS
    is_reported: bool = False
    drafts: deque[Waiting] = field(default_factory=deque)


class Held:
    """The first draft of each key is tried again from time to time; the others wait behind it."""

    def __init__(self) -> None:
        self._holds: dict[Key, Hold] = {}

    def __len__(self) -> int:
        return sum(len(hold.drafts) for hold in self._holds.values())

    def __iter__(self) -> Iterator[tuple[Key, Waiting]]:
        """Return all drafts that wait, with their keys."""
        return iter([(key, waiting) for key, hold in self._holds.items() for waiting in hold.drafts])

    def find(self, draft: Draft) -> Key | None:
        """Return the key under which a draft has to wait, or None if it can be tried."""
        # The author's first: those behind a draft that failed keep their order.
        keys = ((draft.room, draft.author), (draft.room, None))
        return next((key for key in keys if key in self._holds), None)

    def begin(self, draft: Draft, outcome: NotSaved) -> None:
        """Let all drafts like this one wait, which could not be saved."""
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
        """Return when a draft is to be tried again."""
        return min((hold.due_at for hold in self._holds.values() if hold.drafts), default=float("inf"))

    def due(self, limit: int) -> list[tuple[Key, Waiting]]:
        """Return drafts that are to be tried now in one transaction, each the first of its key."""
        now = _now()
        due = [(key, hold.drafts[0]) for key, hold in self._holds.items() if hold.drafts and hold.due_at <= now]
        # One that fails alone is tried alone: it would take the others with it.
        return [one for one in due if one[0][1] is None][:limit] or due[:1]

    def postpone(self, key: Key, took: float) -> None:
        """Set when the first draft of a key is tried next; this try was in vain, and took so many seconds."""
        hold = self._holds[key]
        hold.delay = min(2 * hold.delay, PROBE_MAX_SECONDS)
        hold.due_at = _now() + (hold.delay if key[1] is None else max(hold.delay, took / PROBE_SHARE))

    def drop_answered(self) -> None:
        """Forget drafts that were given back to their senders, and keys that have had none for a while."""
        now = _now()
        for key, hold in list(self._holds.items()):
            hold.drafts = deque(waiting for waiting in hold.drafts if not waiting.is_answered)
            if hold.drafts:
                hold.used_at = now
            elif now - hold.used_at > SUSPECT_SECONDS:
                del self._holds[key]

    def report(self, seconds: float) -> list[int]:
        """Return the rooms that have been locked for so long; each once."""
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
