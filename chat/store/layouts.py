"""Applies a page's changes to the stored layout of the user's panes, so that pages do not overwrite each other."""

from collections.abc import Container, Sequence

from django.db import transaction
from django.db.models import Q

from chat.conf import conf
from chat.models import Membership, Room
from chat.protocol import Layout, Put
from chat.store import policies
from chat.store.policies import Login


def change_layout(login: Login, change: Layout) -> None:
    """Open, move, close and widen panes in the stored layout; rooms that the user may not enter are left out."""
    answers = policies.load_enterable_rooms([(login, put.room) for put in change.put])
    allowed = {room for (_, room), answer in answers.items() if isinstance(answer, Room)}
    with transaction.atomic():
        memberships = Membership.objects.filter(user=login.user_id)
        # Locked in the order in which presence locks them. The second of two simultaneous changes sees the first one.
        open_or_put = memberships.filter(Q(position__isnull=False) | Q(room__in=allowed))
        rows = {row.room_id: row for row in open_or_put.select_for_update(no_key=True).order_by("pk")}
        panes = sorted((row.position, room) for room, row in rows.items() if row.position is not None)
        wide = next((room for room, row in rows.items() if row.is_wide), None)
        order, wide = apply_change([room for _, room in panes], wide, change, allowed=allowed)
        _store(login, rows, order, wide)


def apply_change(
    order: Sequence[int], wide: int | None, change: Layout, *, allowed: Container[int] | None = None
) -> tuple[list[int], int | None]:
    """Return the order of the panes and the wide pane after a change; new panes are limited to `allowed` rooms."""
    panes = [room for room in order if room not in change.close]
    for put in change.put:
        if allowed is None or put.room in allowed:
            _put(panes, put)
    kept = None if wide == change.narrow else wide
    return panes[: conf.LAYOUT_PANES], kept if change.wide is None else change.wide


def _put(order: list[int], put: Put) -> None:
    """Insert a pane beside the pane that `put` names, or at the end if that one is not open."""
    if put.room in order:
        order.remove(put.room)
    at = len(order)
    if put.before in order:
        at = order.index(put.before)
    elif put.after in order:
        at = order.index(put.after) + 1
    order.insert(at, int(put.room))


def _store(login: Login, rows: dict[int, Membership], order: list[int], wide: int | None) -> None:
    """Write the rows that changed."""
    closed = [row.pk for room, row in rows.items() if row.position is not None and room not in order]
    Membership.objects.filter(pk__in=closed).update(position=None, is_wide=False)
    known = {room: (row.position, row.is_wide) for room, row in rows.items()}
    Membership.objects.bulk_create(
        [
            Membership(room_id=room, user_id=login.user_id, position=place, is_wide=room == wide)
            for place, room in enumerate(order)
            if known.get(room) != (place, room == wide)
        ],
        update_conflicts=True,
        unique_fields=["room", "user"],
        update_fields=["position", "is_wide"],
    )
