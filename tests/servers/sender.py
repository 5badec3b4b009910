"""A client that posts twice a second, in its own process: python -m tests.servers.sender URL COOKIE ROOM.

The pages of a load test keep the test's own process busy, so an ack measured there would wait for them and not for the
server. Each line on stdin is a number of seconds to post for. Each line on stdout is the answer: the seconds that each
ack took, and the seq of the last message.
"""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

from chat.testing import SocketClient
from tests.servers.services import BASE

EVERY_SECONDS = 0.5


class Sender:
    """The test's end of the sender process."""

    def __init__(self, process):
        self._process = process

    async def send_for(self, seconds):
        """Post twice a second; return the seconds that each ack took, and the last seq."""
        self._process.stdin.write(f"{seconds}\n".encode())
        line = await self._process.stdout.readline()
        assert line, "the sender ended; its traceback is above"
        took, last = json.loads(line)
        return took, last


@asynccontextmanager
async def sender(server, cookie, room):
    """Start a sender process, and end it afterwards."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "tests.servers.sender", server.url, cookie, str(room)]
    process = await asyncio.create_subprocess_exec(*command, cwd=BASE, stdin=pipe, stdout=pipe)
    try:
        yield Sender(process)
    finally:
        process.stdin.close()
        await process.wait()


async def send_for(client, room, seconds):
    loop = asyncio.get_running_loop()
    deadline, took, seq = loop.time() + seconds, [], 0
    while (start := loop.time()) < deadline:
        seq = await client.send(room, f"message {len(took)}")
        took.append(loop.time() - start)
        await asyncio.sleep(max(0.0, EVERY_SECONDS - took[-1]))
    return took, seq


async def main(url, cookie, room):
    async with SocketClient(url, cookie, name="sender", heartbeat_seconds=20.0) as client:
        await client.join(room)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await send_for(client, room, float(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
