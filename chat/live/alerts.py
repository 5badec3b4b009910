"""The alerts of one room that a page pins when it opens the room, as they stand now (Alerts)."""

from collections.abc import Iterable

from django.utils import timezone
from msgspec.structs import replace

from chat import protocol
from chat.conf import conf
from chat.protocol import AnyEvent, Confirmations, Confirmed, Deleted, Edited, Person, Posted, Resolution, Resolved
from chat.store.alerts import AT_MOST, RECENT
from chat.store.confirmations import MOST_USERS

# About the most bytes of alerts in a join frame. It holds at least one.
MAX_BYTES = 64 * 1024


class Alerts:
    """The newest alerts of a room's log, as they stood at `as_of`, and the events after it that concern them."""

    def __init__(self, posted: Iterable[Posted] = (), *, as_of: int = 0) -> None:
        self._as_of = as_of
        self._by_seq: dict[int, Posted] = {}
        for event in posted:
            self._add(event)

    def _add(self, event: Posted) -> None:
        self._by_seq[event.seq] = event
        if len(self._by_seq) > AT_MOST:
            del self._by_seq[min(self._by_seq)]

    def apply_event(self, event: AnyEvent) -> None:
        """Add, change or remove an alert. An event that is included already changes nothing."""
        if event.seq <= self._as_of:
            return
        match event:
            case Posted(msg_type=conf.MSG_TYPE_ALERT, deleted=False):
                self._add(event)
            case Confirmed(confirmed=seq) if known := self._by_seq.get(seq):
                self._by_seq[seq] = replace(known, confirmations=_with(known.confirmations, event))
            case Resolved(resolved=seq) if known := self._by_seq.get(seq):
                resolution = Resolution(user=event.user, username=event.username, seq=event.seq, at=event.at)
                self._by_seq[seq] = replace(known, resolution=resolution)
            case Edited(edited=seq, deleted=False) if known := self._by_seq.get(seq):
                self._by_seq[seq] = replace(known, message=event.message, edited_at=event.at)
            case Edited(edited=seq) | Deleted(deleted=seq):
                self._by_seq.pop(seq, None)

    def forget_before(self, floor: int) -> None:
        """Forget the alerts that have expired."""
        self._by_seq = {seq: event for seq, event in self._by_seq.items() if seq >= floor}

    def recent(self) -> list[Posted]:
        """Return the alerts of the last days by the server's clock, oldest first."""
        since = protocol.timestamp(timezone.now() - RECENT)
        found: list[Posted] = []
        size = 0
        for seq in sorted(self._by_seq, reverse=True):
            event = self._by_seq[seq]
            size += len(protocol.encode(event).payload)
            if event.at < since or (found and size > MAX_BYTES):
                break
            found.append(event)
        return found[::-1]


def _with(known: Confirmations | None, event: Confirmed) -> Confirmations:
    count, users = (known.count, known.users) if known else (0, [])
    person = Person(user=event.user, username=event.username)
    return Confirmations(count=count + 1, users=[*users, person][:MOST_USERS])
