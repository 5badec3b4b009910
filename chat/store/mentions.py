"""Finds whom a message mentions, by user, and stores it beside the log so that the database can count mentions.

A name is `@username` outside code and links. It is compared by its key (chat/names.py), so neither case nor the way in
which an accent is written matters. The page follows the same rule (static/chat/model/mentions.js, tests/mentions.json).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import regex
from django.contrib.auth import get_user_model

from chat.models import Event, Membership, Mention, Room, UsernameKey
from chat.names import name_key
from chat.protocol import Mentioned
from chat.store import files, policies

User = get_user_model()

# The characters that Django allows in a username, and accents that are written apart from their letters. Some of them
# may also be punctuation after a name.
_NAME = regex.compile(r"(?<![\p{L}\p{N}\p{M}_.@+-])@([\p{L}\p{N}\p{M}_.@+-]+)")
_TAIL = ".@+-"
# The most characters of punctuation after a name, and the most names in a message. Without these bounds one text could
# ask the database for thousands of names.
MOST_TAIL = 3
MOST_NAMES = 50
NAMES_PER_QUERY = 500
_MAX_LENGTH: int = getattr(User._meta.get_field(User.USERNAME_FIELD), "max_length", None) or 150

# The names of all users of a room, and of those who are here now.
ALL, HERE = "all", "here"
# Users who are not staff may use these names in rooms that so many users may enter.
SMALL_ROOM = 20
# With more users here than this, `@here` counts as `@all`.
MOST_HERE = 200
# The user of a mention of all users. No user has this id.
EVERYONE = 0

_FENCE = regex.compile(r"^ {0,3}(`{3,}|~{3,})")
_TICKS = regex.compile(r"`+")
_LINK = regex.compile(r"\[[^\[\]\n]*\]\([^()\s]*\)|(?:https?://|mailto:|www\.)\S+", regex.IGNORECASE)

_encoder = msgspec.json.Encoder()


class Found(NamedTuple):
    """Whom a message mentions: the ids of users, EVERYONE for all of the room."""

    event: Event
    users: set[int]


def names_in(text: str) -> list[str]:
    """Return the possible usernames in a text: each name with and without the punctuation at its end."""
    names: dict[str, None] = {}
    for run in _NAME.finditer(_without_code_and_links(text)):
        for name in _spellings(run[1]):
            names[name] = None
            if len(names) == MOST_NAMES:
                return list(names)
    return list(names)


def _spellings(run: str) -> Iterator[str]:
    for cut in range(min(MOST_TAIL, len(run) - 1) + 1):
        if cut and run[-cut] not in _TAIL:
            return
        name = run[: len(run) - cut]
        if len(name) <= _MAX_LENGTH:
            yield name


def _without_code_and_links(text: str) -> str:
    if "`" in text or "~~~" in text:
        text = _without_code_spans(_without_fences(text))
    return _LINK.sub(" ", text)


def _without_fences(text: str) -> str:
    kept: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
            continue
        if mark and not (mark[1][0] == "`" and "`" in line[mark.end() :]):
            fence = mark[1]
            continue
        kept.append(line)
    return "\n".join(kept)


def _without_code_spans(text: str) -> str:
    """Remove what stands between two runs of backticks of the same length."""
    runs = list(_TICKS.finditer(text))
    # The next run of the same length, by index.
    following: dict[int, int] = {}
    last: dict[int, int] = {}
    for index in range(len(runs) - 1, -1, -1):
        length = len(runs[index][0])
        if length in last:
            following[index] = last[length]
        last[length] = index
    kept: list[str] = []
    position = index = 0
    while index < len(runs):
        if index in following:
            kept += [text[position : runs[index].start()], " "]
            index = following[index]
            position = runs[index].end()
        index += 1
    return "".join([*kept, text[position:]])


def find(events: Collection[Event], rooms: Mapping[int, Room]) -> list[Found]:
    """Find whom these messages and edits in locked rooms mention, and note it in them (`named`)."""
    found = []
    # The text of files without a text are their names, which mention nobody.
    texts = [(event, names_in(event.body)) for event in events if "@" in event.body and not files.is_names(event)]
    keys = {name: name_key(name) for _, names in texts for name in names}
    ids = _ids(keys)
    calling = [event for event, names in texts if any(keys[name] in (ALL, HERE) for name in names)]
    callers = _callers(calling, rooms) if calling else set()
    for event in events:
        event.named = None
    for event, names in texts:
        mentioned: list[Mentioned] = []
        users: set[int] = set()
        for name in names:
            key = keys[name]
            if key in (ALL, HERE) and (event.room_id, event.author_id) in callers:
                mentioned.append(Mentioned(name=name))
                users |= {EVERYONE} if key == ALL else _here(event.room_id)
            for user in ids.get(key, ()):
                mentioned.append(Mentioned(name=name, user=user))
                users.add(user)
        if mentioned:
            event.named = _encoder.encode(mentioned).decode()
        if users:
            # A mention of all users includes each of them, and is counted once.
            found.append(Found(event, {EVERYONE} if EVERYONE in users else users))
    return found


def store(found: Sequence[Found], *, changed: Collection[Event]) -> None:
    """Store the mentions of messages, and remove the earlier ones of changed messages, in the messages' transaction."""
    if changed:
        Mention.objects.filter(event__in=changed).delete()
    rows = [
        Mention(event=event, user_id=user, room_id=event.room_id, seq=event.seq)
        for event, users in found
        if event.kind == Event.Kind.POSTED
        for user in sorted(users)
    ]
    if rows:
        Mention.objects.bulk_create(rows)


