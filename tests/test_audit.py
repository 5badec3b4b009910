"""The security log, the throttling of sign-ins, and what no log may contain."""

import json
import logging

import pytest
from django.test import Client

from chat import audit, limits
from chat.models import Room
from tests.sockets import connected, handshake

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "correct horse battery staple"
LOGINS = ["/accounts/login/", "/admin/login/"]


@pytest.fixture
def lines():
    """The lines that are written to the security log."""
    lines = []

    class Keeper(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(self.format(record)))

    keeper = Keeper()
    logging.getLogger("multichat.security").addHandler(keeper)
    yield lines
    logging.getLogger("multichat.security").removeHandler(keeper)


@pytest.fixture
def log_texts():
    """The formatted lines of all loggers."""
    texts = []

    class Keeper(logging.Handler):
        def emit(self, record):
            texts.append(self.format(record))

    keeper = Keeper()
    loggers = [logging.getLogger(), logging.getLogger("django"), logging.getLogger("multichat.security")]
    for logger in loggers:
        logger.addHandler(keeper)
    yield texts
    for logger in loggers:
        logger.removeHandler(keeper)


def events(lines):
    return [line["event"] for line in lines]


def test_signing_in_and_out_is_logged(client, bob, password, lines):
    client.post(LOGINS[0], {"username": "bob", "password": password})
    client.post("/accounts/logout/")
    assert events(lines) == ["sign_in", "sign_out"]
    assert (lines[0]["username"], lines[0]["address"]) == ("bob", "127.0.0.1")


@pytest.mark.parametrize("path", LOGINS)
def test_a_failed_sign_in_is_logged_with_its_username_only_if_the_user_exists(client, bob, lines, path):
    client.post(path, {"username": "bob", "password": SECRET})
    client.post(path, {"username": SECRET, "password": "bob"})
    assert events(lines) == ["sign_in_failed"] * 2
    assert lines[0]["username"] == "bob"
    assert "username" not in lines[1]
    assert SECRET not in json.dumps(lines)


def test_changes_in_the_admin_are_logged(client, alice, lines):
    alice.is_superuser = True
    alice.save()
    client.force_login(alice)
    client.post("/admin/chat/room/add/", {"title": "New"})
    room = Room.objects.get(title="New")
    client.post(f"/admin/chat/room/{room.pk}/delete/", {"post": "yes"})
    changes = [line for line in lines if line["event"] == "admin_change"]
    assert [(line["user"], line["action"], line["model"]) for line in changes] == [
        (alice.pk, "added", "room"),
        (alice.pk, "deleted", "room"),
    ]


async def test_a_refused_handshake_is_logged_with_its_reason(lines):
    communicator = handshake(origin="https://evil.example")
    assert not (await communicator.connect())[0]
    [line] = lines
    assert (line["event"], line["reason"], line["origin"]) == ("handshake_refused", "origin", "https://evil.example")


async def test_a_flood_is_logged(bob, settings, lines):
    settings.GRACE_SECONDS = 0
    settings.LIMITS = {**settings.LIMITS, "BAD_FRAMES_AT_ONCE": 1}
    async with connected(bob) as socket:
        for _ in range(3):
            await socket.send_text("{")
        while await socket.next():
            pass
    assert lines[-1]["event"] == "limit"
    assert (lines[-1]["user"], lines[-1]["close"]) == (bob.pk, 4429)


def test_a_field_cannot_begin_a_new_line(lines, caplog):
    audit.write("sign_in", username='x"}\n{"event":"forged"}\u2028\x1b[2J\x00')
    [text] = [record.getMessage() for record in caplog.records] or [json.dumps(lines[0])]
    assert text.isascii()
    assert text.isprintable()
    assert lines[0]["username"].startswith('x"}\n')


