"""script/bench works, and fails when a contender loses or doubles a message or sends it out of order."""

import asyncio
import dataclasses
import socket

import pytest
import uvloop

from bench import document, ejabberd, fanout, posts, servers
from bench.chatter import Chatter, parse
from bench.contenders import limit
from bench.load import Broken, Dialect, Member, Socket, Stream
from bench.report import Part
from bench.sizes import SMALL
from bench.staying import Staying
from bench.wire import frame

TINY = dataclasses.replace(SMALL, seconds=0.1, warm_up=0.05, settle_seconds=0.3, members=(12, 4), windows=(2,))


class Faulty(limit.Limit):
    """The bare protocol with a fault at message 5: two sockets, of which one may be the sender, get something else."""

    fault = ""

    def send_to_all(self, ready):
        for index, member in enumerate(sorted(limit.members, key=id)):
            for piece in self.pieces(ready, is_faulty=index < 2 and b'"seq":5,' in ready):
                member.transport.write(piece)

    def pieces(self, ready, *, is_faulty):
        if not is_faulty:
            return [ready]
        other = ready.replace(b"5 words", b"6 words")
        return {"missing": [], "doubled": [ready, ready], "out of order": [other, ready]}[self.fault]


async def fan_out_with(kind):
    """Fan out over this protocol to four members."""
    limit.members.clear()
    listening = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(kind, sock=listening)
    port = listening.getsockname()[1]
    running = servers.Running("in this process", port, [Dialect() for _ in range(5)], [])
    club = await fanout.open_club(running)
    try:
        return await fanout.measure(club, window=4, seconds=0.1, warm_up=0.02)
    finally:
        for member in (*club.members, club.sender):
            member.stream = None
            member.close()
        server.close()


def test_fan_out_counts_messages_that_all_members_received():
    assert uvloop.run(fan_out_with(limit.Limit)).deliveries > 100


@pytest.mark.parametrize("fault", ["missing", "doubled", "out of order"])
def test_fan_out_fails_when_one_member_gets_something_else(fault):
    with pytest.raises(Broken):
        uvloop.run(fan_out_with(type("Faulty", (Faulty,), {"fault": fault})))


class Cutting(asyncio.Protocol):
    """A server that lets a client join, and closes the socket at the first message."""

    def connection_made(self, transport):
        self.transport = transport
        self.answers = [b"HTTP/1.1 101 Switching Protocols\r\n\r\n", frame(b'{"join":"1","head":0}')]

    def data_received(self, data):
        if self.answers:
            self.transport.write(self.answers.pop(0))
        else:
            self.transport.close()


async def test_sockets_that_stay_say_why_they_broke_although_their_process_has_ended():
    server = await asyncio.get_running_loop().create_server(Cutting, "127.0.0.1", 0)
    dialect = Dialect(answers={None: b'{"command":"join","room":"1"}'}, ready=b'{"join"')
    staying = await asyncio.to_thread(Staying, [dialect], server.sockets[0].getsockname()[1])
    try:
        staying.post()
        await asyncio.to_thread(staying._process.join, 20)
        with pytest.raises(Broken, match="closed"):
            await staying.stop()
    finally:
        staying.close()
        server.close()


