"""Stores the layout of a user's panes: as a whole, or change by change, so that pages do not overwrite each other."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Membership, Room
from chat.protocol import Layout, Put, Shape
from chat.store import policies
from chat.store.policies import Login
from chat.store.room_user import RoomUser


class Panes(NamedTuple):
    """A user's open panes in order, the one that is widened, and the shapes of those that are not even columns.

    A shape has `width` (percent of an even column), `strip`, `below` (the lower half of the column before it) and, of
    a lower half, `height` (percent of an even half), each only if it applies.
    """

    rooms: Sequence[int]
    wide: int | None = None
    shapes: Mapping[int, dict[str, Any]] = {}

    def limited_to(self, rooms: Container[int]) -> "Panes":
        """Return the panes of these rooms. What stood below another pane gets its column."""
        kept: list[int] = []
        shapes: dict[int, dict[str, Any]] = {}
        previous = None
        for room in self.rooms:
            if room in rooms:
                shape = dict(self.shapes.get(room, {}))
                if previous is not None and previous not in rooms:
                    leave_column(shape)
                kept.append(room)
                if shape:
                    shapes[room] = shape
            previous = room
        return Panes(kept, self.wide if self.wide is not None and self.wide in rooms else None, shapes)

    def on_the_wire(self) -> dict[str, Any]:
        """Return the panes as the page has them, with rooms' ids as strings."""
        return {
            "order": [str(room) for room in self.rooms],
            "wide": str(self.wide) if self.wide in self.rooms else None,
            "shapes": {str(room): self.shapes[room] for room in self.rooms if room in self.shapes},
        }


class UserLayout(NamedTuple):
    """All panes that a user has open."""

    login: Login
    panes: Panes


def shapes_of(shapes: Iterable[Shape]) -> dict[int, dict[str, Any]]:
    """Return shapes by room as they are stored: none for an even column."""
    stored = {
        int(shape.room): {
            **({"width": shape.width} if shape.width is not None else {}),
            **({"strip": True} if shape.strip else {}),
            **({"below": True} if shape.below else {}),
            **({"height": shape.height} if shape.below and shape.height is not None else {}),
        }
        for shape in shapes
    }
    return {room: shape for room, shape in stored.items() if shape}


def leave_column(shape: dict[str, Any]) -> None:
    """Take a pane out of the lower half of its column."""
    shape.pop("below", None)
    shape.pop("height", None)


def change_layout(login: Login, change: Layout) -> None:
    """Open, move, shape, close and widen panes in the stored layout; rooms that the user may not enter are left out."""
    answers = policies.load_enterable_rooms([(login, put.room) for put in change.put])
    allowed = {room for (_, room), answer in answers.items() if isinstance(answer, Room)}
    with transaction.atomic():
        memberships = Membership.objects.filter(user=login.user_id)
        # Locked in the order in which presence locks them. The second of two simultaneous changes sees the first one.
        open_or_put = memberships.filter(Q(position__isnull=False) | Q(room__in=allowed))
        rows = {row.room_id: row for row in open_or_put.select_for_update(no_key=True).order_by("pk")}
        store_panes(
            {RoomUser(room, login.user_id): row for room, row in rows.items()},
            {login.user_id: apply_change(panes_of(rows.values()), change, allowed=allowed)},
        )


def store_layouts(layouts: Collection[UserLayout]) -> None:
    """Store one layout for each user, in one transaction; rooms that the user may not enter are left out."""
    wanted_rooms = {room for layout in layouts for room in layout.panes.rooms}
    standings, rooms = policies.load_rights({layout.login for layout in layouts}, wanted_rooms)
    asked = {RoomUser(room, layout.login.user_id) for layout in layouts for room in layout.panes.rooms}
    members = policies.load_members(asked, rooms)
    panes: dict[int, Panes] = {}
    for login, wanted in layouts:
        if standing := standings.get(login):
            panes[login.user_id] = wanted.limited_to(
                {
                    room
                    for room in wanted.rooms
                    if _may_enter(standing.user, rooms.get(room), is_member=RoomUser(room, login.user_id) in members)
                }
            )
    with transaction.atomic():
        # Locked in the order in which presence locks them.
        placed = Membership.objects.select_for_update(no_key=True).filter(user_id__in=panes, position__isnull=False)
        store_panes({RoomUser(row.room_id, row.user_id): row for row in placed.order_by("pk")}, panes)


def _may_enter(user: object, room: Room | None, *, is_member: bool) -> bool:
    try:
        policies.check_enterable(user, room, is_member=is_member)
    except ClientError as refusal:
        assert refusal.code in (ErrorCode.ROOM_INVALID, ErrorCode.ROOM_ACCESS_DENIED, ErrorCode.USER_HAS_TO_LOGIN)
        return False
    return True


def load_layout(user_id: int) -> Panes:
    """Return the panes that a user has open."""
    return panes_of(Membership.objects.filter(user=user_id, position__isnull=False))


def panes_of(rows: Iterable[Membership]) -> Panes:
    """Return the panes that a user's memberships have."""
    opened = sorted((row for row in rows if row.position is not None), key=lambda row: (row.position, row.room_id))
    return Panes(
        [row.room_id for row in opened],
        next((row.room_id for row in opened if row.is_wide), None),
        {row.room_id: row.shape for row in opened if row.shape},
    )


def apply_change(panes: Panes, change: Layout, *, allowed: Container[int] | None = None) -> Panes:
    """Return the panes after a change; new panes are limited to `allowed` rooms."""
    rooms = [room for room in panes.rooms if room not in change.close]
    for put in change.put:
        if allowed is None or put.room in allowed:
            _put(rooms, put)
    rooms = rooms[: conf.LAYOUT_PANES]
    kept = None if panes.wide == change.narrow else panes.wide
    changed = {shape.room for shape in change.shapes}
    unchanged = {room: shape for room, shape in panes.shapes.items() if room not in changed}
    shapes = {**unchanged, **shapes_of(change.shapes)}
    return Panes(
        rooms,
        kept if change.wide is None else change.wide,
        {room: shapes[room] for room in rooms if room in shapes},
    )


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


def store_panes(rows: Mapping[RoomUser, Membership], panes: Mapping[int, Panes]) -> None:
    """Write what changed of users' panes. `rows` are the locked memberships of these users that have a pane."""
    wanted = {
        RoomUser(room, user): (place, room == own.wide, own.shapes.get(room))
        for user, own in panes.items()
        for place, room in enumerate(own.rooms)
    }
    closed = [row.pk for pair, row in rows.items() if row.position is not None and pair not in wanted]
    Membership.objects.filter(pk__in=closed).update(position=None, is_wide=False, shape=None)
    Membership.objects.bulk_create(
        [
            Membership(room_id=pair.room, user_id=pair.user, position=place, is_wide=is_wide, shape=shape)
            for pair, (place, is_wide, shape) in sorted(wanted.items(), key=lambda item: item[0])
            if (row := rows.get(pair)) is None or (row.position, row.is_wide, row.shape) != (place, is_wide, shape)
        ],
        update_conflicts=True,
        unique_fields=["room", "user"],
        update_fields=["position", "is_wide", "shape"],
    )
