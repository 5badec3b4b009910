"""Makes a large site by SQL: `python -m tests.servers.big 1.0` (10,000 rooms, 100,000 users, 10,000,000 events).

Room 1 has a fifth of all events. Room 2 has a tenth; its newest fifth are edits of its first message, and reactions to
it. A hundred rooms have three tenths, and the other rooms share the rest evenly. Each user has read positions in about
forty rooms. A second argument is the number of edits and reactions: `0.02 200000` is small but for these.
"""

import sys
from dataclasses import dataclass
from typing import Any

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.utils import timezone  # noqa: E402

from chat.models import Event, Membership, Room  # noqa: E402

START = 1_700_000_000
WORDS = "words of an ordinary message, written in passing"


@dataclass(frozen=True)
class Size:
    """The number of rooms, users and events at a scale; 1.0 is the full size."""

    scale: float
    changes: int

    def of(self, full: int, least: int = 1) -> int:
        return max(least, round(full * self.scale))

    @property
    def rooms(self) -> int:
        return self.of(10_000, 120)

    @property
    def users(self) -> int:
        return self.of(100_000, 200)

    @property
    def tiers(self) -> list[tuple[int, int, int]]:
        """First room, last room, and how many events each room between them has."""
        rest = self.rooms - 102
        return [
            (1, 1, self.of(2_000_000)),
            (2, 2, self.of(800_000) + self.changes),
            (3, 102, self.of(30_000)),
            (103, self.rooms, self.of(4_000_000) // rest + 1),
        ]


def make(scale: float, changes: int | None = None) -> None:
    """Make the site. `changes`: how many of the newest events of room 2 are edits and reactions."""
    if Event._meta.db_table not in connection.introspection.table_names():
        call_command("migrate", interactive=False, verbosity=0)
    size = Size(scale, round(200_000 * scale) if changes is None else changes)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0")
        _make_numbers(cursor, max(size.users, size.rooms, *(count for _, _, count in size.tiers)))
        _insert(cursor, User, f"FROM numbers a WHERE a.n <= {size.users}", _users())
        _insert(cursor, Room, f"FROM numbers a WHERE a.n <= {size.rooms}", _rooms(size))
        for first, last, count in size.tiers:
            both = f"FROM numbers a JOIN numbers b ON b.n <= {count} WHERE a.n BETWEEN {first} AND {last}"
            _insert(cursor, Event, f"{both} ORDER BY a.n, b.n", _events(size), key=None)
        pairs = f"FROM numbers a JOIN numbers b ON b.n <= 40 WHERE a.n <= {size.users}"
        _insert(cursor, Membership, pairs, _memberships(size), key=None)
        cursor.execute("DROP TABLE numbers")
        if connection.vendor == "postgresql":
            for model in (User, Room):
                table = model._meta.db_table
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))")
            cursor.execute("VACUUM ANALYZE")
        else:
            cursor.execute("ANALYZE")


def _make_numbers(cursor: Any, most: int) -> None:
    cursor.execute("CREATE TABLE numbers (n bigint PRIMARY KEY)")
    cursor.execute("INSERT INTO numbers VALUES (1)")
    count = 1
    while count < most:
        cursor.execute(f"INSERT INTO numbers SELECT n + {count} FROM numbers WHERE n + {count} <= {most}")
        count = min(2 * count, most)


def _insert(
    cursor: Any, model: type[models.Model], source: str, values: dict[str, str], *, key: str | None = "a.n"
) -> None:
    """Insert a row for each row of the source; columns without a value get the model's default."""
    columns, expressions = [], []
    for field in model._meta.concrete_fields:
        if field.primary_key and key is None:
            continue
        columns.append(f'"{field.column}"')
        expressions.append(values.get(field.attname) or (key if field.primary_key and key else _default(field)))
    cursor.execute(
        f'INSERT INTO "{model._meta.db_table}" ({", ".join(columns)}) SELECT {", ".join(expressions)} {source}'
    )


def _default(field: Any) -> str:
    value = field.get_default()
    if isinstance(field, models.DateTimeField) and value is None and not field.null:
        value = timezone.now()
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return _boolean(value)
    if isinstance(value, int):
        return str(value)
    return f"'{value}'"


def _boolean(value: bool) -> str:
    return str(value).upper() if connection.vendor == "postgresql" else str(int(value))


def _time(seconds: str) -> str:
    if connection.vendor == "postgresql":
        return f"to_timestamp({START} + {seconds})"
    return f"datetime({START} + {seconds}, 'unixepoch')"


def _uuid(high: str, low: str) -> str:
    if connection.vendor == "postgresql":
        return f"(lpad(to_hex({high}), 16, '0') || lpad(to_hex({low}), 16, '0'))::uuid"
    return f"printf('%016x%016x', {high}, {low})"


def _users() -> dict[str, str]:
    return {
        "username": "'user' || a.n",
        "password": "'!'",
        "is_staff": f"CASE WHEN a.n % 50 = 0 THEN {_boolean(True)} ELSE {_boolean(False)} END",
    }


def _rooms(size: Size) -> dict[str, str]:
    heads = " ".join(f"WHEN a.n BETWEEN {first} AND {last} THEN {count}" for first, last, count in size.tiers)
    return {"title": "'Room ' || a.n", "title_key": "'room ' || a.n", "head_seq": f"CASE {heads} END", "epoch": "'big'"}


def _events(size: Size) -> dict[str, str]:
    is_change = f"(a.n = 2 AND b.n > {size.tiers[1][2] - size.changes})"
    is_reaction = f"({is_change} AND b.n % 2 = 0)"
    author = f"1 + (a.n * 31 + b.n * 7) % {size.users}"
    return {
        "room_id": "a.n",
        "seq": "b.n",
        "kind": f"CASE WHEN {is_reaction} THEN 3 WHEN {is_change} THEN 1 ELSE 0 END",
        "target_seq": f"CASE WHEN {is_change} THEN 1 END",
        "is_on": f"CASE WHEN {is_reaction} THEN {_boolean(True)} END",
        "author_id": author,
        "username": f"'user' || ({author})",
        "body": f"CASE WHEN {is_reaction} THEN '👍' ELSE 'message ' || b.n || ': {WORDS}' END",
        "client_id": _uuid("a.n", "b.n"),
        "at": _time("b.n"),
    }


def _memberships(size: Size) -> dict[str, str]:
    # Each user has positions in room 1 and some others, among the first 400 messages.
    room = (
        f"CASE WHEN b.n = 1 THEN 1 ELSE 2 + (a.n * 41 + b.n * {max(1, (size.rooms - 2) // 40)}) % {size.rooms - 1} END"
    )
    return {"user_id": "a.n", "room_id": room, "read_seq": "a.n % 400"}


if __name__ == "__main__":
    make(float(sys.argv[1]), *map(int, sys.argv[2:]))
