"""Finds messages by parts of their text, in the rooms that a user may enter.

A copy of each message's text, in a form in which spellings that users take for the same are the same, is stored beside
the log in the message's own transaction. Both databases index its trigrams, so a part of a word is found in any script.
"""

import re
import time
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Literal, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext, ngettext

from chat.models import Event, Room, RoomQuerySet, SearchText
from chat.protocol import Posted
from chat.store import files, id_blocks, values
from chat.store.events import posted
from chat.store.round_trip import RoundTrip

User = get_user_model()

MAX_QUERY = 200
MAX_TERMS = 10
# SQLite's index has no shorter parts. Shorter terms are compared with the texts that the rest of the query finds.
GRAM = 3
# The newest messages found, among which the best are chosen.
BEST_OF = 200
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
# A search that takes longer is given up, because it would keep one of the few threads of the views.
MAX_SECONDS = 2.0
# How many steps SQLite works between two looks at the clock.
STEPS_PER_LOOK = 20_000
# A message's place in the log, as the cursor of the page that ends with it.
_CURSOR = re.compile(r"(?P<room>[1-9][0-9]{0,17})-(?P<seq>[1-9][0-9]{0,17})")
# PostgreSQL's code of a statement that took too long.
QUERY_CANCELED = "57014"
# How PostgreSQL finds the texts: by their ids, by their trigrams, or as its planner decides.
Way = Literal["ids", "trigrams", "any"]
LIKE = "found.text LIKE %s ESCAPE '!'"
# Texts that one statement stores. Some builds of SQLite take 999 parameters.
STORED_AT_ONCE = 300
# The event is found by its place in the log, because its key may not be known yet. CROSS JOIN: each is one look-up.
_STORE = """
WITH stored(room_id, seq, text) AS ({rows})
INSERT INTO chat_searchtext (event_id, room_id, text)
SELECT event.id, stored.room_id, stored.text FROM stored CROSS JOIN chat_event event
WHERE event.room_id = stored.room_id AND event.seq = stored.seq
"""

# Scripts that are written without spaces, or whose words are often only two letters long: kana, Han and Hangul.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
# Marks that writers leave out as they like (accents, vowel points of Hebrew and Arabic, the Arabic stroke that only
# widens), and characters that cannot be seen (soft hyphens, joiners, direction marks, variants of emoji).
_MARKS = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]"
)
_QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"'))
# Letters that do not decompose into a base letter and an accent, as in static/chat/model/match.js, and signs that
# phones write in place of those on a keyboard.
_SAME = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"}
    | dict.fromkeys("‘’‚‛ʼ", "'")
    | dict.fromkeys("‐‒–—―−", "-")
    | {chr(sign): same for sign, same in _QUOTES.items()}
)
_LETTER_OF_UNSPACED = re.compile(f"([{_UNSPACED}])")
_TOKEN = re.compile(r'(?P<key>[a-z]+):(?:"(?P<quoted>[^"]*)"|(?P<value>\S+))|"(?P<phrase>[^"]*)"?|(?P<word>\S+)', re.I)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class SearchError(Exception):
    """A query that cannot be run. Its text is a sentence for the user, in the active language."""


class SearchTimeoutError(SearchError):
    """A search that took too long."""


@dataclass(slots=True)
class Query:
    """What to look for. All conditions must hold."""

    terms: list[str] = field(default_factory=list)
    author: str | None = None
    room: str | None = None
    after: datetime | None = None
    before: datetime | None = None
    has_link: bool = False
    has_file: bool = False
    is_best_first: bool = False


class Found(NamedTuple):
    """Messages as they stand now, and from where to continue; None if there are no more."""

    messages: list[Posted]
    cursor: str | None


class Few(NamedTuple):
    """A few rooms, with about how many events they have together."""

    rooms: list[int]
    events: int


class Ids(NamedTuple):
    """From which id on, and before which one, messages are searched; None for no limit."""

    start: int | None = None
    end: int | None = None


def searchable(text: str) -> str:
    """Return the form of a text that is stored: without case and accents, and with spaces around it.

    A text that is in this form already is returned unchanged. If you change the form, add a migration as 0057, which
    rewrites the stored texts.

    Each letter of a script without spaces becomes a word, so a search for two letters has a trigram too.
    """
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold().translate(_SAME)
    spaced = _LETTER_OF_UNSPACED.sub(r" \1 ", unicodedata.normalize("NFC", plain))
    return f" {' '.join(spaced.split())} "


def _term(text: str) -> str:
    """Return the form in which a part of a text stands in searchable texts."""
    term = searchable(text).strip()
    if not term:
        return ""
    before = " " if _LETTER_OF_UNSPACED.match(term[0]) else ""
    after = " " if _LETTER_OF_UNSPACED.match(term[-1]) else ""
    return f"{before}{term}{after}"


