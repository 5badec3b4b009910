"""Deletes rooms and what users leave behind, in pieces that others can go between.

A room is closed to everybody in the first, short transaction. Its rows follow in pieces, its own row
last, so an interrupted deletion goes on wherever it stopped. A user's row goes at once, as Django does
it; what refers to it (their memberships, who mentioned them) follows in pieces. Their messages stay.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import OperationalError, models, transaction
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.functions import Now
from django.db.models.signals import post_delete, post_save

from chat.fields import FormerUserField
from chat.models import DeletedUser, Event, Room
from chat.store import access

# Of one transaction: on SQLite, and where a disk is slow, messages wait for it.
PIECE_ROWS = 1000
# Between two pieces a caller sleeps for at least so long, and for as long as the last piece took.
PAUSE_SECONDS = 0.02
# How many deletions are worked on at once, a piece of each in turn.
MAX_UNFINISHED = 100
RETRIES = 5

Removed = Counter[str]  # how many rows, by model


class Unfinished(NamedTuple):
    """Rooms and users that are deleted, and have rows yet."""

    rooms: list[int]
    users: list[int]


def delete_rooms(room_ids: Collection[int]) -> tuple[int, dict[str, int]]:
    """Close rooms to everybody, then remove all their rows; return how many, in all and by model.

    Inside a transaction, no more than a piece is removed: the rest, maybe millions of rows, is left to a server.
    """
    is_inside = transaction.get_connection().in_atomic_block
    removed: Removed = Counter()
    for room_id in close_rooms(room_ids):
        if not is_inside:
            removed += _finish_room(room_id)
        elif removed.total() < PIECE_ROWS:
            removed += remove_piece_of_room(room_id)
    return removed.total(), dict(removed)


def close_rooms(room_ids: Collection[int]) -> list[int]:
    """Close rooms to everybody, and return which were open."""
    with transaction.atomic():
        # In id order, as the log locks them.
        rooms = Room.objects.select_for_update(no_key=True).filter(pk__in=room_ids).order_by("pk")
        closed = list(rooms.values_list("pk", flat=True))
        if closed:
            Room.objects.filter(pk__in=closed).update(deleted_at=Now())
            access.changed(rooms=closed)
    return closed


def _finish_room(room_id: int) -> Removed:
    removed: Removed = Counter()
    failures = 0
    # A server may be at it, too: then it is waited for.
    while Room.all_objects.filter(pk=room_id).exists():
        began = time.monotonic()
        try:
            removed += remove_piece_of_room(room_id)
        except OperationalError:
            # A deadlock, or a lock that took too long.
            failures += 1
            if failures > RETRIES:
                raise
        time.sleep(max(PAUSE_SECONDS, time.monotonic() - began))
    return removed


def unfinished() -> Unfinished:
    """Return which deletions are unfinished, the first ones."""
    rooms = Room.all_objects.filter(deleted_at__isnull=False).order_by("deleted_at", "pk").values_list("pk", flat=True)
    users = DeletedUser.objects.order_by("pk").values_list("pk", flat=True)
    return Unfinished(list(rooms[:MAX_UNFINISHED]), list(users[:MAX_UNFINISHED]))


def remove_piece_of_room(room_id: int) -> Removed:
    """Remove some rows of a closed room; nothing when it is gone, or when another process is at it."""
    with transaction.atomic():
        closed = Room.all_objects.filter(pk=room_id, deleted_at__isnull=False)
        room = closed.select_for_update(skip_locked=True, no_key=True).first()
        if room is None:
            return Counter()
        removed = _remove_events(room)
        if room.floor_seq <= room.head_seq:
            return removed
        for relation in relations_to(Room):
            if relation.on_delete is models.CASCADE:
                rows = relation.related_model._base_manager.filter(**{relation.field.name: room})
                removed += _remove(rows, PIECE_ROWS - removed.total())
                if rows.exists():
                    return removed  # More of them than go into a piece, or others hold them now.
        # From here on nobody can add a row. Whoever is just doing that is not waited for: they may wait for what this
        # transaction has removed.
        if closed.select_for_update(skip_locked=True).first() is not None:
            removed += Counter(models.Model.delete(room)[1])
    return removed


def _remove_events(room: Room) -> Removed:
    """Remove the oldest events. By their numbers, because a search for the first ones would pass all removed ones."""
    removed: Removed = Counter()
    # A piece without a row would look as if nothing was left to do.
    while not removed and room.floor_seq <= room.head_seq:
        last = room.floor_seq + PIECE_ROWS - 1
        events = Event._base_manager.filter(room=room, seq__gte=room.floor_seq, seq__lte=last)
        removed = Counter(events.only("pk").delete()[1])
        room.floor_seq = last + 1
        Room.all_objects.filter(pk=room.pk).update(floor_seq=room.floor_seq)
    return removed


def remove_piece_of_user(user_id: int) -> Removed:
    """Remove some rows that refer to a deleted user; nothing when there are none, or others hold them."""
    removed: Removed = Counter()
    with transaction.atomic():
        if DeletedUser.objects.select_for_update(skip_locked=True).filter(pk=user_id).first() is None:
            return removed
        for model, field in _referring():
            rows = model._base_manager.filter(**{field: user_id})
            removed += _remove(rows, PIECE_ROWS - removed.total())
            if rows.exists():
                return removed  # More of them than go into a piece, or others hold them now.
        DeletedUser.objects.filter(pk=user_id).delete()
    return removed


def _referring() -> list[tuple[type[models.Model], str]]:
    """Return what refers to users whose rows may be gone, but for the log, which keeps its authors."""
    found = [one for one in relations_to(get_user_model()) if isinstance(one.field, FormerUserField)]
    return [(one.related_model, one.field.name) for one in found if one.related_model is not Event]


def relations_to(model: Any) -> list[Any]:
    """Return the foreign keys that refer to a model, as Django's own deletion finds them."""
    return list(get_candidate_relations_to_delete(model._meta))


def _remove(rows: "models.QuerySet[Any]", limit: int) -> Removed:
    # In the order in which others lock them; what they hold is left for a later piece.
    some = rows.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True)[: max(limit, 0)]
    ids: Sequence[Any] = list(some)
    return Counter(rows.model._base_manager.filter(pk__in=ids).delete()[1]) if ids else Counter()


def connect() -> None:
    """Begin to hear of users: called once, when the app is ready."""
    user = get_user_model()
    post_delete.connect(_on_user_delete, sender=user, dispatch_uid="deletion-user-delete")
    post_save.connect(_on_user_save, sender=user, dispatch_uid="deletion-user-save")


def _on_user_delete(instance: Any, origin: Any = None, **kwargs: Any) -> None:
    # In the transaction of the deletion, so that no crash leaves the rows behind.
    DeletedUser.objects.bulk_create([DeletedUser(pk=instance.pk)], ignore_conflicts=True)
    if origin is instance:
        # One user, and not many at once: a piece goes along.
        remove_piece_of_user(instance.pk)


def _on_user_save(instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        disown(instance.pk)


def disown(user_id: int) -> None:
    """Make sure that a new user owns nothing of a deleted user who had the same number.

    Databases give no number out twice. But a copy of the data (`loaddata`) makes the next number follow the
    highest user, and higher ones may have been deleted.
    """
    if Event.objects.filter(author=user_id).exists():
        Event._base_manager.filter(author=user_id).update(author=None)
    for model, field in _referring():
        model._base_manager.filter(**{field: user_id}).delete()
    DeletedUser.objects.filter(pk=user_id).delete()
