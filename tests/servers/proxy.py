"""A TCP proxy that delays, cuts at a pattern, loses one way, and dawdles."""

import asyncio
import contextlib


class Proxy:
    """Stands between clients and a server on 127.0.0.1; what it does may change while it runs."""

    def __init__(self, port):
        self.delay_seconds = 0.0
        # Cut both ways before these bytes of the server reach the client; `cuts` counts down.
        self.cut_at = b""
        self.cuts = 0
        self.loses_upstream = False
        self.loses_downstream = False
        self.bytes_per_second = 0
        self._target = port
        self._server = None
        self._lines = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *unused):
        self._server.close()
        self.cut_all()
        await asyncio.sleep(0)

    def cut_all(self):
        for writer in list(self._lines):
            writer.transport.abort()

    async def _connected(self, reader, writer):
        try:
            to_server, from_us = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, from_us}
        self._lines |= ends
        ways = [
            asyncio.ensure_future(self._carry(reader, from_us, "upstream")),
            asyncio.ensure_future(self._carry(to_server, writer, "downstream")),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
                end.transport.abort()
            self._lines -= ends

    async def _carry(self, reader, writer, way):
        last = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                if way == "downstream" and self.cuts and self.cut_at and self.cut_at in last + data:
                    self.cuts -= 1
                    return
                last = data[-len(self.cut_at) or len(data) :]
                if getattr(self, f"loses_{way}"):
                    continue
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                if self.bytes_per_second and way == "downstream":
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                writer.write(data)
                await writer.drain()
