"""The rule by which a session takes frames, without a database and without Channels."""

import asyncio

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from chat.conf import conf
from chat.exceptions import ErrorCode
from chat.live import hub as hubs
from chat.live.session import Session
from chat.live.sockets import WRITE_BYTES, Run
from chat.protocol import Pong, encode
from tests.fakes import FakeLog, FakeSocket, deleted, edited, standing, turns, until
from tests.servers.quantities import Q

PONG = {"pong": True}


@pytest.fixture
async def hub(monkeypatch, settings):
    # No sweep and no probe runs during a test.
    settings.SWEEP_SECONDS = settings.PROBE_SECONDS = settings.FROZEN_SECONDS = 60
    settings.GRACE_SECONDS = 0
    settings.SEND_PRESENCE = False
    log = FakeLog(monkeypatch)
    keeper = hubs.add(lambda hub: Session(FakeSocket(), hub=hub))
    keeper.standing = standing(0, "keeper")
    keeper.hub.log = log
    yield keeper.hub
    log.gate.set()
    log.error = None
    for session in list(keeper.hub.sessions):
        await hubs.remove(session)


def enter(hub, socket=None, user_id=1):
    session = hubs.add(lambda hub: Session(socket or FakeSocket(), hub=hub))
    session.standing = standing(user_id, "bob")
    session.socket = session._socket
    return session


async def join(session, room=1, since=None):
    """Listen to a room as commands.join does."""
    async with session.hub.feed(room, title="Lobby", staff_only=False, head=0) as feed:
        feed.attach(session, cursor=feed.head if since is None else since, reply=feed.joined())
    return feed


def commit(hub, count=1, room=1, text="hi"):
    hub.advance(room, "a", hub.log.post(count, room, text))


async def test_a_live_session_gets_committed_events_at_once(hub):
    session = enter(hub)
    await join(session)
    commit(hub, 2)
    commit(hub)
    assert session.socket.seqs() == [1, 2, 3]
    assert session.socket.runs == [1, 2, 1]


async def test_a_session_without_a_cursor_starts_after_the_head(hub):
    hub.log.post(5)
    session = enter(hub)
    await join(session)
    commit(hub)
    assert session.socket.frames[0]["head"] == 5
    assert session.socket.seqs() == [6]


async def test_an_event_that_a_session_has_is_not_written_again(hub):
    session = enter(hub)
    feed = await join(session)
    commit(hub, 3)
    subscription = session.subscriptions[1]
    session.offer(subscription, 1, Run([event.frame for event in hub.log.events[1]]))
    session.offer(subscription, 2, Run([hub.log.events[1][1].frame]))
    hub.advance(1, "a", hub.log.events[1])
    feed.hear_bell(2)
    await turns()
    assert session.socket.seqs() == [1, 2, 3]


async def test_a_session_that_misses_an_event_falls_behind_and_catches_up_in_order(hub):
    session = enter(hub)
    await join(session)
    commit(hub, 3)
    subscription = session.subscriptions[1]
    subscription.cursor = 1  # as if 2 and 3 had not been written
    session.offer(subscription, 3, Run([hub.log.events[1][2].frame]))
    assert subscription.is_behind
    await until(lambda: not subscription.is_behind)
    assert session.socket.seqs() == [1, 2, 3, 2, 3]


async def test_a_run_that_begins_before_the_cursor_is_written_only_after_it(hub):
    session = enter(hub)
    await join(session)
    commit(hub, 4)
    subscription = session.subscriptions[1]
    subscription.cursor = 2
    session.offer(subscription, 1, Run([event.frame for event in hub.log.events[1]]))
    await until(lambda: not subscription.is_behind)
    assert session.socket.seqs() == [1, 2, 3, 4, 3, 4]


async def test_a_session_with_a_full_socket_falls_behind_and_catches_up_from_the_ring(hub):
    socket = FakeSocket(room=3)  # the join reply and two events
    session = enter(hub, socket)
    await join(session)
    hub.log.reads.clear()
    commit(hub, 2)
    commit(hub, 3)
    assert session.subscriptions[1].is_behind
    assert socket.seqs() == [1, 2]
    socket.drain(1)
    await until(lambda: socket.room == 0)
    assert socket.seqs() == [1, 2, 3]
    commit(hub)
    socket.drain()
    await until(lambda: not session.subscriptions[1].is_behind)
    commit(hub)
    assert socket.seqs() == [1, 2, 3, 4, 5, 6, 7]
    assert hub.log.reads == []


