"""Copies the database away and brings it back, with new epochs: clients start the rooms of a restored log over."""

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader

from chat import access
from chat.models import AccessCounter, Membership, PositionCounter, Process, Room, new_epoch

Applied = set[tuple[str, str]]  # app, name

# Further than rights can have changed meanwhile: every process sees that they are others now.
FAR = 1_000_000


class BackupError(Exception):
    """A backup or a restore that was not done; nothing was changed. Its text is a sentence."""


class Engine(Protocol):
    """How one kind of database is copied."""

    def save(self, file: Path) -> None:
        """Write the database into a new file, as it is at one moment, while others use it."""

    def applied(self, file: Path) -> Applied:
        """Return the migrations that a backup has. Raises BackupError when it is none of ours."""

    def load(self, file: Path) -> None:
        """Replace the database by a backup with new epochs, in one go, while others use it."""


def engine() -> Engine:
    """Return the one for the database that DATABASE_URL names."""
    from chat.backups.postgresql import PostgreSQL
    from chat.backups.sqlite import SQLite

    return SQLite() if connections[DEFAULT_DB_ALIAS].vendor == "sqlite" else PostgreSQL()


def save(file: Path, *, overwrite: bool = False) -> None:
    """Write a backup. Raises BackupError."""
    if file.exists() and not overwrite:
        raise BackupError(f"{file} is there already. Choose another name, or add --overwrite.")
    if not file.parent.is_dir():
        raise BackupError(f"There is no directory {file.parent}.")
    with beside(file) as draft:
        engine().save(draft)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        if overwrite:
            draft.replace(file)
        else:
            _place(draft, file)


def _place(draft: Path, file: Path) -> None:
    """Give a draft its name, unless the name was taken meanwhile. Raises BackupError."""
    try:
        try:
            # Appears with its whole content or not at all.
            file.hardlink_to(draft)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links (CIFS, exFAT): the name is taken by an empty file, which is replaced.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            draft.replace(file)
    except FileExistsError:
        raise BackupError(f"{file} is there already. Choose another name, or add --overwrite.") from None
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}.") from None


def load(file: Path, *, replace: bool = False) -> None:
    """Replace the database by a backup. Raises BackupError."""
    if not file.is_file():
        raise BackupError(f"There is no file {file}.")
    ours = engine()
    check_migrations(ours.applied(file))
    if not replace and (there := content()):
        raise BackupError(f"This database has {there}. Restoring replaces all of it; add --yes if that is meant.")
    ours.load(file)


def check_migrations(applied: Applied) -> None:
    """Refuse what this version of the code does not know. Raises BackupError."""
    known = set(MigrationLoader(None).disk_migrations or ())
    apps = {app for app, _ in known}
    if newer := sorted(f"{app}.{name}" for app, name in applied - known if app in apps):
        raise BackupError(f"The backup is of a newer version of Multichat (it has {newer[0]}). Upgrade first.")


def content() -> str:
    """Say what the database holds, or nothing when it is empty."""
    try:
        rooms, users = Room.objects.count(), get_user_model()._default_manager.count()
    except DatabaseError:
        return ""  # without tables
    return f"{counted(rooms, 'room')} and {counted(users, 'user')}" if rooms or users else ""


def counted(count: int, thing: str) -> str:
    """Say how many things: 1 room, 2 rooms."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def generation() -> int:
    """Return a count of changes of rights that no process has seen."""
    try:
        return access.generation() + FAR + secrets.randbelow(FAR)
    except DatabaseError:
        return FAR


def start_over(*, using: str = DEFAULT_DB_ALIAS, changes: int | None = None) -> int:
    """Give each room's log a new epoch and forget who was here; return how many rooms there are."""
    changes = generation() if changes is None else changes
    with transaction.atomic(using=using):
        rooms = Room.objects.using(using)
        ids = list(rooms.select_for_update().order_by("pk").values_list("pk", flat=True))
        for pk in ids:
            # Not save(): what hears of changed rooms would count them in the database that serves.
            rooms.filter(pk=pk).update(epoch=new_epoch())
        # Its numbers come a second time from here on.
        PositionCounter.objects.using(using).update(epoch=new_epoch())
        Process.objects.using(using).all().delete()
        Membership.objects.using(using).filter(is_here=True).update(is_here=False)
        AccessCounter.objects.using(using).update_or_create(pk=1, defaults={"changes": changes})
    return len(ids)


@contextmanager
def beside(file: Path) -> Iterator[Path]:
    """Hold a draft in a directory of its own beside a file: on the same disk, and for its owner only."""
    try:
        holder = tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise BackupError(f"Nothing can be written in {file.parent}: {error.strerror}.") from None
    with holder as directory:
        draft = Path(directory) / "draft"
        draft.touch(mode=0o600)
        yield draft
