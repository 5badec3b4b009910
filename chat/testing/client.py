"""A socket client that behaves like the page: it has an outbox, applies events by the same rule, and reconnects."""

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
# Refusals after which the same command is sent again. All others are final.
RETRYABLE = ("SERVER_UNAVAILABLE", "RATE_LIMITED")

Frame = dict[str, Any]


class Refusal(Exception):
    """The server refused: `code` is the error of its frame, or the reason of a leave frame."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame)
        self.code: str = frame.get("error") or frame.get("reason") or "LEFT"
        self.frame = frame


async def sign_in(url: str, username: str, password: str) -> str:
    """Sign in on the login page and return the session's Cookie header."""
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
    """A room's events in order. The rule: an event is applied only if it is the next one."""

    def __init__(self, room: str, since: int | None = None, epoch: str | None = None) -> None:
        self.room = room
        self.epoch = epoch
        self.cursor = since
        self.base = since or 0
        self.events: list[Frame] = []
        self.times: list[float] = []
        self.resets = 0
        # The room's head in the last join reply.
        self.head = 0
        self.is_joined = False
        self.is_joining = False

    @property
    def cursor_fields(self) -> Frame | None:
        """The fields of this room in a resume; None before its first join."""
        return None if self.cursor is None else {"since": self.cursor, "epoch": self.epoch}

    @property
    def is_behind(self) -> bool:
        """Whether events up to the head of the last join reply are still missing."""
        return self.cursor is None or self.cursor < self.head

    def apply_join(self, frame: Frame) -> None:
        """Apply a join reply, which says where the log begins, or that it starts over."""
        self.is_joined, self.is_joining = True, False
        self.epoch, self.head = frame["epoch"], frame["head"]
        if self.cursor is None or frame.get("reset"):
            self.resets += self.cursor is not None
            self.cursor = self.base = frame["head"]
            self.events, self.times = [], []

    def apply_event(self, event: Frame, *, at: float = 0.0) -> Literal["applied", "old", "gap"]:
        """Apply an event if it is the next one; `at` is the time when it came."""
        if self.cursor is None or event["seq"] <= self.cursor:
            return "old"
        if event["seq"] > self.cursor + 1:
            return "gap"
        self.cursor = event["seq"]
        self.events.append(event)
        self.times.append(at)
        return "applied"

    def seen(self, client: str) -> Seen:
        """Return what this log shows, for a recording."""
        return Seen(client=client, room=self.room, base=self.base, events=list(self.events), times=list(self.times))


class _Waiting:
    """A command in the outbox, until it is acknowledged or finally refused."""

    def __init__(self, sent: Sent, command: Frame) -> None:
        self.sent = sent
        self.command = command
        self.is_in_flight = False
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Retrieve the exception, because callers need not await the future.
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())


