"""Reads a room's events as plain rows (EventRow), which is what frames are made of.

Pages of history and readers that catch up take many rows at once. A model instance for each, and SQL that is composed
anew for each page, take several times as long as the database takes.
"""

import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from chat.models import Event
from chat.store import prepared

Kind = Event.Kind
# Rows that one statement reads. Few, because texts may be large and the caller may have enough.
ROWS_PER_QUERY = 64


class EventRow(NamedTuple):
    """The columns of chat.models.Event that frames show."""

    room_id: int
    seq: int
    kind: int
    author_id: int | None
    username: str
    body: str
    msg_type: int
    target_seq: int | None
    edit_seq: int | None
    client_id: uuid.UUID | None
    client_id_given: bool
    reply_to: int | None
    across: uuid.UUID | None
    source_room: int | None
    source_seq: int | None
    named: str | None
    is_on: bool | None
    reactions: str | None
    files: str | None
    confirmations: str | None
    resolved: str | None
    at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


def events_upwards(room_id: int, first: int, limit: int) -> Iterator[EventRow]:
    """Yield up to `limit` events of a room in order, from seq `first` upwards."""
    return _walk(_events_up, lambda row: (room_id, row.seq + 1), (room_id, first), limit)


def messages_upwards(room_id: int, first: int, limit: int) -> Iterator[EventRow]:
    """Yield up to `limit` messages of a room in order, from seq `first` upwards."""
    return _walk(_messages_up, lambda row: (room_id, row.seq + 1), (room_id, first), limit)


def messages_downwards(room_id: int, last: int, floor: int, limit: int) -> Iterator[EventRow]:
    """Yield up to `limit` messages of a room, the newest first, from seq `last` down to `floor`."""
    return _walk(_messages_down, lambda row: (room_id, row.seq - 1, floor), (room_id, last, floor), limit)


def has_message(room_id: int, first: int) -> bool:
    """Return whether a room has a message from seq `first` upwards."""
    return any(messages_upwards(room_id, first, 1))


def _walk(
    query: Callable[..., Any], following: Callable[[EventRow], tuple[int, ...]], place: tuple[int, ...], limit: int
) -> Iterator[EventRow]:
    """Yield rows from a place, and read few at a time, because the caller may stop early."""
    while limit > 0:
        count = min(ROWS_PER_QUERY, limit)
        rows = [EventRow(*row) for row in prepared.page(query, place, limit=count)]
        yield from rows
        if len(rows) < count:
            return
        place, limit = following(rows[-1]), limit - count


# Upwards only one lower bound. Given two, SQLite may use the wrong one and scan the whole room.


def _events_up(room_id: int, first: int) -> Any:
    return Event.objects.filter(room_id=room_id, seq__gte=first).order_by("seq").values_list(*EventRow._fields)


# The author is the next column of the index of messages. Without it in the order, PostgreSQL may take the index of all
# events, and walk over edits and reactions (58 ms for 200,000 of them, in place of 0.1).


def _messages_up(room_id: int, first: int) -> Any:
    messages = Event.objects.filter(room_id=room_id, kind=Kind.POSTED, seq__gte=first)
    return messages.order_by("seq", "author_id").values_list(*EventRow._fields)


def _messages_down(room_id: int, last: int, floor: int) -> Any:
    messages = Event.objects.filter(room_id=room_id, kind=Kind.POSTED, seq__lte=last, seq__gte=floor)
    return messages.order_by("-seq", "-author_id").values_list(*EventRow._fields)
