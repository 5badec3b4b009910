"""The threads for database work: they do not stay busy, and they leave a server that is read-only."""

import asyncio
import threading

import pytest
from django.db import (
    DatabaseError,
    DataError,
    InternalError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
)

from chat.live import database, writer
from tests.fakes import until

SLOW = {
    # These queries take minutes.
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(300)",
}
READ_ONLY = "cannot execute INSERT in a read-only transaction"


@pytest.fixture(autouse=True)
async def closed():
    yield
    await database.close()


def slow_query():
    with connection.cursor() as cursor:
        cursor.execute(SLOW[connection.vendor])
        return cursor.fetchone()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("lane", ["read", "read_aside", "poll", "write", "write_behind"])
async def test_a_timed_out_query_ends_and_frees_its_thread(lane, settings):
    run = getattr(database, lane)
    await run(lambda: connection.ensure_connection())
    settings.DATABASE_SECONDS = 0.1
    with pytest.raises(TimeoutError):
        await run(slow_query)
    settings.DATABASE_SECONDS = 30
    # There are as many calls as threads, so every thread must be free.
    assert await asyncio.gather(*(run(lambda: 1) for _ in range(database.READERS))) == [1] * database.READERS


@pytest.mark.django_db(transaction=True)
async def test_queries_of_cancelled_callers_free_their_readers():
    running = []

    def work():
        running.append(1)
        return slow_query()

    tasks = [asyncio.ensure_future(database.read(work)) for _ in range(2 * database.READERS)]
    await until(lambda: len(running) == database.READERS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await database.read(lambda: 1) == 1


async def test_a_write_finishes_after_its_caller_was_cancelled():
    gate, done = threading.Event(), []
    is_running = threading.Event()

    def write():
        is_running.set()
        assert gate.wait(10)
        done.append(1)

    task = asyncio.ensure_future(database.write_behind(write))
    await until(is_running.is_set)
    task.cancel()
    gate.set()
    await until(lambda: done)


@pytest.mark.parametrize(
    "error",
    [
        InternalError(READ_ONLY),
        DatabaseError("database disk image is malformed"),
        ProgrammingError("permission denied for table chat_event"),
        OperationalError("database is locked"),
    ],
)
async def test_errors_of_the_database_itself_count_as_away(error):
    def fail():
        raise error

    with pytest.raises(database.AWAY) as caught:
        await database.read(fail)
    assert str(caught.value) == str(error)


@pytest.mark.parametrize("error", [DataError("no"), ProgrammingError("syntax error"), KeyError("no")])
async def test_errors_of_the_work_do_not_count_as_away(error):
    def fail():
        raise error

    with pytest.raises(type(error)) as caught:
        await database.read(fail)
    assert not isinstance(caught.value, database.AWAY)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (InternalError(READ_ONLY), "read_only"),
        (OperationalError("database or disk is full"), "full"),
        (DatabaseError("file is not a database"), "damaged"),
        (OperationalError("server closed the connection unexpectedly"), "away"),
        (DataError("no"), None),
        (KeyError("no"), None),
    ],
)
async def test_the_writer_names_the_state_that_prevents_saving(error, state, monkeypatch):
    def fail():
        raise error

    assert writer.state() is None
    with pytest.raises(Exception, match=r".*"):
        await database.write_behind(fail)
    assert writer.state() == state
    await database.write(lambda: None)
    assert writer.state() is None


async def test_a_fault_is_cleared_after_a_while_without_an_attempt(monkeypatch):
    def fail():
        raise OperationalError("database or disk is full")

    with pytest.raises(OperationalError):
        await database.write(fail)
    assert writer.state() == "full"
    monkeypatch.setattr(database, "STATE_SECONDS", 0)
    assert writer.state() is None


@pytest.mark.django_db(transaction=True)
async def test_every_thread_leaves_a_server_that_became_read_only():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL servers become read-only")

    def server():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    def write():
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
            cursor.execute("DELETE FROM chat_event")

    lanes = (database.read, database.poll, database.write, database.write_behind)
    before = {lane: await lane(server) for lane in lanes}
    with pytest.raises(OperationalError, match="read-only"):
        await database.write(write)
    after = {lane: await lane(server) for lane in lanes[1:]}
    assert [lane for lane in after if after[lane] == before[lane]] == []
    # The new connections are not read-only.
    await database.write(lambda: connection.cursor().execute("DELETE FROM chat_event"))


@pytest.mark.django_db(transaction=True)
async def test_a_thread_that_is_busy_during_close_closes_its_connection_afterwards(monkeypatch):
    monkeypatch.setattr("chat.live.threads.CLOSE_SECONDS", 0.05)
    gate, used = threading.Event(), []

    def read_slowly():
        connection.ensure_connection()
        used.append(connections["default"])
        assert gate.wait(20)

    reading = asyncio.ensure_future(database.read(read_slowly))
    await until(lambda: used)
    closing = asyncio.ensure_future(database.close())
    await asyncio.sleep(0.2)  # the other reader has waited for this one, and has closed in its place too
    gate.set()
    await asyncio.gather(reading, closing)
    assert used[0].connection is None
