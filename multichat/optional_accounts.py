"""Settings of second factors and single sign-on, which are optional. Without their variables, none of it is loaded."""

import hashlib
from importlib.util import find_spec
from typing import Any, NamedTuple

from django.utils.functional import Promise

from multichat import environment

PACKAGES = ("allauth", "fido2", "jwt", "oauthlib")
# How long the identity provider may take for each answer. The request holds one of a few threads meanwhile.
PROVIDER_SECONDS = 5


class Provider(NamedTuple):
    """An OpenID Connect provider; `issuer` is empty without one."""

    issuer: str
    client_id: str
    secret: str
    name: str | Promise  # the default is a translation

    @property
    def key(self) -> str:
        """The name of this provider in the database. Another issuer's subjects are other people."""
        return f"oidc-{hashlib.sha256(self.issuer.encode()).hexdigest()[:32]}"


def provider(issuer: str, client_id: str, secret: str, name: str | Promise) -> Provider:
    """Return the provider. All three variables are needed, or none."""
    if not issuer and not client_id and not secret:
        return Provider("", "", "", name)
    if not issuer or not client_id or not secret:
        environment.refuse("Single sign-on needs all of OIDC_ISSUER, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.")
    parts = environment.urlsplit_or_none(issuer)
    is_private = parts and (parts.scheme == "https" or environment.is_loopback(parts.hostname or ""))
    if not parts or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        environment.refuse(f"OIDC_ISSUER is {issuer!r}, but must be an address like https://login.example.com/team.")
    if not is_private:
        environment.refuse(f"OIDC_ISSUER is {issuer!r}, but must begin with https, because secrets are sent there.")
    return Provider(issuer.removesuffix("/"), client_id, secret, name)


def staff_claim(value: str) -> tuple[str, str] | None:
    """Return the name and the value of the claim that makes staff, as in `groups=chat-admins`."""
    if not value:
        return None
    name, equals, wanted = (part.strip() for part in value.partition("="))
    if not name or not equals or not wanted:
        environment.refuse(f"OIDC_STAFF is {value!r}, but must be a claim and its value, as in groups=chat-admins.")
    return name, wanted


def parse(*, second_factor: bool, provider: Provider, is_only: bool, site_url: str) -> dict[str, Any]:
    """Return Django's settings for allauth: its apps, its middleware and its options; none if both parts are off."""
    if is_only and not provider.issuer:
        environment.refuse("OIDC_ONLY is on, so OIDC_ISSUER is needed. Otherwise no user could log in.")
    if not second_factor and not provider.issuer:
        return {"apps": [], "middleware": [], "options": {}}
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        environment.refuse(
            "SECOND_FACTOR and OIDC_ISSUER need more packages. Run pip install -r requirements-accounts.lock "
            f"(missing: {', '.join(missing)})."
        )
    if provider.issuer and not site_url:
        environment.refuse("OIDC_ISSUER is set, so SITE_URL is needed: the provider sends users back to it.")
    apps = ["allauth", "allauth.account"]
    options: dict[str, Any] = {"ACCOUNT_EMAIL_VERIFICATION": "none"}
    if second_factor:
        apps.append("allauth.mfa")
        options |= {
            "MFA_ADAPTER": "chat.store.second_factors.Adapter",
            "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes", "webauthn"],
            "MFA_PASSKEY_LOGIN_ENABLED": True,
            "MFA_TOTP_TOLERANCE": 1,  # the clocks of phones differ
        }
    if provider.issuer:
        apps += ["allauth.socialaccount", "allauth.socialaccount.providers.openid_connect"]
        options |= {
            "SOCIALACCOUNT_ADAPTER": "chat.single_sign_on.Adapter",
            "SOCIALACCOUNT_REQUESTS_TIMEOUT": PROVIDER_SECONDS,
        }
    return {"apps": apps, "middleware": ["allauth.account.middleware.AccountMiddleware"], "options": options}