def _ids(keys: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the ids of the users with these names, by key. Old names may collide, so a key may have several.

    `keys` are the keys by name. Users who were written without a signal (`bulk_create`) have no key in the database,
    and are found by the exact name.
    """
    ids: dict[str, list[int]] = {}
    names, wanted = sorted(keys), sorted({key for key in keys.values() if key})
    for start in range(0, len(wanted), NAMES_PER_QUERY):
        rows = UsernameKey.objects.filter(key__in=wanted[start : start + NAMES_PER_QUERY]).order_by("user_id")
        for key, user in rows.values_list("key", "user_id"):
            ids.setdefault(key, []).append(user)
    for start in range(0, len(names), NAMES_PER_QUERY):
        users = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": names[start : start + NAMES_PER_QUERY]})
        for name, user in users.values_list(User.USERNAME_FIELD, "pk"):
            if user not in ids.setdefault(keys[name], []):
                ids[keys[name]].append(user)
    return ids


def is_call(beginning: str) -> bool:
    """Return whether the name of a mention of all users begins so."""
    return ALL.startswith(beginning) or HERE.startswith(beginning)


def may_call(user_id: int | None, room: Room) -> bool:
    """Return whether a user who may enter the room may mention all its users there."""
    return _is_small(room) or User._default_manager.filter(pk=user_id or 0, is_staff=True).exists()


def _is_small(room: Room) -> bool:
    return policies.count_users_who_may_enter(room, most=SMALL_ROOM + 1) <= SMALL_ROOM


def _callers(events: Collection[Event], rooms: Mapping[int, Room]) -> set[tuple[int, int | None]]:
    """Return rooms and authors of those messages whose authors may mention all users: staff, or in a small room."""
    authors = policies.load_users(event.author_id for event in events if event.author_id is not None)
    small = {room_id for room_id in {event.room_id for event in events} if _is_small(rooms[room_id])}
    return {
        (event.room_id, event.author_id)
        for event in events
        if event.author_id is None
        or event.room_id in small
        or (event.author_id in authors and authors[event.author_id].is_staff)
    }


def _here(room_id: int) -> set[int]:
    here = Membership.objects.filter(room=room_id, is_here=True).values_list("user_id", flat=True)
    users = set(here[: MOST_HERE + 1])
    return users if len(users) <= MOST_HERE else {EVERYONE}