def parse(text: str, *, now: datetime, zone: tzinfo, is_best_first: bool = False) -> Query:
    """Parse a query: words, "phrases", from:bob, in:incidents, after:monday, before:2026-11-25, has:link, has:file.

    Days begin at midnight in `zone`. Raises SearchError.
    """
    if len(text) > MAX_QUERY:
        sentence = ngettext(
            "This search is too long. Use at most %(most)s character.",
            "This search is too long. Use at most %(most)s characters.",
            MAX_QUERY,
        )
        raise SearchError(sentence % {"most": MAX_QUERY})
    query = Query(is_best_first=is_best_first)
    for token in _TOKEN.finditer(text.replace("\x00", "").translate(_QUOTES)):
        value = token["value"] if token["quoted"] is None else token["quoted"]
        match (token["key"] or "").lower():
            case "from":
                query.author = value.removeprefix("@")
            case "in":
                query.room = value.removeprefix("#")
            case "after":
                query.after = _day(value, now.astimezone(zone))
            case "before":
                query.before = _day(value, now.astimezone(zone))
            case "has":
                if value.lower() not in ("link", "links", "file", "files"):
                    raise SearchError(gettext("After has: write link or file."))
                query.has_link |= value.lower() in ("link", "links")
                query.has_file |= value.lower() in ("file", "files")
            case _:
                query.terms.append(_term(token["phrase"] if token["phrase"] is not None else token[0]))
    query.terms = [term for term in dict.fromkeys(query.terms) if term][:MAX_TERMS]
    if sum(len(term) for term in query.terms) == 1:
        raise SearchError(gettext("Search for at least two letters."))
    if not query.terms and not (
        query.author or query.room or query.after or query.before or query.has_link or query.has_file
    ):
        raise SearchError(gettext("Enter what to search for."))
    return query


def _day(value: str, now: datetime) -> datetime:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    name = value.casefold()
    # In English, and in the language of the page.
    for days_ago, names in enumerate(
        (("today", gettext("today").casefold()), ("yesterday", gettext("yesterday").casefold()))
    ):
        if name in names:
            return today - timedelta(days=days_ago)
    for days in (_DAYS, [str(day).casefold() for day in WEEKDAYS.values()]):
        if name in days:
            # The last such day before today.
            return today - timedelta(days=(today.weekday() - days.index(name) - 1) % 7 + 1)
    try:
        # In UTC, in which days of the years 1 and 9999 may not exist.
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=now.tzinfo).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SearchError(gettext("Write a day as 2026-11-25, monday, today or yesterday.")) from None


def find(user: Any, query: Query, *, before: str | None = None, limit: int = 20) -> Found:
    """Return the messages that match, newest first (or the best of them), in rooms that `user` may enter now.

    The rights are a part of the query, so nothing about other rooms shows in what is found. `before` is the cursor of
    the page before. Raises SearchTimeoutError, SearchError when the cursor is not valid.
    """
    wanted = BEST_OF if query.is_best_first else limit + 1
    try:
        with _limited():
            rows = _rows(user, query, None if before is None else _id_of(user, before), wanted)
    except EmptyResultSet:
        return Found([], None)  # the user may enter no room, or none with this title
    except OperationalError as error:
        if not _is_timeout(error):
            raise
        raise SearchTimeoutError(gettext("This search takes too long. Add a longer word, a room or a day.")) from error
    if query.is_best_first:
        ranked = sorted(rows, key=lambda row: _score(row.search_text, query.terms), reverse=True)
        return Found([posted(row) for row in ranked[:limit]], None)
    last = rows[limit - 1] if len(rows) > limit else None
    return Found([posted(row) for row in rows[:limit]], last and f"{last.room_id}-{last.seq}")


def _id_of(user: Any, cursor: str) -> int:
    """Return the id of the message at which a page ended.

    Users get no ids, because the difference of two ids tells how many events there were meanwhile in all rooms.
    """
    if (given := _CURSOR.fullmatch(cursor)) is None:
        raise SearchError(gettext("The cursor is not valid. Search again."))
    own = Event.objects.filter(room__in=Room.objects.enterable_by(user).order_by())
    found: int | None = (
        own.filter(room_id=int(given["room"]), seq=int(given["seq"])).values_list("pk", flat=True).first()
    )
    if found is None:
        raise SearchError(gettext("The message at which the last page ended is gone. Search again."))
    return found


def _ids(query: Query, before: int | None) -> Ids:
    """Return the ids that messages of the query's days, and before a cursor, can have."""
    ends = [] if before is None else [before]
    if query.before is not None:
        ends.append(id_blocks.end_of(query.before))
    start = None if query.after is None else id_blocks.start_of(query.after)
    return Ids(start, min(ends, default=None))


