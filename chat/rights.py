"""Asks whether the sockets of this process still have their rights, and ends what they have not (Rights)."""

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from django.utils import timezone

from chat import audit, conf, database, policies
from chat.exceptions import ClientError, ErrorCode
from chat.models import Room
from chat.policies import Login, Standing
from chat.session import CLOSE_SIGN_IN, Session

if TYPE_CHECKING:
    from chat.feed import Feed

logger = logging.getLogger(__name__)


class Rights:
    """Watches over the hub's sessions and their places in its feeds."""

    def __init__(
        self, sessions: Collection[Session], feeds: "dict[int, Feed]", *, on_checked: Callable[[], None]
    ) -> None:
        # How many checks were begun: whoever asked before one began has to ask again.
        self.checks = 0
        self._sessions = sessions
        self._feeds = feeds
        self._on_checked = on_checked
        self._wanted = asyncio.Event()
        # Sessions that are being closed because their login ended.
        self._ended: WeakSet[Session] = WeakSet()

    def check_soon(self) -> None:
        """Hear that rights have changed."""
        self._wanted.set()

    def find_expired(self) -> None:
        """Look for logins whose time is over."""
        now = timezone.now()
        if any(session.standing and session.standing.expires_at <= now for session in self._sessions):
            self.check_soon()

    async def watch(self) -> None:
        """Check whenever it is asked for, and now and then without being asked."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(conf.ACCESS_CHECK_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.check()
            except Exception as error:
                database.warn(logger, "rights could not be checked, tried again", error)
                await asyncio.sleep(conf.SWEEP_SECONDS)
                self._wanted.set()

    async def check(self) -> None:
        """Ask for everybody's rights anew, close sockets whose login ended and panes that are not theirs any more."""
        self.checks += 1
        sessions = [session for session in self._sessions if session.standing is not None and not session.is_gone]
        if not sessions:
            return
        # Whoever joins from here on is asked for then.
        places = {session: dict(session.places) for session in sessions}
        # Another check may give a session its new login meanwhile.
        logins = {session: session.login for session in sessions}
        rooms = {room for joined in places.values() for room in joined}
        standings, known = await database.look(_load_rights, set(logins.values()), rooms)
        for room_id, room in known.items():
            if feed := self._feeds.get(room_id):
                feed.title, feed.staff_only = room.title, room.staff_only
        self._on_checked()
        ended = []
        for session, joined in places.items():
            standing = standings.get(logins[session])
            if standing is None:
                # Two checks at once, of a bell and the sweep, find the same.
                if session not in self._ended:
                    ended.append(session)
                continue
            session.standing = standing
            for room_id, place in joined.items():
                if session.places.get(room_id) is not place:
                    continue  # Left, or joined anew, meanwhile.
                try:
                    policies.check_enterable(standing.user, known.get(room_id))
                except ClientError as refusal:
                    place.feed.dismiss(session, refusal.code)
        if ended:
            await self._end_logins(ended)

    async def _end_logins(self, sessions: list[Session]) -> None:
        """Close sockets whose login ended; none waits for another's full buffer."""
        self._ended.update(sessions)
        for session in sessions:
            audit.write("revoked", user=session.user_id, close=CLOSE_SIGN_IN)
        refusing = [
            asyncio.ensure_future(session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CLOSE_SIGN_IN)) for session in sessions
        ]
        _, waiting = await asyncio.wait(refusing, timeout=1)
        for task in waiting:
            task.cancel()


def _load_rights(logins: set[Login], rooms: set[int]) -> tuple[dict[Login, Standing], dict[int, Room]]:
    return policies.load_standings(logins), Room.objects.in_bulk(rooms)
