"""A proxy that can delay, cut at a pattern, lose one direction, and slow down."""

import asyncio
import contextlib


class Proxy:
    """Stands between clients and a server: a port on 127.0.0.1, or with `listen` a Unix socket in front of another.

    Its attributes may be changed while it runs.
    """

    def __init__(self, target, *, listen=None):
        self.delay_seconds = 0.0
        # Cut the connection before these bytes of the server reach the client; `cuts` counts down.
        self.cut_at = b""
        # Cut the connection when these bytes of the client have reached the server, before its answer passes.
        self.cut_after = b""
        self.cuts = 0
        self.loses_upstream = False
        self.loses_downstream = False
        self.bytes_per_second = 0
        self._target = target
        self._listen = listen
        self._server = None
        self._writers = set()
        self._carrying = set()

    async def __aenter__(self):
        if self._listen is not None:
            self._server = await asyncio.start_unix_server(self._connected, self._listen)
        else:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
            self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *unused):
        self._server.close()
        self.cut_all()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def cut_all(self):
        for writer in list(self._writers):
            writer.transport.abort()

    async def _connected(self, reader, writer):
        self._carrying.add(asyncio.current_task())
        try:
            await self._join_ends(reader, writer)
        finally:
            self._carrying.discard(asyncio.current_task())

    async def _join_ends(self, reader, writer):
        try:
            if self._listen is not None:
                from_server, to_server = await asyncio.open_unix_connection(self._target)
            else:
                from_server, to_server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, to_server}
        self._writers |= ends
        is_cut = asyncio.Event()
        directions = [
            asyncio.ensure_future(self._carry_up(reader, to_server, is_cut)),
            asyncio.ensure_future(self._carry_down(from_server, writer, is_cut)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            for end in ends:
                end.transport.abort()
            self._writers -= ends

    async def _carry_up(self, reader, writer, is_cut):
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                if self.cuts and self.cut_after and self.cut_after in data:
                    self.cuts -= 1
                    is_cut.set()
                if not self.loses_upstream:
                    await self._pass_on(data, writer)

    async def _carry_down(self, reader, writer, is_cut):
        last = b""
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                if is_cut.is_set():
                    return
                if self.cuts and self.cut_at and self.cut_at in last + data:
                    self.cuts -= 1
                    return
                last = data[1 - len(self.cut_at) :] if len(self.cut_at) > 1 else b""
                if self.bytes_per_second:
                    await asyncio.sleep(len(data) / self.bytes_per_second)
                if not self.loses_downstream:
                    await self._pass_on(data, writer)

    async def _pass_on(self, data, writer):
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        writer.write(data)
        await writer.drain()
