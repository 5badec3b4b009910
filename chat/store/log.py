"""Append to and read from a room's numbered log: the only writer of events and head_seq.

The rule that everything rests on: a room's row is locked first and held to the commit, so number
order equals commit order, and whoever reads after seq n can never see n+2 without n+1.
"""

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils import timezone

from chat import doorbell, protocol
from chat.conf import conf
from chat.models import Event, Room
from chat.protocol import HistoryPage, Posted
from chat.store import faults, lock_waits, mentions
from chat.store.events import LoggedEvent as LoggedEvent
from chat.store.events import logged as logged
from chat.store.events import posted

Kind = Event.Kind
# SQLite refuses an expression that is deeper than 1,000.
FIND_AUTHORS = 200

# Events that one statement reads, because texts may be large: what was read is looked at before more is read.
ROWS_PER_QUERY = 64
# Rooms that one statement asks for. SQLite takes a limited number of parameters.
ROOMS_PER_QUERY = 500
# Of a room's alerts, the newest are told to those who join.
ALERTS_AT_MOST = 20

# Each room's alerts are found through their partial index, however many rooms are asked for and however many alerts
# they have. SQLite knows no LATERAL, and PostgreSQL would run the other form for every event.
_NEWEST_ALERTS = f"""
    SELECT newest.id FROM chat_event newest
    WHERE newest.room_id = asked.room_id AND newest.kind = 0 AND newest.msg_type = {conf.MSG_TYPE_ALERT}
      AND newest.deleted_at IS NULL ORDER BY newest.seq DESC LIMIT {ALERTS_AT_MOST}
"""
_ALERTS = {
    "sqlite": f"""
WITH asked(room_id) AS (VALUES {{rooms}})
SELECT event.* FROM asked CROSS JOIN chat_event event WHERE event.id IN ({_NEWEST_ALERTS})
""",
    "postgresql": f"""
WITH asked(room_id) AS (VALUES {{rooms}})
SELECT event.* FROM asked CROSS JOIN LATERAL ({_NEWEST_ALERTS}) newest JOIN chat_event event ON event.id = newest.id
""",
}


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a draft: the event's place, and the event itself unless it was there before."""

    room: int
    seq: int
    epoch: str = ""
    logged: LoggedEvent | None = None


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """Where a page of history is: at most one of these; none of them is the newest page."""

    before: int | None = None
    after: int | None = None
    around: int | None = None
    since_time: datetime | None = None


