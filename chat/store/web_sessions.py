"""Web sessions in the database; a cookie whose key is impossible never reaches a query."""

import re

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

# Django's own keys have 32 characters of a-z and 0-9. PostgreSQL refuses a query with a NUL, and several sockets that
# connect at once share a query.
_KEY = re.compile(r"[0-9A-Za-z]{8,40}")


def is_key(value: str) -> bool:
    """Return whether a value can be a session key."""
    return _KEY.fullmatch(value) is not None


class SessionStore(DatabaseStore):
    """Treats a cookie that cannot be a session key as no session."""

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and is_key(str(key))
