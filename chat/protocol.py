"""Every command and frame as a typed struct, and the functions that decode and encode them."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from chat.exceptions import ClientError, ErrorCode

MAX_ID = 2**63 - 1
# The most rooms that a frame may name, whatever number a site allows on a page.
MAX_ROOMS = 1000
# The most code points of an emoji: more than any has (chat/store/emoji.py).
MAX_EMOJI = 64
# The most messages that a `quote` may ask for.
MAX_QUOTES = 50
# The most files of a message.
MAX_FILES = 10
# What a user wants to hear of a room, in the order of Membership.Level.
LEVELS = ("all", "mentions", "quiet")
# The most code points of a username, as in Django.
MAX_NAME = 150
# The most usernames that a `users` may ask for.
MAX_USERS = 200
# How wide a pane may be, in percent of an even column, and how high a lower half, in percent of an even one.
MIN_WIDTH, MAX_WIDTH = 10, 1000
MIN_HEIGHT, MAX_HEIGHT = 20, 180

Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_ID)]
Epoch = Annotated[str, msgspec.Meta(max_length=64)]


class CloseCode(IntEnum):
    """Why the server closes a connection; docs/protocol.md says what a client should do about each."""

    NOT_TEXT = 1007
    # Sent by uvicorn itself, above FRAME_CLOSE_BYTES.
    TOO_LARGE = 1009
    NO_PONG = 1011
    RESTARTING = 1012
    TRY_LATER = 1013
    SIGN_IN = 4401
    TOO_SLOW = 4408
    FLOOD = 4429


class RoomId(int):
    """A room's id: a string on the wire (a number is accepted), an integer inside."""


class RoomIds(list[RoomId]):
    """A bounded list of rooms. A type of its own, so that its length is checked before its items are decoded."""


class Command(msgspec.Struct, tag_field="command", tag=str.lower, frozen=True, kw_only=True):
    """A request from a client."""


class Join(Command, frozen=True, kw_only=True):
    room: RoomId
    # Not bounded, because a cursor that cannot be served is not an error.
    since: int | None = None
    epoch: Epoch | None = None


