"""Logs once what an installation behind a proxy lacks: the cause, the setting that solves it, and its value."""

import logging
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http.request import split_domain_port, validate_host

from chat import limits

logger = logging.getLogger("multichat.hints")

# The most lines for one cause, because clients can cause some of them with any number of names.
MAX_PER_CAUSE = 50
# `host`: the proxy passes another Host than the browser's. `name`: it is not in ALLOWED_HOSTS. `scheme`: HTTPS is off.
Cause = Literal["host", "name", "scheme", "origin"]
WORD = re.compile(r"[\x21-\x7e]{1,200}")
CSRF_ORIGIN = re.compile(r"(?:Origin|Referer) checking failed - (\S+) does not match any trusted origins")
CODE = re.compile(r"(/invite/|/accounts/reset/|/hooks/)[^\s\"'<>]+")

_logged: set[tuple[str, str]] = set()


def once(cause: str, sentence: str, *, key: str = "") -> None:
    """Log a sentence, unless this cause was logged with the same key before."""
    if _is_new(cause, key):
        logger.warning("%s", sentence)


@receiver(setting_changed)
def clear(**kwargs: Any) -> None:
    """Forget which causes were logged, because a test has changed a setting."""
    _logged.clear()


def forwarded_header_ignored(peer: str) -> None:
    """Log that a forwarded header came from an address that is not a trusted proxy."""
    once(
        "proxy",
        f"Forwarded headers from {_printable(peer)} were ignored, so all visitors behind it count as one address. "
        f"If it is your proxy, set TRUSTED_PROXIES={_printable(peer)}.",
        key=peer,
    )


def not_https() -> None:
    """Log that a request without X-Forwarded-Proto is redirected to https, which may be a loop."""
    once(
        "https",
        "HTTPS is on, and a request came without X-Forwarded-Proto, so it was redirected to https. If a proxy with TLS "
        "sent it, browsers are redirected forever: make the proxy set X-Forwarded-Proto (nginx: proxy_set_header "
        "X-Forwarded-Proto $scheme;). If there is no TLS, set HTTPS=off.",
    )


def path_prefix(prefix: str) -> None:
    """Log that a proxy serves the site below a path."""
    once(
        "prefix",
        f"A proxy forwards {_printable(prefix)} to this server. Multichat works at the root of a host name only, "
        "not below a path. Give it a host name of its own, such as chat.example.com.",
    )


def origin_refused(origin: str, host: str) -> None:
    """Log that a page was not allowed to open a socket."""
    if not WORD.fullmatch(origin) or not _hostname(origin):
        return
    once("origin", f"A page of {origin} may not open a socket here. {_advice(origin, host)}", key=origin)


def cause_of_refusal(origin: str, host: str) -> Cause:
    """Return why a page of `origin` may not open a socket at `host`: the first of the checks that fails."""
    scheme, _, origin_host = origin.partition("://")
    if origin_host.lower() != host.lower():
        return "host"
    domain, _ = split_domain_port(host)
    if not validate_host(domain, settings.ALLOWED_HOSTS):
        return "name"
    return "scheme" if scheme == "https" and not settings.HTTPS else "origin"


def _advice(origin: str, host: str) -> str:
    match cause_of_refusal(origin, host):
        case "host":
            named = host if WORD.fullmatch(host) else "invalid"
            return (
                f"The request's Host is {named}. If the page belongs to this site, make the proxy pass the browser's "
                "Host (nginx: proxy_set_header Host $http_host;); otherwise set "
                f"CSRF_TRUSTED_ORIGINS={origin}."
            )
        case "name":
            return f"If this is a name of this site, set ALLOWED_HOSTS={split_domain_port(host)[0]}."
        case "scheme":
            return "If a proxy with TLS is in front, set HTTPS=on."
        case "origin":
            return f"To allow it, set CSRF_TRUSTED_ORIGINS={origin}."


def _hostname(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _printable(text: str) -> str:
    return text if WORD.fullmatch(text) else ascii(text[:200])


class Noise(logging.Filter):
    """Limits the log lines that invalid requests cause: they become warnings without traceback, at a limited rate.

    The filter is on the handler, because Django uses a logger for each kind of invalid request.
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


class HiddenCodes(logging.Filter):
    """Takes the codes of invitations, of links to reset a password and of hooks out of addresses in log lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        hidden = CODE.sub(r"\1…", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True


class Once(logging.Filter):
    """Decides once for each record, because a logger whose configuration was read twice has this filter twice."""

    def filter(self, record: logging.LogRecord) -> bool:
        if "is_first_of_kind" not in record.__dict__:
            record.__dict__["is_first_of_kind"] = self.is_first(record)
        return bool(record.__dict__["is_first_of_kind"])

    def is_first(self, record: logging.LogRecord) -> bool:
        raise NotImplementedError


class OncePerHost(Once):
    """Passes one line for each refused Host header. Django's message names ALLOWED_HOSTS."""

    def is_first(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return _is_new("host", record.getMessage())


class OncePerOrigin(Once):
    """Replaces Django's line about a form from a foreign origin with one that names the setting, once per origin."""

    def is_first(self, record: logging.LogRecord) -> bool:
        match = CSRF_ORIGIN.search(record.getMessage())
        if not match:
            return True
        origin = match[1]
        request: Any = getattr(record, "request", None)
        host = request.META.get("HTTP_HOST", "") if request is not None else ""
        if not _is_new("form", origin) or not WORD.fullmatch(origin):
            return False
        record.msg, record.args = "A form of %s was refused. %s", (origin, _advice(origin, host))
        return True


def _is_new(cause: str, key: str) -> bool:
    if (cause, key) in _logged or sum(logged == cause for logged, _ in _logged) >= MAX_PER_CAUSE:
        return False
    _logged.add((cause, key))
    return True
