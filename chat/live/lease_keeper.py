"""Keeps this process's lease, and writes its users' presence in short transactions (LeaseKeeper)."""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence

from django.db import DataError, IntegrityError

from chat.live import database
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser

logger = logging.getLogger(__name__)


class LeaseKeeper:
    """Brings the database to what is true of this process's users, and ends the leases of dead processes."""

    def __init__(
        self, process: str, *, is_here: Callable[[RoomUser], bool], announce: Callable[[Iterable[Change]], None]
    ) -> None:
        self._process = process
        self._is_here = is_here
        self._announce = announce
        self._has_lease = False
        # The pairs that the database has under this lease.
        self.written: set[RoomUser] = set()

    async def settle(self, pairs: Iterable[RoomUser]) -> bool:
        """Write the presence of these pairs; return False when some could not be written.

        Raises what the database raised when no lease could be taken.
        """
        if not self._has_lease:
            # Expire dead processes first. Otherwise users who join now would count as already present, as after a
            # night without a server.
            await self.expire_dead()
            await database.write_behind(presence.begin_lease, self._process)
            self._has_lease = True
        failures, process = 0, self._process
        for piece in presence.pieces(pairs):
            failures += not await self._settle_piece(process, piece)
        return not failures

    async def _settle_piece(self, process: str, piece: Sequence[RoomUser]) -> bool:
        # The lease may have been lost meanwhile. The rows of the next one need its row first.
        if self._process != process:
            return False
        # A snapshot, taken here because the database's thread must not read what the loop changes. It is taken as late
        # as possible, so a user who came and went while other pieces were written is not written at all.
        came = [pair for pair in piece if self._is_here(pair) and pair not in self.written]
        went = [pair for pair in piece if not self._is_here(pair) and pair in self.written]
        if not came and not went:
            return True
        try:
            changes = await database.write_behind(presence.update_presence, process, came=came, went=went)
        except (IntegrityError, DataError) as error:
            if len(piece) == 1:
                database.warn(logger, f"room={piece[0].room} user={piece[0].user}: presence cannot be written", error)
                return False
            # One of the pairs cannot be written. Write the others without it.
            return all([await self._settle_piece(process, [pair]) for pair in piece])
        except Exception as error:
            database.warn(logger, "presence could not be written; trying again", error)
            return False
        if process == self._process:
            # In place, because a copy for each piece would cost more than the writing in a process of many users.
            self.written.update(came)
            self.written.difference_update(went)
        self._announce(changes)
        return True

    async def renew(self) -> bool:
        """Prolong the lease; return False when other processes had taken this one and its users for dead."""
        if not self._has_lease or await database.write_behind(presence.renew_lease, self._process):
            return True
        # Another process may still be removing our users. It does not disturb a lease of another name.
        self._process = secrets.token_hex(6)
        self._has_lease = False
        self.written = set()
        return False

    async def expire_dead(self) -> None:
        """End the leases of processes that died, and announce which users left with them."""
        for process in await database.read(presence.expired_processes):
            is_more = True
            while is_more:
                changes, is_more = await database.write_behind(presence.expire_piece, process)
                self._announce(changes)
