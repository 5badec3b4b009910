"""Applies forwarded headers from trusted proxies, and removes them from all other requests."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

from multichat import hints

HEALTH = ("/healthz", "/readyz")
Network = IPv4Network | IPv6Network
# The name for connections over a Unix socket, which have no address.
UNIX = "unix"
PROTOCOLS = {"websocket": {"https": "wss", "wss": "wss", "http": "ws", "ws": "ws"}}
HTTP = {"https": "https", "wss": "https", "http": "http", "ws": "http"}


def parse_network(text: str) -> Network | str:
    """Parse an address, a network, or `unix`. Raises ValueError."""
    return UNIX if text.lower() == UNIX else ip_network(text, strict=False)


class TrustedProxies:
    """Puts the visitor's address and scheme into the scope if a trusted proxy sends them.

    Forwarded headers of other clients are removed. So is every header with an underscore in its name, because
    WSGI-style names do not distinguish X_Forwarded_Proto from X-Forwarded-Proto.
    """

    def __init__(self, application: Any, trusted: list[str]) -> None:
        self.application = application
        self._trusted = [parse_network(value) for value in trusted]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = self._unwrap(scope)
        await self.application(scope, receive, send)

    def _unwrap(self, scope: Any) -> Any:
        if scope.get("root_path"):
            hints.path_prefix(scope["root_path"])
        forwarded = [(name, value) for name, value in scope["headers"] if _is_forwarded(name)]
        if not forwarded:
            self._warn_without_protocol(scope, "")
            return scope
        headers = [(name, value) for name, value in scope["headers"] if not _is_forwarded(name)]
        scope = {**scope, "headers": headers}
        peer = (scope.get("client") or (UNIX, 0))[0]
        if not self._is_trusted(peer):
            if any(b"_" not in name for name, _ in forwarded):
                hints.forwarded_header_ignored(peer)
            return scope
        if address := self._visitor(_joined_values(forwarded, b"x-forwarded-for")):
            scope["client"] = (address, 0)
        if prefix := _joined_values(forwarded, b"x-forwarded-prefix").strip("/ "):
            hints.path_prefix(f"/{prefix}")
        protocol = _joined_values(forwarded, b"x-forwarded-proto").rpartition(",")[2].strip().lower()
        self._warn_without_protocol(scope, protocol)
        if protocol in HTTP:
            scope["scheme"] = PROTOCOLS.get(scope["type"], HTTP)[protocol]
            # Django reads the scheme from this header.
            headers.append((b"x-forwarded-proto", HTTP[protocol].encode()))
        return scope

    def _warn_without_protocol(self, scope: Any, protocol: str) -> None:
        # Health checks come from the same machine, over plain HTTP.
        if scope["type"] == "http" and settings.HTTPS and protocol not in HTTP and scope["path"] not in HEALTH:
            hints.not_https()

    def _visitor(self, chain: str) -> str | None:
        """Return the last address that is not a proxy of ours. The visitor may have forged everything before it."""
        for part in reversed(chain.split(",")):
            address = _without_port(part.strip())
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
        return any(not isinstance(network, str) and mapped in network for network in self._trusted)


def address_of(request: Any) -> str:
    """Return the address of the client that sent a request."""
    return str(request.META.get("REMOTE_ADDR") or "0.0.0.0")


def _is_forwarded(name: bytes) -> bool:
    return name.startswith(b"x-forwarded-") or name in (b"forwarded", b"x-real-ip") or b"_" in name


def _joined_values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> str:
    # A header that is sent twice counts as one list.
    return ",".join(value.decode("latin-1") for name, value in headers if name == wanted)


def _without_port(text: str) -> str | None:
    """Return an address without its port, or None if it is invalid."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
