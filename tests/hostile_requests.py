"""Hostile HTTP requests and their answers, for test_connection.py (in process) and tests/servers (a whole server)."""

import asyncio
import contextlib
from dataclasses import dataclass

MIB = 1024 * 1024
HOST = b"Host: localhost\r\n"
HTTP = b" HTTP/1.1\r\n" + HOST
GET = b"GET /accounts/login/ HTTP/1.1\r\n" + HOST
POST = b"POST /accounts/login/ HTTP/1.1\r\n" + HOST
END = b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HUGE = b"Content-Length: 1000000000000\r\n\r\n"
UPGRADE = b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
TWO = b"Content-Length: 2\r\n\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


@dataclass(frozen=True)
class Request:
    """A request, and the statuses that may answer it. `piece` is sent `repeat` times after `head`, then `tail`."""

    name: str
    head: bytes
    statuses: tuple[int, ...]
    piece: bytes = b""
    repeat: int = 0
    tail: bytes = b""

    def pieces(self):
        yield self.head
        for _ in range(self.repeat):
            yield self.piece
        if self.tail:
            yield self.tail


def form(body, *, length=None):
    claimed = len(body) if length is None else length
    return POST + FORM + b"Content-Length: %d\r\n\r\n" % claimed + body


HOSTILE = [
    Request("an endless header", GET + b"X: ", (400,), b"a" * 65536, 48 * 16),
    Request("an endless header name", GET, (400,), b"a" * 65536, 48 * 16),
    Request("an endless path", b"GET /", (400,), b"a" * 65536, 48 * 16),
    Request("an endless method", b"", (400,), b"G" * 65536, 16),
    Request("100,000 small headers", GET, (400,), b"a: b\r\n" * 1000, 100),
    Request("300 headers", GET + b"a: b\r\n" * 300 + END, (400,)),
    Request("cookies of 70,000 bytes", GET + b"Cookie: a=" + b"x" * 70_000 + END * 2, (400,)),
    Request("nothing but line ends", b"\r\n" * 100_000 + GET + END, (200, 400)),
    Request("a body that claims 10**12 bytes", POST + HUGE, (413,), b"a" * 65536, 64),
    Request("a length of a hundred digits", POST + b"Content-Length: " + b"9" * 100 + END * 2, (400, 413)),
    Request("a negative length", POST + b"Content-Length: -1\r\n\r\n", (400,)),
    Request("two lengths", POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", (400,)),
    Request("a length and chunks", POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    Request("endless chunks", CHUNKED, (413,), b"10000\r\n" + b"a" * 65536 + END, 64),
    Request("endless tiny chunks", CHUNKED, (413,), b"1\r\na\r\n" * 10_000, 200),
    Request("an invalid chunk", CHUNKED + b"xyz\r\nabc\r\n", (400,)),
    Request("a chunk of 2**64 bytes", CHUNKED + b"10000000000000000\r\n", (400, 413)),
    Request("an endless chunk extension", CHUNKED + b"1;", (400, 413), b"a" * 65536, 64),
    Request("expecting to send 10**12 bytes", POST + b"Expect: 100-continue\r\n" + HUGE, (413,)),
    Request("10,000 fields", form(b"&".join(b"a%d=1" % n for n in range(10_000))), (400, 403)),
    Request("10,000 parameters", b"GET /accounts/login/?" + b"a&" * 10_000 + b" HTTP/1.1\r\n" + HOST + END, (200, 400)),
    # A form without a CSRF token is redirected to the page that gives one.
    Request("a truncated form", form(b"%", length=1), (302,)),
    Request("JSON where a form belongs", POST + b"Content-Type: application/json\r\n" + TWO + b"{}", (302,)),
    Request("parts without a boundary", POST + b"Content-Type: multipart/form-data\r\n" + TWO + b"ab", (400, 403)),
    Request("HTTP/1.0", b"GET /accounts/login/ HTTP/1.0\r\n" + HOST + END, (200,)),
    Request("no Host", b"GET /accounts/login/ HTTP/1.1\r\n\r\n", (200, 400)),
    Request("two Hosts", GET + b"Host: evil.example\r\n\r\n", (400,)),
    Request("the whole address", b"GET http://localhost/accounts/login/ HTTP/1.1\r\n" + HOST + END, (200,)),
    Request("a path that is not ASCII", b"GET /caf\xc3\xa9?x=\xff HTTP/1.1\r\n" + HOST + END, (400,)),
    Request("invalid percent encoding", b"GET /%zz%ff%00 HTTP/1.1\r\n" + HOST + END, (400, 404)),
    Request("OPTIONS *", b"OPTIONS * HTTP/1.1\r\n" + HOST + END, (400, 404)),
    Request("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + END, (400, 405)),
    Request("an unknown method", b"XYZZY / HTTP/1.1\r\n" + HOST + END, (400,)),
    Request("a NUL in a header", GET + b"X: \x00\r\n\r\n", (400,)),
    Request("a line end in a header", GET + b"X: a\rb\r\n\r\n", (400,)),
    Request("the beginning of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    Request("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), (400,)),
    Request("10,000 requests at once", b"", (200,), (GET + END) * 100, 100),
    Request("an upgrade behind a request", GET + END + GET + UPGRADE, (200,)),
    Request("an upgrade to an unknown protocol", GET + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", (200,)),
    Request("an invitation's code of 5,000 bytes", b"GET /invite/" + b"a" * 5000 + b"/" + HTTP + END, (404,)),
    Request("an invitation's code with a NUL", b"GET /invite/a%00b/ HTTP/1.1\r\n" + HOST + END, (404,)),
    Request("an invitation without a CSRF token", b"POST /invite/a/ HTTP/1.1\r\n" + HOST + FORM + TWO + b"a=", (403,)),
    Request("a reset without a CSRF token", b"POST /accounts/password_reset/" + HTTP + FORM + TWO + b"a=", (403,)),
    Request("a reset with an invalid link", b"GET /accounts/reset/%00/a-%00/ HTTP/1.1\r\n" + HOST + END, (200,)),
]  # fmt: skip


@dataclass
class Outcome:
    status: int
    sent: int
    is_closed: bool


async def send(hostile, host, port, *, seconds=20):
    """Send a hostile request. Return the first answer's status, how much the server accepted, whether it closed."""
    sent = 0
    status = 0
    reader, writer = await asyncio.open_connection(host, port)
    answer = asyncio.ensure_future(reader.readuntil(b"\r\n"))
    try:
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                for piece in hostile.pieces():
                    if answer.done() and sent > MIB:
                        break
                    writer.write(piece)
                    sent += len(piece)
                    await writer.drain()
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                line = await answer
                while line.split()[1] == b"100":
                    await reader.readuntil(b"\r\n\r\n")
                    line = await reader.readuntil(b"\r\n")
                status = int(line.split()[1])
            is_closed = reader.at_eof() or status in (400, 408, 413)
    finally:
        answer.cancel()
        writer.transport.abort()
    return Outcome(status, sent, is_closed)
