"""Finds @username in messages, and stores it beside the log so that the database can count mentions."""

import re
from collections.abc import Collection, Iterator, Sequence

from django.contrib.auth import get_user_model

from chat.models import Event, Mention

User = get_user_model()

# The characters that Django allows in a username. Some of them may also be punctuation after a name.
_NAME = re.compile(r"(?<![\w.@+-])@([\w.@+-]+)")
_TAIL = ".@+-"
# The most characters of punctuation after a name, and the most names in a message. Without these bounds one text could
# ask the database for thousands of names. The page counts the same way (static/chat/model/mentions.js).
MOST_TAIL = 3
MOST_NAMES = 50
NAMES_PER_QUERY = 500
_MAX_LENGTH: int = getattr(User._meta.get_field(User.USERNAME_FIELD), "max_length", None) or 150


def names_in(text: str) -> set[str]:
    """Return the possible usernames in a text: each name with and without the punctuation at its end."""
    names: set[str] = set()
    for run in _NAME.finditer(text):
        for name in _spellings(run[1]):
            names.add(name)
            if len(names) == MOST_NAMES:
                return names
    return names


def _spellings(run: str) -> Iterator[str]:
    for cut in range(min(MOST_TAIL, len(run) - 1) + 1):
        if cut and run[-cut] not in _TAIL:
            return
        name = run[: len(run) - cut]
        if len(name) <= _MAX_LENGTH:
            yield name


def store(*, new: Collection[Event], changed: Collection[Event]) -> None:
    """Store the mentions of new messages, and replace those of changed ones, in the messages' own transaction."""
    if changed:
        Mention.objects.filter(event__in=changed).delete()
    named = {event: names_in(event.body) for event in (*new, *changed) if "@" in event.body}
    names_to_find = {name for names in named.values() for name in names}
    if not names_to_find:
        return
    ids = _ids(sorted(names_to_find))
    Mention.objects.bulk_create(
        [
            Mention(event=event, user_id=ids[name], room_id=event.room_id, seq=event.seq)
            for event, names in named.items()
            for name in names
            if name in ids
        ]
    )


def _ids(names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the users with these names, by name."""
    ids: dict[str, int] = {}
    for start in range(0, len(names), NAMES_PER_QUERY):
        users = User.objects.filter(**{f"{User.USERNAME_FIELD}__in": names[start : start + NAMES_PER_QUERY]})
        ids |= dict(users.values_list(User.USERNAME_FIELD, "pk"))
    return ids
