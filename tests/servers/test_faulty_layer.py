"""Bells that are lost, doubled, late or out of order change only when a message arrives."""

import asyncio

import pytest

from chat.testing import check
from tests.servers.conftest import ROOMS, recorded
from tests.servers.figures import deliveries, in_ms, report, settling_seconds
from tests.servers.quantities import TIMEOUT, Q

pytestmark = pytest.mark.timeout(TIMEOUT)

BAD = {"drop": 0.3, "double": 0.1, "reorder": 0.2, "delay": 0.05}
DEAF = {"drop": 1.0}
FULL = {"full": 0.5, "drop": 0.3}
SOME_SENDS = min(Q.faulty_sends, 100)


@pytest.mark.parametrize(
    ("name", "faults", "sends"),
    [
        ("100 % dropped at one of the two processes, the other as bad as below", (BAD, DEAF), SOME_SENDS),
        ("half refused by a full layer", (FULL, FULL), Q.deaf_sends),
        pytest.param(
            "30 % dropped, 10 % doubled, reordered, delayed", (BAD, BAD), Q.faulty_sends, marks=pytest.mark.full_size
        ),
        pytest.param("100 % dropped", (DEAF, DEAF), Q.deaf_sends, marks=pytest.mark.full_size),
    ],
    ids=["bad and deaf", "full", "bad", "deaf"],
)
async def test_all_clients_get_the_whole_log_over_a_faulty_layer(
    name, faults, sends, start_servers, database_url, redis, open_page
):
    settings = [{"FAULTS": {**fault, "seed": number}} for number, fault in enumerate(faults)]
    servers = start_servers(*settings, database_url=database_url, redis_url=redis.url)
    rooms = range(1, ROOMS + 1)
    pages = [
        await open_page(servers[number % 2].url, user, rooms=rooms)
        for number, user in enumerate(("alice", "bob", "charlie"))
    ]
    for number in range(sends):
        for page in pages:
            for room in rooms:
                page.send(room, f"{page.name} {number} in {room}")
    await asyncio.gather(*(page.until_sent(TIMEOUT) for page in pages))
    head = sends * len(pages)
    for page in pages:
        await page.until(lambda page=page: all(log.cursor == head for log in page.logs.values()), 5)
    run = await asyncio.to_thread(recorded, servers[0], pages)
    assert check(run) == []
    assert len(run.rows) == head * ROOMS
    assert settling_seconds(run) < 5
    assert [page.resumes for page in pages] == [0, 0, 0]
    assert [page.gaps for page in pages] == [0, 0, 0]
    report(f"faulty layer, {name}: {len(run.rows)} messages, delivered {in_ms(deliveries(run))}")


async def test_a_message_posted_by_another_process_without_redis_arrives_by_the_sweep(sqlite_server, open_page):
    bob = await open_page(sqlite_server.url, "bob", rooms=[1])
    await asyncio.to_thread(sqlite_server.ask, "fill", 1, 700)
    await bob.until(lambda: bob.logs["1"].cursor == 700, 5)
    assert [event["message"] for event in bob.logs["1"].events[:2]] == ["message 0", "message 1"]
