"""Finds users by their names, for the page (chat/room_views.py)."""

from collections.abc import Collection

from django.contrib.auth import get_user_model

from chat.exceptions import ClientError, ErrorCode

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
