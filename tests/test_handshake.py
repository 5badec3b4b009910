"""/chat/stream/check: a page whose socket is refused can ask why."""

import json
from urllib.parse import quote

import pytest

from multichat.asgi import application

HOST = "chat.example.com"


async def ask(origin, host=HOST, *, method="GET", path="/chat/stream/check"):
    sent = []
    scope = {
        "type": "http", "method": method, "path": path, "client": ("192.0.2.1", 1), "scheme": "http",
        "query_string": f"origin={quote(origin)}".encode(), "headers": [(b"host", host.encode())],
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    ("origin", "host", "refused"),
    [
        (f"http://{HOST}", HOST, None),
        ("https://desk.example.org", HOST, None),
        (f"http://{HOST}", "127.0.0.1:8000", "host"),
        (f"http://{HOST}", "", "host"),
        ("http://other.example", "other.example", "name"),
        (f"https://{HOST}", HOST, "scheme"),
        (f"ws://{HOST}", HOST, "origin"),
        ("", HOST, "host"),
        ("http://[", HOST, "host"),
        ("http://" + "x" * 100_000, HOST, "host"),
    ],
)
async def test_the_answer_names_the_check_that_refuses_the_socket(settings, origin, host, refused):
    settings.HTTPS = False
    settings.ALLOWED_HOSTS = [HOST]
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example.org"]
    status, body = await ask(origin, host)
    assert (status, json.loads(body)) == (200, {"refused": refused, "host": host})


async def test_only_get_and_head_are_answered():
    assert (await ask("http://localhost", method="POST"))[0] == 405
