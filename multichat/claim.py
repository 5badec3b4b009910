"""The lock that allows only one server on the in-memory layer, because that layer connects no other process."""

import fcntl
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from chat import doorbell

_claim: IO[str] | None = None


class SecondServerError(Exception):
    """Another server already serves this database through the in-memory layer."""


def claim_process() -> None:
    """Make this process the only server of its database, if the channel layer cannot connect several.

    The system releases the lock when the process ends, however it ends. Raises SecondServerError.
    """
    global _claim
    if _claim is not None or not doorbell.is_in_memory():
        return
    _claim = lock(path_of(settings.DATABASES["default"]))


def path_of(database: dict[str, Any]) -> Path:
    """Return the lock file of a database: beside SQLite's file, so that every path to the file finds the same lock."""
    is_sqlite = "sqlite" in database["ENGINE"]
    return Path(f"{database['NAME']}.lock") if is_sqlite else Path(settings.VAR) / "server.lock"


def lock(path: Path) -> IO[str]:
    """Hold a lock until the file is closed or the process ends. Raises SecondServerError."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise SecondServerError(
            f"Another server is already running on this database (it holds {path.name}). "
            "Stop it first, or set REDIS_URL so that several servers can work together."
        ) from None
    return file
