"""Reads an export into an empty database: users, rooms and their logs, with everything that is kept beside a log."""

import io
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

from chat.backups import BackupError, copying
from chat.models import Confirmation, Event, Mention, Reaction, Room, RoomMember, StoredFile, UsernameKey
from chat.names import SYSTEM_KEY, name_key
from chat.records import (
    FORMAT,
    PIECE_ROWS,
    AnyLine,
    EventLine,
    FileLine,
    Header,
    RecordError,
    RoomLine,
    UserLine,
    file_archive,
    time_order,
)
from chat.records.exporting import JSON_FIELDS
from chat.store import display_names, files, log

# No line of an export is longer: a message has at most some hundred kilobytes.
MAX_LINE_BYTES = 16 * 1024 * 1024
Kind = Event.Kind
User = get_user_model()
T = TypeVar("T")
_decoder = msgspec.json.Decoder(AnyLine)


def load(lines: Iterable[bytes], *, archive: Path | None = None) -> tuple[int, int]:
    """Read the lines of an export into the empty database; return how many rooms and messages it has now.

    The lines are a list or an open file, because they are read twice. Files are read from the archive. Without it they
    are left out, and their names stand in the texts.

    It is one transaction, so an import that fails leaves nothing. Users can't sign in with an earlier password, because
    an export has none. Raises RecordError.
    """

    def read() -> Iterator[AnyLine]:
        if isinstance(lines, io.IOBase):
            lines.seek(0)
        return _decoded(lines)

    return store(read, archive=archive)


def store(read: Callable[[], Iterator[AnyLine]], *, archive: Path | None = None) -> tuple[int, int]:
    """Store lines in the empty database, as `load` does. They are read twice, because ids follow the order of time."""
    try:
        copying.check_empty()
    except BackupError as error:
        raise RecordError(str(error)) from None
    try:
        with (
            time_order.ids_by_time(read()) as ids,
            file_archive.stored_or_removed() as stored,
            transaction.atomic(),
        ):
            reader = _Import(ids, has_files=archive is not None)
            counts = reader.store(read())
            if archive is not None:
                file_archive.load(archive, reader.files, stored)
            _reset_sequences()
    except DatabaseError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise RecordError(f"The database refused a row: {first}.") from error
    return counts


def _decoded(lines: Iterable[bytes]) -> Iterator[AnyLine]:
    for number, text in enumerate(lines, 1):
        if len(text) > MAX_LINE_BYTES:
            raise RecordError(f"Line {number} is too long for an export.")
        try:
            line = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"Line {number} is not a line of an export: {error}.") from None
        if (number == 1) != isinstance(line, Header):
            raise RecordError("This file is not an export of Multichat: its first line has to be the header.")
        if isinstance(line, Header) and line.format != FORMAT:
            raise RecordError(f"The export has format {line.format}, and this version reads format {FORMAT}.")
        yield line


