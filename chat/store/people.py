"""Finds users by their names, and deactivates them, for the page (chat/room_views.py)."""

from collections.abc import Collection

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from chat import audit
from chat.exceptions import ClientError, ErrorCode
from chat.names import name_key
from chat.store import display_names, names, policies
from chat.store.display_names import Shown

User = get_user_model()
# The most names in an answer.
MOST_NAMES = 20


def ids_of(usernames: Collection[str]) -> list[int]:
    """Return the ids of the users with these names, in their order. Raises ClientError: COMMAND_INVALID."""
    wanted = [name.strip() for name in usernames]
    if any("\x00" in name for name in wanted):
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=_("A name contains a NUL character."))
    users = User._default_manager.filter(**{f"{User.USERNAME_FIELD}__in": wanted})
    known: dict[str, int] = dict(users.values_list(User.USERNAME_FIELD, "pk"))
    if missing := [name for name in wanted if name not in known]:
        detail = format_lazy(_("There is no user called “{name}”."), name=missing[0])
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
    return [known[name] for name in wanted]


def named_like(prefix: str, *, but: int) -> list[Shown]:
    """Return some active users whose username or display name begins with `prefix`, without the user `but`."""
    if "\x00" in prefix:
        return []
    users = User._default_manager.filter(is_active=True).exclude(pk=but).order_by(User.USERNAME_FIELD)
    wanted = users
    if prefix.strip():
        wanted = users.filter(**{f"{User.USERNAME_FIELD}__istartswith": prefix.strip()})
    found = list(wanted[:MOST_NAMES])
    if name_key(prefix) and len(found) < MOST_NAMES:
        shown_so = names.starting_with(prefix, field="display_key").values_list("user_id", flat=True)[:MOST_NAMES]
        others = users.filter(pk__in=list(shown_so)).exclude(pk__in=[user.pk for user in found])
        found += others[: MOST_NAMES - len(found)]
    return display_names.show(found)


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
