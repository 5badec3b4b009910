"""Sends short responses without Django: a status, a sentence, and the same security headers as every response."""

from typing import Any

from multichat.headers import HEADERS

HARDENED = {
    **HEADERS,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FIXED = [(name.lower().encode(), value.encode()) for name, value in HARDENED.items()]


async def answer(
    send: Any,
    status: int,
    text: str,
    *,
    content_type: str = "text/plain; charset=utf-8",
    retry_after: float | None = None,
    is_last: bool = False,
) -> None:
    """Send a complete response. `is_last` closes the connection after it."""
    body = text.encode()
    headers = [*_FIXED, (b"content-type", content_type.encode()), (b"content-length", b"%d" % len(body))]
    if retry_after is not None:
        headers.append((b"retry-after", b"%d" % (int(retry_after) + 1)))
    if is_last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
