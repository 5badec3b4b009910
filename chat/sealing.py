"""Encrypts secrets that the database keeps, with keys made of SECRET_KEY: one for each purpose."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.utils.crypto import salted_hmac


class SealError(Exception):
    """A secret cannot be read, because it was stored with another SECRET_KEY."""


def seal(secret: str, purpose: str) -> str:
    """Return a secret encrypted."""
    return _cipher(purpose).encrypt(secret.encode()).decode()


def unseal(sealed: str, purpose: str) -> str:
    """Return the secret that `seal` was given. Raises SealError."""
    try:
        return _cipher(purpose).decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealError from error


def _cipher(purpose: str) -> Fernet:
    digest = salted_hmac(purpose, settings.SECRET_KEY, algorithm="sha256").digest()
    return Fernet(urlsafe_b64encode(digest))
