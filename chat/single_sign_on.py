"""Signing in by OpenID Connect: allauth speaks the protocol, and this module decides whom an identity signs in.

An identity is linked to an existing user by that user alone, who is signed in meanwhile. An e-mail address or a name
that the provider says links nothing. Imported only where OIDC_ISSUER is set.
"""

import logging
import time
from typing import Any
from urllib.parse import urlencode

import jwt
import requests
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django import forms
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from requests import RequestException

from chat import audit, login_steps, provider_requests
from chat.confirming import confirm, has_password
from chat.invitations import FOLLOWED
from chat.models import Invitation
from chat.own_password import address_of
from chat.store import identities, invitations, names

logger = logging.getLogger(__name__)

# Only with key pairs: with a shared secret, or without a signature, others could make tokens.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
CLOCK_SECONDS = 60  # by which the provider's clock may differ

# The name under which failed tries are counted. It has blanks, so no form makes a user of this name.
BY_SSO = "(by single sign-on)"
# The name in a session's data of an identity whose user has no username yet.
NEW = "new_identity"
NEW_SECONDS = 600
# What allauth raises when the provider answers something else than it should.
_BROKEN = (OAuth2Error, RequestException, KeyError, ValueError, TypeError, AttributeError)
NO_PROVIDER = gettext_lazy("Multichat couldn't reach the single sign-on. Try again in a few minutes.")
FAILED = gettext_lazy("The single sign-on didn't work. Try again, or ask an administrator of your team.")
CANCELLED = gettext_lazy("You cancelled the single sign-on.")
UNKNOWN = gettext_lazy(
    "No account here is linked to this identity. If you have an account, log in to it and link the identity under "
    "My account. Otherwise ask your team for an invitation."
)
UNKNOWN_ONLY = gettext_lazy("No account here is linked to this identity. Ask your team for an invitation.")
INACTIVE = gettext_lazy("This account was deactivated. Ask an administrator of your team.")
LINKED = gettext_lazy("This identity belongs to another account here, or your account is linked to another identity.")
SIGNED_OUT = gettext_lazy("You were logged out meanwhile, so nothing was linked. Log in, then link the identity again.")
ONLY_WAY = gettext_lazy("You have no password here, so you couldn't log in without this identity. It stays linked.")
USED_UP = gettext_lazy("The invitation ended meanwhile. Ask for a new one.")


