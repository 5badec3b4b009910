"""Several Cookie headers are joined into one."""

import pytest

from chat.live import database
from multichat.cookies import JoinedCookies, joined
from tests.sockets import cookie_of, handshake


def test_several_cookie_headers_are_joined_at_the_place_of_the_first():
    headers = [(b"host", b"x"), (b"cookie", b"a=1"), (b"origin", b"o"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
    assert joined(headers) == [(b"host", b"x"), (b"cookie", b"a=1; b=2; c=3"), (b"origin", b"o")]


def test_headers_with_at_most_one_cookie_header_are_unchanged():
    for headers in ([(b"host", b"x")], [(b"cookie", b"a=1, b"), (b"host", b"x")]):
        assert joined(headers) is headers


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_pages_and_sockets_get_joined_cookie_headers(kind):
    joined_scope = {}

    async def application(scope, receive, send):
        joined_scope.update(scope)

    await JoinedCookies(application)({"type": kind, "headers": [(b"cookie", b"a=1"), (b"cookie", b"b=2")]}, None, None)
    assert joined_scope["headers"] == [(b"cookie", b"a=1; b=2")]


@pytest.mark.django_db(transaction=True)
async def test_a_socket_finds_its_session_in_the_second_cookie_header(bob, settings):
    settings.GRACE_SECONDS = 0
    cookie = await database.write(cookie_of, bob)
    communicator = handshake(cookie="theme=dark")
    communicator.scope["headers"].append((b"cookie", cookie.encode()))
    assert (await communicator.connect(5))[0]
    await communicator.send_input({"type": "websocket.receive", "text": '{"command":"ping"}'})
    assert (await communicator.receive_output(5))["text"] == '{"pong":true}'
    await communicator.disconnect(timeout=5)
    await communicator.wait(5)
    await database.close()
