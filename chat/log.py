"""Append to and read from a room's numbered log: the only writer of events and head_seq.

The rule that everything rests on: a room's row is locked first and held to the commit, so number
order equals commit order, and whoever reads after seq n can never see n+2 without n+1.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat import conf, doorbell, faults, lock_waits, mentions, protocol
from chat.models import Event, Room
from chat.protocol import MAX_ID, AnyEvent, Deleted, Edited, Frame, HistoryPage, Posted

Kind = Event.Kind
# SQLite refuses an expression that is deeper than 1,000.
FIND_AUTHORS = 200

# Of a room's alerts, the newest are told to those who join.
ALERTS_AT_MOST = 20


class LoggedEvent:
    """An event with its frame, encoded once for all who get it."""

    __slots__ = ("event", "frame")

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        self.frame: Frame = protocol.encode(event)

    @property
    def seq(self) -> int:
        return self.event.seq

    def without_text_of(self, seq: int) -> "LoggedEvent":
        """Return this event as it is once message `seq` is deleted."""
        match self.event:
            case Posted(seq=own) if own == seq:
                blank: AnyEvent = protocol.blanked(self.event)
            case Edited(edited=target) if target == seq:
                blank = protocol.blanked(self.event)
            case _:
                return self
        return LoggedEvent(blank)


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a draft: the event's place, and the event itself unless it was there before."""

    room: int
    seq: int
    epoch: str = ""
    logged: LoggedEvent | None = None


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a room's log: where it stands, its last events, and its last alerts as they stand now."""

    epoch: str
    floor: int
    head: int
    events: list[LoggedEvent]
    alerts: list[Posted] = field(default_factory=list)


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
    _edited: set[tuple[int, int]] = field(default_factory=set)
    _blanked: set[tuple[int, int]] = field(default_factory=set)

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
        """Add an edit, and let the message it points at stand as edited."""
        target.body = body
        target.edited_at = self.at
        self._edited.add((room.pk, target.seq))
        return self._append(room, Kind.EDITED, target_seq=target.seq, body=body, **fields)

    def delete(self, room: Room, target: Event, **fields: object) -> Event:
        """Add a delete, and blank the message and every edit of it: deleted text leaves the database."""
        target.body = ""
        target.deleted_at = self.at
        self._edited.add((room.pk, target.seq))
        self._blanked.add((room.pk, target.seq))
        for event in self.added:
            if event.kind == Kind.EDITED and (event.room_id, event.target_seq) == (room.pk, target.seq):
                event.body = ""
                event.deleted_at = self.at
        return self._append(room, Kind.DELETED, target_seq=target.seq, **fields)

    def _append(self, room: Room, kind: Kind, **fields: object) -> Event:
        room.head_seq += 1
        event = Event(room=room, seq=room.head_seq, kind=kind, at=self.at, **fields)
        self.added.append(event)
        return event

    def store(self) -> None:
        """Write all of it: few statements, whatever the number of events."""
        if not self.added:
            return
        Event.objects.bulk_create(self.added)
        new = {(event.room_id, event.seq) for event in self.added}
        if changed := [self._targets[key] for key in sorted(self._edited - new)]:
            Event.objects.bulk_update(changed, ["body", "edited_at", "deleted_at"])
        mentions.store(new=[event for event in self.added if event.kind == Kind.POSTED], changed=changed)
        for room_id, seq in sorted(self._blanked):
            edits = Event.objects.filter(room_id=room_id, target_seq=seq, kind=Kind.EDITED)
            edits.update(body="", deleted_at=self.at)
        heads = {event.room_id: self.rooms[event.room_id].head_seq for event in self.added}
        for room_id, head in heads.items():
            Room.objects.filter(pk=room_id).update(head_seq=head)
        transaction.on_commit(lambda: doorbell.ring(heads))


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


def logged(event: Event) -> LoggedEvent:
    """Return a row as the event that frames tell of: the one encoder of events."""
    return LoggedEvent(_wire(event))


def _posted(event: Event) -> Posted:
    wire = _wire(event)
    assert isinstance(wire, Posted), f"a message: {event}"
    return wire


def _wire(event: Event) -> AnyEvent:
    room, at = str(event.room_id), protocol.timestamp(event.at)
    client_id = event.client_id if event.client_id_given else None
    deleted = event.deleted_at is not None
    body = None if deleted else event.body
    match event.kind:
        case Kind.POSTED:
            return Posted(
                room=room,
                username=event.username,
                message=body,
                msg_type=event.msg_type,
                seq=event.seq,
                at=at,
                client_id=client_id,
                edited_at=protocol.timestamp(event.edited_at) if event.edited_at else None,
                deleted=deleted,
                user=event.author_id,
            )
        case Kind.EDITED:
            assert event.target_seq is not None, f"an edit points at a message: {event}"
            return Edited(
                room=room,
                edited=event.target_seq,
                message=body,
                seq=event.seq,
                at=at,
                client_id=client_id,
                deleted=deleted,
            )
        case _:
            assert event.target_seq is not None, f"a delete points at a message: {event}"
            return Deleted(room=room, deleted=event.target_seq, seq=event.seq, at=at, client_id=client_id)


