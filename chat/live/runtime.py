"""What one event loop of this process has: database threads, hub, writer, janitor and probe (Runtime).

A server process has one loop. Tests have many, and each has a runtime of its own.
"""

import asyncio
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from chat.live.threads import Threads
from chat.store.events import LoggedEvent

if TYPE_CHECKING:
    from chat.live.hub import Hub
    from chat.live.janitor import Janitor
    from chat.live.probe import Probe
    from chat.live.writer import Writer


class Runtime:
    """The parts of one event loop, each made when it is first needed by the module that it belongs to."""

    def __init__(self) -> None:
        self.hub: Hub | None = None
        # Outlives the hub: a draft may still be on its way when the last session goes.
        self.writer: Writer | None = None
        self.janitor: Janitor | None = None
        self.probe: Probe | None = None
        # Set while the server shuts down. A hub that is started by a late handshake has to know it too.
        self.is_draining = False
        self.threads: Threads | None = None
        # The threads that are closing.
        self.closing: set[asyncio.Future[list[None]]] = set()
        # For database.only_one and database.warn_sparingly.
        self.locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()
        self.warned: dict[str, tuple[float, int]] = {}

    def open_threads(self) -> Threads:
        """Return the database threads; start them if there are none."""
        if self.threads is None:
            self.threads = Threads()
        return self.threads

    def publish(self, room: int, epoch: str, events: Iterable[LoggedEvent]) -> None:
        """Pass committed events to the hub, which may have stopped in the meantime."""
        if self.hub is not None:
            self.hub.advance(room, epoch, events)


_runtimes: WeakKeyDictionary[asyncio.AbstractEventLoop, Runtime] = WeakKeyDictionary()


def current() -> Runtime:
    """Return the runtime of the running loop."""
    loop = asyncio.get_running_loop()
    if loop not in _runtimes:
        # A runtime may refer to its loop, so the weak key alone does not end with it.
        for ended in [known for known in _runtimes if known.is_closed()]:
            del _runtimes[ended]
        _runtimes[loop] = Runtime()
    return _runtimes[loop]
