"""Parses what a user searches for: words, "phrases", and filters such as from:bob."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext, ngettext

from chat.store.search_text import QUOTES, searchable_part

MAX_QUERY = 200
MAX_TERMS = 10
_TOKEN = re.compile(r'(?P<key>[a-z]+):(?:"(?P<quoted>[^"]*)"|(?P<value>\S+))|"(?P<phrase>[^"]*)"?|(?P<word>\S+)', re.I)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class SearchError(Exception):
    """A query that cannot be run. Its text is a sentence for the user, in the active language."""


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

    @property
    def parts(self) -> list[str]:
        """What a text has to contain."""
        return [*self.terms, "://"] if self.has_link else self.terms


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
    for token in _TOKEN.finditer(text.replace("\x00", "").translate(QUOTES)):
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
                query.terms.append(searchable_part(token["phrase"] if token["phrase"] is not None else token[0]))
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
