"""Reads the texts that a query matches, by the index that is the fastest for it on the site's database."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet
from django.db import connection

from chat.models import Event, RoomQuerySet
from chat.store import id_blocks
from chat.store.search_query import Query

User = get_user_model()

# SQLite's index has no shorter parts. Shorter terms are compared with the texts that the rest of the query finds.
GRAM = 3
# So many messages of one user are compared with the other terms. Above it, the index of texts finds fewer.
FEW_OF_AUTHOR = 5_000
# If the rooms of a search are not more, and have no more events together, their texts are read, and no index of all
# rooms. So the time depends on no other room.
FEW_ROOMS = 100
FEW_EVENTS = 3_000
# Events that may come between two statements of a search.
MORE_EVENTS = 1_000
# PostgreSQL: a page of a frequent word is found among so many of the newest ids.
NEWEST_IDS = 4096
# PostgreSQL: so many matches are read by the index of trigrams, or so many texts of the rooms. Above both, the planner
# may walk the newest texts.
FEW_MATCHES = 50_000
# How PostgreSQL finds the texts: by their ids, by their trigrams, or as its planner decides.
Way = Literal["ids", "trigrams", "any"]
LIKE = "found.text LIKE %s ESCAPE '!'"
# What is below the floor is gone for readers, and its rows are removed later.
IN_ROOM, IS_KEPT = "room.id = event.room_id", "event.seq >= room.floor_seq"
JOINED = f"JOIN chat_event event ON event.id = found.event_id JOIN chat_room room ON {IN_ROOM} AND {IS_KEPT}"
# A condition of a statement, and its parameters.
Condition = tuple[str, Sequence[Any]]


class Few(NamedTuple):
    """A few rooms, with about how many events they have together."""

    rooms: list[int]
    events: int


class Ids(NamedTuple):
    """From which id on, and before which one, messages are searched; None for no limit."""

    start: int | None = None
    end: int | None = None


class Source(NamedTuple):
    """The tables in the order in which they are read, the column with the ids of messages, and conditions."""

    tables: str
    key: str
    conditions: Sequence[Condition] = ()
    # Whether each text is compared with the rooms of the user, and not looked up by them.
    compares_rooms: bool = False
    # Parts for which the tables have no index.
    parts: Sequence[str] = ()


def matching(rooms: RoomQuerySet, query: Query, before: int | None, limit: int) -> list[Any]:
    """Return the events that match, newest first, each with its `search_text`.

    The condition of `rooms` is a part of each statement. `before`: an id. Raises EmptyResultSet when there is no room.
    """
    if query.room is not None:
        rooms = rooms.titled(query.room)
    few = few_of(rooms)
    if few is not None and not few.rooms:
        raise EmptyResultSet

    def read(ids: Ids, *, way: Way = "any", few: Few | None = None) -> list[Any]:
        sql, params = statement(rooms, few, query, ids, limit=limit, way=way)
        return list(Event.objects.raw(sql, params))

    if few is not None and few.events <= FEW_EVENTS:
        # The texts of these rooms are all read, so the days need no limits of ids, which depend on other rooms.
        return read(Ids(None, before), few=few)
    ids = ids_of(query, before)
    if connection.vendor == "postgresql" and any(len(part) >= GRAM for part in query.parts):
        # PostgreSQL expects a frequent word in every room alike. Where it stands in rooms of others alone, a walk over
        # the newest texts would not end before the oldest one.
        end = ids.end or (Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
        found = read(Ids(max(ids.start or 0, end - NEWEST_IDS), ids.end), way="ids")
        if len(found) == limit:
            return found
        if estimated_matches(query.parts) <= FEW_MATCHES:
            return read(ids, way="trigrams")
        if few is not None and few.events <= FEW_MATCHES:
            # The word is frequent, and the texts of the rooms may be fewer than those that have it.
            return read(ids, few=few)
    return read(ids)


def few_of(rooms: RoomQuerySet) -> Few | None:
    """Return the rooms, and how many events they have, if they are few; otherwise None."""
    sizes = list(rooms.order_by().values_list("pk", "head_seq", "floor_seq")[: FEW_ROOMS + 1])
    events = sum(head - floor + 1 for _, head, floor in sizes)
    return Few([pk for pk, _, _ in sizes], events) if len(sizes) <= FEW_ROOMS else None


def ids_of(query: Query, before: int | None) -> Ids:
    """Return the ids that messages of the query's days, and before a cursor, can have."""
    ends = [] if before is None else [before]
    if query.before is not None:
        ends.append(id_blocks.end_of(query.before))
    start = None if query.after is None else id_blocks.start_of(query.after)
    return Ids(start, min(ends, default=None))


