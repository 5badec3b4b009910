"""An event of a room's log as frames tell it, encoded once for all who get it."""

from collections.abc import Iterable, Sequence

from chat import protocol
from chat.models import Event
from chat.protocol import AnyEvent, Deleted, Edited, Frame, Overtaken, Posted

# What the objects of one event take in memory, beside its text and frames. Measured with tracemalloc.
EVENT_BYTES = 500


class LoggedEvent:
    """An event with its frame, encoded once for all who get it."""

    __slots__ = ("event", "frame")

    def __init__(self, event: AnyEvent) -> None:
        self.event = event
        self.frame: Frame = protocol.encode(event)

    @property
    def seq(self) -> int:
        return self.event.seq

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes: the text, its JSON, the same as a WebSocket frame, objects."""
        return 3 * len(self.frame.payload) + EVENT_BYTES

    def after(self, *changes: AnyEvent) -> "LoggedEvent":
        """Return this event as the log gives it once `changes`, later events, were appended."""
        event = self.event
        for change in changes:
            event = protocol.after(event, change)
        return self if event is self.event else LoggedEvent(event)


def after_all(events: Sequence[LoggedEvent], later: Iterable[LoggedEvent]) -> Sequence[LoggedEvent]:
    """Return events as the log gives them once the later ones were appended."""
    changes: dict[int, list[AnyEvent]] = {}
    for one in later:
        if not isinstance(one.event, Posted):
            changes.setdefault(_message_of(one.event), []).append(one.event)
    if not changes:
        return events
    return [event.after(*changes.get(_message_of(event.event), ())) for event in events]


def _message_of(event: AnyEvent) -> int:
    """Return the seq of the message that an event is about."""
    match event:
        case Posted(seq=seq):
            return seq
        case Edited(edited=seq) | Overtaken(edited=seq) | Deleted(deleted=seq):
            return seq


def logged(event: Event) -> LoggedEvent:
    """Return a row as the event that frames tell of: the one encoder of events."""
    return LoggedEvent(_wire(event))


def posted(event: Event) -> Posted:
    """Return the row of a message as it is on the wire."""
    wire = _wire(event)
    assert isinstance(wire, Posted), f"a message: {event}"
    return wire


def _wire(event: Event) -> AnyEvent:
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
            user=event.author_id,
        )
    target = event.target_seq
    assert target is not None, f"an edit or a delete points at a message: {event}"
    if event.kind == Event.Kind.DELETED:
        return Deleted(room=room, deleted=target, seq=event.seq, at=at, client_id=client_id)
    if event.edit_seq is not None:
        # Without its text, also where a site keeps it: nobody is given what was edited away.
        return Overtaken(room=room, edited=target, overtaken=True, seq=event.seq, at=at, client_id=client_id)
    return Edited(room=room, edited=target, message=body, seq=event.seq, at=at, client_id=client_id, deleted=deleted)