async def test_the_cursor_moves_by_the_part_of_a_run_that_the_socket_took(hub):
    socket = FakeSocket(room=3)
    session = enter(hub, socket)
    await join(session)
    commit(hub, 5)
    assert session.subscriptions[1].cursor == 2
    socket.drain()
    await until(lambda: socket.seqs() == [1, 2, 3, 4, 5])


async def test_a_session_that_missed_more_than_the_ring_reads_the_log_in_pages(hub, settings):
    settings.RING_EVENTS = 3
    settings.REACH_BACK_EVENTS = 0
    settings.CATCH_UP_PAGE = 4
    hub.log.post(20)
    session = enter(hub)
    await join(session, since=0)
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.seqs() == list(range(1, 21))
    assert [read[1] for read in hub.log.reads if read[0] == "read"] == [0, 4, 8, 12, 16]


async def test_events_committed_while_a_session_reads_the_log_follow_once(hub, settings):
    settings.RING_EVENTS = 2
    hub.log.post(5)
    session = enter(hub)
    feed = await join(session)
    hub.log.gate.clear()
    feed.attach(session, cursor=0, reply=feed.joined())
    await turns()
    commit(hub, 3)
    await turns()
    assert session.socket.seqs() == []
    hub.log.gate.set()
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.seqs() == list(range(1, 9))


async def test_a_room_that_is_behind_does_not_delay_another_room(hub):
    hub.log.post(3)
    session = enter(hub)
    await join(session, room=2)
    hub.log.gate.clear()
    session.subscriptions[2].feed.ring.restart(session.subscriptions[2].feed.head)
    joining = asyncio.ensure_future(join(session, since=0))
    await turns()
    commit(hub, room=2)
    assert session.socket.seqs(2) == [1]
    hub.log.gate.set()
    await joining
    await until(lambda: session.socket.seqs(1) == [1, 2, 3])


async def test_replies_to_a_full_socket_keep_their_order_and_are_never_dropped(hub):
    socket = FakeSocket(room=1)
    session = enter(hub, socket)
    await join(session)
    for number in range(30):
        session.reply(encode(Pong(pong=number)))
    commit(hub)
    assert len(socket.frames) == 1
    for room in (1, 10, 3):
        socket.drain(room)
        await until(lambda: socket.room == 0)
    socket.drain()
    await until(lambda: socket.seqs() == [1])
    assert [frame["pong"] for frame in socket.replies()[1:]] == list(range(30))


async def test_a_reply_does_not_overtake_a_waiting_reply(hub):
    socket = FakeSocket(room=0)
    session = enter(hub, socket)
    session.reply(encode(Pong(pong=1)))
    socket.room = None  # the socket has room again, but the task has not noticed yet
    session.reply(encode(Pong(pong=2)))
    assert socket.frames == []
    socket.drain()
    await until(lambda: socket.frames == [{"pong": 1}, {"pong": 2}])


async def test_signals_are_dropped_while_the_session_is_behind(hub):
    socket = FakeSocket(room=2)
    session = enter(hub, socket)
    await join(session)
    session.signal(encode(Pong()))
    commit(hub)
    socket.drain(0)
    session.signal(encode(Pong()))
    socket.room = None
    session.signal(encode(Pong()))
    socket.drain()
    await until(lambda: not session.subscriptions[1].is_behind)
    session.signal(encode(Pong()))
    assert socket.replies()[1:] == [PONG, PONG]


async def test_no_event_of_a_room_is_written_after_leaving_it(hub):
    socket = FakeSocket(room=2)
    session = enter(hub, socket)
    await join(session)
    commit(hub, 5)
    hub.leave(session, 1)
    session.reply(encode(Pong()))
    commit(hub)
    socket.drain()
    await until(lambda: PONG in socket.frames)
    await turns()
    assert socket.seqs() == [1]
    assert socket.frames[-1] == PONG


async def test_no_event_is_written_when_the_room_was_left_while_its_log_was_read(hub, settings):
    settings.RING_EVENTS = 1
    hub.log.post(5)
    session = enter(hub)
    feed = await join(session)
    hub.log.gate.clear()
    feed.attach(session, cursor=0, reply=feed.joined())
    await turns()
    hub.leave(session, 1)
    hub.log.gate.set()
    await turns()
    assert session.socket.seqs() == []


async def test_a_rejoin_while_the_log_is_read_is_served_only_from_the_new_cursor(hub, settings):
    settings.RING_EVENTS = 1
    hub.log.post(5)
    session = enter(hub)
    feed = await join(session)
    hub.log.gate.clear()
    feed.attach(session, cursor=0, reply=feed.joined())
    await turns()
    feed.attach(session, cursor=3, reply=feed.joined())
    hub.log.gate.set()
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.seqs() == [4, 5]


