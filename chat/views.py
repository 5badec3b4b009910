"""Views: the chat page, a room by its address, and the health check."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, tzinfo
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from django.contrib.auth.decorators import login_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import limits, protocol
from chat.conf import conf
from chat.live import positions
from chat.models import Room, title_key
from chat.room_views import as_json
from chat.store import (
    around,
    display_names,
    layouts,
    memberships,
    own_rooms,
    pane_sets,
    policies,
    room_actions,
    search,
    search_query,
)

logger = logging.getLogger(__name__)

# The title_key of the room that users find open on their first page.
LOBBY = "lobby"
STREAM_PATH = "/chat/stream/"
# The most closed rooms with a button in the HTML. The page adds the others when the socket lists them. With thousands
# of rooms, most of the time and bytes of a response went into buttons that users never scroll to.
LISTED_ROOMS = 200
# The languages besides English for which tests/emoji_data.py has made the names of emoji.
EMOJI_LANGUAGES = ("de",)
# The most users whose names the page is sent with.
MAX_SHOWN = 200
# The most ids in `?rooms=` that are read.
MAX_NAMED = 1000

# A search takes a multiple of this. Otherwise its time would tell how many messages it has passed over in rooms that
# the user may not enter, and so whether a word stands there (ADR 79).
SEARCH_STEP_SECONDS = 0.025
# The users who have a search running in this process.
_searching: set[int] = set()
_searching_lock = threading.Lock()


@require_safe
@login_required
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """Show the rooms of `?rooms=1,3&wide=3` side by side, in this order, with room 3 widened.

    `shape=1-strip,3-below` gives the shape of panes (`chat.store.layouts.Panes`); a number is a width in percent, and
    a number after `h` is the height of a lower half.
    """
    rooms = _enterable(request)
    known = {str(room.pk) for room in rooms}
    wide = request.GET.get("wide", "")
    shapes: dict[str, dict[str, Any]] = {}
    is_cut = is_newcomer = False
    at = _place(request.GET.get("at", ""), known)
    sets = pane_sets.sets_of(request.user)
    # A link to a message opens in the user's own workspace, so it names no rooms that would take its place.
    is_address = "rooms" in request.GET and (at is None or request.GET["rooms"] != at["room"])
    named_set = _named_set(sets, request.GET.get("workspace"), is_address=is_address)
    if named_set:
        panes = named_set.panes.limited_to({room.pk for room in rooms}).on_the_wire()
        opened = requested = panes["order"]
        wide, shapes = panes["wide"], panes["shapes"]
    elif is_address:
        named = dict.fromkeys(filter(None, request.GET["rooms"].split(",", MAX_NAMED)[:MAX_NAMED]))
        requested = list(named)[: conf.LAYOUT_PANES]
        is_cut = len(named) > len(requested)
        opened = [room_id for room_id in requested if room_id in known]
        shapes = _shapes(request.GET.get("shape", ""))
        for upper, lower in pairwise(requested):
            if upper not in known:
                layouts.leave_column(shapes.get(lower, {}))
    else:
        # As the user left the page, in this browser or another one.
        user_id = request.user.pk or 0
        panes = positions.layout_of(user_id).limited_to({room.pk for room in rooms}).on_the_wire()
        opened = requested = panes["order"]
        wide, shapes = panes["wide"], panes["shapes"]
        if not opened and memberships.is_newcomer(user_id):
            opened = requested = _rooms_of_newcomer(rooms)
            is_newcomer = True
    # The sentences are the same for a missing room and for a room that the user may not enter.
    notice = ""
    if is_cut:
        sentence = ngettext(
            "You can open at most %(count)s room at once. The others stay closed.",
            "You can open at most %(count)s rooms at once. The others stay closed.",
            conf.LAYOUT_PANES,
        )
        notice = sentence % {"count": conf.LAYOUT_PANES}
    elif len(opened) < len(requested):
        notice = gettext("Some of these rooms don't exist, or you don't have access to them.")
    elif request.GET.get("at") and at is None:
        notice = gettext("The linked message doesn't exist.")
    workspaces = {
        "list": [{"id": one.id, "name": one.name} for one in sets],
        "current": named_set.id if named_set else 0,
        "version": named_set.version if named_set else 0,
    }
    return _page(
        request,
        rooms,
        opened=opened,
        wide=wide,
        shapes=shapes,
        at=at,
        notice=notice,
        is_newcomer=is_newcomer,
        workspaces=workspaces,
    )


def _shapes(text: str) -> dict[str, dict[str, Any]]:
    """Read the shapes of panes from an address. Those that are invalid are left out."""
    shapes: dict[str, dict[str, Any]] = {}
    for part in text.split(",", MAX_NAMED)[:MAX_NAMED]:
        room_id, _, value = part.partition("-")
        if value in ("strip", "below"):
            shape = shapes.setdefault(room_id, {})
            # A strip takes no half of a column.
            if "strip" not in shape:
                shape.pop("below", None)
                shape[value] = True
        elif value.isascii() and value.isdigit() and len(value) <= 4:
            shapes.setdefault(room_id, {})["width"] = min(max(int(value), protocol.MIN_WIDTH), protocol.MAX_WIDTH)
        elif value[:1] == "h" and value[1:].isascii() and value[1:].isdigit() and len(value) <= 4:
            height = min(max(int(value[1:]), protocol.MIN_HEIGHT), protocol.MAX_HEIGHT)
            shapes.setdefault(room_id, {})["height"] = height
    for shape in shapes.values():
        if "below" not in shape:
            layouts.leave_column(shape)
    return shapes


def _named_set(sets: list[pane_sets.Shown], asked: str | None, *, is_address: bool) -> pane_sets.Shown | None:
    """Return the set that the address names, otherwise the one that was used last. An address with rooms opens none."""
    if asked is not None:
        return next((one for one in sets if str(one.id) == asked), None)
    return None if is_address else next((one for one in sets if one.is_current), None)


@require_safe
@login_required
@never_cache
def room(request: HttpRequest, title: str) -> HttpResponse:
    """Open the room with this title; answer the page's own script with the room as JSON.

    A room that the user may not enter is answered exactly like a room that does not exist.
    """
    rooms = _enterable(request)
    key = title_key(title)
    # Only the user's own rooms are searched, so that not even the time reveals whether another room exists.
    # Rooms that users share come first, because their addresses are the ones that users pass on.
    named = [room for room in rooms if room.title_key == key]
    found = min(named, key=lambda room: room.members_only, default=None)
    notice = "" if found else gettext("There is no room called “%(title)s”.") % {"title": title}
    status = 200 if found else 404
    if request.headers.get("Accept") == "application/json":
        answer = _as_json(found, request.user.pk or 0) if found else {"error": "ROOM_INVALID", "detail": notice}
        return JsonResponse(answer, status=status)
    return _page(request, rooms, opened=[str(found.pk)] if found else [], notice=notice, status=status)


@require_safe
@never_cache
def find(request: HttpRequest) -> HttpResponse:
    """Answer `?q=` with messages of the rooms that the user may enter, as JSON: {"results": [...], "rooms": [...],
    "cursor": "7"}. `rooms` are those of the results, as the list of rooms has them.

    `tz` is the reader's time zone, `sort=best` puts the best first, `before` is the cursor of the page before.
    """
    if not request.user.is_authenticated:
        return _refuse(401, gettext("You are signed out. Sign in again."))
    cursor = request.GET.get("before", "")
    with _one_search(request.user.pk) as is_free:
        if not is_free:
            return _refuse(429, gettext("Another search of yours is still running. Try again in a moment."))
        try:
            query = search_query.parse(
                request.GET.get("q", ""),
                now=timezone.now(),
                zone=_zone(request.GET.get("tz", "")),
                is_best_first=request.GET.get("sort") == "best",
            )
            with _whole_steps():
                found = search.find(request.user, query, before=cursor or None)
        except search.SearchTimeoutError as error:
            return _refuse(503, str(error))
        except search_query.SearchError as error:
            return _refuse(400, str(error))
        # The page does not know archived rooms, and rooms that the user was added to a moment ago.
        named = Room.objects.enterable_by(request.user).filter(pk__in={int(each.room) for each in found.messages})
        rooms = [_as_json(room, request.user.pk) for room in _with_people(named, request.user.pk)]
    answer = {"results": found.messages, "rooms": rooms, "cursor": found.cursor}
    return HttpResponse(msgspec.json.encode(answer), content_type="application/json")


@contextmanager
def _one_search(user_id: int) -> Iterator[bool]:
    """Yield whether this user has no other search in this process, so that one user cannot occupy all threads."""
    with _searching_lock:
        is_free = user_id not in _searching
        if is_free:
            _searching.add(user_id)
    try:
        yield is_free
    finally:
        if is_free:
            with _searching_lock:
                _searching.discard(user_id)


@contextmanager
def _whole_steps() -> Iterator[None]:
    """Let this block take a multiple of SEARCH_STEP_SECONDS, also when it fails."""
    began = time.perf_counter()
    try:
        yield
    finally:
        time.sleep((began - time.perf_counter()) % SEARCH_STEP_SECONDS)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _refuse(status: int, detail: str) -> HttpResponse:
    return JsonResponse({"detail": detail}, status=status)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 if the database answers, otherwise 503."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        logger.warning("healthz: the database does not answer: %s", error)
        return HttpResponse("The database does not answer.\n", content_type="text/plain", status=503)
    return HttpResponse("ok\n", content_type="text/plain")


def _enterable(request: HttpRequest) -> list[Room]:
    """Return the user's rooms by title."""
    return _with_people(Room.objects.enterable_by(request.user), request.user.pk or 0)


