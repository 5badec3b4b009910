"""Tells the sockets that want it which rooms there are, and what is unread in them."""

import asyncio
import logging
from collections.abc import Iterable

from chat import conf, database, policies, protocol, reading
from chat.exceptions import ClientError
from chat.models import Event, Room
from chat.protocol import Frame, Head, Heads, Rooms, RoomTitle
from chat.reading import News, Pair, Unread
from chat.session import Session

logger = logging.getLogger(__name__)

NEWS_LIMIT = 1000


class Watch:
    """What this process's watching sockets know of rooms and unread counts.

    The database counts; between two counts a head that moved by new messages alone is added up.
    """

    def __init__(self) -> None:
        # The rooms each socket was told of, by id.
        self._told: dict[Session, dict[int, RoomTitle]] = {}
        self._counts: dict[Pair, Unread] = {}
        # Up to where the rooms' events are in the counts.
        self._counted: dict[int, int] = {}
        self._moved: set[int] = set()
        self._uncounted_users: set[int] = set()
        self._uncounted_rooms: set[int] = set()
        self._are_rooms_old = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Tell whether nobody watches."""
        return not self._told

    def begin(self, session: Session) -> None:
        """Tell a socket of all rooms and counts, and from now on of changes."""
        self._told.pop(session, None)
        self._told[session] = {}
        self._are_rooms_old = True
        self._uncounted_users.add(session.user_id)
        self._work()

    def end(self, session: Session) -> None:
        """A socket is gone."""
        if self._told.pop(session, None) is None:
            return
        users = {other.user_id for other in self._told}
        self._counts = {pair: counts for pair, counts in self._counts.items() if pair[0] in users}

    async def stop(self) -> None:
        """Stop counting."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def saw(self, heads: dict[int, int]) -> None:
        """Hear where the rooms' logs are now."""
        if self.is_idle:
            self._counted.clear()
            return
        for room, head in heads.items():
            if room not in self._counted:
                self._counted[room] = head
                self._uncounted_rooms.add(room)
            elif head != self._counted[room]:
                self._moved.add(room)
        if self._moved or self._uncounted_rooms:
            self._work()

    def rooms_changed(self) -> None:
        """Hear that rooms or rights are other ones now."""
        self._are_rooms_old = True
        self._work()

    def read(self, user: int) -> None:
        """Hear that a user has moved a read position."""
        if any(session.user_id == user for session in self._told):
            self._uncounted_users.add(user)
            self._work()

    def position(self, user: int, room: int) -> int:
        """Return up to where a watching user has read a room; 0 when that is not known."""
        known = self._counts.get((user, room))
        return known.read if known else 0

    def recap(self, session: Session) -> None:
        """Tell a socket that has missed signals everything again."""
        if session in self._told:
            self.begin(session)

    def _work(self) -> None:
        if self._told and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        try:
            while self._told and self._has_work():
                try:
                    if self._are_rooms_old:
                        await self._tell_rooms()
                    await self._tell_counts()
                except Exception as error:
                    database.warn(logger, "unread messages could not be counted, held", error)
                    await asyncio.sleep(conf.SWEEP_SECONDS)
        finally:
            self._task = None

    def _has_work(self) -> bool:
        return self._are_rooms_old or bool(self._moved or self._uncounted_users or self._uncounted_rooms)

    async def _tell_rooms(self) -> None:
        self._are_rooms_old = False
        users = {session.user_id: session.standing.user for session in self._told if session.standing}
        try:
            enterable = await database.read(_begin, users)
        except Exception:
            self._are_rooms_old = True
            raise
        for session, told in list(self._told.items()):
            if session.user_id not in enterable:
                continue  # Came meanwhile: the next turn tells.
            now = {
                room.pk: RoomTitle(id=str(room.pk), title=room.title, staff_only=room.staff_only)
                for room in enterable[session.user_id]
            }
            if now != told or not told:
                self._told[session] = now
                session.signal(protocol.encode(Rooms(rooms=list(now.values()))))
                self._tell_session(session, now.keys() - told.keys())
            if now.keys() - told.keys():
                self._uncounted_users.add(session.user_id)

    async def _tell_counts(self) -> None:
        watching = {session.user_id for session in self._told}
        users, self._uncounted_users = self._uncounted_users & watching, set()
        rooms, self._uncounted_rooms = self._uncounted_rooms, set()
        moved, self._moved = {room: self._counted[room] for room in self._moved}, set()
        try:
            counts, news = await database.read(_count, users, watching - users, rooms, moved)
        except Exception:
            self._uncounted_users |= users
            self._uncounted_rooms |= rooms
            self._moved |= moved.keys()
            raise
        changed = {pair: known for pair, known in counts.items() if self._counts.get(pair) != known}
        self._counts |= counts
        changed |= self._add_up(news)
        for session in list(self._told):
            self._tell_session(session, {room for user, room in changed if user == session.user_id})

    def _add_up(self, news: list[News]) -> dict[Pair, Unread]:
        """Add new messages to the counts; rooms where more has happened are counted anew."""
        odd = {one.room for one in news if one.kind != Event.Kind.POSTED}
        if len(news) >= NEWS_LIMIT:
            odd |= {one.room for one in news}
        self._uncounted_rooms |= odd
        changed: dict[Pair, Unread] = {}
        by_room: dict[int, list[News]] = {}
        for one in news:
            self._counted[one.room] = max(one.seq, self._counted.get(one.room, 0))
            by_room.setdefault(one.room, []).append(one)
        for (user, room), known in self._counts.items():
            new = [one for one in by_room.get(room, ()) if one.seq > known.head]
            if new and room not in odd:
                others = [one for one in new if one.author != user and one.seq > known.read]
                changed[user, room] = Unread(
                    head=max(one.seq for one in new),
                    read=known.read,
                    unread=known.unread + len(others),
                    mentions=known.mentions + sum(user in one.named for one in others),
                )
        self._counts |= changed
        return changed

    def _tell_session(self, session: Session, rooms: Iterable[int]) -> None:
        told = self._told[session]
        heads = {
            str(room): Head(*self._counts[session.user_id, room])
            for room in sorted(rooms)
            if room in told and (session.user_id, room) in self._counts
        }
        if heads:
            session.signal(_frame(heads))


def _frame(heads: dict[str, Head]) -> Frame:
    return protocol.encode(Heads(heads=heads))


def _begin(users: dict[int, object]) -> dict[int, list[Room]]:
    rooms = list(Room.objects.all())
    enterable = {user_id: [room for room in rooms if _is_enterable(user, room)] for user_id, user in users.items()}
    reading.begin(enterable)
    return enterable


def _is_enterable(user: object, room: Room) -> bool:
    try:
        policies.check_enterable(user, room)
    except ClientError:
        return False
    return True


def _count(
    users: set[int], others: set[int], rooms: set[int], moved: dict[int, int]
) -> tuple[dict[Pair, Unread], list[News]]:
    # The news first: what comes between the two is in the counts, whose heads tell so.
    news = reading.news(moved, limit=NEWS_LIMIT) if moved else []
    counts = reading.count(users) if users else {}
    if rooms and others:
        counts |= reading.count(others, rooms)
    return counts, news
