"""Errors of the database: whether the data, a statement, the database or our code is to blame."""

import logging
import sqlite3

import psycopg
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)

from chat.store import faults
from chat.store.faults import Blame


def raised(django_class, sqlstate):
    """Return an error as Django wraps it: its cause is the driver's error, which has the SQLSTATE."""
    cause = psycopg.errors.lookup(sqlstate)("in the words of PostgreSQL")
    error = django_class(*cause.args)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "blame", "state"),
    [
        # An invalid value: final.
        (raised(DataError, "22001"), Blame.DATA, None),
        (raised(DataError, "22021"), Blame.DATA, None),
        (raised(IntegrityError, "23505"), Blame.DATA, None),
        (DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), Blame.DATA, None),
        (DataError("string or blob too big"), Blame.DATA, None),
        (IntegrityError("FOREIGN KEY constraint failed"), Blame.DATA, None),
        (OverflowError("Python int too large to convert to SQLite INTEGER"), Blame.DATA, None),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Blame.DATA, None),
        # The database as a whole.
        (raised(InternalError, "25006"), Blame.DATABASE, "read_only"),
        (raised(ProgrammingError, "42501"), Blame.DATABASE, "denied"),
        (raised(ProgrammingError, "42P01"), Blame.DATABASE, "schema"),
        (raised(ProgrammingError, "42703"), Blame.DATABASE, "schema"),
        (raised(OperationalError, "53100"), Blame.DATABASE, "full"),
        (raised(OperationalError, "53300"), Blame.DATABASE, "overloaded"),
        (raised(OperationalError, "57P01"), Blame.DATABASE, "away"),
        (raised(OperationalError, "08006"), Blame.DATABASE, "away"),
        (raised(OperationalError, "28P01"), Blame.DATABASE, "denied"),
        (raised(InternalError, "XX001"), Blame.DATABASE, "damaged"),
        (raised(OperationalError, "58030"), Blame.DATABASE, "damaged"),
        (raised(InternalError, "25P03"), Blame.DATABASE, "away"),
        (DatabaseError("database disk image is malformed"), Blame.DATABASE, "damaged"),
        (DatabaseError("file is not a database"), Blame.DATABASE, "damaged"),
        (OperationalError("disk I/O error"), Blame.DATABASE, "damaged"),
        (OperationalError("database or disk is full"), Blame.DATABASE, "full"),
        (OperationalError("attempt to write a readonly database"), Blame.DATABASE, "read_only"),
        (OperationalError("unable to open database file"), Blame.DATABASE, "denied"),
        (OperationalError("database is locked"), Blame.DATABASE, "locked"),
        (OperationalError("no such table: chat_event"), Blame.DATABASE, "schema"),
        (OperationalError("connection failed: FATAL: sorry, too many clients already"), Blame.DATABASE, "overloaded"),
        (OperationalError("server closed the connection unexpectedly"), Blame.DATABASE, "away"),
        (InterfaceError("connection already closed"), Blame.DATABASE, "away"),
        (TimeoutError(), Blame.DATABASE, "away"),
        (faults.TableLockedError("canceling statement due to lock timeout"), Blame.DATABASE, None),
        # One statement, possibly because of one draft.
        (raised(OperationalError, "57014"), Blame.STATEMENT, "slow"),
        (raised(OperationalError, "55P03"), Blame.STATEMENT, "locked"),
        (raised(OperationalError, "40P01"), Blame.STATEMENT, "locked"),
        (raised(OperationalError, "54001"), Blame.STATEMENT, None),
        (raised(NotSupportedError, "0A000"), Blame.STATEMENT, None),
        (raised(InternalError, "P0001"), Blame.STATEMENT, None),
        (OperationalError("too many SQL variables"), Blame.STATEMENT, None),
        (OperationalError("Expression tree is too large (maximum depth 1000)"), Blame.STATEMENT, None),
        (OperationalError("interrupted"), Blame.STATEMENT, None),
        # A bug in our code.
        (raised(ProgrammingError, "42601"), Blame.PROGRAM, None),
        (ProgrammingError("Incorrect number of bindings supplied"), Blame.PROGRAM, None),
        (TypeError("no"), Blame.PROGRAM, None),
        (KeyError("room"), Blame.PROGRAM, None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_error_has_its_blame_and_state(error, blame, state):
    assert faults.blame(error) is blame
    assert state in (None, faults.state(error))
    assert faults.is_passing(error) is (blame in (Blame.DATABASE, Blame.STATEMENT))


def test_sqlites_own_error_for_a_file_that_is_no_database_means_damaged(tmp_path):
    file = tmp_path / "db"
    file.write_bytes(b"hello" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        sqlite3.connect(file).execute("SELECT 1 FROM sqlite_master")
    assert faults.state(DatabaseError(*caught.value.args)) == "damaged"


@pytest.mark.parametrize(
    "error",
    [
        DataError("a secret"),
        IntegrityError("Key (body)=(a secret)"),
        ValueError("a secret"),
        ProgrammingError("secret"),
    ],
)
def test_the_reason_quotes_no_data(error):
    assert faults.reason(error) == type(error).__name__


def test_the_reason_is_the_first_line_of_the_databases_message():
    error = raised(InternalError, "25006")
    error.args = ("cannot execute INSERT in a read-only transaction\nDETAIL: a secret",)
    assert faults.reason(error) == "InternalError: cannot execute INSERT in a read-only transaction"


@pytest.mark.parametrize("error", [TypeError("a secret"), ProgrammingError("syntax error at 'a secret'")])
def test_a_bug_is_logged_with_its_traceback_once_and_without_quoted_data(caplog, error):
    def fail():
        raise error

    for _ in range(3):
        with pytest.raises(type(error)) as caught:
            fail()
        faults.log_once(logging.getLogger("chat"), "room=1: it failed", caught.value)
    assert ["in fail" in line for line in caplog.messages] == [True, False, False]
    assert {line.splitlines()[0] for line in caplog.messages} == {f"room=1: it failed: {type(error).__name__}"}
    assert "secret" not in caplog.text
