"""The rooms that users may enter as their members, and the names of the people in direct rooms."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.utils.translation import gettext

from chat.models import Room, RoomMember

User = get_user_model()
# The users whose rooms one query reads, so that it holds its thread only for a moment.
USERS_PER_QUERY = 500
# Values in one query: fewer than the 999 parameters that some builds of SQLite take.
NAMES_PER_QUERY = 900


class OwnRoom(NamedTuple):
    """A room as one of its members sees it; `people` are the names of the others in a direct room."""

    id: int
    title: str
    topic: str
    people: tuple[str, ...] | None


def direct_key(users: Iterable[int]) -> str:
    """Return the key that is the same for the same people, in any order."""
    return ",".join(map(str, sorted(set(users))))


def people_of(key: str) -> list[int]:
    """Return the ids of the people of a direct room, from its key."""
    return [int(user) for user in key.split(",")]


def names(users: Iterable[int]) -> dict[int, str]:
    """Return the usernames of the users who exist, by id."""
    found: dict[int, str] = {}
    ids = sorted(set(users))
    for start in range(0, len(ids), NAMES_PER_QUERY):
        rows = User._default_manager.filter(pk__in=ids[start : start + NAMES_PER_QUERY])
        found |= dict(rows.values_list("pk", User.USERNAME_FIELD))
    return found


def names_of_people(rooms: Iterable[Room]) -> dict[int, dict[int, str]]:
    """Return the names of the people of those rooms that are direct, by room and user, in one query."""
    direct = {room.pk: people_of(room.direct_key) for room in rooms if room.direct_key is not None}
    known = names(user for people in direct.values() for user in people) if direct else {}
    return {room: {user: known[user] for user in people if user in known} for room, people in direct.items()}


def others(people: Mapping[int, str], reader: int) -> list[str]:
    """Return the names of the other people of a direct room, in alphabetical order."""
    return sorted((name for user, name in people.items() if user != reader), key=str.casefold)


def title_for(people: Collection[str]) -> str:
    """Return the title of a direct room for the reader who sees these others in it.

    If they were all deleted it is in the active language, which on sockets is the site's. The page has its own words.
    """
    return ", ".join(people) or gettext("Deleted user")


def load(users: Iterable[int]) -> dict[int, list[OwnRoom]]:
    """Return for each user the rooms that they see as members, by title; archived rooms are left out."""
    found: dict[int, list[OwnRoom]] = {user: [] for user in users}
    ids = list(found)
    rows: list[tuple[int, int, str, str, str | None]] = []
    for start in range(0, len(ids), USERS_PER_QUERY):
        members = RoomMember.objects.filter(user__in=ids[start : start + USERS_PER_QUERY], room__members_only=True)
        alive = members.filter(room__deleted_at=None, room__archived_at=None).order_by("room__title_key", "room")
        rows += alive.values_list("user_id", "room_id", "room__title", "room__topic", "room__direct_key")
    known = names(user for *_, key in rows if key is not None for user in people_of(key))
    for user, room, title, topic, key in rows:
        people = None
        if key is not None:
            people = tuple(others({one: known[one] for one in people_of(key) if one in known}, user))
            title = title_for(people)
        found[user].append(OwnRoom(room, title, topic, people))
    return found


def members_of(rooms: Collection[int]) -> set[int]:
    """Return the ids of all members of these rooms."""
    return set(RoomMember.objects.filter(room__in=rooms).values_list("user_id", flat=True))
