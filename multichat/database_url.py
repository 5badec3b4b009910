"""Parses DATABASE_URL: SQLite's path as it is written, PostgreSQL's address with an explanation of what is invalid."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from environ import Env

from multichat.environment import refuse, urlsplit_or_none

SQLITE = "sqlite:///"
EXAMPLES = "Use sqlite:////path/to/file or postgres://user:password@host:port/name."
ENCODE = "In a password, write characters such as / ? # [ ] @ : and % percent-encoded: %2F %3F %23 %5B %5D %40 %3A %25."


def parse(name: str, url: str, base: Path, default: Path) -> dict[str, Any]:
    """Return DATABASES["default"] for an address, or for the file `default` if the address is empty.

    Relative paths start at `base`. No error repeats the address, because it may contain a password.
    """
    if not url:
        # A path is not made into an address, because a directory may be called c++, a#b, what? or 100%25.
        return _sqlite(name, default, "")
    if url.startswith(SQLITE):
        # The file name ends at the first "?". A "#" starts no fragment, and a "+" is not a blank.
        path, _, query = url.removeprefix(SQLITE).partition("?")
        if path in ("", ":memory:"):
            refuse(f"{name} names no database. {EXAMPLES}")
        return _sqlite(name, base / unquote(path), query)
    return _postgres(name, url)


def _sqlite(name: str, path: Path, query: str) -> dict[str, Any]:
    config: dict[str, Any] = Env.db_url_config(f"{SQLITE}file?{query}")
    if not path.parent.is_dir():
        refuse(f"{name} points into {path.parent}, which is not a directory. Create it, or change {name}.")
    return {**config, "NAME": str(path)}


def _postgres(name: str, url: str) -> dict[str, Any]:
    if not url.startswith(("postgres://", "postgresql://")):
        refuse(f"{name} is not an address of a database that Multichat supports. {EXAMPLES}")
    parts = urlsplit_or_none(url)
    if _has_raw_password(url):
        refuse(f"{name} cannot be parsed. {ENCODE}")
    if parts is None:
        refuse(f"{name} is not an address of a database that Multichat supports. {EXAMPLES}")
    try:
        config: dict[str, Any] = Env.db_url_config(url)
    except ValueError:
        refuse(f"{name} cannot be parsed. {EXAMPLES}")
    if not config["NAME"]:
        refuse(f"{name} names no database. {EXAMPLES}")
    return config


def _has_raw_password(url: str) -> bool:
    """Return whether user or password contain a character that ends that part of the address too early."""
    rest = url.partition("://")[2]
    # Everything before the last @ that stands before the options should be user and password.
    authority, _, options = rest.partition("?")
    user, separator, _ = authority.rpartition("@")
    if not separator:
        # In postgres://user:what?@host/name the @ follows a "?", so that it seems to belong to the options.
        return "@" in options and "@" not in authority and ":" in authority
    return any(character in user for character in "/?#[]@")
