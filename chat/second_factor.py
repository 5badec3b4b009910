"""The second step of signing in: a code or a passkey. Also signing in by a passkey alone, which is two factors itself.

Imported only where SECOND_FACTOR is on.
"""

import json
import math
import time
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext, gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from chat import login_steps
from chat.own_password import refuse_too_many
from chat.store import second_factors

# The name in a session's data of the user who has passed the first step.
PENDING = "second_factor"
PENDING_SECONDS = 600
# After so many wrong codes or passkeys, the first step has to be repeated.
MAX_FAILURES = 5
# The name under which failed tries with passkeys are counted. It has blanks, so no form makes a user of this name.
BY_PASSKEY = "(by passkey)"


class CodeForm(forms.Form):
    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=20,
        required=False,
        help_text=gettext_lazy("The six digits that your authenticator app shows now, or one of your recovery codes."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True, "inputmode": "numeric"}),
    )


def ask(request: HttpRequest, user: Any, target: str, *, by: str) -> HttpResponse:
    """Remember who has passed the first step, and ask for the second. No user is signed in yet."""
    request.session[PENDING] = {
        "user": str(user.pk),
        # A password that is changed meanwhile ends this step, as it ends sessions.
        "hash": user.get_session_auth_hash(),
        "at": time.time(),
        "target": target,
        "by": by,
    }
    login_steps.shorten_session(request)
    return redirect("second_factor")


@sensitive_post_parameters("code", "credential")
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def step(request: HttpRequest) -> HttpResponse:
    """Ask for a code or a passkey of the user who has passed the first step."""
    pending: Any = request.session.get(PENDING)
    user = _pending_user(pending)
    if user is None:
        request.session.pop(PENDING, None)
        return redirect("index" if request.user.is_authenticated else "login")
    if request.user == user:
        # The user has signed in meanwhile, in another tab.
        return redirect(request.session.pop(PENDING)["target"])
    if login_steps.is_locked(request, user.get_username()):
        return login_steps.locked(request)
    form = CodeForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        # Per user too, because an attacker who knows the password may have many addresses.
        if refusal := refuse_too_many(request, ("code", user.pk)):
            return refusal
        wait = second_factors.code_wait(user.pk)
        if by := _proof(request, user):
            del request.session[PENDING]
            return login_steps.finish(request, user, pending["target"], by=f"{pending['by']}, {by}")
        if wait and not request.POST.get("credential"):
            # The code was not checked, so it is no failure.
            form.add_error(None, _sentence(wait))
            return _show(request, user, form)
        login_steps.count_failure(request, user.get_username(), by=pending["by"])
        if login_steps.is_locked(request, user.get_username()):
            return login_steps.locked(request)
        failures = pending.get("failures", 0) + 1
        if failures >= MAX_FAILURES:
            del request.session[PENDING]
            return render(request, "registration/second_factor_ended.html", status=403)
        request.session[PENDING] = pending | {"failures": failures}
        form.add_error(None, _sentence(second_factors.code_wait(user.pk)))
    return _show(request, user, form)


@sensitive_post_parameters("credential")
@require_http_methods(["GET", "POST"])
@never_cache
def passkey(request: HttpRequest) -> HttpResponse:
    """Give the login page a challenge (GET, JSON), and sign in the user of the passkey that answers it (POST)."""
    if settings.OIDC_ONLY:
        return redirect("login")
    if login_steps.is_locked(request, BY_PASSKEY):
        return login_steps.locked(request)
    if request.method == "GET":
        login_steps.shorten_session(request)
        return JsonResponse(second_factors.begin_authentication(None))
    credential = credential_of(request)
    user = second_factors.user_of_credential(credential)
    target = login_steps.own_target(request, request.POST.get("next", ""))
    if user is not None and login_steps.is_locked(request, user.get_username()):
        return login_steps.locked(request)
    is_accepted = user is not None and second_factors.accept_passkey(user, credential, origin=own_origin(request))
    if user is None or not is_accepted or not user.is_active:
        # Under the name of the user, if the passkey says one. Colleagues behind the same address can still log in.
        login_steps.count_failure(request, user.get_username() if user else BY_PASSKEY, by="passkey")
        return render(request, "registration/passkey_failed.html", status=403)
    login_steps.forget_failures(request, BY_PASSKEY)
    return login_steps.finish(request, user, target, by="passkey")


def own_origin(request: HttpRequest) -> str:
    """Return the origin of our pages, which a passkey signs."""
    return f"{request.scheme}://{request.get_host()}"


def credential_of(request: HttpRequest) -> Any:
    """Return the passkey's answer that the form has, or None if it is not JSON."""
    text = request.POST.get("credential", "")
    try:
        return json.loads(text) if len(text) <= second_factors.MAX_CREDENTIAL else None
    except (ValueError, RecursionError):
        return None


def _pending_user(pending: Any) -> Any | None:
    if not pending or not 0 <= time.time() - pending["at"] < PENDING_SECONDS:
        return None
    user: Any = get_user_model()._default_manager.filter(pk=pending["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), pending["hash"]):
        return None
    return user if pending["at"] > second_factors.steps_ended_at(user.pk) else None


def _show(request: HttpRequest, user: Any, form: CodeForm) -> HttpResponse:
    has_passkey = bool(second_factors.factors_of(user.pk).passkeys)
    options = second_factors.begin_authentication(user) if has_passkey else None
    return render(request, "registration/second_factor.html", {"form": form, "options": options})


def _sentence(wait: float) -> str:
    if not wait:
        return gettext("That didn't work. Check the code, or wait for the next one: each works once.")
    minutes = math.ceil(wait / 60)
    sentence = ngettext(
        "Too many wrong codes. Try again in %(minutes)s minute, or use a passkey.",
        "Too many wrong codes. Try again in %(minutes)s minutes, or use a passkey.",
        minutes,
    )
    return sentence % {"minutes": minutes}


def _proof(request: HttpRequest, user: Any) -> str:
    """Return what the user proved this step with, or ""."""
    if request.POST.get("credential"):
        is_right = second_factors.accept_passkey(user, credential_of(request), origin=own_origin(request))
        return "passkey" if is_right else ""
    return second_factors.accept_code(user.pk, request.POST.get("code", ""))
