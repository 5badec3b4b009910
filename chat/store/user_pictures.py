"""The pictures by which users are shown: one small square for each, and the key of its address."""

import uuid
from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.db import transaction

from chat.models import UserPicture
from chat.store import access


def keys_of(users: Iterable[int]) -> dict[int, str]:
    """Return the keys of the pictures of those of these users who have one."""
    rows = UserPicture.objects.filter(user__in=list(users)).values_list("user_id", "key")
    return {user: str(key) for user, key in rows}


def content_of(key: uuid.UUID) -> bytes | None:
    """Return a picture (WebP)."""
    content = UserPicture.objects.filter(key=key).values_list("content", flat=True).first()
    return bytes(content) if content is not None else None


def save(user: int, content: bytes) -> str:
    """Store the user's picture in place of an earlier one, and return its key; open pages follow within a second."""
    key = uuid.uuid4()
    with transaction.atomic():
        # A user who is being deleted meanwhile gets none.
        get_user_model()._base_manager.select_for_update(no_key=True).get(pk=user)
        UserPicture.objects.update_or_create(user_id=user, defaults={"key": key, "content": content})
        access.record_change(users=[user])
    return str(key)


def remove(user: int) -> None:
    """Remove the user's picture; open pages follow within a second."""
    with transaction.atomic():
        if UserPicture.objects.filter(user=user).delete()[0]:
            access.record_change(users=[user])
