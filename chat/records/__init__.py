"""The lines of an export: users, rooms and the events of their logs, as JSON objects with a `type`.

An export is a record to read, to keep or to move. It holds no passwords, sessions, invitations or read positions:
for those there are backups (`chat.backups`).
"""

import uuid
from datetime import datetime

import msgspec

FORMAT = 1
# The most rows in memory, and in one statement.
PIECE_ROWS = 500


class RecordError(Exception):
    """An export or an import failed, and nothing was changed. Its text is a sentence for the user."""


class Line(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """One line of an export."""


class Header(Line, tag="multichat-export", kw_only=True):
    """The first line. `room` is the id of the only room in an export of one room."""

    format: int
    room: int | None = None


class UserLine(Line, tag="user", kw_only=True):
    """A user. An export of one room has only the id and the name of each, and such users can't sign in."""

    id: int
    username: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    active: bool = False
    staff: bool = False
    superuser: bool = False
    joined: datetime | None = None


class MemberLine(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A member of a room."""

    user: int
    owner: bool = False
    added: datetime


class RoomLine(Line, tag="room", kw_only=True):
    """A room. Its events follow."""

    id: int
    title: str
    topic: str = ""
    staff_only: bool = False
    members_only: bool = False
    direct: str | None = None
    archived: datetime | None = None
    retention_days: int | None = None
    legal_hold: bool = False
    floor: int
    head: int
    members: list[MemberLine] = []


class FileLine(msgspec.Struct, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a message. Its bytes are in the archive beside the export."""

    id: uuid.UUID
    name: str
    type: str
    size: int
    width: int | None = None
    height: int | None = None
    at: datetime


class EventLine(Line, tag="event", kw_only=True):
    """An event of a room's log, with the names of the columns of `chat.models.Event`."""

    room: int
    seq: int
    kind: int
    at: datetime
    user: int | None = None
    username: str = ""
    text: str = ""
    msg_type: int = 0
    target: int | None = None
    edit_seq: int | None = None
    first_text: str | None = None
    client_id: str | None = None
    client_id_given: bool = False
    reply_to: int | None = None
    across: str | None = None
    source_room: int | None = None
    source_seq: int | None = None
    on: bool | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    # JSON as the database keeps it.
    named: msgspec.Raw = msgspec.Raw()
    reactions: msgspec.Raw = msgspec.Raw()
    confirmations: msgspec.Raw = msgspec.Raw()
    resolved: msgspec.Raw = msgspec.Raw()
    # The ids of the users whom a message mentions; 0 for all users of the room.
    mentions: list[int] = []
    files: list[FileLine] = []


AnyLine = Header | UserLine | RoomLine | EventLine