class Leave(Command, frozen=True, kw_only=True):
    room: RoomId


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The message that a message is going to quote."""

    room: RoomId
    seq: Seq


class Send(Command, frozen=True, kw_only=True):
    room: RoomId
    message: str
    client_id: uuid.UUID | None = None
    msg_type: int = 0
    # The message that this one answers.
    reply_to: Seq | None = None
    # The same for all copies of a message in several rooms.
    across: uuid.UUID | None = None
    # The message that this one quotes.
    source: Source | None = None
    # The files that were uploaded for it, in their order.
    files: Annotated[list[uuid.UUID], msgspec.Meta(max_length=MAX_FILES)] = []
    # The log for which it was written. None: the current one.
    epoch: Epoch | None = None


class Edit(Command, frozen=True, kw_only=True):
    room: RoomId
    seq: Seq
    message: str
    # Of a copy, which has to have it. Its room need not be joined.
    across: uuid.UUID | None = None
    epoch: Epoch | None = None
    client_id: uuid.UUID | None = None


class Delete(Command, frozen=True, kw_only=True):
    """Deletes a message. With `undo`, its author takes it back: the message was just posted, and leaves no trace."""

    room: RoomId
    seq: Seq
    undo: bool = False
    # Of a copy, which has to have it. Its room need not be joined.
    across: uuid.UUID | None = None
    epoch: Epoch | None = None
    client_id: uuid.UUID | None = None


class React(Command, frozen=True, kw_only=True):
    """Gives a message an emoji, or takes it back. Repeating it changes nothing."""

    room: RoomId
    seq: Seq
    emoji: Annotated[str, msgspec.Meta(max_length=MAX_EMOJI)]
    on: bool = True
    epoch: Epoch | None = None
    client_id: uuid.UUID | None = None


class Confirm(Command, frozen=True, kw_only=True):
    """Confirms an alert: its reader has seen it. Repeating it changes nothing."""

    room: RoomId
    seq: Seq
    epoch: Epoch | None = None
    client_id: uuid.UUID | None = None


class Resolve(Command, frozen=True, kw_only=True):
    """Says that an alert is over."""

    room: RoomId
    seq: Seq
    epoch: Epoch | None = None
    client_id: uuid.UUID | None = None


class Mentions(Command, frozen=True, kw_only=True):
    """Asks for the messages that mention its user, newest first."""

    before: Seq | None = None
    limit: int | None = None


class Quote(Command, frozen=True, kw_only=True):
    """Asks for single messages of a room, which need not be joined."""

    room: RoomId
    seqs: Annotated[list[Seq], msgspec.Meta(max_length=MAX_QUOTES)]


class Copies(Command, frozen=True, kw_only=True):
    """Asks where else a message was sent."""

    across: uuid.UUID


class Typing(Command, frozen=True, kw_only=True):
    """Says that its user is writing in a room."""

    room: RoomId


class Cursor(msgspec.Struct, frozen=True):
    """What a client has of a room: all events up to `since`, of the log `epoch` (None: the current log)."""

    since: int
    epoch: Epoch | None = None


class Resume(Command, frozen=True, kw_only=True):
    rooms: Annotated[dict[str, Cursor], msgspec.Meta(max_length=MAX_ROOMS)]


class History(Command, frozen=True, kw_only=True):
    room: RoomId
    before: Seq | None = None
    after: Seq | None = None
    around: Seq | None = None
    since_time: datetime | None = msgspec.field(name="from", default=None)
    limit: int | None = None


class People(Command, frozen=True, kw_only=True):
    """Asks who may enter the room and has a name that begins like `prefix`, to complete a name that is typed."""

    room: RoomId
    prefix: Annotated[str, msgspec.Meta(max_length=MAX_NAME)] = ""


class Users(Command, frozen=True, kw_only=True):
    """Asks by which names users are shown, now and whenever one of them changes."""

    names: Annotated[list[Annotated[str, msgspec.Meta(max_length=MAX_NAME)]], msgspec.Meta(max_length=MAX_USERS)]


class Ping(Command, frozen=True, kw_only=True):
    pass


class Watch(Command, frozen=True, kw_only=True):
    pass


class Read(Command, frozen=True, kw_only=True):
    room: RoomId
    seq: Seq
    back: bool = False
    epoch: Epoch | None = None


class ReadOlder(Command, frozen=True, kw_only=True, tag="read_older"):
    """Moves its user's read positions in all rooms to the last message before a time."""

    before: datetime


class Level(Command, frozen=True, kw_only=True):
    """Says what its user wants to hear of a room: all messages, those for them, or nothing but alerts."""

    room: RoomId
    level: Literal["all", "mentions", "quiet"]


class Notify(Command, frozen=True, kw_only=True):
    """Asks for the newest message after `after` and up to `seq` that a notification may show."""

    room: RoomId
    seq: Seq
    after: Seq = 0


@dataclass(frozen=True, slots=True)
class Put:
    """Opens or moves a pane: after another pane, before another pane, or to the end."""

    room: RoomId
    after: RoomId | None = None
    before: RoomId | None = None


class Shape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The whole shape of a pane: its width in percent of an even column, a strip, the lower half of a column.

    A lower half has a `height` in percent of an even half.
    """

    room: RoomId
    width: Annotated[int, msgspec.Meta(ge=MIN_WIDTH, le=MAX_WIDTH)] | None = None
    strip: bool = False
    below: bool = False
    height: Annotated[int, msgspec.Meta(ge=MIN_HEIGHT, le=MAX_HEIGHT)] | None = None


class Layout(Command, frozen=True, kw_only=True):
    """All panes (`rooms`), or only the changes, so that pages do not overwrite each other's panes."""

    rooms: RoomIds | None = None
    put: Annotated[list[Put], msgspec.Meta(max_length=MAX_ROOMS)] = []
    shapes: Annotated[list[Shape], msgspec.Meta(max_length=MAX_ROOMS)] = []
    close: RoomIds = RoomIds()
    wide: RoomId | None = None
    narrow: RoomId | None = None


