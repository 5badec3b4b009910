"""Which origins may open a socket, and at which path."""

import pytest

from multichat.asgi import is_own_origin
from tests.sockets import handshake

OWN = "http://chat.example.com"
TRUSTED = ["https://desk.example.org", "https://*.example.net", "http://[2001:db8::1]:8080"]


@pytest.fixture(autouse=True)
def site(settings):
    settings.HTTPS = False
    settings.ALLOWED_HOSTS = ["chat.example.com", "localhost", "[::1]", "xn--bcher-kva.example"]
    settings.CSRF_TRUSTED_ORIGINS = TRUSTED


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "chat.example.com"),
        (OWN + ":80", "chat.example.com"),
        (OWN, "chat.example.com:80"),
        (OWN + ":8000", "chat.example.com:8000"),
        ("HTTP://Chat.Example.COM", "chat.example.com"),
        (OWN, "CHAT.example.com"),
        ("http://localhost:8000", "localhost:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
        ("http://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://desk.example.org", "localhost:8000"),
        ("https://desk.example.org:443", "localhost:8000"),
        ("https://a.example.net", "localhost:8000"),
        ("https://example.net", "localhost:8000"),
        ("https://a.b.example.net", "localhost:8000"),
        ("http://[2001:db8::1]:8080", "localhost:8000"),
    ],
)
def test_our_own_origin_and_trusted_origins_may_open_a_socket(origin, host):
    assert is_own_origin(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "chat.example.com"),
        ("null", "chat.example.com"),
        ("https://chat.example.com", "chat.example.com"),
        (OWN + ":8000", "chat.example.com"),
        (OWN, "chat.example.com:8000"),
        (OWN + ":443", "chat.example.com"),
        ("ws://chat.example.com", "chat.example.com"),
        ("file://", "chat.example.com"),
        ("chat.example.com", "chat.example.com"),
        ("//chat.example.com", "chat.example.com"),
        (OWN + ".evil.example", "chat.example.com"),
        ("http://evilchat.example.com", "chat.example.com"),
        ("http://evil.example?chat.example.com", "chat.example.com"),
        ("http://evil.example#chat.example.com", "chat.example.com"),
        (OWN + "@evil.example", "chat.example.com"),
        ("http://evil.example@chat.example.com", "chat.example.com"),
        ("http://:@chat.example.com", "chat.example.com"),
        (OWN + "/", "chat.example.com"),
        (OWN + ":x", "chat.example.com"),
        (OWN + ":99999", "chat.example.com"),
        ("http://[::1", "chat.example.com"),
        ("http://evil.example", "evil.example"),
        ("http://evil.example", ""),
        ("http://bücher.example", "xn--bcher-kva.example"),
        ("http://127.0.0.1:8000", "localhost:8000"),
        ("http://[::2]:8000", "[::1]:8000"),
        ("http://desk.example.org", "localhost:8000"),
        ("https://desk.example.org:8443", "localhost:8000"),
        ("https://evilexample.net", "localhost:8000"),
        ("http://a.example.net", "localhost:8000"),
        ("https://a.example.net.evil.example", "localhost:8000"),
        ("https://a.example.net:8443", "localhost:8000"),
        ("http://[2001:db8::1]", "localhost:8000"),
    ],
)
def test_no_other_origin_may_open_a_socket(origin, host):
    assert not is_own_origin(origin, host)


def test_with_https_only_secure_origins_are_our_own(settings):
    settings.HTTPS = True
    assert is_own_origin("https://chat.example.com", "chat.example.com")
    assert is_own_origin("https://chat.example.com:443", "chat.example.com")
    assert not is_own_origin("http://chat.example.com", "chat.example.com")


@pytest.mark.parametrize("origin", [None, "", "null", "http://evil.example", "https://localhost:8000"])
async def test_a_handshake_from_a_foreign_origin_is_refused(origin):
    assert not (await handshake(origin=origin).connect(5))[0]


@pytest.mark.parametrize("path", ["/", "/chat/", "/chat/stream", "/chat/stream/x", "/x/chat/stream/", "/ws"])
async def test_a_handshake_at_another_path_is_refused(path):
    assert not (await handshake(path).connect(5))[0]
