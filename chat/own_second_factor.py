"""The pages on which users turn their second factor on and off. Each change needs the password, or a fresh sign-in.

Imported only where SECOND_FACTOR is on.
"""

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.totp.internal.auth import clear_totp_secret, get_totp_secret
from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from chat import audit
from chat.confirming import ConfirmForm, confirm
from chat.invitations import qr
from chat.own_password import address_of, refuse_too_many
from chat.second_factor import credential_of, own_origin
from chat.store import second_factors, sign_ins


class AppForm(ConfirmForm):
    code = forms.CharField(
        label=gettext_lazy("Code from the app"),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    field_order = ("code", "password")


class PasskeyForm(ConfirmForm):
    name = forms.CharField(
        label=gettext_lazy("Name of the passkey"),
        max_length=second_factors.NAME_LENGTH,
        initial=gettext_lazy("My passkey"),
        help_text=gettext_lazy("To tell your passkeys apart."),
    )
    credential = forms.CharField(
        widget=forms.HiddenInput, required=False, max_length=second_factors.MAX_CREDENTIAL, strip=False
    )
    field_order = ("name", "password", "credential")


@login_required
@never_cache
def overview(request: HttpRequest) -> HttpResponse:
    """Show the user's factors."""
    return render(request, "registration/factors.html", {"factors": second_factors.factors_of(request.user.pk)})


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def app_on(request: HttpRequest) -> HttpResponse:
    """Show the secret for the app, and turn the app on when it gives the right code."""
    secret = get_totp_secret()
    form = AppForm(request.POST if request.method == "POST" else None, request=request)
    if request.method == "POST":
        if refusal := refuse_too_many(request, ("change", request.user.pk)):
            return refusal
        if form.is_valid():
            if second_factors.is_app_code(secret, form.cleaned_data["code"]):
                clear_totp_secret(request)
                was_on = second_factors.is_on(request.user.pk)
                codes = second_factors.turn_app_on(request.user, secret)
                _end_other_sessions(request, was_on)
                _log(request, "second_factor_on", "app")
                return _changed(request, codes)
            form.add_error("code", gettext("This code is wrong. Check that the clock of your phone is right."))
    link = get_adapter().build_totp_url(request.user, secret)
    groups = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    is_on = second_factors.is_on(request.user.pk)
    context = {"form": form, "link": link, "secret": groups, "is_on": is_on, **qr(link)}
    return render(request, "registration/factor_app.html", context)


def app_off(request: HttpRequest) -> HttpResponse:
    """Turn the app off."""

    def turn_off(request: HttpRequest) -> HttpResponse:
        second_factors.turn_app_off(request.user)
        _log(request, "second_factor_off", "app")
        return redirect("second_factors")

    title = gettext("Turn off the authenticator app?")
    return confirm(request, turn_off, title=title, button=gettext("Turn off"), back="second_factors")


def codes(request: HttpRequest) -> HttpResponse:
    """Make new recovery codes."""

    def make(request: HttpRequest) -> HttpResponse:
        if not second_factors.is_on(request.user.pk):
            return redirect("second_factors")
        _log(request, "recovery_codes_made", None)
        return _changed(request, second_factors.new_codes(request.user))

    return confirm(
        request,
        make,
        title=gettext("New recovery codes?"),
        button=gettext("Make new codes"),
        back="second_factors",
        sentence=gettext("Your old recovery codes will end."),
    )


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def passkey_add(request: HttpRequest) -> HttpResponse:
    """Let the browser make a passkey, and store it."""
    user: Any = request.user
    if len(second_factors.factors_of(user.pk).passkeys) >= second_factors.MAX_PASSKEYS:
        return redirect("second_factors")
    form = PasskeyForm(request.POST if request.method == "POST" else None, request=request)
    if request.method == "POST":
        if refusal := refuse_too_many(request, ("change", user.pk)):
            return refusal
        if form.is_valid():
            name, credential = form.cleaned_data["name"], credential_of(request)
            was_on = second_factors.is_on(user.pk)
            made = second_factors.add_passkey(user, name, credential, origin=own_origin(request))
            if made is not None:
                _end_other_sessions(request, was_on)
                _log(request, "second_factor_on", "passkey")
                return _changed(request, made)
            form.add_error(None, gettext("The passkey wasn't made. Try again."))
    context = {"form": form, "options": second_factors.begin_passkey(user), "is_on": second_factors.is_on(user.pk)}
    return render(request, "registration/factor_passkey.html", context)


def passkey_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a passkey."""

    def remove(request: HttpRequest) -> HttpResponse:
        if second_factors.remove_passkey(request.user, pk):
            _log(request, "second_factor_off", "passkey")
        return redirect("second_factors")

    title = gettext("Remove this passkey?")
    return confirm(request, remove, title=title, button=gettext("Remove"), back="second_factors")


def _end_other_sessions(request: HttpRequest, was_on: bool) -> None:
    # The other sessions were signed in without a second factor, perhaps by a thief of the password.
    if not was_on:
        sign_ins.end_other_sessions(request.user, request.session.session_key)


def _changed(request: HttpRequest, made: list[str]) -> HttpResponse:
    """Show new recovery codes, which are never shown again."""
    if not made:
        return redirect("second_factors")
    return render(request, "registration/recovery_codes.html", {"codes": made})


def _log(request: HttpRequest, event: str, factor: str | None) -> None:
    audit.write(event, user=request.user.pk, factor=factor, address=address_of(request))
