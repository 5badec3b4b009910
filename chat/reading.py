"""Read positions and layouts in the database, and what is unread after them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from chat import policies
from chat.models import Event, Membership, Mention, Room
from chat.policies import Login

Pair = tuple[int, int]  # user, room


class Unread(NamedTuple):
    """What a user has not read of a room: posted, undeleted messages of others after `read`."""

    head: int
    read: int
    unread: int
    mentions: int


class News(NamedTuple):
    """An event that moved a room's head, and whom it names."""

    room: int
    seq: int
    kind: int
    author: int | None
    named: frozenset[int]


def begin(rooms: Mapping[int, Collection[Room]]) -> None:
    """Give users a read position in each of their rooms (by user) that they have none in.

    To somebody new all that was said before is read; a room that came since is unread from its beginning.
    """
    known = positions(rooms)
    old = {user for user, _ in known}
    missing = [
        Membership(room=room, user_id=user, read_seq=0 if user in old else room.head_seq)
        for user, enterable in rooms.items()
        for room in enterable
        if (user, room.pk) not in known
    ]
    if not missing:
        return
    # What is there by now stays: another process may have made it, and the user moved it.
    Membership.objects.bulk_create(missing, ignore_conflicts=True)
    # But for what presence or a layout wrote, which leave the position open.
    left_open = Membership.objects.filter(user_id__in=rooms, read_seq=None)
    with transaction.atomic():
        # In the order in which presence locks them.
        locked = left_open.select_for_update(no_key=True).order_by("pk").values_list("user_id", "room_id", "pk")
        ids = {(user, room): pk for user, room, pk in locked}
        begins: dict[int, list[int]] = {}
        for one in missing:
            if pk := ids.get((one.user_id, one.room_id)):
                begins.setdefault(one.read_seq or 0, []).append(pk)
        for read_seq, pks in begins.items():
            Membership.objects.filter(pk__in=pks, read_seq=None).update(read_seq=read_seq)


def move(login: Login, room_id: int, seq: int, *, back: bool) -> None:
    """Move a read position forward, or with `back` to wherever; never beyond the head.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED.
    """
    room = policies.enter_room(login, room_id)
    seq = min(seq, room.head_seq)
    with transaction.atomic():
        Membership.objects.bulk_create([Membership(room=room, user_id=login.user_id)], ignore_conflicts=True)
        mine = Membership.objects.filter(room=room, user=login.user_id)
        if not back:
            mine = mine.filter(Q(read_seq=None) | Q(read_seq__lt=seq))
        mine.update(read_seq=seq)


def count(users: Collection[int], rooms: Collection[int] | None = None) -> dict[Pair, Unread]:
    """Count what is unread, by user and room: in these rooms, or in all that the users have positions in."""
    memberships = Membership.objects.filter(user_id__in=users, read_seq__isnull=False)
    if rooms is not None:
        memberships = memberships.filter(room_id__in=rooms)
    others = Event.objects.filter(
        ~Q(author=OuterRef("user")) | Q(author=None),
        room=OuterRef("room"),
        seq__gt=OuterRef("read_seq"),
        kind=Event.Kind.POSTED,
        deleted_at=None,
    )
    naming = others.filter(mentions__user=OuterRef("user"))
    rows = memberships.annotate(
        head=F("room__head_seq"),
        unread=_count(others),
        mentions=_count(naming),
    ).values_list("user_id", "room_id", "head", "read_seq", "unread", "mentions")
    return {(user, room): Unread(*counts) for user, room, *counts in rows}


def _count(events: QuerySet[Event]) -> Any:
    counted = events.order_by().values("room").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)


def news(cursors: dict[int, int], *, limit: int) -> list[News]:
    """Return up to `limit` events after the cursors (seq by room), with whom they name."""
    after = Q(pk__in=[])
    for room, cursor in cursors.items():
        after |= Q(room=room, seq__gt=cursor)
    events = list(Event.objects.filter(after).values_list("pk", "room_id", "seq", "kind", "author_id")[:limit])
    named: dict[int, set[int]] = {}
    for event, user in Mention.objects.filter(event__in=[pk for pk, *_ in events]).values_list("event_id", "user_id"):
        named.setdefault(event, set()).add(user)
    return [News(room, seq, kind, author, frozenset(named.get(pk, ()))) for pk, room, seq, kind, author in events]


def positions(users: Iterable[int]) -> dict[Pair, int]:
    """Return all read positions of users."""
    known = Membership.objects.filter(user_id__in=set(users), read_seq__isnull=False)
    rows = known.values_list("user_id", "room_id", "read_seq")
    return {(user, room): seq for user, room, seq in rows if seq is not None}


def lay_out(login: Login, rooms: Sequence[int], wide: int | None) -> None:
    """Keep which panes are open, in which order, and which is wide; rooms that may not be entered are left out."""
    answers = policies.enter_rooms([(login, room) for room in rooms])
    allowed = [room for (_, room), answer in answers.items() if isinstance(answer, Room)]
    with transaction.atomic():
        mine = Membership.objects.filter(user=login.user_id)
        mine.filter(position__isnull=False).exclude(room__in=allowed).update(position=None, is_wide=False)
        Membership.objects.bulk_create(
            [
                Membership(room_id=room, user_id=login.user_id, position=place, is_wide=room == wide)
                for place, room in enumerate(allowed)
            ],
            update_conflicts=True,
            unique_fields=["room", "user"],
            update_fields=["position", "is_wide"],
        )


def layout(user_id: int) -> tuple[list[int], int | None]:
    """Return the rooms of the user's open panes in order, and the wide one."""
    panes = Membership.objects.filter(user=user_id, position__isnull=False).order_by("position")
    rows = list(panes.values_list("room_id", "is_wide"))
    return [room for room, _ in rows], next((room for room, is_wide in rows if is_wide), None)