_ROOM_DETAIL = _("The room is not valid. Give its number.")

AnyCommand = (
    Join
    | Leave
    | Send
    | Edit
    | Delete
    | React
    | Confirm
    | Resolve
    | Resume
    | History
    | Watch
    | Read
    | ReadOlder
    | Level
    | Notify
    | Layout
    | Quote
    | Copies
    | Mentions
    | People
    | Typing
    | Users
    | Ping
)


def room_id(value: Any) -> RoomId:
    """Return a room's id from its spelling on the wire. Raises ClientError: ROOM_INVALID when it is not a number."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return RoomId(value)
    if type(value) is int and 0 <= value <= MAX_ID:
        return RoomId(value)
    raise ClientError(ErrorCode.ROOM_INVALID, detail=_ROOM_DETAIL)


def decode_hook(kind: type, value: Any) -> Any:
    """Decode the types of rooms' ids, for a decoder of msgspec."""
    if kind is RoomIds:
        return _room_ids(value)
    assert kind is RoomId, f"no decoder for {kind}"
    return room_id(value)


def _room_ids(value: Any) -> RoomIds:
    # msgspec adds the field's path to what is raised here.
    if not isinstance(value, list):
        raise TypeError("Expected `array` of rooms")
    if len(value) > MAX_ROOMS:
        raise ValueError(f"Expected `array` of at most {MAX_ROOMS} rooms")
    return RoomIds(map(room_id, value))


_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand, dec_hook=decode_hook)


def decode(text: str) -> AnyCommand:
    """Return the command in a text frame.

    Raises ClientError: JSON_INVALID, COMMAND_INVALID, ROOM_INVALID, MESSAGE_INVALID. Its context has the command,
    room and client_id as far as they could be read, so that the sender knows which frame was refused.
    """
    try:
        return _decoder.decode(text)
    except ClientError as error:
        raise ClientError(error.code, **error.context | _read_context(text)) from None
    except msgspec.ValidationError as error:
        raise _refusal(text, str(error)) from None
    # A lone surrogate, a number of 5,000 digits and 100,000 brackets each raise another exception.
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise ClientError(
            ErrorCode.JSON_INVALID, detail=_("This frame is not valid JSON. Send one JSON object.")
        ) from None


def _refusal(text: str, reason: str) -> ClientError:
    """Return the refusal for an invalid field; `reason` is msgspec's message, which ends in the field's path."""
    context = _read_context(text)
    if "$.room`" in reason or "field `room`" in reason:
        return ClientError(ErrorCode.ROOM_INVALID, detail=_ROOM_DETAIL, **context)
    if "$.message`" in reason or "field `message`" in reason:
        return ClientError(ErrorCode.MESSAGE_INVALID, detail=_("This message is not a string. Send text."), **context)
    is_not_object = reason.startswith("Expected `object`, got") and " - at " not in reason
    if is_not_object or "`$.command`" in reason or "field `command`" in reason:
        commands = ", ".join(kind.__struct_config__.tag for kind in AnyCommand.__args__)
        detail = format_lazy(_("This command does not exist. Use one of: {commands}."), commands=commands)
        return ClientError(ErrorCode.COMMAND_INVALID, detail=detail, **context)
    return ClientError(ErrorCode.COMMAND_INVALID, detail=reason, **context)


# The fields of a refused command that an error frame repeats. All other fields are skipped, however large they are.
_context_decoder = msgspec.json.Decoder(
    msgspec.defstruct("Context", [("command", Any, None), ("room", Any, None), ("client_id", Any, None)])
)


