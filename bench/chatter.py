"""A Multichat client of the load program: sends, waits for acks, and checks the number of every event (Chatter)."""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from bench.load import CLOSE, PING, Broken, Dialect, Socket
from bench.wire import TEXT, frame, pong, split

_EVENT = re.compile(rb'^\{"room":"(\d+)",.*?"seq":(\d+)')
_ACK = re.compile(rb'^\{"ack":"([0-9a-f-]+)","room":"(\d+)","seq":(\d+)\}')


class Ack(NamedTuple):
    client_id: str
    room: int
    seq: int


class Parsed(NamedTuple):
    """What one piece of a stream has: runs of events (room, first and last seq), all else, and how far it goes."""

    runs: tuple[tuple[int, int, int], ...]
    others: tuple[bytes, ...]
    pings: tuple[bytes, ...]
    # The code of a close frame, or 0.
    closed: int
    end: int


@lru_cache(maxsize=256)
def parse(data: bytes) -> Parsed:
    """Parse frames. Many sockets receive the same bytes, so the result is kept.

    Raises Broken when events of a room are missing, doubled or out of order within these bytes.
    """
    runs: dict[int, tuple[int, int]] = {}
    others = []
    pings = []
    closed = start = 0
    while whole := split(data, start):
        opcode, begin, start = whole
        if opcode == TEXT and data.startswith(b'{"room":"', begin) and (event := _EVENT.match(data[begin:start])):
            room, seq = int(event[1]), int(event[2])
            first, last = runs.get(room, (seq, seq - 1))
            if seq != last + 1:
                raise Broken(f"room {room}: event {seq} came after event {last}")
            runs[room] = first, seq
        elif opcode == TEXT:
            others.append(data[begin:start])
        elif opcode == PING:
            pings.append(data[begin:start])
        elif opcode == CLOSE:
            closed = int.from_bytes(data[begin : begin + 2])
    return Parsed(tuple((room, *run) for room, run in runs.items()), tuple(others), tuple(pings), closed, start)


class Chatter(Socket):
    """Calls `on_ack` for each ack and `on_event` for each run of events. Raises Broken through `on_broken`.

    An error frame is Broken unless `on_refused` returns True for it.
    """

    def __init__(self, dialect: Dialect, host: str) -> None:
        super().__init__(dialect, host)
        self.heads: dict[int, int] = {}
        self.closed = 0
        self.on_ack: Callable[[Ack], None] = lambda ack: None
        self.on_events: Callable[[int, int, int], None] = lambda room, first, last: None
        self.on_frame: Callable[[bytes], None] = lambda payload: None
        self.on_refused: Callable[[dict[str, Any]], bool] = lambda error: False
        self.on_broken: Callable[[Broken], None] = self._note

    def lost(self) -> None:
        super().lost()
        self.on_broken(Broken(f"the server closed a socket with code {self.closed}"))

    def send_command(self, **command: object) -> None:
        self.send(json.dumps(command, separators=(",", ":")).encode())

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            super().data_received(data)
            return
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        self._buffer = data[self._handle(data) :]

    def receive(self, payload: bytes) -> None:
        super().receive(payload)
        self._handle(frame(payload))

    def _handle(self, data: bytes) -> int:
        """Check and dispatch the frames in some bytes of the stream, and return where the last one ends."""
        start = 0
        # Acks differ from socket to socket. Without them the bytes of all members are the same.
        while data.startswith(b'{"ack"', start + 2) and (whole := split(data, start)) is not None:
            start = whole[2]
            self._dispatch(data[whole[1] : start])
        if start == len(data):
            return start
        try:
            parsed = parse(data[start:])
            for room, first, last in parsed.runs:
                if room in self.heads and first != self.heads[room] + 1:
                    raise Broken(f"room {room}: event {first} came after event {self.heads[room]}")
                self.heads[room] = last
                self.on_events(room, first, last)
        except Broken as error:
            self.on_broken(error)
            return len(data)
        self.closed = parsed.closed
        for payload in parsed.others:
            self._dispatch(payload)
        for payload in parsed.pings:
            self.transport.write(pong(payload))
        return start + parsed.end

    def _dispatch(self, payload: bytes) -> None:
        if ack := _ACK.match(payload):
            self.on_ack(Ack(ack[1].decode(), int(ack[2]), int(ack[3])))
        elif payload.startswith(b'{"join"'):
            joined = json.loads(payload)
            # The events that follow the join frame begin after the client's own cursor, which is the head without one.
            self.heads.setdefault(int(joined["join"]), joined["head"])
            self.on_frame(payload)
        elif payload.startswith(b'{"error"') and not self.is_closing:
            if not self.on_refused(json.loads(payload)):
                self.on_broken(Broken(f"the server refused a command: {payload[:300].decode()}"))
        else:
            self.on_frame(payload)

    def _note(self, error: Broken) -> None:
        self.errors.append(str(error).encode())
