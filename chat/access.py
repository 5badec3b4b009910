"""Hears of changed rights (user, session, room, logout), raises the counter, rings on commit.

What plain SQL and queryset.update() change goes past it: every hub looks for itself now and then.
"""

from typing import Any

from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session as WebSession
from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_delete, post_save, pre_delete
from django.utils import timezone

from chat import doorbell
from chat.models import AccessCounter, Membership, Room


def generation() -> int:
    """Return how often rights have changed: a number that grows."""
    return AccessCounter.objects.values_list("changes", flat=True).first() or 0


def changed() -> None:
    """Say that somebody's rights have changed: in the same transaction, and aloud after its commit."""
    if not AccessCounter.objects.update(changes=F("changes") + 1):
        AccessCounter.objects.bulk_create([AccessCounter(pk=1, changes=1)], ignore_conflicts=True)
    transaction.on_commit(doorbell.ring_access)


def connect() -> None:
    """Begin to hear: called once, when the app is ready."""
    user = get_user_model()
    post_save.connect(_on_save, sender=user, dispatch_uid="access-user-save")
    post_save.connect(_on_save, sender=Room, dispatch_uid="access-room-save")
    for written in (user, Room):
        pre_delete.connect(_before_delete, sender=written, dispatch_uid=f"access-{written.__name__}-lock")
    for sender in (user, Room, WebSession):
        post_delete.connect(_on_delete, sender=sender, dispatch_uid=f"access-{sender.__name__}-delete")


def _before_delete(sender: Any, instance: Any, **kwargs: Any) -> None:
    mine = Membership.objects.filter(**{"room" if isinstance(instance, Room) else "user": instance})
    while True:
        point = transaction.savepoint()
        # Memberships first, then what they are of, as presence does it: else each would wait for the other.
        locked = set(mine.select_for_update().order_by("pk").values_list("pk", flat=True))
        # Whoever writes as this user or into this room has to wait from here on. Else an event that is committed
        # between Django's statements would point at a row that is gone, and the deletion would fail at its commit.
        sender._base_manager.select_for_update().filter(pk=instance.pk).first()
        if locked.issuperset(mine.values_list("pk", flat=True)):
            transaction.savepoint_commit(point)
            break
        # One was made between the two: its maker may hold it and wait for what we hold now.
        transaction.savepoint_rollback(point)
    if isinstance(instance, Room):
        # Django had collected a room's events before it was locked: these came later.
        instance.events.filter(seq__gt=instance.head_seq).delete()


def _on_save(sender: type, created: bool, update_fields: frozenset[str] | None, **kwargs: Any) -> None:
    # Signing in writes last_login, which is nobody's right; a new user has no socket yet, a new room is news.
    if created and sender is not Room:
        return
    if update_fields != frozenset({"last_login"}):
        changed()


def _on_delete(instance: Any, **kwargs: Any) -> None:
    # A sign-out, or any other end of a session; one that had expired (clearsessions) ended by itself, and one that
    # nobody was signed in with (it is replaced when somebody signs in) is no right.
    if isinstance(instance, WebSession) and (
        instance.expire_date <= timezone.now() or SESSION_KEY not in instance.get_decoded()
    ):
        return
    changed()
