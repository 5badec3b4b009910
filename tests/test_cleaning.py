"""Expired sessions and old failed sign-ins are deleted in pieces."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.utils import timezone

from chat.live import database
from chat.store import access
from multichat import cleaning

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def quick(monkeypatch):
    monkeypatch.setattr(cleaning, "PIECE_ROWS", 10)
    monkeypatch.setattr(cleaning, "PAUSE_SECONDS", 0)
    yield
    await database.close()


def make(count, age):
    end = timezone.now() - age
    Session.objects.bulk_create(
        [Session(session_key=f"{age.days}-{n}", session_data="", expire_date=end) for n in range(count)]
    )


async def test_expired_sessions_are_deleted_and_others_kept(monkeypatch):
    await database.write(make, 25, timedelta(days=1))
    await database.write(make, 3, timedelta(days=-1))
    pieces = []
    delete = cleaning._delete
    monkeypatch.setattr(cleaning, "_delete", lambda rows: pieces.append(delete(rows)) or pieces[-1])
    changes = await database.read(access.recent_changes)
    assert await cleaning.clean() == 25
    assert max(pieces) == 10, "pieces are small, so that messages do not wait"
    assert await database.read(Session.objects.count) == 3
    assert await database.read(access.recent_changes) == changes, "no change of rights was recorded"


async def test_old_failed_sign_ins_are_deleted_and_recent_ones_kept():
    def fail():
        AccessAttempt.objects.create(username="old", failures_since_start=1)
        AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(days=2))
        AccessAttempt.objects.create(username="new", failures_since_start=1)

    await database.write(fail)
    assert await cleaning.clean() == 1
    assert await database.read(lambda: AccessAttempt.objects.get().username) == "new"


async def test_cleaning_continues_after_the_database_was_away(monkeypatch, settings):
    settings.CLEAN_SECONDS = 0
    tries = []

    async def away():
        tries.append(1)
        if len(tries) == 3:
            raise KeyboardInterrupt
        raise OperationalError("gone")

    monkeypatch.setattr(cleaning, "clean", away)
    with pytest.raises(KeyboardInterrupt):
        await cleaning.run_always()
    assert len(tries) == 3
