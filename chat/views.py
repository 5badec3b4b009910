"""Pages: the one page, a room by its address, and the health check."""

import logging
from itertools import islice
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import protocol
from chat.conf import conf
from chat.live import positions
from chat.models import Room, title_key

logger = logging.getLogger(__name__)

STREAM_PATH = "/chat/stream/"
# So many closed rooms have their button in the HTML. The page makes the others when the socket names them: with
# thousands of rooms most of an answer's time and bytes were buttons that nobody scrolls to.
LISTED_ROOMS = 200
# So many ids of `?rooms=` are looked at, however many there are.
MAX_NAMED = 1000


@require_safe
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """Show the rooms of `?rooms=1,3&wide=3` side by side, in that order, one of them widened."""
    rooms = _enterable(request)
    known = {str(room.pk) for room in rooms}
    wide = request.GET.get("wide", "")
    is_cut = False
    if "rooms" in request.GET:
        # One more than a page holds, so that it can be told from exactly as many.
        named = dict.fromkeys(filter(None, request.GET["rooms"].split(",", MAX_NAMED)[:MAX_NAMED]))
        asked = list(named)[: conf.LAYOUT_PANES]
        is_cut = len(named) > len(asked)
        opened = [room_id for room_id in asked if room_id in known]
    else:
        # As the user left it, here or in another browser.
        user_id = request.user.pk or 0
        layout, widened = positions.layout_of(user_id)
        opened = asked = [str(room_id) for room_id in layout if str(room_id) in known]
        wide = str(widened or "")
    at = _place(request.GET.get("at", ""), known)
    # The same sentences for a room that is not there and for one that may not be entered.
    notice = ""
    if is_cut:
        notice = f"A page holds at most {conf.LAYOUT_PANES} rooms. The others are closed."
    elif len(opened) < len(asked):
        notice = "Some of these rooms do not exist."
    elif request.GET.get("at") and at is None:
        notice = "There is no such message as this link leads to."
    return _page(request, rooms, opened=opened, wide=wide, at=at, notice=notice)


@require_safe
@login_required
@never_cache
def room(request: HttpRequest, title: str) -> HttpResponse:
    """Open the room of this title; tell the page's own script which it is.

    A room that may not be entered is answered exactly like one that does not exist.
    """
    rooms = _enterable(request)
    key = title_key(title)
    # Looked for among the enterable ones only: not even the time tells whether another room exists.
    found = next((room for room in rooms if room.title_key == key), None)
    notice = "" if found else f"There is no room called “{title}”."
    status = 200 if found else 404
    if request.headers.get("Accept") == "application/json":
        return JsonResponse(_as_json(found) if found else {"error": "ROOM_INVALID", "detail": notice}, status=status)
    return _page(request, rooms, opened=[str(found.pk)] if found else [], notice=notice, status=status)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while the database answers, else 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("healthz: the database does not answer: %s", error)
        return HttpResponse("The database does not answer.\n", content_type="text/plain", status=503)
    return HttpResponse("ok\n", content_type="text/plain")


def _enterable(request: HttpRequest) -> list[Room]:
    return list(Room.objects.enterable_by(request.user))


def _place(at: str, known: set[str]) -> dict[str, Any] | None:
    """Read a message's address, ROOM.SEQ; None when it is none, or of a room that is not the reader's."""
    room_id, _, seq = at.partition(".")
    if room_id not in known or not (seq.isascii() and seq.isdigit() and len(seq) < 19):
        return None
    return {"room": room_id, "seq": int(seq)}


def _page(
    request: HttpRequest,
    rooms: list[Room],
    *,
    opened: list[str],
    notice: str,
    wide: str = "",
    at: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    user = request.user
    by_id = {str(room.pk): room for room in rooms}
    reader = {"id": user.pk, "username": user.get_username(), "staff": user.is_staff}
    # A user model of a site's own may not know.
    if joined := getattr(user, "date_joined", None):
        reader["since"] = protocol.timestamp(joined)
    opened_ids = set(opened)
    config = {
        "user": reader,
        "rooms": [_as_json(room) for room in rooms],
        # What waits in the browser for a room of this number may have been written for another one.
        "epochs": {str(room.pk): room.epoch for room in rooms},
        "open": opened,
        "wide": wide if wide in opened else None,
        "at": at,
        "notice": notice,
        "stream": STREAM_PATH,
        "version": conf.PAGE_VERSION,
        "session": reverse("session"),
        "limits": {
            "graphemes": conf.MESSAGE_MAX_GRAPHEMES,
            "bytes": conf.MESSAGE_MAX_BYTES,
            "rooms": int(conf.LIMITS.get("ROOMS_PER_SOCKET", 0)),
        },
    }
    context = {
        "config": config,
        "rooms": rooms,
        "open_rooms": [by_id[room_id] for room_id in opened],
        "closed_rooms": list(islice((room for key, room in by_id.items() if key not in opened_ids), LISTED_ROOMS)),
        "notice": notice,
    }
    return render(request, "chat/index.html", context, status=status)


def _as_json(room: Room) -> dict[str, Any]:
    return {"id": str(room.pk), "title": room.title, "staff_only": room.staff_only}
