"""Believes forwarded headers of configured proxies, and of nobody else."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

from multichat import hints

HEALTH = ("/healthz", "/readyz")
Network = IPv4Network | IPv6Network
# How a connection over a Unix socket is named: it has no address.
UNIX = "unix"
PROTOCOLS = {"websocket": {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}}
HTTP = {"https": "https", "wss": "https", "http": "http", "ws": "http"}


def network(text: str) -> Network | str:
    """Return what a setting names: an address, a network, or `unix`. Raises ValueError."""
    return UNIX if text.lower() == UNIX else ip_network(text, strict=False)


class TrustedProxies:
    """Puts the visitor's address and scheme into the scope when a trusted proxy tells them.

    Forwarded headers of everybody else are taken away, and so is every header with an underscore in its
    name: WSGI-like names make X_Forwarded_Proto and X-Forwarded-Proto one.
    """

    def __init__(self, application: Any, trusted: list[str]) -> None:
        self.application = application
        self._trusted = [network(one) for one in trusted]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self._seen_through(scope)
        await self.application(scope, receive, send)

    def _seen_through(self, scope: Any) -> Any:
        if scope.get("root_path"):
            hints.path_prefix(scope["root_path"])
        told = [(name, value) for name, value in scope["headers"] if _is_forwarded(name)]
        if not told:
            self._expect_protocol(scope, "")
            return scope
        headers = [(name, value) for name, value in scope["headers"] if not _is_forwarded(name)]
        scope = {**scope, "headers": headers}
        peer = (scope.get("client") or (UNIX, 0))[0]
        if not self._is_trusted(peer):
            if any(b"_" not in name for name, _ in told):
                hints.forwarded_header_ignored(peer)
            return scope
        if address := self._visitor(_last(told, b"x-forwarded-for")):
            scope["client"] = (address, 0)
        if prefix := _last(told, b"x-forwarded-prefix").strip("/ "):
            hints.path_prefix(f"/{prefix}")
        protocol = _last(told, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        self._expect_protocol(scope, protocol)
        if protocol in HTTP:
            scope["scheme"] = PROTOCOLS.get(scope["type"], HTTP)[protocol]
            # Django reads the header.
            headers.append((b"x-forwarded-proto", HTTP[protocol].encode()))
        return scope

    def _expect_protocol(self, scope: Any, protocol: str) -> None:
        # The health checks are asked from beside the server, over plain HTTP.
        if scope["type"] == "http" and settings.HTTPS and protocol not in HTTP and scope["path"] not in HEALTH:
            hints.not_https()

    def _visitor(self, chain: str) -> str | None:
        """Return the last address that is none of ours: what stands before it, the visitor may have written."""
        for one in reversed([part.strip() for part in chain.split(",")]):
            address = _bare(one)
            if address is None:
                return None
            if not self._is_trusted(address):
                return address
        return None

    def _is_trusted(self, peer: str) -> bool:
        if peer == UNIX:
            return UNIX in self._trusted
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(not isinstance(one, str) and mapped in one for one in self._trusted)


def address_of(request: Any) -> str:
    """Return where a request comes from."""
    return str(request.META.get("REMOTE_ADDR") or "0.0.0.0")


def _is_forwarded(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-real-ip") or b"_" in name


def _last(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    # A header that came twice is one list.
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _bare(text: str) -> str | None:
    """Return an address without its port, or None when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
