"""Deletes expired sessions and old failed sign-ins, in pieces, with lower priority than all other writes."""

import asyncio
import logging
import random
from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone

from chat.conf import conf
from chat.live import database

logger = logging.getLogger("multichat.cleaning")

PIECE_ROWS = 200
# The pause between two pieces lets other transactions use the database.
PAUSE_SECONDS = 0.05


async def run_always() -> None:
    """Clean periodically, at times that differ between processes."""
    while True:
        await asyncio.sleep(conf.CLEAN_SECONDS * random.uniform(0.5, 1))
        try:
            await clean()
        except database.AWAY as error:
            logger.info("expired sessions could not be deleted: %s", database.reason(error))


async def clean() -> int:
    """Delete expired sessions and old sign-ins, and return the number of deleted rows."""
    count = 0
    for piece in (_delete_sessions, _delete_attempts, _delete_failures):
        while deleted := await database.write_behind(piece):
            count += deleted
            await asyncio.sleep(PAUSE_SECONDS)
    if count:
        logger.info("deleted %d rows of expired sessions and old sign-ins", count)
    return count


def _delete_sessions() -> int:
    return _delete(Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date"))


def _delete_attempts() -> int:
    return _delete(AccessAttempt.objects.filter(attempt_time__lt=_oldest_kept_time()).order_by("pk"))


def _delete_failures() -> int:
    return _delete(AccessFailureLog.objects.filter(attempt_time__lt=_oldest_kept_time()).order_by("pk"))


def _oldest_kept_time() -> object:
    # Failures count for a few minutes. A day leaves admins time to read them.
    return timezone.now() - max(settings.AXES_COOLOFF_TIME, timedelta(days=1))


def _delete(rows: "models.QuerySet[models.Model]") -> int:
    keys = list(rows.values_list("pk", flat=True)[:PIECE_ROWS])
    # One statement without signals: these sessions had expired, so no user's rights change. Another process may be
    # deleting the same rows; each process deletes those that are left.
    if not keys:
        return 0
    deleted: int = rows.model._base_manager.filter(pk__in=keys)._raw_delete(DEFAULT_DB_ALIAS)
    return deleted
