"""Append to and read from a room's numbered log: the only writer of events and head_seq.

The basic rule: a transaction locks the room's row first and holds it until the commit. So the order of the
numbers is the order of the commits, and a reader after seq n never sees n+2 without n+1.
"""

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Case, QuerySet, Value, When
from django.utils import timezone

from chat import doorbell, protocol
from chat.conf import conf
from chat.models import Event, Room
from chat.protocol import HistoryPage, Posted, Resolution
from chat.store import confirmations, faults, files, lock_waits, mentions, prepared, reactions, search_text, values
from chat.store.event_rows import EventRow, events_upwards, has_message, messages_downwards, messages_upwards
from chat.store.events import LoggedEvent as LoggedEvent
from chat.store.events import logged as logged
from chat.store.events import posted
from chat.store.inserting import insert
from chat.store.round_trip import RoundTrip

Kind = Event.Kind
# Drafts in one query, because some builds of SQLite take 999 parameters.
FIND_DRAFTS = 300

# As in chat.store.policies: the given rows come first, so that each is one look-up by the unique index.
_COMMITTED = """
WITH asked(place, author_id, client_id) AS ({rows})
SELECT asked.place, event.room_id, event.seq FROM asked CROSS JOIN chat_event event
WHERE event.author_id = asked.author_id AND event.client_id = asked.client_id
"""
_MOVE_HEADS = """
WITH moved(id, head) AS ({rows})
UPDATE chat_room SET head_seq = (SELECT head FROM moved WHERE moved.id = chat_room.id)
WHERE id IN (SELECT id FROM moved)
"""

