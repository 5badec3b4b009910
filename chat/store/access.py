"""Hears of changed rights (user, session, room, logout), writes each down in its transaction, rings on commit.

Each change is a row of its own, so no transaction waits for another's commit. What plain SQL and
queryset.update() change goes past it: every hub checks everybody's rights now and then.
"""

import threading
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session as WebSession
from django.db import connections, router, transaction
from django.db.models.signals import post_delete, post_save, pre_save
from django.utils import timezone

from chat import doorbell
from chat.models import AccessChange, Room
from chat.store.concerns import EVERYBODY, NOBODY, Concern, of

Row = tuple[UUID, int | None, int | None]  # key, user, room

# So many rows are read by a sweep. While there are more, it takes everybody's rights as changed.
MAX_ROWS = 500
# So many are looked up at once to be removed, and so many removed in one transaction.
MAX_OLD_ROWS = 10_000
PRUNED_ROWS = 500

# What of a user is a right, or is shown to others: a save that changes none of it is not counted.
_RIGHTS = {"username", "password", "is_active", "is_staff", "is_superuser"}
# The mark on a user that is being saved.
_IS_HARMLESS = "_access_save_is_harmless"

# What was changed on this thread's connection and not told yet.
_untold = threading.local()


def recent() -> list[Row]:
    """Return the changes of the last seconds, as far as they are committed: at most MAX_ROWS and one more."""
    return list(AccessChange.objects.order_by().values_list("pk", "user_id", "room_id")[: MAX_ROWS + 1])


def concern_of(rows: Iterable[Row]) -> Concern:
    """Return whom changes concern."""
    users, rooms = set(), set()
    for _, user, room in rows:
        if user is None and room is None:
            return EVERYBODY
        if user is not None:
            users.add(user)
        if room is not None:
            rooms.add(room)
    return of(users=users, rooms=rooms)


def changed(*, users: Collection[int] = (), rooms: Collection[int] = ()) -> None:
    """Say whose rights have changed (nobody named: everybody's): in this transaction, and aloud after its commit."""
    concern = of(users=users, rooms=rooms) if users or rooms else EVERYBODY
    if concern.is_everybody:
        AccessChange.objects.create()
    else:
        rows = [AccessChange(user_id=user) for user in concern.users]
        AccessChange.objects.bulk_create(rows + [AccessChange(room_id=room) for room in concern.rooms])
    # A transaction that changes many users rings once, for all of them.
    _untold.concern = concern | (_untold_concern() if _will_tell() else NOBODY)
    transaction.on_commit(_tell)


def _will_tell() -> bool:
    """Tell whether the commit of this transaction rings already. A rollback takes that away, but not what is untold."""
    return any(hook is _tell for _, hook, _ in reversed(transaction.get_connection().run_on_commit))


def _untold_concern() -> Concern:
    found: Concern = getattr(_untold, "concern", NOBODY)
    return found


def _tell() -> None:
    concern, _untold.concern = _untold_concern(), NOBODY
    if concern:
        doorbell.ring_access(concern)


def keys() -> list[UUID]:
    """Return the keys of the rows that are there now."""
    return list(AccessChange.objects.order_by().values_list("pk", flat=True)[:MAX_OLD_ROWS])


def prune(old: Collection[UUID]) -> None:
    """Remove rows that every process has had the time to see."""
    with transaction.atomic():
        rows = AccessChange.objects.filter(pk__in=old)
        # Other processes remove them too: what they hold is theirs.
        mine = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True))
        AccessChange.objects.filter(pk__in=mine).delete()


def connect() -> None:
    """Begin to hear: called once, when the app is ready."""
    user = get_user_model()
    pre_save.connect(_before_user_save, sender=user, dispatch_uid="access-user-before-save")
    post_save.connect(_on_user_save, sender=user, dispatch_uid="access-user-save")
    post_save.connect(_on_room_save, sender=Room, dispatch_uid="access-room-save")
    post_delete.connect(_on_user_delete, sender=user, dispatch_uid="access-user-delete")
    post_delete.connect(_on_session_delete, sender=WebSession, dispatch_uid="access-session-delete")


def _before_user_save(
    sender: Any, instance: Any, raw: bool, using: str | None, update_fields: frozenset[str] | None, **kwargs: Any
) -> None:
    # Decided before the save, because afterwards the old values are gone. When in doubt, the save counts.
    setattr(instance, _IS_HARMLESS, False)
    if raw or instance._state.adding:
        return
    fields = {field.name for field in sender._meta.concrete_fields} & (_RIGHTS | {sender.USERNAME_FIELD})
    written = fields if update_fields is None else fields & update_fields
    if not written:
        setattr(instance, _IS_HARMLESS, True)
        return
    using = using or router.db_for_write(sender, instance=instance)
    # Only under the row's lock: otherwise another transaction could change the row between this and the save.
    if connections[using].in_atomic_block:
        users = sender._base_manager.using(using).select_for_update(no_key=True).filter(pk=instance.pk)
        before = users.values(*written).first()
        setattr(instance, _IS_HARMLESS, before == {name: getattr(instance, name) for name in written})


def _on_user_save(instance: Any, created: bool, **kwargs: Any) -> None:
    # A new user has no socket yet.
    if not created and not getattr(instance, _IS_HARMLESS, False):
        changed(users=[instance.pk])


def _on_room_save(instance: Room, **kwargs: Any) -> None:
    # A new room is news to everybody who may enter it.
    changed(rooms=[instance.pk])


def _on_user_delete(instance: Any, **kwargs: Any) -> None:
    changed(users=[instance.pk])


def _on_session_delete(instance: WebSession, **kwargs: Any) -> None:
    # A sign-out, or any other end of a session. One that had expired (clearsessions) ended by itself, and one that
    # nobody was signed in with (it is replaced when somebody signs in) is no right.
    if instance.expire_date <= timezone.now():
        return
    user = instance.get_decoded().get(SESSION_KEY)
    if user is not None:
        changed(users=[get_user_model()._meta.pk.to_python(user)])
