"""Web sessions in the database; a cookie whose key is impossible never reaches a query."""

import re
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.utils import timezone

# Django's own keys have 32 characters of a-z and 0-9. PostgreSQL refuses a query with a NUL, and several sockets that
# connect at once share a query.
_KEY = re.compile(r"[0-9A-Za-z]{8,40}")


def is_key(value: str) -> bool:
    """Return whether a value can be a session key."""
    return _KEY.fullmatch(value) is not None


def is_due(expires_at: datetime) -> bool:
    """Return whether a session that is used has to be prolonged: once a day, or at a tenth of a shorter time."""
    age = timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return expires_at - timezone.now() < age - min(age / 10, timedelta(days=1))


def prolong(keys: Collection[str]) -> None:
    """Let sessions last from now on as long as new ones. Those that have ended stay ended."""
    now = timezone.now()
    alive = Session.objects.filter(session_key__in=keys, expire_date__gt=now)
    alive.update(expire_date=now + timedelta(seconds=settings.SESSION_COOKIE_AGE))


class SessionStore(DatabaseStore):
    """Treats a cookie that cannot be a session key as no session, and knows until when a session lasts."""

    expires_at: datetime | None = None

    def _get_session_from_db(self) -> Any:
        row = super()._get_session_from_db()  # type: ignore[misc]
        self.expires_at = row.expire_date if row is not None else None
        return row

    def _validate_session_key(self, key: str | None) -> bool:
        return bool(key) and is_key(str(key))
