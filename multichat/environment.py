"""Reads settings from the environment. Empty variables count as unset; an invalid value stops the program."""

import base64
import errno
import os
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from . import proxies

YES: tuple[str, ...] = ("1", "on", "true", "yes")
NO: tuple[str, ...] = ("0", "off", "false", "no")
# PostgreSQL's host may disappear without closing its connections. Give up a new connection after seconds and an old
# one within half a minute; TCP alone would wait for a quarter of an hour.
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# Only for servers, because migrations and backups may take longer. PostgreSQL ends the transaction of a process that
# is frozen, which releases its locks.
POSTGRES_SERVER_LIMITS = "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
# Errors of file systems without hard links: CIFS, exFAT, some network mounts.
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
# How long a process that has created a file may take to write it.
CLAIM_SECONDS = 2.0
# The private keys of the curve P-256 are the numbers below its order.
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SECRET_KEY_LENGTH = 50
SECRET_KEY_CHARACTERS = 5
# Variables by which programs learn that a proxy serves them below a path.
PATH_PREFIXES = ("SCRIPT_NAME", "FORCE_SCRIPT_NAME", "ROOT_PATH", "UVICORN_ROOT_PATH")
HOST_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


def refuse(sentence: str) -> NoReturn:
    """End the program with exit status 1 and a message on stderr, without a traceback."""
    # SystemExit and not ImproperlyConfigured, because Django, uvicorn and pytest all let it pass.
    raise SystemExit(f"Multichat: {sentence}")


def text(name: str, default: str = "") -> str:
    """Return the variable without surrounding blanks, or the default if it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool) -> bool:
    """Return a switch as a bool."""
    value = text(name, "on" if default else "off").lower()
    if value not in YES + NO:
        refuse(f"{name} is {value!r}, but must be on or off (or true/false, yes/no, 1/0).")
    return value in YES


def choice(name: str, options: Sequence[str]) -> str:
    """Return a variable that names one of these, otherwise the first of them."""
    value = text(name, options[0])
    if value not in options:
        refuse(f"{name} is {value!r}, but must be one of: {', '.join(options)}.")
    return value


def port(name: str, default: int) -> int:
    """Return a TCP port."""
    return count(name, default, 65535)


def count(name: str, default: int, most: int) -> int:
    """Return a positive whole number."""
    value = text(name, str(default))
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= most):
        refuse(f"{name} is {value!r}, but must be a number from 1 to {most}.")
    return int(value)


def number(name: str, default: float) -> float:
    """Return a limit: 0 or more."""
    value = text(name, str(default))
    if not (value.isascii() and re.fullmatch(r"\d{1,9}(\.\d{1,3})?", value)):
        refuse(f"{name} is {value!r}, but must be a number; 0 means unlimited.")
    return float(value)


def host(name: str, default: str) -> str:
    """Return an address or host name to listen on, without brackets."""
    value = text(name, default).removeprefix("[").removesuffix("]")
    if not is_address(value) and not HOST_NAME.fullmatch(value):
        refuse(f"{name} is {value!r}, but must be an address like 127.0.0.1 or a host name, without scheme or port.")
    return value


def names(name: str, default: list[str], is_valid: Callable[[str], bool], example: str) -> list[str]:
    """Return the values of a comma-separated list."""
    values = [value.strip() for value in text(name).split(",") if value.strip()]
    for value in values:
        if not is_valid(value):
            refuse(f"{name} contains {value!r}. Use {example}, separated by commas.")
    return values or default


def is_pooled(name: str, options: dict[str, Any]) -> bool:
    """Remove `pooler` from the OPTIONS, and return whether PostgreSQL is behind a pooler in transaction mode."""
    if (pooler := options.pop("pooler", None)) not in (None, "transaction"):
        refuse(f"{name} says pooler={pooler}. Use pooler=transaction, which also works in session mode.")
    return pooler is not None


def postgres_options(given: dict[str, Any], *, is_server: bool) -> dict[str, Any]:
    """Return OPTIONS with timeouts for PostgreSQL. Options in the address take precedence."""
    options = POSTGRES_OPTIONS | given
    if is_server:
        options["options"] = f"{POSTGRES_SERVER_LIMITS} {given.get('options', '')}".rstrip()
    return options


def redis_url(name: str, fallback: str) -> str:
    """Return the address of Redis, or "" if there is none. `fallback` names a variable with host[:port]."""
    if url := text(name):
        parts = urlsplit_or_none(url)
        if not parts or not (
            parts.path if parts.scheme == "unix" else parts.scheme in ("redis", "rediss") and parts.hostname
        ):
            refuse(f"{name} is not an address of Redis. Use redis://host:port/0, rediss://… or unix:///path/to/socket.")
        return url
    if not (address := text(fallback)):
        return ""
    parts = urlsplit_or_none(f"redis://{address}")
    if not parts or not parts.hostname or address != parts.netloc or "@" in address:
        refuse(f"{fallback} is {address!r}, but must be host or host:port.")
    return f"redis://{address if parts.port else address + ':6379'}/0"


def urlsplit_or_none(url: str) -> Any:
    """Return the parts of a URL, or None if it is invalid (a wrong port, unbalanced brackets)."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is not a number
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
    """Return a host as it is written in a URL, with IPv6 in brackets."""
    return f"[{value}]" if ":" in value else value


