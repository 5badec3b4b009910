"""Decides which users may see, join, write, edit and moderate, with a reason for each refusal."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.models import Session as WebSession
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Bot, Room, RoomMember
from chat.store import own_rooms, prepared, values, web_sessions
from chat.store.room_user import RoomUser
from chat.store.round_trip import RoundTrip, ask_alone

User = get_user_model()
# For modules that handle rooms without knowing the models.
EnterableRoom: TypeAlias = Room
# Values in one query: fewer than the 999 parameters that some builds of SQLite take.
PIECE = prepared.MOST

# As in chat.store.unread: the given rows come first, so that each is one look-up by index.
_MEMBERS = """
WITH asked(room_id, user_id) AS ({rows})
SELECT asked.room_id, asked.user_id FROM asked CROSS JOIN chat_roommember member
WHERE member.room_id = asked.room_id AND member.user_id = asked.user_id
"""

# The field of a web session that holds its new key, after the key was changed (chat/accounts.py).
SUCCESSOR = "successor"


class Login(NamedTuple):
    """The identity of a socket: the user, their web session, and the password hash with which they signed in."""

    session_key: str
    user_id: int
    auth_hash: str


class BotKey(NamedTuple):
    """The identity of a bot: its row, and the hash of the secret by which it acts."""

    bot_id: int
    secret_hash: str


class Standing(NamedTuple):
    """A valid login, with the user as the database has them now."""

    login: Login
    user: Any
    expires_at: datetime


def load_users(user_ids: Iterable[int]) -> dict[int, Any]:
    """Return the users by id, with their rights as the database has them now."""
    return ask_alone(ask_users, user_ids)


def ask_users(trip: RoundTrip, user_ids: Iterable[int]) -> Callable[[], dict[int, Any]]:
    """Add the same question to a round trip. The returned function returns the answer after it."""
    answers = [prepared.ask(trip, _users, piece) for piece in _pieces(user_ids)]
    return lambda: {user.pk: user for answer in answers for user in answer()}


def _users(user_ids: Sequence[int]) -> QuerySet[Any]:
    found = User.objects.filter(pk__in=user_ids)
    return found.only(User.USERNAME_FIELD, "password", "is_active", "is_staff")


def load_rooms(room_ids: Iterable[int]) -> dict[int, Room]:
    """Return the rooms by id, as the database has them now; nothing for those that do not exist."""
    return ask_alone(ask_rooms, room_ids)


def ask_rooms(trip: RoundTrip, room_ids: Iterable[int]) -> Callable[[], dict[int, Room]]:
    """Add the same question to a round trip. The returned function returns the answer after it."""
    answers = [prepared.ask(trip, _rooms, piece) for piece in _pieces(room_ids)]
    return lambda: {room.pk: room for answer in answers for room in answer()}


def _rooms(room_ids: Sequence[int]) -> QuerySet[Room]:
    # The model's default order would sort the titles.
    return Room.objects.order_by().filter(pk__in=room_ids)


def load_logins(session_keys: Collection[str]) -> dict[str, Standing]:
    """Return the valid logins of web sessions, by session key, in a few queries for any number of sessions."""
    logins = {}
    for row in _alive(key for key in session_keys if web_sessions.is_key(key)):
        data = row.get_decoded()
        if data.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS and SESSION_KEY in data:
            user_id = User._meta.pk.to_python(data[SESSION_KEY])
            logins[Login(row.session_key, user_id, data.get(HASH_SESSION_KEY, ""))] = row.expire_date
    standings = _standings(logins, load_users(login.user_id for login in logins))
    return {standing.login.session_key: standing for standing in standings.values()}


def load_standings(logins: Collection[Login]) -> dict[Login, Standing]:
    """Return the logins that are still valid.

    A login ends when the user signs out, is deactivated or deleted, changes the password, or the session expires.
    """
    return ask_alone(ask_standings, logins)


def ask_standings(trip: RoundTrip, logins: Collection[Login]) -> Callable[[], dict[Login, Standing]]:
    """Add the same question to a round trip. The returned function returns the answer after it."""
    ask_for_expiries = _ask_expiries(trip, (login.session_key for login in logins))
    ask_for_users = ask_users(trip, (login.user_id for login in logins))

    def answer() -> dict[Login, Standing]:
        expiry = ask_for_expiries()
        alive = {login: expiry[login.session_key] for login in logins if login.session_key in expiry}
        standings = _standings(alive, ask_for_users())
        # Most logins are valid. Only for the others, look up whether their session has another key now.
        moved = alive.keys() - standings.keys()
        return standings | _succeed(moved) if moved else standings

    return answer


def load_bots(keys: Collection[BotKey]) -> dict[BotKey, Bot]:
    """Return the bots whose secret is still valid, with their users as the database has them now."""
    rows = Bot.objects.filter(pk__in={key.bot_id for key in keys}, revoked_at=None).select_related("user")
    bots = {bot.pk: bot for bot in rows if bot.user is not None and not bot.user.is_active}
    return {
        key: bots[key.bot_id]
        for key in keys
        if key.bot_id in bots and key.secret_hash in (bots[key.bot_id].token_hash, bots[key.bot_id].hook_hash)
    }


def _succeed(logins: Set[Login]) -> dict[Login, Standing]:
    """Return the standings of logins whose session changed the password itself, and so continues under another key."""
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


def _alive(session_keys: Iterable[str]) -> Iterator[WebSession]:
    """Return the web sessions that have not expired."""
    for piece in _pieces(session_keys):
        yield from WebSession.objects.filter(session_key__in=piece, expire_date__gt=timezone.now())


def _ask_expiries(trip: RoundTrip, session_keys: Iterable[str]) -> Callable[[], dict[str, datetime]]:
    """Ask when the web sessions that have not expired will do so, by key."""
    answers = [prepared.ask_values(trip, _sessions, piece) for piece in _pieces(session_keys)]

    def answer() -> dict[str, datetime]:
        now = timezone.now()
        return {key: expire_date for rows in answers for key, expire_date in rows() if expire_date > now}

    return answer


def _sessions(session_keys: Sequence[str]) -> QuerySet[WebSession]:
    return WebSession.objects.filter(session_key__in=session_keys).only("expire_date")


def _pieces(rows: Iterable[Any], *, size: int = PIECE) -> Iterator[list[Any]]:
    """Split distinct values into lists that are short enough for the parameters of one query."""
    distinct = list(dict.fromkeys(rows))
    for start in range(0, len(distinct), size):
        yield distinct[start : start + size]


def _standings(logins: dict[Login, datetime], users: dict[int, Any]) -> dict[Login, Standing]:
    return {
        login: Standing(login, users[login.user_id], expires_at)
        for login, expires_at in logins.items()
        if login.user_id in users and _is_valid(login, users[login.user_id])
    }


def _is_valid(login: Login, user: Any) -> bool:
    # The same test as in django.contrib.auth.get_user, which needs a request.
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user.is_active and any(constant_time_compare(login.auth_hash, known) for known in hashes)


def check_enterable(user: Any, room: Room | None, *, is_member: bool = False) -> Room:
    """Return the room if `user` may see, join and read it now. `is_member` says whether it has them as a member.

    A room of members is answered like a room that does not exist, to staff and superusers too.
    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID when there is no room, ROOM_ACCESS_DENIED when it is for staff.
    """
    if user is None or not user.is_active:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=_("You are signed out. Sign in again."))
    if room is None or (room.members_only and not is_member):
        raise no_room()
    if room.staff_only and not user.is_staff:
        detail = _("This room is for staff only. Ask an administrator for access.")
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=detail)
    return room


def no_room() -> ClientError:
    """Return the refusal for a room that does not exist, or of which the user must not know that it exists."""
    return ClientError(ErrorCode.ROOM_INVALID, detail=_("This room does not exist. It may have been deleted."))


def load_users_who_may_enter(room: Room, user_ids: Collection[int]) -> list[Any]:
    """Return those of these users who may enter the room now."""
    users = User._default_manager.filter(pk__in=user_ids, is_active=True)
    if room.staff_only:
        users = users.filter(is_staff=True)  # so that fewer rows are read; the policy itself decides below
    found = list(users.only(User.USERNAME_FIELD, "is_active", "is_staff"))
    members = load_members([RoomUser(room.pk, user.pk) for user in found], {room.pk: room})
    return [user for user in found if _may_enter(user, room, is_member=RoomUser(room.pk, user.pk) in members)]


def users_who_may_enter(room: Room) -> QuerySet[Any]:
    """Return the users who may enter the room, as a query in no order."""
    users = User._default_manager.filter(is_active=True, **({"is_staff": True} if room.staff_only else {}))
    if room.members_only:
        users = users.filter(pk__in=RoomMember.objects.filter(room=room).values("user"))
    return users.order_by()


def count_users_who_may_enter(room: Room, *, most: int) -> int:
    """Return how many users may enter the room, or `most` if there are more."""
    return len(users_who_may_enter(room).order_by("pk").values_list("pk", flat=True)[:most])


def _may_enter(user: Any, room: Room, *, is_member: bool) -> bool:
    try:
        check_enterable(user, room, is_member=is_member)
    except ClientError:
        return False
    return True


def kind_of(user: Any) -> Hashable:
    """Return the attributes that decide which shared rooms a user may enter: the same for all users of a kind."""
    return user.is_active, user.is_staff


def check_writable(user: Any, room: Room | None, *, msg_type: int, is_member: bool = False) -> Room:
    """Return the room if `user` may post a message of this type there now.

    Raises ClientError: as check_enterable, ROOM_READ_ONLY when the room is archived, and MESSAGE_TYPE_DENIED when only
    staff may use the type.
    """
    room = check_enterable(user, room, is_member=is_member)
    if room.archived_at is not None:
        raise ClientError(ErrorCode.ROOM_READ_ONLY, detail=_("This room is archived. You can read it, but not write."))
    if msg_type and not user.is_staff:
        detail = _("Only staff can use this message type. Send it as an ordinary message.")
        raise ClientError(ErrorCode.MESSAGE_TYPE_DENIED, detail=detail)
    return room


def check_bot_enterable(bot: Bot | None, room: Room | None) -> Room:
    """Return the room if it is the one that the bot is for. Another room is answered like one that does not exist.

    Raises ClientError: USER_HAS_TO_LOGIN when the secret is not valid any more, ROOM_INVALID.
    """
    if bot is None:
        detail = _("This token is not valid. It may have been replaced. Ask for a new one.")
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=detail)
    if room is None or room.pk != bot.room_id:
        raise ClientError(ErrorCode.ROOM_INVALID, detail=_("There is no such room for this token. Check the address."))
    return room


def check_bot_writable(bot: Bot | None, room: Room | None) -> Room:
    """Return the room if the bot may post there, in every type. Raises ClientError: ROOM_READ_ONLY, as above."""
    room = check_bot_enterable(bot, room)
    if room.archived_at is not None:
        raise ClientError(ErrorCode.ROOM_READ_ONLY, detail=_("This room is archived, so nothing can be posted there."))
    return room


def load_enterable_rooms(asked: Collection[tuple[Login, int]]) -> dict[tuple[Login, int], Room | ClientError]:
    """Return for each pair the room, or the refusal if the login may not enter it; four queries for any number."""
    standings, rooms = load_rights({login for login, _ in asked}, {room_id for _, room_id in asked})
    members = load_members({RoomUser(room_id, login.user_id) for login, room_id in asked}, rooms)
    # Only for rooms that are shown to one of their people: the query takes time, which others must not notice.
    shown = [room for pk, room in rooms.items() if room.direct_key and any(pair.room == pk for pair in members)]
    for pk, people in own_rooms.names_of_people(shown).items():
        rooms[pk].people = people
    return {
        (login, room_id): _check_enterable(
            standings.get(login), rooms.get(room_id), is_member=RoomUser(room_id, login.user_id) in members
        )
        for login, room_id in asked
    }


def load_members(asked: Iterable[RoomUser], rooms: Mapping[int, Room]) -> set[RoomUser]:
    """Return the pairs whose user is a member of the room. `rooms` has the rooms as they are now.

    Pairs in shared rooms are left out, because they need no query. Pairs in rooms that do not exist are asked for:
    otherwise the time of the answer would tell a missing room from one that the user may not see.
    """
    found: set[RoomUser] = set()
    pairs = [pair for pair in asked if (room := rooms.get(pair.room)) is None or room.members_only]
    for piece in _pieces(pairs, size=PIECE // 2):
        found |= {RoomUser(room, user) for room, user in values.select(_MEMBERS, piece)}
    return found


def load_rights(
    logins: Collection[Login], room_ids: Collection[int]
) -> tuple[dict[Login, Standing], dict[int, EnterableRoom]]:
    """Return the logins that are still valid and the rooms that still exist, as they are now."""
    trip = RoundTrip()
    ask_for_standings, ask_for_rooms = ask_standings(trip, logins), ask_rooms(trip, room_ids)
    trip.run()
    return ask_for_standings(), ask_for_rooms()


def list_shared_rooms(user: Any) -> list[tuple[int, str, bool, str]]:
    """Return the rooms that all users of a kind may enter, by title, as (id, title, staff_only, topic)."""
    rooms = Room.objects.shared_by(user).filter(archived_at=None)
    return list(rooms.values_list("pk", "title", "staff_only", "topic"))


def _check_enterable(standing: Standing | None, room: Room | None, *, is_member: bool) -> Room | ClientError:
    try:
        return check_enterable(standing and standing.user, room, is_member=is_member)
    except ClientError as refusal:
        return refusal


def load_user(login: Login) -> Any:
    """Return a login's user as the database has them now. Raises ClientError: USER_HAS_TO_LOGIN."""
    standing = load_standings([login]).get(login)
    if standing is None:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=_("You are signed out. Sign in again."))
    return standing.user


