"""How long a server waits for PostgreSQL."""

import asyncio

import psycopg

from chat.testing import check
from tests.servers.conftest import recorded


async def test_a_message_whose_room_is_locked_is_answered_and_saved_once_when_it_is_sent_again(
    start_server, database_url, postgres, open_page
):
    name = database_url.split("/")[3].split("?")[0]
    url = f"{database_url}&options=-c%20lock_timeout%3D300ms"
    server = start_server(database_url=url, settings={"DRAFT_HOLD_SECONDS": 1.0})
    bob = await open_page(server.url, "bob", rooms=[1, 2])
    # As somebody at work in psql does.
    with psycopg.connect(dbname=name, user=postgres.USER, host=str(postgres.directory)) as holder:
        holder.execute("SELECT 1 FROM chat_room WHERE id = 1 FOR UPDATE")
        held = bob.send(1, "held")
        await bob.until(lambda: len(bob.errors) == 2, 15)
        # It gave the lock up between: another room is written to while the first is still held.
        assert await asyncio.wait_for(bob.send(2, "elsewhere"), 15) == 1
        assert not held.done()
    assert await asyncio.wait_for(held, 15) == 1
    assert {(error["error"], error["room"], error["retry_after"]) for error in bob.errors} >= {
        ("SERVER_UNAVAILABLE", "1", 1)
    }
    run = await asyncio.to_thread(recorded, server, [bob])
    assert check(run) == []
    assert [row.seq for row in run.rows] == [1, 1]
