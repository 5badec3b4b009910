"""Runs a statement about many given rows, such as pairs of room and user, which it reads as VALUES."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection


def select(sql: str, asked: Iterable[tuple[Any, ...]], types: Sequence[str] = ()) -> list[Any]:
    """Return the rows of a query with these rows as the VALUES in its WITH; the caller bounds their number.

    The values are numbers, unless `types` names the database's type of each.
    """
    asked = sorted(asked)
    if not asked:
        return []
    rows: list[Any]
    with connection.cursor() as cursor:
        cursor.execute(*_statement(sql, asked, types))
        rows = cursor.fetchall()
    return rows


def execute(sql: str, asked: Iterable[tuple[int, ...]]) -> None:
    """Run a statement that returns nothing, with these rows of numbers as the VALUES in its WITH."""
    if asked := sorted(asked):
        with connection.cursor() as cursor:
            cursor.execute(*_statement(sql, asked, ()))


def _statement(sql: str, asked: Sequence[tuple[Any, ...]], types: Sequence[str]) -> tuple[str, list[Any]]:
    types = types or ["bigint"] * len(asked[0])
    # The casts in the first row set the types, because PostgreSQL does not infer those of parameters.
    first = f"({', '.join(f'CAST(%s AS {name})' for name in types)})"
    rest = f"({', '.join(['%s'] * len(types))})"
    values = ", ".join([first, *[rest] * (len(asked) - 1)])
    return sql.format(values=values), [value for row in asked for value in row]
