"""Hostile requests on a whole server: what they cost in memory, threads, connections and a neighbour's time."""

import asyncio
import fcntl
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest

from chat.testing import sign_in
from tests.hostile_requests import HOSTILE, send
from tests.servers.figures import percentile, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.raw import Peer
from tests.servers.services import PASSWORD, Server, directory
from tests.servers.test_abuse import echo, faults

pytestmark = pytest.mark.timeout(TIMEOUT)

# The hashers of an installation; tests/servers/settings.py has one with the lowest cost.
HASHERS = ["multichat.passwords.Argon2"]
DATABASE = "hostile_requests"
ADDRESSES = 16
PIPE_BYTES = 4096
# Sign-ins of one address at the same time.
FLOOD = 60 if IS_FULL else 16


@pytest.fixture(scope="module")
def shared_server(postgres):
    """One server with its default limits, for tests that use up none of them."""
    with directory("state") as state:
        server = Server(
            state,
            database_url=postgres.create(DATABASE, template="template"),
            settings={"PASSWORD_HASHERS": HASHERS, "AXES_ENABLED": False},
            # Loopback counts as a proxy, so that each test request can claim its own address.
            environment={"LIMITS": "on", "TRUSTED_PROXIES": "127.0.0.1"},
        )
        try:
            yield server.start()
        finally:
            server.close()


@pytest.fixture
async def server(shared_server):
    """The shared server, and the cookie of a user who is signed in."""
    if not hasattr(shared_server, "cookie"):
        shared_server.cookie = await sign_in(shared_server.url, "bob", PASSWORD)
    return shared_server


def threads(server):
    return len(list(Path(f"/proc/{server.pid}/task").iterdir()))


def reset_peak(server):
    """Forget the peak memory of earlier tests (proc(5), clear_refs)."""
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")


def peak(server):
    """Return the peak memory of the process in bytes since its start or the last reset."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def post_login(server, address, *, csrf, cookie):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        form = f"username=unknown&password=x&csrfmiddlewaretoken={csrf}"
        headers = {
            "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, "X-Forwarded-For": address,
            "Origin": server.url,
        }  # fmt: skip
        connection.request("POST", "/accounts/login/", form, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def login_form(server):
    """Return a CSRF token and its cookie."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/accounts/login/")
    answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    connection.close()
    return cookie.partition("=")[2], cookie