@dataclass(slots=True)
class Batch:
    """One transaction's view of the rooms it has locked, and what it will add to them."""

    rooms: dict[int, Room]
    at: datetime
    # Rooms that exist and that another transaction has locked: nothing can be added to them now.
    busy: frozenset[int] = frozenset()
    added: list[Event] = field(default_factory=list)
    _targets: dict[tuple[int, int], Event] = field(default_factory=dict)
    _changed: set[tuple[int, int]] = field(default_factory=set)
    # The edits of this batch, by room and seq; and what becomes of earlier ones, by room: overtaken (by which seq),
    # or blanked because their message was deleted.
    _edits: dict[tuple[int, int], Event] = field(default_factory=dict)
    _overtaken: dict[int, dict[int, int]] = field(default_factory=dict)
    _blanked: dict[int, list[int]] = field(default_factory=dict)
    # Deleted messages of which a site kept texts that were edited away.
    _kept: set[tuple[int, int]] = field(default_factory=set)

    def target(self, room: int, seq: int) -> Event | None:
        """Return the message numbered `seq` as it stands now, this batch included; None when there is none."""
        if (room, seq) not in self._targets:
            event = Event.objects.filter(room_id=room, seq=seq, kind=Kind.POSTED).first()
            if event is None:
                return None
            self._targets[room, seq] = event
        return self._targets[room, seq]

    def post(self, room: Room, **fields: object) -> Event:
        """Add a message at the end of the room's log."""
        event = self._append(room, Kind.POSTED, **fields)
        self._targets[room.pk, event.seq] = event
        return event

    def edit(self, room: Room, target: Event, body: str, **fields: object) -> Event:
        """Add an edit, let the message it points at stand as edited, and take the text out of its last edit."""
        event = self._append(room, Kind.EDITED, target_seq=target.seq, body=body, **fields)
        self._edits[room.pk, event.seq] = event
        if target.edit_seq is not None:
            self._overtake(room, target.edit_seq, by=event.seq)
        if conf.KEEP_EDITED_TEXT and target.first_body is None:
            target.first_body = target.body
        target.body = body
        target.edited_at = self.at
        target.edit_seq = event.seq
        self._changed.add((room.pk, target.seq))
        return event

    def delete(self, room: Room, target: Event, **fields: object) -> Event:
        """Add a delete, and blank the message and its latest edit: the others have no text any more."""
        target.body = ""
        target.deleted_at = self.at
        if target.first_body is not None:
            target.first_body = None
            self._kept.add((room.pk, target.seq))
        self._changed.add((room.pk, target.seq))
        if edit := self._edits.get((room.pk, target.edit_seq or 0)):
            edit.body = ""
            edit.deleted_at = self.at
        elif target.edit_seq is not None:
            self._blanked.setdefault(room.pk, []).append(target.edit_seq)
        return self._append(room, Kind.DELETED, target_seq=target.seq, **fields)

    def _append(self, room: Room, kind: Kind, **fields: object) -> Event:
        room.head_seq += 1
        event = Event(room=room, seq=room.head_seq, kind=kind, at=self.at, **fields)
        self.added.append(event)
        return event

    def _overtake(self, room: Room, seq: int, *, by: int) -> None:
        if edit := self._edits.get((room.pk, seq)):
            edit.edit_seq = by
            edit.body = edit.body if conf.KEEP_EDITED_TEXT else ""
        else:
            self._overtaken.setdefault(room.pk, {})[seq] = by

    def store(self) -> None:
        """Write all of it: few statements, whatever the number of events."""
        if not self.added:
            return
        Event.objects.bulk_create(self.added)
        new = {(event.room_id, event.seq) for event in self.added}
        if changed := [self._targets[key] for key in sorted(self._changed - new)]:
            Event.objects.bulk_update(changed, ["body", "first_body", "edit_seq", "edited_at", "deleted_at"])
        mentions.store(new=[event for event in self.added if event.kind == Kind.POSTED], changed=changed)
        self._store_edits()
        heads = {event.room_id: self.rooms[event.room_id].head_seq for event in self.added}
        for room_id, head in heads.items():
            Room.objects.filter(pk=room_id).update(head_seq=head)
        transaction.on_commit(lambda: doorbell.ring(heads))

    def _store_edits(self) -> None:
        texts = {} if conf.KEEP_EDITED_TEXT else {"body": ""}
        for room_id, overtaken in self._overtaken.items():
            by = Case(*(When(seq=seq, then=Value(later)) for seq, later in overtaken.items()))
            Event.objects.filter(room_id=room_id, seq__in=overtaken).update(edit_seq=by, **texts)
        for room_id, seqs in self._blanked.items():
            Event.objects.filter(room_id=room_id, seq__in=seqs).update(body="", deleted_at=self.at)
        for room_id, seq in sorted(self._kept):
            Event.objects.filter(room_id=room_id, target_seq=seq, kind=Kind.EDITED).update(body="")


@contextmanager
def append(room_ids: Iterable[int], *, skip_locked: bool = False) -> Iterator[Batch]:
    """Open a transaction that holds the rooms' locks, and store what was added to it at its end.

    With `skip_locked`, rooms that another transaction holds are left out and named in the batch's `busy`.
    """
    wanted = set(room_ids)
    with transaction.atomic():
        lock_waits.limit_transaction()
        # SQLite has one lock for all, taken at the beginning of the transaction.
        skip_locked = skip_locked and connection.features.has_select_for_update_skip_locked
        # In id order, so that two processes never wait for each other. no_key: events refer to the row.
        locked = Room.objects.select_for_update(no_key=True, skip_locked=skip_locked).filter(pk__in=wanted)
        try:
            rooms = {room.pk: room for room in locked.order_by("pk")}
        except OperationalError as error:
            if skip_locked and faults.is_lock_timeout(error):
                raise faults.TableLockedError(*error.args) from error
            raise
        missing = wanted - rooms.keys() if skip_locked else set()
        # Those that do not exist are missing as well; a second statement tells which.
        busy = Room.objects.filter(pk__in=missing).values_list("pk", flat=True) if missing else ()
        now = timezone.now()
        # Milliseconds, as in frames: a frame made from the row is the same bytes as the first one.
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        batch = Batch(rooms, at=at, busy=frozenset(busy))
        yield batch
        batch.store()


