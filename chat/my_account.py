"""The page of the user's own account: name, e-mail address, password, and the browsers where they are signed in."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from chat import appearance, audit, login_steps
from chat.confirming import STALE, has_password, is_fresh
from chat.own_password import address_of, refuse_too_many
from chat.store import display_names, names, sign_ins, user_pictures

# A site's own user model may not have all of these fields.
_KNOWN = {field.name for field in get_user_model()._meta.get_fields()}
FIELDS = [name for name in ("first_name", "last_name", "email") if name in _KNOWN]


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name and e-mail address. Another address needs the password, because a password can be reset through it.

    Users who have no password must have signed in a few minutes ago.
    """

    password = forms.CharField(
        label=gettext_lazy("Password"),
        required=False,
        strip=False,
        max_length=4096,
        help_text=gettext_lazy("Only needed to change your e-mail address."),
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    class Meta:
        model = get_user_model()
        fields = FIELDS
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name", "dir": "auto"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name", "dir": "auto"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
        }
        labels = {
            "first_name": gettext_lazy("First name"),
            "last_name": gettext_lazy("Last name"),
            "email": gettext_lazy("E-mail address"),
        }

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        # A stored password counts even where the site accepts none now, because it can be reset once it does again.
        if not self.instance.has_usable_password():
            del self.fields["password"]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if {*display_names.FIELDS} & {*self.changed_data}:
            for name in display_names.FIELDS:
                if display_names.has_invisible(values.get(name, "")):
                    self.add_error(name, display_names.INVISIBLE)
            wanted = " ".join(filter(None, (values.get(name, "") for name in display_names.FIELDS)))
            try:
                display_names.check_display_name(wanted, self.instance.pk)
            except names.NameRefused as refusal:
                if not self.errors:
                    self.add_error(display_names.FIELDS[0], refusal.message)
        if "email" in self.changed_data and "email" in values:
            self._confirm_email(values.get("password", ""))
        return values

    def _confirm_email(self, password: str) -> None:
        if "password" not in self.fields:
            if not is_fresh(self.request):
                self.add_error("email", STALE)
            return
        stored = type(self.instance)._default_manager.get(pk=self.instance.pk)
        if not stored.check_password(password):
            self.add_error("password", gettext("Enter your password to change your e-mail address."))


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """Show the account, and save the name and the e-mail address."""
    user: Any = get_user_model()._default_manager.get(pk=request.user.pk or 0)
    form = AccountForm(request.POST if request.method == "POST" else None, instance=user, request=request)
    if request.method == "POST":
        # Per user, because a stolen session must not be used to guess the password.
        if refusal := refuse_too_many(request, ("change", user.pk)):
            return refusal
        if form.is_valid():
            # Never the whole row: a right that an administrator takes away meanwhile would come back.
            user.save(update_fields=FIELDS)
            if "email" in form.changed_data:
                audit.write("email_changed", user=user.pk, address=address_of(request))
            return redirect("account")
    sessions = sign_ins.list_sessions(user, request.session.session_key)
    picture = user_pictures.keys_of([user.pk]).get(user.pk)
    context = {
        "picture": picture,
        "form": form,
        "sessions": sessions,
        "appearance": appearance.form_of(user.pk),
        **_ways_of(user),
    }
    return render(request, "registration/account.html", context)


@require_POST
@login_required
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign out in one other browser."""
    sign_ins.end_session(request.user, pk)
    return redirect("account")


@require_POST
@login_required
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Sign out in all browsers, this one included."""
    sign_ins.end_all_sessions(request.user)
    if settings.SECOND_FACTOR:
        from chat.store import second_factors

        second_factors.end_steps(request.user.pk)
    logout(request)
    return redirect("login")


def _ways_of(user: Any) -> dict[str, Any]:
    """Return how the user can log in, for the page of the account."""
    found = {"ways": login_steps.ways(), "has_password": has_password(user), "is_linked": False}
    found["second_factor_is_offered"] = settings.SECOND_FACTOR
    if settings.OIDC.issuer:
        from chat.store import identities

        found["is_linked"] = identities.is_linked(user.pk)
    return found