def estimated_matches(parts: Sequence[str]) -> int:
    """Return how many texts of all rooms PostgreSQL expects to have these parts."""
    conditions = " AND ".join([LIKE] * len(parts))
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) SELECT 1 FROM chat_searchtext found WHERE {conditions}", list(map(_like, parts))
        )
        plan: Any = cursor.fetchone()[0]
    return int(plan[0]["Plan"]["Plan Rows"])


def _like(part: str) -> str:
    """Return the pattern of a part, for LIKE."""
    return "%" + re.sub("([!%_])", r"!\1", part) + "%"


def statement(
    rooms: RoomQuerySet, few: Few | None, query: Query, ids: Ids, *, limit: int, way: Way = "any"
) -> tuple[str, list[Any]]:
    """Return the SQL that reads the newest matches, with its parameters. `few`: read the texts of these rooms."""
    author = _author_id(query)
    source = _source(few, query, author)
    conditions = [_rooms_condition(rooms, source, query), *source.conditions]
    # As a value, PostgreSQL has no index for it.
    conditions += [(f"({LIKE}) IS TRUE" if way == "ids" else LIKE, [_like(part)]) for part in source.parts]
    # Of few texts, the events are looked up by id. An index of other conditions would lead to events of other rooms.
    form = "{}" if few is None else "({}) IS TRUE"
    conditions += [(form.format(sql), params) for sql, params in _filters(query, author, source.key, ids)]
    # No index has the sum, so the matches are read by their trigrams and sorted.
    order = f"{source.key} + 0" if way == "trigrams" else source.key
    return (
        f"SELECT event.*, found.text AS search_text FROM {source.tables} "
        f"WHERE {' AND '.join(sql for sql, _ in conditions)} ORDER BY {order} DESC LIMIT {int(limit)}",
        [param for _, params in conditions for param in params],
    )


def _author_id(query: Query) -> int | None:
    """Return the user whose messages are wanted. None: everybody's, or those of a user who was deleted."""
    if query.author is None:
        return None
    users = User.objects.filter(**{f"{User.USERNAME_FIELD}__iexact": query.author}).values_list("pk", flat=True)
    return users.first()


def _source(few: Few | None, query: Query, author: int | None) -> Source:
    indexed = [part for part in query.parts if len(part) >= GRAM]
    if few is not None:
        return _texts_of_few_rooms(few, query)
    if query.has_file or (author is not None and _is_by_author(author, indexed)):
        return _events_first(query)
    if connection.vendor == "sqlite" and indexed:
        return _trigrams_of_sqlite(query, indexed)
    return Source(f"chat_searchtext found {JOINED}", "found.event_id", parts=query.parts)


def _texts_of_few_rooms(few: Few, query: Query) -> Source:
    own = f"room_id IN ({', '.join(map(str, few.rooms))})"
    if connection.vendor == "sqlite":
        tables = f"chat_searchtext found INDEXED BY search_room_event {JOINED}"
        return Source(tables, "found.event_id", [(f"found.{own}", ())], compares_rooms=True, parts=query.parts)
    # PostgreSQL keeps the rest out of a part with a LIMIT, and takes it for the number of rows, where its estimate for
    # rooms of others may be a thousand times too large.
    texts = f"(SELECT * FROM chat_searchtext WHERE {own} LIMIT {2 * few.events + MORE_EVENTS}) found"
    return Source(f"{texts} {JOINED}", "found.event_id", parts=query.parts)


