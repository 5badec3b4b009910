"""Joins cookies that arrive in several headers, as HTTP/2 proxies send them, because Channels reads only the first."""

from typing import Any

Headers = list[tuple[bytes, bytes]]


def joined(headers: Headers) -> Headers:
    """Return the headers with one Cookie header, at the position of the first (RFC 9113, 8.2.3)."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    first = next(index for index, (name, _) in enumerate(headers) if name == b"cookie")
    rest = [(name, value) for name, value in headers if name != b"cookie"]
    return [*rest[:first], (b"cookie", b"; ".join(cookies)), *rest[first:]]


class JoinedCookies:
    """Passes requests to the application with one Cookie header."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = {**scope, "headers": joined(list(scope["headers"]))}
        await self.application(scope, receive, send)
