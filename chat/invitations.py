"""Pages for invitations: staff make and revoke them, and new users sign up by following one."""

from typing import Any

import segno
from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import decorator_from_middleware
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from chat import audit, limits, login_steps
from chat.models import Invitation, Room
from chat.own_password import address_of
from chat.store import invitations, policies

# The name in a session's data of the invitation that a visitor follows.
FOLLOWED = "invitation"
QUIET_MODULES = 4  # the white edge that a QR code needs


def _validities() -> list[tuple[int, str]]:
    # For each form anew, because each reader's language has its own plurals.
    return [(days, ngettext("%(days)s day", "%(days)s days", days) % {"days": days}) for days in (1, 7, 30)]


class InviteForm(forms.Form):
    days = forms.TypedChoiceField(label=gettext_lazy("Valid for"), coerce=int, choices=_validities, initial=7)
    uses = forms.IntegerField(
        label=gettext_lazy("For how many people"), min_value=1, max_value=invitations.MAX_USES, initial=1
    )

    def __init__(self, *args: Any, rooms: list[Room], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.room_choices = rooms

    def chosen_rooms(self) -> list[int]:
        """Return the ids of the rooms that were ticked, of those that were offered."""
        data: Any = self.data  # a QueryDict, if the form was sent
        ticked = set(data.getlist("rooms"))
        return [room.pk for room in self.room_choices if str(room.pk) in ticked]


class SignUpForm(UserCreationForm):  # type: ignore[type-arg]
    class Meta(UserCreationForm.Meta):
        model = get_user_model()
        fields = (get_user_model().USERNAME_FIELD,)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def invite(request: HttpRequest) -> HttpResponse:
    """Make an invitation, and list those that can be used. The new link is shown in the answer, and never again."""
    if not policies.can_invite(request.user):
        raise PermissionDenied
    rooms = list(invitations.rooms_to_offer(request.user)[: invitations.MAX_ROOMS])
    form = InviteForm(request.POST if request.method == "POST" else None, rooms=rooms)
    context: dict[str, Any] = {
        "form": form,
        "rooms": rooms,
        "has_rooms_of_members": any(room.members_only for room in rooms),
    }
    if form.is_valid():
        values = form.cleaned_data
        _, code = invitations.create(
            request.user, days=values["days"], uses=values["uses"], room_ids=form.chosen_rooms()
        )
        link = _site(request) + reverse("accept_invitation", args=[code])
        context |= {"link": link, **qr(link)}
    return render(request, "invitations/invite.html", context | {"invitations": invitations.list_valid()})


@require_POST
@login_required
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End an invitation at once."""
    invitations.revoke(pk, request.user)
    return redirect("invite")


class NullOriginCsrf(CsrfViewMiddleware):
    """Accepts the Origin "null", which browsers send with a form of a page whose Referrer-Policy is no-referrer.

    The form's token still has to match the cookie, which another site can neither read nor set.
    """

    def _origin_verified(self, request: HttpRequest) -> bool:
        return request.META["HTTP_ORIGIN"] == "null" or bool(super()._origin_verified(request))  # type: ignore[misc]


def _with_null_origin(view: Any) -> Any:
    return csrf_exempt(decorator_from_middleware(NullOriginCsrf)(view))


@_with_null_origin
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def accept(request: HttpRequest, code: str) -> HttpResponse:
    """Let a new user choose a name and a password. A GET uses nothing up."""
    response = _accept(request, code)
    response["Referrer-Policy"] = "no-referrer"
    # Django would log the address, which contains the code, of every answer from 400 on.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _accept(request: HttpRequest, code: str) -> HttpResponse:
    if wait := limits.invitations.peek(address_of(request)):
        response = render(request, "registration/too_many.html", status=429)
        response["Retry-After"] = str(int(wait) + 1)
        return response
    invitation = invitations.find(code)
    if invitation is None:
        # Only invalid codes count, because a whole team may follow a link from one address.
        limits.invitations.take(address_of(request))
        audit.write_noise("invitation_refused", address=address_of(request))
        return render(request, "invitations/invalid.html", status=404)
    return _sign_up(request, invitation)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def sign_up(request: HttpRequest) -> HttpResponse:
    """Let any visitor become a user, on a site whose setting SIGN_UP allows it."""
    if not settings.SIGN_UP:
        return render(request, "invitations/closed.html", status=404)
    return _sign_up(request, None)


def _sign_up(request: HttpRequest, invitation: Invitation | None) -> HttpResponse:
    if request.user.is_authenticated:
        return render(request, "invitations/signed_in.html")
    if settings.OIDC_ONLY and request.method == "POST":
        return render(request, "registration/no_passwords.html", {"provider": settings.OIDC.name}, status=403)
    if settings.OIDC.issuer and invitation is not None:
        # The visitor may sign up by single sign-on. Nothing is used up before that.
        request.session[FOLLOWED] = invitation.pk
    form = SignUpForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        # The password is hashed here, before the transaction begins.
        user = form.save(commit=False)
        try:
            rooms = _save(request, invitation, user)
        except invitations.UsedUpError:
            return render(request, "invitations/invalid.html", status=404)
        except IntegrityError:
            form.add_error(user.USERNAME_FIELD, gettext("A user with that username already exists."))
        else:
            login(request, user, backend=login_steps.MODEL_BACKEND)
            return redirect(f"{reverse('index')}?rooms={','.join(map(str, rooms))}" if rooms else "index")
    context = {"form": form, "invitation": invitation, "ways": login_steps.ways()}
    return render(request, "invitations/sign_up.html", context)


def _save(request: HttpRequest, invitation: Invitation | None, user: Any) -> list[int]:
    address = request.META.get("REMOTE_ADDR")
    if invitation is not None:
        return invitations.accept(invitation, user, address=address)
    user.save()
    audit.write("signed_up", user=user.pk, username=user.get_username(), address=address)
    return []


def _site(request: HttpRequest) -> str:
    """Return the start of links. Only the staff user who sent this request sees it."""
    return settings.SITE_URL or f"{request.scheme}://{request.get_host()}"


def qr(link: str) -> dict[str, Any]:
    """Return the size and the path of a link's QR code, for an SVG."""
    matrix = segno.make_qr(link, error="m").matrix
    dark = [(x, y) for y, row in enumerate(matrix) for x, bit in enumerate(row) if bit]
    path = "".join(f"M{x + QUIET_MODULES} {y + QUIET_MODULES}h1v1h-1z" for x, y in dark)
    return {"qr_size": len(matrix) + 2 * QUIET_MODULES, "qr_path": path}