def allow_threads(count):
    """Let this many blocking clients run in threads at the same time; asyncio's own pool is smaller."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count))


async def until_idle(server):
    """Wait until the threads of requests have ended."""
    async with asyncio.timeout(20):
        while threads(server) > server.threads + 2:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_each_hostile_request_costs_its_sender_alone(server):
    wrong = {}
    async with Peer(server.url, server.cookie) as neighbour:
        assert (await neighbour.open())[0] == 101
        # Warm the server up with a page.
        await asyncio.to_thread(login_form, server)
        control = await echo(neighbour, 60)
        server.threads = threads(server)
        memory = server.memory()
        during = []
        for hostile in HOSTILE:
            asking = asyncio.ensure_future(send(hostile, "127.0.0.1", server.port))
            while not asking.done():
                during += await echo(neighbour, 1)
            outcome = await asking
            if outcome.status not in hostile.statuses:
                wrong[hostile.name] = outcome
        during += await echo(neighbour, 60)
        await until_idle(server)
        grown = server.memory() - memory
        before, after = percentile(control, 0.99) * 1e3, percentile(during, 0.99) * 1e3
        report(
            f"{len(HOSTILE)} hostile requests: a neighbour's echo p99 {before:.1f} ms before, {after:.1f} beside them; "
            f"server grew by {grown / 1e6:.1f} MB"
        )
        assert server.connection_count() == 1
    assert wrong == {}
    assert grown < max(20e6, 0.2 * memory)
    if IS_FULL:
        assert after < max(2 * before, 20)
    assert faults(server) == []


async def test_many_sign_ins_at_once_take_a_bounded_amount_of_memory(server):
    allow_threads(ADDRESSES + 1)
    csrf, cookie = await asyncio.to_thread(login_form, server)
    server.threads = threads(server)
    before = server.memory()
    reset_peak(server)
    most = 0

    async def count():
        nonlocal most
        while True:
            most = max(most, threads(server))
            await asyncio.sleep(0.02)

    counting = asyncio.ensure_future(count())
    posts = [
        asyncio.to_thread(post_login, server, f"198.51.100.{n}", csrf=csrf, cookie=cookie) for n in range(ADDRESSES)
    ]
    statuses = await asyncio.gather(*posts)
    counting.cancel()
    grown = peak(server) - before
    report(f"{ADDRESSES} sign-ins at once: the server grew by {grown / 1e6:.0f} MB and had {most} threads")
    assert set(statuses) == {200}
    # Two checks of 19 MiB at a time, and Django's own memory. Without the limits it was 1.4 GB.
    assert grown < 120e6
    assert most <= server.threads + 8 + 8


async def test_a_flood_of_sign_ins_from_one_address_does_not_block_another_address(server):
    allow_threads(FLOOD + 2)
    csrf, cookie = await asyncio.to_thread(login_form, server)
    flood = [
        asyncio.ensure_future(asyncio.to_thread(post_login, server, "198.51.100.7", csrf=csrf, cookie=cookie))
        for _ in range(FLOOD)
    ]
    await asyncio.sleep(0.2)
    start = time.monotonic()
    status = await asyncio.to_thread(post_login, server, "203.0.113.1", csrf=csrf, cookie=cookie)
    took = time.monotonic() - start
    still_waiting = sum(not post.done() for post in flood)
    statuses = await asyncio.gather(*flood)
    report(f"a sign-in beside {FLOOD} of one address took {took * 1e3:.0f} ms; {still_waiting} of them still waited")
    assert status == 200
    assert set(statuses) <= {200, 429}
    assert took < 5


async def test_health_checks_open_no_connection_to_the_database(server, postgres):
    server.threads = threads(server)

    async def ask(path):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: whatever\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return int(answer.split()[1])

    with psycopg.connect(
        dbname="postgres", user=postgres.USER, host=str(postgres.directory), autocommit=True
    ) as watching:

        def connections():
            count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{DATABASE}'"
            return watching.execute(count).fetchone()[0]

        before = connections()
        statuses = await asyncio.gather(*(ask("/healthz" if n % 2 else "/readyz") for n in range(Q.requests_at_once)))
        assert set(statuses) == {200}
        assert connections() <= before + 1
        assert threads(server) <= server.threads + 1
        # A page needs a connection, but only while its request is worked on.
        most = 0
        pages = [asyncio.ensure_future(get_page(server)) for _ in range(Q.requests_at_once)]
        while not all(page.done() for page in pages):
            most = max(most, connections())
            await asyncio.sleep(0.01)
    assert {page.result() for page in pages} == {200}
    assert most <= before + 1 + 8


async def get_page(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    headers = f"Host: 127.0.0.1:{server.port}\r\nCookie: {server.cookie}\r\nConnection: close"
    writer.write(f"GET / HTTP/1.1\r\n{headers}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


async def test_a_socket_accepts_cookies_as_large_as_a_page_does(server):
    for length in (8_000, 20_000, 60_000):
        filler = "x=" + "y" * length
        async with Peer(server.url, f"{filler}; {server.cookie}") as peer:
            assert (await peer.open())[0] == 101, length
            await echo(peer)
        async with Peer(server.url, filler) as peer:
            # Two Cookie headers, as an HTTP/2 proxy sends them.
            assert (await peer.open(f"Cookie: {server.cookie}"))[0] == 101, length
            await echo(peer)


async def test_a_log_that_is_not_read_stops_neither_messages_nor_shutdown(
    start_server, database_url, open_page, tmp_path
):
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    # The least that a pipe can hold. Otherwise it holds 64 KiB.
    fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    try:
        server = start_server(database_url=database_url, log=pipe)
        bob = await open_page(server.url, "bob", rooms=[1], window=20)
        # A log line for each message: more than a pipe holds.
        waiting = [bob.send(1, f"text {number}") for number in range(150)]
        async with asyncio.timeout(60):
            await asyncio.gather(*waiting)
        assert server.is_ready()
        start = time.monotonic()
        await asyncio.to_thread(server.terminate)
        assert time.monotonic() - start < 12, "the server waits for its log to be read"
        assert len(os.read(read, 2**20)) > 0.9 * PIPE_BYTES, "the server wrote its log elsewhere"
    finally:
        os.close(read)


def test_the_security_log_says_what_was_refused(start_server, database_url):
    server = start_server(database_url=database_url, environment={"LIMITS": "on", "LIMIT_SIGN_INS_AT_ONCE": "2"})
    csrf, cookie = login_form(server)
    statuses = [post_login(server, "127.0.0.1", csrf=csrf, cookie=cookie) for _ in range(5)]
    assert 429 in statuses
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    # On a slow machine, the last sign-in may be accepted again.
    refused = {"event": "request_refused", "reason": "sign_ins"}.items()
    assert [line for line in lines if refused <= line.items()]
