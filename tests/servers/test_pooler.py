"""Two processes that reach PostgreSQL through PgBouncer in transaction mode deliver as they do without it."""

import asyncio
import time

import pytest

from chat.testing import Refusal, check
from tests.servers.conftest import recorded
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.services import Pooler, directory
from tests.servers.test_restore import manage
from tests.servers.test_revocation import Shell

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOMS = (1, 2)
REVOKED = 3


@pytest.fixture
def pooler(postgres):
    with directory("pooler") as path:
        program = Pooler(path, postgres).start()
        yield program
        program.kill()


def name_of(url):
    return url.split("/")[3].split("?")[0]


async def write_on(page, room):
    """Post, edit and delete until cancelled."""
    number = 0
    while True:
        number += 1
        seq = await page.send(room, f"{page.name} {number}")
        if number % 2:
            await page.edit(room, seq, f"{page.name} {number}, better")
        if number % 3 == 0:
            await page.delete(room, seq)
        await asyncio.sleep(Q.think_seconds)


async def catch_up(pages, server):
    """Wait until all messages are acknowledged and every page has all events; return the recorded run."""
    await asyncio.gather(*(page.until_sent(20) for page in pages))
    run = await asyncio.to_thread(recorded, server, pages)
    heads = {room: max(row.seq for row in run.rows if row.room == str(room)) for room in ROOMS}
    for page in pages:
        await page.until(lambda page=page: all(page.logs[str(room)].cursor == heads[room] for room in ROOMS), 20)
    return await asyncio.to_thread(recorded, server, pages)


async def test_delivery_and_revocation_work_behind_a_pooler(
    start_servers, database_url, redis, pooler, open_page, tmp_path
):
    name = name_of(database_url)
    servers = start_servers({}, {}, database_url=pooler.url(name), redis_url=redis.url)
    first, second = (server.url for server in servers)
    alice = await open_page(first, "alice", rooms=[*ROOMS, REVOKED])
    bob = await open_page(second, "bob", rooms=[*ROOMS, REVOKED])
    writing = [asyncio.ensure_future(write_on(page, room)) for page in (alice, bob) for room in ROOMS]
    await alice.until(lambda: all(alice.logs[str(room)].cursor > 20 for room in ROOMS))

    await asyncio.to_thread(servers[0].kill)
    await bob.until(lambda seen=bob.logs["1"].cursor: bob.logs["1"].cursor > seen + 5)
    await asyncio.to_thread(servers[0].start)
    await asyncio.to_thread(servers[1].terminate)
    await alice.until(lambda: alice.is_connected and alice.logs["1"].is_joined)
    await asyncio.to_thread(servers[1].start)
    pooler.kill()
    pooler.start()

    late = await open_page(second, "charlie")
    for room in ROOMS:
        await late.join(room, since=10)
    done = (await Shell(servers[0]).revoke("made_staff_only", {"room": REVOKED}))["done"]
    await bob.until(lambda: str(REVOKED) not in bob.logs, 5)
    # test_revocation measures the time, and asserts one second. Here, two processes and the pooler share the machine.
    assert time.monotonic() - done < (1 if IS_FULL else 3)
    with pytest.raises(Refusal, match="ROOM_ACCESS_DENIED"):
        await bob.join(REVOKED)
    assert str(REVOKED) in alice.logs

    for task in writing:
        task.cancel()
    ended = await asyncio.gather(*writing, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
    pages = [alice, bob, late]
    run = await catch_up(pages, servers[0])
    assert check(run) == []
    assert {row.kind for row in run.rows} == {"send", "edit", "delete"}
    assert [page.gaps for page in pages] == [0] * 3
    assert [log.resets for page in pages for log in page.logs.values()] == [0] * 7

    # The servers shared connections: more lead to the pooler than from it.
    rows = {kind: [row for row in pooler.ask(f"SHOW {kind}") if name in row] for kind in ("CLIENTS", "SERVERS")}
    assert len(rows["CLIENTS"]) > Pooler.CONNECTIONS >= len(rows["SERVERS"]) > 1

    error = await asyncio.to_thread(manage, servers[0], "backup", tmp_path / "backup", fails=True)
    assert "DATABASE_URL leads through a pooler" in error


def test_the_pooler_sets_the_timeouts_of_a_server(database_url, pooler):
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    limits = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    assert pooler.ask(limits, name_of(database_url)) == [("30s", "10s", "30s")]
