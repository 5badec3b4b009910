"""The mail server that EMAIL_URL names, and the thread that sends."""

import threading

import pytest
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from multichat import mail


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {}),
        ("smtp://localhost", {"EMAIL_HOST": "localhost", "EMAIL_PORT": 25}),
        (
            "smtp+tls://bob:p%40ss@mail.example",
            {"EMAIL_PORT": 587, "EMAIL_USE_TLS": True, "EMAIL_HOST_PASSWORD": "p@ss"},
        ),
        ("smtps://mail.example:1465/", {"EMAIL_PORT": 1465, "EMAIL_USE_SSL": True, "EMAIL_HOST_USER": ""}),
    ],
)
def test_an_address_becomes_djangos_settings(url, expected):
    assert expected.items() <= mail.parse("EMAIL_URL", url).items()


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp://host:port", "smtp://h/path"])
def test_an_invalid_address_stops_startup_and_is_not_repeated(url):
    with pytest.raises(SystemExit, match=r"EMAIL_URL is not an address") as refusal:
        mail.parse("EMAIL_URL", url)
    assert "path" not in str(refusal.value)


def message(number):
    return EmailMessage(f"Mail {number}", "Text", "from@example.com", ["to@example.com"])


def test_a_request_does_not_wait_for_the_mail_server(monkeypatch):
    may_send, done = threading.Event(), threading.Event()
    threads = []

    def send_messages(self, messages):
        assert may_send.wait(10)
        threads.append(threading.current_thread().name)
        done.set()

    monkeypatch.setattr(EmailBackend, "send_messages", send_messages)
    assert mail.Backend(host="mail.example").send_messages([message(1)]) == 1
    assert threads == []
    may_send.set()
    assert done.wait(10)
    assert threads == ["mail"]


def test_a_mail_server_that_fails_is_logged_without_the_address_of_the_reader(monkeypatch, caplog):
    def send_messages(self, messages):
        raise ConnectionRefusedError("to@example.com")

    monkeypatch.setattr(EmailBackend, "send_messages", send_messages)
    mail.Backend(host="mail.example").send_now(message(1))
    assert "ConnectionRefusedError" in caplog.text
    assert "to@example.com" not in caplog.text


def test_mails_that_wait_are_bounded(monkeypatch, caplog):
    outbox = mail._Outbox()
    monkeypatch.setattr(mail, "_outbox", outbox)
    monkeypatch.setattr(outbox, "_thread", threading.current_thread())
    backend = mail.Backend(host="mail.example")
    assert backend.send_messages([message(n) for n in range(mail.QUEUE_MAILS + 1)]) == mail.QUEUE_MAILS
    assert "left out" in caplog.text
