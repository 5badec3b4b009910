"""Hashes passwords, and limits how many hashes are computed at the same time, because each takes memory and CPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, ScryptPasswordHasher
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext

from chat import limits


class PasswordsBusyError(Exception):
    """Too many passwords are being checked, and no check finished in time."""


class Turns:
    """Lets a few threads of this process compute at the same time. Others wait for a limited time."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @contextmanager
    def take(self) -> Iterator[None]:
        """Hold one turn. Raises PasswordsBusyError."""
        most = limits.of("PASSWORD_CHECKS")
        seconds = limits.of("PASSWORD_CHECKS_WAIT_SECONDS") or None
        with self._condition:
            if not self._condition.wait_for(lambda: not most or self._count < most, seconds):
                raise PasswordsBusyError
            self._count += 1
        try:
            yield
        finally:
            with self._condition:
                self._count -= 1
                self._condition.notify()


turns = Turns()


class Bounded:
    """A mixin for hashers, so that the limit applies everywhere: pages, admin, shell, commands."""

    def encode(self, password: str, salt: str, *args: Any, **kwargs: Any) -> str:
        with turns.take():
            return str(super().encode(password, salt, *args, **kwargs))  # type: ignore[misc]


class Argon2(Bounded, Argon2PasswordHasher):
    """Argon2id with OWASP's parameters (19 MiB, 2 iterations, 1 lane). Django's defaults use 100 MiB for each check.

    A password with another hash is accepted, and hashed again when its user signs in.
    """

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    def verify(self, password: str, encoded: str) -> bool:
        with turns.take():
            return super().verify(password, encoded)


# For hashes from earlier installations, and imported ones. Their verify() calls encode().


class PBKDF2(Bounded, PBKDF2PasswordHasher):
    pass


class Scrypt(Bounded, ScryptPasswordHasher):
    pass


class Middleware:
    """Answers 503 if a password could not be checked in time."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, PasswordsBusyError):
            return None
        sentence = gettext("Too many people are signing in at once. Wait a few seconds, then try again.")
        return HttpResponse(
            f"{sentence}\n", content_type="text/plain; charset=utf-8", status=503, headers={"Retry-After": "5"}
        )
