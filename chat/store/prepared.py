"""Runs small queries that select rows by their ids, without composing the SQL anew each time (select, ask).

Django takes several times as long to compose such a query as the database takes to answer it. So a query is composed
once. PostgreSQL takes all ids as one array. For SQLite, a query is composed for each number of ids, and the numbers are
few, because shorter lists repeat their last id.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models import QuerySet

from chat.store import values
from chat.store.round_trip import RoundTrip

# Ids in one query. Some builds of SQLite take 999 parameters.
MOST = 900

M = TypeVar("M", bound=models.Model)


class _Composed(NamedTuple, Generic[M]):
    model: type[M]
    sql: str
    attributes: list[str]
    # What turns the database's value at an index into Python's.
    converters: list[tuple[int, Callable[[Any], Any]]]


def select(query: Callable[[Sequence[Any]], QuerySet[M]], ids: Sequence[Any]) -> list[M]:
    """Return the rows of `query(ids)`, a function of a module. Its only parameters are these ids."""
    trip = RoundTrip()
    answer = ask(trip, query, ids)
    trip.run()
    return answer()


def ask(trip: RoundTrip, query: Callable[[Sequence[Any]], QuerySet[M]], ids: Sequence[Any]) -> Callable[[], list[M]]:
    """Add `query(ids)` to a round trip. The returned function returns the rows after it."""
    if not ids:
        return list
    model, _, attributes, _ = _compose(query, _size(ids), connection.vendor)
    rows = ask_values(trip, query, ids)
    return lambda: [model.from_db(DEFAULT_DB_ALIAS, attributes, row) for row in rows()]


def ask_values(
    trip: RoundTrip, query: Callable[[Sequence[Any]], QuerySet[Any]], ids: Sequence[Any]
) -> Callable[[], list[Sequence[Any]]]:
    """Add `query(ids)` to a round trip. The returned function returns rows of values, in the order of the fields."""
    answers = []
    for start in range(0, len(ids), MOST):
        piece = ids[start : start + MOST]
        size = _size(piece)
        _, sql, _, converters = _compose(query, size, connection.vendor)
        is_array = connection.vendor == "postgresql"
        parameters = [values.array(piece)] if is_array else [*piece, *[piece[-1]] * (size - len(piece))]
        answers.append((trip.add(sql, parameters), converters))
    return lambda: [_convert(row, converters) if converters else row for rows, converters in answers for row in rows]


def _size(ids: Sequence[Any]) -> int:
    return 1 if connection.vendor == "postgresql" else min(1 << (len(ids) - 1).bit_length(), MOST)


def _convert(row: Sequence[Any], converters: list[tuple[int, Callable[[Any], Any]]]) -> list[Any]:
    values = list(row)
    for index, convert in converters:
        values[index] = convert(values[index])
    return values


@lru_cache
def _compose(query: Callable[[Sequence[Any]], QuerySet[M]], size: int, vendor: str) -> _Composed[M]:
    ids = list(map(str, range(size)))
    rows = query(ids)
    compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
    sql, parameters = compiler.as_sql()
    assert list(map(str, parameters)) == ids, f"the query has other parameters than the ids: {sql}"
    if vendor == "postgresql":
        assert sql.count(" IN (%s)") == 1, f"the ids are not looked up by IN: {sql}"
        sql = sql.replace(" IN (%s)", " = ANY(%s)")
    columns: list[Any] = [expression for expression, _, _ in compiler.select]
    converters = [
        (index, _conversion(found, expression))
        for index, (found, expression) in compiler.get_converters(columns).items()
    ]
    return _Composed(rows.model, sql, [column.target.attname for column in columns], converters)


def _conversion(converters: list[Callable[..., Any]], expression: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        for converter in converters:
            value = converter(value, expression, connection)
        return value

    return convert
