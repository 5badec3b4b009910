"""The hub: it starts with the first session, sweeps, and after a freeze reads the heads before it writes."""

import asyncio

import pytest

from chat.exceptions import ClientError, ErrorCode
from chat.live import hub as hubs
from chat.live.session import Session
from tests.fakes import FakeLog, FakeSocket, standing, turns, until


@pytest.fixture
async def log(monkeypatch, settings):
    settings.SWEEP_SECONDS = settings.SWEEP_DEGRADED_SECONDS = 60
    settings.PROBE_SECONDS = settings.FROZEN_SECONDS = 60
    log = FakeLog(monkeypatch)
    yield log
    log.gate.set()
    log.error = None
    if hub := hubs.running():
        for session in list(hub.sessions):
            await hubs.remove(session)


def enter(user_id=1):
    socket = FakeSocket()
    session = hubs.add(lambda hub: Session(socket, hub=hub))
    session.standing = standing(user_id, "bob")
    session.socket = socket
    return session


async def join(session, room=1):
    async with session.hub.feed(room, title="Lobby", staff_only=False, head=0) as feed:
        feed.attach(session, cursor=feed.head, reply=feed.joined())
    return feed


async def test_the_hub_starts_with_the_first_session_and_stops_with_the_last(log):
    before = asyncio.all_tasks()
    assert hubs.running() is None
    first = enter()
    hub = hubs.running()
    second = enter()
    assert first.hub is second.hub is hub
    await join(first)
    await hubs.remove(first)
    assert hubs.running() is hub
    await hubs.remove(second)
    assert hubs.running() is None
    assert hub.feeds == {}
    assert asyncio.all_tasks() == before


async def test_a_session_that_connects_while_the_hub_stops_gets_a_new_hub(log):
    first = enter()
    leaving = asyncio.ensure_future(hubs.remove(first))
    await asyncio.sleep(0)
    second = enter()
    await leaving
    assert second.hub is hubs.running()
    await join(second)
    second.hub.advance(1, "a", log.post())
    assert second.socket.seqs() == [1]


async def test_a_session_that_ends_is_removed_from_all_its_rooms(log):
    stays, goes = enter(), enter()
    lobby = await join(stays)
    await join(goes)
    await join(goes, room=2)
    await hubs.remove(goes)
    assert set(stays.hub.feeds) == {1}
    assert list(lobby.sessions) == [stays]


async def test_a_feed_exists_while_a_session_listens_or_joins(log):
    session = enter()
    hub = session.hub
    feed = await join(session)
    async with hub.feed(1, title="Lobby", staff_only=False, head=0) as held:
        hub.leave(session, 1)
        assert held is feed
        assert hub.feeds == {1: feed}
    assert hub.feeds == {}


async def test_a_room_that_does_not_exist_leaves_no_feed(log):
    session = enter()
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            await join(session, room=99)
        assert caught.value.code == ErrorCode.ROOM_INVALID
    assert session.hub.feeds == {}


async def test_two_simultaneous_joins_share_one_feed_and_one_query(log):
    first, second = enter(), enter()
    feeds = await asyncio.gather(join(first), join(second))
    assert feeds[0] is feeds[1]
    assert log.reads.count("heads") == 1


async def test_a_cancelled_join_does_not_affect_another(log):
    first, second = enter(), enter()
    log.gate.clear()
    joining = [asyncio.ensure_future(join(session)) for session in (first, second)]
    await turns()
    joining[0].cancel()
    await turns()
    log.gate.set()
    feed = await joining[1]
    assert list(feed.sessions) == [second]


async def test_the_sweep_finds_events_without_a_bell_in_every_room(log, settings):
    settings.SWEEP_SECONDS = 0.01
    session = enter()
    await join(session)
    await join(session, room=2)
    log.post(3)
    log.post(2, room=2)
    await until(lambda: (session.socket.seqs(1), session.socket.seqs(2)) == ([1, 2, 3], [1, 2]))


async def test_the_sweep_needs_one_query_for_all_rooms(log):
    session = enter()
    await join(session)
    await join(session, room=2)
    log.reads.clear()
    await session.hub.sweep.run()
    assert log.reads == ["heads"]


async def test_the_sweep_finds_another_epoch_a_deleted_room_and_a_raised_floor(log):
    session = enter()
    lobby = await join(session)
    await join(session, room=2)
    session.hub.advance(1, "a", log.post(3))
    log.floor[1] = 2
    await session.hub.sweep.run()
    assert not lobby.serves(0, None)
    log.epoch[1] = "b"
    del log.events[2]
    await session.hub.sweep.run()
    assert session.socket.frames[-2]["reset"] is True
    assert session.socket.frames[-2]["epoch"] == "b"
    assert session.socket.frames[-1] == {"leave": "2", "reason": "ROOM_INVALID"}


async def test_events_committed_before_a_restore_are_not_sent_after_it(log):
    session = enter()
    feed = await join(session)
    old = log.post(2)
    log.events[1], log.epoch[1] = [], "b"
    await session.hub.sweep.run()
    session.hub.advance(1, "a", old)
    await turns()
    assert feed.head == 0
    assert session.socket.seqs() == []
    session.hub.advance(1, "b", log.post())
    assert session.socket.seqs() == [1]


