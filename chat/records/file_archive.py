"""The archive of files beside an export: written with its lines, and read only if it holds just what the lines name."""

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

import msgspec

from chat.backups import save_draft, stored_files
from chat.backups.stored_files import FilesError
from chat.protocol import MAX_ID, AttachedFile
from chat.records import FileLine, RecordError
from chat.store import file_storage, file_types
from chat.store.file_storage import StorageError, path_of

# A thumbnail has at most 640 by 480 pixels.
MAX_THUMBNAIL = 4 * 1024 * 1024
# The longest side of an image that the database can store. The pictures of uploads are far smaller.
MAX_PIXELS = 2**31 - 1


class FileArchive:
    """Takes the files of messages while their lines are written."""

    def __init__(self) -> None:
        self.tar: tarfile.TarFile | None = None
        self.saved = self.missing = 0

    def add(self, files: list[FileLine]) -> list[FileLine]:
        """Add files, and return those that the storage has. Others were deleted since the export began."""
        found = [file for file in files if self._add(file)]
        self.saved += len(found)
        self.missing += len(files) - len(found)
        return found

    def _add(self, file: FileLine) -> bool:
        assert self.tar is not None, "the archive is open"
        try:
            is_there = stored_files.add(self.tar, path_of(file.id))
            if is_there and file.width is not None:
                stored_files.add(self.tar, path_of(file.id, is_thumbnail=True))
        except FilesError as error:
            raise RecordError(str(error)) from None
        return is_there


@contextmanager
def beside(file: Path, archive: FileArchive) -> Iterator[None]:
    """Write the archive beside an export. Without files there is none. Raises BackupError."""
    path = stored_files.beside(file)
    with save_draft(path) as draft, tarfile.open(draft, "w") as tar:
        archive.tar = tar
        yield
    if not archive.saved:
        path.unlink()


def check(file: FileLine) -> None:
    """Refuse the line of a file that no upload makes. Raises RecordError."""
    sizes = (file.width, file.height)
    is_image = file.type in file_types.IMAGES and None not in sizes and min(size or 0 for size in sizes) > 0
    is_valid = (
        0 < file.size <= MAX_ID
        and max(size or 0 for size in sizes) <= MAX_PIXELS
        and file.name == file_types.clean_name(file.name)
    )
    if not is_valid or not (is_image or sizes == (None, None)):
        raise RecordError(f"The file {file.id} has a name, a type or a size that is not valid.")


def facts_of(file: FileLine) -> AttachedFile:
    """Return a file as frames show it."""
    facts = msgspec.structs.asdict(file)
    del facts["at"]
    return AttachedFile(**facts)


@contextmanager
def stored_or_removed() -> Iterator[set[UUID]]:
    """Yield a set for the files that are stored, which are removed again if the import fails."""
    stored: set[UUID] = set()
    try:
        yield stored
    except BaseException:
        for file_id in stored:
            try:
                file_storage.remove(file_id)
            except StorageError:
                continue  # it has logged why
        raise


def load(archive: Path, files: Mapping[UUID, FileLine], stored: set[UUID]) -> None:
    """Store the files of an archive: those that the lines name, and no others. Raises RecordError."""
    if not files and not archive.exists():
        return
    if not archive.exists():
        detail = f"The export has {len(files)} files, and there is no {archive.name} beside it."
        raise RecordError(f"{detail} Put it there, or leave the files out with --without-files.")
    seen: set[str] = set()
    try:
        for path, content in stored_files.members(archive):
            name = path.rpartition("/")[2]
            is_thumbnail = name.endswith(".thumbnail")
            file = files.get(UUID(name.removesuffix(".thumbnail")))
            if file is None or path in seen or (is_thumbnail and file.width is None):
                raise RecordError(f"{archive.name} has {path}, which no message of the export has, or has it twice.")
            seen.add(path)
            _check_content(archive, file, content, is_thumbnail=is_thumbnail)
            if file_storage.exists(path):
                # The database is empty, so no message has these bytes: an import was killed, or a site was removed.
                file_storage.remove_path(path)
            stored.add(file.id)
            file_storage.save(path, content)
    except FilesError as error:
        raise RecordError(str(error)) from None
    except StorageError as error:
        raise RecordError(f"A file could not be stored: {error.__cause__}.") from None
    missing = [file for file in files.values() if path_of(file.id) not in seen]
    if missing:
        more = f" and {len(missing) - 1} more files" if len(missing) > 1 else ""
        raise RecordError(f"{archive.name} lacks {missing[0].name} ({missing[0].id}){more}.")


def _check_content(archive: Path, file: FileLine, content: IO[bytes], *, is_thumbnail: bool) -> None:
    """Refuse bytes of another size or type than the line says. Raises RecordError."""
    size = content.seek(0, 2)
    content.seek(0)
    judged = file_types.judge(content.read(file_types.HEAD_BYTES))
    content.seek(0)
    is_right = judged == "image/webp" and size <= MAX_THUMBNAIL if is_thumbnail else size == file.size
    if not is_right:
        raise RecordError(f"{archive.name} has {size} bytes for {file.name} ({file.id}), not those that were exported.")
    if not is_thumbnail and judged != file.type:
        raise RecordError(f"The content of {file.name} ({file.id}) is {judged} and not {file.type}.")
