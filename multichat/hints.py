"""Says once what an installation behind a proxy lacks: the cause, the setting that allows it, and its value."""

import logging
import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http.request import split_domain_port, validate_host

from chat import limits

logger = logging.getLogger("multichat.hints")

# Anybody can cause some of these with as many names as they like.
MOST = 50
WORD = re.compile(r"[\x21-\x7e]{1,200}")
CSRF_ORIGIN = re.compile(r"(?:Origin|Referer) checking failed - (\S+) does not match any trusted origins")

_said: set[tuple[str, str]] = set()


def once(cause: str, sentence: str, *, key: str = "") -> None:
    """Log a sentence, unless this cause was logged with the same key before."""
    if _is_new(cause, key):
        logger.warning("%s", sentence)


@receiver(setting_changed)
def clear(**kwargs: Any) -> None:
    """Forget what was said: for tests, and when one has changed a setting."""
    _said.clear()


def forwarded_header_ignored(peer: str) -> None:
    """A forwarded header came from an address that is no trusted proxy."""
    once(
        "proxy",
        f"Forwarded headers from {_printable(peer)} were ignored, so every visitor behind it counts as one address. "
        f"If it is your proxy, set TRUSTED_PROXIES={_printable(peer)}.",
        key=peer,
    )


def not_https() -> None:
    """A request is about to be redirected to https, and nothing said how the browser had made it."""
    once(
        "https",
        "HTTPS is on, and a request came without X-Forwarded-Proto, so it was redirected to https. If a proxy with TLS "
        "sent it, browsers are redirected for ever: let the proxy set X-Forwarded-Proto (nginx: proxy_set_header "
        "X-Forwarded-Proto $scheme;). If there is no TLS, set HTTPS=off.",
    )


def path_prefix(prefix: str) -> None:
    """A proxy says that it serves the site below a path."""
    once(
        "prefix",
        f"A proxy forwards {_printable(prefix)} to this server. Multichat works at the root of a host name only, "
        "not below a path: give it a name of its own, such as chat.example.com.",
    )


def origin_refused(origin: str, host: str) -> None:
    """A page was not allowed to open a socket."""
    if not WORD.fullmatch(origin) or not _hostname(origin):
        return
    once("origin", f"A page of {origin} may not open a socket here. {_advice(origin, host)}", key=origin)


def _advice(origin: str, host: str) -> str:
    scheme, _, place = origin.partition("://")
    if place.lower() != host.lower():
        if not WORD.fullmatch(host):
            host = "no name"
        return (
            f"The request's Host is {host}. If the page is this site's own, let the proxy pass the browser's Host "
            f"(nginx: proxy_set_header Host $http_host;); otherwise set CSRF_TRUSTED_ORIGINS={origin}."
        )
    domain, _ = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return f"If it is a name of this site, set ALLOWED_HOSTS={domain}."
    if scheme == "https" and not settings.HTTPS:
        return "If a proxy with TLS is in front, set HTTPS=on."
    return f"If it may, set CSRF_TRUSTED_ORIGINS={origin}."


def _hostname(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _printable(text: str) -> str:
    return text if WORD.fullmatch(text) else ascii(text[:200])


class Noise(logging.Filter):
    """Bounds the lines that anybody can cause by a wrong request: without traceback, as warnings, at a pace.

    On the handler, because Django names a logger after each kind of wrong request.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bucket = limits.TokenBucket("LOG_LINES")

    def filter(self, record: logging.LogRecord) -> bool:
        is_security = record.name.startswith("django.security")
        is_request = record.name == "django.request" and record.levelno <= logging.WARNING
        if not (is_security or is_request):
            return True
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        return self._bucket.take() == 0


class Once(logging.Filter):
    """Lets a line through once. A logger may hold it twice, because its configuration may be read twice."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "is_said_first" not in record.__dict__:
            record.__dict__["is_said_first"] = self.is_first(record)
        return bool(record.__dict__["is_said_first"])

    def is_first(self, record: logging.LogRecord) -> bool:
        raise NotImplementedError


class OncePerHost(Once):
    """Lets through one line for each refused Host header, as Django words it: it names ALLOWED_HOSTS."""

    def is_first(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return _is_new("host", record.getMessage())


class OncePerOrigin(Once):
    """Turns Django's line about a form of a foreign origin into one that names the setting, once per origin."""

    def is_first(self, record: logging.LogRecord) -> bool:
        found = CSRF_ORIGIN.search(record.getMessage())
        if not found:
            return True
        origin = found[1]
        request: Any = getattr(record, "request", None)
        host = request.META.get("HTTP_HOST", "") if request is not None else ""
        if not _is_new("form", origin) or not WORD.fullmatch(origin):
            return False
        record.msg, record.args = "A form of %s was refused. %s", (origin, _advice(origin, host))
        return True


def _is_new(cause: str, key: str) -> bool:
    if (cause, key) in _said or sum(said == cause for said, _ in _said) >= MOST:
        return False
    _said.add((cause, key))
    return True