async def test_a_commit_of_an_unknown_epoch_makes_the_feed_reopen_at_once(log):
    session = enter()
    feed = await join(session)
    session.hub.advance(1, "a", log.post(2))
    log.events[1], log.epoch[1] = [], "b"
    session.hub.advance(1, "b", log.post(3)[2:])
    assert session.socket.seqs() == [1, 2]
    await until(lambda: feed.epoch == "b")
    assert (feed.head, session.socket.frames[-1]["head"], session.socket.frames[-1]["reset"]) == (3, 3, True)


async def test_a_sweep_result_older_than_the_tail_does_not_reset_the_room(log):
    session = enter()
    feed = await join(session)
    log.gate.clear()
    sweeping = asyncio.ensure_future(session.hub.sweep.run())
    await turns()
    feed.advance(log.post(3))
    log.gate.set()
    await sweeping
    await turns()
    assert session.socket.seqs() == [1, 2, 3]
    assert len(session.socket.replies()) == 1


async def test_the_sweep_survives_a_database_outage(log, settings, caplog):
    settings.SWEEP_SECONDS = 0.005
    session = enter()
    await join(session)
    log.error = ZeroDivisionError()
    await until(lambda: "does not answer the sweep" in caplog.text)
    log.post()
    log.error = None
    await until(lambda: session.socket.seqs() == [1])


async def test_a_crash_in_one_feed_does_not_affect_another(log, monkeypatch, caplog):
    session = enter()
    lobby = await join(session)
    await join(session, room=2)

    async def crash():
        raise ZeroDivisionError

    monkeypatch.setattr(lobby, "reopen", crash)
    log.epoch[1] = "b"
    log.post(room=2)
    await session.hub.sweep.run()
    await until(lambda: session.socket.seqs(2) == [1])
    assert "starting over failed" in caplog.text


def freeze(hub, seconds=100):
    """Make the hub believe that its process stood still."""
    hub.pulse._last_beat -= seconds


async def test_a_frozen_process_reads_the_heads_before_it_writes(log):
    session = enter()
    await join(session)
    hub = session.hub
    # While the process stood still, the log was reset, so the events in memory are of an older epoch.
    old = log.post(2)
    log.events[1], log.epoch[1] = [], "b"
    log.post(7)
    log.gate.clear()
    freeze(hub)
    hub.advance(1, "a", old)
    session.reply(hub.feeds[1].joined())
    await turns()
    assert session.socket.seqs() == []
    assert len(session.socket.frames) == 1
    log.gate.set()
    await until(lambda: session.socket.frames[-1].get("reset") is True)
    await turns()
    assert session.socket.seqs() == []
    hub.advance(1, "b", log.post())
    assert session.socket.seqs() == [8]


async def test_a_frozen_process_continues_if_nothing_changed(log):
    session = enter()
    await join(session)
    freeze(session.hub)
    session.hub.advance(1, "a", log.post(2))
    assert session.socket.seqs() == []
    await until(lambda: session.socket.seqs() == [1, 2])
    session.hub.advance(1, "a", log.post())
    await until(lambda: session.socket.seqs() == [1, 2, 3])


async def test_a_frozen_process_stays_silent_until_the_database_answers(log, settings):
    settings.SWEEP_SECONDS = 0.005
    session = enter()
    await join(session)
    log.error = ZeroDivisionError()
    freeze(session.hub)
    session.hub.advance(1, "a", log.post())
    await turns(100)
    assert session.socket.seqs() == []
    log.error = None
    await until(lambda: session.socket.seqs() == [1])


async def test_the_beat_keeps_a_running_process_from_counting_as_frozen(log, settings):
    settings.FROZEN_SECONDS = 0.8  # beats every 0.1 s
    session = enter()
    pulse = session.hub.pulse._last_beat
    await until(lambda: session.hub.pulse._last_beat > pulse)
    assert not session.hub.pulse.is_stale()


async def test_a_signal_from_the_layer_can_only_announce_enter_and_leave(log):
    session = enter()
    await join(session)
    session.hub._on_signal(99, "mallory", True)
    assert len(session.socket.frames) == 1
    session.hub._on_signal(1, "charlie", False)
    await until(lambda: len(session.socket.frames) > 1)
    assert session.socket.frames[-1] == {"room": "1", "username": "charlie", "message": None, "msg_type": 5}


async def test_a_draining_hub_sends_every_session_a_time_to_come_back(log, settings):
    settings.BYE_SPREAD_MS = 1000
    sessions = [enter() for _ in range(5)]
    sessions[0].hub.drain()
    times = [session.socket.frames[-1]["bye"]["retry_ms"] for session in sessions]
    assert all(0 <= time < 1000 for time in times)
    assert sessions[0].hub.is_draining


async def test_a_commit_in_a_room_without_listeners_opens_no_feed(log):
    session = enter()
    session.hub.advance(1, "a", log.post())
    session.hub.hear_bell(1, 5)
    assert session.hub.feeds == {}