# The page offers Undo for ten seconds. Later than this, a message cannot be taken back without a trace.
UNDO_WITHIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of a saved draft: room and seq, and the event itself unless it was saved before."""

    room: int
    seq: int
    epoch: str = ""
    logged: LoggedEvent | None = None


@dataclass(frozen=True, slots=True)
class HistoryPlace:
    """Where a page of history begins: at most one of these fields; without any it is the newest page."""

    before: int | None = None
    after: int | None = None
    around: int | None = None
    since_time: datetime | None = None


@dataclass(slots=True)
class Batch:
    """The rooms that a transaction has locked, and the events that it is going to append to them."""

    rooms: dict[int, Room]
    at: datetime
    # Rooms that another transaction has locked, so that no events can be appended to them now.
    busy: frozenset[int] = frozenset()
    added: list[Event] = field(default_factory=list)
    _targets: dict[tuple[int, int], Event] = field(default_factory=dict)
    _changed: set[tuple[int, int]] = field(default_factory=set)
    # The edits of this batch by (room, seq). Then the earlier edits that change, by room: overtaken ones with the seq
    # of the later edit, and those that are blanked because their message was deleted.
    _edits: dict[tuple[int, int], Event] = field(default_factory=dict)
    _overtaken: dict[int, dict[int, int]] = field(default_factory=dict)
    _blanked: dict[int, list[int]] = field(default_factory=dict)
    # Deleted messages of which the site has kept replaced texts.
    _kept: set[tuple[int, int]] = field(default_factory=set)
    _reactions: reactions.Changes = field(default_factory=reactions.Changes)
    _confirmations: confirmations.Changes = field(default_factory=confirmations.Changes)
    _files: files.Changes = field(default_factory=files.Changes)

    def target(self, room: int, seq: int) -> Event | None:
        """Return message `seq` as it stands now, with the changes of this batch; None when it does not exist."""
        if (room, seq) not in self._targets:
            event = find_message(room, seq)
            if event is None:
                return None
            self._targets[room, seq] = event
        return self._targets[room, seq]

    def post(self, room: Room, *, attached: Sequence[uuid.UUID] = (), **fields: Any) -> Event:
        """Append a message to the room's log, with the files that its author has uploaded there.

        Raises ClientError: FILE_INVALID when one of the files is not there, or was posted before.
        """
        # Checked first, because a number that was taken must be used.
        rows = self._files.claim(attached, room.pk, fields["author_id"]) if attached else []
        event = self._append(room, Kind.POSTED, **fields)
        if rows:
            self._files.attach(event, rows)
        self._targets[room.pk, event.seq] = event
        return event

    def edit(self, room: Room, target: Event, body: str, **fields: object) -> Event:
        """Append an edit, change its message, and take the text out of the message's previous edit."""
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

    def delete(self, room: Room, target: Event, *, is_undo: bool = False, **fields: object) -> Event:
        """Append a delete, and blank the message and its latest edit. Earlier edits have no text any more.

        With `is_undo`, a message that was just posted counts as taken back.
        """
        is_taken_back = True if is_undo and self.at - target.at <= UNDO_WITHIN else None
        target.body = ""
        target.deleted_at = self.at
        target.is_on = is_taken_back
        if target.first_body is not None:
            target.first_body = None
            self._kept.add((room.pk, target.seq))
        self._reactions.forget(target)
        self._confirmations.forget(target)
        self._files.forget(target)
        self._changed.add((room.pk, target.seq))
        if edit := self._edits.get((room.pk, target.edit_seq or 0)):
            edit.body = ""
            edit.deleted_at = self.at
        elif target.edit_seq is not None:
            self._blanked.setdefault(room.pk, []).append(target.edit_seq)
        return self._append(room, Kind.DELETED, target_seq=target.seq, is_on=is_taken_back, **fields)

    def react(self, room: Room, target: Event, emoji: str, *, is_on: bool, **fields: Any) -> Event | Committed:
        """Append a reaction, or return the event that has already brought about the same.

        Raises ClientError: MESSAGE_INVALID when the message has too many different emoji.
        """
        state = self._reactions.state(target, emoji, fields["author_id"])
        if is_on == (state is not None and state.is_on):
            return Committed(room.pk, target.seq if state is None else state.seq)
        person = protocol.Person(user=fields["author_id"], username=fields["username"])
        # Checked first, because a number that was taken must be used.
        self._reactions.set(target, emoji, person, is_on=is_on, seq=room.head_seq + 1)
        return self._append(room, Kind.REACTED, target_seq=target.seq, body=emoji, is_on=is_on, **fields)

    def confirm(self, room: Room, target: Event, **fields: Any) -> Event | Committed:
        """Append a user's confirmation of an alert, or return the one that is there."""
        if seq := self._confirmations.confirmed(target, fields["author_id"]):
            return Committed(room.pk, seq)
        event = self._append(room, Kind.CONFIRMED, target_seq=target.seq, **fields)
        self._confirmations.confirm(target, fields["author_id"], fields["username"], seq=event.seq)
        return event

    def resolve(self, room: Room, target: Event, **fields: Any) -> Event | Committed:
        """Append that an alert is over, or return the event that has said so."""
        if known := confirmations.resolution_of(target):
            return Committed(room.pk, known.seq)
        event = self._append(room, Kind.RESOLVED, target_seq=target.seq, **fields)
        at = protocol.timestamp(self.at)
        resolution = Resolution(user=event.author_id, username=event.username, seq=event.seq, at=at)
        self._confirmations.resolve(target, resolution)
        return event

    def _append(self, room: Room, kind: Kind, **fields: object) -> Event:
        room.head_seq += 1
        event = _new_event(room, seq=room.head_seq, kind=kind, at=self.at, **fields)
        self.added.append(event)
        return event

    def _overtake(self, room: Room, seq: int, *, by: int) -> None:
        if edit := self._edits.get((room.pk, seq)):
            edit.edit_seq = by
            edit.body = edit.body if conf.KEEP_EDITED_TEXT else ""
        else:
            self._overtaken.setdefault(room.pk, {})[seq] = by

    def store(self) -> None:
        """Write the whole batch, in few statements whatever the number of events."""
        if not self.added:
            return
        changed_texts = [self._targets[key] for key in sorted(self._changed)]
        with_texts = [event for event in self.added if event.kind in (Kind.POSTED, Kind.EDITED)]
        found = mentions.find({id(event): event for event in with_texts + changed_texts}.values(), self.rooms)
        new = {(event.room_id, event.seq) for event in self.added}
        changed = [self._targets[key] for key in sorted(self._changed - new)]
        search_text.forget(changed)
        trip = RoundTrip()
        insert(trip, self.added)
        search_text.store([*(event for event in self.added if event.kind == Kind.POSTED), *changed], trip)
        heads = {event.room_id: self.rooms[event.room_id].head_seq for event in self.added}
        values.add(trip, _MOVE_HEADS, heads.items())
        trip.run()
        if changed:
            fields = ["body", "first_body", "edit_seq", "edited_at", "deleted_at", "named", "is_on", "files"]
            Event.objects.bulk_update(changed, fields)
        mentions.store(found, changed=changed)
        if reacted := [message for seq, message in sorted(self._reactions.messages.items()) if seq not in new]:
            Event.objects.bulk_update(reacted, ["reactions"])
        self._reactions.store(new=new)
        if alerts := [alert for seq, alert in sorted(self._confirmations.alerts.items()) if seq not in new]:
            Event.objects.bulk_update(alerts, ["confirmations", "resolved"])
        self._confirmations.store(new=new)
        self._files.store()
        self._store_edits()
        transaction.on_commit(lambda: doorbell.ring(heads))

    def _store_edits(self) -> None:
        texts: dict[str, Any] = {"named": None} if conf.KEEP_EDITED_TEXT else {"named": None, "body": ""}
        for room_id, overtaken in self._overtaken.items():
            by = Case(*(When(seq=seq, then=Value(later)) for seq, later in overtaken.items()))
            Event.objects.filter(room_id=room_id, seq__in=overtaken).update(edit_seq=by, **texts)
        for room_id, seqs in self._blanked.items():
            Event.objects.filter(room_id=room_id, seq__in=seqs).update(body="", named=None, deleted_at=self.at)
        for room_id, seq in sorted(self._kept):
            Event.objects.filter(room_id=room_id, target_seq=seq, kind=Kind.EDITED).update(body="")