def test_lines_that_strangers_can_cause_are_rate_limited_and_the_rest_is_counted(settings, monkeypatch, lines):
    now = [1000.0]
    monkeypatch.setattr(limits, "clock", lambda: now[0])
    monkeypatch.setattr(audit, "_noise", limits.TokenBucket("LOG_LINES"))
    settings.LIMITS = {**settings.LIMITS, "LOG_LINES_AT_ONCE": 5, "LOG_LINES_PER_SECOND": 1}
    for _ in range(100):
        audit.write_noise("handshake_refused", reason="origin")
    assert len(lines) == 5
    now[0] += 1
    audit.write_noise("handshake_refused", reason="origin")
    assert lines[-1]["left_out"] == 95


# Signing in


@pytest.mark.parametrize("path", LOGINS)
def test_signing_in_is_throttled_after_failures_and_works_again_later(
    alice, bob, password, settings, time_machine, path
):
    def post(name, secret, address="192.0.2.1"):
        return Client(REMOTE_ADDR=address).post(path, {"username": name, "password": secret}).status_code

    time_machine.move_to("2026-11-21 12:00Z", tick=False)
    success = 302
    failures = [post("alice", "wrong") for _ in range(settings.LIMIT_LOGIN_FAILURES)]
    assert failures[:-1] == [200] * (settings.LIMIT_LOGIN_FAILURES - 1)
    assert post("alice", password) == 429, "the right password is not checked either"
    assert post("alice", password, "192.0.2.2") == success, "other addresses are not locked out"
    assert post("ALICE", "wrong") in (200, 429)
    # Further attempts do not prolong the lock.
    time_machine.move_to("2026-11-21 12:04Z", tick=False)
    assert post("alice", password) == 429
    time_machine.move_to("2026-11-21 12:06Z", tick=False)
    assert post("alice", password) == success


def test_the_answer_does_not_reveal_whether_a_username_exists(client, bob):
    def page(name):
        text = client.post(LOGINS[0], {"username": name, "password": "wrong"}).content.decode()
        return [line for line in text.split("\n") if "csrf" not in line and name not in line]

    assert page("bob") == page("eve")


# Logs


async def test_no_log_holds_a_message_a_cookie_or_a_password(bob, rooms, password, settings, monkeypatch, log_texts):
    settings.GRACE_SECONDS = 0
    # Cause an error, so that every logger writes something.
    monkeypatch.setattr("chat.live.commands.leave", lambda session, command: {}[SECRET])
    room = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=room)
        for message in (SECRET, SECRET + "\x00", SECRET * 5000):
            await socket.send(command="send", room=room, message=message)
        await socket.send(command="send", room=room, message=SECRET, msg_type=1)
        await socket.send(command="edit", room=room, seq=1, message=SECRET)
        await socket.send(command=SECRET, room=SECRET)
        await socket.send_text(SECRET)
        await socket.rest()
    assert log_texts
    texts = "\n".join(log_texts)
    assert SECRET not in texts
    assert password not in texts


async def test_an_error_in_a_command_is_logged_without_the_contents_of_its_frame(bob, settings, monkeypatch, log_texts):
    settings.GRACE_SECONDS = 0

    def fail(*unused):
        raise RuntimeError

    monkeypatch.setattr("chat.live.commands.leave", fail)
    async with connected(bob) as socket:
        await socket.send_text(json.dumps({"command": "leave", "room": "1", "message": SECRET}))
        await socket.next()
    assert any("Traceback" in text for text in log_texts)
    assert SECRET not in "\n".join(log_texts)


def test_an_error_in_a_view_is_logged_without_its_form_or_cookies(bob, password, monkeypatch, log_texts):
    def fail(*unused, **named):
        raise RuntimeError

    client = Client(raise_request_exception=False)
    client.force_login(bob)
    cookie = client.cookies["sessionid"].value
    monkeypatch.setattr("chat.views._enterable", fail)
    assert client.get("/", {"x": "y"}).status_code == 500
    monkeypatch.setattr("django.contrib.auth.forms.AuthenticationForm.clean", fail)
    assert client.post(LOGINS[0], {"username": "bob", "password": password}).status_code == 500
    texts = "\n".join(log_texts)
    assert "Traceback" in texts
    assert password not in texts
    assert cookie not in texts
