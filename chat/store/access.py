"""Records each change of rights (user, session, room, logout) in its own transaction, and rings after the commit.

Each change is a row of its own, so no transaction waits for another's commit. Changes by plain SQL and by
queryset.update() are not seen here, so every hub also checks the rights of all its users periodically.
"""

import threading
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session as WebSession
from django.db import connections, router, transaction
from django.db.models import QuerySet
from django.db.models.signals import post_delete, post_save, pre_save
from django.utils import timezone

from chat import doorbell
from chat.models import AccessChange, Room
from chat.store import prepared
from chat.store.concerns import ALL_USERS, NO_USERS, Concern, about

Row = tuple[UUID, int | None, int | None]  # key, user, room

# The most rows that a sweep reads. While there are more, it checks the rights of all users.
MAX_ROWS = 500
# The most rows that are looked up at once to be removed, and the most that one transaction removes.
MAX_OLD_ROWS = 10_000
PRUNED_ROWS = 500

# The fields of a user that are rights or that other users see. A save that changes none of them is not recorded.
_RIGHTS = {"username", "first_name", "last_name", "password", "is_active", "is_staff", "is_superuser"}
# Set on a user object while it is being saved.
_IS_HARMLESS = "_access_save_is_harmless"

# The changes on this thread's connection for which no bell was rung yet.
_pending = threading.local()


def recent_changes() -> list[Row]:
    """Return the committed changes of the last seconds: at most MAX_ROWS + 1."""
    return [(pk, user, room) for pk, user, room in prepared.page(_changes, (), limit=MAX_ROWS + 1)]


def _changes() -> QuerySet[AccessChange, Any]:
    return AccessChange.objects.order_by().values_list("pk", "user_id", "room_id")


def concern_of(rows: Iterable[Row]) -> Concern:
    """Return the users and rooms that these changes concern."""
    users, rooms = set(), set()
    for _, user, room in rows:
        if user is None and room is None:
            return ALL_USERS
        if user is not None:
            users.add(user)
        if room is not None:
            rooms.add(room)
    return about(users=users, rooms=rooms)


def record_change(*, users: Collection[int] = (), rooms: Collection[int] = ()) -> None:
    """Record in this transaction whose rights have changed (no arguments: all users'), and ring after its commit."""
    concern = about(users=users, rooms=rooms) if users or rooms else ALL_USERS
    if concern.is_all_users:
        AccessChange.objects.create()
    else:
        rows = [AccessChange(user_id=user) for user in concern.users]
        AccessChange.objects.bulk_create(rows + [AccessChange(room_id=room) for room in concern.rooms])
    # A transaction that changes many users rings once, for all of them.
    _pending.concern = concern | (_pending_concern() if _will_ring() else NO_USERS)
    transaction.on_commit(_ring)


def _will_ring() -> bool:
    """Return whether the commit of this transaction rings already.

    A rollback removes the hook, but leaves the pending concern behind.
    """
    return any(hook is _ring for _, hook, _ in reversed(transaction.get_connection().run_on_commit))


def _pending_concern() -> Concern:
    found: Concern = getattr(_pending, "concern", NO_USERS)
    return found


def _ring() -> None:
    concern, _pending.concern = _pending_concern(), NO_USERS
    if concern:
        doorbell.ring_access(concern)


def stored_keys() -> list[UUID]:
    """Return the keys of the rows that are stored now."""
    return list(AccessChange.objects.order_by().values_list("pk", flat=True)[:MAX_OLD_ROWS])


def prune(old: Collection[UUID]) -> None:
    """Remove rows that every process has had time to read."""
    with transaction.atomic():
        rows = AccessChange.objects.filter(pk__in=old)
        # Other processes remove them too, so rows that they have locked are left to them.
        unlocked = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        AccessChange.objects.filter(pk__in=unlocked).delete()


def connect() -> None:
    """Connect the signal handlers. Called once, when the app is ready."""
    user = get_user_model()
    pre_save.connect(_before_user_save, sender=user, dispatch_uid="access-user-before-save")
    post_save.connect(_on_user_save, sender=user, dispatch_uid="access-user-save")
    post_save.connect(_on_room_save, sender=Room, dispatch_uid="access-room-save")
    post_delete.connect(_on_user_delete, sender=user, dispatch_uid="access-user-delete")
    post_delete.connect(_on_session_delete, sender=WebSession, dispatch_uid="access-session-delete")


def _before_user_save(
    sender: Any, instance: Any, raw: bool, using: str | None, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    # Decided before the save, because it overwrites the old values. When in doubt, the save is recorded.
    setattr(instance, _IS_HARMLESS, False)
    if raw or instance._state.adding:
        return
    fields = {field.name for field in sender._meta.concrete_fields} & (_RIGHTS | {sender.USERNAME_FIELD})
    written = fields if update_fields is None else fields & update_fields
    if not written:
        setattr(instance, _IS_HARMLESS, True)
        return
    using = using or router.db_for_write(sender, instance=instance)
    # Compared only under the row's lock. Otherwise another transaction could change the row before the save.
    if connections[using].in_atomic_block:
        users = sender._base_manager.using(using).select_for_update(no_key=True).filter(pk=instance.pk)
        before = users.values(*written).first()
        setattr(instance, _IS_HARMLESS, before == {name: getattr(instance, name) for name in written})


def _on_user_save(instance: Any, created: bool, **kwargs: Any) -> None:
    # A new user has no socket yet.
    if not created and not getattr(instance, _IS_HARMLESS, False):
        record_change(users=[instance.pk])


def _on_room_save(instance: Room, created: bool, **kwargs: Any) -> None:
    # All users who may enter a new room have to hear of it. A new room of members has none yet.
    if not (created and instance.members_only):
        record_change(rooms=[instance.pk])


def _on_user_delete(instance: Any, **kwargs: Any) -> None:
    record_change(users=[instance.pk])


def _on_session_delete(instance: WebSession, **kwargs: Any) -> None:
    # A sign-out, or any other end of a session. A session that had expired (clearsessions) ended by itself. A session
    # without a user gives no rights: signing in replaces it.
    if instance.expire_date <= timezone.now():
        return
    user = instance.get_decoded().get(SESSION_KEY)
    if user is not None:
        record_change(users=[get_user_model()._meta.pk.to_python(user)])