def _rows(user: Any, query: Query, before: int | None, limit: int) -> list[Any]:
    rooms = Room.objects.enterable_by(user)
    if query.room is not None:
        rooms = rooms.titled(query.room)
    few = _few(rooms)
    if few is not None and not few.rooms:
        raise EmptyResultSet

    def read(ids: Ids, *, way: Way = "any", few: Few | None = None) -> list[Any]:
        sql, params = _statement(rooms, few, query, ids, limit=limit, way=way)
        return list(Event.objects.raw(sql, params))

    if few is not None and few.events <= FEW_EVENTS:
        # The texts of these rooms are all read, so the days need no limits of ids, which depend on other rooms.
        return read(Ids(None, before), few=few)
    ids = _ids(query, before)
    if connection.vendor == "postgresql" and any(len(term) >= GRAM for term in _likes(query)):
        # PostgreSQL expects a frequent word in every room alike. Where it stands in rooms of others alone, a walk over
        # the newest texts would not end before the oldest one.
        end = ids.end or (Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0) + 1
        found = read(Ids(max(ids.start or 0, end - NEWEST_IDS), ids.end), way="ids")
        if len(found) == limit:
            return found
        if _estimated_matches(_likes(query)) <= FEW_MATCHES:
            return read(ids, way="trigrams")
        if few is not None and few.events <= FEW_MATCHES:
            # The word is frequent, and the texts of the rooms may be fewer than those that have it.
            return read(ids, few=few)
    return read(ids)


def _likes(query: Query) -> list[str]:
    """Return the parts that a text has to have."""
    return [*query.terms, "://"] if query.has_link else query.terms


def _like(term: str) -> str:
    """Return the pattern of a part, for LIKE."""
    return "%" + re.sub("([!%_])", r"!\1", term) + "%"


def _estimated_matches(likes: Sequence[str]) -> int:
    """Return how many texts of all rooms PostgreSQL expects to have these parts."""
    conditions = " AND ".join([LIKE] * len(likes))
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) SELECT 1 FROM chat_searchtext found WHERE {conditions}", list(map(_like, likes))
        )
        plan: Any = cursor.fetchone()[0]
    return int(plan[0]["Plan"]["Plan Rows"])


def _statement(
    rooms: RoomQuerySet, few: Few | None, query: Query, ids: Ids, *, limit: int, way: Way = "any"
) -> tuple[str, list[Any]]:
    rooms_sql, rooms_params = rooms.order_by().values("pk").query.sql_with_params()
    likes = _likes(query)
    indexed = [term for term in likes if len(term) >= GRAM]
    author = _author_id(query)
    is_event_first = few is None and (query.has_file or (author is not None and _is_by_author(author, indexed)))
    source, conditions, params = "chat_searchtext found", [f"found.room_id IN ({rooms_sql})"], [*rooms_params]
    if few is not None:
        # The rights are asked again, in the condition. PostgreSQL keeps the rest out of a part with a LIMIT, and takes
        # it for the number of rows, where its estimate for rooms of others may be a thousand times too large.
        own = f"room_id IN ({', '.join(map(str, few.rooms))})"
        if connection.vendor == "postgresql":
            source = f"(SELECT * FROM chat_searchtext WHERE {own} LIMIT {2 * few.events + MORE_EVENTS}) found"
        else:
            source = "chat_searchtext found INDEXED BY search_room_event"
            conditions.append(f"found.{own}")
            conditions[0] = f"+{conditions[0]}"
        key = "found.event_id"
    elif is_event_first:
        # A partial index has the messages with files, or those of the author, newest first. They are compared with the
        # rest.
        index = "event_with_files" if query.has_file else "event_author_newest"
        used = f" INDEXED BY {index}" if connection.vendor == "sqlite" else ""
        source = f"chat_event event{used} CROSS JOIN chat_searchtext found"
        conditions.append("found.event_id = event.id")
        key = "event.id"
    elif connection.vendor == "sqlite" and indexed:
        # CROSS JOIN: SQLite would otherwise be free to read all texts first. The index yields the newest first.
        source = "chat_search CROSS JOIN chat_searchtext found ON found.event_id = chat_search.rowid"
        # The plus keeps SQLite from looking up each match once for each room of the user: a match has one room.
        conditions[0] = f"+{conditions[0]}"
        conditions.append("chat_search MATCH %s")
        params.append(" AND ".join('"' + term.replace('"', '""') + '"' for term in indexed))
        likes = [term for term in likes if len(term) < GRAM]
        key = "chat_search.rowid"
    else:
        key = "found.event_id"
    if connection.vendor == "postgresql" and query.room is None:
        # As a value, and not as a condition that PostgreSQL turns into a join: it compared each match with each room
        # of the user at the end, which took 1.1 s for 100,000 matches in a room that the user may not enter.
        conditions[0] = f"({conditions[0]}) IS TRUE"
    # Of few texts, the events are looked up by id. An index of other conditions would lead to events of other rooms.
    form = "{}" if few is None else "({}) IS TRUE"
    if query.has_file:
        conditions.append(form.format("event.files IS NOT NULL"))
    for term in likes:
        # As a value, PostgreSQL has no index for it.
        conditions.append(f"({LIKE}) IS TRUE" if way == "ids" else LIKE)
        params.append(_like(term))
    for condition, value in _filters(query, author, key, ids):
        conditions.append(form.format(condition))
        params.append(value)
    # What is below the floor is gone for readers, and its rows are removed later.
    in_room, is_kept = "room.id = event.room_id", "event.seq >= room.floor_seq"
    if is_event_first:
        source += " CROSS JOIN chat_room room"
        conditions += [in_room, is_kept]
    elif key == "chat_search.rowid":
        # In this order, so that SQLite reads the events of rooms that the user may enter, and no others.
        source += f" CROSS JOIN chat_event event ON event.id = found.event_id CROSS JOIN chat_room room ON {in_room}"
        conditions.append(is_kept)
    else:
        source += f" JOIN chat_event event ON event.id = found.event_id JOIN chat_room room ON {in_room} AND {is_kept}"
    # No index has the sum, so the matches are read by their trigrams and sorted.
    order = f"{key} + 0" if way == "trigrams" else key
    return (
        f"SELECT event.*, found.text AS search_text FROM {source} "
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT {int(limit)}",
        params,
    )


