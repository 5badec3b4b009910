"""One room in this process: its tail, its ring, and the fan-out."""

import asyncio
import json

import pytest

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.live import hub as hubs
from chat.live.attendance import came
from chat.live.feed import PresenceLine
from chat.live.session import Session
from chat.live.sockets import WRITE_BYTES
from chat.protocol import Edited
from tests.fakes import AT, FakeLog, FakeSocket, deleted, edited, overtaken, posted, standing, turns, until


@pytest.fixture
async def log(monkeypatch, settings):
    # No sweep and no probe runs during a test.
    settings.SWEEP_SECONDS = settings.PROBE_SECONDS = settings.FROZEN_SECONDS = 60
    log = FakeLog(monkeypatch)
    yield log
    log.gate.set()
    log.error = None
    if hub := hubs.running():
        for session in list(hub.sessions):
            await hubs.remove(session)


def enter(room=None, username="bob"):
    socket = FakeSocket(room)
    session = hubs.add(lambda hub: Session(socket, hub=hub))
    session.standing = standing(1, username)
    session.socket = socket
    return session


async def join(session, room=1, since=None):
    async with session.hub.feed(room, title="Lobby", staff_only=False, head=0) as feed:
        feed.attach(session, cursor=feed.head if since is None else since, reply=feed.joined())
    return feed


async def test_a_bell_makes_the_feed_read_the_log_and_fan_out_new_events(log):
    session = enter()
    feed = await join(session)
    log.post(3)
    feed.hear_bell(3)
    await until(lambda: session.socket.seqs() == [1, 2, 3])


async def test_repeated_late_and_wrong_bells_are_harmless(log):
    session = enter()
    feed = await join(session)
    log.post(2)
    for head in (2, 1, 2, 99, 0, 2):
        feed.hear_bell(head)
    await until(lambda: session.socket.seqs() == [1, 2])
    await turns()
    feed.advance(log.post())
    assert session.socket.seqs() == [1, 2, 3]
    log.post()
    feed.hear_bell(4)
    await until(lambda: session.socket.seqs() == [1, 2, 3, 4])


async def test_early_events_wait_for_the_events_before_them(log):
    session = enter()
    feed = await join(session)
    first, second, third, fourth = log.post(4)
    feed.advance([third])
    feed.advance([second])
    assert session.socket.seqs() == []
    feed.advance([first])
    assert session.socket.seqs() == [1, 2, 3]
    feed.advance([fourth, first, second])
    assert session.socket.seqs() == [1, 2, 3, 4]


async def test_the_feed_reads_the_log_when_the_event_before_an_early_one_never_arrives(log, settings):
    settings.GAP_SECONDS = 0
    session = enter()
    feed = await join(session)
    feed.advance(log.post(2)[1:])
    assert session.socket.seqs() == []
    await until(lambda: session.socket.seqs() == [1, 2])


async def test_too_many_early_events_are_dropped_and_read_from_the_log(log, settings):
    settings.RING_EVENTS = 4
    settings.GAP_SECONDS = 0
    session = enter()
    feed = await join(session)
    feed.advance(log.post(50)[1:])
    assert len(feed._early) == 0
    await until(lambda: session.socket.seqs() == list(range(1, 51)))


async def test_a_delete_removes_the_text_from_the_ring(log):
    live, late = enter(), enter()
    feed = await join(live)
    feed.advance(log.post(text="secret"))
    feed.advance(log.append(edited(2, 1, "secret too")))
    feed.advance(log.post())
    feed.advance(log.append(deleted(4, 1)))
    log.reads.clear()
    await join(late, since=0)
    await until(lambda: late.socket.seqs() == [1, 2, 3, 4])
    assert log.reads == []
    assert [frame.get("message") for frame in live.socket.frames[1:]] == ["secret", "secret too", "hi", None]
    assert [frame.get("message") for frame in late.socket.frames[1:]] == [None, None, "hi", None]
    assert [frame.get("deleted") for frame in late.socket.frames[1:]] == [True, True, None, 1]


