"""The headers of every response: pages, redirects, errors, static files, the admin."""

import pytest
from django.core.management import call_command
from django.test import Client, override_settings

from chat import checks

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FEATURES = ("camera", "geolocation", "microphone", "payment", "usb")


def fail(*unused, **named):
    raise ZeroDivisionError


@pytest.fixture
def ask(db, alice, rooms, monkeypatch):
    """Make the request that a name stands for."""

    def ask(name):
        client = Client(raise_request_exception=False, enforce_csrf_checks=name == "403")
        if name != "redirect":
            client.force_login(alice)
        match name:
            case "page":
                return client.get("/")
            case "room":
                return client.get("/chat/Lobby/")
            case "JSON":
                return client.get("/chat/Lobby/", headers={"Accept": "application/json"})
            case "redirect":
                return client.get("/")
            case "login":
                return client.get("/accounts/login/")
            case "health":
                return client.get("/healthz")
            case "static":
                return client.get("/static/chat/main.js")
            case "admin":
                return client.get("/admin/")
            case "400":
                return client.get("/", headers={"Host": "evil.example"})
            case "403":
                return client.post("/accounts/logout/")
            case "404":
                return client.get("/nowhere")
            case "405":
                return client.post("/")
            case "500":
                monkeypatch.setattr("chat.views._enterable", fail)
                return client.get("/")

    return ask


STATUSES = {
    "page": 200,
    "room": 200,
    "JSON": 200,
    "redirect": 302,
    "login": 200,
    "health": 200,
    "static": 200,
    "admin": 200,
    "400": 400,
    "403": 403,
    "404": 404,
    "405": 405,
    "500": 500,
}


@pytest.mark.parametrize("name", STATUSES)
def test_every_response_has_the_security_headers(ask, name):
    response = ask(name)
    assert response.status_code == STATUSES[name]
    assert {header: response[header] for header in EVERYWHERE} == EVERYWHERE
    for feature in FEATURES:
        assert f"{feature}=()" in response["Permissions-Policy"]
    policy = response["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ("require-trusted-types-for 'script'" in policy) is (name != "admin")
    if name != "static":
        assert "no-store" in response["Cache-Control"]
    assert "Server" not in response
    assert "X-Powered-By" not in response


def test_a_get_request_does_not_sign_out(client, alice):
    client.force_login(alice)
    assert client.get("/accounts/logout/").status_code == 200
    assert "_auth_user_id" in client.session


def test_signing_in_starts_a_new_session(client, alice, password):
    client.get("/accounts/login/")
    client.cookies["sessionid"] = "0" * 32  # fixed by an attacker
    client.post("/accounts/login/", {"username": "alice", "password": password})
    assert client.cookies["sessionid"].value != "0" * 32
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"


@pytest.mark.parametrize(
    ("check", "settings", "found"),
    [
        (checks.check_trusted_proxies, {"TRUSTED_PROXIES": ["10.0.0.0/8"]}, []),
        (checks.check_trusted_proxies, {"TRUSTED_PROXIES": ["0.0.0.0/0"]}, ["chat.W002"]),
        (checks.check_trusted_proxies, {"TRUSTED_PROXIES": ["::/0"]}, ["chat.W002"]),
        (checks.check_allowed_hosts, {"ALLOWED_HOSTS": ["*"]}, ["chat.W001"]),
        (checks.check_npm_files, {"STATICFILES_DIRS": [("vendor", "/nowhere/at/all")]}, ["chat.E001"]),
        (checks.check_one_process, {"DATABASES": {"default": {"ENGINE": "x.postgresql"}}}, ["chat.W003"]),
        (checks.check_one_process, {"DATABASES": {"default": {"ENGINE": "x.sqlite3"}}}, []),
    ],
)
def test_a_system_check_reports_the_expected_messages(monkeypatch, check, settings, found):
    for name, value in settings.items():
        monkeypatch.setattr(f"django.conf.settings.{name}", value)
    assert [message.id for message in check()] == found


@override_settings(SECURE_SSL_REDIRECT=True, SECURE_HSTS_SECONDS=1, SESSION_COOKIE_SECURE=True, CSRF_COOKIE_SECURE=True)
def test_the_checks_for_deployment_are_clean_with_https():
    call_command("check", deploy=True, fail_level="WARNING")