class Written:
    """A transport that keeps what is written."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def is_closing(self):
        return False


@pytest.mark.parametrize("kind", [Socket, Member, Chatter])
def test_each_socket_answers_a_ping_with_its_payload_because_servers_close_it_otherwise(kind):
    async def answer():
        one = kind(Dialect(), "127.0.0.1")
        one.transport = Written()
        one.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        if kind is Member:
            one.listen(Stream(1, lambda number, at: None, lambda error: None))
        one.data_received(b"\x89\x04ping")
        return one.transport.data

    assert uvloop.run(answer()) == b"\x8a\x84\0\0\0\0ping"


def stanza(receiver, text):
    return frame(
        f"<message xmlns='jabber:client' to='{receiver}@localhost/r' from='1@conference.localhost/bob' type='groupchat'"
        f" id='c'><body>{text}</body></message>".encode()
    )


@pytest.mark.parametrize(
    ("second", "is_same"),
    [
        pytest.param(["1 a", "2 b"], True, id="the same"),
        pytest.param(["1 a", "2 c"], False, id="another text"),
        pytest.param(["2 b", "1 a"], False, id="out of order"),
    ],
)
def test_frames_that_name_their_receiver_are_compared_without_the_name(second, is_same):
    completed, faults = [], []

    async def receive():
        stream = Stream(2, lambda number, at: completed.append(number), faults.append)
        for receiver, texts in (("123", ["1 a", "2 b"]), ("98765", second)):
            member = Member(ejabberd.dialect(1), "127.0.0.1")
            member.transport = Written()
            member.listen(stream)
            data = b"".join(stanza(receiver, text) for text in texts)
            # As a socket may deliver it.
            for start in range(0, len(data), 7):
                member.data_received(data[start : start + 7])

    uvloop.run(receive())
    assert (completed == [1, 2], faults == []) == (is_same, is_same)


@pytest.mark.full_size
@pytest.mark.skipif(ejabberd.code_path() is None, reason="ejabberd is not installed")
@pytest.mark.timeout(60)
def test_ejabberd_is_measured_where_it_is_installed():
    part = uvloop.run(fanout.run(dataclasses.replace(TINY, contenders=("ejabberd",))))
    assert part.failures == []
    assert {row[1] for row in part.table[1:]} == {"ejabberd"}


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2, 1)])
def test_events_that_are_missing_doubled_or_out_of_order_are_found(seqs):
    frames = [frame(b'{"room":"1","username":"bob","message":"hi","msg_type":0,"seq":%d}' % seq) for seq in seqs]
    with pytest.raises(Broken, match="came after"):
        parse(b"".join(frames))


def test_the_audit_accepts_a_log_with_each_message_once():
    posts.check_log([["a", 1, 1], ["b", 1, 2]], {"a": (1, 1), "b": (1, 2)})


@pytest.mark.parametrize(
    "logged",
    [
        pytest.param([["a", 1, 1]], id="missing"),
        pytest.param([["a", 1, 1], ["b", 1, 2], ["b", 1, 3]], id="doubled"),
        pytest.param([["a", 1, 1], ["b", 1, 3]], id="a hole"),
        pytest.param([["b", 1, 1], ["a", 1, 2]], id="out of order"),
        pytest.param([["a", 1, 1], ["b", 1, 2], ["c", 1, 3]], id="never acknowledged"),
    ],
)
def test_the_audit_refuses_any_other_log(logged):
    with pytest.raises(Broken):
        posts.check_log(logged, {"a": (1, 1), "b": (1, 2)})


@pytest.mark.timeout(60)
def test_contenders_start_and_are_measured_in_one_table():
    names = ("the limit", "Multichat, SQLite")
    # Long enough for a server that waits for the processor to announce who has joined, because that is no message.
    part = uvloop.run(fanout.run(dataclasses.replace(TINY, contenders=names, settle_seconds=1.5)))
    assert part.failures == []
    assert {row[1] for row in part.table[1:]} == set(names)
    assert len(part.table) == 1 + len(TINY.members) * len(TINY.windows) * len(names)
    assert all(float(row[2].replace(",", "")) > 0 for row in part.table[1:])


def test_the_page_is_written_again_and_keeps_the_section_written_by_hand(tmp_path, monkeypatch):
    page = tmp_path / "performance.md"
    monkeypatch.setattr(document, "DOCUMENT", page)
    monkeypatch.setattr(document, "CHARTS", tmp_path / "charts")
    parts = {"fanout": Part("Fan-out", "How fast", [["a"], ["1"]])}
    document.write(parts, seconds=60, commands=["fanout"], failed=[])
    assert page.read_text().endswith("| 1 |\n")
    added = "\n## Missed targets\n\nThe echo.\n"
    page.write_text(page.read_text() + added)
    document.write({}, seconds=120, commands=["fanout"], failed=[])
    text = page.read_text()
    assert "This run took 2 minutes." in text and "Fan-out" not in text
    assert text.endswith(added) and text.count(added) == 1
