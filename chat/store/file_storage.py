"""Stores the bytes of files through Django's storage API, under paths made of their ids.

Nothing here touches the database. The storage may be a directory or a bucket, and may be full or away: any of its
errors becomes a StorageError.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO
from uuid import UUID

from django.core.files import File
from django.core.files.storage import default_storage

logger = logging.getLogger(__name__)


class StorageError(Exception):
    """The storage failed. The log says why."""


def path_of(file_id: UUID, *, is_thumbnail: bool = False) -> str:
    """Return where a file's bytes are. The first two letters keep directories small."""
    return f"files/{file_id.hex[:2]}/{file_id.hex}{'.thumbnail' if is_thumbnail else ''}"


def save(path: str, content: IO[bytes]) -> None:
    """Store bytes durably. Raises StorageError."""
    with _errors("stored"):
        stored = default_storage.save(path, File(content))
        if stored != path:
            # A storage gives another name when there is such a file already. Ids are never used twice.
            default_storage.delete(stored)
            raise OSError(f"{path} exists already")
        _sync(path)


def open_file(path: str) -> IO[bytes]:
    """Open a file for reading. Raises StorageError, also when it is missing."""
    with _errors("opened"):
        return default_storage.open(path)


def exists(path: str) -> bool:
    """Return whether the storage has a file. Raises StorageError."""
    with _errors("looked up"):
        return bool(default_storage.exists(path))


def remove(file_id: UUID) -> None:
    """Remove a file and its thumbnail, which may be gone already. Raises StorageError.

    The file goes first, by which a copy knows that a missing thumbnail was removed (`file_views._open_source`).
    """
    with _errors("removed"):
        for is_thumbnail in (False, True):
            default_storage.delete(path_of(file_id, is_thumbnail=is_thumbnail))


def remove_path(path: str) -> None:
    """Remove a single stored file. Raises StorageError."""
    with _errors("removed"):
        default_storage.delete(path)


def _sync(path: str) -> None:
    """Write a local file through to the disk, because a message that names it is about to be acknowledged."""
    with suppress(NotImplementedError):
        descriptor = os.open(default_storage.path(path), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _errors(verb: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each kind of storage has its own
        logger.warning("a file could not be %s: %s: %s", verb, type(error).__name__, error)
        raise StorageError from error