class SocketClient:
    """One open page: `async with SocketClient(url, cookie, name="bob") as bob: await bob.join(1)`.

    It sends a command again until it is acknowledged or finally refused, with at most `window` unacknowledged
    commands per room. After every cut it reconnects with one resume frame. It keeps what it sent and saw for `check`.
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
        keep_signals: bool = True,
    ) -> None:
        self.name = name
        self.username = name.partition("@")[0]
        self.window = window
        self.logs: dict[str, RoomLog] = {}
        self.sent: list[Sent] = []
        self.closes: list[int] = []
        # The times at which each successful handshake began and ended.
        self.handshakes: list[tuple[float, float]] = []
        # Empty without `keep_signals`: a thousand pages that enter the same rooms are sent millions of them.
        self.signals: list[Frame] = []
        self.errors: list[Frame] = []
        # Called with each received frame before it is handled, for tests that inspect the wire.
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        # How often it has reconnected.
        self.resumes = -1
        # How often an event was not the next one. The server's sessions never write such events.
        self.gaps = 0
        self._url = urllib.parse.urlsplit(url)
        self._cookie = cookie
        self._heartbeat_seconds = heartbeat_seconds
        self._backoff_seconds = backoff_seconds
        self._receive_buffer = receive_buffer
        self._keep_signals = keep_signals
        self._outboxes: dict[str, deque[_Waiting]] = defaultdict(deque)
        self._waiting: dict[str, _Waiting] = {}
        self._confirmed: dict[str, Sent] = {}
        self._histories: dict[str, deque[asyncio.Future[Frame]]] = defaultdict(deque)
        self._left: dict[str, Refusal] = {}
        self._socket: ClientConnection | None = None
        self._commands: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._heard_at = 0.0
        self._reconnect_after = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Disconnect, and do not reconnect."""
        if self._task is not None:
            self._task.cancel()
            [outcome] = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(outcome, Exception):
                raise outcome

    async def join(self, room: int | str, *, since: int | None = None, epoch: str | None = None) -> RoomLog:
        """Open a room and return its log. With `since`, the events after it follow. Raises Refusal."""
        key = str(room)
        self._left.pop(key, None)
        log = self.logs.setdefault(key, RoomLog(key, since, epoch))
        self._request_join(log)
        await self.until(lambda: log.is_joined or key in self._left)
        if key in self._left:
            raise self._left[key]
        return log

    async def leave(self, room: int | str) -> None:
        """Close a room. A log that `join` returned stays usable."""
        self._send_command({"command": "leave", "room": str(room)})
        await self.until(lambda: str(room) not in self.logs)

    def send(self, room: int | str, message: str, **fields: Any) -> asyncio.Future[int]:
        """Post a message. The future resolves to its seq when it is acknowledged, or raises Refusal."""
        return self._enqueue("send", str(room), message, None, fields | {"message": message})

    def edit(self, room: int | str, seq: int, message: str) -> asyncio.Future[int]:
        """Edit message `seq`. Returns a future as `send` does."""
        return self._enqueue("edit", str(room), message, seq, {"seq": seq, "message": message})

    def delete(self, room: int | str, seq: int) -> asyncio.Future[int]:
        """Delete message `seq`. Returns a future as `send` does."""
        return self._enqueue("delete", str(room), None, seq, {"seq": seq})

    def react(self, room: int | str, seq: int, emoji: str, *, on: bool = True) -> asyncio.Future[int]:
        """Give message `seq` an emoji, or take it back. Returns a future as `send` does."""
        return self._enqueue("react", str(room), emoji, seq, {"seq": seq, "emoji": emoji, "on": on})

    def confirm(self, room: int | str, seq: int) -> asyncio.Future[int]:
        """Confirm alert `seq`. Returns a future as `send` does."""
        return self._enqueue("confirm", str(room), None, seq, {"seq": seq})

    def resolve(self, room: int | str, seq: int) -> asyncio.Future[int]:
        """Say that alert `seq` is over. Returns a future as `send` does."""
        return self._enqueue("resolve", str(room), None, seq, {"seq": seq})

    async def history(self, room: int | str, **fields: int) -> Frame:
        """Return a page of history."""
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._histories[str(room)].append(answer)
        if self._socket is None:
            self._answer_history(str(room), ConnectionError("there is no connection"))
        self._send_command({"command": "history", "room": str(room), **fields})
        return await answer

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until a condition holds, which is checked after each frame. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_sent(self, seconds: float = 30.0) -> None:
        """Wait until the outboxes of all open rooms are empty. Raises TimeoutError."""
        await self.until(lambda: not any(self._outboxes[room] for room in self.logs), seconds)

    def stop_reading(self) -> None:
        """Stop reading from the socket, like a page that hangs."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Read from the socket again."""
        self._may_read.set()

    def cut(self) -> None:
        """Cut the connection. The client reconnects by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    @property
    def is_connected(self) -> bool:
        return self._socket is not None

    async def _run(self) -> None:
        tries = 0
        while CloseCode.SIGN_IN not in self.closes:
            with suppress(OSError, WebSocketException, TimeoutError):
                began = asyncio.get_running_loop().time()
                async with self._connect() as self._socket:
                    self.handshakes.append((began, asyncio.get_running_loop().time()))
                    tries = 0
                    await self._serve(self._socket)
            self._forget_connection()
            first, most = self._backoff_seconds
            await asyncio.sleep(max(self._reconnect_after, random.uniform(0, min(most, first * 2**tries))))
            self._reconnect_after = 0.0
            tries += 1

    def _connect(self) -> connect:
        host, port = self._url.hostname, self._url.port
        raw = socket.socket()
        if self._receive_buffer is not None:
            # Set before connecting, because the handshake fixes the size of the window.
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

    async def _serve(self, connection: ClientConnection) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._commands = asyncio.Queue()
        self.resumes += 1
        self._send_greeting()
        cursors = {room: log.cursor_fields for room, log in self.logs.items() if log.cursor_fields is not None}
        if cursors:
            self._send_command({"command": "resume", "rooms": cursors})
        for log in self.logs.values():
            if log.cursor_fields is None:
                self._request_join(log)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(work) for work in (self._write(connection), self._beat(connection))]
        try:
            async for text in connection:
                await self._may_read.wait()
                self._heard_at = asyncio.get_running_loop().time()
                self._handle_frame(json.loads(text))
                self._changed.set()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if connection.close_code is not None:
                self.closes.append(connection.close_code)

    def _send_greeting(self) -> None:
        """Send the first commands on a new connection. This client has none; PageClient overrides it."""

    def _forget_connection(self) -> None:
        self._socket = None
        for log in self.logs.values():
            log.is_joined = log.is_joining = False
        for outbox in self._outboxes.values():
            for waiting in outbox:
                waiting.is_in_flight = False
        for room, histories in self._histories.items():
            while histories:
                self._answer_history(room, ConnectionError("cut while waiting for history"))
        self._changed.set()

    async def _write(self, connection: ClientConnection) -> None:
        while True:
            await connection.send(await self._commands.get())

    async def _beat(self, connection: ClientConnection) -> None:
        """Send heartbeats, and abort the connection if it was silent for two of them."""
        while True:
            self._send_command({"command": "ping"})
            await asyncio.sleep(self._heartbeat_seconds)
            if (
                self._may_read.is_set()
                and asyncio.get_running_loop().time() - self._heard_at > 2 * self._heartbeat_seconds
            ):
                connection.transport.abort()

    def _send_command(self, command: Frame) -> None:
        self._commands.put_nowait(json.dumps(command))

    def _handle_frame(self, frame: Frame) -> None:
        self.on_frame(frame)
        if "error" in frame:
            self._handle_refusal(frame)
        elif "ack" in frame:
            self._confirm(frame["ack"], frame["seq"])
        elif "join" in frame:
            log = self.logs.setdefault(frame["join"], RoomLog(frame["join"]))
            log.apply_join(frame)
            self._flush(log.room)
        elif "leave" in frame:
            self.logs.pop(frame["leave"], None)
            self._left[frame["leave"]] = Refusal(frame)
        elif "history" in frame:
            self._answer_history(frame["history"], frame)
        elif "bye" in frame:
            self._reconnect_after = frame["bye"]["retry_ms"] / 1000
        elif "seq" in frame:
            self._handle_event(frame)
        elif "room" in frame and self._keep_signals:
            self.signals.append(frame)

    def _answer_history(self, room: str, outcome: Frame | Exception) -> None:
        answer = self._histories[room].popleft()
        if answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
            # Retrieve the exception, because PageClient does not await the answer.
            answer.exception()
        else:
            answer.set_result(outcome)

    def _handle_event(self, event: Frame) -> None:
        log = self.logs.get(event["room"])
        if log is None:
            return
        if log.apply_event(event, at=asyncio.get_running_loop().time()) == "gap":
            self.gaps += 1
            self._request_join(log)
        if "client_id" in event:
            self._confirm(event["client_id"], event["seq"])

    def _request_join(self, log: RoomLog) -> None:
        """Send a join, with the cursor if there is one, unless one is unanswered already."""
        if not log.is_joining:
            log.is_joining = self._socket is not None
            self._send_command({"command": "join", "room": log.room, **(log.cursor_fields or {})})

    def _handle_refusal(self, frame: Frame) -> None:
        self.errors.append(frame)
        room = frame.get("room", "")
        if frame.get("command") in ("join", "resume") and room in self.logs:
            log = self.logs[room]
            log.is_joining = False
            if frame["error"] in RETRYABLE:
                self._call_later(frame, lambda: self._request_join(log))
            else:
                self.logs.pop(room)
                self._left[room] = Refusal(frame)
        elif frame.get("command") == "resume" and frame["error"] in RETRYABLE:
            # The whole resume failed, so join the rooms one by one.
            for log in self.logs.values():
                self._call_later(frame, partial(self._request_join, log))
        elif frame.get("command") == "history":
            self._answer_history(room, Refusal(frame))
        elif waiting := self._waiting.get(frame.get("client_id", "")):
            if frame["error"] in RETRYABLE:
                self._call_later(frame, lambda: self._retry(waiting))
            else:
                waiting.sent.refused = frame["error"]
                self._remove(waiting)
                if not waiting.done.done():
                    waiting.done.set_exception(Refusal(frame))

    def _call_later(self, frame: Frame, work: Callable[[], object]) -> None:
        connection = self._socket

        def if_still_connected() -> None:
            if self._socket is connection:
                work()

        asyncio.get_running_loop().call_later(frame.get("retry_after", 1), if_still_connected)

    def _enqueue(
        self, kind: str, room: str, text: str | None, target: int | None, fields: Frame
    ) -> asyncio.Future[int]:
        client_id = str(uuid.uuid4())
        sent = Sent(
            client=self.name,
            username=self.username,
            room=room,
            client_id=client_id,
            kind=kind,
            text=text,
            target=target,
            is_on=fields.get("on"),
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
                self._send_command(waiting.command)

    def _retry(self, waiting: _Waiting) -> None:
        waiting.is_in_flight = False
        self._flush(waiting.sent.room)

    def _remove(self, waiting: _Waiting) -> None:
        del self._waiting[waiting.sent.client_id]
        self._outboxes[waiting.sent.room].remove(waiting)
        self._flush(waiting.sent.room)

    def _confirm(self, client_id: str, seq: int) -> None:
        """Confirm a command by its ack or its event, whichever comes first. The checker compares the seqs of both."""
        if waiting := self._waiting.get(client_id):
            waiting.sent.acked = asyncio.get_running_loop().time()
            waiting.sent.seqs.append(seq)
            self._confirmed[client_id] = waiting.sent
            self._remove(waiting)
            if not waiting.done.done():
                waiting.done.set_result(seq)
        elif sent := self._confirmed.get(client_id):
            sent.seqs.append(seq)