def _new_event(room: Room, **fields: object) -> Event:
    """Return an event with these fields and the defaults of all others.

    The fields are given by position, because a model takes three times as long to find out which ones are missing.
    """
    event = Event(*(_defaults() | {"room_id": room.pk} | fields).values())
    event.room = room
    return event


@cache
def _defaults() -> dict[str, Any]:
    """Return the default of each column. None of them may be a value that is made anew for each event."""
    return {field.attname: field.get_default() for field in Event._meta.concrete_fields}


@contextmanager
def append(room_ids: Iterable[int], *, skip_locked: bool = False) -> Iterator[Batch]:
    """Open a transaction that locks the rooms, and store the batch at its end.

    With `skip_locked`, rooms that another transaction has locked are left out and listed in the batch's `busy`.
    """
    wanted = set(room_ids)
    with transaction.atomic():
        trip = RoundTrip()
        lock_waits.limit_transaction(trip)
        # SQLite locks the whole database, at the beginning of the transaction.
        skip_locked = skip_locked and connection.features.has_select_for_update_skip_locked
        locked = prepared.ask(trip, _lock_free_rooms if skip_locked else _lock_rooms, sorted(wanted))
        try:
            # The limits and the locks alone: an error has one cause then, and PostgreSQL writes a text that waited too
            # long into its log, where session keys must not stand.
            trip.run()
        except OperationalError as error:
            if skip_locked and faults.is_lock_timeout(error):
                raise faults.TableLockedError(*error.args) from error
            raise
        rooms = {room.pk: room for room in locked()}
        missing = wanted - rooms.keys() if skip_locked else set()
        # Rooms that do not exist are missing too. A second query finds those that exist, so are locked.
        busy = Room.objects.filter(pk__in=missing).values_list("pk", flat=True) if missing else ()
        now = timezone.now()
        # In milliseconds, as in frames, so that a frame made from the row later has the same bytes as the first one.
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)
        batch = Batch(rooms, at=at, busy=frozenset(busy))
        yield batch
        batch.store()


