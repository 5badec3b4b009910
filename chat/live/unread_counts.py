"""The unread counts in memory, by user and room, and how new events change them (Counts, RoomNews)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from chat.store.alerts import AT_MOST
from chat.store.mentions import EVERYONE
from chat.store.unread import MOST, Kind, News, Unread

# Events that may take an alert away.
ENDS_ALERT = (Kind.CONFIRMED, Kind.RESOLVED, Kind.DELETED)


class RoomNews:
    """The new events of one room, added up once for all users."""

    def __init__(self, events: Sequence[News], up_to: int) -> None:
        self.up_to = up_to
        self._events = events
        self._first = events[0].seq if events else up_to
        self._is_plain = all(event.kind == Kind.POSTED for event in events)
        self._by_author = Counter(event.author for event in events)
        self._of_alerts = [event for event in events if event.is_alert or event.kind in ENDS_ALERT]
        self._naming = Counter(user for event in events for user in event.named if user != event.author)
        # Events that mention all users, by author.
        self._calling = Counter(event.author for event in events if EVERYONE in event.named)

    def added_to(self, user: int, known: Unread) -> Unread | None:
        """Return a user's counts with the news added; None when they have to be counted by the database.

        The result is what the database would count at `up_to`, whatever part of the news `known` includes already.
        """
        if known.head >= self.up_to:
            return known
        if not self._is_plain or known.head >= self._first or known.read >= self._first:
            return self._added_one_by_one(user, known)
        others = len(self._events) - self._by_author[user]
        return self._capped(user, known, known.unread + others, known.mentions + self._named(user))

    def _named(self, user: int) -> int:
        return self._naming[user] + self._calling.total() - self._calling[user]

    def _added_one_by_one(self, user: int, known: Unread) -> Unread | None:
        unread, mentions = known.unread, known.mentions
        for event in self._events:
            if event.seq <= known.head or event.message <= known.read or event.author == user:
                continue
            if event.kind in (Kind.CONFIRMED, Kind.RESOLVED):
                continue
            if event.kind == Kind.POSTED:
                unread += 1
                mentions += user in event.named or EVERYONE in event.named
            elif mentions or user in event.named or EVERYONE in event.named:
                # It is not known any more whom the message named before.
                return None
            elif event.kind == Kind.DELETED and unread < MOST:
                unread -= 1
        return self._capped(user, known, unread, mentions)

    def _capped(self, user: int, known: Unread, unread: int, mentions: int) -> Unread:
        alerts = self._alerts_of(user, known) if self._of_alerts else known.alerts
        counts = (min(unread, MOST), min(mentions, MOST))
        return Unread(self.up_to, known.read, *counts, alerts, known.level, known.epoch)

    def _alerts_of(self, user: int, known: Unread) -> tuple[int, ...]:
        unconfirmed = dict.fromkeys(known.alerts)
        for event in self._of_alerts:
            if event.seq <= known.head:
                continue
            if event.kind == Kind.POSTED and event.author != user:
                unconfirmed[event.message] = None
            elif event.kind in (Kind.RESOLVED, Kind.DELETED) or (event.kind == Kind.CONFIRMED and event.by == user):
                unconfirmed.pop(event.message, None)
        return tuple(sorted(unconfirmed)[-AT_MOST:])


class Counts:
    """Counts by user and room. A count stops at MOST, and stays there until its user reads."""

    def __init__(self) -> None:
        self._of: dict[int, dict[int, Unread]] = {}

    def get(self, user: int, room: int) -> Unread | None:
        """Return a user's counts of a room, if they are known."""
        rooms = self._of.get(user)
        return rooms.get(room) if rooms is not None else None

    def rooms(self, user: int) -> list[int]:
        """Return the rooms that are counted for a user."""
        return list(self._of.get(user, ()))

    def put(self, user: int, room: int, counts: Unread) -> bool:
        """Set counts; return whether they have changed."""
        rooms = self._of.setdefault(user, {})
        if rooms.get(room) == counts:
            return False
        rooms[room] = counts
        return True

    def forget(self, user: int, rooms: Iterable[int] | None = None) -> None:
        """Forget a user's counts, or those of some rooms."""
        if rooms is None:
            self._of.pop(user, None)
        elif user in self._of:
            for room in rooms:
                self._of[user].pop(room, None)

    def read(self, user: int, room: int, seq: int) -> bool | None:
        """Move a read position; return whether the counts changed, or None when the database has to count."""
        known = self.get(user, room)
        if known is None or seq == known.read:
            return False
        if seq < known.head:
            return None
        # All known messages are read, and those that come up to `seq` too: the count is zero. The head stays, because
        # the events up to `seq` may still end alerts.
        return self.put(user, room, Unread(known.head, seq, 0, 0, known.alerts, known.level, known.epoch))
