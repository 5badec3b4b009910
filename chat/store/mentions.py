"""Who is named in a message: @username, kept beside the log so that the database can count it."""

import re
from collections.abc import Collection, Iterator, Sequence

from django.contrib.auth import get_user_model

from chat.models import Event, Mention

User = get_user_model()

# What Django allows in a username. A name may be followed by what ends a sentence, and may end in it too.
_NAME = re.compile(r"(?<![\w.@+-])@([\w.@+-]+)")
_TAIL = ".@+-"
# The page counts the same way (static/chat/model/mentions.js): what ends a sentence is at most so long, and a message
# names at most so many. Otherwise one text could ask the database for thousands of names.
MOST_TAIL = 3
MOST_NAMES = 50
NAMES_PER_QUERY = 500
_MAX_LENGTH: int = getattr(User._meta.get_field(User.USERNAME_FIELD), "max_length", None) or 150


def names_in(text: str) -> set[str]:
    """Return what may be usernames in a text: each name as it stands, and without what may end a sentence."""
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
    """Write who is named in new messages, and anew in changed ones. In the transaction that writes the messages."""
    if changed:
        Mention.objects.filter(event__in=changed).delete()
    named = {event: names_in(event.body) for event in (*new, *changed) if "@" in event.body}
    wanted = {name for names in named.values() for name in names}
    if not wanted:
        return
    ids = _ids(sorted(wanted))
    Mention.objects.bulk_create(
        [
            Mention(event=event, user_id=ids[name], room_id=event.room_id, seq=event.seq)
            for event, names in named.items()
            for name in names
            if name in ids
        ]
    )


def _ids(names: Sequence[str]) -> dict[str, int]:
    """Return the ids of the users who have these names, by name."""
    ids: dict[str, int] = {}
    for start in range(0, len(names), NAMES_PER_QUERY):
        users = User.objects.filter(**{f"{User.USERNAME_FIELD}__in": names[start : start + NAMES_PER_QUERY]})
        ids |= dict(users.values_list(User.USERNAME_FIELD, "pk"))
    return ids
