"""The load program's sockets. Each checks, byte by byte, that it receives what all the others receive.

All members of a room receive the same frames in the same order. So the first bytes of each message are parsed once,
and the bytes of all other sockets are compared with them. A message that is missing, doubled or out of order at any
socket is found at once, and the check costs the load program little.
"""

import asyncio
import base64
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bench.wire import TEXT, frame, frame_end, pong, split

CLOSE, PING = 0x8, 0x9
_NUMBER = re.compile(rb'(?:message\\*": ?\\*"|<body>)(\d+) ')


class Broken(Exception):
    """A contender lost or doubled a message, sent it out of order, or closed a socket."""


class TooSlow(Broken):
    """A contender did not deliver in time. Nothing says that it would not have."""


@dataclass
class Dialect:
    """How a contender's protocol begins, and how it carries a message."""

    path: str = "/"
    headers: str = ""
    # What the client sends when the socket is open (key None), or when a frame begins with the key.
    answers: dict[bytes | None, bytes] = field(default_factory=dict)
    # A socket is ready when a frame begins with this; None: as soon as it is open.
    ready: bytes | None = None
    # What the client sends before it closes the socket for good. Otherwise Multichat announces only later that it left.
    farewell: bytes | None = None
    # Turns the command of a message into what goes over the wire.
    wrap: Callable[[str], bytes] = lambda text: text.encode()
    # Turns a frame that names its receiver into what all members receive; None: frames are the same for all.
    common: Callable[[bytes], bytes] | None = None


class Stream:
    """What all members of the room have to receive from now on."""

    def __init__(
        self, members: int, on_complete: Callable[[int, float], None], on_broken: Callable[[Broken], None]
    ) -> None:
        self.data = bytearray()
        # Where each message's frame ends in `data`, and how many sockets have it. Message n is at n - 1.
        self.ends: list[int] = []
        self.received: list[int] = []
        self.on_broken = on_broken
        self._members = members
        self._on_complete = on_complete
        self._parsed = 0

    def extend(self, data: bytes) -> None:
        """Append what one socket is the first to receive, and find the messages in it."""
        self.data += data
        while whole := split(self.data, self._parsed):
            opcode, begin, end = whole
            if opcode == TEXT:
                self._found(bytes(self.data[begin:end]), end)
            elif opcode == CLOSE:
                raise Broken(f"the server closed a socket with {int.from_bytes(self.data[begin : begin + 2])}")
            self._parsed = end

    def _found(self, payload: bytes, end: int) -> None:
        match = _NUMBER.search(payload)
        if match is None:
            raise Broken(f"not a message: {payload[:200]!r}")
        if int(match[1]) != len(self.ends) + 1:
            raise Broken(f"message {match[1].decode()} came after message {len(self.ends)}")
        self.ends.append(end)
        self.received.append(0)

    def rest_of_frame(self, at: int, message: int) -> int:
        """Return how many bytes after `at` belong to the frame that follows the first `message` messages."""
        begin = self.ends[message - 1] if message else 0
        if begin == at:
            return 0
        end = frame_end(self.data, begin)
        return end - at if end is not None else 0

    def got(self, message: int) -> None:
        """Count that one more socket has a message, and report when all have it."""
        self.received[message] += 1
        if self.received[message] == self._members:
            self._on_complete(message + 1, time.perf_counter())


class Socket(asyncio.Protocol):
    """One connection, from the handshake on."""

    def __init__(self, dialect: Dialect, host: str) -> None:
        self.dialect = dialect
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_closing = False
        self.errors: list[bytes] = []
        # How many frames it has received.
        self.count = 0
        self._host = host
        self._is_open = False
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET {self.dialect.path} HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{self.dialect.headers}\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(Broken(f"the handshake failed: {self._buffer[:200]!r}"))
        elif not self.is_closing:
            self.lost()

    def lost(self) -> None:
        """Note that the server closed the socket."""
        self.errors.append(b"closed by the server")

    def close(self) -> None:
        self.is_closing = True
        self.transport.abort()

    def leave(self) -> None:
        """Say goodbye and close."""
        if self.dialect.farewell is not None:
            self.send(self.dialect.farewell)
        self.is_closing = True
        self.transport.close()

    def send(self, payload: bytes) -> None:
        """Send a text frame. Raises Broken when the server has closed the socket."""
        if self.transport.is_closing():
            raise Broken(f"a socket is closed: {self.errors}")
        self.transport.write(frame(payload, is_masked=True))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            head, separator, rest = self._buffer.partition(b"\r\n\r\n")
            if not separator or b" 101 " not in head.split(b"\r\n")[0]:
                return
            self._is_open, self._buffer = True, rest
            self._answer(None)
            if self.dialect.ready is None:
                self.ready.set_result(None)
        start = 0
        while whole := split(self._buffer, start):
            opcode, begin, end = whole
            if opcode == PING:
                self.transport.write(pong(self._buffer[begin:end]))
            elif opcode == TEXT:
                self.receive(self._buffer[begin:end])
            elif opcode == CLOSE:
                self.errors.append(b"closed with %d" % int.from_bytes(self._buffer[begin : begin + 2]))
            start = end
        self._buffer = self._buffer[start:]

    def receive(self, payload: bytes) -> None:
        """Handle a frame."""
        self.count += 1
        if not self.ready.done():
            for prefix in self.dialect.answers:
                if prefix is not None and payload.startswith(prefix):
                    self._answer(prefix)
            if self.dialect.ready is not None and payload.startswith(self.dialect.ready):
                self.ready.set_result(None)
        if payload.startswith(b'{"error"'):
            self.errors.append(payload)

    def _answer(self, prefix: bytes | None) -> None:
        if prefix in self.dialect.answers:
            self.send(self.dialect.answers[prefix])


