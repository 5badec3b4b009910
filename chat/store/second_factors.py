"""The second factors of users: an authenticator app, recovery codes and passkeys.

Imported only where SECOND_FACTOR is on, because allauth is an optional package.
"""

from typing import Any, NamedTuple

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.webauthn.internal import auth as webauthn
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from chat import sealing

Kind = Authenticator.Type
# Recovery codes alone are no second factor: they stand in for a lost one.
FACTORS = (Kind.TOTP, Kind.WEBAUTHN)
NAME_LENGTH = 60
MAX_PASSKEYS = 20
# The purpose of the key that encrypts the secrets of factors.
SEALED = "second factors"
# What a browser may send as a passkey. Real ones have less than 2,000 characters.
MAX_CREDENTIAL = 16_000
# The number of the last period whose code was accepted, in a row's data.
LAST_PERIOD = "last_period"
# How many wrong codes came one after the other, and when the last one did, in a row's data.
FAILURES = "failures"
# After so many, each further one doubles the wait. An attacker who knows the password, and has many addresses, gets
# about a hundred tries a day of a million codes.
FREE_FAILURES = 5
FIRST_WAIT_SECONDS = 30
MAX_WAIT_SECONDS = 900
# When the user last signed out everywhere, in a row's data.
STEPS_ENDED_AT = "steps_ended_at"
# What fido2 and allauth raise for an answer that they cannot read, or that is wrong.
_INVALID = (ValidationError, ValueError, TypeError, KeyError, AttributeError, LookupError)


class Factors(NamedTuple):
    """What a user has, for the page of the account."""

    app: Any
    passkeys: list[Any]
    codes_left: int

    @property
    def is_on(self) -> bool:
        return bool(self.app or self.passkeys)


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]  # it ships no types
    """Encrypts what allauth stores, so that a copy of the database alone gives no codes."""

    def encrypt(self, text: str) -> str:
        return sealing.seal(text, SEALED)

    def decrypt(self, encrypted_text: str) -> str:
        return sealing.unseal(encrypted_text, SEALED)

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Multichat"}

    def get_public_key_credential_user_entity(self, user: Any) -> dict[str, Any]:
        return {**super().get_public_key_credential_user_entity(user), "name": user.get_username()}


def is_on(user_id: Any) -> bool:
    """Return whether the user has to show a second factor."""
    return bool(Authenticator.objects.filter(user=user_id, type__in=FACTORS).exists())


def factors_of(user_id: Any) -> Factors:
    """Return the user's factors."""
    rows = list(Authenticator.objects.filter(user=user_id).order_by("pk"))
    app = next((row for row in rows if row.type == Kind.TOTP), None)
    codes = next((row for row in rows if row.type == Kind.RECOVERY_CODES), None)
    try:
        left = len(RecoveryCodes(codes).get_unused_codes()) if codes else 0
    except sealing.SealError:
        left = 0
    return Factors(app, [row for row in rows if row.type == Kind.WEBAUTHN], left)


def accept_code(user_id: Any, code: str) -> str:
    """Use a code of the app or a recovery code up, and return which it was; "" if it is wrong or was used before."""
    code = code.replace(" ", "").replace("-", "")
    if not code or not code.isascii() or len(code) > 20:
        return ""
    with transaction.atomic():
        # Under the rows' locks, so that two requests never use the same code, in any process, and each failure counts.
        rows = _rows_with_codes(Authenticator.objects.select_for_update(), user_id)
        if not rows or _wait_of(rows[0]):
            return ""
        used = _use_code(rows, code)
        if used:
            _forget_failures(rows[0])
        else:
            _count_failure(rows[0])
    return used


def code_wait(user_id: Any) -> float:
    """Return the seconds until a code of this user is checked again, after too many wrong ones."""
    rows = _rows_with_codes(Authenticator.objects.all(), user_id)
    return _wait_of(rows[0]) if rows else 0.0


def end_steps(user_id: Any) -> None:
    """End each sign-in of the user that waits for its second step."""
    with transaction.atomic():
        for row in Authenticator.objects.select_for_update().filter(user=user_id):
            row.data[STEPS_ENDED_AT] = timezone.now().timestamp()
            row.save(update_fields=["data"])


def steps_ended_at(user_id: Any) -> float:
    """Return when the user last signed out everywhere, in seconds since 1970."""
    rows = Authenticator.objects.filter(user=user_id)
    return max((float(row.data.get(STEPS_ENDED_AT, 0)) for row in rows), default=0.0)


def is_app_code(secret: str, code: str) -> bool:
    """Return whether a code belongs to a secret that is being set up."""
    return bool(totp.validate_totp_code(secret, code.replace(" ", "")))


def turn_app_on(user: Any, secret: str) -> list[str]:
    """Store the app's secret, in place of an earlier one, and return new recovery codes if the user had none."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=Kind.TOTP).delete()
        totp.TOTP.activate(user, secret)
        return _first_codes(user)


def turn_app_off(user: Any) -> None:
    """Remove the app. Recovery codes go with the last factor."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=Kind.TOTP).delete()
        _remove_codes_without_factor(user)


