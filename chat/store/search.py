"""Finds messages by parts of their text, in the rooms that a user may enter.

A copy of each message's text is stored beside the log (`search_text`). Both databases index its trigrams, so a part of
a word is found in any script. `search_query` parses what the user asks, and `search_plans` reads what matches.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext

from chat.models import Event, Room
from chat.protocol import Posted
from chat.store import search_plans
from chat.store.events import posted
from chat.store.search_query import Query, SearchError

# The newest messages found, among which the best are chosen.
BEST_OF = 200
# A search that takes longer is given up, because it would keep one of the few threads of the views.
MAX_SECONDS = 2.0
# How many steps SQLite works between two looks at the clock.
STEPS_PER_LOOK = 20_000
# A message's place in the log, as the cursor of the page that ends with it.
_CURSOR = re.compile(r"(?P<room>[1-9][0-9]{0,17})-(?P<seq>[1-9][0-9]{0,17})")
# PostgreSQL's code of a statement that took too long.
QUERY_CANCELED = "57014"


class SearchTimeoutError(SearchError):
    """A search that took too long."""


class Found(NamedTuple):
    """Messages as they stand now, and from where to continue; None if there are no more."""

    messages: list[Posted]
    cursor: str | None


def find(user: Any, query: Query, *, before: str | None = None, limit: int = 20) -> Found:
    """Return the messages that match, newest first (or the best of them), in rooms that `user` may enter now.

    The rights are a part of the query, so nothing about other rooms shows in what is found. `before` is the cursor of
    the page before. Raises SearchTimeoutError, SearchError when the cursor is not valid.
    """
    wanted = BEST_OF if query.is_best_first else limit + 1
    try:
        with _limited():
            end = None if before is None else _id_of(user, before)
            rows = search_plans.matching(Room.objects.enterable_by(user), query, end, wanted)
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
