"""Bodies and responses that are larger than others: files on their way up and down (chat/file_views.py).

A file that is uploaded goes to a temporary file, and not to memory, while it arrives. A file that is downloaded is
written after its request has freed its thread, so that slow readers hold no thread, slot or database connection.
"""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import IO, Any

from chat import limits

UPLOAD = re.compile(r"/rooms/\d+/files/|/accounts/picture/")
COPY = re.compile(r"/files/[0-9a-f-]+/copy/")
# Bytes that are gathered before a thread writes them.
GATHERED_BYTES = 512 * 1024
# How often the parser may call us for one body: networks split a body into pieces of about 1,400 bytes.
PIECE_BYTES = 512

# Reads and writes the files. A storage that hangs keeps these threads, and no others.
_threads = ThreadPoolExecutor(4, thread_name_prefix="transfers")


class TooManyError(Exception):
    """Too many files are on their way up or down."""


class FullError(Exception):
    """The disk for temporary files is full."""


def is_upload(scope: Any) -> bool:
    """Return whether the body of a request is a file."""
    return scope["method"] == "POST" and UPLOAD.fullmatch(scope["path"]) is not None


def is_copy(scope: Any) -> bool:
    """Return whether a request copies a file: for the storage it is a download and an upload, without a body."""
    return scope["method"] == "POST" and COPY.fullmatch(scope["path"]) is not None


def most_bytes(method: bytes | str, path: bytes | str) -> float:
    """Return how many bytes the body of a request may have; 0 means unlimited."""
    is_file = method in ("POST", b"POST") and UPLOAD.fullmatch(
        path if isinstance(path, str) else path.decode("latin-1")
    )
    return limits.most_bytes("FILE_MB") if is_file else limits.of("BODY_BYTES")


@contextmanager
def counted(address: str) -> Iterator[None]:
    """Count an upload, or the copy of a file, until it is done. Raises TooManyError."""
    with ExitStack() as held:
        for limit, key in ((limits.uploads_of_address, address), (limits.uploads_at_once, None)):
            if not limit.acquire(key):
                raise TooManyError
            held.callback(limit.release, key)
        yield


@asynccontextmanager
async def upload(address: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[IO[bytes]]:
    """Write a body into a temporary file, and hold the file. Raises TooManyError, FullError."""
    with counted(address), tempfile.TemporaryFile(prefix="multichat-") as file:
        try:
            await _write(file, pieces)
        except OSError as error:
            raise FullError from error
        yield file


async def _write(file: IO[bytes], pieces: AsyncIterator[bytes]) -> None:
    gathered: list[bytes] = []
    size = 0
    async for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= GATHERED_BYTES:
            await _in_thread(file.write, b"".join(gathered))
            gathered, size = [], 0
    await _in_thread(file.write, b"".join(gathered))
    await _in_thread(file.seek, 0)


async def stream(send: Any, streams: Iterable[Any]) -> None:
    """Write the body of a response from open streams, at the speed of the client. The head was written before."""
    for pieces in streams:
        while piece := await _in_thread(next, pieces, b""):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _in_thread(work: Any, *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
