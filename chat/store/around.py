"""The users who are around: those with a page that has a room open, and in which of the reader's rooms they are."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Min, QuerySet
from django.db.models.functions import Now

from chat.models import Presence, Room
from chat.store import display_names

# The most people in a list; and the most that are counted.
MAX_LISTED = 100
MAX_COUNTED = 1000


class Around(NamedTuple):
    """A user who is around since a time, and their rooms that the reader may enter, by id."""

    user: display_names.Shown
    since: datetime
    rooms: list[int]


def count() -> set[int]:
    """Return the ids of the users who are around, at most MAX_COUNTED."""
    return set(_present().order_by().values_list("user", flat=True).distinct()[:MAX_COUNTED])


def list_people(reader: Any) -> tuple[list[Around], bool]:
    """Return the people around without the reader, those who came first first, and whether there are more.

    Of rooms that the reader may not enter nothing is said, neither their ids nor that a user is in one.
    """
    mine = Room.objects.enterable_by(reader).order_by().values("pk")
    others = _present().exclude(user=reader.pk).order_by().values("user").annotate(since=Min("at"))
    found = {row["user"]: row["since"] for row in others.order_by("since", "user")[: MAX_LISTED + 1]}
    listed = list(found)[:MAX_LISTED]
    rooms: dict[int, list[int]] = {user: [] for user in listed}
    shared = _present().filter(user__in=listed, room__in=mine).order_by("room").values_list("user", "room").distinct()
    for user, room in shared:
        rooms[user].append(room)
    users = {shown.user: shown for shown in display_names.load_users(listed)}
    people = [Around(users[user], found[user], rooms[user]) for user in listed if user in users]
    return people, len(found) > MAX_LISTED


def _present() -> QuerySet[Presence]:
    # The presence of a user who was deactivated ends with the grace time.
    return Presence.objects.filter(process__expires_at__gt=Now(), user__is_active=True)
