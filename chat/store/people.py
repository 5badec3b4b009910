"""Finds users by their names, and deactivates them, for the page (chat/room_views.py)."""

from collections.abc import Collection

from django.contrib.auth import get_user_model
from django.db import transaction

from chat import audit
from chat.exceptions import ClientError, ErrorCode
from chat.store import policies

User = get_user_model()
# The most names in an answer.
MOST_NAMES = 20


def ids_of(names: Collection[str]) -> list[int]:
    """Return the ids of the users with these names, in their order. Raises ClientError: COMMAND_INVALID."""
    wanted = [name.strip() for name in names]
    if any("\x00" in name for name in wanted):
        raise ClientError(ErrorCode.COMMAND_INVALID, detail="A name contains a NUL character.")
    users = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": wanted})
    known: dict[str, int] = dict(users.values_list(User.USERNAME_FIELD, "pk"))
    if missing := [name for name in wanted if name not in known]:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=f"There is no user called “{missing[0]}”.")
    return [known[name] for name in wanted]


def names_like(prefix: str, *, but: int) -> list[str]:
    """Return the names of some active users that begin with `prefix`, by name, without the user `but`."""
    if "\x00" in prefix:
        return []
    users = User._default_manager.filter(is_active=True).exclude(pk=but)
    if prefix.strip():
        users = users.filter(**{f"{User.USERNAME_FIELD}__istartswith": prefix.strip()})
    return list(users.order_by(User.USERNAME_FIELD).values_list(User.USERNAME_FIELD, flat=True)[:MOST_NAMES])


def deactivate(username: str, *, by: int, address: str | None = None) -> None:
    """Take a user's account out of use: their sessions end within a second, and their messages stay.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_ACCESS_DENIED, COMMAND_INVALID when there is no active user of the name.
    """
    [user_id] = ids_of([username])
    with transaction.atomic():
        # Locked, so that flags that change meanwhile count. In the order of their ids, so that two users who
        # deactivate each other do not wait for each other.
        rows = User._default_manager.select_for_update(no_key=True).filter(pk__in=[user_id, by]).order_by("pk")
        users = {user.pk: user for user in rows}
        policies.check_can_deactivate(users.get(by), users.get(user_id))
        user = users[user_id]
        user.is_active = False
        user.save(update_fields=["is_active"])
    audit.write("deactivated", user=user_id, username=username, by=by, address=address)
