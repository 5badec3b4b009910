"""Who may see, join, write, edit, moderate; a reason for each no."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

from chat.exceptions import ClientError, ErrorCode
from chat.models import Room

User = get_user_model()


def load_users(user_ids: Iterable[int]) -> dict[int, Any]:
    """Return the users as the database knows them now, by id: their rights, not their session's."""
    return {
        user.pk: user for user in User.objects.filter(pk__in=set(user_ids)).only("username", "is_active", "is_staff")
    }


def check_enterable(user: Any, room: Room | None) -> Room:
    """Return the room if `user` may see, join and read it now.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID when there is none, ROOM_ACCESS_DENIED when it is for staff.
    """
    if user is None or not user.is_active:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail="Sign in again.")
    if room is None:
        raise ClientError(ErrorCode.ROOM_INVALID, detail="There is no such room.")
    if room.staff_only and not user.is_staff:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail="You may not enter this room.")
    return room


def check_writable(user: Any, room: Room | None, *, msg_type: int) -> Room:
    """Return the room if `user` may post a message of this type there now.

    Raises ClientError: as check_enterable, and MESSAGE_TYPE_DENIED when only staff may use the type.
    """
    room = check_enterable(user, room)
    if msg_type and not user.is_staff:
        raise ClientError(ErrorCode.MESSAGE_TYPE_DENIED, detail="Only staff may post warnings, alerts and muted lines.")
    return room


def can_edit(user: Any, *, author_id: int | None) -> bool:
    """Tell whether `user` may change the text of a message: its author may."""
    return author_id is not None and bool(user.pk == author_id)


def can_delete(user: Any, *, author_id: int | None) -> bool:
    """Tell whether `user` may delete a message: its author may, and staff."""
    return can_edit(user, author_id=author_id) or bool(user.is_staff)
