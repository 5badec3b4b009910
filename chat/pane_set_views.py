"""The address at which the page reads and changes the user's workspaces (`chat.store.pane_sets`), in JSON."""

from typing import Annotated, Any

import msgspec
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from chat import limits, protocol
from chat.exceptions import ClientError, ErrorCode
from chat.live import positions
from chat.models import PaneSet, Room
from chat.protocol import Layout, RoomId, RoomIds, Seq, Shape
from chat.room_views import is_users_page
from chat.store import pane_sets
from chat.store.layouts import Panes, shapes_of

# Longer ones are refused with a sentence; these are not even read.
Name = Annotated[str, msgspec.Meta(max_length=PaneSet.MAX_NAME * 16)]


class Save(msgspec.Struct, tag_field="do", tag="save", forbid_unknown_fields=True):
    """Makes a set of panes."""

    name: Name
    rooms: RoomIds
    wide: RoomId | None = None
    shapes: Annotated[list[Shape], msgspec.Meta(max_length=protocol.MAX_ROOMS)] = []


class Rename(msgspec.Struct, tag_field="do", tag="rename", forbid_unknown_fields=True):
    workspace: Seq
    name: Name


class Delete(msgspec.Struct, tag_field="do", tag="delete", forbid_unknown_fields=True):
    workspace: Seq


class Use(msgspec.Struct, tag_field="do", tag="use", forbid_unknown_fields=True):
    """Makes a set the one that a new window opens; 0: none."""

    workspace: Seq


class Arrange(msgspec.Struct, tag_field="do", tag="arrange", forbid_unknown_fields=True):
    """Changes the panes of a set, by the same frame that changes the panes which belong to none."""

    workspace: Seq
    change: Layout


_decoder: msgspec.json.Decoder[Save | Rename | Delete | Use | Arrange] = msgspec.json.Decoder(
    Save | Rename | Delete | Use | Arrange, dec_hook=protocol.decode_hook
)


@require_http_methods(["GET", "POST"])
@never_cache
def pane_sets_view(request: HttpRequest) -> HttpResponse:
    """Answer the user's sets, after the change that a POST asks for."""
    if not request.user.is_authenticated or not is_users_page(request):
        return JsonResponse({"detail": _("You are signed out. Sign in again.")}, status=401)
    answer: dict[str, Any] = {}
    if request.method == "POST":
        try:
            limits.check_message(request.user.pk)
            answer = _change(request)
        except ClientError as refusal:
            status = 429 if refusal.code == ErrorCode.RATE_LIMITED else 400
            return JsonResponse({"detail": refusal.detail}, status=status)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            return JsonResponse({"detail": _("There is no such change.")}, status=400)
    shown = pane_sets.sets_of(request.user)
    panes = positions.layout_of(request.user.pk)
    allowed = Room.objects.enterable_by(request.user).filter(pk__in=list(panes.rooms))
    unnamed = panes.limited_to(set(allowed.values_list("pk", flat=True))).on_the_wire()
    sets = [{"id": one.id, "name": one.name, "version": one.version, **one.panes.on_the_wire()} for one in shown]
    return JsonResponse(answer | {"workspaces": sets, "unnamed": unnamed})


def _change(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    match _decoder.decode(request.body):
        case Save(name=name, rooms=rooms, wide=wide, shapes=shapes):
            return {"saved": pane_sets.save(user, name, Panes(rooms, wide, shapes_of(shapes)))}
        case Rename(workspace=pk, name=name):
            pane_sets.rename(user, pk, name)
        case Delete(workspace=pk):
            pane_sets.delete(user, pk)
        case Use(workspace=pk):
            pane_sets.use(user, pk)
        case Arrange(workspace=pk, change=change):
            pane_sets.arrange(user, pk, change)
    return {}