async def test_an_edit_removes_the_replaced_text_from_the_ring(log):
    live, late = enter(), enter()
    feed = await join(live)
    for event in (posted(1, "first"), posted(2), edited(3, 1, "second"), edited(4, 1, "third"), edited(5, 2, "other")):
        feed.advance(log.append(event))
    log.reads.clear()
    await join(late, since=0)
    await until(lambda: late.socket.seqs() == [1, 2, 3, 4, 5])
    assert log.reads == []
    assert [frame["message"] for frame in live.socket.frames[1:]] == ["first", "hi", "second", "third", "other"]
    first, second, overtaken, *latest = late.socket.frames[1:]
    assert (first["message"], first["edited_at"]) == ("third", AT)
    assert (second["message"], second["edited_at"]) == ("other", AT)
    assert overtaken == {"room": "1", "edited": 1, "overtaken": True, "seq": 3, "at": AT}
    assert [frame["message"] for frame in latest] == ["third", "other"]
    assert late.socket.frames[1:] == [json.loads(event.frame.text) for event in log.events[1]]


async def test_an_edit_that_arrives_overtaken_removes_the_text_from_the_edit_before_it(log):
    session, late = enter(), enter()
    feed = await join(session)
    feed.advance([posted(1), edited(2, 1, "gone"), overtaken(3, 1)])
    await join(late, since=0)
    await until(lambda: late.socket.seqs() == [1, 2, 3])
    assert [frame.get("overtaken") for frame in late.socket.frames[1:]] == [None, True, True]
    feed.advance([edited(4, 1, "last"), deleted(5, 1)])
    kept = [event.event for event in feed.ring.events]
    assert [getattr(event, "message", None) for event in kept] == [None] * 5
    assert kept[3].deleted


async def test_a_feed_forgets_edits_with_the_events_that_leave_the_ring(log, settings):
    settings.RING_EVENTS = 3
    session = enter()
    feed = await join(session)
    for seq in range(1, 41, 2):
        feed.advance([posted(seq), edited(seq + 1, seq)])
    assert len(feed.ring._edits) <= 3
    feed.advance([deleted(41, 1), edited(42, 1), overtaken(43, 1)])
    assert feed.ring._edits == {1: 43}


@pytest.mark.parametrize("change", [deleted(2, 1), edited(2, 1, "corrected")])
async def test_a_text_removed_during_its_fan_out_reaches_no_further_session(log, settings, change):
    settings.FAN_OUT_SLICE = 2
    sessions = [enter() for _ in range(6)]
    for session in sessions:
        feed = await join(session)
    feed.advance(log.post(text="secret"))
    await asyncio.sleep(0)
    assert [len(session.socket.seqs()) for session in sessions] == [1, 1, 0, 0, 0, 0]
    feed.advance([change])
    await until(lambda: all(session.socket.seqs() == [1, 2] for session in sessions))
    shown = [session.socket.frames[1]["message"] for session in sessions]
    assert shown == ["secret"] * 2 + [change.event.message if isinstance(change.event, Edited) else None] * 4


async def test_events_that_leave_the_ring_during_a_fan_out_are_read_from_the_log(log, settings):
    settings.FAN_OUT_SLICE, settings.RING_EVENTS = 2, 3
    sessions = [enter() for _ in range(6)]
    for session in sessions:
        feed = await join(session)
    feed.advance(log.post(text="secret"))
    await asyncio.sleep(0)
    feed.advance(log.append(edited(2, 1, "better")) + log.append(deleted(3, 1)) + log.post(5))
    await until(lambda: all(session.socket.seqs() == list(range(1, 9)) for session in sessions))
    assert [session.socket.frames[1]["message"] for session in sessions] == ["secret"] * 2 + [None] * 4


async def test_opening_a_room_reads_no_events(log):
    log.post(1000)
    feed = await join(enter())
    assert log.reads == ["heads"]
    assert (feed.head, len(feed.ring.events)) == (1000, 0)


