"""Two processes with a writer on each, while every service fails: acknowledged messages are there, once, in order."""

import asyncio
import random
import time

import pytest

from chat.testing import check
from tests.servers.conftest import recorded
from tests.servers.figures import acks, deliveries, in_ms, report
from tests.servers.quantities import TIMEOUT, Q

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOMS = (1, 2)


class Stack:
    """Two servers, Redis, PostgreSQL, and the faults that can happen to them. After each fault all are running."""

    def __init__(self, servers, redis, postgres):
        self.servers = servers
        self.redis = redis
        self.postgres = postgres

    def kill_a_server(self):
        server = random.choice(self.servers)
        server.kill()
        time.sleep(0.2)
        server.start()

    def stop_a_server(self):
        server = random.choice(self.servers)
        server.terminate()
        server.start()

    def freeze_a_server(self):
        server = random.choice(self.servers)
        server.freeze()
        time.sleep(2.5)  # longer than FROZEN_SECONDS, so it must sweep before it writes
        server.thaw()

    def stop_redis(self):
        self.redis.kill()
        time.sleep(Q.away_seconds)
        self.redis.start()

    def restart_redis(self):
        self.redis.kill()
        self.redis.start()

    def freeze_redis(self):
        self.redis.freeze()
        time.sleep(Q.away_seconds)
        self.redis.thaw()

    def flush_redis(self):
        self.redis.flush()

    def cut_subscribers_of_redis(self):
        self.redis.drop_listeners()

    def restart_postgres(self):
        self.postgres.restart()

    def cut_connections_of_postgres(self):
        self.postgres.execute(
            "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )

    WITHOUT_REDIS = (stop_redis, freeze_redis)
    FAULTS = (
        kill_a_server,
        restart_postgres,
        stop_a_server,
        flush_redis,
        cut_connections_of_postgres,
        restart_redis,
        freeze_a_server,
        cut_subscribers_of_redis,
    )


async def write_on(page, room):
    """Post messages one after another until cancelled."""
    number = 0
    while True:
        number += 1
        await page.send(room, f"{page.name} {number}")
        await asyncio.sleep(Q.think_seconds)


async def catch_up(pages, server, seconds=20.0):
    """Wait until all messages are acknowledged and every page has the database's heads; return the recorded run."""
    await asyncio.gather(*(page.until_sent(seconds) for page in pages))
    run = await asyncio.to_thread(recorded, server, pages)
    heads = {str(room): 0 for room in ROOMS} | {row.room: row.seq for row in run.rows}
    for page in pages:
        await page.until(lambda page=page: all(page.logs[room].cursor == head for room, head in heads.items()), seconds)
    return await asyncio.to_thread(recorded, server, pages)


async def suffer(stack, pages, writers, faults):
    """Cause the faults while the writers write; return the run, and when each fault began and ended."""
    writing = [asyncio.ensure_future(write_on(page, room)) for page in writers for room in ROOMS]
    times = {}
    try:
        await asyncio.sleep(Q.pause_seconds)
        for fault in faults:
            start = time.monotonic()
            await asyncio.to_thread(fault, stack)
            times.setdefault(fault.__name__, (start, time.monotonic()))
            await asyncio.sleep(Q.pause_seconds)
        await asyncio.sleep(Q.pause_seconds)
    finally:
        for task in writing:
            task.cancel()
        ended = await asyncio.gather(*writing, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended), ended
    return await catch_up(pages, stack.servers[0]), times


@pytest.fixture
async def stack_with_pages(two_servers, redis, postgres, open_page):
    first, second = (server.url for server in two_servers)
    pages = [
        await open_page(first, "alice", rooms=ROOMS),
        await open_page(second, "bob", rooms=ROOMS),
        await open_page(first, "charlie@first", rooms=ROOMS),
        await open_page(second, "charlie@second", rooms=ROOMS),
    ]
    return Stack(two_servers, redis, postgres), pages


async def test_without_redis_messages_arrive_within_two_seconds_and_no_fault_loses_or_doubles_any(stack_with_pages):
    stack, pages = stack_with_pages
    run, times = await suffer(stack, pages, pages[:2], Stack.WITHOUT_REDIS)
    assert check(run) == []
    for fault, (start, end) in times.items():
        waited, late = acks(run, start, end), deliveries(run, start, end)
        report(f"{fault}: acknowledged {in_ms(waited)}; delivered {in_ms(late)}")
        assert len(waited) > 20, fault
        assert max(waited) < 2, fault
        assert max(late) < 2, fault
    assert [page.closes for page in pages] == [[]] * 4, "a socket was closed"

    run, times = await suffer(stack, pages, pages[:2], Stack.FAULTS)
    assert check(run) == []
    assert [log.resets for page in pages for log in page.logs.values()] == [0] * len(pages) * len(ROOMS)
    assert [page.gaps for page in pages] == [0] * len(pages)
    acknowledged = sum(sent.acked is not None for sent in run.sent)
    report(f"all faults once: {acknowledged} acknowledged, {len(run.rows)} rows, 0 lost, doubled or out of order")
    for fault, (start, end) in times.items():
        report(
            f"  {fault}: acknowledged {in_ms(acks(run, start, end))}; delivered {in_ms(deliveries(run, start, end))}"
        )


@pytest.mark.full_size
async def test_random_faults(stack_with_pages):
    """Run by script/soak, which repeats it with a new seed each time."""
    stack, pages = stack_with_pages
    faults = random.choices(Stack.WITHOUT_REDIS + Stack.FAULTS, k=20)
    run, _ = await suffer(stack, pages, pages[:2], faults)
    assert check(run) == []
    names = ", ".join(fault.__name__ for fault in faults)
    report(f"random faults: {len(run.rows)} rows, 0 lost, doubled or out of order ({names})")
