"""Reads the address of a database: SQLite's path as it is written, PostgreSQL's with a sentence for what is wrong."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from environ import Env

from multichat.environment import refuse, urlsplit_or_none

SQLITE = "sqlite:///"
EXAMPLES = "it takes sqlite:////path/to/file or postgres://user:password@host:port/name"
ENCODE = (
    "In a password, characters such as / ? # [ ] @ : and % are written percent-encoded: "
    "%2F %3F %23 %5B %5D %40 %3A %25."
)


def parse(name: str, url: str, base: Path, default: Path) -> dict[str, Any]:
    """Return DATABASES["default"] for an address, or for the file `default` without one.

    Relative paths start at `base`. The address is never repeated in a sentence: it may hold a password.
    """
    if not url:
        # Not by way of an address: a directory may be called c++, a#b, what? or 100%25.
        return _sqlite(name, default, "")
    if url.startswith(SQLITE):
        # The file's name reaches to the first "?". A "#" is no fragment, and a "+" is no blank.
        path, _, query = url.removeprefix(SQLITE).partition("?")
        if path in ("", ":memory:"):
            refuse(f"{name} names no database; {EXAMPLES}.")
        return _sqlite(name, base / unquote(path), query)
    return _postgres(name, url)


def _sqlite(name: str, path: Path, query: str) -> dict[str, Any]:
    config: dict[str, Any] = Env.db_url_config(f"{SQLITE}file?{query}")
    if not path.parent.is_dir():
        refuse(f"{name} points into {path.parent}, which is not a directory.")
    return {**config, "NAME": str(path)}


def _postgres(name: str, url: str) -> dict[str, Any]:
    if not url.startswith(("postgres://", "postgresql://")):
        refuse(f"{name} is not an address of a database Multichat knows; {EXAMPLES}.")
    parts = urlsplit_or_none(url)
    if _has_raw_password(url):
        refuse(f"{name} cannot be read. {ENCODE}")
    if parts is None:
        refuse(f"{name} is not an address of a database Multichat knows; {EXAMPLES}.")
    try:
        config: dict[str, Any] = Env.db_url_config(url)
    except ValueError:
        refuse(f"{name} cannot be read; {EXAMPLES}.")
    if not config["NAME"]:
        refuse(f"{name} names no database; {EXAMPLES}.")
    return config


def _has_raw_password(url: str) -> bool:
    """Tell whether the user's part of an address has a character that ends it too early."""
    rest = url.partition("://")[2]
    # Everything before the last @ that stands before the options should be user and password.
    place, _, options = rest.partition("?")
    user, is_there, _ = place.rpartition("@")
    if not is_there:
        # postgres://user:what?@host/name: the @ came to stand behind what looks like options.
        return "@" in options and "@" not in place and ":" in place
    return any(character in user for character in "/?#[]@")
