"""Reads the environment for the settings: an empty variable counts as unset, a wrong one ends with a sentence."""

import errno
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from . import proxies

YES: tuple[str, ...] = ("1", "on", "true", "yes")
NO: tuple[str, ...] = ("0", "off", "false", "no")
# PostgreSQL's host may be gone without a word: a new connection is given up after seconds, an old one within half a
# minute, where TCP alone would wait for a quarter of an hour.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# For a server only: migrations and backups may take their time. A process that was frozen in a transaction loses it,
# and what it had locked is free.
POSTGRES_SERVER_LIMITS = "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
# What a file system without hard links says: CIFS, exFAT, some network mounts.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
# For a process that has created a file to write it.
CLAIM_SECONDS = 2.0
SECRET_KEY_LENGTH = 50
SECRET_KEY_CHARACTERS = 5
# How programs are told that a proxy serves them below a path.
PATH_PREFIXES = ("SCRIPT_NAME", "FORCE_SCRIPT_NAME", "ROOT_PATH", "UVICORN_ROOT_PATH")
HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


def refuse(sentence: str) -> NoReturn:
    """End the program: one sentence on stderr, exit status 1, no traceback."""
    # SystemExit, not ImproperlyConfigured: Django, uvicorn and pytest all let it through, whoever imports the settings.
    raise SystemExit(f"Multichat: {sentence}")


def text(name: str, default: str = "") -> str:
    """Return the variable without surrounding blanks, or the default if it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """Return a yes or no."""
    value = text(name, "on" if default else "off").lower()
    if value not in YES + NO:
        refuse(f"{name} is {value!r}; it takes on or off (also true/false, yes/no, 1/0).")
    return value in YES


def port(name: str, default: int) -> int:
    """Return a TCP port."""
    return count(name, default, 65535)


def count(name: str, default: int, most: int) -> int:
    """Return how many of something, at least one."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= most):
        refuse(f"{name} is {value!r}; it takes a number from 1 to {most}.")
    return int(value)


def number(name: str, default: float) -> float:
    """Return a limit: 0 or more."""
    value = text(name, str(default))
    if not (value.isascii() and re.fullmatch(r"\d{1,9}(\.\d{1,3})?", value)):
        refuse(f"{name} is {value!r}; it takes a number, and 0 for no limit.")
    return float(value)


def host(name: str, default: str) -> str:
    """Return an address or host name to listen on, without brackets."""
    value = text(name, default).removeprefix("[").removesuffix("]")
    if not is_address(value) and not HOST_NAME.fullmatch(value):
        refuse(f"{name} is {value!r}; it takes an address like 127.0.0.1 or a host name, without scheme or port.")
    return value


def names(name: str, default: list[str], is_right: Callable[[str], bool], example: str) -> list[str]:
    """Return a list that is separated by commas."""
    values = [value.strip() for value in text(name).split(",") if value.strip()]
    for value in values:
        if not is_right(value):
            refuse(f"{name} contains {value!r}; it takes {example}, separated by commas.")
    return values or default


def is_pooled(name: str, options: dict[str, Any]) -> bool:
    """Take `pooler` out of the OPTIONS: whether PostgreSQL is reached through a pooler in transaction mode."""
    if (pooler := options.pop("pooler", None)) not in (None, "transaction"):
        refuse(f"{name} says pooler={pooler}; it takes pooler=transaction, which fits session mode too.")
    return pooler is not None


def postgres_options(given: dict[str, Any], *, is_server: bool) -> dict[str, Any]:
    """Return OPTIONS with how long PostgreSQL is waited for; what the address says itself goes before."""
    options = POSTGRES_OPTIONS | given
    if is_server:
        options["options"] = f"{POSTGRES_SERVER_LIMITS} {given.get('options', '')}".rstrip()
    return options


def redis_url(name: str, fallback: str) -> str:
    """Return the address of Redis, or "" for none; `fallback` is the tutorials' variable with host[:port]."""
    if url := text(name):
        parts = urlsplit_or_none(url)
        if not parts or not (
            parts.path if parts.scheme == "unix" else parts.scheme in ("redis", "rediss") and parts.hostname
        ):
            refuse(
                f"{name} is not an address of Redis; it takes redis://host:port/0, rediss://… or unix:///path/to/socket."
            )
        return url
    if not (place := text(fallback)):
        return ""
    parts = urlsplit_or_none(f"redis://{place}")
    if not parts or not parts.hostname or place != parts.netloc or "@" in place:
        refuse(f"{fallback} is {place!r}; it takes host or host:port.")
    return f"redis://{place if parts.port else place + ':6379'}/0"