def _with_people(queryset: Iterable[Room], reader: int) -> list[Room]:
    """Return these rooms, direct ones with the people and the title that this reader sees."""
    rooms = list(queryset)
    people = own_rooms.names_of_people(rooms)
    for room in rooms:
        if room.direct_key is not None:
            room.people = people[room.pk]
            room.title = own_rooms.title_for(own_rooms.others(room.people, reader))
            room.title_key = title_key(room.title)
    return rooms


def _rooms_of_newcomer(rooms: list[Room]) -> list[str]:
    """Return the room that users find open on their first page: the Lobby, otherwise the oldest room for everybody."""
    public = [room for room in rooms if not (room.staff_only or room.members_only or room.archived_at)]
    lobby = [room for room in public if room.title_key == LOBBY] or sorted(public, key=lambda room: room.pk)
    return [str(room.pk) for room in lobby[:1]]


def _place(at: str, known: set[str]) -> dict[str, Any] | None:
    """Parse a message's address, ROOM.SEQ. None if it is invalid, or in a room that the user may not enter."""
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
    wide: str | None = None,
    shapes: dict[str, dict[str, Any]] | None = None,
    at: dict[str, Any] | None = None,
    status: int = 200,
    is_newcomer: bool = False,
    workspaces: dict[str, Any] | None = None,
) -> HttpResponse:
    user = request.user
    # Archived rooms are out of the list, unless one is opened by its address.
    rooms = [room for room in rooms if room.archived_at is None or str(room.pk) in opened]
    username = user.get_username()
    reader = {"id": user.pk, "username": username, "staff": user.is_staff}
    # A site's own user model may not have this field.
    if joined := getattr(user, "date_joined", None):
        reader["since"] = protocol.timestamp(joined)
    known = {name for room in rooms for name in own_rooms.others(room.people, user.pk or 0)}
    shown = display_names.load_users_named(sorted(known - {username})[:MAX_SHOWN])
    shown += display_names.show([user])
    names: dict[str, dict[str, Any]] = {
        person.username: {"user": person.user, "name": person.name, "picture": person.picture} for person in shown
    }
    config = {
        "user": reader,
        # The names in the first view, so that they need not be asked for. Others are.
        "users": names,
        "rooms": [_as_json(room, user.pk or 0) for room in rooms],
        # The browser may hold unsent messages that were written for an earlier room with the same id.
        "epochs": {str(room.pk): room.epoch for room in rooms},
        "open": opened,
        "newcomer": is_newcomer,
        # In milliseconds, because the browser's clock may be wrong.
        "now": int(timezone.now().timestamp() * 1000),
        "wide": wide if wide in opened else None,
        "shapes": {room_id: shape for room_id, shape in (shapes or {}).items() if shape and room_id in opened},
        # The user's named sets of panes, and the one that this page shows.
        "workspaces": workspaces or {"list": [], "current": 0, "version": 0},
        "at": at,
        "notice": notice,
        "stream": STREAM_PATH,
        "version": conf.PAGE_VERSION,
        "session": reverse("session"),
        "emoji": static(_emoji_file()),
        # For whom the user may make rooms.
        "makes": [who for who in room_actions.WHO if policies.can_create(user, who)],
        "limits": {
            "graphemes": conf.MESSAGE_MAX_GRAPHEMES,
            "bytes": conf.MESSAGE_MAX_BYTES,
            "rooms": int(conf.LIMITS.get("ROOMS_PER_SOCKET", 0)),
            "fileBytes": limits.most_bytes("FILE_MB"),
        },
    }
    context = {
        "config": config,
        "around": around.count_for(user) if conf.SHOW_WHO_IS_AROUND else None,
        "my_name": str(names.get(username, {}).get("name") or username),
        "may_make_rooms": bool(config["makes"]),
        "rooms": rooms,
        "listed": _listed(rooms, set(opened)),
        "notice": notice,
    }
    return render(request, "chat/index.html", context, status=status)


def _emoji_file() -> str:
    """Return the static file with the names of emoji in the language of the page."""
    return f"chat/emoji.{language}.json" if (language := get_language()) in EMOJI_LANGUAGES else "chat/emoji.json"


def _listed(rooms: list[Room], opened: set[str]) -> list[tuple[Room, bool]]:
    """Return the rooms that the page is sent with and whether each is open: all open ones, and the first others."""
    closed = set(islice((room.pk for room in rooms if str(room.pk) not in opened), LISTED_ROOMS))
    return [(room, str(room.pk) in opened) for room in rooms if str(room.pk) in opened or room.pk in closed]


def _as_json(room: Room, reader: int) -> dict[str, Any]:
    """Return a room for the page, which may open an archived one."""
    return as_json(room, reader) | ({"archived": True} if room.archived_at else {})
