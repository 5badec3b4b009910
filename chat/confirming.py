"""Changes that a stolen session must not make: they need the password, or a session that was signed in just now."""

import time
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from chat.own_password import refuse_too_many
from chat.store.sign_ins import SIGNED_IN_AT

FRESH_SECONDS = 600
WRONG = _("This password is wrong.")
STALE = _("Log out and log in again first. Then you have ten minutes for this change.")


def has_password(user: Any) -> bool:
    """Return whether a user can sign in by a password on this site."""
    return not settings.OIDC_ONLY and user.has_usable_password()


def is_fresh(request: HttpRequest) -> bool:
    """Return whether the session was signed in a few minutes ago."""
    return bool(0 <= time.time() - request.session.get(SIGNED_IN_AT, 0) < FRESH_SECONDS)


class ConfirmForm(forms.Form):
    """Asks for the password. Users who have none must have signed in a few minutes ago."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        if not has_password(request.user):
            del self.fields["password"]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if "password" not in self.fields:
            if not is_fresh(self.request):
                self.add_error(None, STALE)
        elif "password" in values and not self.request.user.check_password(values["password"]):
            self.add_error("password", WRONG)
        return values


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def confirm(
    request: HttpRequest,
    change: Callable[[HttpRequest], HttpResponse],
    *,
    title: str,
    button: str,
    back: str,
    sentence: str = "",
) -> HttpResponse:
    """Ask for confirmation on a page of its own, then make the change. `back` is the name of the page to return to."""
    form = ConfirmForm(request.POST if request.method == "POST" else None, request=request)
    if request.method == "POST":
        # Per user, because a stolen session must not be used to guess the password.
        if refusal := refuse_too_many(request, ("change", request.user.pk)):
            return refusal
        if form.is_valid():
            return change(request)
    context = {"form": form, "title": title, "button": button, "back": back, "sentence": sentence}
    return render(request, "registration/confirm.html", context)