def _few(rooms: RoomQuerySet) -> Few | None:
    """Return the rooms, and how many events they have, if they are few; otherwise None."""
    sizes = list(rooms.order_by().values_list("pk", "head_seq", "floor_seq")[: FEW_ROOMS + 1])
    events = sum(head - floor + 1 for _, head, floor in sizes)
    return Few([pk for pk, _, _ in sizes], events) if len(sizes) <= FEW_ROOMS else None


def _author_id(query: Query) -> int | None:
    """Return the user whose messages are wanted. None: everybody's, or those of a user who was deleted."""
    if query.author is None:
        return None
    users = User.objects.filter(**{f"{User.USERNAME_FIELD}__iexact": query.author}).values_list("pk", flat=True)
    return users.first()


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


def _filters(query: Query, author: int | None, key: str, ids: Ids) -> Iterator[tuple[str, Any]]:
    # PostgreSQL may read texts and events side by side by their ids, each of them from the limits that it is given.
    for column in (key, "event.id") if connection.vendor == "postgresql" and key != "event.id" else (key,):
        if ids.start is not None:
            yield f"{column} >= %s", ids.start
        if ids.end is not None:
            yield f"{column} < %s", ids.end
    if query.author is not None:
        # Every text is that of a posted message. Only with its kind can a partial index be used.
        yield (
            ("event.username = %s", query.author)
            if author is None
            else ("event.kind = 0 AND event.author_id = %s", author)
        )
    if query.after is not None:
        yield "event.at >= %s", connection.ops.adapt_datetimefield_value(query.after)
    if query.before is not None:
        yield "event.at < %s", connection.ops.adapt_datetimefield_value(query.before)


def _score(text: str, terms: Sequence[str]) -> float:
    """Return how well a text fits: whole words count more than parts of words, and short texts more than long ones."""
    found = sum(text.count(term) + 4 * (f" {term.strip()} " in text) for term in terms)
    return found / (1 + len(text) / 200)


@contextmanager
def _limited() -> Iterator[None]:
    """Give up the query of this block after MAX_SECONDS, with an OperationalError (_is_timeout)."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(MAX_SECONDS * 1000))])
            yield
        return
    # Without a transaction, which would take the lock for writing. A single statement is consistent by itself.
    connection.ensure_connection()
    deadline = time.monotonic() + MAX_SECONDS
    connection.connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS_PER_LOOK)
    try:
        yield
    finally:
        connection.connection.set_progress_handler(None, 0)


def _is_timeout(error: OperationalError) -> bool:
    if connection.vendor == "postgresql":
        return getattr(error.__cause__, "sqlstate", None) == QUERY_CANCELED
    return str(error) == "interrupted"


def store(events: Collection[Event], trip: RoundTrip) -> None:
    """Let a round trip store the searchable texts of these messages, whose events are stored before or in it."""
    kept = [event for event in events if event.deleted_at is None]
    for start in range(0, len(kept), STORED_AT_ONCE):
        texts = [
            (event.room_id, event.seq, searchable(files.text_with_names(event)))
            for event in kept[start : start + STORED_AT_ONCE]
        ]
        values.add(trip, _STORE, texts, ("bigint", "bigint", "text"))


def forget(changed: Collection[Event]) -> None:
    """Remove the searchable texts of messages that have changed."""
    if changed:
        SearchText.objects.filter(event__in=[event.pk for event in changed]).delete()
