"""Requests to the provider of single sign-on: few at the same time, and its settings and keys are read rarely.

Imported only where OIDC_ISSUER is set.
"""

import threading
import time
from typing import Any

import requests

from multichat.optional_accounts import PROVIDER_SECONDS

# A slow provider holds at most so many of this process's request threads.
AT_ONCE = 4
WAIT_SECONDS = 1.0
# How long its discovery document and its keys are kept. An unknown key is looked for again at once.
KEPT_SECONDS = 300

# Tests step this clock.
clock = time.monotonic

_slots = threading.BoundedSemaphore(AT_ONCE)
# For each address, when it was read and what it answered. A tuple is replaced whole, so no lock is needed.
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


class Session(requests.Session):
    """Raises RequestException for a provider that is away: busy, not reachable, or answering with a status of 5xx."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        if not _slots.acquire(timeout=WAIT_SECONDS):
            raise requests.ConnectionError("too many requests to the provider at the same time")
        try:
            answer = super().request(*args, **{"timeout": PROVIDER_SECONDS} | kwargs)
        finally:
            _slots.release()
        if answer.status_code >= 500:
            answer.raise_for_status()
        return answer


def read(address: str, *, is_renewed: bool = False) -> dict[str, Any]:
    """Return the JSON object at one of the provider's addresses, which was read at most KEPT_SECONDS ago."""
    at, found = _kept.get(address, (0.0, {}))
    if found and not is_renewed and clock() - at < KEPT_SECONDS:
        return found
    with Session() as web:
        answer = web.get(address)
        answer.raise_for_status()
        found = answer.json()
    if not isinstance(found, dict):
        raise requests.RequestException("the provider did not answer with a JSON object")
    _kept[address] = (clock(), found)
    return found


def clear() -> None:
    """Forget what was read: for tests."""
    _kept.clear()
