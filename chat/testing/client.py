"""A socket client that behaves like the page: an outbox, one rule for events, and it always comes back."""

import asyncio
import http.client
import json
import random
import re
import socket
import urllib.parse
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Literal, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from chat.protocol import CloseCode
from chat.testing.recording import Seen, Sent

STREAM_PATH = "/chat/stream/"
# Refusals after which the same command is sent again; every other one is final.
PASSING = ("SERVER_UNAVAILABLE", "RATE_LIMITED")

Frame = dict[str, Any]


class Refusal(Exception):
    """The server said no: `code` is the frame's error (or a leave's reason)."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.code: str = frame.get("error") or frame.get("reason") or "LEFT"
        self.frame = frame


async def sign_in(url: str, username: str, password: str) -> str:
    """Sign in by the login page and return the Cookie header of the session."""
    return await asyncio.to_thread(_sign_in, url, username, password)


def _sign_in(url: str, username: str, password: str) -> str:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=10)
    try:
        connection.request("GET", "/accounts/login/")
        cookies = _cookies(connection.getresponse())
        token = next(value for name, value in cookies.items() if name.endswith("csrftoken"))
        form = {"username": username, "password": password, "csrfmiddlewaretoken": token}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "Origin": url.rstrip("/"),
        }
        connection.request("POST", "/accounts/login/", urllib.parse.urlencode(form), headers)
        response = connection.getresponse()
        if response.status != http.client.FOUND:
            raise PermissionError(f"{username} could not sign in: status {response.status}")
        return "; ".join(f"{name}={value}" for name, value in _cookies(response).items())
    finally:
        connection.close()


def _cookies(response: http.client.HTTPResponse) -> dict[str, str]:
    set_cookies = response.msg.get_all("Set-Cookie") or []
    response.read()
    return {match[1]: match[2] for line in set_cookies if (match := re.match(r"([^=]+)=([^;]*)", line))}


class RoomLog:
    """One room's ordered events, by the one rule: an event is applied only if it is the next one."""

    def __init__(self, room: str, since: int | None = None, epoch: str | None = None) -> None:
        self.room = room
        self.epoch = epoch
        self.cursor = since
        self.base = since or 0
        self.events: list[Frame] = []
        self.times: list[float] = []
        self.resets = 0
        # Where the room stood at the last join reply.
        self.head = 0
        self.is_joined = False
        self.asks = False

    @property
    def place(self) -> Frame | None:
        """What a resume says of this room; None before its first join."""
        return None if self.cursor is None else {"since": self.cursor, "epoch": self.epoch}

    @property
    def is_behind(self) -> bool:
        """Whether events are still to come that the last join reply told of."""
        return self.cursor is None or self.cursor < self.head

    def joined(self, frame: Frame) -> None:
        """Take a join reply: where the log begins, or begins anew."""
        self.is_joined, self.asks = True, False
        self.epoch, self.head = frame["epoch"], frame["head"]
        if self.cursor is None or frame.get("reset"):
            self.resets += self.cursor is not None
            self.cursor = self.base = frame["head"]
            self.events, self.times = [], []

    def take(self, event: Frame, *, at: float = 0.0) -> Literal["applied", "old", "gap"]:
        """Apply an event if it is the next one; `at` is when it came."""
        if self.cursor is None or event["seq"] <= self.cursor:
            return "old"
        if event["seq"] > self.cursor + 1:
            return "gap"
        self.cursor = event["seq"]
        self.events.append(event)
        self.times.append(at)
        return "applied"

    def seen(self, client: str) -> Seen:
        """Return what is shown, for a recording."""
        return Seen(client=client, room=self.room, base=self.base, events=list(self.events), times=list(self.times))


class _Waiting:
    """A command in the outbox, until it is acknowledged or refused for good."""

    def __init__(self, sent: Sent, command: Frame) -> None:
        self.sent = sent
        self.command = command
        self.is_in_flight = False
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Nobody may wait for it.
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())


