"""Races, numbered as in docs/testing.md: in every interleaving, a snapshot plus its events equals a fresh snapshot.

Each seed gives another interleaving of all steps that take time (tests/stepped.py).
"""

import asyncio
import json
import os
import random
from types import SimpleNamespace

import pytest

from chat.live import hub as hubs
from chat.live.feed import Feed
from chat.live.session import Session
from tests import stepped
from tests.fakes import FakeSocket, posted
from tests.servers.quantities import IS_FULL

# script/soak sets SEEDS to run more interleavings, and different ones each time.
COUNT = int(os.environ.get("SEEDS", "6" if IS_FULL else "4"))
FIRST = random.SystemRandom().randrange(10**6) if "SEEDS" in os.environ else 0
SEEDS = range(FIRST, FIRST + COUNT)


@pytest.fixture(params=SEEDS)
def seed(request):
    return request.param


def test_everything_at_once(seed):
    assert stepped.run(stepped.busy, seed) == []


def test_everything_at_once_without_any_bell(seed):
    assert stepped.run(stepped.busy, seed, lost_bells=1.0) == []


async def burst(world, *, of=30):
    """Two pages and another process post into room 1 as fast as they can."""
    writers = [await world.open(name, [1]) for name in ("bob", "charlie")]
    world.foreign = []

    async def post():
        for number in range(of):
            writers[number % 2].send(1, f"text {number}")
            if number % 3 == 0:
                world.foreign.append((1, world.commit_elsewhere(1, f"elsewhere {number}")))
            await world.takes_time(0.01)

    return writers, asyncio.ensure_future(post())


async def finish(world, posting):
    await posting
    world.failing = 0.0
    await world.settle()
    return stepped.judged(world)


def test_r1_joining_during_a_burst(seed):
    async def scenario(world):
        _, posting = await burst(world)
        for number in range(8):
            await world.open(f"alice@{number}", [1])
        return await finish(world, posting)

    assert stepped.run(scenario, seed) == []


def test_r5_leaving_and_joining_again_during_a_burst(seed):
    async def scenario(world):
        _, posting = await burst(world)
        visitor = await world.open("alice")
        for _ in range(6):
            await visitor.join(1)
            await world.takes_time(0.02)
            await visitor.leave(1)
        await visitor.join(1)
        return await finish(world, posting)

    assert stepped.run(scenario, seed) == []


def test_r13_no_event_follows_a_leave(seed):
    async def scenario(world):
        _, posting = await burst(world)
        visitor = await world.open("alice", [1])
        await world.takes_time(0.05)
        await visitor.leave(1)
        await posting
        await asyncio.sleep(1)
        return world.views[visitor].wrong + ["joined"] * ("1" in visitor.logs)

    assert stepped.run(scenario, seed) == []


def test_r12_no_event_follows_a_revocation(seed):
    async def scenario(world):
        writers, posting = await burst(world)
        reader = await world.open("alice", [1])
        await world.takes_time(0.1)
        world.failing = 0.0
        world.revoke(1)
        head, start = len(world.events[1]), asyncio.get_running_loop().time()
        for page in writers:
            await page.until(lambda page=page: "1" not in page.logs, 2)
        assert asyncio.get_running_loop().time() - start < 1
        posting.cancel()
        await asyncio.sleep(1)
        # No user who lost the right wrote a message after the change.
        late = world.authors[1][head:]
        assert set(late) <= {"alice"}, late
        await reader.until(lambda: reader.logs["1"].cursor == len(world.events[1]), 5)
        return [wrong for view in world.views.values() for wrong in view.wrong]

    assert stepped.run(scenario, seed) == []


def test_editing_and_deleting_during_a_burst(seed):
    async def scenario(world):
        writers, posting = await burst(world)
        first = await writers[0].send(1, "as it was")
        changes = [writers[0].edit(1, first, f"edit {number}") for number in range(3)]
        visitors = [await world.open("alice@before", [1])]
        changes.append(writers[1].delete(1, first))
        visitors.append(await world.open("alice@after", [1], since=0))
        await asyncio.gather(*changes, return_exceptions=True)
        return await finish(world, posting)

    assert stepped.run(scenario, seed) == []


def test_r8_a_commit_with_an_unknown_outcome_is_run_again(seed):
    """The database fails often, and some answers to a commit are lost."""

    async def scenario(world):
        writers = [await world.open(name, [1, 2]) for name in ("bob", "charlie")]
        world.failing = 0.3
        for number in range(10):
            for page in writers:
                page.send(1 + number % 2, f"{page.name} {number}")
        await asyncio.gather(*(page.until_sent(120) for page in writers))
        world.failing = 0.0
        await world.settle()
        return stepped.judged(world)

    assert stepped.run(scenario, seed) == []