class Client(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # it ships no types
    """Checks the signature of each id_token, and that the further claims are about the same user."""

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        # Never the Host header, which the client chooses.
        return settings.SITE_URL + reverse("sso_callback")

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        claims = self._verified(app, kwargs["response"]["id_token"])
        if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= identities.MAX_SUBJECT:
            raise OAuth2Error("no subject")
        if "userinfo_endpoint" in self.openid_config:
            more = self._fetch_user_info(token.token)
            # OpenID Connect Core 5.3.2: otherwise the answer is about another user.
            if more.get("sub") != claims["sub"]:
                raise OAuth2Error("userinfo has another subject")
            claims = {**more, **claims}
        return self.get_provider().sociallogin_from_response(request, {"id_token": claims})

    @property
    def openid_config(self) -> dict[str, Any]:
        return provider_requests.read(self.get_provider().server_url)

    def _verified(self, app: Any, id_token: str) -> dict[str, Any]:
        config = self.openid_config
        # OpenID Connect Discovery 4.3: otherwise a provider could speak for another one.
        if config["issuer"].removesuffix("/") != settings.OIDC.issuer:
            raise OAuth2Error("the provider has another issuer")
        try:
            try:
                claims = _decode(id_token, config, app.client_id)
            except (_NoKeyError, jwt.InvalidSignatureError):
                # The provider may have changed its keys since we read them.
                claims = _decode(id_token, config, app.client_id, is_renewed=True)
        except jwt.PyJWTError as error:
            raise OAuth2Error(f"invalid id_token: {error}") from error
        # OpenID Connect Core 3.1.3.7: the token may be meant for several, and was made for one of them.
        if claims.get("azp", app.client_id) != app.client_id:
            raise OAuth2Error("the id_token was made for another client")
        return claims


class _NoKeyError(OAuth2Error):  # type: ignore[misc]
    """No key of the provider, or more than one, fits the id_token."""


def _decode(id_token: str, config: dict[str, Any], client_id: str, *, is_renewed: bool = False) -> dict[str, Any]:
    """Return the claims of a token that the provider signed. Raises _NoKeyError, and PyJWTError."""
    wanted = jwt.get_unverified_header(id_token).get("kid")
    found = jwt.PyJWKSet.from_dict(provider_requests.read(config["jwks_uri"], is_renewed=is_renewed))
    # A provider with a single key need not name it.
    keys = [key for key in found.keys if wanted in (None, key.key_id)]
    if len(keys) != 1:
        raise _NoKeyError("no key, or more than one, fits the id_token")
    claims: dict[str, Any] = jwt.decode(
        id_token,
        keys[0].key,
        algorithms=ALGORITHMS,
        issuer=config["issuer"],
        audience=client_id,
        leeway=CLOCK_SECONDS,
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    return claims


class Provider(OpenIDConnectProvider):  # type: ignore[misc]
    oauth2_adapter_class = Client

    def get_callback_url(self) -> str:
        return reverse("sso_callback")


class Adapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Takes over once allauth has verified who the user is. None of allauth's own pages is shown."""

    def get_app(self, request: HttpRequest, provider: Any, client_id: Any = None) -> SocialApp:
        # Only the provider of the settings, never a row of the database.
        return SocialApp(
            provider=OpenIDConnectProvider.id,
            provider_id=settings.OIDC.key,
            name=str(settings.OIDC.name),
            client_id=settings.OIDC.client_id,
            secret=settings.OIDC.secret,
            settings={"server_url": settings.OIDC.issuer, "oauth_pkce_enabled": True},
        )

    def get_provider(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> Provider:
        return Provider(request=request, app=self.get_app(request, provider))

    def get_requests_session(self) -> requests.Session:
        return provider_requests.Session()

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        identity = identities.identity_of(sociallogin.account.extra_data["id_token"])
        raise ImmediateHttpResponse(_complete(request, identity, sociallogin.state))

    def on_authentication_error(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("error") == "cancelled":
            raise ImmediateHttpResponse(_sentence(request, CANCELLED))
        if (exception := kwargs.get("exception")) is not None:
            _log(exception)
        if isinstance(exception, OAuth2Error):
            # Only these count as tries: a provider that is away is no fault of the user.
            login_steps.count_failure(request, BY_SSO, by="single sign-on")
        elif exception is not None:
            raise ImmediateHttpResponse(_sentence(request, NO_PROVIDER, status=503))
        raise ImmediateHttpResponse(_sentence(request, FAILED))


@require_safe
@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Send the visitor to the provider. A link, because the content policy lets no form lead to another site."""
    target = login_steps.own_target(request, request.GET.get("next", ""))
    # Without `next`, the user opened the address themselves, perhaps to sign in as another user.
    if request.user.is_authenticated and request.GET.get("next"):
        return redirect(target)
    if login_steps.is_locked(request, BY_SSO):
        return login_steps.locked(request)
    return _to_provider(request, "login", target)


def link(request: HttpRequest) -> HttpResponse:
    """Begin to link an identity to the signed-in user."""

    def show_way(request: HttpRequest) -> HttpResponse:
        response = _to_provider(request, "connect", reverse("account"), user=str(request.user.pk))
        if response.status_code != 302:
            return response
        return render(request, "registration/sso_continue.html", {"link": response["Location"]})

    title = gettext("Link your account to %(provider)s?") % {"provider": settings.OIDC.name}
    sentence = gettext("Then you can also log in with it. You choose the identity on the next page.")
    return confirm(request, show_way, title=title, button=gettext("Continue"), back="account", sentence=sentence)


def unlink(request: HttpRequest) -> HttpResponse:
    """Unlink the user's identity, unless they could not log in without it."""

    def remove(request: HttpRequest) -> HttpResponse:
        if not has_password(request.user):
            return _sentence(request, ONLY_WAY, back="account")
        identities.unlink(request.user, address=address_of(request))
        return redirect("account")

    title = gettext("Unlink %(provider)s?") % {"provider": settings.OIDC.name}
    return confirm(request, remove, title=title, button=gettext("Unlink"), back="account")


@require_safe
@never_cache
def callback(request: HttpRequest) -> HttpResponse:
    """Take the visitor back from the provider."""
    if login_steps.is_locked(request, BY_SSO):
        return login_steps.locked(request)
    try:
        view = OAuth2CallbackView.adapter_view(Client(request, settings.OIDC.key))
        response: HttpResponse = view(request)
    except RequestException as error:
        # Discovery failed, which happens before allauth's own handler of errors.
        _log(error)
        response = _sentence(request, NO_PROVIDER, status=503)
    except _BROKEN as error:
        _log(error)
        login_steps.count_failure(request, BY_SSO, by="single sign-on")
        response = _sentence(request, FAILED)
    # The address has a code.
    response["Referrer-Policy"] = "no-referrer"
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


class NameForm(forms.Form):
    username = forms.CharField(
        label=gettext_lazy("Username"),
        max_length=150,
        help_text=gettext_lazy("Letters, digits and @ . + - _ only. Your name in rooms."),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )

    def clean_username(self) -> str:
        return check_username(self.cleaned_data["username"])


def check_username(name: str) -> str:
    """Return the normalized username. Raises ValidationError, also for a name that others would take for a user's."""
    user = get_user_model()
    field: Any = user._meta.get_field(user.USERNAME_FIELD)
    name = user.normalize_username(name)
    field.run_validators(name)
    if not name:
        raise ValidationError(names.EMPTY)
    names.check_username(name)
    return name


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def choose_name(request: HttpRequest) -> HttpResponse:
    """Let a new user choose a username, where the one that the provider says cannot be used."""
    new = request.session.get(NEW)
    if request.user.is_authenticated or not new or not 0 <= time.time() - new["at"] < NEW_SECONDS:
        return redirect("index" if request.user.is_authenticated else "login")
    form = NameForm(request.POST if request.method == "POST" else None, initial={"username": new["identity"][1]})
    if form.is_valid():
        identity = identities.Identity(*new["identity"])
        try:
            return _create(request, identity, form.cleaned_data["username"], new["target"])
        except names.NameRefused as refusal:
            form.add_error("username", refusal.message)
    return render(request, "registration/sso_name.html", {"form": form})


def _to_provider(request: HttpRequest, process: str, target: str, **data: str) -> HttpResponse:
    provider = get_adapter().get_provider(request)
    login_steps.shorten_session(request)
    try:
        response: HttpResponse = provider.redirect(request, process, next_url=target, data=data)
    except _BROKEN as error:
        _log(error)
        return _sentence(request, NO_PROVIDER, status=503)
    return response


def _log(error: Exception) -> None:
    # For the administrator. The answer of a provider that refused us says why, and has no token.
    logger.warning("single sign-on failed: %s: %.300s", type(error).__name__, str(error).replace("\n", " "))


def _complete(request: HttpRequest, identity: identities.Identity, state: dict[str, Any]) -> HttpResponse:
    address, target = address_of(request), state.get("next") or reverse("index")
    if state["process"] == "connect":
        return _link(request, identity, state["data"])
    user = identities.user_of(identity.subject)
    if user is None:
        return _sign_up(request, identity, target)
    if login_steps.is_locked(request, user.get_username()):
        return login_steps.locked(request)
    if not user.is_active:
        audit.write_noise("sign_in_failed", user=user.pk, by="single sign-on", reason="inactive", address=address)
        return _sentence(request, INACTIVE)
    identities.apply_staff(user, identity.is_staff, address=address)
    # Failures of one user must not lock out the colleagues behind the same address.
    login_steps.forget_failures(request, BY_SSO)
    return login_steps.sign_in(request, user, target, by="single sign-on")


def _link(request: HttpRequest, identity: identities.Identity, data: dict[str, str]) -> HttpResponse:
    # The user who asked for it, and not one who has signed in meanwhile in this browser.
    if not request.user.is_authenticated or str(request.user.pk) != data.get("user"):
        return _sentence(request, SIGNED_OUT)
    try:
        identities.link(request.user, identity.subject, address=address_of(request))
    except identities.LinkedError:
        return _sentence(request, LINKED, back="account")
    return redirect("account")


def _sign_up(request: HttpRequest, identity: identities.Identity, target: str) -> HttpResponse:
    if not _may_sign_up(_invitation(request)):
        return _refuse_unknown(request)
    try:
        return _create(request, identity, check_username(identity.username), target)
    except ValidationError:
        request.session[NEW] = {"identity": list(identity), "target": target, "at": time.time()}
        return redirect("sso_name")


def _create(request: HttpRequest, identity: identities.Identity, username: str, target: str) -> HttpResponse:
    """Make the user and sign them in. Raises NameRefused."""
    address, invitation = address_of(request), _invitation(request)
    # Checked again, because the visitor may take minutes to choose a name, and may send the form more than once.
    if not _may_sign_up(invitation):
        return _refuse_unknown(request)
    try:
        user, rooms = identities.create_user(identity, username, invitation=invitation, address=address)
    except names.NameRefused:
        raise
    except IntegrityError:
        if identities.user_of(identity.subject) is None:
            # Another visitor took the username between the check and the insert.
            raise names.NameRefused(names.TAKEN, code="unique") from None
        # Another tab has created this user, whom the provider now signs in.
        _forget_new(request)
        return redirect(f"{reverse('sso')}?{urlencode({'next': target})}")
    except invitations.UsedUpError:
        _forget_new(request)
        return _sentence(request, USED_UP)
    _forget_new(request)
    identities.apply_staff(user, identity.is_staff, address=address)
    if rooms:
        target = f"{reverse('index')}?rooms={','.join(map(str, rooms))}"
    return login_steps.finish(request, user, target, by="single sign-on")


def _invitation(request: HttpRequest) -> Invitation | None:
    pk = request.session.get(FOLLOWED)
    return invitations.find_followed(pk) if pk else None


def _may_sign_up(invitation: Invitation | None) -> bool:
    return bool(settings.OIDC_SIGN_UP or settings.SIGN_UP or invitation)


def _refuse_unknown(request: HttpRequest) -> HttpResponse:
    """Answer a visitor who may not become a user, and forget what they brought: an invitation that has ended."""
    was_invited = FOLLOWED in request.session
    _forget_new(request)
    audit.write_noise("sign_in_failed", by="single sign-on", reason="unknown identity", address=address_of(request))
    return _sentence(request, USED_UP if was_invited else UNKNOWN_ONLY if settings.OIDC_ONLY else UNKNOWN)


def _forget_new(request: HttpRequest) -> None:
    # Both together: an identity without its invitation must never become a user.
    for name in (FOLLOWED, NEW):
        request.session.pop(name, None)


def _sentence(request: HttpRequest, sentence: Promise, *, status: int = 403, back: str = "login") -> HttpResponse:
    return render(request, "registration/sso_failed.html", {"sentence": sentence, "back": back}, status=status)
