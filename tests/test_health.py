"""/healthz and /readyz: what they answer, and what a request costs."""

import asyncio
import json
import threading

import pytest
from django.db import OperationalError, connection

from chat import doorbell
from chat.live import database, probe, writer
from chat.store import schema
from multichat.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def closed_database():
    yield
    await database.close()


async def ask(path, *, host="evil.example", method="GET", scheme="http"):
    """Return status, body and headers."""
    sent = []
    scope = {
        "type": "http", "method": method, "path": path, "client": ("192.0.2.1", 1), "scheme": scheme,
        "headers": [(b"host", host.encode())],
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


async def ready():
    status, body, _ = await ask("/readyz")
    return status, json.loads(body)


ALL_WELL = {"ready": True, "database": "ok", "layer": "in_memory", "migrations": "ok", "degraded": []}


@pytest.mark.parametrize("host", ["localhost", "evil.example", "", "a b", "\xff", "10.0.0.1:8000"])
async def test_both_answer_for_any_host_header(settings, host):
    settings.ALLOWED_HOSTS = ["chat.example"]
    settings.HTTPS = settings.SECURE_SSL_REDIRECT = True
    status, body, headers = await ask("/healthz", host=host)
    assert (status, body) == (200, b"ok\n")
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    status, body, headers = await ask("/readyz", host=host)
    assert (status, json.loads(body)) == (200, ALL_WELL)
    assert headers[b"content-type"] == b"application/json"


async def test_only_safe_methods_are_allowed():
    assert (await ask("/healthz", method="POST"))[0] == 405
    assert (await ask("/healthz", method="HEAD"))[0] == 200


async def test_a_thousand_requests_cost_one_check_and_no_thread(monkeypatch):
    checks = []
    check = schema._missing_migrations
    monkeypatch.setattr(schema, "_missing_migrations", lambda: checks.append(1) or check())
    assert 0 < probe.CACHE_SECONDS <= 1
    # A slow machine may need longer than a second for all requests.
    monkeypatch.setattr(probe, "CACHE_SECONDS", 60)
    await ask("/healthz")
    threads = threading.active_count()
    answers = await asyncio.gather(*(ask("/healthz" if n % 2 else "/readyz") for n in range(1000)))
    assert {status for status, _, _ in answers} == {200}
    assert len(checks) == 1
    monkeypatch.setattr(probe, "CACHE_SECONDS", 0)
    await ask("/healthz")
    assert len(checks) == 2
    assert threading.active_count() <= threads, "threads of earlier tests may end meanwhile"


def fail_to_connect():
    raise OperationalError("connection to server at 10.1.2.3 failed: password hunter2")


async def test_without_the_database_the_answer_is_503_and_does_not_reveal_its_address(monkeypatch, caplog):
    monkeypatch.setattr(schema, "_missing_migrations", fail_to_connect)
    assert (await ask("/healthz"))[:2] == (503, b"The database does not answer.\n")
    status, body, _ = await ask("/readyz")
    assert status == 503
    assert b"10.1.2.3" not in body
    shown = json.loads(body)
    assert (shown["ready"], shown["database"], shown["migrations"]) == (False, "away", "unknown")
    assert shown["degraded"] == ["database", "migrations"]
    assert caplog.text.count("does not answer") == 1


async def test_a_check_does_not_wait_for_a_database_that_hangs(monkeypatch):
    monkeypatch.setattr(probe, "WAIT_SECONDS", 0.05)
    may_end = threading.Event()
    monkeypatch.setattr(schema, "_missing_migrations", lambda: may_end.wait(10) and False)
    try:
        # The answer comes before the check of the database times out, which takes DATABASE_SECONDS.
        async with asyncio.timeout(5):
            assert (await ask("/healthz"))[0] == 503
    finally:
        may_end.set()


async def test_with_a_missing_migration_the_server_is_not_ready(monkeypatch):
    monkeypatch.setattr(schema, "_known", {("chat", "9999_later")})
    status, shown = await ready()
    assert (status, shown["migrations"], shown["degraded"]) == (503, "missing", ["migrations"])
    # Pages are still served.
    assert (await ask("/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("read_only", 503),
        ("full", 503),
        ("damaged", 503),
        ("locked", 200),
        ("slow", 200),
        ("overloaded", 200),
    ],
)
async def test_readyz_names_the_state_of_the_database(monkeypatch, state, status):
    monkeypatch.setattr(writer, "state", lambda: state)
    got, shown = await ready()
    assert (got, shown["database"], shown["degraded"]) == (status, state, ["database"])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such mode")
async def test_readyz_finds_a_read_only_database_before_any_message_is_sent():
    def set_mode(mode):
        with connection.cursor() as cursor:
            cursor.execute(f"SET default_transaction_read_only = {mode}")

    await database.poll(set_mode, "on")
    status, shown = await ready()
    await database.poll(set_mode, "off")
    assert (status, shown["database"]) == (503, "read_only")
    assert (await ask("/healthz"))[0] == 200


@pytest.mark.parametrize(
    ("is_degraded", "answers", "layer"),
    [(False, None, "ok"), (True, None, "degraded"), (None, True, "ok"), (None, False, "degraded")],
)
async def test_with_a_failing_channel_layer_the_server_is_degraded_but_ready(monkeypatch, is_degraded, answers, layer):
    async def answer():
        return answers

    monkeypatch.setattr(doorbell, "is_in_memory", lambda: False)
    monkeypatch.setattr(doorbell, "is_degraded", lambda: is_degraded)
    monkeypatch.setattr(doorbell, "is_answering", answer)
    status, shown = await ready()
    assert (status, shown["layer"]) == (200, layer)
    assert shown["degraded"] == (["layer"] if layer == "degraded" else [])
