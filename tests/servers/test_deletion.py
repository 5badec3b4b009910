"""A large room is deleted while users send: in a shell, in the admin, and by a server that is killed meanwhile."""

import asyncio
import http.client
import json
import re
from contextlib import suppress

import pytest

from chat.testing import sign_in
from tests.servers.figures import in_ms, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.services import PASSWORD

pytestmark = pytest.mark.timeout(TIMEOUT)

ROOM = 2
TITLE = "Room 2"
MAX_ACK_SECONDS = 2.0
# The most memory that deleting any number of messages adds to a server.
MEMORY_BYTES = 40 * 2**20


WAYS = [("sqlite", "admin"), ("postgresql", "shell"), ("sqlite", "shell"), ("postgresql", "admin")]
# At full size every way on both databases, otherwise each way and each database once.
WAYS = WAYS if IS_FULL else WAYS[:2]


@pytest.fixture
def server(request, database):
    """One server, on SQLite alone or on PostgreSQL and Redis."""
    if database == "sqlite":
        return request.getfixturevalue("sqlite_server")
    start, url, redis = (request.getfixturevalue(name) for name in ("start_server", "database_url", "redis"))
    return start(database_url=url, redis_url=redis.url)


async def ask(server, work, *arguments):
    return await asyncio.to_thread(server.ask, work, *arguments)


async def count_room_rows(server):
    """Return how many rows of the room are left: visible rooms, rooms including deleted ones, events."""
    return json.loads(await ask(server, "count_room_rows", ROOM))


async def until_gone(server):
    async with asyncio.timeout(TIMEOUT):
        while await count_room_rows(server) != [0, 0, 0]:  # noqa: ASYNC110
            await asyncio.sleep(0.5)


class Sender:
    """Sends messages into another room, one after another, and measures each ack."""

    def __init__(self, page):
        self._page = page
        self.seconds = []

    async def __aenter__(self):
        self._task = asyncio.ensure_future(self._send_always())
        return self

    async def __aexit__(self, *unused):
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _send_always(self):
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._page.send(1, "meanwhile")
            self.seconds.append(loop.time() - began)
            await asyncio.sleep(Q.think_seconds)


class Admin:
    """A browser that uses a server's admin."""

    def __init__(self, server, cookie):
        self._server, self._cookie = server, cookie
        self._token = ""

    def _ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
        headers = {"Cookie": f"{self._cookie}; csrftoken={self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode()
            for name, value in response.getheaders():
                if name.lower() == "set-cookie" and "csrf" in value.lower():
                    self._token = value.partition("=")[2].partition(";")[0]
            return response.status, text
        finally:
            connection.close()

    def confirm(self):
        """Open the page that asks whether the room is to be deleted, and return it."""
        status, text = self._ask("GET", f"/admin/chat/room/{ROOM}/delete/")
        assert status == 200, text
        self._form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)[1]
        return text

    def delete(self):
        status, text = self._ask(
            "POST", f"/admin/chat/room/{ROOM}/delete/", f"post=yes&csrfmiddlewaretoken={self._form}"
        )
        assert status == 302, text


async def admin_of(server):
    await ask(server, "promote", "alice")
    return Admin(server, await sign_in(server.url, "alice", PASSWORD))


@pytest.fixture
async def full(server, open_page):
    """A server whose second room has many messages, a page that sends into another room, and a page in that room."""
    await ask(server, "pour", ROOM, Q.deleted_messages)
    bob = await open_page(server.url, "bob", rooms=[1])
    charlie = await open_page(server.url, "charlie")
    await charlie.join(ROOM)
    return server, Sender(bob), charlie


@pytest.mark.parametrize(("database", "way"), WAYS)
async def test_a_large_room_is_deleted_without_delaying_senders(full, database, way):
    server, sender, charlie = full
    loop = asyncio.get_running_loop()
    admin = await admin_of(server) if way == "admin" else None
    memory = server.memory()
    async with sender:
        await asyncio.sleep(0.5)
        sender.seconds.clear()
        began = loop.time()
        if admin is None:
            deleting = asyncio.ensure_future(ask(server, "delete_room", ROOM))
        else:
            page = await asyncio.to_thread(admin.confirm)
            confirmed = loop.time() - began
            assert f"{Q.deleted_messages:,} messages" in page
            assert confirmed < 3
            began = loop.time()
            deleting = asyncio.ensure_future(asyncio.to_thread(admin.delete))
        # The pane closes although the room's rows are not removed yet.
        await charlie.until(lambda: str(ROOM) not in charlie.logs or not charlie.logs[str(ROOM)].is_joined)
        closed = loop.time() - began
        # The title is free at once, or this raises.
        await ask(server, "make_room", TITLE)
        await deleting
        await until_gone(server)
        seconds = loop.time() - began
    report(
        f"deletion of {Q.deleted_messages} messages ({way}, {database}): "
        f"{seconds:.1f} s, pane closed after {closed:.2f} s, others' acks {in_ms(sender.seconds)}, "
        f"memory +{(server.memory() - memory) / 2**20:.0f} MB"
    )
    assert max(sender.seconds) < MAX_ACK_SECONDS
    assert server.memory() - memory < MEMORY_BYTES


@pytest.mark.parametrize("database", ["postgresql", "sqlite"][: 1 + IS_FULL])
async def test_a_server_that_was_killed_while_removing_a_room_continues_after_its_start(full):
    server, _, charlie = full
    admin = await admin_of(server)
    await asyncio.to_thread(admin.confirm)
    await asyncio.to_thread(admin.delete)
    async with asyncio.timeout(30):
        while (await count_room_rows(server))[2] == Q.deleted_messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    server.kill()
    visible, row, events = await count_room_rows(server)
    # While the room is being removed, it is not visible.
    assert (visible, row) == (0, 1)
    assert 0 < events < Q.deleted_messages
    await ask(server, "make_room", TITLE)
    await charlie.stop()
    await asyncio.to_thread(server.start)
    # No page is open, so only the server's own janitor can do this, without a hub.
    await until_gone(server)
