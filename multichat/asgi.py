"""The ASGI application: HTTP through Django, and the WebSocket /chat/stream/ behind limits and an origin check."""

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http.request import split_domain_port, validate_host
from django.urls import path
from django.utils.http import is_same_domain

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "multichat.settings")
# This call sets Django up, so it must precede every import of a model.
django_application = get_asgi_application()

from chat import audit, limits  # noqa: E402
from chat.consumers import ChatConsumer  # noqa: E402
from multichat import claim, hints  # noqa: E402
from multichat.bounded import BoundedRequests  # noqa: E402
from multichat.cookies import JoinedCookies  # noqa: E402
from multichat.handshake import HandshakeCheck  # noqa: E402
from multichat.health import Health  # noqa: E402
from multichat.proxies import TrustedProxies  # noqa: E402

DEFAULT_PORTS = {"http": 80, "https": 443}


class WholeOriginValidator:
    """Refuses a WebSocket with 403 unless its Origin is ours: scheme, host and port.

    The site's own origin has the scheme that the setting HTTPS implies, and the host and port of the Host header,
    which must be allowed. Each of CSRF_TRUSTED_ORIGINS is accepted too. A missing Origin counts as foreign.
    """

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"origin", b"host")}
        if is_own_origin(headers.get(b"origin", ""), headers.get(b"host", "")):
            return await self.application(scope, receive, send)
        details = {"origin": headers.get(b"origin"), "host": headers.get(b"host")}
        audit.write_noise("handshake_refused", reason="origin", address=limits.address_of(scope), **details)
        hints.origin_refused(headers.get(b"origin", ""), headers.get(b"host", ""))
        return await WebsocketDenier()(scope, receive, send)


class AddressLimits:
    """Refuses a WebSocket with 429 when its address opens too many, or has too many that are not signed in."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        address = limits.address_of(scope)
        if address is None:
            return await self.application(scope, receive, send)
        if wait := limits.handshakes.take(address):
            return await self._refuse(scope, receive, send, "handshakes", wait)
        if not limits.sockets_of_address.acquire(address):
            return await self._refuse(scope, receive, send, "sockets", 10)
        slot = limits.Slot(limits.sockets_of_address, address)
        try:
            return await self.application({**scope, limits.ADDRESS_SLOT: slot}, receive, send)
        finally:
            slot.release()

    async def _refuse(self, scope: Any, receive: Any, send: Any, reason: str, wait: float) -> None:
        audit.write_noise("handshake_refused", reason=reason, address=limits.address_of(scope))
        if "websocket.http.response" not in scope.get("extensions", {}):
            return await WebsocketDenier()(scope, receive, send)
        headers = [(b"retry-after", str(int(wait) + 1).encode()), (b"content-type", b"text/plain")]
        await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"Too many connections from this address.\n"})


def is_own_origin(origin: str, host: str) -> bool:
    """Return whether a page of `origin` may open a socket to a server whose name is `host`."""
    if (page := _parts(origin)) is None:
        return False
    hosts = settings.ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]
    domain, _ = split_domain_port(host)
    own = _parts(f"{'https' if settings.HTTPS else 'http'}://{host}")
    if domain and validate_host(domain, hosts) and page == own:
        return True
    return any(_is_trusted(page, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS)


def _parts(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    # An origin consists of scheme, host and port. It has no path, user or query.
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port


def _is_trusted(page: tuple[str, str, int], trusted: str) -> bool:
    scheme, host, port = page
    wanted = _parts(trusted.replace("://*.", "://"))
    if wanted is None or (scheme, port) != (wanted[0], wanted[2]):
        return False
    # As in Django's CSRF check, *.example.com also matches example.com.
    return bool(is_same_domain(host, f".{wanted[1]}" if "://*." in trusted else wanted[1]))


class NoSuchSocket:
    """Answers a WebSocket to any other path with 403, as a server without WebSockets would."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return await WebsocketDenier()(scope, receive, send)


# Servers import this module, and management commands do not. So only servers claim the process lock.
try:
    claim.claim_process()
except claim.SecondServerError as error:
    print(f"multichat: {error}", file=sys.stderr)
    raise SystemExit(1) from None

# By its types, Django's path() accepts only views.
routes: list[Any] = [
    path("chat/stream/", CookieMiddleware(ChatConsumer.as_asgi())),
    path("<path:anything>", NoSuchSocket()),
    path("", NoSuchSocket()),
]
sockets = URLRouter(routes)
application = TrustedProxies(
    Health(
        HandshakeCheck(
            JoinedCookies(
                ProtocolTypeRouter(
                    {
                        "http": BoundedRequests(django_application),
                        "websocket": AddressLimits(WholeOriginValidator(sockets)),  # cheapest first
                    }
                )
            ),
            is_own_origin,
        )
    ),
    settings.TRUSTED_PROXIES,
)
