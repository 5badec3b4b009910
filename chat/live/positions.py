"""Read positions, levels and layouts on their way to the database: the newest of each, written behind messages."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Generic, NamedTuple, TypeVar

from chat import protocol
from chat.conf import conf
from chat.exceptions import ClientError
from chat.live import database
from chat.live.session import Session
from chat.store import layouts, levels, memberships
from chat.store.layouts import Panes, UserLayout
from chat.store.memberships import Move
from chat.store.policies import Login
from chat.store.room_user import RoomUser

logger = logging.getLogger(__name__)

# About the most rows of one transaction, because on SQLite messages wait for it.
MAX_ROWS = 200
# The most layouts of one transaction, of up to LAYOUT_PANES rows each.
MAX_LAYOUTS = 4
# The most changes of one user's layout that wait.
MAX_CHANGES = 100
RETRY_SECONDS = 1.0
POLL_SECONDS = 0.05

K = TypeVar("K")
V = TypeVar("V")

# Replaced as a whole, because the threads of Django's views iterate over it.
_running: "tuple[Positions, ...]" = ()


class Pending(Generic[K, V]):
    """Values that wait to be written, by key. A newer value is merged with an older one that was not written yet."""

    def __init__(self, merge: Callable[[V, V], V]) -> None:
        self._merge = merge
        # Threads of Django's views read these too, so each access is one operation of a dict.
        self._waiting: dict[K, V] = {}
        self._writing: dict[K, V] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._writing)

    def put(self, key: K, value: V) -> None:
        self._waiting[key] = self._merge(self._waiting[key], value) if key in self._waiting else value

    def get(self, key: K) -> V | None:
        """Return what the key's value will be when everything is written."""
        # The newer one first, because it may become the older one between the two accesses.
        newer, older = self._waiting.get(key), self._writing.get(key)
        if older is None or newer is None:
            return newer if older is None else older
        return self._merge(older, newer)

    def start_write(self) -> dict[K, V]:
        """Return the values that wait now, to be written."""
        assert not self._writing, "one write at a time"
        # In this order, so that at every moment each value is in one of the two.
        self._writing = self._waiting
        self._waiting = {}
        return dict(self._writing)

    def finish_write(self, keys: Iterable[K]) -> None:
        """Forget these keys' values, because they are written."""
        for key in keys:
            del self._writing[key]

    def put_back(self) -> None:
        """Keep the values that were not written, behind those that came in the meantime."""
        for key, value in list(self._writing.items()):
            newer = self._waiting.pop(key, None)
            self._waiting[key] = value if newer is None else self._merge(value, newer)
        self._writing = {}


def newest_move(older: Move, newer: Move) -> Move:
    """Return one move with the effect of two, one after the other."""
    # A later one in another log, or perhaps in another one, has to do without the place in the log before.
    if newer.is_set or older.epoch != newer.epoch:
        return newer
    return Move(newer.login, max(older.seq, newer.seq), is_set=older.is_set, epoch=newer.epoch)


class Layouts(NamedTuple):
    """How a user's panes changed since the last write: the newest whole layout, if any, and the changes after it."""

    whole: UserLayout | None
    changes: tuple[tuple[Login, protocol.Layout], ...] = ()


def newest_layout(older: Layouts, newer: Layouts) -> Layouts:
    """Return one value with the effect of two, one after the other."""
    if newer.whole is not None:
        return newer
    # Bounded, because the database may be away for long. The newest changes are kept.
    return Layouts(older.whole, (*older.changes, *newer.changes)[-MAX_CHANGES:])


def newest_level(older: tuple[Session, int], newer: tuple[Session, int]) -> tuple[Session, int]:
    """Return the newer of two levels: the last writer wins."""
    return newer


