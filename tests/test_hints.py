"""Hints about a wrong configuration: each is logged once, with the setting and its value."""

import logging

import pytest
from django.test import Client

from multichat import hints
from multichat.proxies import TrustedProxies
from tests.sockets import handshake


@pytest.fixture
def hints_logged(caplog):
    caplog.set_level(logging.WARNING)
    return lambda name="multichat.hints": [line.getMessage() for line in caplog.records if line.name == name]


async def visit(headers=(), *, client=("10.0.0.7", 5), trusted=(), path="/", kind="http", **scope):
    async def application(scope, receive, send):
        pass

    full_scope = {"type": kind, "client": client, "scheme": "http", "path": path, "headers": list(headers), **scope}
    await TrustedProxies(application, list(trusted))(full_scope, None, None)


@pytest.mark.parametrize("name", [b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"forwarded"])
async def test_an_ignored_forwarded_header_logs_the_proxy_to_trust(hints_logged, name):
    for _ in range(3):
        await visit([(name, b"203.0.113.9")])
    [line] = hints_logged()
    assert "TRUSTED_PROXIES=10.0.0.7" in line
    assert "203.0.113.9" not in line
    await visit([(name, b"1")], client=("10.0.0.8", 5))
    await visit([(name, b"1")], client=None)
    assert ["10.0.0.8" in hints_logged()[1], "TRUSTED_PROXIES=unix" in hints_logged()[2]] == [True, True]


async def test_a_trusted_proxy_and_a_header_with_an_underscore_log_no_hint(hints_logged):
    await visit([(b"x-forwarded-for", b"203.0.113.9")], trusted=["10.0.0.0/8"])
    await visit([(b"x_forwarded_for", b"203.0.113.9")])
    await visit([(b"accept", b"*")])
    assert hints_logged() == []


async def test_a_redirect_loop_logs_the_header_that_the_proxy_should_set(hints_logged, settings):
    settings.HTTPS = True
    trusted = ["10.0.0.7"]
    await visit([(b"x-forwarded-proto", b"https")], trusted=trusted)
    await visit([(b"x-forwarded-proto", b"http")], trusted=trusted)
    await visit(path="/healthz")
    await visit(kind="websocket")
    assert hints_logged() == []
    for headers in ([], [(b"x-forwarded-for", b"203.0.113.9")], []):
        await visit(headers, trusted=trusted)
    [line] = hints_logged()
    assert "X-Forwarded-Proto" in line
    assert "HTTPS=off" in line


async def test_without_https_no_redirect_hint_is_logged(hints_logged):
    await visit()
    assert hints_logged() == []


@pytest.mark.parametrize(
    ("headers", "scope"), [([(b"x-forwarded-prefix", b"/chat-app")], {}), ([], {"root_path": "/chat-app"})]
)
async def test_a_path_in_front_of_the_site_logs_that_it_does_not_work(hints_logged, headers, scope):
    for _ in range(2):
        await visit(headers, trusted=["10.0.0.7"], **scope)
    [line] = hints_logged()
    assert "/chat-app" in line
    assert "not below a path" in line


@pytest.mark.parametrize(
    ("origin", "host", "advice"),
    [
        ("https://chat.example.com", "chat.example.com", "set HTTPS=on"),
        ("http://other.example", "other.example", "set ALLOWED_HOSTS=other.example"),
        ("http://other.example:81", "other.example:81", "set ALLOWED_HOSTS=other.example"),
        ("https://desk.example", "chat.example.com", "CSRF_TRUSTED_ORIGINS=https://desk.example"),
        ("https://chat.example.com", "127.0.0.1:8000", "proxy_set_header Host $http_host"),
    ],
)
async def test_a_refused_socket_logs_the_setting_that_would_allow_it(hints_logged, settings, origin, host, advice):
    settings.ALLOWED_HOSTS = ["chat.example.com", "127.0.0.1"]
    for _ in range(2):
        assert not (await handshake(origin=origin, host=host).connect(5))[0]
    [line] = hints_logged()
    assert advice in line


@pytest.mark.parametrize("origin", ["null", "", "http://evil.example\r\nx", "x" * 500, "http://[::1"])
async def test_an_invalid_origin_is_not_logged(hints_logged, origin):
    await handshake(origin=origin).connect(5)
    assert hints_logged() == []


def test_a_refused_form_logs_the_setting_that_would_allow_it(hints_logged, db):
    client = Client(enforce_csrf_checks=True)
    for _ in range(3):
        answer = client.post("/accounts/login/", {}, headers={"Origin": "https://desk.example"})
        # It is redirected to a new form, because another tab may have made this one too old.
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?again=1&next=%2F")
    [line] = hints_logged("django.security.csrf")
    assert "CSRF_TRUSTED_ORIGINS=https://desk.example" in line


def test_a_refused_host_is_logged_once_for_each_name(hints_logged, db, settings):
    settings.ALLOWED_HOSTS = ["chat.example"]
    for host in ("a.example", "a.example", "b.example", "a.example"):
        assert Client().get("/accounts/login/", headers={"Host": host}).status_code == 400
    lines = hints_logged("django.security.DisallowedHost")
    assert len(lines) == 2
    assert "You may need to add 'a.example' to ALLOWED_HOSTS." in lines[0]


def test_the_number_of_remembered_hints_is_bounded(hints_logged):
    for number in range(200):
        hints.once("x", "a line", key=str(number))
    hints.once("y", "another")
    assert len(hints_logged()) == hints.MAX_PER_CAUSE + 1


@pytest.mark.parametrize("name", ["django.security.TooManyFieldsSent", "django.security.csrf", "django.request"])
def test_log_lines_that_clients_can_cause_are_short_and_rate_limited(settings, name):
    settings.LIMITS = {"LOG_LINES_AT_ONCE": 3, "LOG_LINES_PER_SECOND": 0.001}
    noise = hints.Noise()
    let_through = 0
    for _ in range(10):
        level = logging.WARNING if name == "django.request" else logging.ERROR
        record = logging.LogRecord(name, level, "f", 1, "wrong", (), (ValueError, ValueError(), None))
        let_through += noise.filter(record)
        assert (record.exc_info, record.levelname) == (None, "WARNING")
    assert let_through == 3


@pytest.mark.parametrize("name", ["django.request", "chat", "multichat.server"])
def test_our_own_errors_keep_their_traceback_and_are_never_dropped(settings, name):
    settings.LIMITS = {"LOG_LINES_AT_ONCE": 1, "LOG_LINES_PER_SECOND": 0.001}
    noise = hints.Noise()
    for _ in range(5):
        record = logging.LogRecord(name, logging.ERROR, "f", 1, "broken", (), (ValueError, ValueError(), None))
        assert noise.filter(record)
        assert record.exc_info
