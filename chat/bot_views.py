"""The addresses of bots: posting and reading by a token, and hooks for senders that cannot set headers.

They use no cookies and no session, so they need no CSRF token. Every answer is JSON, and a refusal says what to do:
{"error": CODE, "detail": sentence}.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from chat import audit, bot_payloads, limits
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.protocol import MAX_ID
from chat.room_views import STATUS
from chat.store import bots
from chat.store.policies import BotKey

BOT_STATUS = {
    **STATUS,
    ErrorCode.USER_HAS_TO_LOGIN: 401,
    ErrorCode.ROOM_READ_ONLY: 409,
    ErrorCode.MESSAGE_TOO_LONG: 413,
}
MAX_DIGITS = 18


class Answer(msgspec.Struct, omit_defaults=True):
    """A page of events, each exactly as the socket sends it; `cursor` is the `after` of the next page."""

    room: str
    epoch: str
    floor: int
    head: int
    cursor: int
    events: list[msgspec.Raw]
    reset: bool = False


def _answers_json(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @csrf_exempt
    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except ClientError as refusal:
            response = _refusal(refusal)
        # Otherwise Django logs the address of each refused request, and a hook's is a secret.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    return answer


def _refusal(refusal: ClientError) -> HttpResponse:
    shown = {"error": refusal.code.value, "detail": refusal.detail}
    status = BOT_STATUS.get(refusal.code, 400)
    response = JsonResponse(shown, status=status)
    if (wait := refusal.context.get("retry_after")) is not None:
        response["Retry-After"] = str(int(wait + 0.999))
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


@require_http_methods(["GET", "POST"])
@_answers_json
def messages(request: HttpRequest, room_id: int) -> HttpResponse:
    """Post in the room of a token, or return events after `?after=`, at most `?limit=`."""
    if (key := bots.find_by_token(_token(request))) is None:
        _count_refusal(request)
        detail = _(
            "This token is not valid. Send the header “Authorization: Bearer TOKEN” with the bot's current token."
        )
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=detail)
    if request.method == "POST":
        return _post(request, key, room_id)
    limits.check_bot(limits.bot_reads, key.bot_id)
    after = _number(request, "after", 0)
    limit = max(1, min(_number(request, "limit", conf.HISTORY_PAGE_MAX), conf.CATCH_UP_PAGE))
    page = bots.read(key, room_id, after=after, epoch=request.GET.get("epoch", ""), limit=limit)
    start = page.room.floor_seq - 1 if page.is_reset else after
    answer = Answer(
        room=str(page.room.pk),
        epoch=page.room.epoch,
        floor=page.room.floor_seq,
        head=page.room.head_seq,
        cursor=page.events[-1].seq if page.events else start,
        events=[msgspec.Raw(event.frame.payload) for event in page.events],
        reset=page.is_reset,
    )
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json")


@require_POST
@_answers_json
def hook(request: HttpRequest, secret: str) -> HttpResponse:
    """Post in the room of a hook. If it has a signing secret, the request has to be signed."""
    if (found := bots.find_by_hook(secret)) is None:
        _count_refusal(request)
        detail = _("This hook does not exist. It may have been replaced. Ask for its new address.")
        raise ClientError(ErrorCode.ROOM_INVALID, detail=detail)
    key, room_id, signing_secret = found
    if signing_secret and not bots.is_signed(
        request.body, request.headers.get("X-Hub-Signature-256", ""), signing_secret
    ):
        _count_refusal(request)
        detail = _("The header X-Hub-Signature-256 is missing or wrong. Set the hook's signing secret at the sender.")
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=detail)
    return _post(request, key, room_id)


def _post(request: HttpRequest, key: BotKey, room_id: int) -> HttpResponse:
    event = request.headers.get("X-GitHub-Event")
    # What is made of it is stored once for all readers. Refusals are translated later, as the sender asks for it.
    with translation.override(settings.LANGUAGE_CODE):
        posts = bot_payloads.parse(
            request.body,
            content_type=request.content_type or "",
            query=request.GET.dict(),
            github=None if event is None else (event, request.headers.get("X-GitHub-Delivery", "")[:100]),
        )
    # The right first, so that a token learns nothing about another room.
    bots.check_room(key, room_id)
    limits.check_bot(limits.bot_posts, key.bot_id, count=max(1, len(posts)))
    seqs = bots.post(key, room_id, posts)
    answer: dict[str, Any] = {"room": str(room_id), "seq": seqs[-1] if seqs else None}
    return JsonResponse(answer | ({"seqs": seqs} if len(seqs) > 1 else {}))


def _token(request: HttpRequest) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _count_refusal(request: HttpRequest) -> None:
    """Count an invalid secret of an address. Raises ClientError: RATE_LIMITED."""
    address = request.META.get("REMOTE_ADDR", "")
    audit.write_noise("bot_refused", address=address)
    if wait := limits.bot_refusals.take(address):
        raise limits.too_fast(_("Too many requests with an invalid secret. Try again later."), wait)


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        sentence = _("?{name}= is not a number. Use a number from 0 to {most}.")
        detail = format_lazy(sentence, name=name, most=MAX_ID)
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
    return int(text)