async def test_feeds_that_open_together_read_their_heads_in_one_query(log):
    log.events |= {room: [] for room in range(1, 65)}
    log.floor |= dict.fromkeys(log.events, 1)
    log.epoch |= dict.fromkeys(log.events, "a")
    session = enter()
    await asyncio.gather(*(join(session, room) for room in range(1, 65)))
    assert log.reads == ["heads"]


async def test_sessions_that_reconnect_after_a_short_gap_share_one_page_of_the_log(log):
    log.post(1000)
    sessions = [enter() for _ in range(50)]
    log.gate.clear()
    joining = [asyncio.ensure_future(join(session, since=990)) for session in sessions]
    await turns()
    log.gate.set()
    await asyncio.gather(*joining)
    await until(lambda: all(session.socket.seqs() == list(range(991, 1001)) for session in sessions))
    assert log.reads == ["heads", ("read", 990)]
    # A session that missed more makes the feed read only the events before those.
    earlier = enter()
    await join(earlier, since=980)
    await until(lambda: earlier.socket.seqs() == list(range(981, 1001)))
    assert log.reads[2:] == [("read", 980)]


async def test_a_session_that_missed_many_events_reads_the_log_without_filling_the_ring(log):
    log.post(1000)
    session = enter()
    feed = await join(session, since=500)
    await until(lambda: session.socket.seqs() == list(range(501, 1001)))
    assert len(feed.ring.events) < 500


async def test_a_ring_that_is_extended_backwards_stays_within_its_bytes(log, settings):
    settings.RING_BYTES = 20_000
    log.post(100, text="x" * 1000)
    session = enter()
    feed = await join(session, since=20)
    await until(lambda: session.socket.seqs() == list(range(21, 101)))
    assert 0 < feed.ring.size <= 20_000
    assert feed.ring.events[-1].seq == 100
    assert feed.ring.size == sum(event.size for event in feed.ring.events)


async def test_a_text_deleted_while_the_ring_is_extended_backwards_does_not_enter_it(log):
    log.post(3, text="secret")
    session, late = enter(), enter()
    feed = await join(session)
    log.gate.clear()
    feed.attach(late, cursor=0, reply=feed.joined())
    await turns()
    feed.advance(log.append(deleted(4, 2)))
    log.gate.set()
    await until(lambda: late.socket.seqs() == [1, 2, 3, 4])
    assert [frame.get("message") for frame in late.socket.frames[1:]] == ["secret", None, "secret", None]
    assert [event.event.message for event in list(feed.ring.events)[:3]] == ["secret", None, "secret"]


async def test_a_session_that_is_behind_does_not_get_a_text_deleted_meanwhile(log):
    session = enter(room=1)
    feed = await join(session)
    feed.advance(log.post(text="secret"))
    feed.advance(log.append(deleted(2, 1)))
    session.socket.drain()
    await until(lambda: session.socket.seqs() == [1, 2])
    assert session.socket.frames[1]["message"] is None


async def test_the_ring_is_bounded_in_events_and_in_bytes(log, settings):
    settings.RING_EVENTS = 3
    session = enter()
    feed = await join(session)
    feed.advance(log.post(10))
    assert [event.seq for event in feed.ring.events] == [8, 9, 10]
    settings.RING_BYTES = 1000
    feed.advance(log.post(text="x" * 600))
    feed.advance(log.post(text="x" * 600))
    assert [event.seq for event in feed.ring.events] == [12]


async def test_a_deleted_text_no_longer_counts_in_the_rings_bytes(log, settings):
    settings.RING_EVENTS = 6
    settings.RING_BYTES = 10_000
    session = enter()
    feed = await join(session)
    for _ in range(10):
        seq = log.post(text="x" * 1000)[0].seq
        feed.advance(log.events[1][-1:])
        feed.advance(log.append(deleted(seq + 1, seq)))
    assert feed.ring.size == sum(event.size for event in feed.ring.events)
    feed.advance(log.post(6))
    assert len(feed.ring.events) == 6


