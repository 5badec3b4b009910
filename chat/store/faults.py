"""What an error of the database means: who is to blame, whether to try again, and what to call it."""

import logging
import re
import traceback
from enum import Enum

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

# What chat.live.database raises when the database is away, overloaded, full or read-only.
# The same work may succeed later.
AWAY = (OperationalError, InterfaceError, TimeoutError)


class TableLockedError(OperationalError):
    """A whole table is locked, so that no message can be saved: a backup is being restored, say."""


class Blame(Enum):
    """What is at fault when work on the database fails."""

    # A value that the database refuses: the same work fails for ever.
    DATA = "data"
    # This statement: too large, too slow, or waiting for a lock. Other work may succeed.
    STATEMENT = "statement"
    # The database as a whole, or the connection to it. No work succeeds until it is repaired.
    DATABASE = "database"
    # Our code.
    PROGRAM = "program"


# SQLSTATEs, or the beginnings of some: https://www.postgresql.org/docs/current/errcodes-appendix.html
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
# Without a SQLSTATE: SQLite, and psycopg when it has no answer of the server.
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
# Not about one statement, although a single statement met it.
WHOLE = {"read_only", "full", "overloaded", "denied", "schema", "damaged", "away"}


def sqlstate(error: BaseException) -> str:
    """Return PostgreSQL's code for an error, or "" if it has none."""
    # Django's errors have psycopg's as their cause.
    cause: BaseException | None = error
    while cause is not None:
        if code := getattr(cause, "sqlstate", None):
            return str(code)
        cause = cause.__cause__
    return ""


def state(error: BaseException) -> str:
    """Name what is wrong with the database, without its addresses and words: read_only, full, locked, away …"""
    if code := sqlstate(error):
        return next((STATES[code[:length]] for length in (5, 3, 2) if code[:length] in STATES), "failing")
    words = str(error)
    return next((name for pattern, name in WORDS.items() if re.search(pattern, words, re.IGNORECASE)), "away")


def blame(error: BaseException) -> Blame:
    """Return what is at fault."""
    if isinstance(error, TableLockedError):
        return Blame.DATABASE
    if code := sqlstate(error):
        if code[:2] in ("22", "23"):
            return Blame.DATA
        if state(error) in WHOLE:
            return Blame.DATABASE
        # Syntax, and names that do not exist. Everything unknown may be about this one statement: a trigger, say.
        return Blame.PROGRAM if code[:2] == "42" else Blame.STATEMENT
    match error:
        # What drivers raise for values that no column can hold.
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
    """Tell whether PostgreSQL gave up waiting for a lock."""
    return sqlstate(error) == "55P03"


def is_passing(error: BaseException) -> bool:
    """Tell whether the same work may succeed later."""
    return blame(error) in (Blame.STATEMENT, Blame.DATABASE)


def as_operational(error: DatabaseError) -> OperationalError:
    """Return an error of the database's own as the class that stands for "try again later".

    Drivers spread these over their classes: read-only is an InternalError on PostgreSQL, a missing permission a
    ProgrammingError, and a damaged file a bare DatabaseError on SQLite.
    """
    return OperationalError(*error.args)


def reason(error: BaseException) -> str:
    """Say in one line, for the log, why something was not done: "OperationalError: database or disk is full"."""
    # The text of other errors may quote what was to be saved, and of these the lines after the first.
    is_quotable = isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DatabaseError) and is_passing(error)
    )
    lines = str(error).splitlines() if is_quotable else []
    return ": ".join([type(error).__name__, *lines[:1]])


# Where faults of ours were, so that each is logged with its traceback once.
_logged: set[tuple[str, str, int]] = set()
LOGGED_AT_MOST = 1000


def log_once(logger: logging.Logger, sentence: str, error: BaseException) -> None:
    """Log a fault of our own: the first time with where it happened, then in one line."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame is not None else ("", 0)
    key = (type(error).__name__, *place)
    is_new = key not in _logged and len(_logged) < LOGGED_AT_MOST
    _logged.add(key)
    logger.error("%s: %s%s", sentence, reason(error), trace(error) if is_new else "")


def trace(error: BaseException) -> str:
    """Return where an error was raised, without its text: a database's may quote the statement, and so a message."""
    return "\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip()
