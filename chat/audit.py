"""The security log: sign-ins, refusals, ended rights and changes by admins, as one JSON line each.

It contains no messages, cookies or passwords. A name that was typed is logged only if a user has it, because
people sometimes type their password into the field for the name.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import DatabaseError
from django.db.models.signals import post_save
from django.utils import translation

from chat import limits
from chat.exceptions import LOG_LANGUAGE

logger = logging.getLogger("multichat.security")

ACTIONS = {1: "added", 2: "changed", 3: "deleted"}
# Events that any visitor can cause are logged at a bounded rate; the rest are counted.
_noise = limits.TokenBucket("LOG_LINES")
_left_out = 0


def write(event: str, **fields: Any) -> None:
    """Write one line; fields that are None are left out."""
    record = {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    record |= {name: value for name, value in fields.items() if value is not None}
    # ASCII with escapes, so that no field can begin a new line or move a terminal's cursor.
    # In English, also where a field is a sentence for a user.
    with translation.override(LOG_LANGUAGE):
        line = json.dumps(record, default=str)
    logger.info("%s", line)


def write_noise(event: str, **fields: Any) -> None:
    """Write one line about an event that any visitor can cause, at a bounded rate."""
    global _left_out
    if _noise.take() > 0:
        _left_out += 1
        return
    left_out, _left_out = _left_out, 0
    write(event, **fields, left_out=left_out or None)


def connect() -> None:
    """Connect the signal handlers. Called once, when the app is ready."""
    user_logged_in.connect(_on_login, dispatch_uid="audit-login")
    user_logged_out.connect(_on_logout, dispatch_uid="audit-logout")
    user_login_failed.connect(_on_failure, dispatch_uid="audit-failure")
    post_save.connect(_on_admin_change, sender=LogEntry, dispatch_uid="audit-admin")


def _on_login(request: Any, user: Any, **kwargs: Any) -> None:
    by = getattr(request, "signed_in_by", None)
    write("sign_in", user=user.pk, username=user.get_username(), by=by, address=_address(request))


def _on_logout(request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None:
        write("sign_out", user=user.pk, username=user.get_username(), address=_address(request))


def _on_failure(credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    user = get_user_model()
    name = str(credentials.get(user.USERNAME_FIELD) or credentials.get("username") or "")
    try:
        known = user._default_manager.filter(**{user.USERNAME_FIELD: name}).first() if "\x00" not in name else None
    except DatabaseError:
        known = None
    write_noise(
        "sign_in_failed",
        user=known.pk if known else None,
        username=known.get_username() if known else None,
        by=credentials.get("by"),
        address=_address(request),
    )


def _on_admin_change(instance: LogEntry, created: bool, **kwargs: Any) -> None:
    if created:
        write(
            "admin_change",
            user=instance.user_id,
            action=ACTIONS.get(instance.action_flag, "changed"),
            model=str(instance.content_type and instance.content_type.model),
            object=instance.object_id,
        )


def _address(request: Any) -> str | None:
    return request.META.get("REMOTE_ADDR") if request is not None else None