def test_r14_a_restored_backup_starts_every_page_over(seed):
    async def scenario(world):
        writers, posting = await burst(world)
        await posting
        for page in writers:
            await page.until_sent()
        world.failing = 0.0
        await world.settle()
        # The restored log is shorter, and continues with other messages under the same numbers.
        keep = len(world.events[1]) // 2
        world.restore(1, keep)
        for _ in range(len(world.client_ids[1]) - keep + 5):
            world.commit_elsewhere(1, "after the restore")
        if seed % 2:
            writers[0].cut()
        for _ in range(keep):
            world.commit_elsewhere(1, "more, past the old head")
        await asyncio.sleep(3)
        await writers[0].send(1, "after all that")
        await world.settle()
        shown = [world.views[page].texts["1"] == world.fresh(1) for page in writers]
        resets = [page.logs["1"].resets for page in writers]
        return shown, resets

    shown, resets = stepped.run(scenario, seed)
    assert shown == [True, True]
    assert min(resets) >= 1


@pytest.fixture
async def feed(monkeypatch, settings):
    """An open feed of room 1 at head 0, without a database, and one session that listens."""
    settings.FROZEN_SECONDS = 60
    hub = SimpleNamespace(pulse=SimpleNamespace(is_stale=lambda: False))
    room_feed = Feed(1, heads=SimpleNamespace(get=None), alerts=SimpleNamespace(get=None))
    room_feed.opened = asyncio.get_running_loop().create_future()
    room_feed.opened.set_result(None)
    room_feed.hear_bell = lambda head: None
    session = Session(FakeSocket(), hub=hub)
    room_feed.attach(session, cursor=0, reply=room_feed.joined())
    yield room_feed
    session.end()


def received_seqs(feed):
    [session] = feed.sessions
    return session._socket.seqs()


async def test_r2_commits_that_arrive_out_of_order_are_shown_in_order(feed):
    feed.advance([posted(2)])
    assert received_seqs(feed) == []
    feed.advance([posted(1)])
    assert received_seqs(feed) == [1, 2]


async def test_r6_repeated_news_from_bell_commit_sweep_and_healing_is_harmless(feed):
    for _ in range(3):
        feed.advance([posted(1), posted(2)])
        feed.advance([posted(2)])
    assert received_seqs(feed) == [1, 2]


async def test_r17_an_own_commit_waits_for_the_earlier_one_of_another_process(feed):
    feed.advance([posted(3), posted(2)])
    assert received_seqs(feed) == []
    feed.advance([posted(1)])
    assert received_seqs(feed) == [1, 2, 3]


async def replaced_texts(world):
    """Everything at once, on a database that never fails: after the ack of a change, the old text is not sent again."""
    return await stepped.busy(world) + world.late_texts


def test_r23_no_old_text_follows_the_ack_of_its_deletion_or_edit(seed):
    assert stepped.run(replaced_texts, seed, failing=0.0, slowness=0.5) == []


@pytest.mark.parametrize("first", ["ack", "event"])
async def test_r22_ack_and_event_may_come_in_either_order(first):
    from chat.testing import SocketClient

    page = SocketClient("http://nowhere", "", name="bob")
    page._handle_frame({"join": "1", "title": "Lobby", "head": 0, "floor": 1, "epoch": "a"})
    sent = page.send(1, "hello")
    client_id = page.sent[0].client_id
    ack = {"ack": client_id, "room": "1", "seq": 1}
    event = {"room": "1", "username": "bob", "message": "hello", "msg_type": 0, "seq": 1, "client_id": client_id}
    for frame in [ack, event] if first == "ack" else [event, ack]:
        page._handle_frame(json.loads(json.dumps(frame)))
    assert (await sent, page.sent[0].seqs, page.logs["1"].cursor) == (1, [1, 1], 1)


async def test_r18_a_frozen_process_writes_nothing_before_it_has_read_the_heads(settings, monkeypatch):
    settings.FROZEN_SECONDS = 2
    hub = hubs.Hub()
    session = Session(FakeSocket(), hub=hub)
    hub.pulse._last_beat -= 3
    session.reply(posted(1).frame)
    assert session._socket.frames == []
    hub.pulse._last_beat = asyncio.get_running_loop().time()
    hub.pulse._fresh.set()
    session.reply(posted(2).frame)
    await asyncio.sleep(0.01)
    assert session._socket.seqs() == [1, 2]
    session.end()