def is_host_pattern(value: str) -> bool:
    """Return whether Django's ALLOWED_HOSTS accepts the pattern: chat.example.com, .example.com, [::1], *."""
    bare = value.removeprefix("[").removesuffix("]") if value.startswith("[") else value.removeprefix(".")
    return value == "*" or bool(HOST_NAME.fullmatch(bare)) or (value.startswith("[") and is_address(bare))


def is_network(value: str) -> bool:
    """Return whether the value names a proxy: an address, a network, or `unix` for a Unix socket."""
    try:
        proxies.parse_network(value)
    except ValueError:
        return False
    return True


def is_origin(value: str) -> bool:
    """Return whether the value is a scheme, host and optional port, as in https://chat.example.com:8443."""
    parts = urlsplit_or_none(value)
    return bool(
        parts and parts.scheme in ("http", "https") and parts.hostname and value == f"{parts.scheme}://{parts.netloc}"
    )


def site_url(name: str, default: str) -> str:
    """Return the site's own address without a slash at its end, or "" if it is unknown."""
    value = text(name, default).removesuffix("/")
    if value and not is_origin(value):
        refuse(f"{name} is {value!r}, but must be an address like https://chat.example.com, without a path.")
    return value


def secret_key(name: str, directory: Path) -> str:
    """Return the secret key from the variable, or from `directory`, where the first start creates it."""
    if value := text(name):
        if not is_secret(value):
            refuse(
                f"{name} is too easy to guess. Use at least {SECRET_KEY_LENGTH} random characters, such as the "
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
        refuse(f"{path} does not hold a secret key. Remove it to get a new one; all users then log in again.")
    return key


def vapid_key(name: str, directory: Path) -> str:
    """Return the private key of Web Push from the variable, or from `directory`, where the first start creates it."""
    if value := text(name):
        if not is_vapid_key(value):
            refuse(f"{name} is no private key of the curve P-256: 32 bytes as base64url, 43 characters.")
        return value
    path = directory / "vapid_key"
    try:
        if not path.exists():
            # A number from 1 to the order of the curve is a private key.
            number = secrets.randbelow(P256_ORDER - 1) + 1
            create_once(path, base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode())
        key = _read_when_written(path)
    except (OSError, ValueError) as error:
        refuse(f"{name} is not set, and {path} cannot be used: {error}.")
    if not is_vapid_key(key):
        refuse(f"{path} does not hold a key. Remove it to get a new one; browsers then subscribe again.")
    return key


def is_vapid_key(value: str) -> bool:
    """Return whether a text is a private key of the curve P-256, as base64url."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", value):
        return False
    return 0 < int.from_bytes(base64.urlsafe_b64decode(value + "="), "big") < P256_ORDER


def contact(name: str, default: str) -> str:
    """Return an address for people who run other services: mailto: or https:."""
    value = text(name, default)
    if not re.fullmatch(r"(mailto:[^@\s]+@[^@\s]+|https://\S+)", value):
        refuse(f"{name} is {value!r}, but must be an address like mailto:admin@example.com or https://example.com.")
    return value


def is_secret(key: str) -> bool:
    """Return whether a key is long enough and not repetitive, by the rule of Django's check W009."""
    return len(key) >= SECRET_KEY_LENGTH and len(set(key)) >= SECRET_KEY_CHARACTERS


def cookie_suffix(name: str) -> str:
    """Return the suffix for the names of cookies: an underscore and the variable, or ""."""
    value = text(name)
    if value and not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", value):
        refuse(f"{name} is {value!r}, but must have at most 32 letters, digits, - and _.")
    return f"_{value}" if value else ""


def refuse_path_prefix() -> None:
    """End the program if it is configured to serve below a path."""
    for name in PATH_PREFIXES:
        if (value := text(name)).strip("/"):
            refuse(
                f"{name} is {value!r}, and Multichat works at the root of a host name only, not below a path. Give it "
                "a host name of its own, such as chat.example.com."
            )


def create_once(path: Path, content: str) -> None:
    """Create a file that only its owner can read. If several processes do so at once, the first one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mkstemp: 0600 from the beginning
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content + "\n")
        # A hard link appears with its whole content or not at all, and fails if the name exists.
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _claim_and_replace(Path(temporary), path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _claim_and_replace(temporary: Path, path: Path) -> None:
    """Move the file to its name without hard links: the process that creates the empty file first may replace it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    temporary.replace(path)


def _read_when_written(path: Path) -> str:
    """Return a file's content, after waiting for another process that has created the file but not written it."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while not (content := path.read_text("ascii").strip()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return content
