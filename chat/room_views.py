"""Rooms and their members over HTTP, for the page: JSON in, JSON out, for the user who is signed in.

Every change goes through `store/room_actions`, and open pages learn of it by their socket. A room that the user may not
see is answered like one that does not exist.
"""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chat import limits, protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Room, RoomMember
from chat.outgoing import MAX_URL
from chat.protocol import MAX_ID
from chat.store import around, confirmations, own_rooms, people, policies, room_actions
from chat.store import bots as bot_store
from chat.store import webhooks as webhook_store

T = TypeVar("T")
Name = Annotated[str, msgspec.Meta(max_length=150)]
Names = Annotated[list[Name], msgspec.Meta(max_length=room_actions.MAX_ADDED)]
Title = Annotated[str, msgspec.Meta(max_length=255)]
Topic = Annotated[str, msgspec.Meta(max_length=250)]

STATUS = {
    ErrorCode.USER_HAS_TO_LOGIN: 403,
    ErrorCode.ROOM_ACCESS_DENIED: 403,
    ErrorCode.ROOM_INVALID: 404,
    ErrorCode.ROOM_READ_ONLY: 403,
    ErrorCode.FILE_TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.SERVER_UNAVAILABLE: 503,
}


class NewRoom(msgspec.Struct, forbid_unknown_fields=True):
    title: Title
    topic: Topic = ""
    who: Literal["everybody", "staff", "members"] = "everybody"
    people: Names = []


class RoomChange(msgspec.Struct, forbid_unknown_fields=True):
    title: Title | None = None
    topic: Topic | None = None
    archived: bool | None = None


class MembersChange(msgspec.Struct, forbid_unknown_fields=True):
    add: Names = []
    remove: Name | None = None
    # The user who asks leaves. They are not named, because a page may not know yet that its user was renamed.
    leave: bool = False


class BotChange(msgspec.Struct, forbid_unknown_fields=True):
    add: Name | None = None
    rotate: int | None = None
    secret: Literal["token", "hook", "signature"] = "token"
    revoke: int | None = None


class WebhookChange(msgspec.Struct, forbid_unknown_fields=True):
    add: Annotated[str, msgspec.Meta(max_length=MAX_URL)] | None = None
    with_bots: bool = False
    rotate: int | None = None
    pause: int | None = None
    resume: int | None = None
    from_now: bool = False
    remove: int | None = None


class Deactivation(msgspec.Struct, forbid_unknown_fields=True):
    username: Name


class Direct(msgspec.Struct, forbid_unknown_fields=True):
    people: Names


def is_users_page(request: HttpRequest) -> bool:
    """Tell whether the user of the page is signed in. Another one may have signed in since it was loaded."""
    asked = request.headers.get("X-Multichat-User") or str(request.user.pk)
    return request.user.is_authenticated and asked == str(request.user.pk)


def answers_json(view: Callable[..., dict[str, Any]]) -> Callable[..., HttpResponse]:
    """Answer with what a view returns, and a refusal as `{"error": CODE, "detail": sentence}`."""

    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            if not is_users_page(request):
                raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=_("You are signed out. Sign in again."))
            if kwargs.get("room_id", 0) > MAX_ID:
                # More than the database can compare with.
                raise policies.no_room()
            return JsonResponse(view(request, *args, **kwargs))
        except ClientError as refusal:
            shown = {"error": refusal.code.value, "detail": refusal.detail}
            return JsonResponse(shown, status=STATUS.get(refusal.code, 400))

    return answer


@require_POST
@answers_json
def rooms(request: HttpRequest) -> dict[str, Any]:
    """Make a room, and return it as the list of rooms has it."""
    asked = read_body(request, NewRoom)
    limits.check_message(user_of(request))
    members = people.ids_of(asked.people) if asked.who == "members" else []
    room = room_actions.create_room(asked.title, topic=asked.topic, who=asked.who, members=members, by=user_of(request))
    return as_json(room, user_of(request))


