"""One HTTP connection: requests that are too large or too slow are refused at little cost."""

import asyncio
import re
import threading
import time
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from chat import limits
from multichat import connection
from multichat.asgi import application
from multichat.connection import HttpProtocol
from multichat.idle import idle_connections
from tests.hostile_requests import CHUNKED, END, GET, HOSTILE, POST, Hostile, send

LIMITS = {
    "HANDSHAKE_SECONDS": 5,
    "BODY_SECONDS": 5,
    "BODY_BYTES": 2**20,
    "HTTP_REQUESTS": 4,
    "HTTP_REQUESTS_WAITING": 50,
    "HTTP_REQUESTS_WAIT_SECONDS": 10,
    "IDLE_CONNECTIONS": 100,
}


@pytest.fixture(autouse=True)
def bounded(settings, monkeypatch):
    settings.LIMITS = LIMITS
    monkeypatch.setattr(connection, "REFUSED_SECONDS", 0.05)


@asynccontextmanager
async def serving(app=application, **options):
    """Serve on the running loop; yield the port and the protocols made."""
    asyncio.get_running_loop().set_debug(False)
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none", **options)
    config.load()
    state = ServerState()

    def make():
        protocol = HttpProtocol(config=config, server_state=state, app_state={})
        made.append(protocol)
        return protocol

    made = []
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield port, made
    finally:
        server.close()
        for protocol in made:
            protocol.transport.abort()
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            while state.connections or state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def ok(scope, receive, send_):
    while (await receive()).get("more_body"):
        pass
    await send_({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send_({"type": "http.response.body", "body": b"ok"})


async def ask(port, *pieces):
    """Send the pieces, and return all bytes received until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
async def test_a_hostile_request_is_answered_at_little_cost(hostile):
    async with serving() as (port, made):
        threads = threading.active_count()
        before = time.thread_time()
        outcome = await send(hostile, "127.0.0.1", port)
        spent = time.thread_time() - before
        assert outcome.status in hostile.statuses
        # This includes the client's own work on the same thread. An endless header once took 3.7 s.
        assert spent < 3
        assert threading.active_count() <= threads + 1 + LIMITS["HTTP_REQUESTS"]
        assert len(made) == 1
    assert len(idle_connections) == 0
    # Before it refuses, the server reads only as much as fits into its buffers and the client's.
    assert outcome.sent < 24 * 2**20


@pytest.mark.parametrize("length", [8_000, 8_200, 30_000, 60_000])
async def test_a_large_cookie_is_accepted(length):
    async with serving(ok) as (port, _):
        answer = await ask(port, GET + b"Connection: close\r\nCookie: a=" + b"x" * length + END * 2)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_refusal_explains_the_problem_and_has_the_usual_headers(caplog):
    async with serving(ok) as (port, _):
        answer = await ask(port, GET + b"Cookie: a=" + b"x" * 70_000 + END * 2)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"delete the cookies of this site" in body
    assert b"nosniff" in head
    assert b"Connection: close" in head
    assert "headers above 64 KiB" in caplog.text


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("HANDSHAKE_SECONDS", [b""]),
        ("HANDSHAKE_SECONDS", [b"G"]),
        ("HANDSHAKE_SECONDS", [GET + b"X: "]),
        ("HANDSHAKE_SECONDS", [GET + END, b"G"]),
        ("HANDSHAKE_SECONDS", [GET + END, b"\r\n"]),
        ("HANDSHAKE_SECONDS", [GET + END + GET]),
        ("BODY_SECONDS", [POST + b"Content-Length: 5\r\n\r\nabc"]),
        ("BODY_SECONDS", [CHUNKED + b"5\r\nabc"]),
        ("BODY_SECONDS", [GET + END, POST + b"Content-Length: 5\r\n\r\nabc"]),
    ],
    ids=lambda value: repr(value)[-30:] if isinstance(value, list) else value,
)
async def test_each_request_of_a_connection_has_its_time_limit(settings, name, pieces):
    settings.LIMITS = LIMITS | {name: 0.1}
    async with serving(ok) as (port, _):
        answer = await ask(port, *pieces)
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
    answered = sum(piece.startswith(GET + END) for piece in pieces)
    assert statuses == [b"200"] * answered + [b"408"]


async def test_a_slow_trickle_of_bytes_does_not_extend_the_time_limit(settings):
    settings.LIMITS = LIMITS | {"HANDSHAKE_SECONDS": 0.2}
    async with serving(ok) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        for number in range(500):
            writer.write(b"X%d: y\r\n" % number)
            await asyncio.sleep(0.01)
            if reader.at_eof() or reader._buffer:
                break
        assert b"408" in bytes(reader._buffer)
        assert number < 200
        writer.transport.abort()


async def test_a_connection_is_kept_alive_longer_than_load_balancers_keep_theirs():
    from multichat.server import KEEP_ALIVE_SECONDS

    assert KEEP_ALIVE_SECONDS > 60
    async with serving(ok, timeout_keep_alive=KEEP_ALIVE_SECONDS) as (port, made):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(GET + END)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert made[0].timeout_keep_alive_task.when() - asyncio.get_running_loop().time() > 60
        assert made[0]._timer is None, "the next request's time limit starts with its first byte"
        writer.transport.abort()


async def test_the_oldest_of_too_many_idle_connections_is_closed(settings):
    settings.LIMITS = LIMITS | {"IDLE_CONNECTIONS": 3}
    async with serving(ok) as (port, made):
        connections = []
        for _ in range(4):
            connections.append(await asyncio.open_connection("127.0.0.1", port))
            async with asyncio.timeout(5):
                while len(made) < len(connections):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                assert await connections[0][0].read() == b""
        assert len(idle_connections) == 3
        connections[1][1].write(GET + END)
        assert await connections[1][0].readuntil(b"ok")
        for _, writer in connections:
            writer.transport.abort()


async def test_the_connection_of_a_client_that_reads_no_response_is_aborted(settings):
    settings.STUCK_SECONDS = 0.1

    async def large(scope, receive, send_):
        await receive()
        await send_({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send_({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    async with serving(large) as (port, made):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.transport.pause_reading()
        writer.write(GET + END)
        async with asyncio.timeout(10):
            while not made or not made[0].transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.transport.abort()


async def test_chunks_above_the_limit_are_refused_before_the_application_gets_them_all():
    received_bytes = 0

    async def counting(scope, receive, send_):
        nonlocal received_bytes
        while (message := await receive())["type"] == "http.request":
            received_bytes += len(message["body"])

    async with serving(counting) as (port, _):
        chunks = Hostile("", CHUNKED, (413,), b"10000\r\n" + b"a" * 65536 + END, 24)  # 1.5 MiB
        assert (await send(chunks, "127.0.0.1", port)).status == 413
    assert received_bytes <= LIMITS["BODY_BYTES"]


async def test_a_request_after_a_refused_one_is_dropped(settings):
    calls = []

    async def counting(scope, receive, send_):
        calls.append(scope["path"])
        await ok(scope, receive, send_)

    async with serving(counting) as (port, _):
        answer = await ask(port, POST + b"Content-Length: 9999999\r\n\r\n", GET + END)
    assert answer.count(b"HTTP/1.1") == 1
    assert calls == []


def test_limits_for_requests_are_on_by_default():
    from multichat import settings as ours

    assert ours.LIMIT_DEFAULTS["BODY_BYTES"] == 2**20
    assert limits.of("BODY_BYTES") > 0


async def test_a_pending_request_is_notified_when_its_connection_is_lost():
    begun = asyncio.Event()
    heard = []

    async def waiting(scope, receive, send_):
        begun.set()
        await receive()
        heard.append((await receive())["type"])

    async with serving(waiting) as (port, made):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write((GET + END) * 2)
        await begun.wait()
        async with asyncio.timeout(5):
            while len(made[0]._unanswered) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        made[0].transport.abort()
        writer.transport.abort()
    assert heard == ["http.disconnect"]