# In id order, so that two processes cannot deadlock. no_key, because new events refer to the row.


def _lock_rooms(room_ids: Sequence[int]) -> QuerySet[Room]:
    return Room.objects.select_for_update(no_key=True).filter(pk__in=room_ids).order_by("pk")


def _lock_free_rooms(room_ids: Sequence[int]) -> QuerySet[Room]:
    return Room.objects.select_for_update(no_key=True, skip_locked=True).filter(pk__in=room_ids).order_by("pk")


def import_events(events: Sequence[Event]) -> None:
    """Store the events of an imported room as they are, with the numbers that they have."""
    Event.objects.bulk_create(events)
    trip = RoundTrip()
    search_text.store([event for event in events if event.kind == Kind.POSTED], trip)
    trip.run()


def find_committed(keys: Sequence[tuple[int, uuid.UUID]]) -> dict[tuple[int, uuid.UUID], Committed]:
    """Return the drafts that are in the log already, by (author, client_id)."""
    trip = RoundTrip()
    answer = ask_committed(trip, keys)
    trip.run()
    return answer()


def ask_committed(
    trip: RoundTrip, keys: Sequence[tuple[int, uuid.UUID]]
) -> Callable[[], dict[tuple[int, uuid.UUID], Committed]]:
    """Add the same question to a round trip. The returned function returns the answer after it.

    This has to be a statement of its own, after the rooms were locked. A statement that waits for a lock keeps its
    earlier snapshot, so it would not see what the holder of the lock committed.
    """
    client_id = Event._meta.get_field("client_id")
    types = ["bigint", "bigint", client_id.db_type(connection) or ""]
    answers = []
    for start in range(0, len(keys), FIND_DRAFTS):
        asked = [
            (place, author, client_id.get_db_prep_value(key, connection))
            for place, (author, key) in enumerate(keys[start : start + FIND_DRAFTS], start)
        ]
        answers.append(values.add(trip, _COMMITTED, asked, types))
    return lambda: {keys[place]: Committed(room, seq) for rows in answers for place, room, seq in rows}


def find_message(room_id: int, seq: int) -> Event | None:
    """Return a message as it stands now."""
    return Event.objects.filter(room_id=room_id, seq=seq, kind=Kind.POSTED).first()


def read(room_id: int, *, after: int, limit: int) -> list[LoggedEvent]:
    """Return up to `limit` events after cursor `after`, in order; fewer when their frames are large."""
    events: list[LoggedEvent] = []
    size = 0
    for row in events_upwards(room_id, after + 1, limit):
        event = logged(row)
        size += len(event.frame.payload)
        if events and size > conf.CATCH_UP_BYTES:
            break
        events.append(event)
    return events


def heads(room_ids: Collection[int] | None = None) -> dict[int, tuple[int, int, str]]:
    """Return head, floor and epoch of the rooms (None: of all), by id."""
    if room_ids is None:
        return _heads(_heads_of(Room.objects.order_by()))
    trip = RoundTrip()
    answer = prepared.ask_values(trip, _heads_by_id, list(room_ids))
    trip.run()
    return _heads(answer())


def heads_after(room_id: int, *, limit: int) -> dict[int, tuple[int, int, str]]:
    """Return head, floor and epoch of the next `limit` rooms whose ids are above `room_id`."""
    return _heads(prepared.page(_heads_above, (room_id,), limit=limit))


def _heads(rows: Iterable[Sequence[Any]]) -> dict[int, tuple[int, int, str]]:
    return {pk: (head, floor, epoch) for pk, head, floor, epoch in rows}


# The model's default order would sort all titles, so each query sets an order or clears it.