def find(keys: Sequence[tuple[int, uuid.UUID]]) -> dict[tuple[int, uuid.UUID], Committed]:
    """Return what is in the log already, by (author, client_id).

    Call it after the rooms are locked, as a statement of its own: a statement keeps the snapshot it
    had before it waited for the lock, and would not see what the holder of the lock committed.
    """
    by_author: dict[int, set[uuid.UUID]] = {}
    for author, client_id in keys:
        by_author.setdefault(author, set()).add(client_id)
    # By author, because the unique index begins with it: all authors with all client_ids would be searched for
    # every pair of them.
    conditions = [Q(author_id=author, client_id__in=client_ids) for author, client_ids in by_author.items()]
    found: dict[tuple[int, uuid.UUID], Committed] = {}
    for start in range(0, len(conditions), FIND_AUTHORS):
        some = conditions[start : start + FIND_AUTHORS]
        rows = Event.objects.filter(Q(*some, _connector=Q.OR))
        for row_author, row_client_id, room, seq in rows.values_list("author_id", "client_id", "room_id", "seq"):
            assert row_author is not None and row_client_id is not None, "both were asked for"
            found[row_author, row_client_id] = Committed(room, seq)
    return found


def read(room_id: int, *, after: int, limit: int) -> list[LoggedEvent]:
    """Return up to `limit` events after cursor `after`, in order: fewer where their frames are large."""
    events: list[LoggedEvent] = []
    size = 0
    for row in _upwards(Event.objects.filter(room_id=room_id), after + 1, limit):
        event = logged(row)
        size += len(event.frame.payload)
        if events and size > conf.CATCH_UP_BYTES:
            break
        events.append(event)
    return events


def heads(room_ids: Collection[int] | None = None) -> dict[int, tuple[int, int, str]]:
    """Return head, floor and epoch of the rooms (None: of all), by id."""
    if room_ids is None:
        return _heads(Room.objects.order_by())
    ids = list(room_ids)
    found: dict[int, tuple[int, int, str]] = {}
    for start in range(0, len(ids), ROOMS_PER_QUERY):
        found |= _heads(Room.objects.order_by().filter(pk__in=ids[start : start + ROOMS_PER_QUERY]))
    return found


def alerts(room_ids: Collection[int]) -> dict[int, list[Posted]]:
    """Return the newest alerts of rooms as they stand now, deleted ones left out, by room."""
    found: dict[int, list[Posted]] = {room: [] for room in room_ids}
    ids = list(found)
    for start in range(0, len(ids), ROOMS_PER_QUERY):
        asked = ids[start : start + ROOMS_PER_QUERY]
        values = ", ".join(["(CAST(%s AS bigint))"] * len(asked))
        for row in Event.objects.raw(_ALERTS[connection.vendor].format(rooms=values), asked):
            found[row.room_id].append(posted(row))
    return found


def heads_after(room_id: int, *, limit: int) -> dict[int, tuple[int, int, str]]:
    """Return head, floor and epoch of the next `limit` rooms whose ids are above `room_id`."""
    return _heads(Room.objects.filter(pk__gt=room_id).order_by("pk")[:limit])


def _heads(rooms: QuerySet[Room]) -> dict[int, tuple[int, int, str]]:
    # The rows are wanted in no order: the model's own would sort all titles.
    rows = rooms.values_list("pk", "head_seq", "floor_seq", "epoch")
    return {pk: (head, floor, epoch) for pk, head, floor, epoch in rows}