async def test_a_rejoin_with_a_cursor_replays_and_misses_no_event_meanwhile(hub):
    session = enter(hub)
    feed = await join(session)
    commit(hub, 3)
    feed.attach(session, cursor=1, reply=feed.joined())
    commit(hub)
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.seqs() == [1, 2, 3, 2, 3, 4]


async def test_a_session_waits_for_an_unavailable_log_and_affects_no_other_session(hub, settings, caplog):
    settings.RING_EVENTS = 1
    settings.SWEEP_SECONDS = 0.01
    hub.log.post(3)
    behind, live = enter(hub), enter(hub)
    feed = await join(live)
    await join(behind)
    hub.log.error = ZeroDivisionError()
    feed.attach(behind, cursor=0, reply=feed.joined())
    await until(lambda: "catching up failed" in caplog.text)
    commit(hub)
    assert live.socket.seqs() == [4]
    hub.log.error = None
    await until(lambda: behind.socket.seqs() == [1, 2, 3, 4])


async def test_a_session_starts_over_when_the_events_it_missed_were_pruned(hub, settings):
    settings.RING_EVENTS = 1
    hub.log.post(5)
    session = enter(hub)
    feed = await join(session)
    del hub.log.events[1][:3]  # pruned
    feed.attach(session, cursor=1, reply=feed.joined())
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.frames[-1]["reset"] is True
    assert session.socket.seqs() == []
    assert session.subscriptions[1].cursor == 5


async def test_a_lost_socket_gets_no_further_frame(hub):
    socket = FakeSocket(room=1)
    session = enter(hub, socket)
    await join(session)
    commit(hub)
    socket.lose()
    await until(lambda: session.is_gone)
    socket.room = None
    session.reply(encode(Pong()))
    commit(hub)
    assert len(socket.frames) == 1


async def test_a_refused_session_gets_its_error_and_no_further_frame(hub):
    session = enter(hub)
    await join(session)
    await session.refuse(ErrorCode.USER_HAS_TO_LOGIN, 4401)
    commit(hub)
    assert (session.socket.closed, session.socket.seqs()) == (4401, [])
    assert session.socket.frames[-1] == {"error": "USER_HAS_TO_LOGIN"}


async def test_large_events_are_written_in_bounded_writes(hub):
    hub.log.post(20, text="x" * 20_000)
    session = enter(hub)
    await join(session, since=0)
    await until(lambda: not session.subscriptions[1].is_behind)
    assert session.socket.seqs() == list(range(1, 21))
    most = WRITE_BYTES // 20_000
    assert max(session.socket.runs) == most


@pytest.mark.parametrize("reach_back", [0, 100], ids=["from the log", "from the ring"])
@pytest.mark.parametrize("change", ["delete", "edit"])
async def test_a_slow_reader_gets_no_text_that_was_removed_while_it_waited(hub, settings, reach_back, change):
    settings.REACH_BACK_EVENTS = reach_back
    hub.log.post(10, text="secret" + "x" * 30_000)
    socket = FakeSocket()
    session = enter(hub, socket)
    await join(session)
    # The socket takes the reply and one write of two events. The next write waits with events in hand.
    socket.room = 3
    feed = session.subscriptions[1].feed
    feed.attach(session, cursor=0, reply=feed.joined())
    await until(lambda: socket.room == 0)
    assert socket.seqs() == [1, 2]
    for seq in range(1, 11):
        event = deleted(10 + seq, seq) if change == "delete" else edited(10 + seq, seq, "better")
        hub.advance(1, "a", hub.log.append(event))
    socket.drain()
    await until(lambda: not session.subscriptions[1].is_behind)
    assert socket.seqs() == list(range(1, 21))
    texts = [frame["message"] for frame in socket.frames if frame.get("username")]
    assert texts[2:] == [None if change == "delete" else "better"] * 8


async def test_a_text_deleted_while_a_page_of_the_log_is_read_is_not_written(hub, settings):
    settings.REACH_BACK_EVENTS = 0
    hub.log.post(10, text="secret")
    session = enter(hub)
    feed = await join(session)
    hub.log.gate.clear()
    feed.attach(session, cursor=0, reply=feed.joined())
    await turns()
    hub.advance(1, "a", hub.log.append(deleted(11, 5)))
    hub.log.gate.set()
    await until(lambda: not session.subscriptions[1].is_behind)
    texts = [frame["message"] for frame in session.socket.frames if frame.get("username")]
    assert texts == ["secret"] * 4 + [None] + ["secret"] * 5


