"""Interprets errors of the database: what is to blame, whether to try again, and how to name them in the log."""

import logging
import re
import traceback
from enum import Enum

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

# The errors that chat.live.database raises when the database is away, overloaded, full or read-only.
# The same work may succeed later.
AWAY = (OperationalError, InterfaceError, TimeoutError)


class TableLockedError(OperationalError):
    """A whole table is locked, for example while a backup is restored, so no message can be saved."""


class Blame(Enum):
    """What is at fault when work on the database fails."""

    # A value that the database refuses. The same work will always fail.
    DATA = "data"
    # This statement, because it is too large, too slow, or waits for a lock. Other work may succeed.
    STATEMENT = "statement"
    # The database as a whole, or the connection to it. All work fails until it is repaired.
    DATABASE = "database"
    # Our code.
    PROGRAM = "program"


# SQLSTATEs, or their first characters: https://www.postgresql.org/docs/current/errcodes-appendix.html
STATES = {
    "25006": "read_only",
    "53100": "full",
    "53": "overloaded",
    "42501": "denied",
    "28": "denied",
    "42P01": "schema",
    "42703": "schema",
    "3F": "schema",
    "XX001": "damaged",
    "XX002": "damaged",
    "58": "damaged",
    "55P03": "locked",
    "40": "locked",
    "57014": "slow",
    "08": "away",
    "25P03": "away",
    "57P": "away",
}
# For errors without a SQLSTATE: those of SQLite, and of psycopg when the server gave no answer.
WORDS = {
    r"read-?only (database|transaction)": "read_only",
    r"disk is full": "full",
    r"malformed|is not a database|disk I/O error": "damaged",
    r"unable to open database file|permission denied|authentication failed": "denied",
    r"is locked": "locked",
    r"no such (table|column)": "schema",
    r"too many (clients|connections)|remaining connection slots": "overloaded",
}
TOO_MUCH = re.compile(
    r"too many (SQL variables|terms|columns|FROM|arguments)|too (large|complex|deep|big)|parser stack|interrupted"
    r"|statement timeout|lock timeout|deadlock",
    re.IGNORECASE,
)
# States that affect all work, although one statement reported them.
WHOLE = {"read_only", "full", "overloaded", "denied", "schema", "damaged", "away"}


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code for an error, or "" if it has none."""
    # The cause of a Django error is the psycopg error.
    cause: BaseException | None = error
    while cause is not None:
        if code := getattr(cause, "sqlstate", None):
            return str(code)
        cause = cause.__cause__
    return ""


def state(error: BaseException) -> str:
    """Return a name for what is wrong with the database, without addresses or data: read_only, full, locked, away …"""
    if code := sqlstate(error):
        return next((STATES[code[:length]] for length in (5, 3, 2) if code[:length] in STATES), "failing")
    words = str(error)
    return next((name for pattern, name in WORDS.items() if re.search(pattern, words, re.IGNORECASE)), "away")


def blame(error: BaseException) -> Blame:
    """Return what is to blame for an error."""
    if isinstance(error, TableLockedError):
        return Blame.DATABASE
    if code := sqlstate(error):
        if code[:2] in ("22", "23"):
            return Blame.DATA
        if state(error) in WHOLE:
            return Blame.DATABASE
        # Class 42 is syntax, and missing names. Other errors may concern this statement alone, such as a trigger's.
        return Blame.PROGRAM if code[:2] == "42" else Blame.STATEMENT
    match error:
        # Drivers raise these for values that no column can hold.
        case DataError() | IntegrityError() | OverflowError() | UnicodeError():
            return Blame.DATA
        case TimeoutError() | InterfaceError():
            return Blame.DATABASE
        case ProgrammingError():
            return Blame.DATABASE if state(error) in WHOLE - {"away"} else Blame.PROGRAM
        case DatabaseError():
            return Blame.STATEMENT if TOO_MUCH.search(str(error)) else Blame.DATABASE
    return Blame.PROGRAM


def is_lock_timeout(error: BaseException) -> bool:
    """Return whether PostgreSQL gave up waiting for a lock."""
    return sqlstate(error) == "55P03"


def is_passing(error: BaseException) -> bool:
    """Return whether the same work may succeed later."""
    return blame(error) in (Blame.STATEMENT, Blame.DATABASE)


def as_operational(error: DatabaseError) -> OperationalError:
    """Return an error that may pass as an OperationalError, which callers treat as "try again later".

    Drivers use several classes for such errors: read-only is an InternalError on PostgreSQL, a missing permission
    a ProgrammingError, and a damaged file a bare DatabaseError on SQLite.
    """
    return OperationalError(*error.args)


def reason(error: BaseException) -> str:
    """Return one line for the log that says why work failed: "OperationalError: database or disk is full"."""
    # Other errors, and further lines of these, may quote the data that was to be saved.
    is_quotable = isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DatabaseError) and is_passing(error)
    )
    lines = str(error).splitlines() if is_quotable else []
    return ": ".join([type(error).__name__, *lines[:1]])


# Where faults of our own code happened, so that the traceback of each is logged only once.
_logged: set[tuple[str, str, int]] = set()
LOGGED_AT_MOST = 1000


def log_once(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log a fault of our own code: with its traceback the first time, then in one line."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame is not None else ("", 0)
    key = (type(error).__name__, *place)
    is_new = key not in _logged and len(_logged) < LOGGED_AT_MOST
    _logged.add(key)
    logger.error("%s: %s%s", sentence, reason(error), trace(error) if is_new else "")


def trace(error: BaseException) -> str:
    """Return where an error was raised, without its text: a database error may quote the statement and so a message."""
    return "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
