"""Database work in threads beside the event loop."""

import asyncio
import logging
import threading

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection

from chat.live import database, runtime
from tests.fakes import turns, until


@pytest.fixture(autouse=True)
async def closed():
    yield
    await database.close()


async def test_one_thread_writes_and_others_read_beside_the_loops_thread():
    writers = {await database.write(threading.get_ident) for _ in range(4)}
    together = threading.Barrier(database.READERS)

    def meet():
        together.wait(5)
        return threading.get_ident()

    readers = set(await asyncio.gather(*(database.read(meet) for _ in range(2 * database.READERS))))
    assert (len(writers), len(readers)) == (1, database.READERS)
    assert len({threading.get_ident()} | writers | readers) == 2 + database.READERS


async def test_a_slow_write_does_not_delay_readers():
    gate = threading.Event()
    writing = asyncio.ensure_future(database.write(gate.wait, 10))
    assert await database.read(lambda: "read") == "read"
    gate.set()
    assert await writing


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL lets several threads write at a time")
async def test_messages_are_written_before_other_waiting_writes():
    order = []
    gate = threading.Event()
    turn = runtime.current().open_threads().turn
    busy = asyncio.ensure_future(database.write_behind(gate.wait, 10))
    await until(lambda: turn._is_taken)
    waiting = [asyncio.ensure_future(database.write_behind(order.append, "position"))]
    waiting.append(asyncio.ensure_future(database.write(order.append, "message")))
    await until(lambda: turn._messages_waiting)
    gate.set()
    await asyncio.gather(busy, *waiting)
    assert order == ["message", "position"]


async def test_the_sweep_does_not_wait_for_readers():
    gate = threading.Event()
    reading = [asyncio.ensure_future(database.read(gate.wait, 10)) for _ in range(2 * database.READERS)]
    assert await database.poll(lambda: "looked") == "looked"
    gate.set()
    await asyncio.gather(*reading)


async def test_later_calls_of_close_wait_for_the_first():
    gate = threading.Event()
    reading = asyncio.ensure_future(database.read(gate.wait, 10))
    await turns()
    closing = [asyncio.ensure_future(database.close()) for _ in range(3)]
    await turns()
    closing[0].cancel()
    await turns()
    assert [task.done() for task in closing] == [True, False, False]
    gate.set()
    assert await reading
    await asyncio.gather(*closing[1:])


async def test_an_exception_in_the_work_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        await database.read(lambda: 1 / 0)


@pytest.mark.django_db(transaction=True)
async def test_a_connection_is_kept_and_a_broken_one_is_replaced():
    used = []

    def use():
        connection.ensure_connection()
        used.append(connection.connection)

    def lose():
        # psycopg does the same when the server went away.
        connection.is_usable = lambda: False
        connection.errors_occurred = True

    for work in (use, use, lose, use):
        await database.write(work)
    assert used[0] is used[1]
    assert used[2] is not used[1]


@pytest.mark.django_db(transaction=True)
async def test_connections_have_time_limits_for_statements_and_locks():
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL has these time limits")

    def limits():
        with connection.cursor() as cursor:
            names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
            return cursor.fetchone()

    assert await database.read(limits) == await database.write(limits) == ("30s", "10s", "30s")


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (OperationalError("database or disk is full"), "OperationalError: database or disk is full"),
        (
            OperationalError("server closed the connection\nDETAIL: (bob, a secret)"),
            "OperationalError: server closed the",
        ),
        (InterfaceError("connection already closed"), "InterfaceError: connection already closed"),
        (TimeoutError(), "TimeoutError"),
        (DataError("not a number: 'a secret'"), "DataError"),
        (ValueError("a secret"), "ValueError"),
    ],
)
def test_the_log_has_the_databases_message_without_any_users_text(caplog, error, logged):
    database.warn(logging.getLogger("chat"), "it was not saved", error)
    [line] = caplog.messages
    assert line.startswith(f"it was not saved: {logged}")
    assert "secret" not in line
    assert (caplog.records[0].exc_info is not None) == isinstance(error, ValueError)


def refusing(poison, error, queries):
    """Return a query that fails with `error` if it contains a poisoned key."""

    def load(keys):
        queries.append(set(keys))
        if keys & poison:
            raise error
        return {key: key * 10 for key in keys}

    return load


async def test_a_poisoned_key_fails_alone_and_costs_few_queries():
    queries = []
    gathering = database.Gathering(refusing({7, 50}, DataError("no"), queries))
    answers = await asyncio.gather(*(gathering.get(key) for key in range(100)), return_exceptions=True)
    assert [type(answers[key]) for key in (7, 50)] == [DataError] * 2
    assert [answer for key, answer in enumerate(answers) if key not in (7, 50)] == [
        key * 10 for key in range(100) if key not in (7, 50)
    ]
    assert len(queries) < 35


async def test_all_keys_of_one_caller_are_one_query_and_a_poisoned_one_fails_alone():
    queries = []
    gathering = database.Gathering(refusing(set(), DataError("no"), queries))
    answers, other = await asyncio.gather(gathering.get_all(range(5)), gathering.get(3))
    assert (answers, other) == ({key: key * 10 for key in range(5)}, 30)
    assert queries == [set(range(5))]
    assert await gathering.get_all([]) == {}
    gathering = database.Gathering(refusing({2}, DataError("no"), []))
    answers = await gathering.get_all(range(4))
    assert type(answers.pop(2)) is DataError
    assert answers == {0: 0, 1: 10, 3: 30}


async def test_keys_are_not_retried_one_by_one_while_the_database_is_away():
    queries = []
    gathering = database.Gathering(refusing({7}, OperationalError("server closed the connection"), queries))
    answers = await asyncio.gather(*(gathering.get(key) for key in range(100)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {OperationalError}
    assert len(queries) == 1


async def test_only_one_runs_one_task_per_key_at_a_time(settings):
    order, gate = [], asyncio.Event()

    async def work(key, name):
        async with database.only_one(key):
            order.append(name)
            await gate.wait()

    tasks = [asyncio.ensure_future(work(key, name)) for key, name in [("bob", 1), ("bob", 2), ("alice", 3)]]
    await turns()
    assert order == [1, 3]
    settings.DATABASE_SECONDS = 0.01
    with pytest.raises(TimeoutError):
        await work("bob", 4)
    gate.set()
    await asyncio.gather(*tasks)
    assert order == [1, 3, 2]


async def test_a_log_line_that_clients_can_cause_is_rate_limited(caplog, monkeypatch):
    logger = logging.getLogger("chat")
    for _ in range(50):
        database.warn_sparingly(logger, "a login could not be checked", DataError("no"))
    assert caplog.messages == ["a login could not be checked: DataError"]
    monkeypatch.setattr(database, "WARN_SECONDS", 0)
    database.warn_sparingly(logger, "a login could not be checked", DataError("no"))
    assert caplog.messages[1] == "a login could not be checked (49 more not logged): DataError"