def _read_context(text: str) -> dict[str, Any]:
    try:
        fields: Any = _context_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return {}
    context: dict[str, Any] = {}
    match fields.command:
        case str(command) if command.isidentifier() and len(command) <= 32:
            context["command"] = command
    match fields.room:
        case str(room) if len(room) <= 32:
            context["room"] = room
        case int(room) if type(room) is int and 0 <= room <= MAX_ID:
            context["room"] = str(room)
    match fields.client_id:
        case str(client_id) if len(client_id) <= 64:
            context["client_id"] = client_id
    return context


class Frame:
    """A JSON text that is encoded once for any number of sockets."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    @cached_property
    def text(self) -> str:
        """The frame as text, for ASGI."""
        return self.payload.decode()

    @cached_property
    def wire(self) -> bytes:
        """The frame as bytes for the wire (RFC 6455, unmasked)."""
        return WebSocketFrame(Opcode.TEXT, self.payload).serialize(mask=False)


class Joined(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Opens a pane, or gives the state of a joined room. With `reset` the pane starts over.

    `kind`, `people` and `topic` are as in the list of rooms. Nothing can be written in a room that is `archived`.
    `alerts` are the room's alerts of the last days, as they stand at `head` or later, oldest first.
    """

    join: str
    title: str
    head: int
    floor: int
    epoch: str
    staff_only: bool = False
    kind: str = ""
    people: list[str] = []
    topic: str = ""
    archived: bool = False
    reset: bool = False
    read: int = 0
    alerts: "list[Posted]" = []


