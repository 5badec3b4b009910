"""uvicorn's HTTP connection, with limits on the bytes and the seconds that a request may take."""

import asyncio
import logging
from collections import deque
from enum import Enum
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chat import limits
from chat.conf import conf
from multichat import hints, transfers
from multichat.answers import HARDENED
from multichat.cookies import joined
from multichat.idle import idle_connections

logger = logging.getLogger("multichat.connection")

# The request line with all headers. Browsers send up to 4 KiB for each cookie of a site.
HEAD_BYTES = 64 * 1024
# An HTTP/2 proxy may send each cookie in a header of its own.
HEADERS = 256
# How often the parser may call us for one body: each tiny chunk costs a call.
BODY_PIECES = 4096
# Requests that may wait behind another one on the same connection.
PIPELINED = 16
# How long a refused client may take to read the reason. Bytes that it sends meanwhile are dropped.
REFUSED_SECONDS = 1.0
HEAD_SENTENCE = (
    "The headers of this request are larger than 64 KiB. If this is a browser, delete the cookies of this site.\n"
)
_FIXED = "".join(f"{name}: {value}\r\n" for name, value in HARDENED.items())


class Phase(Enum):
    """What the connection is doing for its newest request."""

    IDLE = "between two requests"
    HEAD = "receiving the request line and headers"
    BODY = "receiving the body"
    ANSWER = "the application handles the request, or the response is being written"


