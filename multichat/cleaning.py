"""Deletes sessions that ended and old failed sign-ins, in pieces, behind everything else that is written."""

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
# Between two pieces others have the database.
PAUSE_SECONDS = 0.05


async def run_always() -> None:
    """Clean now and then, at times that differ between processes."""
    while True:
        await asyncio.sleep(conf.CLEAN_SECONDS * random.uniform(0.5, 1))
        try:
            await clean()
        except database.AWAY as error:
            logger.info("old sessions were not deleted: %s", database.reason(error))


async def clean() -> int:
    """Delete what is over, and return how many rows that were."""
    count = 0
    for piece in (_delete_sessions, _delete_attempts, _delete_failures):
        while deleted := await database.write_behind(piece):
            count += deleted
            await asyncio.sleep(PAUSE_SECONDS)
    if count:
        logger.info("%d rows of ended sessions and old sign-ins were deleted", count)
    return count


def _delete_sessions() -> int:
    return _delete(Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date"))


def _delete_attempts() -> int:
    return _delete(AccessAttempt.objects.filter(attempt_time__lt=_forgotten_before()).order_by("pk"))


def _delete_failures() -> int:
    return _delete(AccessFailureLog.objects.filter(attempt_time__lt=_forgotten_before()).order_by("pk"))


def _forgotten_before() -> object:
    # Failures count for some minutes; a day leaves the admin time to look at them.
    return timezone.now() - max(settings.AXES_COOLOFF_TIME, timedelta(days=1))


def _delete(rows: "models.QuerySet[models.Model]") -> int:
    keys = list(rows.values_list("pk", flat=True)[:PIECE_ROWS])
    # One statement without signals: these ended by themselves, so nobody's rights change. Another process may be
    # deleting the same rows; each deletes what is left.
    if not keys:
        return 0
    deleted: int = rows.model._base_manager.filter(pk__in=keys)._raw_delete(DEFAULT_DB_ALIAS)
    return deleted
