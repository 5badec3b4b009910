"""Writes the rooms of the site, or one of them, as the lines of an export, from one moment and in flat memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from uuid import UUID

import msgspec
from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from chat.models import Event, Mention, Room, RoomMember, StoredFile, title_key
from chat.records import (
    FORMAT,
    PIECE_ROWS,
    AnyLine,
    EventLine,
    FileLine,
    Header,
    MemberLine,
    RecordError,
    RoomLine,
    UserLine,
)
from chat.records.file_archive import FileArchive
from chat.store import files

SNAPSHOT = "snapshot"
User = get_user_model()
_encoder = msgspec.json.Encoder()


def write(
    out: IO[bytes], *, room: str | None = None, using: str = DEFAULT_DB_ALIAS, archive: FileArchive | None = None
) -> tuple[int, int]:
    """Write the whole site, or the room with this id or title; return how many rooms and messages it has.

    With an archive, the files of the messages go into it, and a file that is missing there is in no line either.

    No policy is asked, because only the operator can run it: rooms of members and direct rooms are included. Texts
    that were deleted are not in the log any more. Raises RecordError when there is no such room.
    """
    found = _find(room, using) if room is not None else None
    ids = [found] if found is not None else _ids(using)
    _put(out, Header(format=FORMAT, room=found))
    for user in _users(using) if found is None else _users_of(found, using):
        _put(out, user)
    messages = 0
    for pk in ids:
        _put(out, _room(Room.objects.using(using).get(pk=pk), using))
        for event in _events(pk, using):
            if event.files and archive is not None:
                event.files = archive.add(event.files)
            _put(out, event)
            messages += event.kind == Event.Kind.POSTED
    return len(ids), messages


@contextmanager
def snapshot() -> Iterator[str]:
    """Yield the alias of a connection that sees the database as it is now, while servers go on writing."""
    settings = connections.databases[DEFAULT_DB_ALIAS]
    options = {name: value for name, value in settings["OPTIONS"].items() if name not in ("transaction_mode", "pool")}
    # Without IMMEDIATE, which would keep all writers out of SQLite until the export has ended.
    connections.databases[SNAPSHOT] = {**settings, "OPTIONS": options}
    try:
        with transaction.atomic(using=SNAPSHOT):
            if connections[SNAPSHOT].vendor == "postgresql":
                with connections[SNAPSHOT].cursor() as cursor:
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield SNAPSHOT
    finally:
        connections[SNAPSHOT].close()
        del connections[SNAPSHOT], connections.databases[SNAPSHOT]


def _put(out: IO[bytes], line: AnyLine) -> None:
    out.write(_encoder.encode(line) + b"\n")


def _find(name: str, using: str) -> int:
    rooms = Room.objects.using(using)
    found = rooms.filter(pk=int(name)).first() if name.isascii() and name.isdecimal() else None
    if found is not None:
        return found.pk
    titled = list(rooms.filter(title_key=title_key(name)).order_by("pk")[:2])
    if len(titled) > 1:
        numbers = " and ".join(str(each.pk) for each in titled)
        raise RecordError(f"Several rooms are called {name}: give the number of one of them, such as {numbers}.")
    if not titled:
        raise RecordError(f"There is no room {name}. Give its title or its number.")
    return titled[0].pk


def _ids(using: str) -> list[int]:
    return list(Room.objects.using(using).order_by("pk").values_list("pk", flat=True))


def _users(using: str) -> Iterator[UserLine]:
    after = 0
    while piece := list(User._default_manager.using(using).filter(pk__gt=after).order_by("pk")[:PIECE_ROWS]):
        for user in piece:
            yield UserLine(
                id=user.pk,
                username=user.get_username(),
                first_name=getattr(user, "first_name", ""),
                last_name=getattr(user, "last_name", ""),
                email=getattr(user, "email", ""),
                active=user.is_active,
                staff=user.is_staff,
                superuser=user.is_superuser,
                joined=getattr(user, "date_joined", None),
            )
        after = piece[-1].pk


def _users_of(room: int, using: str) -> Iterator[UserLine]:
    """Yield the members of a room, and those who wrote or are mentioned there, if they still exist."""
    authors = Event.objects.using(using).filter(room=room, author__isnull=False)
    mentioned = Mention.objects.using(using).filter(room_id=room)
    members = RoomMember.objects.using(using).filter(room=room)
    ids = {pk for rows, field in ((authors, "author_id"), (mentioned, "user_id"), (members, "user_id"))
           for pk in rows.order_by().values_list(field, flat=True).distinct()}  # fmt: skip
    wanted = sorted(ids)
    for start in range(0, len(wanted), PIECE_ROWS):
        users = User._default_manager.using(using).filter(pk__in=wanted[start : start + PIECE_ROWS]).order_by("pk")
        for user in users:
            yield UserLine(id=user.pk, username=user.get_username())


def _room(room: Room, using: str) -> RoomLine:
    members = RoomMember.objects.using(using).filter(room=room.pk).order_by("pk")
    return RoomLine(
        id=room.pk,
        title=room.title,
        topic=room.topic,
        staff_only=room.staff_only,
        members_only=room.members_only,
        direct=room.direct_key,
        archived=room.archived_at,
        retention_days=room.retention_days,
        legal_hold=room.legal_hold,
        floor=room.floor_seq,
        head=room.head_seq,
        members=[MemberLine(user=row.user_id, owner=row.is_owner, added=row.added_at) for row in members],
    )


def _events(room: int, using: str) -> Iterator[EventLine]:
    after = 0
    events = Event.objects.using(using).filter(room=room).order_by("seq")
    while piece := list(events.filter(seq__gt=after)[:PIECE_ROWS]):
        mentions: dict[int, list[int]] = {}
        rows = Mention.objects.using(using).filter(event__in=[event.pk for event in piece])
        for event_id, user in rows.order_by("event", "user").values_list("event_id", "user_id"):
            mentions.setdefault(event_id, []).append(user)
        stored = _files([event for event in piece if event.files], using)
        for event in piece:
            yield _event(event, mentions.get(event.pk, []), stored)
        after = piece[-1].seq


def _files(events: list[Event], using: str) -> dict[UUID, FileLine]:
    rows = StoredFile.objects.using(using).filter(event__in=[event.pk for event in events]) if events else []
    return {row.pk: FileLine(at=row.at, **msgspec.structs.asdict(files.facts_of(row))) for row in rows}


def _event(event: Event, mentions: list[int], stored: dict[UUID, FileLine]) -> EventLine:
    return EventLine(
        room=event.room_id,
        seq=event.seq,
        kind=event.kind,
        at=event.at,
        user=event.author_id,
        username=event.username,
        text=event.body,
        msg_type=event.msg_type,
        target=event.target_seq,
        edit_seq=event.edit_seq,
        first_text=event.first_body,
        client_id=_text(event.client_id),
        client_id_given=event.client_id_given,
        reply_to=event.reply_to,
        across=_text(event.across),
        source_room=event.source_room,
        source_seq=event.source_seq,
        on=event.is_on,
        edited_at=event.edited_at,
        deleted_at=event.deleted_at,
        mentions=mentions,
        files=[stored[file.id] for file in files.of(event) if file.id in stored],
        **{name: msgspec.Raw(text.encode()) for name in JSON_FIELDS if (text := getattr(event, name))},
    )


# The columns with JSON, which stand in a line as they are.
JSON_FIELDS = ("named", "reactions", "confirmations", "resolved")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
