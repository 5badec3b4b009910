"""Deletes rooms, and the rows that refer to deleted users, in pieces, so that other transactions can run in between.

A first, short transaction closes a room to all users. Its rows are then removed in pieces, its own row last,
so an interrupted deletion continues where it stopped. Django deletes a user's own row at once. The rows that
refer to the user (memberships, mentions) are then removed in pieces. The user's messages stay.
"""

import functools
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import OperationalError, connection, models, transaction
from django.db.models.deletion import get_candidate_relations_to_delete
from django.db.models.functions import Now
from django.db.models.signals import post_delete, post_save

from chat.fields import FormerUserField
from chat.models import Confirmation, DeletedUser, Event, Reaction, RemovedFile, Room, StoredFile
from chat.store import access, leftovers

# The most rows of one transaction, because on SQLite, and on slow disks, messages wait for it.
PIECE_ROWS = 1000
# After each piece a caller sleeps for as long as the piece took, but at least this long.
PAUSE_SECONDS = 0.02
# How many deletions take turns, a piece of each at a time.
MAX_UNFINISHED = 100
RETRIES = 5
# What is said in a room stays when its author is deleted.
LOG = (Event, Reaction, Confirmation, StoredFile)

Removed = Counter[str]  # how many rows, by model


class Unfinished(NamedTuple):
    """Deleted rooms and users of which some rows are still stored."""

    rooms: list[int]
    users: list[int]


def delete_rooms(room_ids: Collection[int]) -> tuple[int, dict[str, int]]:
    """Close rooms to all users, then remove their rows; return how many rows were removed, in total and by model.

    Inside a transaction, at most one piece is removed. A server removes the rest, which may be millions of rows.
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
    """Close rooms to all users, and return those that were open."""
    with transaction.atomic():
        # In id order, as the log locks them.
        rooms = Room.objects.select_for_update(no_key=True).filter(pk__in=room_ids).order_by("pk")
        closed = list(rooms.values_list("pk", flat=True))
        if closed:
            Room.objects.filter(pk__in=closed).update(deleted_at=Now())
            access.record_change(rooms=closed)
    return closed


def _finish_room(room_id: int) -> Removed:
    removed: Removed = Counter()
    failures = 0
    # If a server is removing pieces of this room too, wait until it has finished.
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
    """Return the first unfinished deletions."""
    rooms = Room.all_objects.filter(deleted_at__isnull=False).order_by("deleted_at", "pk").values_list("pk", flat=True)
    users = DeletedUser.objects.order_by("pk").values_list("pk", flat=True)
    return Unfinished(list(rooms[:MAX_UNFINISHED]), list(users[:MAX_UNFINISHED]))


def remove_piece_of_room(room_id: int) -> Removed:
    """Remove some rows of a closed room; none when it has no rows left, or when another process has locked it."""
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
                    return removed  # There are more rows than one piece takes, or other transactions have locked them.
        # This lock keeps others from adding rows. A transaction that is just adding one is not waited for, because it
        # may itself wait for rows that this transaction has removed.
        if closed.select_for_update(skip_locked=True).first() is not None:
            removed += Counter(models.Model.delete(room)[1])
    return removed


def _remove_events(room: Room) -> Removed:
    """Remove the oldest events, selected by seq: a search for the first rows would pass over all the removed ones."""
    removed: Removed = Counter()
    # Go on until rows are found, because a piece without rows would look like a finished deletion.
    while not removed and room.floor_seq <= room.head_seq:
        last = room.floor_seq + PIECE_ROWS - 1
        events = Event._base_manager.filter(room=room, seq__gte=room.floor_seq, seq__lte=last)
        removed = Counter(events.only("pk").delete()[1])
        room.floor_seq = last + 1
        Room.all_objects.filter(pk=room.pk).update(floor_seq=room.floor_seq)
    return removed


def remove_piece_of_user(user_id: int) -> Removed:
    """Remove some rows that refer to a deleted user; none when there are none, or when others have locked them."""
    removed: Removed = Counter()
    with transaction.atomic():
        if DeletedUser.objects.select_for_update(skip_locked=True).filter(pk=user_id).first() is None:
            return removed
        for model, field in _fields_of_former_users():
            rows = model._base_manager.filter(**{field: user_id})
            removed += _remove(rows, PIECE_ROWS - removed.total())
            if rows.exists():
                return removed  # There are more rows than one piece takes, or other transactions have locked them.
        DeletedUser.objects.filter(pk=user_id).delete()
    return removed


def _fields_of_former_users() -> list[tuple[type[models.Model], str]]:
    """Return the fields that refer to users who may be deleted, except those of the log, which keeps its authors."""
    relations = [relation for relation in relations_to(get_user_model()) if isinstance(relation.field, FormerUserField)]
    return [
        (relation.related_model, relation.field.name) for relation in relations if relation.related_model not in LOG
    ]


def relations_to(model: Any) -> list[Any]:
    """Return the foreign keys that refer to a model, as Django's own deletion finds them."""
    return list(get_candidate_relations_to_delete(model._meta))


