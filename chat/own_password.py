"""A user's own password: changing it, and resetting it by mail.

The answer to a reset is the same for an address that no user has, also in its time. Links in mails begin with
SITE_URL and never with the Host header, which the client chooses.
"""

from typing import Any
from urllib.parse import urlsplit

from axes.utils import reset as forget_failures
from django.conf import settings
from django.contrib.auth import get_user_model, views
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template import loader
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from chat import audit, limits
from chat.accounts import keep_session
from chat.store import appearances
from multichat.language import is_offered

MAIL = "registration/password_reset_email.txt"
SUBJECT = "registration/password_reset_subject.txt"


def address_of(request: HttpRequest) -> str:
    """Return the client's address as limits count it."""
    return limits.address_of({"client": (request.META.get("REMOTE_ADDR", ""), 0)}) or ""


def refuse_too_many(request: HttpRequest, *keys: object) -> HttpResponse | None:
    """Count a try for each key, and return the answer if that is too many: 429."""
    wait = max(limits.password_changes.take(key) for key in keys)
    if not wait:
        return None
    audit.write_noise("request_refused", reason="password_changes", address=address_of(request))
    response = render(request, "registration/too_many.html", status=429)
    response["Retry-After"] = str(int(wait) + 1)
    return response


def refuse_passwords(request: HttpRequest) -> HttpResponse | None:
    """Return the answer on a site whose users log in by single sign-on alone: 403."""
    if not settings.OIDC_ONLY:
        return None
    return render(request, "registration/no_passwords.html", {"provider": settings.OIDC.name}, status=403)


@method_decorator((keep_session, never_cache), name="dispatch")
class PasswordChange(views.PasswordChangeView):
    """Changes the password of the signed-in user. This session goes on, and the user's other sessions end."""

    template_name = "registration/change_password.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return refuse_passwords(request) or super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # Per user, because a stolen session must not be used to guess the password.
        if refusal := refuse_too_many(request, ("change", request.user.pk)):
            return refusal
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        audit.write("password_changed", user=self.request.user.pk, address=address_of(self.request))
        return super().form_valid(form)


class PasswordChangeDone(views.PasswordChangeDoneView):
    template_name = "registration/password_changed.html"


class ResetForm(PasswordResetForm):
    """Sends the mails. For an unknown address, it does the same work and sends none."""

    def send_mail(self, *args: Any, **options: Any) -> None:
        """Send a mail in the language of its reader, because any visitor may have asked for it."""
        reader = options.get("context", args[2] if len(args) > 2 else {})["user"]
        chosen = appearances.of(reader.pk).language
        with translation.override(chosen if is_offered(chosen) else translation.get_language()):
            super().send_mail(*args, **options)

    def save(self, *args: Any, **options: Any) -> None:
        context = site() | {"hours": settings.PASSWORD_RESET_TIMEOUT // 3600}
        users = list(self.get_users(self.cleaned_data["email"]))
        super().save(
            subject_template_name=SUBJECT,
            email_template_name=MAIL,
            domain_override=context["domain"],
            use_https=context["is_https"],
            token_generator=default_token_generator,
            extra_email_context=context,
        )
        if not users:
            model = get_user_model()
            appearances.of(0)
            nobody: Any = model(pk=0, **{model.get_email_field_name(): self.cleaned_data["email"]})
            values = context | {"user": nobody, "uid": "MA", "token": default_token_generator.make_token(nobody)}
            loader.render_to_string(MAIL, values | {"protocol": "https"})
            loader.render_to_string(SUBJECT, values)


@method_decorator(never_cache, name="dispatch")
class PasswordReset(views.PasswordResetView):
    """Asks for an e-mail address. A site that cannot send mail says whom to ask instead."""

    form_class = ResetForm
    template_name = "registration/reset_password.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if refusal := refuse_passwords(request):
            return refusal
        if not settings.EMAIL_URL:
            return render(request, "registration/reset_by_admin.html")
        return super().dispatch(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        asked = request.POST.get("email", "").strip().lower()[:254]
        if refusal := refuse_too_many(request, ("address", address_of(request)), ("email", asked)):
            return refusal
        return super().post(request, *args, **kwargs)


class PasswordResetDone(views.PasswordResetDoneView):
    template_name = "registration/reset_sent.html"


class PasswordResetConfirm(views.PasswordResetConfirmView):
    """Takes a new password from a user who followed the link in the mail. All sessions of the user end."""

    template_name = "registration/reset_confirm.html"

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return refuse_passwords(self.request) or super().dispatch(*args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        address = self.request.META.get("REMOTE_ADDR")
        # The user has most likely tried the old password several times before.
        assert self.user is not None, "the form is shown only to a user with a valid link"
        forget_failures(username=self.user.get_username(), ip=address)
        audit.write("password_reset", user=self.user.pk, address=address)
        return response


class PasswordResetComplete(views.PasswordResetCompleteView):
    template_name = "registration/reset_complete.html"


def site() -> dict[str, Any]:
    """Return the site's configured address, for the templates of mails."""
    parts = urlsplit(settings.SITE_URL)
    return {"domain": parts.netloc, "is_https": parts.scheme == "https", "site_url": settings.SITE_URL}
