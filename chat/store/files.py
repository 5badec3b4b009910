"""Keeps which files were uploaded to a room and which message has them. Their bytes are in `file_storage`.

A row is written before the first byte and removed before the last one, so no bytes are ever without a row: that of the
file, or one in `RemovedFile`, by which the janitor removes them.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from chat import limits
from chat.exceptions import ClientError, ErrorCode, Sentence, unavailable
from chat.models import Event, RemovedFile, Room, StoredFile
from chat.protocol import AttachedFile
from chat.store import policies
from chat.store.event_rows import EventRow
from chat.store.room_user import RoomUser

# A file that was not posted for so long is removed. Its writer may have gone for the weekend.
UNPOSTED = timedelta(days=3)
# The most files that one call removes.
PIECE_ROWS = 50
GONE = _("An attached file is no longer on the server. Remove it and attach it again.")
OVERTAKEN = _("This file is already being uploaded. Try again in a moment.")

_decoder = msgspec.json.Decoder(list[AttachedFile])
_encoder = msgspec.json.Encoder()


class Judged(NamedTuple):
    """What is known of a file by its content; a size in pixels makes it an image that browsers may show."""

    type: str
    size: int
    width: int | None = None
    height: int | None = None


class UploadKey(NamedTuple):
    """The user and the room of an upload, and its idempotency key if it has one."""

    user_id: int
    room_id: int
    client_id: UUID | None = None


def of(message: Event | EventRow) -> list[AttachedFile]:
    """Return the files of a message."""
    return _decoder.decode(message.files) if message.files else []


def encode(files: Sequence[AttachedFile]) -> str:
    """Return files as the row of their message keeps them."""
    return _encoder.encode(files).decode()


def facts_of(row: StoredFile) -> AttachedFile:
    """Return a file as frames show it."""
    return AttachedFile(id=row.pk, name=row.name, type=row.type, size=row.size, width=row.width, height=row.height)


def names_of(files: Sequence[AttachedFile]) -> str:
    """Return the names of files as one text: what clients that know no files show."""
    return ", ".join(file.name for file in files)


def is_names(event: Event) -> bool:
    """Return whether a message's text are only the names of its files, because it was sent without a text."""
    return bool(event.files) and event.body == names_of(of(event))


def text_with_names(event: Event) -> str:
    """Return what search finds a message by: its text and the names of its files."""
    if not event.files or is_names(event):
        return event.body
    return f"{event.body} {names_of(of(event))}"


class Changes:
    """The files that one transaction posts or removes. Its lock of the room keeps others from posting the same ones."""

    def __init__(self) -> None:
        self._posted: dict[UUID, Event] = {}
        self._removed: list[Event] = []

    def claim(self, ids: Sequence[UUID], room_id: int, author_id: int | None) -> list[StoredFile]:
        """Return unposted files of an author in a room, locked. Raises ClientError: FILE_INVALID."""
        own = StoredFile.objects.filter(room=room_id, author=author_id, event=None, is_complete=True)
        # Locked, because the janitor may be about to remove one that is old. In order, so that two cannot deadlock.
        found = {row.pk: row for row in own.filter(pk__in=ids).select_for_update(no_key=True).order_by("pk")}
        if any(pk not in found or pk in self._posted for pk in ids):
            raise ClientError(ErrorCode.FILE_INVALID, detail=GONE)
        return [found[pk] for pk in ids]

    def attach(self, event: Event, rows: Sequence[StoredFile]) -> None:
        """Give a new message its files, and their names as its text if it has none."""
        files = [facts_of(row) for row in rows]
        event.files = encode(files)
        event.body = event.body or names_of(files)
        self._posted |= {row.pk: event for row in rows}

    def forget(self, message: Event) -> None:
        """Remove the files of a message, because it is deleted."""
        if message.files is not None:
            message.files = None
            self._removed.append(message)

    def store(self) -> None:
        """Write the rows, after the events."""
        by_event: dict[int, list[UUID]] = {}
        for pk, event in self._posted.items():
            by_event.setdefault(event.pk, []).append(pk)
        for event_id, ids in by_event.items():
            StoredFile.objects.filter(pk__in=ids).update(event=event_id)
        if self._removed:
            StoredFile.objects.filter(event__in=[message.pk for message in self._removed]).delete()


def check_may_upload(key: UploadKey, size: int) -> None:
    """Refuse a file before its bytes are read.

    Raises ClientError: as policies.check_writable, and FILE_TOO_LARGE when the file, or all of the user's or of the
    site's files, would be too large.
    """
    _check_writable(key.user_id, key.room_id)
    most = limits.most_bytes("FILE_MB")
    if most and size > most:
        sentence = _("This file is too large. A file may have at most {size}.")
        raise too_large(format_lazy(sentence, size=_megabytes(most)))
    # An earlier try of the same upload, whose place this one takes.
    size -= _total(_tries(key).filter(is_complete=False))
    own = StoredFile.objects.filter(author=key.user_id)
    if (most := limits.most_bytes("FILES_MB_PER_USER")) and _total(own) + size > most:
        sentence = _("Your files would take more than {size}. Delete messages with files that nobody needs.")
        raise too_large(format_lazy(sentence, size=_megabytes(most)))
    if (most := limits.most_bytes("FILES_MB")) and _total(StoredFile.objects.all()) + size > most:
        raise too_large(_("The server has no more space for files. Ask an administrator."))