class _Import:
    """Takes the lines in their order, and writes them in pieces."""

    def __init__(self, ids: Iterator[int], *, has_files: bool) -> None:
        # They are for the events in the order of the lines.
        self._ids = ids
        self._has_files = has_files
        # What the archive has to hold.
        self.files: dict[uuid.UUID, FileLine] = {}
        # All users get an unknown password, so that they can ask for a new one by mail.
        self._password = make_password(secrets.token_urlsafe(32))
        self._keys: set[str] = set()
        self._rooms: dict[int, RoomLine] = {}
        self._last = 0
        self.messages = 0

    def store(self, lines: Iterable[AnyLine]) -> tuple[int, int]:
        users: list[UserLine] = []
        events: list[EventLine] = []
        for line in lines:
            match line:
                case UserLine():
                    users.append(line)
                case RoomLine():
                    self._store_events(_taken(events))
                    self._check_end()
                    self._store_users(_taken(users))
                    self._store_room(line)
                case EventLine():
                    events.append(line)
                case _:
                    continue
            if len(users) >= PIECE_ROWS:
                self._store_users(_taken(users))
            if len(events) >= PIECE_ROWS:
                self._store_events(_taken(events))
        self._store_events(events)
        self._check_end()
        self._store_users(users)
        display_names.keep_imported_names()
        return len(self._rooms), self.messages

    def _store_users(self, lines: list[UserLine]) -> None:
        names = {field.name for field in User._meta.get_fields()}
        keys = []
        rows = []
        for line in lines:
            values = {
                "pk": line.id,
                User.USERNAME_FIELD: line.username,
                "first_name": line.first_name,
                "last_name": line.last_name,
                "email": line.email,
                "is_active": line.active,
                "is_staff": line.staff,
                "is_superuser": line.superuser,
                "password": self._password,
                **({"date_joined": line.joined} if line.joined else {}),
            }
            rows.append(User(**{name: value for name, value in values.items() if name == "pk" or name in names}))
            key = name_key(line.username)
            is_exempt = key in self._keys or key in ("", SYSTEM_KEY)
            self._keys.add(key)
            keys.append(UsernameKey(user_id=line.id, key=key, is_exempt=is_exempt))
        # Without the signals of single users, whose work is done for the whole piece here.
        User._default_manager.bulk_create(rows)
        UsernameKey.objects.bulk_create(keys)

    def _store_room(self, line: RoomLine) -> None:
        self._rooms[line.id] = line
        self._last = line.floor - 1
        Room.objects.bulk_create(
            [
                Room(
                    pk=line.id,
                    title=line.title,
                    topic=line.topic,
                    staff_only=line.staff_only,
                    members_only=line.members_only,
                    direct_key=line.direct,
                    archived_at=line.archived,
                    retention_days=line.retention_days,
                    legal_hold=line.legal_hold,
                    floor_seq=line.floor,
                    head_seq=line.head,
                )
            ]
        )
        RoomMember.objects.bulk_create(
            RoomMember(room_id=line.id, user_id=member.user, is_owner=member.owner, added_at=member.added)
            for member in line.members
        )

    def _store_events(self, lines: list[EventLine]) -> None:
        if not lines:
            return
        room = self._rooms.get(lines[0].room)
        if room is None or room is not next(reversed(self._rooms.values())):
            raise RecordError(f"The events of room {lines[0].room} do not follow the line of this room.")
        for line in lines:
            if line.room != room.id or line.seq != self._last + 1:
                detail = f"event {line.seq} of room {line.room} follows event {self._last} of room {room.id}"
                raise RecordError(f"The export is incomplete, or was changed: {detail}.")
            self._last = line.seq
        ids = list(islice(self._ids, len(lines)))
        if len(ids) < len(lines):
            raise RecordError("The export grew while it was read. Try again when it is complete.")
        events = [_event(line, pk) for line, pk in zip(lines, ids, strict=True)]
        if self._has_files:
            for line, event in zip(lines, events, strict=True):
                self._give_files(line, event)
        log.import_events(events)
        self._store_files(lines, events)
        self.messages += sum(event.kind == Kind.POSTED for event in events)
        Mention.objects.bulk_create(
            Mention(event=event, user_id=user, room_id=event.room_id, seq=event.seq)
            for event, line in zip(events, lines, strict=True)
            for user in line.mentions
        )
        self._store_states(room.id, events)

    def _give_files(self, line: EventLine, event: Event) -> None:
        for file in line.files:
            file_archive.check(file)
            if line.kind != Kind.POSTED or line.deleted_at is not None or file.id in self.files:
                raise RecordError(f"Event {line.seq} of room {line.room} can't have the file {file.id}.")
            self.files[file.id] = file
        if line.files:
            event.files = files.encode([file_archive.facts_of(file) for file in line.files])

    def _store_files(self, lines: list[EventLine], events: list[Event]) -> None:
        StoredFile.objects.bulk_create(
            StoredFile(
                **msgspec.structs.asdict(file), room_id=line.room, event=event, author_id=line.user, is_complete=True
            )
            for line, event in zip(lines, events, strict=True)
            for file in (line.files if self._has_files else [])
        )

    def _store_states(self, room: int, events: list[Event]) -> None:
        """Store the current reactions and confirmations, which the events of the log have brought about."""
        changes = [event for event in events if event.kind in (Kind.REACTED, Kind.CONFIRMED)]
        seqs = {event.target_seq for event in changes if event.target_seq is not None}
        found = Event.objects.filter(room=room, seq__in=seqs, deleted_at=None).values_list("seq", "pk")
        targets: dict[int | None, int] = dict(found)
        reactions: dict[tuple[int, str, int | None], Reaction] = {}
        confirmations: list[Confirmation] = []
        for event in changes:
            if (target := targets.get(event.target_seq)) is None:
                continue  # deleted, so nothing of it is kept
            state: dict[str, Any] = {"event_id": target, "user_id": event.author_id, "username": event.username}
            if event.kind == Kind.CONFIRMED:
                confirmations.append(Confirmation(**state, seq=event.seq))
            else:
                key = (target, event.body, event.author_id)
                reactions[key] = Reaction(**state, emoji=event.body, is_on=bool(event.is_on), seq=event.seq)
        Confirmation.objects.bulk_create(confirmations)
        # A later piece of the log may change what an earlier one has stored.
        Reaction.objects.bulk_create(
            reactions.values(),
            update_conflicts=True,
            unique_fields=["event", "emoji", "user"],
            update_fields=["username", "is_on", "seq"],
        )

    def _check_end(self) -> None:
        """Raise RecordError when events are missing at the end of the last room's log."""
        if self._rooms and (room := next(reversed(self._rooms.values()))).head != self._last:
            detail = f"room {room.id} ends at event {self._last} instead of {room.head}"
            raise RecordError(f"The export is incomplete, or was changed: {detail}.")


def _event(line: EventLine, pk: int) -> Event:
    raw = {name: bytes(getattr(line, name)).decode() or None for name in JSON_FIELDS}
    return Event(
        pk=pk,
        room_id=line.room,
        seq=line.seq,
        kind=line.kind,
        at=line.at,
        author_id=line.user,
        username=line.username,
        body=line.text,
        msg_type=line.msg_type,
        target_seq=line.target,
        edit_seq=line.edit_seq,
        first_body=line.first_text,
        client_id=_uuid(line.client_id),
        client_id_given=line.client_id_given,
        reply_to=line.reply_to,
        across=_uuid(line.across),
        source_room=line.source_room,
        source_seq=line.source_seq,
        is_on=line.on,
        edited_at=line.edited_at,
        deleted_at=line.deleted_at,
        **raw,
    )


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text is not None else None
    except ValueError:
        raise RecordError(f"{text!r} is not a UUID.") from None


def _taken(rows: list[T]) -> list[T]:
    taken, rows[:] = list(rows), []
    return taken


def _reset_sequences() -> None:
    """Let new rows follow the imported ids."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), copying.tables()):
            cursor.execute(statement)
