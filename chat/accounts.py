"""Signing in and out: outdated login forms, the signed-in user, and sessions that survive a change of password."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import LogoutView
from django.contrib.sessions.models import Session as WebSession
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.csrf import csrf_failure as default_csrf_failure
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from chat import login_steps
from chat.admin_lists import bounded_options, login_options
from chat.store import sign_ins
from chat.store.policies import SUCCESSOR
from multichat.login import LoginView

# Sockets learn within a second that their session has a new key. A server that hangs takes longer.
SUCCESSOR_LIFETIME = timedelta(hours=1)
LOGIN_FORMS = ("login", "admin:login", "second_factor", "passkey")
# Forms whose fields are kept when their token is outdated: of a signed-in user, whom they name, and of visitors.
USERS_FORMS = ("account", "invite", "password_change")
VISITORS_FORMS = ("password_reset", "password_reset_confirm", "sign_up", "sso_name")
PASSWORD_VIEWS = ("password_change", "user_change_password")

View = Callable[..., HttpResponseBase]


class SignIn(LoginView):
    """The login form. It redirects users who were sent here and have signed in meanwhile, in another tab."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Without `next`, the user opened the form themselves, perhaps to sign in as another user.
        if request.user.is_authenticated and self.get_redirect_url():
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if settings.OIDC_ONLY:
            return render(request, "registration/login.html", self.get_context_data(form=None), status=403)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        return login_steps.sign_in(self.request, form.get_user(), self.get_success_url(), by="password")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        is_again = "again" in self.request.GET
        return super().get_context_data(is_again=is_again, ways=login_steps.ways(), **kwargs)


class SignOut(LogoutView):
    """Signs out by POST. A GET shows a page with one button."""

    http_method_names = ("get", "head", "post", "options")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return HttpResponseRedirect(self.get_success_url())
        return render(request, "registration/logout.html")


@require_safe
@never_cache
def session(request: HttpRequest) -> HttpResponse:
    """Return the id of the signed-in user to the page: `{"user":7}`, or null."""
    return JsonResponse({"user": request.user.pk})


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose CSRF token is wrong, without doing what the form asked for.

    Signing in gives the browser a new token, so forms that other tabs showed before are outdated.
    """
    try:
        view_name = resolve(request.path_info).view_name
    except Resolver404:
        view_name = ""
    if view_name in LOGIN_FORMS:
        return _login_again(request)
    if view_name == "logout" and request.user.is_authenticated:
        return render(request, "registration/logout.html", {"is_again": True}, status=403)
    if view_name == "logout":
        return redirect("index")
    if view_name in ("accept_invitation", "sign_up") and request.user.is_authenticated:
        # Signed up in another tab. The page says so.
        return redirect(request.get_full_path())
    # What was typed for one user must not be sent for another one who has signed in since.
    is_theirs = view_name in USERS_FORMS and request.POST.get("for_user") == str(request.user.pk)
    if (is_theirs or view_name in VISITORS_FORMS) and _is_from_here(request):
        return _send_again(request)
    return default_csrf_failure(request, reason)


def _is_from_here(request: HttpRequest) -> bool:
    """Tell whether a page of ours sent the form: another site, or a browser without cookies, gets no fresh token."""
    is_own = request.headers.get("Origin") == f"{request.scheme}://{request.get_host()}"
    return is_own and settings.CSRF_COOKIE_NAME in request.COOKIES


def _send_again(request: HttpRequest) -> HttpResponse:
    """Show what was typed, with a button that sends it with a fresh token. Passwords are never sent back."""
    values = [(name, value) for name, many in request.POST.lists() for value in many if name != "csrfmiddlewaretoken"]
    fields = [(name, value) for name, value in values if "password" not in name]
    context = {"fields": fields, "has_password": len(fields) < len(values)}
    return render(request, "registration/send_again.html", context, status=403)


def _login_again(request: HttpRequest) -> HttpResponse:
    target = login_steps.own_target(request, request.POST.get("next") or request.GET.get("next") or "")
    if not request.user.is_authenticated:
        return HttpResponseRedirect(f"{reverse('login')}?{urlencode({'again': 1, 'next': target})}")
    asked = request.POST.get("username", "")
    if asked and asked != request.user.get_username():
        # Otherwise the user would continue under a name that is not the one they typed.
        return render(request, "registration/logout.html", {"asked": asked[:150]}, status=403)
    return HttpResponseRedirect(target)


class AdminSite(admin.AdminSite):
    """Django's admin with our name, in which changing a password keeps the session that changed it."""

    site_header = site_title = "Multichat"
    index_title = gettext_lazy("Administration")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register models whose lists count no whole table.

        The tables of second factors and identities are left out, because they belong to their users alone.
        """
        models: Any = [model_or_iterable] if isinstance(model_or_iterable, type) else model_or_iterable
        for model in models:
            if model.__module__.startswith("allauth."):
                continue
            ours = bounded_options(admin_class)
            if model._meta.app_label == "axes":
                ours |= login_options(admin_class)
            super().register(model, admin_class, **(ours | options))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the login page of the site where it has steps that the admin's own lacks."""
        if not settings.SECOND_FACTOR and not settings.OIDC.issuer:
            return super().login(request, extra_context)
        target = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        if request.user.is_authenticated and not self.has_permission(request):
            return redirect("index")
        return HttpResponseRedirect(f"{reverse('login')}?{urlencode({REDIRECT_FIELD_NAME: target})}")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        # The tables of failed logins are for programs. "Let them try again now" is an action on users.
        return [app for app in super().get_app_list(request, app_label) if app_label or app["app_label"] != "axes"]

    def index(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show what a user may change, or, if it is nothing, what their flag allows."""
        if not self.get_app_list(request):
            context = self.each_context(request) | {"title": gettext("Nothing to change here")}
            return render(request, "admin/nothing.html", context)
        return super().index(request, extra_context)

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        # All views of the admin pass here, also those of a site's own user model.
        if getattr(view, "__name__", "") in PASSWORD_VIEWS:
            view = keep_session(view)
        return super().admin_view(view, cacheable)


def keep_session(view: View) -> View:
    """Let the session in which a password is changed continue under its new key, with its open sockets.

    Django gives the session a new key, so that a stolen old cookie becomes useless. The password, the session and
    the reference from the old key to the new one are committed together, so no server sees one without the others.
    """

    @wraps(view)
    def keeping(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != "POST":
            return view(request, *args, **kwargs)
        before = request.session.session_key
        with transaction.atomic():
            response = view(request, *args, **kwargs)
            if before and request.session.session_key != before:
                request.session.save()
                _hand_over(request.session, before)
                sign_ins.record(request.user, request.session, request.META.get("HTTP_USER_AGENT", ""))
        return response

    return keeping


def _hand_over(session: Any, before: str) -> None:
    """Store the new key under the old one. The old key signs in no user."""
    WebSession.objects.update_or_create(
        session_key=before,
        defaults={
            "session_data": session.encode({SUCCESSOR: session.session_key}),
            "expire_date": timezone.now() + SUCCESSOR_LIFETIME,
        },
    )