class Left(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Closes a pane, with a reason if the server decided to close it."""

    leave: str
    reason: str | None = None


class EnteredOrLeft(msgspec.Struct, kw_only=True):
    """A signal: a user entered (`msg_type` 4) or left (5) the room."""

    room: str
    username: str
    message: None = None
    msg_type: int


class Present(msgspec.Struct, kw_only=True):
    """A signal: the usernames of all users in the room, or only the changes by username."""

    room: str
    present: list[str] | dict[str, bool]


class IsTyping(msgspec.Struct, kw_only=True):
    """A signal: a user is writing in the room."""

    room: str
    typing: str


class FloorRaised(msgspec.Struct, kw_only=True):
    """The events below `floor` have expired: the room's log begins there now."""

    room: str
    floor: int


class RoomTitle(msgspec.Struct, kw_only=True):
    """A room in the list. `kind` is `members` or `direct` if it is only for its members.

    A direct room has the names of the other `people`; its title is made of them.
    """

    id: str
    title: str
    staff_only: bool
    kind: str | msgspec.UnsetType = msgspec.UNSET
    people: list[str] | msgspec.UnsetType = msgspec.UNSET
    topic: str | msgspec.UnsetType = msgspec.UNSET


class Rooms(msgspec.Struct, kw_only=True):
    """A signal to sockets that watch: all rooms that the user may enter, by title."""

    rooms: list[RoomTitle]


class Head(msgspec.Struct, omit_defaults=True):
    """What a user has not read in a room, and which of its recent alerts they have not confirmed (by seq).

    The counts are the same at each `level`: what of them is shown is for the page.
    """

    head: int
    read: int
    unread: int
    mentions: int
    alerts: tuple[int, ...] = ()
    level: str = "all"


class Heads(msgspec.Struct, kw_only=True):
    """A signal to sockets that watch: unread counts by room, for the rooms that changed."""

    heads: dict[str, Head]


class Person(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user by id, if there is one, and the name that they had at the time."""

    user: int | None = None
    username: str


class Mentioned(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user whom a text mentions, and the name as the text spells it; without a user it is `all` or `here`."""

    name: str
    user: int | None = None


class Reactions(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One emoji of a message: how many users gave it, some of them, and whether the reader (`own`) is one."""

    emoji: str
    count: int
    users: list[Person]
    own: bool = False


class Confirmations(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How many users have confirmed an alert, some of them, and whether the reader (`own`) is one."""

    count: int
    users: list[Person]
    own: bool = False


class Resolution(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Event `seq` says that an alert is over."""

    user: int | None = None
    username: str
    seq: int
    at: str


class QuoteSource(msgspec.Struct, kw_only=True):
    """The message that a message quotes."""

    room: str
    seq: int


class AttachedFile(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A file of a message. Only an image that a page may show has `width` and `height`, and so a thumbnail."""

    id: uuid.UUID
    name: str
    type: str
    size: int
    width: int | None = None
    height: int | None = None


class Posted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message as it stands now, with text null if it was deleted. `user` is the id of its author, if any.

    Only a page of history has `reactions`, `confirmations` and `resolution`, and the alerts of a join frame have the
    last two: in the log they are events of their own.
    """

    room: str
    username: str
    message: str | None
    msg_type: int
    seq: int
    at: str
    client_id: uuid.UUID | None = None
    edited_at: str | None = None
    deleted: bool = False
    taken_back: bool = False
    user: int | None = None
    reply_to: int | None = None
    across: uuid.UUID | None = None
    source: QuoteSource | None = None
    files: list[AttachedFile] = []
    mentions: list[Mentioned] = []
    reactions: list[Reactions] = []
    confirmations: Confirmations | None = None
    resolution: Resolution | None = None


class Notifies(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The answer to `notify`: the message, only for the first of the user's sockets that asks for it."""

    notify: str
    seq: int
    event: Posted | None = None


class Edited(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Message `edited` has a new text, or null if it was deleted later."""

    room: str
    edited: int
    message: str | None
    seq: int
    at: str
    client_id: uuid.UUID | None = None
    deleted: bool = False
    mentions: list[Mentioned] = []


class Deleted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Message `deleted` was deleted, or taken back by its author just after it was posted."""

    room: str
    deleted: int
    seq: int
    at: str
    client_id: uuid.UUID | None = None
    taken_back: bool = False


class Overtaken(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An edit of message `edited` that a later edit has replaced, so its text is removed."""

    room: str
    edited: int
    # Always true. Has no default, because defaults are left out of frames.
    overtaken: bool
    seq: int
    at: str
    client_id: uuid.UUID | None = None


class Reacted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user gave message `reacted` an emoji, or took it back (`on` false)."""

    room: str
    reacted: int
    emoji: str
    username: str
    user: int | None = None
    on: bool
    seq: int
    at: str
    client_id: uuid.UUID | None = None


class Confirmed(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user has confirmed the alert `confirmed`."""

    room: str
    confirmed: int
    username: str
    user: int | None = None
    seq: int
    at: str
    client_id: uuid.UUID | None = None


class Resolved(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user said that the alert `resolved` is over."""

    room: str
    resolved: int
    username: str
    user: int | None = None
    seq: int
    at: str
    client_id: uuid.UUID | None = None


AnyEvent = Posted | Edited | Overtaken | Deleted | Reacted | Confirmed | Resolved


def apply_change(event: AnyEvent, change: AnyEvent) -> AnyEvent:
    """Return an event as the log has it after a later event, `change`, was appended: its text may be removed."""
    match change, event:
        case Deleted(deleted=target), Posted(seq=seq) | Edited(edited=seq) if seq == target:
            if isinstance(event, Posted):
                return msgspec.structs.replace(
                    event, message=None, deleted=True, mentions=[], files=[], taken_back=change.taken_back
                )
            return msgspec.structs.replace(event, message=None, deleted=True, mentions=[])
        case Edited(edited=target), Posted(seq=seq, deleted=False) if seq == target:
            text: dict[str, Any] = {"message": change.message, "mentions": change.mentions}
            return msgspec.structs.replace(event, **text, edited_at=change.at, deleted=change.deleted)
        case ((Edited(edited=target) | Overtaken(edited=target)), Edited(edited=edited)) if edited == target:
            return Overtaken(
                room=event.room,
                edited=target,
                overtaken=True,
                seq=event.seq,
                at=event.at,
                client_id=event.client_id,
            )
        case _:
            return event


class Acknowledged(msgspec.Struct, kw_only=True):
    """A command was saved as event `seq`. Sent to the author alone."""

    ack: uuid.UUID
    room: str
    seq: int


class HistoryPage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Messages as they stood at `as_of`, oldest first; `more` and `newer` say whether there are others."""

    history: str
    events: list[Posted]
    as_of: int
    more: bool
    newer: bool = False


class Quoted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Single messages of the room `quote` as they stood at `as_of`; `more`: the others did not fit."""

    quote: str
    events: list[Posted]
    as_of: int
    more: bool = False


class MentionPage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Messages that mention the reader as they stand now, newest first; `next` is the `before` of the next page."""

    mentioned: list[Posted]
    next: int | None = None


class Copy(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message by room and number, and the id of its author."""

    room: str
    seq: int
    user: int | None = None


class CopiesFound(msgspec.Struct, kw_only=True):
    """The messages that share the `across` `copies`, in the rooms that the reader may enter."""

    copies: uuid.UUID
    messages: list[Copy]


class Names(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Some users who may enter the room and whose names begin like `prefix`, by name."""

    people: str
    prefix: str
    names: list[str]
    # Whether the asker may mention all users, if `all` or `here` begins like `prefix`.
    all: bool = False


class ShownUser(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A user's id, display name and picture. Without an id, no user has this username any more."""

    user: int | None = None
    name: str = ""
    picture: str = ""


class ShownUsers(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A signal: users by username. With `reset` others may have changed too, so a client has to ask again."""

    users: dict[str, ShownUser]
    reset: bool = False


class Appearance(msgspec.Struct, kw_only=True):
    """How the page looks to a user. An empty clock is that of the browser's language."""

    theme: str
    density: str
    clock: str


class AppearanceFrame(msgspec.Struct, kw_only=True):
    """A signal to the user's own sockets that watch: the user has changed how the page looks."""

    appearance: Appearance


class PaneSetsFrame(msgspec.Struct, kw_only=True):
    """A signal to the user's own sockets that watch: the versions of the user's sets of panes, by id."""

    workspaces: dict[str, int]


class AroundFrame(msgspec.Struct, kw_only=True):
    """A signal to sockets that watch: how many other users are in rooms that this user may enter."""

    around: int


class Refused(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A refusal. Sent to the sender of the command alone."""

    error: str
    command: str | None = None
    room: str | None = None
    client_id: str | None = None
    detail: str | None = None
    retry_after: float | None = None


class Pong(msgspec.Struct):
    pong: bool = True
    # The version of the page's files, by which an open page notices that the server is newer.
    version: str | msgspec.UnsetType = msgspec.UNSET


class ByeTime(msgspec.Struct):
    retry_ms: int


class Bye(msgspec.Struct):
    """The server is about to close every socket. Clients should reconnect after `retry_ms`."""

    bye: ByeTime


def _encode_hook(value: Any) -> Any:
    if isinstance(value, RoomIds):
        return list(value)
    assert isinstance(value, RoomId), f"no encoder for {type(value)}"
    return str(int(value))


_encoder = msgspec.json.Encoder(enc_hook=_encode_hook)


def encode(struct: msgspec.Struct) -> Frame:
    """Encode a struct as a frame."""
    return Frame(_encoder.encode(struct))


def refusal(error: ClientError, **context: Any) -> Frame:
    """Return the error frame for a refusal, in the active language (Session.refusal has that of the page).

    The refusal's own context takes precedence over `context`.
    """
    fields = {key: value for key, value in {**context, **error.context}.items() if value is not None}
    # A detail may be lazy: it is translated here.
    for key in ("room", "client_id", "detail"):
        if key in fields:
            fields[key] = str(fields[key])
    return encode(Refused(error=error.code.value, **fields))


def timestamp(at: datetime) -> str:
    """Return a time as it stands in frames: ISO 8601, UTC, milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