async def test_a_slow_reader_reads_the_log_again_after_more_events_than_the_ring_holds(hub, settings):
    settings.RING_EVENTS = 4
    settings.REACH_BACK_EVENTS = 0
    hub.log.post(10, text="secret" + "x" * 30_000)
    socket = FakeSocket()
    session = enter(hub, socket)
    feed = await join(session)
    socket.room = 2
    feed.attach(session, cursor=0, reply=feed.joined())
    await until(lambda: socket.room == 0)
    hub.advance(1, "a", hub.log.append(deleted(11, 9)))
    commit(hub, 9)
    socket.drain()
    await until(lambda: not session.subscriptions[1].is_behind)
    assert socket.seqs() == list(range(1, 21))
    texts = [frame["message"] for frame in socket.frames if frame.get("seq") == 9]
    assert texts == [None]


async def test_no_command_is_read_while_too_many_replies_or_drafts_wait(hub, settings):
    settings.SOCKET_UNACKNOWLEDGED = 3
    socket = FakeSocket(room=0)
    session = enter(hub, socket)

    def has_room():
        return session._is_ready.is_set()

    session.add_draft()
    session.add_draft()
    assert has_room()
    session.add_draft()
    assert not has_room()
    session.answer_draft(None)
    await session.until_ready()
    session.reply(encode(Pong()))
    session.reply(encode(Pong()))
    assert has_room()
    session.reply(encode(Pong()))
    assert not has_room()
    session.answer_draft(None)
    assert not has_room()
    socket.drain()
    await asyncio.wait_for(session.until_ready(), 5)


async def test_a_session_that_ends_releases_callers_that_wait_for_room(hub, settings):
    settings.SOCKET_UNACKNOWLEDGED = 1
    session = enter(hub)
    session.add_draft()
    waiting = asyncio.ensure_future(session.until_ready())
    await turns()
    assert not waiting.done()
    await hubs.remove(session)
    await asyncio.wait_for(waiting, 5)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.integers(1, 4)),
        st.tuples(st.just("elsewhere"), st.integers(1, 4)),
        st.tuples(st.just("edit"), st.integers(1, 9)),
        st.tuples(st.just("delete"), st.integers(1, 9)),
        st.tuples(st.just("room"), st.integers(0, 5)),
        st.tuples(st.just("ring"), st.integers(0, 0)),
        st.tuples(st.just("turn"), st.integers(1, 5)),
        st.tuples(st.just("leave"), st.integers(0, 0)),
    ),
    max_size=25,
)


@given(steps=STEPS)
@profile(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=Q.page_examples)
async def test_a_session_has_every_event_once_and_in_order_after_any_steps(steps, monkeypatch):
    with monkeypatch.context() as patch:
        log = FakeLog(patch)
        # A small ring, so that the log is read as well.
        patch.setattr(conf, "RING_EVENTS", 4)
        patch.setattr(conf, "GAP_SECONDS", 0)
        socket = FakeSocket()
        session = hubs.add(lambda hub: Session(socket, hub=hub))
        session.standing = standing(1, "bob")
        hub, cursor = session.hub, 0
        socket.log = log
        await join(session)
        for step, number in steps:
            subscription = session.subscriptions.get(1)
            match step:
                case "post":
                    hub.advance(1, "a", log.post(number))
                case "elsewhere":
                    log.post(number)
                case "edit" if log.events[1]:
                    hub.advance(1, "a", log.append(edited(len(log.events[1]) + 1, number)))
                case "delete" if log.events[1]:
                    hub.advance(1, "a", log.append(deleted(len(log.events[1]) + 1, number)))
                case "room":
                    socket.drain(number)
                case "ring":
                    hub.hear_bell(1, len(log.events[1]))
                case "turn":
                    await turns(number)
                case "leave" if subscription is not None:
                    cursor = subscription.cursor
                    hub.leave(session, 1)
                    await join(session, since=cursor)
        socket.drain()
        hub.hear_bell(1, len(log.events[1]))
        await until(lambda: session.subscriptions[1].cursor == len(log.events[1]))
        assert socket.seqs() == list(range(1, len(log.events[1]) + 1))
        await hubs.remove(session)


async def test_a_page_of_large_messages_from_the_log_is_bounded_in_bytes(hub, settings):
    settings.RING_EVENTS = 1
    page_sizes = []
    write_events = Session._write_events

    async def measured(self, subscription, events, head):
        page_sizes.append(sum(len(event.frame.payload) for event in events))
        await write_events(self, subscription, events, head)

    session = enter(hub)
    hub.log.post(300, text="x" * 30_000)
    Session._write_events = measured
    try:
        await join(session, since=0)
        await until(lambda: session.socket.seqs() == list(range(1, 301)))
    finally:
        Session._write_events = write_events
    assert max(page_sizes) < 600_000
