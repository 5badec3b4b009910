"""Runs uvicorn with two changes: the hub drains before sockets are closed, and a stuck WebSocket is closed.

multichat.workers and the tests start it as `python -m multichat.server`. Settings come from the environment.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.protocol import State

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "multichat.settings")

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from multichat.asgi import application  # isort: skip  sets Django up
from chat import doorbell, limits
from chat.conf import conf
from chat.consumers import SOCKET_EXTENSION
from chat.live import database, hub, janitor, pusher, webhook_sender, writer
from chat.live.sockets import Run
from chat.protocol import CloseCode
from multichat import cleaning, logs, reloading
from multichat.connection import HEAD_BYTES, HEADERS, HttpProtocol
from multichat.idle import raise_descriptor_limit
from multichat.listening import bind

logger = logging.getLogger("multichat.server")

# How long a flooding peer may take to read the close. Its own bytes are not read any more.
FLOOD_ABORT_SECONDS = 1.0
# A message comes in one frame or a few. Each empty fragment would keep memory until the message ends.
MAX_FRAGMENTS = 1000
KEEP_ALIVE_SECONDS = 75
SEND_BUFFER_BYTES = 64 * 1024
# After how many new objects the garbage collector looks for cycles, and how often among all objects.
GC_THRESHOLDS = (20_000, 10, 3)
# After how many seconds a thread that computes lets another one run. Python's 5 ms are added to each statement of a
# message, because the writer's thread waits for the database and then for a busy event loop.
SWITCH_SECONDS = 0.0005
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


# HttpProtocol limits the whole head. Within it, a cookie header may be longer than the 8 KiB of websockets.
http11.MAX_LINE_LENGTH = HEAD_BYTES + 1024
http11.MAX_NUM_HEADERS = HEADERS


class ChatProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, which also writes already encoded frames and closes stuck peers."""

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][SOCKET_EXTENSION] = self  # type: ignore[assignment]
        self._stuck_at = 0
        self._stuck_since = 0.0
        self._stuck_timer: asyncio.TimerHandle | None = None
        self._fragments = 0
        self._pings = limits.TokenBucket("BAD_FRAMES")

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None and not self.transport.is_closing():
            # websockets does not understand this request. uvicorn would leave the connection open forever.
            self.transport.write(BAD_REQUEST)
            self.transport.close()

    # The interface for sessions (chat.live.sockets.Socket).

    @property
    def is_closed(self) -> bool:
        return bool(self.close_sent or self.disconnected or self.transport.is_closing())

    def write(self, run: Run) -> int:
        if not self.writable.is_set() or self.is_closed:
            return 0
        self.transport.write(run.wire)
        return run.count

    async def drained(self) -> bool:
        await self.writable.wait()
        return not self.is_closed

    async def close(self, code: int) -> None:
        if not self.disconnected and not self.close_sent:
            self._close_past_buffer(code, FLOOD_ABORT_SECONDS if code == CloseCode.FLOOD else self.close_timeout)

    # Protection against hostile peers below the level of text messages.

    def handle_text(self, event: Any) -> None:
        self._fragments = 0
        super().handle_text(event)

    def handle_bytes(self, event: Any) -> None:
        self._fragments = 0
        super().handle_bytes(event)

    def handle_cont(self, event: Any) -> None:
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS and not self.close_sent:
            self._close_past_buffer(CloseCode.FLOOD, FLOOD_ABORT_SECONDS)
        elif not self.close_sent:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self.close_sent or not self.writable.is_set():
            # A peer that does not read gets no pongs, because they would pile up in the buffer.
            self.conn.data_to_send()
        elif self._pings.take() > 0:
            self.conn.data_to_send()
            self._close_past_buffer(CloseCode.FLOOD, FLOOD_ABORT_SECONDS)
        else:
            super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent and not _is_utf8(self.frames):
            self.frames = []
            self._close_past_buffer(CloseCode.NOT_TEXT, FLOOD_ABORT_SECONDS)
        else:
            super().send_receive_event_to_app()

    # Peers that accept no bytes. ASGI's own close would wait on the same full buffer forever.

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_at = self.transport.get_write_buffer_size()
        self._stuck_since = self.loop.time()
        self._start_stuck_timer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stuck_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_stuck_timer()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """Abort without a pong, because uvicorn closes behind a full buffer, and does not notify the application."""
        super().keepalive_timeout()
        if self.transport.is_closing():
            self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.NO_PONG, "reason": ""})
            self.writable.set()
            self.loop.call_later(conf.STUCK_ABORT_SECONDS, self.transport.abort)

    def _start_stuck_timer(self) -> None:
        self._stop_stuck_timer()
        self._stuck_timer = self.loop.call_later(conf.STUCK_SECONDS / 10, self._check_stuck)

    def _stop_stuck_timer(self) -> None:
        if getattr(self, "_stuck_timer", None) is not None:
            self._stuck_timer.cancel()  # type: ignore[union-attr]
            self._stuck_timer = None

    def _check_stuck(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < self._stuck_at:
            # The peer accepts bytes, however slowly: a slow catch-up is never cut. Our own pings make the buffer grow.
            self._stuck_at, self._stuck_since = waiting, self.loop.time()
        if self.loop.time() - self._stuck_since < conf.STUCK_SECONDS:
            self._start_stuck_timer()
        elif not self.close_sent:
            self._close_stuck()

    def _close_stuck(self) -> None:
        logger.info("socket=%s took no byte for %.0f s: closing it", self.client, conf.STUCK_SECONDS)
        self._close_past_buffer(CloseCode.TOO_SLOW, conf.STUCK_ABORT_SECONDS)

    def _close_past_buffer(self, code: int, abort_seconds: float) -> None:
        """Close without waiting for a full buffer. If the peer reads after all, it learns the reason."""
        if self.conn.state is State.OPEN:
            # In other states, the peer's own close came first, and its answer waits in the same buffer.
            self.conn.send_close(code)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        if code == CloseCode.FLOOD:
            # Nothing from this peer is read any more, not even its own close.
            self.transport.pause_reading()
        elif self.read_paused:
            # Read on, to receive the peer's own close.
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(abort_seconds, self.transport.abort)
        # Wake the tasks that wait for the buffer, because it will not drain.
        self.writable.set()


def _is_utf8(fragments: list[bytes]) -> bool:
    try:
        b"".join(fragments).decode()
    except UnicodeDecodeError:
        return False
    return True


class Server(uvicorn.Server):
    """Shuts down gracefully: drafts are saved and acknowledged, each client gets a `bye`, every close is 1012."""

    def __init__(self, config: uvicorn.Config, *, ready: int | None = None) -> None:
        super().__init__(config)
        self._ready = ready
        self._cleaning: asyncio.Task[None] | None = None
        self._pusher: pusher.Pusher | None = None
        self._webhooks: webhook_sender.WebhookSender | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._terminal = reloading.Terminal()
        self.is_replaced = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # Objects that exist now stay. Without freeze(), each collection would scan them and delay all sockets.
        gc.collect()
        gc.freeze()
        # Thousands of sockets that connect at once make millions of objects that stay. Collecting after every 700 of
        # them, as Python does, takes an eighth of the time of such a wave.
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        await super().startup(sockets)
        if self.started:
            await _log_redis_state()
            self._cleaning = asyncio.create_task(cleaning.run_always())
            # Continue deletions from before this start, and run those that begin while no socket is open.
            janitor.acquire()
            self._pusher = pusher.Pusher()
            self._webhooks = webhook_sender.WebhookSender()
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
            logger.info("serving on %s (stop with Ctrl+C)", settings.URL)
            if self._ready is not None:
                os.write(self._ready, b"1")
                os.close(self._ready)

    def _on_hangup(self) -> None:
        if self._terminal.is_closed():
            logger.info("the terminal was closed: shutting down")
            self.should_exit = True
        elif self._ready is None and (self._reloading is None or self._reloading.done()):
            # Under multichat.workers, the supervisor receives the signal and starts successors itself.
            self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        if await reloading.can_start():
            logger.info("a new process takes over")
            self.is_replaced = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._cleaning is not None:
            self._cleaning.cancel()
        # Accept no new connections. uvicorn's own shutdown starts by closing every socket, so it comes last.
        for server in self.servers:
            server.close()
        hub.drain()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + conf.DRAIN_SECONDS
        try:
            async with asyncio.timeout_at(deadline):
                await writer.flush()
        except TimeoutError:
            logger.warning("some messages could not be saved in time; their senders keep them and send them again")
        if self._pusher is not None:
            await self._pusher.stop()
        if self._webhooks is not None:
            await self._webhooks.stop()
        if self.started:
            await janitor.release()
        with suppress(TimeoutError):
            # Save read positions and layouts, because no page sends them again. It may take over a second.
            async with asyncio.timeout_at(max(deadline, loop.time() + conf.DRAIN_REPLY_SECONDS)):
                await hub.flush()
        with suppress(TimeoutError):
            # Write the acks of slow readers. A stuck one learns the result when it resumes.
            async with asyncio.timeout(conf.DRAIN_REPLY_SECONDS):
                await hub.until_replied()
        await super().shutdown(sockets)
        # Health checks and cleaning use the database even without sessions.
        await database.close()


async def _log_redis_state() -> None:
    if doorbell.is_in_memory():
        return
    if await doorbell.is_answering():
        logger.info("Redis answers")
    else:
        logger.warning("Redis does not answer at %s: serving without it, so messages arrive by the sweep", "REDIS_URL")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m multichat.server", description=__doc__)
    parser.add_argument("--fd", type=int, help="serve on this listening socket instead of HOST and PORT")
    parser.add_argument("--ready-fd", type=int, help="write a byte to this descriptor once the server serves")
    arguments = parser.parse_args()
    try:
        call_command("check", fail_level="ERROR", verbosity=0)
    except SystemCheckError as error:
        sys.exit(f"Multichat: {error}")
    listening = socket.socket(fileno=arguments.fd) if arguments.fd is not None else bind(settings.HOST, settings.PORT)
    # Each connection inherits the size. The kernel's own choice grows to megabytes, and for minutes a stuck reader
    # could not be distinguished from a slow one.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    config = uvicorn.Config(
        application,
        http=HttpProtocol,
        loop="uvloop",
        ws=ChatProtocol,
        # No compression, because it costs 64 KiB per socket and lets a small frame expand to a huge one.
        ws_per_message_deflate=False,
        ws_max_size=conf.FRAME_CLOSE_BYTES,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        # Longer than load balancers keep theirs (60 s). Otherwise they would send requests into closing connections.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    raise_descriptor_limit()
    # A server that is replaced keeps the socket open for its successor.
    inherited = os.dup(listening.fileno())
    server = Server(config, ready=arguments.ready_fd)
    server.run(sockets=[listening])
    if server.is_replaced:
        logs.flush()
        reloading.replace_process(inherited)


if __name__ == "__main__":
    main()
