"""The users who are around: with a page that has a room open which the reader may enter.

A user whose open rooms are all hidden from the reader counts as if no page were open. Otherwise the list would reveal
that there are hidden rooms, and who is in them.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from chat.models import Presence, Room, RoomMember
from chat.store import display_names

# The most people in a list; and the most that are counted.
MAX_LISTED = 100
MAX_COUNTED = 1000
# The most readers whose rooms of members are read in one query: SQLite may allow no more than 999 parameters.
READERS_AT_ONCE = 400

User = get_user_model()


class Around(NamedTuple):
    """A user who is around since a time, and their rooms that the reader may enter, by id."""

    user: display_names.Shown
    since: datetime
    rooms: list[int]


def count_for(reader: Any) -> int:
    """Return how many other users are around for a reader, at most MAX_COUNTED."""
    return int(_users(_present_for(reader).exclude(user=reader.pk))[:MAX_COUNTED].count())


def count_for_all(readers: Collection[int]) -> dict[int, int]:
    """Return how many other users are around for each of these active readers, at most MAX_COUNTED."""
    kinds: dict[bool, list[Any]] = defaultdict(list)
    for ids in _pieces(sorted(readers)):
        for reader in User._default_manager.filter(pk__in=ids, is_active=True).only("pk", "is_active", "is_staff"):
            kinds[reader.is_staff].append(reader)
    counts: dict[int, int] = {}
    for same_kind in kinds.values():
        counts |= _count_for_kind(same_kind)
    return counts


def _count_for_kind(readers: list[Any]) -> dict[int, int]:
    """Count for readers who may enter the same rooms, except for rooms of members."""
    shared = _present().filter(room__in=Room.objects.shared_by(readers[0]).order_by().values("pk"))
    # One more than are counted, because a reader does not count themselves.
    seen_by_all = set(_users(shared)[: MAX_COUNTED + 1])
    seen_by_members: dict[int, set[int]] = defaultdict(set)
    for ids in _pieces([reader.pk for reader in readers]) if len(seen_by_all) <= MAX_COUNTED else ():
        memberships = RoomMember.objects.filter(user__in=ids, room__members_only=True, room__deleted_at=None)
        # Users who are in a shared room are counted already.
        others = _present().filter(room__in=memberships.values("room")).exclude(user__in=shared.values("user"))
        users: dict[int, set[int]] = defaultdict(set)
        for room, user in others.order_by().values_list("room", "user"):
            users[room].add(user)
        for reader, room in memberships.values_list("user", "room") if users else ():
            if room in users and len(seen_by_members[reader]) <= MAX_COUNTED:
                seen_by_members[reader] |= users[room]
    return {
        reader.pk: min(len((seen_by_all | seen_by_members[reader.pk]) - {reader.pk}), MAX_COUNTED) for reader in readers
    }


def list_people(reader: Any) -> tuple[list[Around], bool]:
    """Return the people around without the reader, those who came first first, and whether there are more.

    The answer tells nothing of rooms that the reader may not enter, neither their ids nor that a user is in one.
    """
    others = _present_for(reader).exclude(user=reader.pk)
    first = others.order_by().values("user").annotate(since=Min("at")).order_by("since", "user")
    found = {row["user"]: row["since"] for row in first[: MAX_LISTED + 1]}
    listed = list(found)[:MAX_LISTED]
    rooms: dict[int, list[int]] = {user: [] for user in listed}
    for user, room in others.filter(user__in=listed).order_by("room").values_list("user", "room").distinct():
        rooms[user].append(room)
    users = {shown.user: shown for shown in display_names.load_users(listed)}
    # The rooms were read a moment later, so a user may have left all of them.
    people = [Around(users[user], found[user], rooms[user]) for user in listed if user in users and rooms[user]]
    return people, len(found) > MAX_LISTED


def _pieces(ids: list[int]) -> list[list[int]]:
    return [ids[start : start + READERS_AT_ONCE] for start in range(0, len(ids), READERS_AT_ONCE)]


def _present_for(reader: Any) -> QuerySet[Presence]:
    return _present().filter(room__in=Room.objects.enterable_by(reader).order_by().values("pk"))


def _present() -> QuerySet[Presence]:
    # The presence of a user who was deactivated ends with the grace time.
    return Presence.objects.filter(process__expires_at__gt=Now(), user__is_active=True)


def _users(present: QuerySet[Presence]) -> Any:
    return present.order_by().values_list("user", flat=True).distinct()
