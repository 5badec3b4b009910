"""Keeps a key for each username, so that no two users have names that people take for each other.

The user model is Django's own, so the keys have a table. Its row is written right after the user's, in the same
transaction if there is one. Users whose names collided before there was this table keep them (`is_exempt`).
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.signals import post_save, pre_save
from django.utils.translation import gettext_lazy as _

from chat.models import UsernameKey
from chat.names import SYSTEM_KEY, name_key
from chat.protocol import Names
from chat.store import mentions, policies
from chat.store.policies import Login

# The most names in an answer, and the most keys that are read for it.
MAX_PEOPLE = 20
MAX_CANDIDATES = 800
PIECE = 100

TAKEN = _("This name is taken, or looks like another user's. Choose another one.")
RESERVED = _("This name is reserved for the system. Choose another one.")
EMPTY = _("This name has no visible characters. Choose another one.")


class NameRefused(ValidationError, IntegrityError):
    """A username that no user may have. Forms show it, and code that creates users may expect an IntegrityError."""


def check_username(name: str, user_id: Any = None) -> None:
    """Raise NameRefused unless this user, or a new one, may have this name. For forms, before the user is saved."""
    key = name_key(name)
    if user_id is not None and UsernameKey.objects.filter(user=user_id, key=key).exists():
        return
    if not key:
        raise NameRefused(EMPTY, code="invalid")
    if key == SYSTEM_KEY:
        raise NameRefused(RESERVED, code="invalid")
    if of_users(UsernameKey.objects.filter(Q(key=key) | Q(display_key=key))).exclude(user=user_id).exists():
        raise NameRefused(TAKEN, code="unique")


def of_key(key: str) -> "models.QuerySet[UsernameKey]":
    """Return the keys of users whose names people take for this one."""
    return of_users(UsernameKey.objects.filter(key=key))


def starting_with(prefix: str, *, field: str = "key") -> "models.QuerySet[UsernameKey]":
    """Return the keys of usernames, or display names, that begin like `prefix`, found by the index, in their order."""
    key = name_key(prefix)
    keys = UsernameKey.objects.order_by(field)
    if not key:
        return keys
    if transaction.get_connection().vendor == "postgresql":
        # By the index that Django makes for LIKE, whatever the collation is.
        return keys.filter(**{f"{field}__startswith": key})
    # SQLite's LIKE uses no index. Its order is that of code points.
    return keys.filter(**{f"{field}__gte": key, f"{field}__lt": f"{key}\U0010ffff"})


def people_named(login: Login, room_id: int, prefix: str) -> Names:
    """Return the names, by name, of at most MAX_PEOPLE users who may enter the room now and are named like `prefix`.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED, when the asker may not enter it.
    """
    room = policies.load_enterable_room(login, room_id)
    # At most so many rows are read, whatever rights their users have. A longer prefix finds the users beyond them.
    ids = list(starting_with(prefix).values_list("user_id", flat=True)[: MAX_CANDIDATES - PIECE])
    if name_key(prefix):
        shown_so = starting_with(prefix, field="display_key").values_list("user_id", flat=True)[:PIECE]
        ids = list(dict.fromkeys([*ids, *shown_so]))
    found: list[str] = []
    for start in range(0, len(ids), PIECE):
        users = {user.pk: user for user in policies.load_users_who_may_enter(room, ids[start : start + PIECE])}
        found += [users[user_id].get_username() for user_id in ids[start : start + PIECE] if user_id in users]
        if len(found) >= MAX_PEOPLE:
            break
    may_call = mentions.is_call(name_key(prefix)) and mentions.may_call(login.user_id, room)
    return Names(people=str(room.pk), prefix=prefix, names=found[:MAX_PEOPLE], all=may_call)


def collisions() -> "models.QuerySet[UsernameKey]":
    """Return the users whose names collided with another's, or were reserved, when the table was made."""
    return of_users(UsernameKey.objects.filter(is_exempt=True)).order_by("key")


def of_users(keys: "models.QuerySet[UsernameKey]") -> "models.QuerySet[UsernameKey]":
    """Narrow to users who exist: the rows of deleted users may be removed later."""
    return keys.filter(Exists(get_user_model()._base_manager.filter(pk=OuterRef("user"))))


def connect() -> None:
    """Connect the signal handlers for users. Called once, when the app is ready."""
    user = get_user_model()
    pre_save.connect(_on_user_pre_save, sender=user, dispatch_uid="names-user-pre-save")
    post_save.connect(_on_user_save, sender=user, dispatch_uid="names-user-save")


def _changes_name(raw: bool, using: str, update_fields: Any) -> bool:
    is_named = update_fields is None or get_user_model().USERNAME_FIELD in update_fields
    return not raw and using == DEFAULT_DB_ALIAS and is_named


def _on_user_pre_save(instance: Any, raw: bool, using: str, update_fields: Any, **kwargs: Any) -> None:
    if _changes_name(raw, using, update_fields):
        check_username(instance.get_username(), instance.pk)


def _on_user_save(instance: Any, created: bool, raw: bool, using: str, update_fields: Any, **kwargs: Any) -> None:
    if not _changes_name(raw, using, update_fields):
        return
    key = name_key(instance.get_username())
    if not created and UsernameKey.objects.filter(user=instance.pk, key=key).exists():
        return
    try:
        with transaction.atomic():
            _keep(instance.pk, key)
    except IntegrityError:
        # Two users chose the same name at the same moment, and this one comes second.
        if created and not transaction.get_connection().in_atomic_block:
            get_user_model()._base_manager.filter(pk=instance.pk).delete()
        raise NameRefused(TAKEN, code="unique") from None


def _keep(user_id: Any, key: str) -> None:
    # Rows of deleted users hold no name.
    same = UsernameKey.objects.filter(key=key).exclude(user=user_id)
    same.exclude(Exists(get_user_model()._base_manager.filter(pk=OuterRef("user")))).delete()
    UsernameKey.objects.update_or_create(user_id=user_id, defaults={"key": key, "is_exempt": False})