def load_room_for(user: Any, room_id: int) -> Room:
    """Return a room as it is now, if `user` may enter it: by its key alone, however many rooms there are.

    Raises ClientError: as check_enterable.
    """
    rooms = load_rooms([room_id])
    pair = RoomUser(room_id, user.pk if user is not None else 0)
    return check_enterable(user, rooms.get(room_id), is_member=pair in load_members([pair], rooms))


def load_enterable_room(login: Login, room_id: int) -> Room:
    """Return a room as it is now. Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED."""
    answer = load_enterable_rooms([(login, room_id)])[login, room_id]
    if isinstance(answer, ClientError):
        raise answer
    return answer


def can_edit(user: Any, *, author_id: int | None) -> bool:
    """Return whether `user` may edit a message: only its author may."""
    return author_id is not None and bool(user.pk == author_id)


def can_resolve(user: Any, *, author_id: int | None) -> bool:
    """Return whether `user` may say that an alert is over: its author and staff may."""
    return can_delete(user, author_id=author_id)


def check_can_see_unconfirmed(user: Any) -> None:
    """Check that `user`, who may enter an alert's room, may see who has not confirmed it: staff may.

    Raises ClientError: ROOM_ACCESS_DENIED.
    """
    if not user.is_staff:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("Only staff can see who has not confirmed an alert."))