def _events_first(query: Query) -> Source:
    """Read a partial index of the messages with files, or of those of the author, and compare them with the rest."""
    index = "event_with_files" if query.has_file else "event_author_newest"
    used = f" INDEXED BY {index}" if connection.vendor == "sqlite" else ""
    tables = f"chat_event event{used} CROSS JOIN chat_searchtext found CROSS JOIN chat_room room"
    conditions: list[Condition] = [("found.event_id = event.id", ()), (IN_ROOM, ()), (IS_KEPT, ())]
    return Source(tables, "event.id", conditions, parts=query.parts)


def _trigrams_of_sqlite(query: Query, indexed: Sequence[str]) -> Source:
    """Read the index of texts, which yields the newest first."""
    # CROSS JOIN: SQLite would otherwise be free to read all texts first. In this order, it reads the events of rooms
    # that the user may enter, and no others.
    tables = (
        "chat_search CROSS JOIN chat_searchtext found ON found.event_id = chat_search.rowid "
        f"CROSS JOIN chat_event event ON event.id = found.event_id CROSS JOIN chat_room room ON {IN_ROOM}"
    )
    match = " AND ".join('"' + part.replace('"', '""') + '"' for part in indexed)
    conditions: list[Condition] = [("chat_search MATCH %s", [match]), (IS_KEPT, ())]
    short = [part for part in query.parts if part not in indexed]
    return Source(tables, "chat_search.rowid", conditions, compares_rooms=True, parts=short)


def _is_by_author(author: int, indexed: list[str]) -> bool:
    """Tell whether to read the author's messages, and not those that the index of texts finds.

    On PostgreSQL the planner decides, by its statistics.
    """
    if connection.vendor == "postgresql":
        return False
    if not indexed:
        return True
    newest = Event.objects.filter(author=author, kind=Event.Kind.POSTED).values("pk").order_by("-pk")
    return newest[: FEW_OF_AUTHOR + 1].count() <= FEW_OF_AUTHOR


def _rooms_condition(rooms: RoomQuerySet, source: Source, query: Query) -> Condition:
    """Return the condition that a text is of a room that the user may enter: the right, in each statement."""
    sql, params = rooms.order_by().values("pk").query.sql_with_params()
    condition = f"found.room_id IN ({sql})"
    if source.compares_rooms:
        # The plus keeps SQLite from looking up each match once for each room of the user: a match has one room.
        condition = f"+{condition}"
    elif connection.vendor == "postgresql" and query.room is None:
        # As a value, and not as a condition that PostgreSQL turns into a join: it compared each match with each room
        # of the user at the end, which took 1.1 s for 100,000 matches in a room that the user may not enter.
        condition = f"({condition}) IS TRUE"
    return condition, params


def _filters(query: Query, author: int | None, key: str, ids: Ids) -> Iterator[Condition]:
    if query.has_file:
        yield "event.files IS NOT NULL", ()
    # PostgreSQL may read texts and events side by side by their ids, each of them from the limits that it is given.
    for column in (key, "event.id") if connection.vendor == "postgresql" and key != "event.id" else (key,):
        if ids.start is not None:
            yield f"{column} >= %s", [ids.start]
        if ids.end is not None:
            yield f"{column} < %s", [ids.end]
    if query.author is not None:
        # Every text is that of a posted message. Only with its kind can a partial index be used.
        yield (
            ("event.username = %s", [query.author])
            if author is None
            else ("event.kind = 0 AND event.author_id = %s", [author])
        )
    if query.after is not None:
        yield "event.at >= %s", [connection.ops.adapt_datetimefield_value(query.after)]
    if query.before is not None:
        yield "event.at < %s", [connection.ops.adapt_datetimefield_value(query.before)]
