"""Inserts many new rows of one model, with a fraction of the time that `bulk_create` takes (insert).

`bulk_create` prepares each value of each row through its field. Here only fields whose values differ in the database
are asked, and columns that are null in all rows, or get the database's default, are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from django.db import connection, models
from django.db.models.expressions import DatabaseDefault

from chat.store import values
from chat.store.round_trip import RoundTrip, Rows

# Values of these fields go to the database as they are.
_PLAIN = (models.IntegerField, models.CharField, models.TextField, models.BooleanField, models.ForeignKey)


class _Column(NamedTuple):
    attribute: str
    name: str
    type: str
    # Turns a value into what the database stores; None when that is the value itself.
    prepare: Callable[[Any], Any] | None


def insert(trip: RoundTrip, rows: Sequence[models.Model]) -> None:
    """Let a round trip insert these rows in few statements, and set their primary keys at its end.

    All rows are of one model and complete.
    """
    for part, columns in _parts(rows):
        end = f"RETURNING {connection.ops.quote_name(str(part[0]._meta.pk.column))}"
        trip.add(*_insertion(part, columns, end), then=partial(_set_keys, part))


def insert_missing(rows: Sequence[models.Model]) -> None:
    """Insert those of these rows that no row with the same unique values precedes. Sets no primary keys."""
    trip = RoundTrip()
    for part, columns in _parts(rows):
        trip.add(*_insertion(part, columns, "ON CONFLICT DO NOTHING"))
    trip.run()


def _set_keys(rows: Sequence[models.Model], keys: Rows) -> None:
    for row, (key,) in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding = False
        row._state.db = connection.alias


def _parts(rows: Sequence[models.Model]) -> Iterator[tuple[Sequence[models.Model], list[_Column]]]:
    """Divide rows by how many parameters the database takes."""
    if not rows:
        return
    columns = [
        column
        for column in _columns(type(rows[0]), connection.vendor)
        if any(_is_given(getattr(row, column.attribute)) for row in rows)
    ]
    most = connection.features.max_query_params
    size = most // len(columns) if most else len(rows)
    for start in range(0, len(rows), size):
        yield rows[start : start + size], columns


def _is_given(value: Any) -> bool:
    """Tell whether a column is needed for a value: NULL and the database's own default need none."""
    return value is not None and not isinstance(value, DatabaseDefault)


def _insertion(rows: Sequence[models.Model], columns: Sequence[_Column], end: str) -> tuple[str, list[Any]]:
    def value_of(row: models.Model, column: _Column) -> Any:
        value = getattr(row, column.attribute)
        return value if column.prepare is None or value is None else column.prepare(value)

    given = [tuple(value_of(row, column) for column in columns) for row in rows]
    text, parameters = values.source(given, [column.type for column in columns])
    table = connection.ops.quote_name(type(rows[0])._meta.db_table)
    return f"INSERT INTO {table} ({', '.join(column.name for column in columns)}) {text} {end}", parameters


@lru_cache
def _columns(model: type[models.Model], vendor: str) -> list[_Column]:
    columns = []
    for field in model._meta.concrete_fields:
        prepare = None if isinstance(field, _PLAIN) else _preparation(field)
        # Without a length, because a cast to it would cut a longer value without an error.
        type_name = str(field.db_type(connection)).partition("(")[0]
        columns.append(_Column(field.attname, connection.ops.quote_name(str(field.column)), type_name, prepare))
    return columns


def _preparation(field: Any) -> Callable[[Any], Any]:
    def prepare(value: Any) -> Any:
        return field.get_db_prep_save(value, connection)

    # All events of a batch have the same time.
    return lru_cache(maxsize=4)(prepare) if isinstance(field, models.DateTimeField) else prepare