def can_delete(user: Any, *, author_id: int | None) -> bool:
    """Return whether `user` may delete a message: its author and staff may."""
    return can_edit(user, author_id=author_id) or bool(user.is_staff)


def can_create(user: Any, who: str) -> bool:
    """Return whether `user` may make a room for everybody, for staff, or for members (`who`)."""
    return bool(user.is_staff) or (who != "staff" and conf.ROOMS_BY_EVERYBODY)


def check_can_create(user: Any, who: str) -> None:
    """Raises ClientError: USER_HAS_TO_LOGIN, ROOM_ACCESS_DENIED when `user` may not make such a room."""
    if user is None or not user.is_active:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=_("You are signed out. Sign in again."))
    if not can_create(user, who):
        raise ClientError(
            ErrorCode.ROOM_ACCESS_DENIED, detail=_("Only staff can make this room. Ask an administrator.")
        )


def can_manage(user: Any, room: Room, *, is_owner: bool) -> bool:
    """Return whether `user`, who may enter the room, may rename and archive it: staff, or a room's own owner."""
    if room.direct_key is not None:
        return False
    return is_owner if room.members_only else bool(user.is_staff)


def check_can_manage(user: Any, room: Room, *, is_owner: bool) -> None:
    """Raises ClientError: ROOM_ACCESS_DENIED when `user` may not rename and archive the room."""
    if not can_manage(user, room, is_owner=is_owner):
        if room.direct_key is not None:
            detail = _("A direct room can't be changed.")
        elif room.members_only:
            detail = _("Only its owner can change this room.")
        else:
            detail = _("Only staff can change this room.")
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=detail)


