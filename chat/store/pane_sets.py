"""A user's named sets of panes, which the page calls workspaces: stored for each user, one of them the current one.

The panes that belong to no set stay in the memberships (`chat.store.memberships`).
"""

import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, Sentence
from chat.models import PaneSet, Room
from chat.protocol import Layout
from chat.store import access
from chat.store.layouts import Panes, apply_change

# The most sets of one user.
MAX_SETS = 20
# Values in one query: fewer than the 999 parameters that some builds of SQLite take.
PIECE = 900
# The only invisible characters that names need: they join letters and emoji.
_JOINERS = "\u200c\u200d"


class Shown(NamedTuple):
    """A set with the panes of those rooms that its user may enter now."""

    id: int
    name: str
    version: int
    panes: Panes
    is_current: bool


def sets_of(user: Any) -> list[Shown]:
    """Return the user's sets by name, without rooms that are deleted or that the user may not enter."""
    rows = sorted(PaneSet.objects.filter(user=user.pk), key=lambda row: (row.name.casefold(), row.pk))
    allowed = _enterable(user, {pane["room"] for row in rows for pane in row.panes}) if rows else set()
    return [_show(row, allowed) for row in rows]


def _show(row: PaneSet, allowed: set[int]) -> Shown:
    return Shown(row.pk, row.name, row.version, _stored(row).limited_to(allowed), row.is_current)


def _stored(row: PaneSet) -> Panes:
    return Panes(
        [pane["room"] for pane in row.panes],
        next((pane["room"] for pane in row.panes if pane.get("wide")), None),
        {pane["room"]: pane["shape"] for pane in row.panes if pane.get("shape")},
    )


def versions(users: Iterable[int]) -> dict[int, dict[str, int]]:
    """Return the versions of these users' sets by id."""
    ids = list(users)
    found: dict[int, dict[str, int]] = {user: {} for user in ids}
    for start in range(0, len(ids), PIECE):
        rows = PaneSet.objects.filter(user__in=ids[start : start + PIECE])
        for user, pk, version in rows.values_list("user_id", "pk", "version"):
            found[user][str(pk)] = version
    return found


def save(user: Any, name: str, panes: Panes) -> int:
    """Make a set of these panes, which becomes the current one. Return its id.

    Raises ClientError: COMMAND_INVALID when the name is not valid, is used already, or there are too many sets.
    """
    with _changing(user):
        name = _checked_name(user, name)
        if PaneSet.objects.filter(user=user.pk).count() >= MAX_SETS:
            sentence = ngettext_lazy(
                "You can have at most {most} workspace. Delete it first.",
                "You can have at most {most} workspaces. Delete one first.",
                MAX_SETS,
            )
            _refuse(format_lazy(sentence, most=MAX_SETS))
        order = list(dict.fromkeys(panes.rooms))[: conf.LAYOUT_PANES]
        kept = panes._replace(rooms=order).limited_to(_enterable(user, order))
        row = PaneSet.objects.create(user_id=user.pk, name=name, panes=_as_stored(kept))
        _use(user, row.pk)
    return row.pk


def rename(user: Any, pk: int, name: str) -> None:
    """Give a set another name. Raises ClientError: COMMAND_INVALID when the name is not valid or is used already."""
    with _changing(user):
        name = _checked_name(user, name, but=pk)
        if row := PaneSet.objects.filter(user=user.pk, pk=pk).first():
            row.name, row.version = name, row.version + 1
            row.save(update_fields=["name", "version"])


def delete(user: Any, pk: int) -> None:
    """Delete a set. Pages that show it keep their panes."""
    with _changing(user):
        PaneSet.objects.filter(user=user.pk, pk=pk).delete()


def use(user: Any, pk: int) -> None:
    """Make a set the current one, or none (0)."""
    with _changing(user):
        _use(user, pk)


def arrange(user: Any, pk: int, change: Layout) -> None:
    """Apply a page's change to a set as it is now; rooms that the user may not enter are left out."""
    with _changing(user):
        row = PaneSet.objects.filter(user=user.pk, pk=pk).first()
        if row is None:
            return
        stored = _stored(row)
        allowed = _enterable(user, {*stored.rooms, *(put.room for put in change.put)})
        # Deleted rooms drop out here, and others that the user lost only when there is a change.
        panes = _as_stored(apply_change(stored.limited_to(allowed), change, allowed=allowed))
        if panes != row.panes:
            row.panes, row.version = panes, row.version + 1
            row.save(update_fields=["panes", "version"])


@contextmanager
def _changing(user: Any) -> Iterator[None]:
    """Open a transaction in which no other change of the user's sets runs, and after which open pages are notified."""
    with transaction.atomic():
        users = get_user_model()._default_manager.filter(pk=user.pk)
        list(users.select_for_update(no_key=True).values_list("pk"))
        yield
        access.record_change(users=[user.pk])


def _use(user: Any, pk: int) -> None:
    sets = PaneSet.objects.filter(user=user.pk)
    sets.filter(is_current=True).exclude(pk=pk).update(is_current=False)
    sets.filter(pk=pk).update(is_current=True)


def _enterable(user: Any, rooms: Iterable[int]) -> set[int]:
    return set(Room.objects.enterable_by(user).filter(pk__in=set(rooms)).values_list("pk", flat=True))


def _as_stored(panes: Panes) -> list[dict[str, Any]]:
    return [
        {"room": room}
        | ({"wide": True} if room == panes.wide else {})
        | ({"shape": panes.shapes[room]} if room in panes.shapes else {})
        for room in panes.rooms
    ]


def _checked_name(user: Any, name: str, but: int = 0) -> str:
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > PaneSet.MAX_NAME:
        sentence = ngettext_lazy(
            "Give the workspace a name of at most {most} character.",
            "Give the workspace a name of at most {most} characters.",
            PaneSet.MAX_NAME,
        )
        _refuse(format_lazy(sentence, most=PaneSet.MAX_NAME))
    # Control characters, format characters such as those that turn the direction, and separators of lines.
    if any((unicodedata.category(sign)[0] == "C" and sign not in _JOINERS) or sign in "\u2028\u2029" for sign in name):
        _refuse(_("The name has characters that can't be shown."))
    names = PaneSet.objects.filter(user=user.pk).exclude(pk=but).values_list("name", flat=True)
    if name.casefold() in {other.casefold() for other in names}:
        _refuse(format_lazy(_("You have a workspace called “{name}” already."), name=name))
    return name


def _refuse(detail: Sentence) -> NoReturn:
    raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
