"""Fixtures that start private instances of all services: none uses a default port or a service of this machine."""

import asyncio
import shutil
from itertools import count

import msgspec
import pytest

from chat.testing import PageClient, Row, record, sign_in
from tests import migrated
from tests.servers.services import PASSWORD, Postgres, ProbedServer, Redis, Server, directory

ROOMS = 6
numbers = count(1)


@pytest.fixture(autouse=True)
async def quick_loop():
    # asyncio's debug mode would make the clients slower than the servers.
    asyncio.get_running_loop().set_debug(False)


@pytest.fixture(scope="session")
def template_state():
    """A state directory to copy: its SQLite file has the tables, the cast and the rooms."""
    with directory("template") as state:
        migrated.copy_to(state / "db.sqlite3")
        maker = Server(state)
        maker.ask("make", ROOMS)
        maker.close()
        yield state


@pytest.fixture(scope="session")
def postgres():
    """One cluster for the run. Its database `empty` has the tables, and `template` the cast and the rooms too."""
    with directory("pg") as path, directory("state") as state:
        cluster = Postgres(path).start()
        try:
            migrated.copy_to_postgres(cluster, "empty")
            maker = Server(state, database_url=cluster.create("template", template="empty"))
            maker.ask("make", ROOMS)
            maker.close()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def database_url(postgres):
    """A database for this test alone."""
    return postgres.create(f"test{next(numbers)}", template="template")


@pytest.fixture
def redis():
    with directory("redis") as path:
        program = Redis(path).start()
        yield program
        program.kill()


@pytest.fixture
def start_server(request):
    """Start server processes that share a state directory; without `database_url`, on a copy of the SQLite template."""
    with directory("state") as state:
        servers = []

        def start(*, is_probed=False, wait=True, **options):
            if not options.get("database_url") and not servers:
                shutil.copytree(request.getfixturevalue("template_state"), state, dirs_exist_ok=True)
            server = (ProbedServer if is_probed else Server)(state, **options)
            servers.append(server)
            return server.start(wait=wait)

        yield start
        for server in servers:
            if server.is_running:
                server.thaw()
            server.close()


@pytest.fixture
def start_servers(start_server):
    """Start server processes that share a state directory, all at the same time: one for each set of settings."""

    def start(*settings, **options):
        servers = [start_server(wait=False, settings=overrides, **options) for overrides in settings]
        for server in servers:
            server.wait_until_ready()
        return servers

    return start


@pytest.fixture
def two_servers(start_servers, database_url, redis):
    """Two server processes that share one PostgreSQL and one Redis."""
    return start_servers({}, {}, database_url=database_url, redis_url=redis.url)


@pytest.fixture
def sqlite_server(start_server):
    """One server as it runs without services: SQLite and the in-memory layer."""
    return start_server()


@pytest.fixture
async def open_page():
    """Open pages, which watch and read as in a browser, and close them after the test."""
    pages = []
    cookies = {}

    async def open_(url, name, rooms=(), *, at="", cookie="", **options):
        username = name.partition("@")[0]
        # One session per user and server, because these tests are not about signing in.
        if not cookie and (at or url, username) not in cookies:
            cookies[at or url, username] = await sign_in(at or url, username, PASSWORD)
        # Shorter than the 20 s of the real page, so that a dead connection is noticed soon.
        options = {"heartbeat_seconds": 2.0} | options
        page = PageClient(url, cookie or cookies[at or url, username], name=name, **options)
        pages.append(page)
        await page.__aenter__()
        for room in rooms:
            await page.join(room, since=0)
        return page

    yield open_
    for page in pages:
        await page.stop()


def recorded(server, pages):
    """Return the recorded run of these pages, with the rows of the server's database."""
    return record(pages, msgspec.json.decode(server.ask("rows"), type=list[Row]))
