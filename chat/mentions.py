"""Who is named in a message: @username, kept beside the log so that the database can count it."""

import re
from collections.abc import Collection

from django.contrib.auth import get_user_model

from chat.models import Event, Mention

User = get_user_model()

# What Django allows in a username. A name may be followed by what ends a sentence, and may end in it too.
_NAME = re.compile(r"(?<![\w.@+-])@([\w.@+-]+)")
_TAIL = ".@+-"


def names_in(text: str) -> set[str]:
    """Return what may be usernames in a text: each name as it stands, and without what may end a sentence."""
    names = set()
    for name in _NAME.findall(text):
        names.add(name)
        while name and name[-1] in _TAIL:
            name = name[:-1]
            names.add(name)
    return names - {""}


def store(*, new: Collection[Event], changed: Collection[Event]) -> None:
    """Write who is named in new messages, and anew in changed ones. In the transaction that writes the messages."""
    if changed:
        Mention.objects.filter(event__in=changed).delete()
    named = {event: names_in(event.body) for event in (*new, *changed) if "@" in event.body}
    wanted = {name for names in named.values() for name in names}
    if not wanted:
        return
    ids = dict(User.objects.filter(**{f"{User.USERNAME_FIELD}__in": wanted}).values_list(User.USERNAME_FIELD, "pk"))
    Mention.objects.bulk_create(
        [
            Mention(event=event, user_id=ids[name], room_id=event.room_id, seq=event.seq)
            for event, names in named.items()
            for name in names
            if name in ids
        ]
    )
