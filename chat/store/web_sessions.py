"""Web sessions in the database, which a cookie with an impossible key cannot reach."""

import re

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

# Django's own keys are 32 of a-z and 0-9. PostgreSQL refuses a query with a NUL, and the queries of others with it
# when several sign in at once.
_KEY = re.compile(r"[0-9A-Za-z]{8,40}")


def is_key(value: str) -> bool:
    """Tell whether a value can be the key of a session."""
    return _KEY.fullmatch(value) is not None


class SessionStore(DatabaseStore):
    """Takes a cookie that cannot be a key for no session."""

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and is_key(str(key))
