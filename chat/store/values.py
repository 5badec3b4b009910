"""Runs a statement about many given rows, such as pairs of room and user (select, add, source)."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from chat.store.round_trip import RoundTrip


def select(sql: str, asked: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> list[Any]:
    """Return the rows of a query, in whose SQL `{rows}` stands for the given rows; the caller bounds their number.

    The values are numbers, unless `types` names the database's type of each.
    """
    trip = RoundTrip()
    found = add(trip, sql, asked, types)
    trip.run()
    return found


def add(trip: RoundTrip, sql: str, asked: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> list[Any]:
    """Add such a statement to a round trip, and return the list that will hold its rows."""
    rows = sorted(asked)
    if not rows:
        return []
    text, parameters = source(rows, types or ["bigint"] * len(rows[0]))
    return trip.add(sql.format(rows=text), parameters)


def source(rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> tuple[str, list[Any]]:
    """Return the SQL of a query that returns these rows, in their order, and its parameters.

    PostgreSQL gets one array for each column. Each value by itself would take psycopg, and PostgreSQL's parser, several
    times as long.
    """
    if connection.vendor == "postgresql":
        arrays = ", ".join(f"%s::{name}[]" for name in types)
        return f"SELECT * FROM unnest({arrays})", [array(column) for column in zip(*rows, strict=True)]
    # SQLite looks numbers up by an index only if it knows their type. The first row tells it.
    first = f"({', '.join('CAST(%s AS bigint)' if name == 'bigint' else '%s' for name in types)})"
    rest = f"({', '.join(['%s'] * len(types))})"
    return f"VALUES {', '.join([first, *[rest] * (len(rows) - 1)])}", [value for row in rows for value in row]


def array(column: Sequence[Any]) -> Any:
    """Return a parameter that PostgreSQL reads as an array of these values."""
    if all(isinstance(value, int | None) for value in column):
        # psycopg takes about ten times as long to write numbers.
        return f"{{{','.join('NULL' if value is None else f'{value:d}' for value in column)}}}"
    return list(column)
