"""Signs users in, by whatever way they proved who they are: asks for the second factor, and keeps the limits."""

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from axes.utils import reset
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from multichat.login import NEXT_LENGTH

# How long a visitor may take to sign in, once the site keeps something for them. Then their session ends.
VISITOR_SECONDS = 1800
MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def sign_in(request: HttpRequest, user: Any, target: str, *, by: str) -> HttpResponse:
    """Sign the user in and redirect to `target`, or ask for the second factor first. `by` is a word for the log."""
    if settings.SECOND_FACTOR:
        from chat import second_factor
        from chat.store import second_factors

        if second_factors.is_on(user.pk):
            return second_factor.ask(request, user, target, by=by)
    return finish(request, user, target, by=by)


def finish(request: HttpRequest, user: Any, target: str, *, by: str) -> HttpResponse:
    """Sign the user in and redirect to `target`."""
    request.signed_in_by = by  # type: ignore[attr-defined]  # chat/audit.py logs it
    login(request, user, backend=MODEL_BACKEND)
    return HttpResponseRedirect(target)


def shorten_session(request: HttpRequest) -> None:
    """Let the session of a visitor end soon, so that visitors who never sign in leave no rows for weeks.

    Signing in makes it as long as any other (chat/store/sign_ins.py).
    """
    if not request.user.is_authenticated:
        request.session.set_expiry(VISITOR_SECONDS)


def ways() -> dict[str, Any]:
    """Return the ways of signing in that this site has, for templates."""
    return {
        "password": not settings.OIDC_ONLY,
        "passkey": settings.SECOND_FACTOR and not settings.OIDC_ONLY,
        "provider": settings.OIDC.name if settings.OIDC.issuer else "",
    }


def own_target(request: HttpRequest, target: str) -> str:
    """Return an address of this site to go to: `target`, or the page if `target` is another site's."""
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours and len(target) <= NEXT_LENGTH else reverse("index")


def is_locked(request: HttpRequest, username: str) -> bool:
    """Return whether this address has failed too often as this user, in any way of signing in."""
    return settings.AXES_ENABLED and not AxesProxyHandler.is_allowed(request, {"username": username})


def locked(request: HttpRequest) -> HttpResponse:
    """Return the answer to a user who has failed too often."""
    return render(request, "registration/locked.html", status=429)


def forget_failures(request: HttpRequest, username: str) -> None:
    """Forget the failed tries under this name from the address of a user who has just proved who they are."""
    if settings.AXES_ENABLED:
        reset(username=username, ip=request.META.get("REMOTE_ADDR"))


def count_failure(request: HttpRequest, username: str, *, by: str) -> None:
    """Count a failed try like a wrong password, and log it."""
    user_login_failed.send(sender=__name__, credentials={"username": username, "by": by}, request=request)