class SocketClient:
    """One open page: `async with SocketClient(url, cookie, name="bob") as bob: await bob.join(1)`.

    It sends a text again until it is acknowledged or refused for good, at most `window` unacknowledged
    per room; after every cut it comes back with one resume frame. What it sent and saw is kept for `check`.
    """

    def __init__(
        self,
        url: str,
        cookie: str,
        *,
        name: str,
        window: int = 1,
        heartbeat_seconds: float = 2.0,
        backoff_seconds: tuple[float, float] = (0.05, 1.0),
        receive_buffer: int | None = None,
    ) -> None:
        self.name = name
        self.username = name.partition("@")[0]
        self.window = window
        self.logs: dict[str, RoomLog] = {}
        self.sent: list[Sent] = []
        self.closes: list[int] = []
        # When each handshake that succeeded began and ended.
        self.handshakes: list[tuple[float, float]] = []
        self.signals: list[Frame] = []
        self.errors: list[Frame] = []
        # Each frame in, before anything is made of it: for tests that look at the wire.
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        # How often it came back.
        self.resumes = -1
        # How often an event came that was not the next one: the server's sessions never write one.
        self.gaps = 0
        self._url = urllib.parse.urlsplit(url)
        self._cookie = cookie
        self._heartbeat_seconds = heartbeat_seconds
        self._backoff_seconds = backoff_seconds
        self._receive_buffer = receive_buffer
        self._outboxes: dict[str, deque[_Waiting]] = defaultdict(deque)
        self._waiting: dict[str, _Waiting] = {}
        self._settled: dict[str, Sent] = {}
        self._histories: dict[str, deque[asyncio.Future[Frame]]] = defaultdict(deque)
        self._gone: dict[str, Refusal] = {}
        self._socket: ClientConnection | None = None
        self._out: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._reads = asyncio.Event()
        self._reads.set()
        self._heard_at = 0.0
        self._come_back_after = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Go away for good."""
        if self._task is not None:
            self._task.cancel()
            [outcome] = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(outcome, Exception):
                raise outcome

    async def join(self, room: int | str, *, since: int | None = None, epoch: str | None = None) -> RoomLog:
        """Open a room and return its log; with `since`, what came after it follows. Raises Refusal."""
        key = str(room)
        self._gone.pop(key, None)
        log = self.logs.setdefault(key, RoomLog(key, since, epoch))
        self._ask(log)
        await self.until(lambda: log.is_joined or key in self._gone)
        if key in self._gone:
            raise self._gone[key]
        return log

    async def leave(self, room: int | str) -> None:
        """Close a room; its log is kept by whoever holds it."""
        self._put({"command": "leave", "room": str(room)})
        await self.until(lambda: str(room) not in self.logs)

    def send(self, room: int | str, message: str, **fields: Any) -> asyncio.Future[int]:
        """Post a text; the future is its seq once it is acknowledged, or raises Refusal."""
        return self._queue("send", str(room), message, None, fields | {"message": message})

    def edit(self, room: int | str, seq: int, message: str) -> asyncio.Future[int]:
        """Give message `seq` another text; as send."""
        return self._queue("edit", str(room), message, seq, {"seq": seq, "message": message})

    def delete(self, room: int | str, seq: int) -> asyncio.Future[int]:
        """Delete message `seq`; as send."""
        return self._queue("delete", str(room), None, seq, {"seq": seq})

    async def history(self, room: int | str, **fields: int) -> Frame:
        """Return a page of history."""
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._histories[str(room)].append(answer)
        if self._socket is None:
            self._answer_history(str(room), ConnectionError("there is no line"))
        self._put({"command": "history", "room": str(room), **fields})
        return await answer

    async def until(self, is_so: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something is so; asked after each frame. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def until_sent(self, seconds: float = 30.0) -> None:
        """Wait until nothing waits to be sent into an open room. Raises TimeoutError."""
        await self.until(lambda: not any(self._outboxes[room] for room in self.logs), seconds)

    def stop_reading(self) -> None:
        """Take nothing more from the socket, as a page that hangs."""
        self._reads.clear()

    def read_on(self) -> None:
        """Read again."""
        self._reads.set()

    def cut(self) -> None:
        """Cut the line; the client comes back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    # The line

    async def _run(self) -> None:
        tries = 0
        while CloseCode.SIGN_IN not in self.closes:
            with suppress(OSError, WebSocketException, TimeoutError):
                began = asyncio.get_running_loop().time()
                async with self._connected() as self._socket:
                    self.handshakes.append((began, asyncio.get_running_loop().time()))
                    tries = 0
                    await self._use(self._socket)
            self._lost()
            first, most = self._backoff_seconds
            await asyncio.sleep(max(self._come_back_after, random.uniform(0, min(most, first * 2**tries))))
            self._come_back_after = 0.0
            tries += 1

    def _connected(self) -> connect:
        host, port = self._url.hostname, self._url.port
        raw = socket.socket()
        if self._receive_buffer is not None:
            # Before the connection is made: the window is agreed on in its handshake.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        raw.settimeout(2)
        try:
            raw.connect((host, port))
        except OSError:
            raw.close()
            raise
        raw.setblocking(False)
        return connect(
            f"ws://{self._url.netloc}{STREAM_PATH}",
            sock=raw,
            origin=f"http://{self._url.netloc}",  # type: ignore[arg-type]
            additional_headers={"Cookie": self._cookie},
            compression=None,
            open_timeout=5,
            close_timeout=0.5,
            ping_interval=None,
            proxy=None,
        )

    async def _use(self, line: ClientConnection) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._out = asyncio.Queue()
        self.resumes += 1
        self._greet()
        cursors = {room: log.place for room, log in self.logs.items() if log.place is not None}
        if cursors:
            self._put({"command": "resume", "rooms": cursors})
        for log in self.logs.values():
            if log.place is None:
                self._ask(log)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(work) for work in (self._write(line), self._watch(line))]
        try:
            async for text in line:
                await self._reads.wait()
                self._heard_at = asyncio.get_running_loop().time()
                self._take(json.loads(text))
                self._changed.set()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if line.close_code is not None:
                self.closes.append(line.close_code)

    def _greet(self) -> None:
        """Send what comes before the rooms on a new connection: nothing, for a client that is no page."""

    def _lost(self) -> None:
        self._socket = None
        for log in self.logs.values():
            log.is_joined = log.asks = False
        for outbox in self._outboxes.values():
            for waiting in outbox:
                waiting.is_in_flight = False
        for room, histories in self._histories.items():
            while histories:
                self._answer_history(room, ConnectionError("cut while waiting for history"))
        self._changed.set()

    async def _write(self, line: ClientConnection) -> None:
        while True:
            await line.send(await self._out.get())

    async def _watch(self, line: ClientConnection) -> None:
        """The heartbeat: a line that says nothing for two beats is dead."""
        while True:
            self._put({"command": "ping"})
            await asyncio.sleep(self._heartbeat_seconds)
            if (
                self._reads.is_set()
                and asyncio.get_running_loop().time() - self._heard_at > 2 * self._heartbeat_seconds
            ):
                line.transport.abort()

    def _put(self, command: Frame) -> None:
        self._out.put_nowait(json.dumps(command))

    # What comes in

    def _take(self, frame: Frame) -> None:
        self.on_frame(frame)
        if "error" in frame:
            self._refused(frame)
        elif "ack" in frame:
            self._settle(frame["ack"], frame["seq"])
        elif "join" in frame:
            log = self.logs.setdefault(frame["join"], RoomLog(frame["join"]))
            log.joined(frame)
            self._flush(log.room)
        elif "leave" in frame:
            self.logs.pop(frame["leave"], None)
            self._gone[frame["leave"]] = Refusal(frame)
        elif "history" in frame:
            self._answer_history(frame["history"], frame)
        elif "bye" in frame:
            self._come_back_after = frame["bye"]["retry_ms"] / 1000
        elif "seq" in frame:
            self._event(frame)
        elif "room" in frame:
            self.signals.append(frame)

    def _answer_history(self, room: str, outcome: Frame | Exception) -> None:
        answer = self._histories[room].popleft()
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
            # A page asks without waiting for the answer.
            answer.exception()
        else:
            answer.set_result(outcome)

    def _event(self, event: Frame) -> None:
        log = self.logs.get(event["room"])
        if log is None:
            return
        if log.take(event, at=asyncio.get_running_loop().time()) == "gap":
            self.gaps += 1
            self._ask(log)
        if "client_id" in event:
            self._settle(event["client_id"], event["seq"])

    def _ask(self, log: RoomLog) -> None:
        """Join, from the cursor on if there is one; once until the answer is here."""
        if not log.asks:
            log.asks = self._socket is not None
            self._put({"command": "join", "room": log.room, **(log.place or {})})

    def _refused(self, frame: Frame) -> None:
        self.errors.append(frame)
        room = frame.get("room", "")
        if frame.get("command") in ("join", "resume") and room in self.logs:
            log = self.logs[room]
            log.asks = False
            if frame["error"] in PASSING:
                self._later(frame, lambda: self._ask(log))
            else:
                self.logs.pop(room)
                self._gone[room] = Refusal(frame)
        elif frame.get("command") == "resume" and frame["error"] in PASSING:
            # The whole of it failed; the cursors are asked again one by one.
            for log in self.logs.values():
                self._later(frame, partial(self._ask, log))
        elif frame.get("command") == "history":
            self._answer_history(room, Refusal(frame))
        elif waiting := self._waiting.get(frame.get("client_id", "")):
            if frame["error"] in PASSING:
                self._later(frame, lambda: self._again(waiting))
            else:
                waiting.sent.refused = frame["error"]
                self._forget(waiting)
                if not waiting.done.done():
                    waiting.done.set_exception(Refusal(frame))

    def _later(self, frame: Frame, work: Callable[[], object]) -> None:
        line = self._socket

        def if_same_line() -> None:
            if self._socket is line:
                work()

        asyncio.get_running_loop().call_later(frame.get("retry_after", 1), if_same_line)

    # The outbox

    def _queue(self, kind: str, room: str, text: str | None, target: int | None, fields: Frame) -> asyncio.Future[int]:
        client_id = str(uuid.uuid4())
        sent = Sent(
            client=self.name,
            username=self.username,
            room=room,
            client_id=client_id,
            kind=kind,
            text=text,
            target=target,
            seqs=[],
        )
        waiting = _Waiting(sent, {"command": kind, "room": room, "client_id": client_id, **fields})
        self.sent.append(sent)
        self._waiting[client_id] = waiting
        self._outboxes[room].append(waiting)
        self._flush(room)
        return waiting.done

    def _flush(self, room: str) -> None:
        log = self.logs.get(room)
        if self._socket is None or log is None or not log.is_joined:
            return
        outbox = self._outboxes[room]
        for position in range(min(self.window, len(outbox))):
            waiting = outbox[position]
            if not waiting.is_in_flight:
                waiting.is_in_flight = True
                waiting.sent.began = waiting.sent.began or asyncio.get_running_loop().time()
                waiting.sent.tries += 1
                self._put(waiting.command)

    def _again(self, waiting: _Waiting) -> None:
        waiting.is_in_flight = False
        self._flush(waiting.sent.room)

    def _forget(self, waiting: _Waiting) -> None:
        del self._waiting[waiting.sent.client_id]
        self._outboxes[waiting.sent.room].remove(waiting)
        self._flush(waiting.sent.room)

    def _settle(self, client_id: str, seq: int) -> None:
        """Confirm by ack or by event, whichever comes first; the other must name the same place."""
        if waiting := self._waiting.get(client_id):
            waiting.sent.acked = asyncio.get_running_loop().time()
            waiting.sent.seqs.append(seq)
            self._settled[client_id] = waiting.sent
            self._forget(waiting)
            if not waiting.done.done():
                waiting.done.set_result(seq)
        elif sent := self._settled.get(client_id):
            sent.seqs.append(seq)