def _check_writable(user_id: int, room_id: int) -> Room:
    user = policies.load_users([user_id]).get(user_id)
    rooms = policies.load_rooms([room_id])
    pair = RoomUser(room_id, user_id)
    is_member = pair in policies.load_members([pair], rooms)
    return policies.check_writable(user, rooms.get(room_id), msg_type=0, is_member=is_member)


def _total(files: QuerySet[StoredFile]) -> int:
    return files.aggregate(total=Sum("size"))["total"] or 0


def _megabytes(size: float) -> str:
    if size < 1024**3:
        return f"{number_format(f'{size / 1024**2:.4g}')} MB"
    return f"{number_format(f'{size / 1024**3:.4g}')} GB"


def too_large(detail: Sentence) -> ClientError:
    """Return the refusal of a file that is too large."""
    return ClientError(ErrorCode.FILE_TOO_LARGE, detail=detail)


def find_upload(key: UploadKey) -> StoredFile | None:
    """Return the file that an earlier try of an upload has stored, also if it is posted by now.

    Raises ClientError as check_writable when there is one.
    """
    row = _tries(key).filter(is_complete=True).first()
    if row is not None:
        _check_writable(key.user_id, key.room_id)
    return row


def _tries(key: UploadKey) -> QuerySet[StoredFile]:
    """Return the row of an upload's tries: a constraint allows one. Without a key, a try has no others."""
    if key.client_id is None:
        return StoredFile.objects.none()
    return StoredFile.objects.filter(author=key.user_id, room=key.room_id, client_id=key.client_id)


def begin(key: UploadKey, name: str, judged: Judged) -> StoredFile:
    """Add the row of a file whose bytes are about to be stored, or return the one that another try has completed.

    The newest try takes the place of one that is not complete, because its client waits for no other, and because a
    process that was killed would otherwise keep the place. Raises ClientError as check_writable, and
    SERVER_UNAVAILABLE when another try begins at the same moment.
    """
    # Asked again, because the bytes may have taken minutes to arrive.
    room = _check_writable(key.user_id, key.room_id)
    facts = {"name": name, "client_id": key.client_id, **judged._asdict()}
    try:
        with transaction.atomic():
            # Locked, because it may become complete in this moment.
            earlier = _tries(key).select_for_update().first()
            if earlier is not None and earlier.is_complete:
                return earlier
            if earlier is not None:
                earlier.delete()
            return StoredFile.objects.create(room=room, author_id=key.user_id, **facts)
    except IntegrityError:
        # Two tries that begin at the same moment find no earlier one, and the database refuses the second.
        raise unavailable(OVERTAKEN) from None


def complete(row: StoredFile) -> None:
    """Note that the storage has all bytes of a file.

    Raises ClientError: ROOM_INVALID when its room was deleted, SERVER_UNAVAILABLE when another try took its place.
    """
    if StoredFile.objects.filter(pk=row.pk).update(is_complete=True):
        return
    if row.client_id is not None and Room.objects.filter(pk=row.room_id).exists():
        raise unavailable(OVERTAKEN)
    raise ClientError(ErrorCode.ROOM_INVALID, detail=_("This room does not exist. It may have been deleted."))


def discard(user_id: int, file_id: UUID) -> None:
    """Remove a file that its author has not posted. Nothing happens when there is none, or when it was posted."""
    StoredFile.objects.filter(pk=file_id, author=user_id, event=None).delete()


def abandon(row: StoredFile) -> None:
    """Remove a file whose upload failed, also when its row is gone already: the storage may have some of its bytes."""
    RemovedFile.objects.bulk_create([RemovedFile(pk=row.pk)], ignore_conflicts=True)
    StoredFile.objects.filter(pk=row.pk, event=None).delete()


def find(user_id: int, file_id: UUID) -> StoredFile | None:
    """Return a file that this user may see now: in a message of a room that they may enter, or their own unposted."""
    user = policies.load_users([user_id]).get(user_id)
    row = StoredFile.objects.filter(pk=file_id, is_complete=True).select_related("event").first()
    if user is None or row is None:
        return None
    room = Room.objects.enterable_by(user).filter(pk=row.room_id).first()
    if room is None:
        return None
    if row.event is None:
        return row if row.author_id == user_id else None
    return row if row.event.deleted_at is None and row.event.seq >= room.floor_seq else None


def remove_unposted() -> int:
    """Remove the rows of some files that were never posted; return how many."""
    old = StoredFile.objects.filter(event=None, at__lt=timezone.now() - UNPOSTED).order_by("at")
    ids = list(old.values_list("pk", flat=True)[:PIECE_ROWS])
    # Asked again in the statement that removes them, because one may have been posted meanwhile.
    return StoredFile.objects.filter(pk__in=ids, event=None).delete()[0] if ids else 0


def removed() -> list[UUID]:
    """Return some files whose bytes have yet to be removed."""
    return list(RemovedFile.objects.order_by("pk").values_list("pk", flat=True)[:PIECE_ROWS])


def forget_removed(ids: Sequence[UUID]) -> int:
    """Forget files whose bytes are removed; return how many."""
    return RemovedFile.objects.filter(pk__in=ids).delete()[0]


def stored() -> set[UUID]:
    """Return the ids of all files whose bytes are stored, for a backup."""
    return set(StoredFile.objects.filter(is_complete=True).values_list("pk", flat=True))


def remove_bytes_of(ids: Iterable[UUID]) -> None:
    """Let the janitor remove the bytes of files that have no row any more, because a backup was restored."""
    RemovedFile.objects.bulk_create([RemovedFile(pk=pk) for pk in ids], batch_size=500, ignore_conflicts=True)
