"""Sends several statements to the database in one round trip (RoundTrip).

While a thread waits for the database, it releases the interpreter's lock (GIL). Beside a busy event loop it gets the
lock back only after milliseconds, and again for each statement. So PostgreSQL gets statements that need no rows of each
other as one text. SQLite, which has no server, runs them one by one.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from django.db import connection

Rows = list[Any]
K = TypeVar("K")
T = TypeVar("T")


class _Statement(NamedTuple):
    sql: str
    parameters: Sequence[Any]
    rows: Rows
    then: Callable[[Rows], None] | None


class RoundTrip:
    """Statements that run in their order, in the caller's transaction. Each sees what the ones before it wrote."""

    def __init__(self) -> None:
        self._statements: list[_Statement] = []

    def add(self, sql: str, parameters: Sequence[Any], then: Callable[[Rows], None] | None = None) -> Rows:
        """Add a statement and return the list that `run` fills with its rows. `then` gets the rows as well."""
        statement = _Statement(sql, parameters, [], then)
        self._statements.append(statement)
        return statement.rows

    def run(self) -> None:
        """Run the statements that were added since the last run. Raises the error of the first that fails."""
        statements, self._statements = self._statements, []
        if not statements:
            return
        with connection.cursor() as cursor:
            if _takes_many():
                text = ";\n".join(statement.sql for statement in statements)
                cursor.execute(text, [value for statement in statements for value in statement.parameters])
                for statement in statements:
                    statement.rows.extend(_read(cursor))
                    cursor.nextset()
            else:
                for statement in statements:
                    cursor.execute(statement.sql, statement.parameters)
                    statement.rows.extend(_read(cursor))
        for statement in statements:
            if statement.then:
                statement.then(statement.rows)


def ask_alone(ask: Callable[[RoundTrip, K], Callable[[], T]], asked: K) -> T:
    """Ask one question in a round trip of its own, and return the answer."""
    trip = RoundTrip()
    answer = ask(trip, asked)
    trip.run()
    return answer()


def _read(cursor: Any) -> Rows:
    return cursor.fetchall() if cursor.description else []


def _takes_many() -> bool:
    """Return whether the database takes several statements as one text.

    PostgreSQL does. In a transaction at READ COMMITTED, each statement has a snapshot of its own, as if it came alone.
    It takes no parameters with such a text, so psycopg must put the values into it, which is Django's default.
    """
    return connection.vendor == "postgresql" and not getattr(connection.features, "uses_server_side_binding", False)
