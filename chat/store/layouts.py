"""Applies what a page changed to the layout of its user's panes, so that pages do not overwrite each other's."""

from collections.abc import Container, Sequence

from django.db import transaction
from django.db.models import Q

from chat.conf import conf
from chat.models import Membership, Room
from chat.protocol import Layout, Put
from chat.store import policies
from chat.store.policies import Login


def change(login: Login, asked: Layout) -> None:
    """Open, move, close and widen panes in the layout as it is now; rooms that may not be entered are left out."""
    answers = policies.load_enterable_rooms([(login, put.room) for put in asked.put])
    allowed = {room for (_, room), answer in answers.items() if isinstance(answer, Room)}
    with transaction.atomic():
        mine = Membership.objects.filter(user=login.user_id)
        # In the order in which presence locks them. Of two changes at once the second sees what the first has written.
        open_or_put = mine.filter(Q(position__isnull=False) | Q(room__in=allowed))
        rows = {row.room_id: row for row in open_or_put.select_for_update(no_key=True).order_by("pk")}
        panes = sorted((row.position, room) for room, row in rows.items() if row.position is not None)
        wide = next((room for room, row in rows.items() if row.is_wide), None)
        order, wide = applied([room for _, room in panes], wide, asked, allowed=allowed)
        _store(login, rows, order, wide)


def applied(
    order: Sequence[int], wide: int | None, asked: Layout, *, allowed: Container[int] | None = None
) -> tuple[list[int], int | None]:
    """Return the order of the panes, and the wide one, after a change; of new panes only those that are allowed."""
    panes = [room for room in order if room not in asked.close]
    for put in asked.put:
        if allowed is None or put.room in allowed:
            _put(panes, put)
    kept = None if wide == asked.narrow else wide
    return panes[: conf.LAYOUT_PANES], kept if asked.wide is None else asked.wide


def _put(order: list[int], put: Put) -> None:
    """Give a pane its place; where the pane beside it is not open, the end."""
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
