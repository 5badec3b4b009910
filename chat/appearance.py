"""The user's choices of theme, density, clock and language: their form, their address, and their place in templates."""

from typing import Any, Literal

import msgspec
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_POST

from chat import limits
from chat.exceptions import ClientError
from chat.store import appearances
from chat.store.appearances import Look

THEMES = [("system", gettext_lazy("As the system")), ("light", gettext_lazy("Light")), ("dark", gettext_lazy("Dark"))]
DENSITIES = [("comfortable", gettext_lazy("Comfortable")), ("compact", gettext_lazy("Compact"))]
CLOCKS = [
    ("", gettext_lazy("As usual in your language")),
    ("12", gettext_lazy("12 hours")),
    ("24", gettext_lazy("24 hours")),
]
# Each language by its own name, for users who cannot read the others.
LANGUAGES = [("", gettext_lazy("As in your browser")), *settings.LANGUAGES]


class AppearanceForm(forms.Form):
    """All choices at once."""

    theme = forms.ChoiceField(label=gettext_lazy("Theme"), choices=THEMES)
    density = forms.ChoiceField(label=gettext_lazy("Density"), choices=DENSITIES)
    clock = forms.ChoiceField(label=gettext_lazy("Time"), choices=CLOCKS, required=False)
    language = forms.ChoiceField(label=gettext_lazy("Language"), choices=LANGUAGES, required=False)


class Change(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Some choices, as the page sends them."""

    theme: Literal["system", "light", "dark"] | msgspec.UnsetType = msgspec.UNSET
    density: Literal["comfortable", "compact"] | msgspec.UnsetType = msgspec.UNSET
    clock: Literal["", "12", "24"] | msgspec.UnsetType = msgspec.UNSET


def form_of(user: int) -> AppearanceForm:
    """Return the form with the user's choices."""
    return AppearanceForm(initial=appearances.of(user)._asdict())


def context(request: HttpRequest) -> dict[str, Any]:
    """Give templates the choices of the reader. They are read only where a template shows them."""
    user = getattr(request, "user", None)
    if user is None:
        return {"look": Look()}
    # The middleware of languages has read them already, unless the user has just signed in.
    known = getattr(request, "look", None)
    return {"look": known or SimpleLazyObject(lambda: appearances.of(user.pk) if user.is_authenticated else Look())}


@require_POST
@login_required
def save(request: HttpRequest) -> HttpResponse:
    """Store choices: a form goes back to the account, and the page's script gets them as JSON."""
    user = request.user.pk or 0
    is_json = request.content_type == "application/json"
    try:
        limits.check_message(user)
    except ClientError as refusal:
        return JsonResponse({"detail": str(refusal.context.get("detail", ""))}, status=429)
    if not is_json:
        form = AppearanceForm(request.POST)
        if form.is_valid():
            appearances.save(user, form.cleaned_data)
        return redirect("account")
    try:
        changes = msgspec.to_builtins(msgspec.json.decode(request.body, type=Change))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return JsonResponse({"detail": gettext("There is no such choice.")}, status=400)
    return JsonResponse(appearances.save(user, changes)._asdict())