def may_still_manage(user_id: int, room: Room) -> bool:
    """Return whether a user may manage the room by their rights as the database has them now."""
    member = RoomMember.objects.filter(room=room, user=user_id).first()
    user = load_users([user_id]).get(user_id)
    try:
        check_enterable(user, room, is_member=member is not None)
    except ClientError:
        return False
    return can_manage(user, room, is_owner=member is not None and member.is_owner)


def check_can_remove(*, is_owner: bool) -> None:
    """Raises ClientError: ROOM_ACCESS_DENIED when a member who is not an owner wants to remove another member."""
    if not is_owner:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("Only the room's owner can remove other members."))


def can_invite(user: Any) -> bool:
    """Return whether `user` may make and revoke invitations: staff may."""
    return user is not None and bool(user.is_active and user.is_staff)


def check_can_deactivate(user: Any, other: Any) -> None:
    """Let staff deactivate other users, and only admins an admin.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_ACCESS_DENIED, COMMAND_INVALID when the other is deactivated already.
    """
    if user is None or not user.is_active:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=_("You are signed out. Sign in again."))
    if not user.is_staff:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("Only staff can deactivate users."))
    if other is None or not other.is_active:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=_("This user is deactivated already."))
    if other.pk == user.pk:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("You can't deactivate yourself."))
    if other.is_superuser and not user.is_superuser:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("Only an admin can deactivate an admin."))