def urlsplit_or_none(url: str) -> Any:
    """Return the parts of an address, or None if it has none (a wrong port, brackets that do not match)."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError when it is no number
    except ValueError:
        return None
    return parts


def is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def is_loopback(value: str) -> bool:
    return value.lower() == "localhost" or (is_address(value) and ip_address(value).is_loopback)


def is_wildcard(value: str) -> bool:
    return is_address(value) and ip_address(value).is_unspecified


def in_url(value: str) -> str:
    """Return a host as it is written in an address: IPv6 in brackets."""
    return f"[{value}]" if ":" in value else value


def is_host_pattern(value: str) -> bool:
    """Tell whether Django's ALLOWED_HOSTS can match it: chat.example.com, .example.com, [::1], *."""
    bare = value.removeprefix("[").removesuffix("]") if value.startswith("[") else value.removeprefix(".")
    return value == "*" or bool(HOST_NAME.fullmatch(bare)) or (value.startswith("[") and is_address(bare))


def is_network(value: str) -> bool:
    """Tell whether it names who may forward: an address, a network, or `unix` for a Unix socket."""
    try:
        proxies.network(value)
    except ValueError:
        return False
    return True


def is_origin(value: str) -> bool:
    """Tell whether it is scheme, host and perhaps a port, as in https://chat.example.com:8443."""
    parts = urlsplit_or_none(value)
    return bool(
        parts and parts.scheme in ("http", "https") and parts.hostname and value == f"{parts.scheme}://{parts.netloc}"
    )


def secret_key(name: str, directory: Path) -> str:
    """Return the secret key: the variable, else the one in `directory`, made there at first start."""
    if value := text(name):
        if not is_secret(value):
            refuse(
                f"{name} is too easy to guess: it takes at least {SECRET_KEY_LENGTH} random characters, such as the "
                "output of: python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"
            )
        return value
    path = directory / "secret_key"
    try:
        if not path.exists():
            create_once(path, secrets.token_urlsafe(64))
        key = _read_when_written(path)
    except (OSError, ValueError) as error:
        refuse(f"{name} is not set, and {path} cannot be used: {error}.")
    if not is_secret(key):
        refuse(f"{path} does not hold a secret key; remove it and a new one is made (everybody signs in again).")
    return key


def is_secret(key: str) -> bool:
    """Tell whether a key is long enough, and not one character over and over (as Django's check W009 has it)."""
    return len(key) >= SECRET_KEY_LENGTH and len(set(key)) >= SECRET_KEY_CHARACTERS


def cookie_suffix(name: str) -> str:
    """Return what is added to the names of cookies: "" or an underscore with the variable."""
    value = text(name)
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        refuse(f"{name} is {value!r}; it takes up to 32 letters, digits, - and _.")
    return f"_{value}" if value else ""


def refuse_path_prefix() -> None:
    """End the program when it is asked to serve below a path."""
    for name in PATH_PREFIXES:
        if (value := text(name)).strip("/"):
            refuse(
                f"{name} is {value!r}, and Multichat works at the root of a host name only, not below a path: give it "
                "a name of its own, such as chat.example.com."
            )


def create_once(path: Path, content: str) -> None:
    """Write a file that only its owner can read; of several processes at once, the first one's content stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp: 0600 from the beginning
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content + "\n")
        # A link appears with its whole content or not at all, and fails if the name is taken.
        os.link(draft, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _claim_and_replace(Path(draft), path)
    finally:
        Path(draft).unlink(missing_ok=True)


def _claim_and_replace(draft: Path, path: Path) -> None:
    """Give a draft its name where there are no links: whoever creates the empty file first may replace it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    draft.replace(path)


def _read_when_written(path: Path) -> str:
    """Return a file's content; another process may have created it, and not written it yet."""
    until = time.monotonic() + CLAIM_SECONDS
    while not (content := path.read_text("ascii").strip()) and time.monotonic() < until:
        time.sleep(0.01)
    return content
