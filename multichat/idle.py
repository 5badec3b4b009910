"""Connections that have sent no request, or no further one: so many are kept, and the oldest is closed first."""

import resource
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from chat import limits


class IdleConnections:
    """Bounds idle connections. One is closed of the address that has most of them, so a flood closes its own."""

    def __init__(self) -> None:
        self._addresses: dict[Any, Hashable] = {}
        # Of each address the connections in the order in which they became idle.
        self._connections: dict[Hashable, dict[Any, None]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, connection: Any, address: Hashable) -> None:
        """Count a connection as idle; if there are too many now, close one."""
        self.discard(connection)
        self._addresses[connection] = address
        self._connections.setdefault(address, {})[connection] = None
        most = limits.of("IDLE_CONNECTIONS")
        if most and len(self._addresses) > most:
            largest = max(self._connections.values(), key=len)
            oldest = next(iter(largest))
            self.discard(oldest)
            oldest.transport.abort()

    def discard(self, connection: Any) -> None:
        """Count a connection as idle no longer."""
        if connection not in self._addresses:
            return
        address = self._addresses.pop(connection)
        del self._connections[address][connection]
        if not self._connections[address]:
            del self._connections[address]


idle_connections = IdleConnections()


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as the system lets it have: each socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # On macOS the hard limit may be said to be infinite, and is not.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