def history(room: Room, place: HistoryPlace, *, limit: int, max_bytes: int) -> HistoryPage:
    """Return a page of up to `limit` messages as they stand now, fewer when their frames exceed `max_bytes`.

    `room` was read before the messages, so all up to its head is in them: that is `as_of`.
    """
    kept = Event.objects.filter(room_id=room.pk, kind=Kind.POSTED)
    floor = room.floor_seq
    # One more than is shown, each way, tells whether there are more.
    if (first := _first_of_newer(kept, room, place)) is None:
        before = protocol.MAX_ID if place.before is None else place.before
        there = _Part([])
        earlier = _part(_downwards(kept, before - 1, floor, limit + 1), limit, max_bytes)
        has_newer = place.before is not None and kept.filter(seq__gte=max(before, floor)).exists()
    else:
        back = limit // 2 if place.around is not None else 0
        newer = _upwards(kept, max(first, floor), limit - back + 1)
        # Both ways share the bytes.
        there = _part(newer, limit - back, max_bytes // 2 if back else max_bytes)
        older = _downwards(kept, first - 1, floor, back + 1)
        earlier = _part(older, back, max_bytes - there.size, least=0 if there.events else 1)
        has_newer = there.has_more
    return HistoryPage(
        history=str(room.pk),
        events=[*reversed(earlier.events), *there.events],
        as_of=room.head_seq,
        more=earlier.has_more,
        newer=has_newer,
    )


class _Part(NamedTuple):
    """One side of a page: its messages, from the middle outwards, their bytes, and whether there are more."""

    events: list[Posted]
    size: int = 0
    has_more: bool = False


def _part(rows: Iterator[Event], count: int, max_bytes: int, *, least: int = 1) -> _Part:
    """Return the first `count` messages, or those that together take no more than `max_bytes`; `least` at least."""
    events: list[Posted] = []
    size = 0
    for row in rows:
        if len(events) >= count:
            return _Part(events, size, has_more=True)
        event = posted(row)
        weight = len(protocol.encode(event).payload)
        if len(events) >= least and size + weight > max_bytes:
            return _Part(events, size, has_more=True)
        events.append(event)
        size += weight
    return _Part(events, size)


def _first_of_newer(kept: QuerySet[Event], room: Room, place: HistoryPlace) -> int | None:
    """Return the seq from which a page goes forward, or None when it goes back."""
    if place.after is not None:
        return place.after + 1
    if place.around is not None:
        return place.around
    if place.since_time is not None:
        return _first_since(kept, room, place.since_time)
    return None


def _first_since(kept: QuerySet[Event], room: Room, time: datetime) -> int:
    """Return the seq from which messages are at or after a time.

    By bisection: `at` grows with seq but for the differences between servers' clocks, so some twenty
    messages of any room are looked at. Compared here, because a time at the edge of the calendar has
    no counterpart in the database's zone.
    """
    low, high = room.floor_seq, room.head_seq + 1
    while low < high:
        middle = (low + high) // 2
        message = kept.filter(seq__gte=middle, seq__lt=high).order_by("seq").values_list("seq", "at").first()
        if message is None or message[1] >= time:
            high = middle
        else:
            low = message[0] + 1
    return low


def _upwards(events: QuerySet[Event], first: int, limit: int) -> Iterator[Event]:
    """Read up to `limit` events from seq `first` on, a few at a time: what follows large ones may not be wanted."""
    while limit > 0:
        # One lower bound: of two, SQLite may take the wrong one and walk the room.
        page = list(events.filter(seq__gte=first).order_by("seq")[: min(ROWS_PER_QUERY, limit)])
        yield from page
        if len(page) < ROWS_PER_QUERY:
            return
        first, limit = page[-1].seq + 1, limit - len(page)


def _downwards(events: QuerySet[Event], last: int, floor: int, limit: int) -> Iterator[Event]:
    """Read up to `limit` events from seq `last` down to `floor`, a few at a time."""
    while limit > 0:
        page = list(events.filter(seq__lte=last, seq__gte=floor).order_by("-seq")[: min(ROWS_PER_QUERY, limit)])
        yield from page
        if len(page) < ROWS_PER_QUERY:
            return
        last, limit = page[-1].seq - 1, limit - len(page)
