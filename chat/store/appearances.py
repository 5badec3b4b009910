"""How the page looks to a user: theme, density, clock and language, the same in all their browsers."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import transaction

from chat.models import Appearance
from chat.store import access

# Values in one query: fewer than the 999 parameters that some builds of SQLite take.
PIECE = 900


class Look(NamedTuple):
    """A user's choices. An empty clock is as usual in the language; an empty language is the browser's."""

    theme: str = "system"
    density: str = "comfortable"
    clock: str = ""
    language: str = ""


def load(users: Iterable[int]) -> dict[int, Look]:
    """Return the choices of those of these users who have made any."""
    found: dict[int, Look] = {}
    ids = list(users)
    for start in range(0, len(ids), PIECE):
        rows = Appearance.objects.filter(user__in=ids[start : start + PIECE])
        found |= {user: Look(*look) for user, *look in rows.values_list("user_id", *Look._fields)}
    return found


def of(user: int) -> Look:
    """Return a user's choices, or the defaults."""
    return load([user]).get(user, Look())


def save(user: int, changes: dict[str, Any]) -> Look:
    """Store those of the choices that are given; open pages follow within a second."""
    with transaction.atomic():
        Appearance.objects.update_or_create(user_id=user, defaults=changes)
        access.record_change(users=[user])
    return of(user)