@pytest.mark.parametrize(
    ("since", "epoch", "is_served"),
    [
        (0, None, False),
        (1, None, False),
        (2, None, True),
        (5, "a", True),
        (6, None, False),
        (5, "b", False),
        (-1, "a", 0),
    ],
)
async def test_a_cursor_is_served_from_the_floor_to_the_head_of_this_epoch(log, since, epoch, is_served):
    log.post(5)
    log.floor[1] = 3
    feed = await join(enter())
    assert feed.serves(since, epoch) == bool(is_served)


async def test_cursor_zero_is_served_while_nothing_was_pruned(log):
    feed = await join(enter())
    assert feed.serves(0, None)
    assert not feed.serves(-1, None)


async def test_a_fan_out_in_several_slices_yields_to_the_loop_and_keeps_the_order(log, settings):
    settings.FAN_OUT_SLICE = 2
    sessions = [enter() for _ in range(7)]
    for session in sessions:
        feed = await join(session)
    feed.advance(log.post(2))
    assert [session.socket.seqs() for session in sessions] == [[]] * 7
    await asyncio.sleep(0)
    assert [len(session.socket.seqs()) for session in sessions] == [2, 2, 0, 0, 0, 0, 0]
    # Events that arrive meanwhile do not overtake these.
    feed.advance(log.post(2))
    gone, late = sessions[5], enter()
    feed.detach(gone)
    await join(late)
    feed.advance(log.post())
    # A session that joined in the middle of a run catches up with the rest of it.
    await until(
        lambda: late.subscriptions[1].cursor == 5 and not late.subscriptions[1].is_behind and not feed._fan_out.is_busy
    )
    assert gone.socket.seqs() == []
    assert [session.socket.seqs() for session in sessions if session is not gone] == [[1, 2, 3, 4, 5]] * 6
    assert late.socket.seqs() == [5]
    assert not any(session.subscriptions[1].is_behind for session in sessions[:5])