def new_codes(user: Any) -> list[str]:
    """Return new recovery codes. The old ones end."""
    with transaction.atomic():
        Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).delete()
        return list(RecoveryCodes.activate(user).generate_codes())


def remove_all(user: Any) -> int:
    """Remove every factor of a user who has lost them, and return how many there were."""
    count: int = Authenticator.objects.filter(user=user, type__in=FACTORS).count()
    Authenticator.objects.filter(user=user).delete()
    return count


def begin_passkey(user: Any) -> dict[str, Any]:
    """Return what the browser needs to make a passkey. The challenge is in the session."""
    return dict(webauthn.begin_registration(user, passwordless=True))


def add_passkey(user: Any, name: str, credential: Any, *, origin: str) -> list[str] | None:
    """Store a passkey that the browser made, and return recovery codes if the user had none; None if it is invalid."""
    try:
        parsed = webauthn.parse_registration_response(credential)
        if parsed.response.client_data.origin != origin:
            return None
        bound = webauthn.complete_registration(credential)
    except _INVALID:
        return None
    if not bound.is_user_verified():
        return None
    with transaction.atomic():
        webauthn.WebAuthn.add(user, name, credential)
        return _first_codes(user)


def remove_passkey(user: Any, pk: int) -> bool:
    """Remove one passkey. Recovery codes go with the last factor."""
    with transaction.atomic():
        count, _ = Authenticator.objects.filter(user=user, type=Kind.WEBAUTHN, pk=pk).delete()
        _remove_codes_without_factor(user)
    return bool(count)


def begin_authentication(user: Any | None) -> dict[str, Any]:
    """Return what the browser needs to use a passkey: one of the user's, or any of this site."""
    return dict(webauthn.begin_authentication(user))


def user_of_credential(credential: Any) -> Any | None:
    """Return the user that a passkey names. Whether it is theirs is not known yet."""
    try:
        return webauthn.extract_user_from_response(credential)
    except _INVALID:
        return None


def accept_passkey(user: Any, credential: Any, *, origin: str) -> bool:
    """Return whether the browser's answer was signed by a passkey of the user, for the challenge in the session."""
    try:
        if webauthn.parse_authentication_response(credential).response.client_data.origin != origin:
            return False
        row = webauthn.complete_authentication(user, credential)
    except _INVALID:
        return False
    row.last_used_at = timezone.now()
    row.save(update_fields=["last_used_at"])
    return True


def _rows_with_codes(rows: Any, user_id: Any) -> list[Authenticator]:
    """Return the rows that accept codes, the app first. The first one counts the failures."""
    found = rows.filter(user=user_id).exclude(type=Kind.WEBAUTHN)
    return sorted(found, key=lambda row: row.type != Kind.TOTP)


def _use_code(rows: list[Authenticator], code: str) -> str:
    for row in rows:
        try:
            if row.type == Kind.TOTP and _accept_app_code(row, code):
                return "app"
            if row.type == Kind.RECOVERY_CODES and RecoveryCodes(row).validate_code(code):
                return "recovery code"
        except sealing.SealError:
            continue  # encrypted with another SECRET_KEY
    return ""


def _wait_of(row: Authenticator) -> float:
    count, at = row.data.get(FAILURES, (0, 0.0))
    if count < FREE_FAILURES:
        return 0.0
    wait = min(FIRST_WAIT_SECONDS * 2 ** min(count - FREE_FAILURES, 20), MAX_WAIT_SECONDS)
    return float(max(0.0, at + wait - timezone.now().timestamp()))


def _count_failure(row: Authenticator) -> None:
    row.data[FAILURES] = (row.data.get(FAILURES, (0, 0.0))[0] + 1, timezone.now().timestamp())
    row.save(update_fields=["data"])


def _forget_failures(row: Authenticator) -> None:
    # Read again, because allauth has changed the row of a recovery code through another object.
    row.refresh_from_db(fields=["data"])
    if row.data.pop(FAILURES, None):
        row.save(update_fields=["data"])


def _accept_app_code(row: Authenticator, code: str) -> bool:
    secret = Adapter().decrypt(row.data["secret"])
    for period in totp.yield_hotp_counters_from_time():
        is_right = compare_user_code(actual=code, expected=totp.format_hotp_value(totp.hotp_value(secret, period)))
        # A code that was read over a shoulder, and any earlier one, is worth nothing once it was used.
        if is_right and period > row.data.get(LAST_PERIOD, -1):
            row.data[LAST_PERIOD] = period
            row.last_used_at = timezone.now()
            row.save(update_fields=["data", "last_used_at"])
            return True
    return False


def _first_codes(user: Any) -> list[str]:
    if Authenticator.objects.filter(user=user, type=Kind.RECOVERY_CODES).exists():
        return []
    return list(RecoveryCodes.activate(user).generate_codes())


def _remove_codes_without_factor(user: Any) -> None:
    if not is_on(user.pk):
        Authenticator.objects.filter(user=user).delete()
