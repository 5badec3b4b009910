"""Backs up the database, and restores it with new epochs, so that clients start the restored rooms over."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction
from django.db.migrations.loader import MigrationLoader

from chat.backups import stored_files
from chat.backups.stored_files import FilesError
from chat.models import AccessChange, Membership, PositionCounter, Process, Room, new_epoch
from chat.store import files

Applied = set[tuple[str, str]]  # app, name


class BackupError(Exception):
    """A backup or a restore failed, and nothing was changed. Its text is a sentence for the user."""


class FilesNotRestoredError(Exception):
    """The database was restored, and not all of its files. Its text is a sentence for the user."""


class Engine(Protocol):
    """Backs up and restores one kind of database."""

    def save(self, file: Path) -> None:
        """Write a consistent snapshot of the database into a new file, while servers use it."""

    def applied(self, file: Path) -> Applied:
        """Return the migrations that a backup has. Raises BackupError when the file is not a backup of Multichat."""

    def load(self, file: Path) -> None:
        """Replace the database by a backup with new epochs, at once, while servers use it."""


def engine() -> Engine:
    """Return the engine for the database that DATABASE_URL names."""
    from chat.backups.postgresql import PostgreSQL
    from chat.backups.sqlite import SQLite

    return SQLite() if connections[DEFAULT_DB_ALIAS].vendor == "sqlite" else PostgreSQL()


def save(file: Path, *, overwrite: bool = False) -> None:
    """Write a backup into a file. Raises BackupError."""
    with save_draft(file, overwrite=overwrite) as draft:
        engine().save(draft)
        # After the database: a file that is uploaded meanwhile is in no message of the snapshot.
        with _as_backup_errors():
            _save_files(stored_files.beside(file), overwrite=overwrite)


def _save_files(archive: Path, *, overwrite: bool) -> None:
    """Write all stored files into the archive beside a backup; without files there is none. Raises BackupError."""
    with save_draft(archive, overwrite=overwrite) as draft:
        saved = stored_files.save(draft)
    if not saved:
        archive.unlink()


@contextmanager
def _as_backup_errors() -> Iterator[None]:
    try:
        yield
    except FilesError as error:
        raise BackupError(str(error)) from None


@contextmanager
def save_draft(file: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a private file to write, which gets its name when all is written. Raises BackupError."""
    if file.exists() and not overwrite:
        raise BackupError(f"{file} already exists. Choose another name, or add --overwrite.")
    if not file.parent.is_dir():
        raise BackupError(f"The directory {file.parent} does not exist. Create it first.")
    with draft_beside(file) as draft:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        if overwrite:
            draft.replace(file)
        else:
            _place(draft, file)


def _place(draft: Path, file: Path) -> None:
    """Give a draft its final name, unless the name was taken meanwhile. Raises BackupError."""
    try:
        try:
            # The file appears with its whole content or not at all.
            file.hardlink_to(draft)
        except FileExistsError:
            raise
        except OSError:
            # The file system has no hard links (CIFS, exFAT): an empty file reserves the name, and is then replaced.
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            draft.replace(file)
    except FileExistsError:
        raise BackupError(f"{file} already exists. Choose another name, or add --overwrite.") from None
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}.") from None


def load(file: Path, *, replace: bool = False) -> None:
    """Replace the database by a backup. Raises BackupError."""
    if not file.is_file():
        raise BackupError(f"There is no file {file}. Check its name.")
    database = engine()
    check_migrations(database.applied(file))
    if not replace and (content := describe_content()):
        raise BackupError(f"This database has {content}. Restoring replaces all of it. Add --yes to go on.")
    archive = stored_files.beside(file)
    with _as_backup_errors():
        stored_files.check(archive)
    before = stored_files.stored_now()
    database.load(file)
    # After the database, of which the janitor learns what it has to remove.
    files.remove_bytes_of(before - files.stored())
    try:
        stored_files.load(archive)
    except FilesError as error:
        raise FilesNotRestoredError(str(error)) from None


def check_migrations(applied: Applied) -> None:
    """Refuse migrations that this version of the code does not have. Raises BackupError."""
    known = set(MigrationLoader(None).disk_migrations or ())
    apps = {app for app, _ in known}
    if newer := sorted(f"{app}.{name}" for app, name in applied - known if app in apps):
        raise BackupError(f"The backup is of a newer version of Multichat (it has {newer[0]}). Upgrade first.")


def describe_content() -> str:
    """Return how many rooms and users the database has, as words; empty if it has none."""
    try:
        rooms, users = Room.objects.count(), get_user_model()._default_manager.count()
    except DatabaseError:
        return ""  # without tables
    return f"{counted(rooms, 'room')} and {counted(users, 'user')}" if rooms or users else ""


def counted(count: int, thing: str) -> str:
    """Return a number of things as words: 1 room, 2 rooms."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def start_new_epochs(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """Give each room's log a new epoch, and remove all presences; return the number of rooms."""
    with transaction.atomic(using=using):
        rooms = Room.objects.using(using)
        ids = list(rooms.select_for_update().order_by("pk").values_list("pk", flat=True))
        for pk in ids:
            # Not save(), because its signals would record changes of rights in the default database.
            rooms.filter(pk=pk).update(epoch=new_epoch())
        # The counter's numbers will be used a second time.
        PositionCounter.objects.using(using).update(epoch=new_epoch())
        Process.objects.using(using).all().delete()
        Membership.objects.using(using).filter(is_here=True).update(is_here=False)
        # The rights of all users may have changed. The key is random, so no process has seen this row.
        AccessChange.objects.using(using).create()
    return len(ids)


@contextmanager
def draft_beside(file: Path) -> Iterator[Path]:
    """Yield a draft in a private directory beside a file, so that it is on the same disk."""
    try:
        holder = tempfile.TemporaryDirectory(prefix=f".{file.name}-", dir=file.parent)
    except OSError as error:
        raise BackupError(f"The directory {file.parent} is not writable: {error.strerror}.") from None
    with holder as directory:
        draft = Path(directory) / "draft"
        draft.touch(mode=0o600)
        yield draft
