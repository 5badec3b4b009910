"""Who may see, join, write, edit, moderate; a reason for each no."""

from collections.abc import Collection, Hashable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session as WebSession
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from chat.exceptions import ClientError, ErrorCode
from chat.models import Room
from chat.store import web_sessions

User = get_user_model()
# For modules that handle rooms without knowing the models.
EnterableRoom: TypeAlias = Room
# Fewer than the 999 parameters that the smallest builds of SQLite take.
PIECE = 900


# In a web session whose key has changed: the new key (chat/accounts.py).
SUCCESSOR = "successor"


class Login(NamedTuple):
    """By what a socket acts for a user: their web session, and the password it was opened with (hashed)."""

    session_key: str
    user_id: int
    auth_hash: str


class Standing(NamedTuple):
    """A login that holds, with the user as the database knows them now."""

    login: Login
    user: Any
    expires_at: datetime


def load_users(user_ids: Iterable[int]) -> dict[int, Any]:
    """Return the users as the database knows them now, by id: their rights, not their session's."""
    users: dict[int, Any] = {}
    for some in _pieces(user_ids):
        found = User.objects.filter(pk__in=some)
        users |= {one.pk: one for one in found.only(User.USERNAME_FIELD, "password", "is_active", "is_staff")}
    return users


def load_logins(session_keys: Collection[str]) -> dict[str, Standing]:
    """Return by key what the web sessions stand for, those that hold: few queries for any number of them."""
    logins = {}
    for row in _alive(key for key in session_keys if web_sessions.is_key(key)):
        data = row.get_decoded()
        if data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS and SESSION_KEY in data:
            user_id = User._meta.pk.to_python(data[SESSION_KEY])
            logins[Login(row.session_key, user_id, data.get(HASH_SESSION_KEY, ""))] = row.expire_date
    return {standing.login.session_key: standing for standing in _standings(logins).values()}


def load_standings(logins: Collection[Login]) -> dict[Login, Standing]:
    """Return which logins still hold: signed out, expired, deactivated, deleted, or with a new password they do not."""
    expiry = {row.session_key: row.expire_date for row in _alive((login.session_key for login in logins), data=False)}
    standings = _standings({login: expiry[login.session_key] for login in logins if login.session_key in expiry})
    # Most logins hold: only of those that do not is it asked whether their session has another key now.
    moved = {login for login in logins if login not in standings and login.session_key in expiry}
    return standings | _succeed(moved) if moved else standings


def _succeed(logins: Collection[Login]) -> dict[Login, Standing]:
    """Return what became of logins whose session changed the password itself: it goes on under another key."""
    keys = {}
    for row in _alive(login.session_key for login in logins):
        if key := row.get_decoded().get(SUCCESSOR):
            keys[row.session_key] = key
    known = load_logins(keys.values()) if keys else {}
    found = {login: known.get(keys.get(login.session_key, "")) for login in logins}
    return {
        login: standing
        for login, standing in found.items()
        if standing is not None and standing.login.user_id == login.user_id
    }


def _alive(session_keys: Iterable[str], *, data: bool = True) -> Iterator[WebSession]:
    """Return the web sessions that have not ended, with what they hold if it is wanted."""
    for some in _pieces(session_keys):
        rows = WebSession.objects.filter(session_key__in=some, expire_date__gt=timezone.now())
        yield from rows if data else rows.defer("session_data")


def _pieces(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Split distinct values into lists that every database takes as the parameters of one query."""
    distinct = list(dict.fromkeys(values))
    for start in range(0, len(distinct), PIECE):
        yield distinct[start : start + PIECE]


def _standings(logins: dict[Login, datetime]) -> dict[Login, Standing]:
    users = load_users(login.user_id for login in logins)
    return {
        login: Standing(login, users[login.user_id], expires_at)
        for login, expires_at in logins.items()
        if login.user_id in users and _is_valid(login, users[login.user_id])
    }


def _is_valid(login: Login, user: Any) -> bool:
    # The same test as django.contrib.auth.get_user, which wants a request.
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user.is_active and any(constant_time_compare(login.auth_hash, known) for known in hashes)


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


def kind_of(user: Any) -> Hashable:
    """Return what decides which rooms a user may enter: it is the same ones for all users of one kind."""
    return user.is_active, user.is_staff


def check_writable(user: Any, room: Room | None, *, msg_type: int) -> Room:
    """Return the room if `user` may post a message of this type there now.

    Raises ClientError: as check_enterable, and MESSAGE_TYPE_DENIED when only staff may use the type.
    """
    room = check_enterable(user, room)
    if msg_type and not user.is_staff:
        raise ClientError(ErrorCode.MESSAGE_TYPE_DENIED, detail="Only staff may post warnings, alerts and muted lines.")
    return room


def load_enterable_rooms(asked: Collection[tuple[Login, int]]) -> dict[tuple[Login, int], Room | ClientError]:
    """Return each room as it is now if the login may enter it, else why not: three queries for any number."""
    standings = load_standings({login for login, _ in asked})
    rooms = Room.objects.in_bulk({room_id for _, room_id in asked})
    return {(login, room_id): _enter(standings.get(login), rooms.get(room_id)) for login, room_id in asked}


def load_rights(
    logins: Collection[Login], room_ids: Collection[int]
) -> tuple[dict[Login, Standing], dict[int, EnterableRoom]]:
    """Return the logins that still hold and the rooms that still exist, each as it is now."""
    return load_standings(logins), Room.objects.in_bulk(room_ids)


def list_rooms(user: Any) -> list[tuple[int, str, bool]]:
    """Return the rooms that a user may enter, ordered by title, as (id, title, staff_only)."""
    return list(Room.objects.enterable_by(user).values_list("pk", "title", "staff_only"))


def _enter(standing: Standing | None, room: Room | None) -> Room | ClientError:
    try:
        return check_enterable(standing and standing.user, room)
    except ClientError as refusal:
        return refusal


def load_enterable_room(login: Login, room_id: int) -> Room:
    """Return a room as it is now. Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED."""
    answer = load_enterable_rooms([(login, room_id)])[login, room_id]
    if isinstance(answer, ClientError):
        raise answer
    return answer


def can_edit(user: Any, *, author_id: int | None) -> bool:
    """Tell whether `user` may change the text of a message: its author may."""
    return author_id is not None and bool(user.pk == author_id)


def can_delete(user: Any, *, author_id: int | None) -> bool:
    """Tell whether `user` may delete a message: its author may, and staff."""
    return can_edit(user, author_id=author_id) or bool(user.is_staff)
