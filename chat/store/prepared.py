"""Runs small queries without composing their SQL anew each time: rows by their ids (select, ask), and pages (page).

Django takes several times as long to compose such a query as the database takes to answer it. So a query is composed
once. PostgreSQL takes all ids as one array. For SQLite, a query is composed for each number of ids, and the numbers are
few, because shorter lists repeat their last id.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connection, models
from django.db.models import QuerySet

from chat.store import values
from chat.store.round_trip import RoundTrip

# Ids in one query. Some builds of SQLite take 999 parameters.
MOST = 900

M = TypeVar("M", bound=models.Model)
# What turns the database's value at an index into Python's.
_Converters = list[tuple[int, Callable[[Any], Any]]]
# Stand for the parameters and the limit of a page while it is composed.
FIRST_MARK = 2_000_000_000


class _Composed(NamedTuple, Generic[M]):
    model: type[M]
    sql: str
    attributes: list[str]
    converters: _Converters


class _ComposedPage(NamedTuple):
    sql: str
    # For each parameter of the SQL the index of the page's parameter, or None and the value itself.
    places: list[tuple[int | None, Any]]
    converters: _Converters


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


def page(query: Callable[..., QuerySet[Any, Any]], parameters: Sequence[int], *, limit: int) -> list[Sequence[Any]]:
    """Return up to `limit` rows of `query(*parameters)`, a function of a module that returns rows of values."""
    sql, places, converters = _compose_page(query, len(parameters), connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*(value if place is None else parameters[place] for place, value in places), limit])
        rows = cursor.fetchall()
    return [_convert(row, converters) for row in rows] if converters else rows


def _size(ids: Sequence[Any]) -> int:
    return 1 if connection.vendor == "postgresql" else min(1 << (len(ids) - 1).bit_length(), MOST)


def _convert(row: Sequence[Any], converters: _Converters) -> list[Any]:
    values = list(row)
    for index, convert in converters:
        # No field of ours turns NULL into anything but None.
        if values[index] is not None:
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
    attributes = [expression.target.attname for expression, _, _ in cast("Any", compiler.select)]
    return _Composed(rows.model, sql, attributes, _converters(compiler))


@lru_cache
def _compose_page(query: Callable[..., QuerySet[Any, Any]], count: int, vendor: str) -> _ComposedPage:
    *marks, limit = range(FIRST_MARK, FIRST_MARK + count + 1)
    compiler = query(*marks)[:limit].query.get_compiler(DEFAULT_DB_ALIAS)
    sql, parameters = compiler.as_sql()
    assert sql.endswith(f" LIMIT {limit}"), f"the limit is not the last part: {sql}"
    places = [(marks.index(value) if value in marks else None, value) for value in parameters]
    assert sorted(place for place, _ in places if place is not None) == list(range(count)), f"not each once: {sql}"
    return _ComposedPage(sql.removesuffix(str(limit)) + "%s", places, _converters(compiler))


def _converters(compiler: Any) -> _Converters:
    found = compiler.get_converters([expression for expression, _, _ in compiler.select])
    return [(index, _conversion(functions, expression)) for index, (functions, expression) in found.items()]


def _conversion(converters: list[Callable[..., Any]], expression: Any) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        for converter in converters:
            value = converter(value, expression, connection)
        return value

    return convert
