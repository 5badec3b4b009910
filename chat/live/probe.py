"""Whether this process works, asked of the database and the channel layer at most once a second (Probe, State)."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass, field

from chat import doorbell
from chat.live import database, runtime, writer
from chat.store import schema

logger = logging.getLogger("multichat.health")

# Query the database at most once per period, however many requests arrive, and wait for it this long.
CACHE_SECONDS = 1.0
WAIT_SECONDS = 3.0

# States of the database in which messages are saved, though perhaps late. In all others (away, read_only, full,
# damaged, …: see chat.live.writer.state) no message can be saved.
WRITABLE_STATES = ("ok", "locked", "slow", "overloaded")


@dataclass
class State:
    """The result of one check. It contains only names and states: no addresses, no error messages."""

    database: str = "away"  # ok, away, read_only, or what chat.live.writer.state says
    layer: str = "ok"  # ok, in_memory, degraded
    migrations: str = "unknown"  # ok, missing, unknown
    found_at: float = field(default_factory=time.monotonic)

    @property
    def degraded(self) -> list[str]:
        """Return the names of the parts that do not work normally."""
        states = {"database": self.database, "layer": self.layer, "migrations": self.migrations}
        return [name for name, state in states.items() if state not in ("ok", "in_memory")]

    @property
    def is_ready(self) -> bool:
        """Return whether messages can be saved. Without the channel layer they are, but arrive later."""
        return self.database in WRITABLE_STATES and self.migrations == "ok"

    def as_json(self) -> str:
        report = {
            "ready": self.is_ready,
            "database": self.database,
            "layer": self.layer,
            "migrations": self.migrations,
            "degraded": self.degraded,
        }
        return json.dumps(report) + "\n"


class Probe:
    """Checks the database and the channel layer for one event loop, at most once a second."""

    def __init__(self) -> None:
        self._state: State | None = None
        self._task: asyncio.Task[State] | None = None

    async def state(self) -> State:
        """Return the result of the last check, which is at most a second old."""
        if self._state is not None and time.monotonic() - self._state.found_at < CACHE_SECONDS:
            return self._state
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._check())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                # Shielded, because other clients wait for the same check when this one disconnects.
                return await asyncio.shield(self._task)
        except TimeoutError:
            return State()

    async def _check(self) -> State:
        state = State(layer=await _layer_state())
        try:
            is_missing, is_read_only = await database.poll(schema.check)
        except database.AWAY as error:
            if self._state is None or self._state.database != "away":
                logger.warning("health: the database does not answer: %s", database.reason(error))
        else:
            state.database = "read_only" if is_read_only else writer.state() or "ok"
            state.migrations = "missing" if is_missing else "ok"
        state.found_at = time.monotonic()
        self._state = state
        return state


def current() -> Probe:
    """Return the probe of the running loop."""
    now = runtime.current()
    now.probe = now.probe or Probe()
    return now.probe


async def _layer_state() -> str:
    if doorbell.is_in_memory():
        return "in_memory"
    is_degraded = doorbell.is_degraded()
    if is_degraded is None:
        # No page is open in this process yet, so its doorbell has not probed the layer.
        is_degraded = not await doorbell.is_answering()
    return "degraded" if is_degraded else "ok"
