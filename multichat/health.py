"""Answers /healthz and /readyz: whether this process works, and what is degraded. The Host header does not matter."""

from typing import Any

from chat.live import probe
from multichat.answers import answer

PATHS = ("/healthz", "/readyz")


class Health:
    """Answers both paths before everything else: without a thread, a session, a check of Host, or a redirect."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self.application(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "Use GET or HEAD.\n", is_last=True)
        else:
            state = await probe.current().state()
            if scope["path"] == "/readyz":
                status = 200 if state.is_ready else 503
                await answer(send, status, state.as_json(), content_type="application/json")
            elif state.database == "away":
                await answer(send, 503, "The database does not answer.\n")
            else:
                await answer(send, 200, "ok\n")
