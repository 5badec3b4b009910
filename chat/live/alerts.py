"""The alerts of one room that a page pins when it opens the room, as they stand now (Alerts)."""

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone
from msgspec.structs import replace

from chat import protocol
from chat.conf import conf
from chat.protocol import AnyEvent, Deleted, Edited, Posted
from chat.store.log import ALERTS_AT_MOST

# Older alerts are only in the history.
RECENT = timedelta(days=7)
# About the most bytes of alerts in a join frame. It holds at least one.
MAX_BYTES = 64 * 1024


class Alerts:
    """The newest alerts of a room's log. Applying an event twice changes nothing."""

    def __init__(self, posted: Iterable[Posted] = ()) -> None:
        self._by_seq: dict[int, Posted] = {}
        for event in posted:
            self.apply_event(event)

    def apply_event(self, event: AnyEvent) -> None:
        """Add, change or remove an alert."""
        match event:
            case Posted(msg_type=conf.MSG_TYPE_ALERT, deleted=False):
                self._by_seq[event.seq] = event
                if len(self._by_seq) > ALERTS_AT_MOST:
                    del self._by_seq[min(self._by_seq)]
            case Edited(edited=seq, deleted=False) if known := self._by_seq.get(seq):
                self._by_seq[seq] = replace(known, message=event.message, edited_at=event.at)
            case Edited(edited=seq) | Deleted(deleted=seq):
                self._by_seq.pop(seq, None)

    def recent(self) -> list[Posted]:
        """Return the alerts of the last days by the server's clock, oldest first."""
        since = protocol.timestamp(timezone.now() - RECENT)
        found: list[Posted] = []
        size = 0
        for seq in sorted(self._by_seq, reverse=True):
            event = self._by_seq[seq]
            size += len((event.message or "").encode())
            if event.at < since or (found and size > MAX_BYTES):
                break
            found.append(event)
        return found[::-1]