class RefusedError(Exception):
    """Raised inside the parser's callbacks to stop the parser."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class HttpProtocol(HttpToolsProtocol):
    """Refuses requests that are too large or too slow, and closes the connection after sending the reason."""

    phase = Phase.IDLE

    _timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _unwritten = 0
    _head_bytes = 0
    _body_bytes = _body_pieces = 0
    # The body together with the bytes that frame its chunks.
    _body_wire_bytes = 0
    # How many bytes the body of the newest request may have; 0 means unlimited.
    _most_body = 0.0
    _refusal: RefusedError | None = None
    _is_refused = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Requests with a complete head and an incomplete response, in the order of their arrival.
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._limit_time("HANDSHAKE_SECONDS")
        idle_connections.add(self, self.address)

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timers()
        for cycle in self._unanswered:
            # uvicorn does so only for the newest request, and an older one would write to a closed connection.
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self.phase is Phase.IDLE:
            if self._timer is None:
                # The time limit of a request starts with its first byte, on a kept-alive connection too.
                self._limit_time("HANDSHAKE_SECONDS")
            self._head_bytes = 0
            self.phase = Phase.HEAD
        self._head_bytes += len(data)
        self._body_wire_bytes += len(data)
        super().data_received(data)
        if self.phase is Phase.HEAD and self._head_bytes > HEAD_BYTES and not self._is_refused:
            # Refuse before the parser joins more pieces, because the cost of joining them is quadratic.
            self._refuse(400, HEAD_SENTENCE)
        elif self.phase is Phase.BODY and not self._is_refused:
            self._check_wire()

    # The parser's callbacks. An exception stops the parser, and uvicorn calls send_400_response.

    def on_message_begin(self) -> None:
        self.phase = Phase.HEAD
        # Bytes that came in the same piece are counted in on_headers_complete instead.
        self._head_bytes = 0
        if self._timer is None:
            self._limit_time("HANDSHAKE_SECONDS")
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._check_head()
        super().on_headers_complete()
        self._limit_time("UPLOAD_SECONDS" if transfers.is_upload(self.scope) else "BODY_SECONDS")
        idle_connections.discard(self)
        self.phase = Phase.BODY
        self._body_bytes = self._body_wire_bytes = self._body_pieces = 0
        if not (self.parser.should_upgrade() and self._should_upgrade()):
            self._unanswered.append(self.cycle)

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEADERS:
            # Stop at once: one piece from the socket may hold tens of thousands of headers.
            self._stop_parser(400, HEAD_SENTENCE)
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._body_pieces += 1
        if self._body_pieces > max(BODY_PIECES, self._most_body / transfers.PIECE_BYTES):
            self._stop_parser(413, "The body of the request consists of too many small chunks.\n")
        self._check_body(self._body_bytes)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_time_limit()
        self.phase = Phase.ANSWER
        super().on_message_complete()
        if not self._unanswered:
            # The application had responded before the body was complete.
            self._become_idle()

    def on_response_complete(self) -> None:
        if self._unanswered:
            self._unanswered.popleft()
        super().on_response_complete()
        if self._is_refused and not self._unanswered:
            self.transport.close()
        if self.transport.is_closing():
            # The transport closes once everything is written. A client that does not read would keep it open forever.
            self._watch_writing()
        elif not self._unanswered and self.phase is Phase.ANSWER:
            self._become_idle()

    def handle_websocket_upgrade(self) -> None:
        self._stop_timers()
        self.scope["headers"] = joined(list(self.scope["headers"]))
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            self._refuse(refusal.status, refusal.sentence)
        else:
            self._refuse(400, "The server does not understand this HTTP request.\n")

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES:
            self._stop_parser(400, HEAD_SENTENCE)
        if not self.url.isascii():
            self._stop_parser(400, "The address of a request may contain only ASCII characters.\n")
        if len(self.pipeline) >= PIPELINED or (self._unanswered and self.parser.should_upgrade()):
            self._stop_parser(400, "Too many requests at once on this connection.\n")
        self._most_body = transfers.most_bytes(self.parser.get_method(), self.url.partition(b"?")[0])
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if lengths and lengths[0].isdigit():
            self._check_body(int(lengths[0][:19]))

    def _check_body(self, size: int) -> None:
        most = self._most_body
        if most and size > most:
            self._stop_parser(413, f"The body of a request may have at most {most:.0f} bytes.\n")

    def _check_wire(self) -> None:
        # The framing of chunks may have extensions of any length.
        most = self._most_body
        if most and self._body_wire_bytes > 2 * most + HEAD_BYTES:
            self._refuse(413, "The body of the request has too many bytes.\n")

    def _stop_parser(self, status: int, sentence: str) -> None:
        self._refusal = RefusedError(status, sentence)
        raise self._refusal

    # Time limits

    def _limit_time(self, name: str) -> None:
        self._stop_time_limit()
        if seconds := limits.of(name):
            self._timer = self.loop.call_later(seconds, self._refuse_slow_request)

    def _refuse_slow_request(self) -> None:
        self._timer = None
        if not self._is_refused:
            self._refuse(408, "The request took too long to arrive.\n")

    def _stop_time_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_timers(self) -> None:
        self._stop_time_limit()
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        idle_connections.discard(self)

    def _become_idle(self) -> None:
        self.phase = Phase.IDLE
        idle_connections.add(self, self.address)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_writing()

    # Clients that do not read their response

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing()

    def _watch_writing(self) -> None:
        if self._stall_timer is None:
            self._unwritten = self.transport.get_write_buffer_size()
            self._stall_timer = self.loop.call_later(conf.STUCK_SECONDS, self._check_writing)

    def _check_writing(self) -> None:
        self._stall_timer = None
        unwritten = self.transport.get_write_buffer_size()
        if unwritten and unwritten >= self._unwritten:
            self.transport.abort()
        elif unwritten:
            self._watch_writing()

    # Refusals

    def _refuse(self, status: int, sentence: str) -> None:
        """Respond without the application, and close. Further bytes of the client are dropped."""
        self._stop_time_limit()
        idle_connections.discard(self)
        self._is_refused = True
        if self.phase is Phase.BODY and self.cycle is not None:
            # Wake the application, which waits for the rest of the body.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if sentence == HEAD_SENTENCE:
            hints.once("headers", f"A request with headers above {HEAD_BYTES // 1024} KiB was refused.")
        # Read and drop bytes for a moment. With unread bytes in the kernel, closing would send a reset, which the
        # client may see before the response.
        self.flow.resume_reading()
        if self._may_write():
            self.transport.write(_response(status, sentence))
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.loop.call_later(REFUSED_SECONDS, self.transport.abort)
        elif self.phase is Phase.BODY:
            self.loop.call_later(REFUSED_SECONDS, self.transport.abort)
        # Otherwise earlier requests are answered first, and on_response_complete closes the connection.

    def _may_write(self) -> bool:
        """Return whether no other response is being written, so that this one would not end up inside it."""
        if self.transport.is_closing():
            return False
        if self.phase is Phase.BODY and self.cycle is not None:
            return len(self._unanswered) <= 1 and not self.cycle.response_started
        return not self._unanswered


def _response(status: int, sentence: str) -> bytes:
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{_FIXED}Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(sentence.encode())}\r\nConnection: close\r\n\r\n"
    )
    return (head + sentence).encode()
