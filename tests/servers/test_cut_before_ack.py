"""A message is saved but its ack never arrives: sending it again posts nothing."""

import asyncio

import pytest

from chat.testing import check
from tests.servers.conftest import recorded
from tests.servers.figures import acks, in_ms, report
from tests.servers.proxy import Proxy
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.services import directory

pytestmark = pytest.mark.timeout(TIMEOUT)


async def test_each_message_whose_ack_was_lost_is_posted_once(two_servers, open_page):
    async with Proxy(two_servers[0].port) as proxy:
        charlie = await open_page(two_servers[1].url, "charlie", rooms=[1])
        bob = await open_page(proxy.url, "bob", rooms=[1], at=two_servers[0].url)
        proxy.cut_at = b'{"ack"'
        for number in range(Q.cuts):
            proxy.cuts = 1
            assert await asyncio.wait_for(bob.send(1, f"text {number}"), 10) == number + 1
            assert proxy.cuts == 0, "the ack passed"
        for page in (bob, charlie):
            await page.until(lambda page=page: page.logs["1"].cursor == Q.cuts, 5)
        run = await asyncio.to_thread(recorded, two_servers[0], [bob, charlie])
    assert check(run) == []
    assert len(run.rows) == Q.cuts
    assert min(sent.tries for sent in run.sent) >= 2
    assert bob.resumes == Q.cuts
    assert bob.errors == [], "a retry was refused"
    report(f"cut between commit and ack: {Q.cuts} times, {len(run.rows)} rows, {len(charlie.logs['1'].events)} shown")


async def test_a_commit_whose_outcome_is_unknown_is_run_again(start_server, database_url, postgres, open_page):
    """The connection between server and database is cut after COMMIT was sent and before its answer arrived."""
    with directory("pgproxy") as path:
        file = ".s.PGSQL.5432"
        async with Proxy(str(postgres.directory / file), listen=str(path / file)) as proxy:
            url = database_url.replace(str(postgres.directory), str(path))
            # In a thread, because the server needs the proxy, which runs on this loop.
            server = await asyncio.to_thread(start_server, database_url=url)
            bob = await open_page(server.url, "bob", rooms=[1])
            charlie = await open_page(server.url, "charlie", rooms=[1])
            proxy.cut_after = b"COMMIT"
            for number in range(Q.unknown_commits):
                proxy.cuts = 1
                assert await asyncio.wait_for(bob.send(1, f"text {number}"), 12) == number + 1
                assert proxy.cuts == 0, "no commit was cut off"
            await charlie.until(lambda: charlie.logs["1"].cursor == Q.unknown_commits, 5)
            run = await asyncio.to_thread(recorded, server, [bob, charlie])
    assert check(run) == []
    assert len(run.rows) == Q.unknown_commits
    assert {sent.tries for sent in run.sent} == {1}, "the server asked the client to try again"
    assert bob.closes == charlie.closes == []
    report(f"unknown commit: {Q.unknown_commits} times, {len(run.rows)} rows, acknowledged {in_ms(acks(run))}")
