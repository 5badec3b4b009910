"""Runs a statement about many given rows, such as pairs of room and user, which it reads as VALUES."""

from collections.abc import Iterable, Sequence
from typing import Any

from chat.store.round_trip import RoundTrip


def select(sql: str, asked: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> list[Any]:
    """Return the rows of a query with these rows as the VALUES in its WITH; the caller bounds their number.

    The values are numbers, unless `types` names the database's type of each.
    """
    trip = RoundTrip()
    rows = add(trip, sql, asked, types)
    trip.run()
    return rows


def add(trip: RoundTrip, sql: str, asked: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> list[Any]:
    """Add such a statement to a round trip, and return the list that will hold its rows."""
    if asked := sorted(asked):
        return trip.add(*_statement(sql, asked, types))
    return []


def _statement(sql: str, asked: Sequence[tuple[Any, ...]], types: Sequence[str]) -> tuple[str, list[Any]]:
    types = types or ["bigint"] * len(asked[0])
    # The casts in the first row set the types, because PostgreSQL does not infer those of parameters.
    first = f"({', '.join(f'CAST(%s AS {name})' for name in types)})"
    rest = f"({', '.join(['%s'] * len(types))})"
    values = ", ".join([first, *[rest] * (len(asked) - 1)])
    return sql.format(values=values), [value for row in asked for value in row]