S = TypeVar("S", bound=Socket)


class Member(Socket):
    """A socket whose bytes are compared with the stream, once it listens."""

    stream: Stream | None = None
    _at = 0
    _message = 0
    # The bytes of a frame that has not come whole, if frames name their receiver.
    _incomplete = b""

    def listen(self, stream: Stream) -> None:
        """Begin to compare: from here on, only messages of this stream may come."""
        self.stream = stream
        self._at = self._message = 0
        if self._buffer or self.errors:
            stream.on_broken(Broken(f"before the first message: {self.errors or self._buffer[:200]!r}"))

    def lost(self) -> None:
        super().lost()
        if self.stream is not None:
            self.stream.on_broken(Broken("the server closed a socket"))

    def data_received(self, data: bytes) -> None:
        stream = self.stream
        if stream is None:
            super().data_received(data)
            return
        try:
            self._compare(stream, data if self.dialect.common is None else self._common(self.dialect.common, data))
        except Broken as error:
            stream.on_broken(error)

    def _common(self, common: Callable[[bytes], bytes], data: bytes) -> bytes:
        """Return the frames that are complete, without what differs between members."""
        data = self._incomplete + data
        frames = []
        start = 0
        while whole := split(data, start):
            opcode, begin, end = whole
            frames.append(frame(common(data[begin:end])) if opcode == TEXT else data[start:end])
            start = end
        self._incomplete = data[start:]
        return b"".join(frames)

    def _compare(self, stream: Stream, data: bytes) -> None:
        end = self._at + len(data)
        known = stream.data[self._at : end]
        if known == data and not self._buffer:
            self._at = end
        elif data.startswith(known) and not self._buffer and b"\x89" not in data:
            stream.extend(data[len(known) :])
            self._at = end
        else:
            self._compare_frames(stream, data)
        message, ends = self._message, stream.ends
        while message < len(ends) and ends[message] <= self._at:
            stream.got(message)
            message += 1
        self._message = message

    def _compare_frames(self, stream: Stream, data: bytes) -> None:
        # A ping between two messages is allowed. Every other difference is a fault.
        data = self._buffer + data
        start = 0
        if begun := stream.rest_of_frame(self._at, self._message):
            # The last bytes ended inside a frame.
            start = min(begun, len(data))
            known = stream.data[self._at : self._at + start]
            if not data.startswith(known):
                raise Broken(f"a socket received something else: {data[:200]!r}")
            stream.extend(data[len(known) : start])
            self._at += start
        while whole := split(data, start):
            opcode, begin, end = whole
            if opcode == PING:
                self.transport.write(pong(data[begin:end]))
            elif data[start:end] == stream.data[self._at : self._at + end - start]:
                self._at += end - start
            elif self._at == len(stream.data):
                stream.extend(data[start:end])
                self._at += end - start
            else:
                raise Broken(f"a socket received something else: {data[start:end][:200]!r}")
            start = end
        self._buffer = data[start:]


async def open_sockets(kind: type[S], dialects: list[Dialect], port: int, *, at_once: int = 100) -> list[S]:
    """Open a socket for each dialect, some at a time, and return them when all are ready. Raises Broken."""
    loop = asyncio.get_running_loop()
    sockets: list[S] = []
    for start in range(0, len(dialects), at_once):
        part = []
        for dialect in dialects[start : start + at_once]:
            one = kind(dialect, f"127.0.0.1:{port}")
            await loop.create_connection(lambda one=one: one, "127.0.0.1", port)  # type: ignore[misc]
            part.append(one)
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(one.ready for one in part))
        except TimeoutError:
            raise Broken(f"{sum(not one.ready.done() for one in part)} of {len(part)} sockets are not ready") from None
        sockets += part
    return sockets
