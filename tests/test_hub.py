"""All rooms of a process: it starts with the first session, sweeps, and looks before it writes after a freeze."""

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


async def test_a_session_that_comes_while_the_hub_stops_gets_one_that_works(log):
    first = enter()
    leaving = asyncio.ensure_future(hubs.remove(first))
    await asyncio.sleep(0)
    second = enter()
    await leaving
    assert second.hub is hubs.running()
    await join(second)
    second.hub.advance(1, "a", log.post())
    assert second.socket.seqs() == [1]


async def test_a_session_that_ends_is_forgotten_by_all_its_rooms(log):
    stays, goes = enter(), enter()
    lobby = await join(stays)
    await join(goes)
    await join(goes, room=2)
    await hubs.remove(goes)
    assert set(stays.hub.feeds) == {1}
    assert list(lobby.sessions) == [stays]


async def test_a_feed_lives_as_long_as_somebody_listens_or_joins(log):
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


async def test_two_who_join_at_once_share_one_feed_and_one_look_at_the_log(log):
    one, two = enter(), enter()
    feeds = await asyncio.gather(join(one), join(two))
    assert feeds[0] is feeds[1]
    assert log.reads.count("heads") == 1


async def test_one_who_gives_up_joining_takes_nothing_from_another(log):
    one, two = enter(), enter()
    log.gate.clear()
    joining = [asyncio.ensure_future(join(session)) for session in (one, two)]
    await turns()
    joining[0].cancel()
    await turns()
    log.gate.set()
    feed = await joining[1]
    assert list(feed.sessions) == [two]


async def test_the_sweep_finds_what_no_bell_told_in_every_room(log, settings):
    settings.SWEEP_SECONDS = 0.01
    session = enter()
    await join(session)
    await join(session, room=2)
    log.post(3)
    log.post(2, room=2)
    await until(lambda: (session.socket.seqs(1), session.socket.seqs(2)) == ([1, 2, 3], [1, 2]))


async def test_the_sweep_asks_once_for_all_rooms(log):
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


async def test_a_commit_from_before_a_restore_is_handed_to_nobody(log):
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


async def test_a_commit_to_a_log_that_the_feed_has_not_seen_is_looked_for_at_once(log):
    session = enter()
    feed = await join(session)
    session.hub.advance(1, "a", log.post(2))
    log.events[1], log.epoch[1] = [], "b"
    session.hub.advance(1, "b", log.post(3)[2:])
    assert session.socket.seqs() == [1, 2]
    await until(lambda: feed.epoch == "b")
    assert (feed.head, session.socket.frames[-1]["head"], session.socket.frames[-1]["reset"]) == (3, 3, True)


async def test_an_answer_to_the_sweep_that_is_older_than_the_tail_starts_nothing_over(log):
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


async def test_the_sweep_outlives_a_database_that_is_away(log, settings, caplog):
    settings.SWEEP_SECONDS = 0.005
    session = enter()
    await join(session)
    log.error = ZeroDivisionError()
    await until(lambda: "does not answer the sweep" in caplog.text)
    log.post()
    log.error = None
    await until(lambda: session.socket.seqs() == [1])


async def test_a_crash_in_one_feed_hurts_no_other(log, monkeypatch, caplog):
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


async def test_a_frozen_process_looks_before_it_writes(log):
    session = enter()
    await join(session)
    hub = session.hub
    # While it stood still the log began anew, and what it holds is of another life.
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


async def test_a_frozen_process_goes_on_where_nothing_changed(log):
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


async def test_the_beat_keeps_a_process_that_runs_from_looking_frozen(log, settings):
    settings.FROZEN_SECONDS = 0.8  # beats every 0.1 s
    session = enter()
    pulse = session.hub.pulse._last_beat
    await until(lambda: session.hub.pulse._last_beat > pulse)
    assert not session.hub.pulse.is_stale()


async def test_a_signal_from_the_layer_can_tell_of_comings_and_of_nothing_else(log):
    session = enter()
    await join(session)
    session.hub._on_signal(99, "mallory", True)
    assert len(session.socket.frames) == 1
    session.hub._on_signal(1, "charlie", False)
    await until(lambda: len(session.socket.frames) > 1)
    assert session.socket.frames[-1] == {"room": "1", "username": "charlie", "message": None, "msg_type": 5}


async def test_a_hub_that_drains_tells_everybody_when_to_come_back(log, settings):
    settings.BYE_SPREAD_MS = 1000
    sessions = [enter() for _ in range(5)]
    sessions[0].hub.drain()
    times = [session.socket.frames[-1]["bye"]["retry_ms"] for session in sessions]
    assert all(0 <= time < 1000 for time in times)
    assert sessions[0].hub.is_draining


async def test_what_is_committed_for_a_room_without_listeners_is_nobodys(log):
    session = enter()
    session.hub.advance(1, "a", log.post())
    session.hub.hear_bell(1, 5)
    assert session.hub.feeds == {}
