"""Limits the number of connections that wait without a request. The oldest is closed first."""

import resource
from collections.abc import Hashable
from contextlib import suppress
from typing import Any

from chat import limits


class IdleConnections:
    """Above the limit, closes a connection of the address that has most, so a flood closes its own connections."""

    def __init__(self) -> None:
        self._addresses: dict[Any, Hashable] = {}
        # For each address, its connections in the order in which they became idle.
        self._connections: dict[Hashable, dict[Any, None]] = {}

    def __len__(self) -> int:
        return len(self._addresses)

    def add(self, connection: Any, address: Hashable) -> None:
        """Count a connection as idle. If there are too many now, close the oldest of the largest address."""
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
        """Stop counting a connection as idle."""
        if connection not in self._addresses:
            return
        address = self._addresses.pop(connection)
        del self._connections[address][connection]
        if not self._connections[address]:
            del self._connections[address]


idle_connections = IdleConnections()


def raise_descriptor_limit() -> None:
    """Raise the limit of open files as far as the system permits, because each socket needs one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS may report an infinite hard limit, and refuse it.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
