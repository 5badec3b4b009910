"""The recent events of one room, kept in memory for sessions that are a little behind (Ring)."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from chat.conf import conf
from chat.live.sockets import Run, chunk
from chat.protocol import AnyEvent, Deleted, Edited, Overtaken
from chat.store.events import LoggedEvent, apply_changes

# The most runs of a ring that are kept joined, of up to about WRITE_BYTES each.
KEPT_RUNS = 2


class Ring:
    """The last events of a log, without holes up to its head, as they stand now.

    It is empty at first. It grows as events come, and backwards when a session needs what came before (prepend).
    """

    def __init__(self, head: int) -> None:
        self.head = head
        self.events: deque[LoggedEvent] = deque()
        # Bytes of memory that the events take.
        self.size = 0
        # How often an event of the ring has lost its text or got another one, or the ring has started over.
        self.changes = 0
        # The ring's latest edit of each message.
        self._edits: dict[int, int] = {}
        # The runs after a cursor that were asked for since the ring changed last.
        self._runs: dict[int, Run] = {}

    def restart(self, head: int) -> None:
        """Forget all events, because the log is another one now, and go on after `head`."""
        self.head = head
        self.events.clear()
        self._edits.clear()
        self.size = 0
        # Runs that are being offered are of the old log.
        self.changes += 1
        self._runs.clear()

    @property
    def start(self) -> int:
        """The seq of the ring's first event, or of the one that will be its first."""
        return self.events[0].seq if self.events else self.head + 1

    def append(self, event: LoggedEvent) -> None:
        """Add the event after the head, and apply it to the events before it."""
        change = event.event
        self._runs.clear()
        # Sessions that catch up from the ring must not get a text that was deleted or edited away.
        match change:
            case Deleted(deleted=target):
                self._apply_change(target, change)
                self._apply_change(self._edits.pop(target, 0), change)
            case Edited(edited=target) | Overtaken(edited=target):
                self._apply_change(target, change)
                self._apply_change(self._edits.get(target, 0), change)
                self._edits[target] = event.seq
        self.events.append(event)
        self.head = event.seq
        self.size += event.size
        while len(self.events) > conf.RING_EVENTS or (self.size > conf.RING_BYTES and len(self.events) > 1):
            self._forget_oldest()

    def forget_before(self, floor: int) -> None:
        """Forget the events below `floor`, because they have expired."""
        while self.events and self.events[0].seq < floor:
            self._forget_oldest()

    def prepend(self, events: Sequence[LoggedEvent]) -> None:
        """Add events that end right before the first one, the newest of them first, while there is room."""
        for event in reversed(events):
            if len(self.events) >= conf.RING_EVENTS or self.size + event.size > conf.RING_BYTES:
                return
            self.events.appendleft(event)
            self.size += event.size
            if isinstance(event.event, Edited):
                self._edits.setdefault(event.event.edited, event.seq)

    def run_after(self, cursor: int) -> Run | None:
        """Return the next events after `cursor` that one write may hold, or None when the ring does not have them.

        Sessions that come back after a cut stand at the same place, so the run is joined once for all of them.
        """
        if cursor >= self.head or self.start > cursor + 1:
            return None
        if cursor not in self._runs:
            while len(self._runs) >= KEPT_RUNS:
                del self._runs[next(iter(self._runs))]
            self._runs[cursor] = Run(chunk(event.frame for event in self.range(cursor + 1)))
        return self._runs[cursor]

    def forget_runs(self) -> None:
        """Free the runs that were joined. They are joined again when they are needed."""
        self._runs.clear()

    def after(self, cursor: int) -> Sequence[LoggedEvent] | None:
        """Return the events after `cursor`, or None when the ring does not go back that far."""
        if cursor >= self.head:
            return []
        return list(self.range(cursor + 1)) if self.start <= cursor + 1 else None

    def range(self, first: int, last: int | None = None) -> Iterable[LoggedEvent]:
        """Return the events from seq `first` to seq `last`, or to the head."""
        start = self.start
        return islice(self.events, max(0, first - start), None if last is None else max(0, last + 1 - start))

    def as_now(self, events: Sequence[LoggedEvent], head: int) -> Sequence[LoggedEvent] | None:
        """Return events that were read when the log was at `head`, without the texts that are gone since.

        None when the ring does not go back to `head`.
        """
        since = self.after(head)
        return None if since is None else apply_changes(events, since)

    def _apply_change(self, seq: int, change: AnyEvent) -> None:
        """Replace an event of the ring by what it is after a later one."""
        index = seq - self.events[0].seq if self.events else -1
        if 0 <= index < len(self.events):
            kept = self.events[index]
            self.events[index] = changed = kept.changed_by(change)
            self.size += changed.size - kept.size
            self.changes += changed is not kept

    def _forget_oldest(self) -> None:
        oldest = self.events.popleft()
        self.size -= oldest.size
        if isinstance(oldest.event, Edited | Overtaken) and self._edits.get(oldest.event.edited) == oldest.seq:
            del self._edits[oldest.event.edited]
