"""Answers /chat/stream/check?origin=…: whether a page of this origin may open a socket, and otherwise why not.

A browser does not tell a page why its WebSocket was refused. The page asks here, and says what an administrator can do.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from multichat import hints
from multichat.answers import answer

PATH = "/chat/stream/check"
# A longer address is not parsed.
MAX_QUERY_BYTES = 1000


class HandshakeCheck:
    """Answers before the check of Host, because a wrong Host is one of the answers. A handshake reveals the same."""

    def __init__(self, application: Any, is_own_origin: Callable[[str, str], bool]) -> None:
        self.application = application
        self._is_own_origin = is_own_origin

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await self.application(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "Use GET or HEAD.\n", is_last=True)
        else:
            host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
            query = scope.get("query_string", b"")[:MAX_QUERY_BYTES].decode("latin-1")
            origin = parse_qs(query).get("origin", [""])[0]
            refused = None if self._is_own_origin(origin, host) else hints.cause_of_refusal(origin, host)
            report = {"refused": refused, "host": host[:MAX_QUERY_BYTES]}
            await answer(send, 200, json.dumps(report) + "\n", content_type="application/json")