def _remove(rows: "models.QuerySet[Any]", limit: int) -> Removed:
    # In the order in which other code locks them. Locked rows are left for a later piece.
    first = rows.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True)[: max(limit, 0)]
    ids: Sequence[Any] = list(first)
    return Counter(rows.model._base_manager.filter(pk__in=ids).delete()[1]) if ids else Counter()


def connect() -> None:
    """Connect the signal handlers for users. Called once, when the app is ready."""
    user = get_user_model()
    post_delete.connect(_on_user_delete, sender=user, dispatch_uid="deletion-user-delete")
    post_save.connect(_on_user_save, sender=user, dispatch_uid="deletion-user-save")
    post_delete.connect(_on_file_delete, sender=StoredFile, dispatch_uid="deletion-file-delete")


def _on_user_delete(instance: Any, using: str, origin: Any = None, **kwargs: Any) -> None:
    leftovers.remove(instance.pk, using)
    # In the transaction of the deletion, so that a crash cannot leave rows behind without a record.
    DeletedUser.objects.bulk_create([DeletedUser(pk=instance.pk)], ignore_conflicts=True)
    if origin is instance:
        # One user is deleted, not many at once, so the first piece is removed with it.
        remove_piece_of_user(instance.pk)


def _on_file_delete(instance: StoredFile, **kwargs: Any) -> None:
    # However a file's row goes, with its message, its room or alone, the janitor learns of its bytes.
    RemovedFile.objects.bulk_create([RemovedFile(pk=instance.pk)], ignore_conflicts=True)


def _on_user_save(instance: Any, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        disown(instance.pk)


def disown(user_id: int) -> None:
    """Make sure that a new user owns no rows of a deleted user who had the same id.

    Databases use each id only once. But after copying the data (`loaddata`) the next id follows the highest
    existing one, and users with higher ids may have been deleted.
    """
    if not _has_rows(user_id):
        return
    if Event.objects.filter(author=user_id).exists():
        Event._base_manager.filter(author=user_id).update(author=None)
    for kept in (Reaction, Confirmation):
        kept._base_manager.filter(user=user_id).update(user=None)
    StoredFile.objects.filter(author=user_id).update(author=None)
    for model, field in _fields_of_former_users():
        model._base_manager.filter(**{field: user_id}).delete()
    DeletedUser.objects.filter(pk=user_id).delete()


def _has_rows(user_id: int) -> bool:
    """Return whether any row refers to this user: one statement, because new users hardly ever have some."""
    sql = _sql_of_rows()
    with connection.cursor() as cursor:
        cursor.execute(sql, [user_id] * sql.count("%s"))
        return cursor.fetchone() is not None


@functools.cache
def _sql_of_rows() -> str:
    relations = [relation for relation in relations_to(get_user_model()) if isinstance(relation.field, FormerUserField)]
    columns = [(relation.related_model, relation.field.column) for relation in relations]
    columns.append((DeletedUser, DeletedUser._meta.pk.column))
    quote = connection.ops.quote_name
    selects = [f"SELECT 1 FROM {quote(model._meta.db_table)} WHERE {quote(column)} = %s" for model, column in columns]
    return " UNION ALL ".join(selects) + " LIMIT 1"
