"""Read positions are written after messages; a process that stops writes them first, and other processes find them."""

import asyncio
import json

import pytest

from tests.servers.quantities import TIMEOUT
from tests.servers.services import wait_for

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOM = 1


def positions(server):
    return set(json.loads(server.ask("positions", ROOM)))


async def test_positions_are_written_when_a_server_stops_and_within_a_second_while_it_runs(
    start_server, database_url, open_page
):
    server = start_server(database_url=database_url, settings={"POSITIONS_SECONDS": 30.0})
    page = await open_page(server.url, "bob", rooms=[ROOM])
    # A message from before bob's first visit would count as read without a position.
    await page.until(lambda: str(ROOM) in page.heads, 20)
    await page.send(ROOM, "hi")
    await page.until(lambda: page.heads[str(ROOM)]["read"] == 1, 20)
    assert positions(server) <= {None}
    await asyncio.to_thread(server.terminate)
    assert positions(server) == {1}
    server.settings = {}
    await asyncio.to_thread(server.start)
    await page.send(ROOM, "hi again")
    # An idle server writes a position within a second.
    await asyncio.to_thread(wait_for, lambda: positions(server) == {2}, 10, "the position is not stored")
    server.kill()
    assert positions(server) == {2}


async def test_a_position_reaches_the_users_page_in_another_process_with_bells_and_without(
    two_servers, redis, open_page
):
    first, second = two_servers
    desk = await open_page(first.url, "bob@desk", rooms=[ROOM])
    phone = await open_page(second.url, "bob@phone", reads=False)
    alice = await open_page(first.url, "alice", rooms=[ROOM], reads=False)

    async def read_at_the_desk():
        await desk.send(ROOM, "mine")
        head = await alice.send(ROOM, "hi")
        await phone.until(lambda: phone.heads.get(str(ROOM), {}).get("read") == head, 20)
        assert phone.heads[str(ROOM)]["unread"] == 0

    await read_at_the_desk()
    redis.kill()
    await read_at_the_desk()
