"""An event of a room's log as it stands in frames, encoded once for all sessions."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from chat import protocol
from chat.models import Event
from chat.protocol import (
    AnyEvent,
    Confirmed,
    Deleted,
    Edited,
    Frame,
    Mentioned,
    Overtaken,
    Posted,
    QuoteSource,
    Reacted,
    Resolved,
)
from chat.store import confirmations, files, reactions
from chat.store.event_rows import EventRow

_mentions = msgspec.json.Decoder(list[Mentioned])
# Memory that the objects of one event take besides its text and frames, measured with tracemalloc.
EVENT_BYTES = 500


class LoggedEvent:
    """An event with its frame, encoded once for all sessions."""

    __slots__ = ("event", "frame")

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        self.frame: Frame = protocol.encode(event)

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def size(self) -> int:
        """The approximate memory in bytes: the text, its JSON, the JSON as a WebSocket frame, and the objects."""
        return 3 * len(self.frame.payload) + EVENT_BYTES

    def changed_by(self, *changes: AnyEvent) -> "LoggedEvent":
        """Return this event as the log has it after the later events `changes` were appended."""
        event = self.event
        for change in changes:
            event = protocol.apply_change(event, change)
        return self if event is self.event else LoggedEvent(event)


def apply_changes(events: Sequence[LoggedEvent], later: Iterable[LoggedEvent]) -> Sequence[LoggedEvent]:
    """Return events as the log has them after the later ones were appended."""
    changes: dict[int, list[AnyEvent]] = {}
    for change in later:
        if not isinstance(change.event, Posted):
            changes.setdefault(_message_of(change.event), []).append(change.event)
    if not changes:
        return events
    return [event.changed_by(*changes.get(_message_of(event.event), ())) for event in events]


def _message_of(event: AnyEvent) -> int:
    """Return the seq of the message that an event posts, changes or deletes."""
    match event:
        case Posted(seq=seq):
            return seq
        case Edited(edited=seq) | Overtaken(edited=seq) | Deleted(deleted=seq):
            return seq
        case Reacted(reacted=seq) | Confirmed(confirmed=seq) | Resolved(resolved=seq):
            return seq


def logged(event: Event | EventRow) -> LoggedEvent:
    """Return a row as an event with its frame. All events are encoded here."""
    return LoggedEvent(_as_event(event))


def posted(event: Event | EventRow) -> Posted:
    """Return the row of a message as it stands now, with its reactions and confirmations."""
    message = _as_event(event)
    assert isinstance(message, Posted), f"not a message: {event}"
    message.reactions = reactions.of(event)
    message.confirmations, message.resolution = confirmations.of(event), confirmations.resolution_of(event)
    return message


def mentions_of(event: Event | EventRow) -> list[Mentioned]:
    """Return whom a message or an edit mentions, and how its text spells them."""
    return _mentions.decode(event.named) if event.named else []


def _source_of(event: Event | EventRow) -> QuoteSource | None:
    if event.source_room is None or event.source_seq is None:
        return None
    return QuoteSource(room=str(event.source_room), seq=event.source_seq)


def _as_event(event: Event | EventRow) -> AnyEvent:
    room, at = str(event.room_id), protocol.timestamp(event.at)
    client_id = event.client_id if event.client_id_given else None
    deleted = event.deleted_at is not None
    body = None if deleted else event.body
    if event.kind == Event.Kind.POSTED:
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
            taken_back=deleted and event.is_on is True,
            user=event.author_id,
            reply_to=event.reply_to,
            across=event.across,
            source=_source_of(event),
            files=[] if deleted else files.of(event),
            mentions=[] if deleted else mentions_of(event),
        )
    target = event.target_seq
    assert target is not None, f"a change without its message: {event}"
    signed: Any = {"room": room, "seq": event.seq, "at": at, "client_id": client_id}
    signed |= {"username": event.username, "user": event.author_id}
    match event.kind:
        case Event.Kind.REACTED:
            return Reacted(reacted=target, emoji=event.body, on=bool(event.is_on), **signed)
        case Event.Kind.CONFIRMED:
            return Confirmed(confirmed=target, **signed)
        case Event.Kind.RESOLVED:
            return Resolved(resolved=target, **signed)
    if event.kind == Event.Kind.DELETED:
        is_taken_back = event.is_on is True
        return Deleted(room=room, deleted=target, seq=event.seq, at=at, client_id=client_id, taken_back=is_taken_back)
    assert event.kind == Event.Kind.EDITED, f"a kind of event without a frame: {event}"
    if event.edit_seq is not None:
        # The replaced text is never sent, not even on a site that keeps it in the database.
        return Overtaken(room=room, edited=target, overtaken=True, seq=event.seq, at=at, client_id=client_id)
    return Edited(
        room=room,
        edited=target,
        message=body,
        seq=event.seq,
        at=at,
        client_id=client_id,
        deleted=deleted,
        mentions=[] if deleted else mentions_of(event),
    )
