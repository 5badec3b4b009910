"""Identities of a single sign-on: which user has linked which, new users made from one, and staff by a claim.

Imported only where OIDC_ISSUER is set, because allauth is an optional package.
"""

from typing import Any, NamedTuple

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from chat import audit
from chat.models import Invitation
from chat.store import display_names, invitations, names

User = get_user_model()
# The claims that a new user is made from, and the fields that they fill.
CLAIMS = {"given_name": "first_name", "family_name": "last_name", "email": "email"}
MAX_SUBJECT = 191  # of allauth's column; OpenID Connect allows 255


class Identity(NamedTuple):
    """What the provider said of a user: who they are, what they are called, and whether they are staff."""

    subject: str
    username: str
    fields: dict[str, str]
    is_staff: bool | None


class LinkedError(Exception):
    """Another user has linked this identity, or this user has linked another."""


def identity_of(claims: dict[str, Any]) -> Identity:
    """Return what we use of the claims. `is_staff` is None unless OIDC_STAFF is set."""
    lengths = {field.name: getattr(field, "max_length", None) for field in User._meta.get_fields()}
    fields = {}
    for claim, field in CLAIMS.items():
        value = claims.get(claim)
        if field in lengths and isinstance(value, str) and "\x00" not in value:
            fields[field] = value.strip()[: lengths[field]]
    if claims.get("email_verified") is not True:
        fields.pop("email", None)
    wanted = claims.get("preferred_username")
    username = wanted.strip() if isinstance(wanted, str) else ""
    return Identity(str(claims["sub"]), username, fields, _is_staff(claims))


def user_of(subject: str) -> Any | None:
    """Return the user who has linked the identity."""
    rows = SocialAccount.objects.filter(provider=settings.OIDC.key, uid=subject)
    found = rows.select_related("user").first()
    return found.user if found else None


def is_linked(user_id: Any) -> bool:
    """Return whether the user has linked an identity."""
    return bool(SocialAccount.objects.filter(provider=settings.OIDC.key, user=user_id).exists())


def link(user: Any, subject: str, *, address: str | None) -> None:
    """Link an identity to the signed-in user. Raises LinkedError."""
    with transaction.atomic():
        # Under the user's lock, so that two tabs never link two identities.
        User._base_manager.select_for_update().get(pk=user.pk)
        owner = user_of(subject)
        if owner == user:
            return
        if owner is not None or is_linked(user.pk):
            raise LinkedError
        try:
            with transaction.atomic():
                _store(user, subject)
        except IntegrityError:
            raise LinkedError from None
    audit.write("identity_linked", user=user.pk, address=address)


def unlink(user: Any, *, address: str | None) -> None:
    """Unlink the user's identity."""
    if SocialAccount.objects.filter(provider=settings.OIDC.key, user=user).delete()[0]:
        audit.write("identity_unlinked", user=user.pk, address=address)


def create_user(
    identity: Identity, username: str, *, invitation: Invitation | None, address: str | None
) -> tuple[Any, list[int]]:
    """Make a user without a password and link the identity; return the user and the rooms that are opened for them.

    Raises NameRefused, and invitations.UsedUpError. Then nothing is stored.
    """
    user = User(**{User.USERNAME_FIELD: username}, **identity.fields)
    user.set_unusable_password()
    names.check_username(username)
    try:
        display_names.check_display_name(display_names.full_name(user), None)
    except names.NameRefused:
        for field in display_names.FIELDS:
            setattr(user, field, "")
    with transaction.atomic():
        if invitation is not None:
            rooms = invitations.accept(invitation, user, address=address)
        else:
            user.save()
            rooms = []
            audit.write("signed_up", user=user.pk, username=username, by="single sign-on", address=address)
        _store(user, identity.subject)
    audit.write("identity_linked", user=user.pk, address=address)
    return user, rooms


def apply_staff(user: Any, is_staff: bool | None, *, address: str | None) -> None:
    """Give or take the staff flag as the provider says. Open pages learn it within a second.

    Superusers keep it: they are made by hand, so that a mistake at the provider locks no administrator out.
    """
    if is_staff is None:
        return
    with transaction.atomic():
        stored: Any = User._base_manager.select_for_update().get(pk=user.pk)
        if stored.is_superuser or stored.is_staff == is_staff:
            return
        stored.is_staff = user.is_staff = is_staff
        stored.save(update_fields=["is_staff"])
    audit.write("staff_given" if is_staff else "staff_taken", user=user.pk, by="single sign-on", address=address)


def _store(user: Any, subject: str) -> None:
    # The claims are not stored: a name or an address there may be of a former state.
    SocialAccount.objects.create(user=user, provider=settings.OIDC.key, uid=subject, last_login=timezone.now())


def _is_staff(claims: dict[str, Any]) -> bool | None:
    if settings.OIDC_STAFF is None:
        return None
    name, wanted = settings.OIDC_STAFF
    value = claims.get(name)
    return wanted in (value if isinstance(value, list) else [value])
