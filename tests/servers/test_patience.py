"""How long a server waits for PostgreSQL."""

import asyncio
import json

import psycopg

from chat.testing import SocketClient, check
from tests.servers.conftest import recorded
from tests.servers.quantities import Q
from tests.servers.raw import Peer


def name_of(url):
    return url.split("/")[3].split("?")[0]


async def acks(page, room, seconds):
    """Send messages one after another for some seconds; return how long each ack took, sorted."""
    loop = asyncio.get_running_loop()
    deadline, times = loop.time() + seconds, []
    while loop.time() < deadline:
        began = loop.time()
        await page.send(room, f"{page.name} {len(times)}")
        times.append(loop.time() - began)
        await asyncio.sleep(0.05)
    return sorted(times)


async def test_a_locked_room_delays_no_other_room(start_server, database_url, postgres, open_page):
    server = start_server(database_url=database_url)
    bob, alice = [await open_page(server.url, name, rooms=[1, 2]) for name in ("bob", "alice")]
    control = await acks(alice, 2, Q.locked_seconds / 2)
    with psycopg.connect(dbname=name_of(database_url), user=postgres.USER, host=str(postgres.directory)) as holder:
        holder.execute("SELECT 1 FROM chat_room WHERE id = 1 FOR UPDATE")
        held = [bob.send(1, f"held {number}") for number in range(5)]
        times = await acks(alice, 2, Q.locked_seconds)
        assert not any(send.done() for send in held)
    # The other room's messages wait for the lock once, for a tenth of a second.
    p99 = times[min(int(len(times) * 0.98), len(times) - 2)]
    assert p99 < max(3 * control[int(len(control) * 0.98)], 0.15), (p99, control[-3:])
    assert sum(times) < 2 * len(times) * max(sum(control) / len(control), 0.02) + 1
    assert await asyncio.wait_for(asyncio.gather(*held), 15) == [1, 2, 3, 4, 5]
    run = await asyncio.to_thread(recorded, server, [bob, alice])
    assert check(run) == []
    log = server.log.read_text()
    assert log.count("room=1 is locked by another transaction") == 1
    assert "takes no messages" not in log


async def test_messages_held_by_a_read_only_database_are_sent_once_it_is_writable(
    start_server, database_url, postgres, open_page
):
    name = name_of(database_url)
    server = start_server(database_url=database_url, settings={"DRAFT_HOLD_SECONDS": 1.0})
    bob = await open_page(server.url, "bob", rooms=[1])
    await bob.send(1, "before")
    # As after a switchover: the server's connections lead to a database that no longer accepts writes.
    postgres.execute(name, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    postgres.execute(
        name,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()",
    )
    held = [bob.send(1, f"held {number}") for number in range(3)]
    await bob.until(lambda: len(bob.errors) >= 2, 20)
    assert {(error["error"], error["retry_after"]) for error in bob.errors} == {("SERVER_UNAVAILABLE", 1)}
    # The first errors may be about the connections that were closed, so wait until the server has met the new state.
    await bob.until(lambda: "read-only transaction" in server.log.read_text(), 20)
    # The server's connections stay read-only although the database is not; only new ones accept writes.
    postgres.execute("postgres", f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert await asyncio.wait_for(asyncio.gather(*held), 20) == [2, 3, 4]
    run = await asyncio.to_thread(recorded, server, [bob])
    assert check(run) == []
    log = server.log.read_text()
    assert "read-only transaction" in log
    assert log.count("the database takes no messages") <= 3
    assert "Traceback" not in log


async def test_handshakes_with_an_invalid_cookie_do_not_disturb_other_users(start_server, database_url, open_page):
    server = start_server(database_url=database_url)
    cookies = json.loads(await asyncio.to_thread(server.ask, "crowd", 40))
    poison = r'sessionid="\000aaaaaaaaaaaa"'
    codes, is_over = [], asyncio.Event()

    async def connect_once():
        async with Peer(server.url, poison) as peer:
            status, _ = await peer.open()
            codes.append((status, await peer.until_closed(20)))

    async def keep_connecting():
        attempts = set()
        while not is_over.is_set():
            attempts.add(asyncio.ensure_future(connect_once()))
            await asyncio.sleep(0.02)
        await asyncio.gather(*attempts)

    connecting = asyncio.ensure_future(keep_connecting())
    for cookie in cookies:
        async with SocketClient(server.url, cookie, name="honest") as page:
            await page.join(1)
            assert page.closes == []
    is_over.set()
    await connecting
    assert set(codes) == {(101, 4401)}
    for path in ("/", "/admin/login/", "/accounts/login/"):
        async with Peer(server.url, poison) as peer:
            status, _ = await peer.open(path=path, without=("Upgrade", "Connection", "Sec-WebSocket-Key"))
            assert status in (200, 302), path
    lines = [line for line in server.log.read_text().splitlines() if "login" in line or "Traceback" in line]
    assert len(lines) < 5, lines[:5]


async def test_a_message_to_a_locked_room_is_answered_with_an_error_and_saved_once_when_sent_again(
    start_server, database_url, postgres, open_page
):
    name = name_of(database_url)
    url = f"{database_url}&options=-c%20lock_timeout%3D300ms"
    server = start_server(database_url=url, settings={"DRAFT_HOLD_SECONDS": 1.0})
    bob = await open_page(server.url, "bob", rooms=[1, 2])
    # Lock the room as a session in psql would.
    with psycopg.connect(dbname=name, user=postgres.USER, host=str(postgres.directory)) as holder:
        holder.execute("SELECT 1 FROM chat_room WHERE id = 1 FOR UPDATE")
        held = bob.send(1, "held")
        await bob.until(lambda: len(bob.errors) == 2, 15)
        # Another room can be written to while the first is still locked.
        assert await asyncio.wait_for(bob.send(2, "elsewhere"), 15) == 1
        assert not held.done()
    assert await asyncio.wait_for(held, 15) == 1
    assert {(error["error"], error["room"], error["retry_after"]) for error in bob.errors} >= {
        ("SERVER_UNAVAILABLE", "1", 1)
    }
    run = await asyncio.to_thread(recorded, server, [bob])
    assert check(run) == []
    assert [row.seq for row in run.rows] == [1, 1]
