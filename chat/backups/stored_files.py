"""Backs up the files that users uploaded, in an archive beside the backup of the database, and restores them."""

import re
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

from django.db import DatabaseError, connection

from chat.store import file_storage, files
from chat.store.file_storage import StorageError, path_of

# A member of an archive is named as in the storage. No other name is restored.
_NAME = re.compile(r"files/[0-9a-f]{2}/([0-9a-f]{32})(\.thumbnail)?")
# Larger files wait on the disk while they are copied.
SPOOLED_BYTES = 8 * 1024 * 1024


class FilesError(Exception):
    """Files could not be saved or restored. Its text is a sentence for the user."""


def beside(file: Path) -> Path:
    """Return the name of the archive that belongs to a backup."""
    return file.with_name(f"{file.name}.files.tar")


def save(archive: Path) -> int:
    """Write all stored files into an archive, and return how many; without files there is no archive."""
    stored = sorted(_stored())
    if not stored:
        return 0
    saved = 0
    with tarfile.open(archive, "w") as tar:
        for file_id in stored:
            for is_thumbnail in (False, True):
                saved += add(tar, path_of(file_id, is_thumbnail=is_thumbnail))
    return saved


def add(tar: tarfile.TarFile, path: str) -> bool:
    """Add a stored file to an archive; return False when the storage has none. Raises FilesError."""
    with _errors("saved"):
        # A file may be deleted meanwhile, and only images have a thumbnail.
        if not file_storage.exists(path):
            return False
        with file_storage.open_file(path) as content, tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as copy:
            # The archive needs the size first, and a bucket does not always know it.
            while piece := content.read(256 * 1024):
                copy.write(piece)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = copy.tell(), 0o600
            copy.seek(0)
            tar.addfile(entry, copy)
    return True


def check(archive: Path) -> None:
    """Refuse an archive that is damaged or has other files. Raises FilesError."""
    for _ in members(archive):
        pass


def load(archive: Path) -> None:
    """Store the files of an archive that the storage does not have. Raises FilesError."""
    for path, content in members(archive):
        with _errors("restored"):
            if not file_storage.exists(path):
                file_storage.save(path, content)


def members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files of an archive by path. Raises FilesError when it is damaged or has anything else."""
    if not archive.exists():
        return
    try:
        with tarfile.open(archive, "r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isfile() and not entry.issparse() else None
                match = _NAME.fullmatch(entry.name)
                if content is None or not match or entry.name != path_of(UUID(match[1]), is_thumbnail=bool(match[2])):
                    raise FilesError(f"{archive} is not an archive of Multichat's files.")
                yield entry.name, content
    except (tarfile.TarError, OSError) as error:
        raise FilesError(f"{archive} cannot be read: {error}.") from None


def _stored() -> set[UUID]:
    try:
        return files.stored()
    except DatabaseError:
        return set()  # without tables, or of an older version


def stored_now() -> set[UUID]:
    """Return the files of the database as it is, which may have no tables yet."""
    found = _stored()
    connection.close()  # a failed query may have left it in a broken transaction
    return found


@contextmanager
def _errors(verb: str) -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise FilesError(f"A file could not be {verb}: {error.__cause__}.") from None