@require_POST
@answers_json
def room(request: HttpRequest, room_id: int) -> dict[str, Any]:
    """Rename a room, set its topic, or archive it, and return it."""
    asked = read_body(request, RoomChange)
    limits.check_message(user_of(request))
    changed = room_actions.change_room(
        room_id, title=asked.title, topic=asked.topic, is_archived=asked.archived, by=user_of(request)
    )
    return as_json(changed, user_of(request))


@require_http_methods(["GET", "POST"])
@answers_json
def members(request: HttpRequest, room_id: int) -> dict[str, Any]:
    """Add or remove members of a room, and return its members and what the user may do there."""
    user = user_of(request)
    if request.method == "POST":
        asked = read_body(request, MembersChange)
        limits.check_message(user)
        if asked.add:
            room_actions.add_members(room_id, people.ids_of(asked.add), by=user)
        if asked.remove is not None:
            [removed] = people.ids_of([asked.remove])
            room_actions.remove_member(room_id, removed, by=user)
            if removed == user:
                return {"left": True}
        if asked.leave:
            room_actions.remove_member(room_id, user, by=user)
            return {"left": True}
    found, rows = room_actions.list_members(room_id, by=user)
    is_owner = any(row.is_owner and row.user_id == user for row in rows)
    return {
        "room": as_json(found, user),
        "members": [_as_member(row) for row in rows if row.user is not None],
        "manage": policies.can_manage(request.user, found, is_owner=is_owner),
        "archived": found.archived_at is not None,
    }


@require_http_methods(["GET", "POST"])
@answers_json
def bots(request: HttpRequest, room_id: int) -> dict[str, Any]:
    """Make a bot, replace one of its secrets, or revoke it; return the room's bots, and secrets that are new."""
    user = user_of(request)
    shown: dict[str, Any] = {}
    if request.method == "POST":
        asked = read_body(request, BotChange)
        limits.check_message(user)
        made = None
        if asked.add is not None:
            made = bot_store.create_bot(room_id, asked.add, by=user)
        elif asked.rotate is not None:
            made = bot_store.rotate(room_id, asked.rotate, asked.secret, by=user)
        elif asked.revoke is not None:
            bot_store.revoke(room_id, asked.revoke, by=user)
        if made is not None:
            shown = secrets_of(request, made)
    listed = bot_store.list_bots(room_id, by=user)
    rows = [{"id": bot.pk, "name": bot.user.get_username(), "signed": bot.signing_secret != ""} for bot in listed]
    return {"bots": rows, "made": shown or None}


def secrets_of(request: HttpRequest, made: bot_store.Made) -> dict[str, Any]:
    """Return a bot's new secrets with the addresses to use them at, to be shown once."""
    shown: dict[str, Any] = {"name": made.bot.user.get_username()}
    if made.token:
        shown["token"] = made.token
        shown["address"] = request.build_absolute_uri(reverse("bot_messages", args=[made.bot.room_id]))
    if made.hook:
        shown["hook"] = request.build_absolute_uri(reverse("hook", args=[made.hook]))
    if made.signature:
        shown["signature"] = made.signature
    return shown


@require_http_methods(["GET", "POST"])
@answers_json
def webhooks(request: HttpRequest, room_id: int) -> dict[str, Any]:
    """Change a webhook of a room; return all of them, and a signing secret that is new."""
    user = user_of(request)
    made = None
    if request.method == "POST":
        asked = read_body(request, WebhookChange)
        limits.check_message(user)
        if asked.add is not None:
            made = webhook_store.create(room_id, asked.add, with_bots=asked.with_bots, by=user)
        elif asked.rotate is not None:
            made = webhook_store.rotate(room_id, asked.rotate, by=user)
        elif asked.pause is not None:
            webhook_store.pause(room_id, asked.pause, by=user)
        elif asked.resume is not None:
            webhook_store.resume(room_id, asked.resume, from_now=asked.from_now, by=user)
        elif asked.remove is not None:
            webhook_store.remove(room_id, asked.remove, by=user)
    listed = webhook_store.list_webhooks(room_id, by=user)
    return {
        "webhooks": [
            {
                "id": webhook.pk,
                "host": webhook.host,
                "with_bots": webhook.with_bots,
                "paused": webhook.paused_at is not None,
                "state": webhook_store.state_of(webhook),
            }
            for webhook in listed
        ],
        "made": None if made is None else {"host": made.webhook.host, "secret": made.secret},
    }