def _heads_by_id(room_ids: Sequence[int]) -> QuerySet[Room, Any]:
    return _heads_of(Room.objects.order_by().filter(pk__in=room_ids))


def _heads_above(room_id: int) -> QuerySet[Room, Any]:
    return _heads_of(Room.objects.order_by("pk").filter(pk__gt=room_id))


def _heads_of(rooms: QuerySet[Room]) -> QuerySet[Room, Any]:
    return rooms.values_list("pk", "head_seq", "floor_seq", "epoch")


def history(room: Room, place: HistoryPlace, *, limit: int, max_bytes: int, reader: int | None = None) -> HistoryPage:
    """Return a page of up to `limit` messages as they stand now, fewer when their frames exceed `max_bytes`.

    The reactions and confirmations that the user `reader` gave are marked as their own.
    `room` was read before the messages, so they include every change up to its head, which becomes `as_of`.
    """
    floor = room.floor_seq
    # Both sides read one message more than they show, to know whether there are more.
    if (first := _first_of_newer(room, place)) is None:
        before = protocol.MAX_ID if place.before is None else place.before
        newer_part = _Part([])
        earlier = _part(messages_downwards(room.pk, before - 1, floor, limit + 1), limit, max_bytes)
        has_newer = place.before is not None and has_message(room.pk, max(before, floor))
    else:
        back = limit // 2 if place.around is not None else 0
        newer = messages_upwards(room.pk, max(first, floor), limit - back + 1)
        # The two sides share the bytes.
        newer_part = _part(newer, limit - back, max_bytes // 2 if back else max_bytes)
        older = messages_downwards(room.pk, first - 1, floor, back + 1)
        earlier = _part(older, back, max_bytes - newer_part.size, least=0 if newer_part.events else 1)
        has_newer = newer_part.has_more
    events = [*reversed(earlier.events), *newer_part.events]
    reactions.mark_own(room.pk, events, reader)
    confirmations.mark_own(room.pk, events, reader)
    return HistoryPage(
        history=str(room.pk),
        events=events,
        as_of=room.head_seq,
        more=earlier.has_more,
        newer=has_newer,
    )


def first_since(room: Room, time: datetime) -> int:
    """Return the seq from which messages are at or after a time.

    Searches by bisection, because `at` grows with seq except for differences between the servers' clocks. So it reads
    about twenty messages of any room. Python compares the times, because a time at the edge of the calendar cannot
    be converted to the database's time zone.
    """
    low, high = room.floor_seq, room.head_seq + 1
    while low < high:
        middle = (low + high) // 2
        message = next(messages_upwards(room.pk, middle, 1), None)
        if message is None or message.seq >= high or message.at >= time:
            high = middle
        else:
            low = message.seq + 1
    return low


class _Part(NamedTuple):
    """One side of a page: its messages, nearest to the middle first, their bytes, and whether there are more."""

    events: list[Posted]
    size: int = 0
    has_more: bool = False


def _part(rows: Iterator[EventRow], count: int, max_bytes: int, *, least: int = 1) -> _Part:
    """Return the first messages: at most `count` and `max_bytes`, but at least `least` of them."""
    events: list[Posted] = []
    size = 0
    for row in rows:
        if len(events) >= count:
            return _Part(events, size, has_more=True)
        event = posted(row)
        event_size = len(protocol.encode(event).payload)
        if len(events) >= least and size + event_size > max_bytes:
            return _Part(events, size, has_more=True)
        events.append(event)
        size += event_size
    return _Part(events, size)


def _first_of_newer(room: Room, place: HistoryPlace) -> int | None:
    """Return the seq from which a page goes forward, or None when it goes back."""
    if place.after is not None:
        # The largest number that a client may send has no successor in the database's integers.
        return min(place.after, room.head_seq) + 1
    if place.around is not None:
        return place.around
    if place.since_time is not None:
        return first_since(room, place.since_time)
    return None
