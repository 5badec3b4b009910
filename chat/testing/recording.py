"""Records what was sent, what clients saw and what the database has, so that a run can be checked later."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chat.conf import conf

if TYPE_CHECKING:
    from chat.models import Event
    from chat.testing.client import SocketClient


# The command that makes an event of each kind.
KINDS = ("send", "edit", "delete", "react", "confirm", "resolve")


class Sent(msgspec.Struct, kw_only=True):
    """A message, or a change of one, that a client sent. Times are from the monotonic clock."""

    client: str
    username: str
    room: str
    client_id: str
    kind: str = "send"
    text: str | None = None
    target: int | None = None
    # Whether a reaction is given, or taken back. Its text is the emoji.
    is_on: bool | None = None
    # When it was first written to the socket; None if never.
    began: float | None = None
    # When its ack or its event came, and the seqs that both named.
    acked: float | None = None
    seqs: list[int] = []
    refused: str | None = None
    tries: int = 0


class Seen(msgspec.Struct, kw_only=True):
    """What a client shows of a room: the events after `base`, in the order in which it applied them."""

    client: str
    room: str
    base: int
    events: list[dict[str, Any]]
    # When each event was applied.
    times: list[float] = []
    # Whether the client was connected at the end, so it must have all events.
    to_the_end: bool = True


class Row(msgspec.Struct, kw_only=True):
    """An event as the database has it."""

    room: str
    seq: int
    kind: str
    username: str
    text: str | None
    client_id: str | None
    target: int | None = None
    # Whether it is an edit that a later edit has replaced, so that its text is removed.
    overtaken: bool = False
    is_on: bool | None = None
    # Of a message: its reactions as a page of history has them, as emoji and count.
    reactions: dict[str, int] = {}


class Recording(msgspec.Struct, kw_only=True):
    """A whole run."""

    sent: list[Sent]
    seen: list[Seen]
    rows: list[Row]

    def write(self, path: Path) -> None:
        """Write the run to a file."""
        path.write_bytes(msgspec.json.encode(self))

    @staticmethod
    def read(path: Path) -> "Recording":
        """Read a run from a file."""
        return msgspec.json.decode(path.read_bytes(), type=Recording)


def rows(room_ids: Iterable[int] | None = None) -> list[Row]:
    """Return the events of the rooms (None: all) as Django's database has them."""
    from chat.models import Event
    from chat.store import reactions

    events = Event.objects.all() if room_ids is None else Event.objects.filter(room_id__in=list(room_ids))
    return [
        Row(
            room=str(event.room_id),
            seq=event.seq,
            kind=KINDS[event.kind],
            username=event.username,
            text=_text(event),
            client_id=str(event.client_id) if event.client_id_given else None,
            target=event.target_seq,
            overtaken=_is_overtaken(event),
            is_on=event.is_on,
            reactions={each.emoji: each.count for each in reactions.of(event)},
        )
        for event in events.order_by("room_id", "seq")
    ]


def _text(event: "Event") -> str | None:
    """Return a row's text; None if it was removed, or is kept but never sent."""
    if event.deleted_at or event.kind in (event.Kind.DELETED, event.Kind.CONFIRMED, event.Kind.RESOLVED):
        return None
    return None if _is_overtaken(event) and (not event.body or conf.KEEP_EDITED_TEXT) else event.body


def _is_overtaken(event: "Event") -> bool:
    return event.kind == event.Kind.EDITED and event.edit_seq is not None


def record(clients: "Sequence[SocketClient]", kept: list[Row]) -> Recording:
    """Return the run of these clients, with the rows that the database has after it."""
    return Recording(
        sent=[sent for client in clients for sent in client.sent],
        seen=[log.seen(client.name) for client in clients for log in client.logs.values()],
        rows=kept,
    )
