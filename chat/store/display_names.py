"""Display names: users are shown by their first and last name, unless others would take it for another user's.

A display name is no user's identity, so saving a user never fails because of it: one that others could take for another
user's is not shown, and the username stands in its place. Forms refuse it with a sentence.
"""

import unicodedata
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.utils.translation import gettext_lazy as _

from chat.models import UsernameKey
from chat.names import SYSTEM_KEY, name_key
from chat.store import user_pictures
from chat.store.names import EMPTY, RESERVED, TAKEN, NameRefused, of_users

User = get_user_model()
# A site's own user model may not have these fields.
FIELDS = [name for name in ("first_name", "last_name") if name in {field.name for field in User._meta.get_fields()}]
# Values in one query: fewer than the 999 parameters that some builds of SQLite take.
PIECE = 450
INVISIBLE = _("A name can't contain invisible characters.")


class Shown(NamedTuple):
    """A user as others see them; `name` is empty while they are shown by their username.

    `picture` is the key of their picture, empty without one.
    """

    user: int
    username: str
    name: str
    picture: str = ""


def full_name(user: Any) -> str:
    """Return the name that the user wants to be shown by, or an empty text."""
    return " ".join(filter(None, (str(getattr(user, name, "") or "").strip() for name in FIELDS)))


def check_display_name(name: str, user_id: int | None) -> None:
    """Raise NameRefused unless this user may be shown by this name. Any user may have none."""
    if not name:
        return
    if has_invisible(name):
        raise NameRefused(INVISIBLE, code="invalid")
    key = name_key(name)
    if not key:
        raise NameRefused(EMPTY, code="invalid")
    if key == SYSTEM_KEY:
        raise NameRefused(RESERVED, code="invalid")
    same = UsernameKey.objects.filter(Q(key=key) | Q(display_key=key)).exclude(user=user_id)
    if of_users(same).exists():
        raise NameRefused(TAKEN, code="unique")


def has_invisible(name: str) -> bool:
    """Return whether a name has controls or invisible format characters, which could turn the text around it."""
    return any(unicodedata.category(character).startswith("C") for character in name)


def load_users_named(usernames: Iterable[str]) -> list[Shown]:
    """Return the users with these usernames, in four queries for some hundred."""
    return _load(User.USERNAME_FIELD, [name for name in usernames if "\x00" not in name])


def load_users(ids: Iterable[int]) -> list[Shown]:
    """Return the users with these ids who exist."""
    return _load("pk", list(ids))


def _load(field: str, values: list[Any]) -> list[Shown]:
    shown: list[Shown] = []
    for start in range(0, len(values), PIECE):
        users = User._default_manager.filter(**{f"{field}__in": values[start : start + PIECE]})
        shown += show(list(users.only(User.USERNAME_FIELD, *FIELDS)))
    return shown


def show(users: list[Any]) -> list[Shown]:
    """Return users as others see them."""
    names = {user.pk: full_name(user) for user in users}
    named = [pk for pk, name in names.items() if name]
    keys: dict[int, str | None] = {}
    if named:
        rows = UsernameKey.objects.filter(user__in=named, display_key__isnull=False)
        keys = dict(rows.values_list("user_id", "display_key"))
        # No constraint holds both kinds of names together, so two users may have taken the same one at once. The
        # username counts then.
        taken = UsernameKey.objects.filter(key__in=set(keys.values()))
        owners = {(key, owner) for key, owner in taken.values_list("key", "user_id")}
        others = {key for key, _ in owners}
        keys = {pk: key for pk, key in keys.items() if key not in others or (key, pk) in owners}
    pictures = user_pictures.keys_of(names)
    return [
        Shown(
            user.pk,
            user.get_username(),
            # A name that was changed behind Django's back has no key.
            names[user.pk] if keys.get(user.pk) == name_key(names[user.pk]) else "",
            pictures.get(user.pk, ""),
        )
        for user in users
    ]


def keep_imported_names() -> None:
    """Let users who were stored without signals be shown by their first and last name.

    Of users with the same name, only the oldest is shown by it.
    """
    if not FIELDS:
        return
    # The last one of a key counts: the only one that is not exempt, or the oldest.
    owners = dict(UsernameKey.objects.order_by("-is_exempt", "-user_id").values_list("key", "user_id"))
    seen = {"", SYSTEM_KEY, *UsernameKey.objects.exclude(display_key=None).values_list("display_key", flat=True)}
    users = User._default_manager.order_by("pk").only(*FIELDS).iterator(PIECE)
    while piece := list(islice(users, PIECE)):
        rows = {row.user_id: row for row in UsernameKey.objects.filter(user__in=[user.pk for user in piece])}
        named = []
        for user in piece:
            name, row = full_name(user), rows.get(user.pk)
            key = name_key(name)
            is_free = key not in seen and owners.get(key, user.pk) == user.pk and not has_invisible(name)
            if row is not None and row.display_key is None and is_free:
                seen.add(key)
                row.display_key = key
                named.append(row)
        UsernameKey.objects.bulk_update(named, ["display_key"])


def connect() -> None:
    """Connect the signal handler for users. Called once, when the app is ready."""
    post_save.connect(_on_user_save, sender=User, dispatch_uid="display-names-user-save")


def _on_user_save(instance: Any, raw: bool, using: str, update_fields: Any, **kwargs: Any) -> None:
    if raw or using != DEFAULT_DB_ALIAS or not (update_fields is None or {*FIELDS} & {*update_fields}):
        return
    name = full_name(instance)
    rows = UsernameKey.objects.filter(user=instance.pk)
    # Most saves change no name.
    if rows.filter(display_key=name_key(name) if name else None).exists():
        return
    try:
        check_display_name(name, instance.pk)
        key = name_key(name) or None
        with transaction.atomic():
            if key is not None:
                # Rows of deleted users hold no name.
                UsernameKey.objects.filter(display_key=key).exclude(user=instance.pk).update(display_key=None)
            rows.update(display_key=key)
    except (NameRefused, IntegrityError):
        rows.update(display_key=None)