@require_POST
@answers_json
def direct(request: HttpRequest) -> dict[str, Any]:
    """Return the direct room of the user and these people; it is made if there is none."""
    asked = read_body(request, Direct)
    limits.check_message(user_of(request))
    return as_json(room_actions.open_direct(people.ids_of(asked.people), by=user_of(request)), user_of(request))


@require_GET
@answers_json
def names(request: HttpRequest) -> dict[str, Any]:
    """Return some usernames whose users' names begin with `?q=`, without the user's own, and their display names."""
    found = people.named_like(request.GET.get("q", "")[:150], but=user_of(request))
    names_of = {user.username: user.name for user in found if user.name}
    return {"people": [user.username for user in found]} | ({"shown": names_of} if names_of else {})


@require_POST
@answers_json
def deactivate(request: HttpRequest) -> dict[str, Any]:
    """Let staff take a user's account out of use."""
    asked = read_body(request, Deactivation)
    limits.check_message(user_of(request))
    people.deactivate(asked.username, by=user_of(request), address=request.META.get("REMOTE_ADDR"))
    return {"deactivated": asked.username}


@require_GET
@answers_json
def people_around(request: HttpRequest) -> dict[str, Any]:
    """Return the people in the user's rooms, without the user, and in which of these rooms they are."""
    if not conf.SHOW_WHO_IS_AROUND:
        raise ClientError(ErrorCode.ROOM_INVALID, detail=_("This site does not show who is around."))
    limits.check_message(user_of(request))
    found, is_more = around.list_people(request.user)
    people_found = [
        {
            "username": person.user.username,
            "name": person.user.name,
            "since": protocol.timestamp(person.since),
            "rooms": [str(room) for room in person.rooms],
        }
        for person in found
    ]
    return {"people": people_found, "more": is_more}


@require_GET
@answers_json
def unconfirmed(request: HttpRequest, room_id: int, seq: int) -> dict[str, Any]:
    """Return who has not confirmed an alert, for staff."""
    limits.check_message(user_of(request))
    found, is_more = confirmations.list_unconfirmed(request.user, room_id, min(seq, MAX_ID))
    return {"people": [{"username": user.username, "name": user.name} for user in found], "more": is_more}


def as_json(room: Room, reader: int) -> dict[str, Any]:
    """Return a room as the list of rooms on the wire has it (chat.protocol.RoomTitle)."""
    shown: dict[str, Any] = {"id": str(room.pk), "title": room.title, "staff_only": room.staff_only}
    if room.kind:
        shown["kind"] = room.kind
    if room.direct_key is not None:
        people_here = room.people or own_rooms.names_of_people([room])[room.pk]
        shown["people"] = own_rooms.others(people_here, reader)
        shown["title"] = own_rooms.title_for(shown["people"])
    if room.topic:
        shown["topic"] = room.topic
    return shown


def _as_member(row: RoomMember) -> dict[str, Any]:
    return {"username": row.user.get_username(), "owner": row.is_owner}


def user_of(request: HttpRequest) -> int:
    """Return the id of the user who is signed in."""
    return request.user.pk or 0


def read_body(request: HttpRequest, kind: type[T]) -> T:
    """Return what a request asks for. Raises ClientError: COMMAND_INVALID."""
    try:
        return msgspec.json.decode(request.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        detail = format_lazy(_("The request is invalid: {error}."), error=str(error))
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail) from None
