"""websockets.broadcast: the library's own way to send one message to many connections."""

import socket
import sys
from typing import Any

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.wire import message_for

connections: set[ServerConnection] = set()


async def chat(connection: ServerConnection) -> None:
    connections.add(connection)
    try:
        async for message in connection:
            broadcast(connections, message_for(str(message)))
    finally:
        connections.discard(connection)


async def main(fd: int) -> None:
    options: dict[str, Any] = {"compression": None, "ping_interval": None, "sock": socket.socket(fileno=fd)}
    async with serve(chat, **options) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