def read(room_id: int, *, after: int, limit: int) -> list[LoggedEvent]:
    """Return up to `limit` events after cursor `after`, in order."""
    rows = Event.objects.filter(room_id=room_id, seq__gt=after).order_by("seq")
    return [logged(event) for event in rows[:limit]]


def tail(room_id: int, *, limit: int) -> Tail | None:
    """Return where a room's log stands and its last events, or None when there is no such room."""
    room = Room.objects.filter(pk=room_id).only("epoch", "floor_seq", "head_seq").first()
    if room is None:
        return None
    # Up to the head that was read: what was committed between the two statements comes by advance.
    rows = Event.objects.filter(room_id=room_id, seq__gt=room.head_seq - limit, seq__lte=room.head_seq)
    events = [logged(event) for event in rows.order_by("seq")]
    # Their partial index finds them, however far back they are.
    alerts = Event.objects.filter(
        room_id=room_id, kind=Kind.POSTED, msg_type=conf.MSG_TYPE_ALERT, seq__gte=room.floor_seq, deleted_at=None
    )
    newest = alerts.order_by("-seq")[:ALERTS_AT_MOST]
    return Tail(room.epoch, room.floor_seq, room.head_seq, events, [_posted(event) for event in newest])


def heads(room_ids: Sequence[int] | None = None) -> dict[int, tuple[int, int, str]]:
    """Return head, floor and epoch of the rooms (None: of all), by id: the sweep's one query."""
    rooms = Room.objects.all() if room_ids is None else Room.objects.filter(pk__in=room_ids)
    rows = rooms.order_by().values_list("pk", "head_seq", "floor_seq", "epoch")
    return {pk: (head, floor, epoch) for pk, head, floor, epoch in rows}


def history(room: Room, place: HistoryPlace, *, limit: int, max_bytes: int) -> HistoryPage:
    """Return a page of up to `limit` messages as they stand now, fewer when they weigh more than `max_bytes`.

    `room` was read before the messages, so all up to its head is in them: that is `as_of`.
    """
    kept = Event.objects.filter(room_id=room.pk, kind=Kind.POSTED, seq__gte=room.floor_seq)
    older: list[Event] = []
    newer: list[Event] = []
    # One more than is shown, each way, tells whether there are more.
    if (first := _first_of_newer(kept, place)) is None:
        before = MAX_ID if place.before is None else place.before
        older = list(kept.filter(seq__lt=before).order_by("-seq")[: limit + 1])
        has_newer = place.before is not None and kept.filter(seq__gte=place.before).exists()
        back, there = limit, _Part([])
    else:
        back = limit // 2 if place.around is not None else 0
        older = list(kept.filter(seq__lt=first).order_by("-seq")[: back + 1])
        newer = list(kept.filter(seq__gte=first).order_by("seq")[: limit - back + 1])
        # What goes both ways shares the weight.
        there = _part(newer[: limit - back], max_bytes // 2 if back else max_bytes)
        has_newer = len(newer) > len(there.events)
    earlier = _part(older[:back], max_bytes - there.size, least=0 if there.events else 1)
    return HistoryPage(
        history=str(room.pk),
        events=[*reversed(earlier.events), *there.events],
        as_of=room.head_seq,
        more=len(older) > len(earlier.events),
        newer=has_newer,
    )


class _Part(NamedTuple):
    """One side of a page: its messages, from the middle outwards, and what they weigh."""

    events: list[Posted]
    size: int = 0


def _part(rows: Iterable[Event], max_bytes: int, *, least: int = 1) -> _Part:
    """Return the first messages that together weigh no more than `max_bytes`, and `least` at least."""
    events: list[Posted] = []
    size = 0
    for event in map(_posted, rows):
        weight = len(protocol.encode(event).payload)
        if len(events) >= least and size + weight > max_bytes:
            break
        events.append(event)
        size += weight
    return _Part(events, size)


def _first_of_newer(kept: QuerySet[Event], place: HistoryPlace) -> int | None:
    """Return the seq from which a page goes forward, or None when it goes back."""
    if place.after is not None:
        return place.after + 1
    if place.around is not None:
        return place.around
    if place.since_time is None:
        return None
    # By time only to find the place: order is by seq.
    found = kept.filter(at__gte=place.since_time).order_by("seq").values_list("seq", flat=True).first()
    return MAX_ID if found is None else found
