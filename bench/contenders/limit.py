"""The limit: a bare uvloop protocol that writes one ready-made frame to every socket, and does nothing else."""

import asyncio
import base64
import hashlib
import socket
import sys

import uvloop

from bench.wire import GUID, frame, frames_in, message_for

members: set["Limit"] = set()


class Limit(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""
        self.is_open = False

    def connection_lost(self, exc: Exception | None) -> None:
        members.discard(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.is_open:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            key = head.lower().partition(b"sec-websocket-key: ")[2].partition(b"\r\n")[0]
            start = head.lower().find(b"sec-websocket-key: ") + len("sec-websocket-key: ")
            accept = base64.b64encode(hashlib.sha1(head[start : start + len(key)] + GUID).digest())
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
            self.is_open, self.buffer = True, rest
            members.add(self)
        payloads, self.buffer = frames_in(self.buffer)
        for payload in payloads:
            self.send_to_all(frame(message_for(payload.decode()).encode()))

    def send_to_all(self, ready: bytes) -> None:
        for member in members:
            member.transport.write(ready)


async def main(fd: int) -> None:
    server = await asyncio.get_running_loop().create_server(Limit, sock=socket.socket(fileno=fd))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
