"""How long a thread waits for locked rows. tests/test_log_races.py has the effect on messages."""

import threading

import pytest
from django.db import connection, transaction

from chat.live import database
from chat.store import lock_waits
from chat.store.round_trip import RoundTrip


def test_waits_are_brief_only_in_the_block_and_its_thread():
    other_thread = []
    with lock_waits.brief():
        with lock_waits.brief():
            pass
        assert lock_waits.is_brief()
        thread = threading.Thread(target=lambda: other_thread.append(lock_waits.is_brief()))
        thread.start()
        thread.join()
    assert not lock_waits.is_brief()
    assert other_thread == [False]


async def test_only_the_writers_thread_waits_briefly():
    lanes = (database.write, database.write_behind, database.read, database.poll)
    assert [await lane(lock_waits.is_brief) for lane in lanes] == [True, False, False, False]
    await database.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such settings")
def test_the_timeouts_hold_for_one_transaction():
    def limits():
        with connection.cursor() as cursor:
            names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in names))
            return cursor.fetchone()

    before = limits()
    with lock_waits.brief(), transaction.atomic():
        trip = RoundTrip()
        lock_waits.limit_transaction(trip)
        trip.run()
        assert limits() == ("100ms", "5s", "10s")
    assert limits() == before