class Positions:
    """The read positions, levels and layouts that this process has received, and the database does not have yet."""

    def __init__(
        self,
        *,
        on_written: Callable[[Collection[RoomUser]], None],
        on_refused: Callable[[Session, RoomUser, ClientError, str], None],
        on_outdated: Callable[[RoomUser], None],
    ) -> None:
        self._on_written = on_written
        self._on_refused = on_refused
        self._on_outdated = on_outdated
        self._moves: Pending[RoomUser, Move] = Pending(newest_move)
        # The sessions to notify if a move is refused.
        self._senders: dict[RoomUser, Session] = {}
        self._layouts: Pending[int, Layouts] = Pending(newest_layout)
        # A level, and the session to notify if it is refused.
        self._levels: Pending[RoomUser, tuple[Session, int]] = Pending(newest_level)
        self._rows = MAX_ROWS
        self._is_failing = False
        self._is_hurried = False
        self._task: asyncio.Task[None] | None = None
        _set_running(*_running, self)

    def move(self, session: Session, room: int, seq: int, *, back: bool, epoch: str | None = None) -> None:
        """Take a read position in the log of an epoch, if it is known: forward, or with `back` in either direction.

        It is dropped if a backup is restored before it is written.
        """
        pair = RoomUser(room, session.user_id)
        self._moves.put(pair, Move(session.login, seq, is_set=back, epoch=epoch))
        self._senders[pair] = session
        self._work()

    def set_level(self, session: Session, room: int, level: int) -> None:
        """Take what a user wants to hear of a room."""
        self._levels.put(RoomUser(room, session.user_id), (session, level))
        self._work()

    def set_layout(self, session: Session, panes: Panes) -> None:
        """Take a user's whole layout."""
        self._layouts.put(session.user_id, Layouts(UserLayout(session.login, panes)))
        self._work()

    def change_layout(self, session: Session, change: protocol.Layout) -> None:
        """Take a change that a page made to its user's layout."""
        self._layouts.put(session.user_id, Layouts(None, ((session.login, change),)))
        self._work()

    def pending(self, pair: RoomUser) -> Move | None:
        """Return the move that a user's position in a room still has to make in the database."""
        return self._moves.get(pair)

    def pending_level(self, pair: RoomUser) -> int | None:
        """Return a user's level in a room that the database does not have yet."""
        return waiting[1] if (waiting := self._levels.get(pair)) else None

    def layout(self, user: int) -> Layouts | None:
        """Return the changes of a user's layout that the database does not have yet. From any thread."""
        return self._layouts.get(user)

    async def flush(self) -> None:
        """Write everything now, and wait until it is written."""
        self._is_hurried = True
        try:
            while self._task is not None:
                await asyncio.wait([self._task])
        finally:
            self._is_hurried = False

    async def stop(self) -> None:
        """Write everything and stop. If the database is away for DRAIN_SECONDS, what waits is lost."""
        try:
            async with asyncio.timeout(conf.DRAIN_SECONDS):
                await self.flush()
        except TimeoutError:
            logger.warning("some read positions could not be saved in time")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        _set_running(*(positions for positions in _running if positions is not self))

    def _work(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        try:
            while self._moves or self._levels or self._layouts:
                await self._until_due()
                await self._write()
        finally:
            self._task = None

    async def _until_due(self) -> None:
        """Wait a moment for more values, and longer while messages are being written."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not self._is_hurried:
            waited = loop.time() - start
            if waited >= conf.POSITIONS_BUSY_SECONDS:
                return
            if waited >= conf.POSITIONS_SECONDS and not database.is_writing():
                return
            await asyncio.sleep(min(POLL_SECONDS, conf.POSITIONS_SECONDS))

    async def _write(self) -> None:
        """Write everything that waits now; keep what fails."""
        failures = [
            await self._write_pieces(self._moves, self._write_moves, self._rows),
            await self._write_pieces(self._levels, self._write_levels, self._rows),
            await self._write_pieces(self._layouts, self._write_layouts, max(1, self._rows * MAX_LAYOUTS // MAX_ROWS)),
        ]
        error = next((error for error in failures if error is not None), None)
        if error is None:
            self._rows = min(MAX_ROWS, self._rows * 2)
        else:
            # Smaller pieces: one that took too long would take too long again.
            self._rows = max(1, self._rows // 2)
            if not self._is_failing:
                database.warn(logger, "read positions, levels and layouts could not be written; trying again", error)
            await asyncio.sleep(min(RETRY_SECONDS, conf.POSITIONS_SECONDS * 2))
        self._is_failing = error is not None

    async def _write_pieces(
        self, pending: Pending[K, V], write: Callable[[dict[K, V]], Awaitable[None]], size: int
    ) -> Exception | None:
        """Write values in pieces, one transaction each, so that messages come between; return the error, if any."""
        failure: Exception | None = None
        values = pending.start_write()
        pieces = deque(_pieces(list(values), size))
        try:
            while pieces:
                keys = pieces.popleft()
                try:
                    await write({key: values[key] for key in keys})
                except database.AWAY as error:
                    # The database is away or overloaded, so the next piece would fail as well.
                    return error
                except Exception as error:
                    failure = error
                    # One of the values cannot be written. Halve the piece, to write the others without it.
                    pieces.extendleft(_pieces(keys, len(keys) // 2) if len(keys) > 1 else [])
        finally:
            pending.put_back()
        return failure

    async def _write_moves(self, moves: dict[RoomUser, Move]) -> None:
        # Rights are checked now, and in a reader's thread, so that on SQLite messages wait for the write alone.
        checked = await database.read(memberships.check_moves, moves)
        await database.write_behind(memberships.store_moves, checked)
        # Before the callbacks, because from here on the database has the positions.
        self._moves.finish_write(moves)
        self._on_written(moves.keys() - checked.refused.keys() - checked.outdated)
        for pair in checked.outdated:
            self._on_outdated(pair)
        for pair in moves:
            sender = self._senders.pop(pair, None)
            if sender and pair in checked.refused:
                self._on_refused(sender, pair, checked.refused[pair], "read")

    async def _write_levels(self, waiting: dict[RoomUser, tuple[Session, int]]) -> None:
        asked = {pair: (session.login, level) for pair, (session, level) in waiting.items()}
        allowed, refused = await database.read(levels.check_levels, asked)
        await database.write_behind(levels.store_levels, allowed)
        self._levels.finish_write(waiting)
        self._on_written(allowed.keys())
        for pair, refusal in refused.items():
            self._on_refused(waiting[pair][0], pair, refusal, "level")

    async def _write_layouts(self, waiting: dict[int, Layouts]) -> None:
        await database.write_behind(_store_layouts, list(waiting.values()))
        self._layouts.finish_write(waiting)


def _store_layouts(waiting: list[Layouts]) -> None:
    if wholes := [changed.whole for changed in waiting if changed.whole is not None]:
        layouts.store_layouts(wholes)
    for changed in waiting:
        for login, change in changed.changes:
            # It may be applied a second time, after a lost answer of the database, and then changes nothing.
            layouts.change_layout(login, change)


def _pieces(keys: list[K], size: int) -> list[list[K]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _set_running(*all_positions: Positions) -> None:
    global _running
    _running = all_positions


def layout_of(user: int) -> Panes:
    """Return a user's panes, with changes that are not written yet.

    From any thread. It may include rooms that the user may not enter any more.
    """
    for positions in _running:
        if waiting := positions.layout(user):
            whole = waiting.whole
            panes = whole.panes if whole is not None else layouts.load_layout(user)
            for _, change in waiting.changes:
                panes = layouts.apply_change(panes, change)
            return panes
    return layouts.load_layout(user)
