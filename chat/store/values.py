"""Runs a query about many given rows of numbers, such as pairs of room and user, which it reads as VALUES."""

from collections.abc import Iterable
from typing import Any

from django.db import connection


def select(sql: str, asked: Iterable[tuple[int, ...]]) -> list[Any]:
    """Return the rows of a query with these rows of numbers as the VALUES in its WITH; the caller bounds them."""
    asked = sorted(asked)
    if not asked:
        return []
    width = len(asked[0])
    # The casts in the first row set the types, because PostgreSQL does not infer those of parameters.
    first = f"({', '.join(['CAST(%s AS bigint)'] * width)})"
    rest = f"({', '.join(['%s'] * width)})"
    rows: list[Any]
    with connection.cursor() as cursor:
        cursor.execute(
            sql.format(values=", ".join([first, *[rest] * (len(asked) - 1)])),
            [number for row in asked for number in row],
        )
        rows = cursor.fetchall()
    return rows
