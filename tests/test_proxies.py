"""Which proxies are trusted to report a visitor's address and scheme."""

import pytest

from multichat.proxies import TrustedProxies

HERE = ("10.0.0.7", 5)


async def seen(headers, *, client=HERE, trusted=("10.0.0.0/24", "::1"), kind="http"):
    """Return client, scheme and forwarded headers as the application sees them."""
    seen_scope = {}

    async def application(scope, receive, send):
        seen_scope.update(scope)

    scope = {
        "type": kind,
        "client": client,
        "scheme": "ws" if kind == "websocket" else "http",
        "headers": [(b"host", b"chat.example"), *headers],
    }
    await TrustedProxies(application, list(trusted))(scope, None, None)
    return (
        seen_scope["client"] and seen_scope["client"][0],
        seen_scope["scheme"],
        dict(seen_scope["headers"][1:]),
    )


FORWARDED = [(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-proto", b"https")]
HTTPS = {b"x-forwarded-proto": b"https"}


async def test_a_trusted_proxys_headers_are_used():
    assert await seen(FORWARDED) == ("203.0.113.9", "https", HTTPS)
    assert await seen(FORWARDED, kind="websocket") == ("203.0.113.9", "wss", HTTPS)


@pytest.mark.parametrize("client", [("10.0.1.7", 5), ("203.0.113.1", 5), None, ("", 0), ("nonsense", 0)])
async def test_headers_from_other_addresses_are_ignored(client):
    assert await seen(FORWARDED, client=client) == (client and client[0], "http", {})


async def test_forwarded_headers_are_ignored_without_trusted_proxies():
    assert await seen(FORWARDED, trusted=()) == ("10.0.0.7", "http", {})


async def test_a_unix_socket_is_trusted_by_the_name_unix():
    assert await seen(FORWARDED, client=None, trusted=["unix"]) == ("203.0.113.9", "https", HTTPS)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        (b"1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the visitor sent the first one
        (b"1.1.1.1, 203.0.113.9, 10.0.0.3", "203.0.113.9"),  # two proxies
        (b"10.0.0.3", "10.0.0.7"),
        (b"203.0.113.9:4711", "203.0.113.9"),
        (b"[2001:db8::7]:4711", "2001:db8::7"),
        (b"2001:db8::7", "2001:db8::7"),
        (b"1.1.1.1, unknown", "10.0.0.7"),
        (b"<script>", "10.0.0.7"),
        (b"", "10.0.0.7"),
        (b"203.0.113.9\r\nx", "10.0.0.7"),
    ],
)
async def test_the_last_address_that_is_no_proxy_is_the_visitors(chain, address):
    assert (await seen([(b"x-forwarded-for", chain)]))[0] == address


async def test_the_last_forwarded_proto_counts_if_it_is_known():
    assert (await seen([(b"x-forwarded-proto", b"http"), (b"x-forwarded-proto", b"https")]))[1] == "https"
    assert (await seen([(b"x-forwarded-proto", b"https, http")]))[1] == "http"
    assert await seen([(b"x-forwarded-proto", b"gopher")]) == ("10.0.0.7", "http", {})


async def test_headers_with_underscores_and_other_forwarded_headers_are_removed():
    headers = [
        (b"x_forwarded_proto", b"https"),
        (b"cookie", b"a=b"),
        (b"forwarded", b"for=1.1.1.1"),
        (b"x-real-ip", b"1"),
    ]
    assert (await seen(headers))[2] == {b"cookie": b"a=b"}
