"""Runs small queries that select rows by their ids, without composing the SQL anew each time (select).

Django takes several times as long to compose such a query as the database takes to answer it. So a query is composed
once for each number of ids, and the numbers are few, because shorter lists repeat their last id.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models import QuerySet

# Some builds of SQLite take 999 parameters.
MOST = 900

M = TypeVar("M", bound=models.Model)


def select(query: Callable[[Sequence[Any]], QuerySet[M]], ids: Sequence[Any]) -> list[M]:
    """Return the rows of `query(ids)`, a function of a module. Its only parameters are these ids, at most MOST."""
    if not ids:
        return []
    size = min(1 << (len(ids) - 1).bit_length(), MOST)
    model, sql = _compose(query, size, connection.vendor)
    return list(model._default_manager.raw(sql, [*ids, *[ids[-1]] * (size - len(ids))]))


@lru_cache
def _compose(query: Callable[[Sequence[Any]], QuerySet[M]], size: int, vendor: str) -> tuple[type[M], str]:
    ids = list(map(str, range(size)))
    rows = query(ids)
    sql, parameters = rows.query.sql_with_params()
    assert list(map(str, parameters)) == ids, f"the query has other parameters than the ids: {sql}"
    return rows.model, sql
