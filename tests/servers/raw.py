"""A WebSocket peer that makes its own frames, so that it can break every rule of RFC 6455."""

import asyncio
import base64
import contextlib
import os
import struct
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x01\x02\x03\x04"


def frame(payload=b"", opcode=TEXT, *, fin=True, reserved=0, masked=True, length=None):
    """Return one frame; `length` is the payload length that its head claims."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    mark = 0x80 if masked else 0
    if size < 126:
        head += bytes([mark | size])
    elif size < 2**16:
        head += bytes([mark | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mark | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = (MASK * (len(payload) // 4 + 1))[: len(payload)]
    body = int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big") if payload else 0
    return head + MASK + body.to_bytes(len(payload), "big")


class Peer:
    """One connection; its handshake may break the rules, too."""

    def __init__(self, url, cookie=""):
        self.url, self.cookie = url, cookie
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    async def __aexit__(self, *unused):
        self.writer.transport.abort()

    def request(self, *more, without=(), path="/chat/stream/", method="GET", version="HTTP/1.1", **changed):
        headers = {
            "Host": f"{self.host}:{self.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Version": "13",
            "Origin": self.url,
            "Cookie": self.cookie,
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if name not in without and value != ""]
        return "\r\n".join([f"{method} {path} {version}", *lines, *more, "", ""]).encode("latin-1")

    async def send(self, data):
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def open(self, *more, **changed):
        """Send the handshake; return the status and head of the answer."""
        await self.send(self.request(*more, **changed))
        return await self.head()

    async def head(self, seconds=5):
        """Return the status and head of an HTTP answer; status 0 when the connection was cut."""
        try:
            async with asyncio.timeout(seconds):
                head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""
        return int(head.split()[1]), head

    async def next(self, seconds=5):
        """Return the next frame's opcode and payload; (None, b"") when the connection was cut."""
        try:
            async with asyncio.timeout(seconds):
                first, second = await self.reader.readexactly(2)
                size = second & 127
                if size == 126:
                    [size] = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    [size] = struct.unpack("!Q", await self.reader.readexactly(8))
                return first & 15, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None, b""

    async def until_closed(self, seconds=5):
        """Skip frames until a close, and return its code; None when the connection was cut without a close."""
        async with asyncio.timeout(seconds):
            while True:
                opcode, payload = await self.next(seconds)
                if opcode is None:
                    return None
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0] if len(payload) > 1 else 1005
