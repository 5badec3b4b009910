"""What a session writes to (Socket), and what is written at once (Run)."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Protocol

from chat.protocol import Frame

# The size of one write, so that a full socket holds little more than its own buffer.
WRITE_BYTES = 64 * 1024


class Run:
    """Frames that are written together, joined once for all sockets. Events in it have no holes."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.count = len(frames)

    @cached_property
    def wire(self) -> bytes:
        return b"".join(frame.wire for frame in self.frames)


class Socket(Protocol):
    """A connection to a client. multichat.server has the one of uvicorn, chat.consumers the one of any ASGI server."""

    @property
    def is_closed(self) -> bool:
        """Tell whether the connection is known to be gone."""

    def write(self, run: Run) -> int:
        """Write frames from the first on, and return how many were written; the rest was not begun."""

    async def drained(self) -> bool:
        """Wait until the socket takes bytes again; return False when it is gone."""

    async def close(self, code: int) -> None:
        """Close the connection with a WebSocket close code."""


def chunk(frames: Iterable[Frame]) -> list[Frame]:
    """Return the first frames that fit into one write, at least one."""
    first: list[Frame] = []
    size = 0
    for frame in frames:
        size += len(frame.payload)
        if first and size > WRITE_BYTES:
            break
        first.append(frame)
    return first
