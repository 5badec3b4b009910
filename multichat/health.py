"""/healthz and /readyz: whether this process works, and what of it is degraded; whatever the Host header says."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from chat import doorbell
from chat.live import database, writer
from multichat.answers import answer

logger = logging.getLogger("multichat.health")

PATHS = ("/healthz", "/readyz")
# However often it is asked: one look at the database in so much time, and so long a wait for it.
CACHE_SECONDS = 1.0
WAIT_SECONDS = 3.0

# States of the database in which messages are saved, if late. In every other one (away, read_only, full, damaged, …:
# chat.live.writer.state) none is.
ABLE = ("ok", "locked", "slow", "overloaded")


@dataclass
class State:
    """What one look has found. Names and states only: no addresses, no error texts."""

    database: str = "away"  # ok, away, read_only, or what chat.live.writer.state says
    layer: str = "ok"  # ok, in_memory, degraded
    migrations: str = "unknown"  # ok, missing, unknown
    found_at: float = field(default_factory=time.monotonic)

    @property
    def degraded(self) -> list[str]:
        """Return the names of what is not as it should be."""
        states = {"database": self.database, "layer": self.layer, "migrations": self.migrations}
        return [name for name, state in states.items() if state not in ("ok", "in_memory")]

    @property
    def is_ready(self) -> bool:
        """Tell whether messages can be saved here. Without the channel layer they can, only later seen."""
        return self.database in ABLE and self.migrations == "ok"

    def as_json(self) -> str:
        shown = {
            "ready": self.is_ready,
            "database": self.database,
            "layer": self.layer,
            "migrations": self.migrations,
            "degraded": self.degraded,
        }
        return json.dumps(shown) + "\n"


class Probe:
    """Looks at the database and the channel layer of one event loop, once for all who ask within a second."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._task: asyncio.Task[State] | None = None

    async def state(self) -> State:
        """Return what the last look has found, from at most a second ago."""
        if self._state is not None and time.monotonic() - self._state.found_at < CACHE_SECONDS:
            return self._state
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                # A client that goes away ends nobody else's look.
                return await asyncio.shield(self._task)
        except TimeoutError:
            return State()

    async def _look(self) -> State:
        state = State(layer=await _layer_state())
        try:
            is_missing, is_read_only = await database.look(_ask)
        except database.AWAY as error:
            if self._state is None or self._state.database != "away":
                logger.warning("health: the database does not answer: %s", database.reason(error))
        else:
            state.database = "read_only" if is_read_only else writer.state() or "ok"
            state.migrations = "missing" if is_missing else "ok"
        state.found_at = time.monotonic()
        self._state = state
        return state


def _ask() -> tuple[bool, bool]:
    """Return whether migrations are missing, and whether the database refuses to write."""
    return _missing_migrations(), connection.vendor == "postgresql" and _is_read_only()


def _is_read_only() -> bool:
    # Asked as well, because the writer knows only while messages are sent.
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        return bool(cursor.fetchone() == ("on",))


def _missing_migrations() -> bool:
    global _known
    if _known is None:
        # Read from disk once: afterwards a look is one query.
        _known = set(MigrationLoader(None).disk_migrations or ())
    return not _known <= set(MigrationRecorder(connection).applied_migrations())


_known: set[tuple[str, str]] | None = None


async def _layer_state() -> str:
    if doorbell.is_in_memory():
        return "in_memory"
    is_degraded = doorbell.is_degraded()
    if is_degraded is None:
        # Nobody has opened a page here yet, so no doorbell has noticed.
        is_degraded = not await doorbell.is_answering()
    return "degraded" if is_degraded else "ok"


_probes: WeakKeyDictionary[asyncio.AbstractEventLoop, Probe] = WeakKeyDictionary()


class Health:
    """Answers both addresses before anything else is asked: no thread, no session, no Host, no redirect."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] not in PATHS:
            await self.application(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await answer(send, 405, "GET or HEAD only.\n", is_last=True)
        else:
            state = await _probes.setdefault(asyncio.get_running_loop(), Probe()).state()
            if scope["path"] == "/readyz":
                status = 200 if state.is_ready else 503
                await answer(send, status, state.as_json(), content_type="application/json")
            elif state.database == "away":
                await answer(send, 503, "The database does not answer.\n")
            else:
                await answer(send, 200, "ok\n")
