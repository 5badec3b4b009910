"""Giving up work in a database thread."""

import threading
import time

import pytest
from django.db import OperationalError, connection, connections

from chat.live.jobs import GivenUpError, Job
from tests.test_threads import SLOW

pytestmark = pytest.mark.django_db(transaction=True)


def slow_query():
    with connection.cursor() as cursor:
        cursor.execute(SLOW[connection.vendor])
        return cursor.fetchone()


def in_thread(job, results):
    def run():
        try:
            results.append(job.run())
        except Exception as error:
            results.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_work_runs_and_its_result_is_returned():
    assert Job(lambda: 7).run() == 7


def test_work_given_up_before_its_start_does_not_run():
    done = []
    job = Job(lambda: done.append(1))
    job.give_up()
    with pytest.raises(GivenUpError):
        job.run()
    assert done == []


def test_giving_up_ends_the_running_query():
    results = []
    is_running = threading.Event()

    def work():
        is_running.set()
        return slow_query()

    job = Job(work)
    thread = in_thread(job, results)
    assert is_running.wait(10)
    began = time.monotonic()
    # The query may start a moment after the work. Giving up ends it even then.
    while thread.is_alive() and time.monotonic() - began < 30:
        job.give_up()
        thread.join(0.05)
    assert not thread.is_alive()
    assert isinstance(results[0], OperationalError)


def test_work_that_was_given_up_starts_no_further_query():
    queries = []
    has_begun, is_given_up = threading.Event(), threading.Event()

    def work():
        has_begun.set()
        assert is_given_up.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            queries.append(1)

    results = []
    job = Job(work)
    thread = in_thread(job, results)
    assert has_begun.wait(10)
    job.give_up()
    is_given_up.set()
    thread.join(10)
    assert isinstance(results[0], GivenUpError)
    assert queries == []


def test_giving_up_does_not_end_later_work():
    job = Job(lambda: 1)
    assert job.run() == 1
    job.give_up()
    assert Job(lambda: 2).run() == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_on_postgresql_a_connection_whose_query_was_cancelled_is_not_used_again():
    # The request to cancel may arrive late, and would end the next query.
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL cancels queries by a request")
    connection.ensure_connection()
    job = Job(lambda: job.give_up())
    job.run()
    assert connection.connection is None