async def test_a_burst_larger_than_one_write_is_fanned_out_run_by_run(log):
    sessions = [enter(), enter()]
    for session in sessions:
        feed = await join(session)
    feed.advance(log.post(10, text="x" * 30_000))
    await until(lambda: all(session.socket.seqs() == list(range(1, 11)) for session in sessions))
    assert {max(session.socket.runs) for session in sessions} == {WRITE_BYTES // 30_000}


async def test_a_frame_is_encoded_once_for_all_sessions(log, monkeypatch):
    sessions = [enter() for _ in range(5)]
    for session in sessions:
        feed = await join(session)
    written = []
    for session in sessions:
        monkeypatch.setattr(session.socket, "write", lambda run: written.append(run) or len(run.frames))
    feed.advance(log.post())
    assert len(written) == 5
    assert len(set(map(id, written))) == 1


async def test_a_slow_session_delays_no_other(log):
    slow, quick = enter(room=1), enter()
    await join(slow)
    feed = await join(quick)
    for _ in range(100):
        feed.advance(log.post())
    assert quick.socket.seqs() == list(range(1, 101))
    slow.socket.drain()
    await until(lambda: slow.socket.seqs() == list(range(1, 101)))


async def test_another_epoch_makes_all_sessions_start_over(log):
    live, behind = enter(), enter(room=1)
    await join(live)
    feed = await join(behind)
    feed.advance(log.post(5))
    log.epoch[1], log.events[1] = "b", []
    log.post(7)
    await feed.reopen()
    behind.socket.drain()
    await until(lambda: len(behind.socket.replies()) == 2)
    for session in (live, behind):
        again = session.socket.replies()[-1]
        assert (again["reset"], again["head"], again["epoch"]) == (True, 7, "b")
    feed.advance(log.post())
    assert live.socket.seqs() == [1, 2, 3, 4, 5, 8]
    assert behind.socket.seqs() == [8]


async def test_a_lower_head_makes_all_sessions_start_over(log):
    session = enter()
    feed = await join(session)
    feed.advance(log.post(5))
    del log.events[1][3:]
    await feed.reopen()
    assert session.socket.frames[-1]["reset"] is True
    feed.advance(log.post())
    assert session.socket.seqs() == [1, 2, 3, 4, 5, 4]


async def test_reopening_an_unchanged_log_sends_no_frame(log):
    session = enter()
    feed = await join(session)
    feed.advance(log.post(2))
    await feed.reopen()
    assert len(session.socket.frames) == 3


async def test_the_panes_of_a_removed_room_are_closed_with_a_reason(log):
    sessions = [enter(), enter()]
    for session in sessions:
        await join(session)
    del log.events[1]
    await sessions[0].hub.sweep.run()
    for session in sessions:
        assert session.socket.frames[-1] == {"leave": "1", "reason": "ROOM_INVALID"}
        assert session.subscriptions == {}
    assert sessions[0].hub.feeds == {}


async def test_a_full_socket_still_gets_the_reason_why_its_pane_is_closed(log):
    session = enter(room=1)
    feed = await join(session)
    feed.advance(log.post())
    session.hub.dismiss(session, 1, ErrorCode.ROOM_ACCESS_DENIED)
    feed.advance(log.post())
    session.socket.drain()
    await until(lambda: len(session.socket.frames) == 2)
    assert session.socket.frames[1] == {"leave": "1", "reason": "ROOM_ACCESS_DENIED"}


async def test_a_feed_advances_to_the_head_that_its_caller_has_read(log):
    session = enter()
    feed = await join(session)
    log.post(3)
    async with session.hub.feed(1, title="Lobby", staff_only=False, head=3):
        assert feed.head == 3
    assert session.socket.seqs() == [1, 2, 3]


async def test_a_join_is_refused_while_the_log_cannot_be_read_and_the_next_bell_reads_it(log, caplog):
    session = enter()
    feed = await join(session)
    log.post(3)
    log.error = ZeroDivisionError()
    with pytest.raises(ClientError) as caught:
        async with session.hub.feed(1, title="Lobby", staff_only=False, head=3):
            pass
    assert caught.value.code == ErrorCode.SERVER_UNAVAILABLE
    assert "reading the log failed" in caplog.text
    log.error = None
    feed.hear_bell(3)
    await until(lambda: session.socket.seqs() == [1, 2, 3])


async def test_events_committed_while_a_feed_opens_are_not_missed(log):
    session = enter()
    log.gate.clear()
    joining = asyncio.ensure_future(join(session))
    await turns()
    session.hub.advance(1, "a", log.post(2))
    log.gate.set()
    feed = await joining
    await until(lambda: feed.head == 2)
    assert session.socket.frames[0]["head"] + len(session.socket.seqs()) == 2


async def test_lines_of_presence_reach_the_others_who_were_there_in_one_write(log):
    alice, bob, charlie = enter(username="alice"), enter(), enter(username="charlie")
    for session in (alice, bob):
        await join(session)
    feed = await join(charlie)
    order = charlie.subscriptions[feed.room].order
    lines = [
        PresenceLine(came(feed.room, "bob", conf.MSG_TYPE_LEAVE), "bob"),
        PresenceLine(came(feed.room, "dora", conf.MSG_TYPE_ENTER), "dora", before=order),
    ]
    present = came(feed.room, "list", conf.MSG_TYPE_ENTER)
    feed.announce(lines, present)
    got = {
        session.username: [frame["username"] for frame in session.socket.frames[1:]]
        for session in (alice, bob, charlie)
    }
    # Bob gets no line of his own. Charlie came after dora, so she finds her in the list.
    assert got == {"alice": ["bob", "dora", "list"], "bob": ["dora", "list"], "charlie": ["bob", "list"]}
    # The join frame, and all of these together.
    assert [len(session.socket.runs) for session in (alice, bob, charlie)] == [2, 2, 2]
