"""Asks whether the sockets of this process still have their rights, and ends what they have not (Rights)."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakSet

from django.utils import timezone

from chat import audit, conf
from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.live.session import CLOSE_SIGN_IN, Place, Session
from chat.store import access, concerns, policies
from chat.store.concerns import ALL_USERS, NO_USERS, Concern
from chat.store.policies import EnterableRoom, Login, Standing

if TYPE_CHECKING:
    from chat.live.feed import Feed

logger = logging.getLogger(__name__)


class Question:
    """A question of rights that was asked of the database, and the checks that began before its answer was used."""

    __slots__ = ("_checked",)

    def __init__(self) -> None:
        self._checked = NO_USERS

    def outdate(self, concern: Concern) -> None:
        """Hear that a check of these users and rooms begins."""
        self._checked |= concern

    def is_outdated(self, *, user: int, room: int | None = None) -> bool:
        """Tell whether the answer may be older than a change of rights that was checked without this socket."""
        return self._checked.touches(user=user, room=room)


class Rights:
    """Watches over the hub's sessions and their places in its feeds."""

    def __init__(
        self, sessions: Collection[Session], feeds: "dict[int, Feed]", *, on_checked: Callable[[], None]
    ) -> None:
        # How many checks were begun.
        self.checks = 0
        self._sessions = sessions
        self._feeds = feeds
        self._on_checked = on_checked
        self._questions: set[Question] = set()
        # Whom changes concern that were heard of and not checked yet.
        self._pending = NO_USERS
        self._wanted = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began_at = float("-inf")
        self._all_began_at = self._loop.time()
        # The rows that the last sweep found, and when it began.
        self._seen: set[UUID] = set()
        self._swept_at: float | None = None
        # Sessions that are being closed because their login ended.
        self._ended: WeakSet[Session] = WeakSet()

    def check_soon(self, concern: Concern = ALL_USERS) -> None:
        """Hear that rights have changed."""
        self._pending |= concern
        self._wanted.set()

    def find_expired(self) -> None:
        """Look for logins whose time is over."""
        now = timezone.now()
        users = {one.user_id for one in self._sessions if one.standing and one.standing.expires_at <= now}
        if users:
            self.check_soon(concerns.about(users=users))

    @contextmanager
    def question(self) -> Iterator[Question]:
        """Hold a question of rights, from before it is asked until its answer was used.

        A check that begins meanwhile does not see the socket or the place that the answer is for, so the question
        has to be asked again if the check is about its user or room. Changes of other users' rights, however many,
        do not delay it.
        """
        question = Question()
        self._questions.add(question)
        try:
            yield question
        finally:
            self._questions.discard(question)

    async def watch(self) -> None:
        """Check when changes are heard of, and everybody now and then without being asked."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._all_began_at + conf.ACCESS_CHECK_SECONDS):
                    await self._wanted.wait()
            # The first change is checked at once. A stream of them, as when a script saves all users, is paced.
            await asyncio.sleep(max(0.0, self._began_at + conf.ACCESS_PACE_SECONDS - self._loop.time()))
            self._wanted.clear()
            if is_due := self._loop.time() >= self._all_began_at + conf.ACCESS_CHECK_SECONDS:
                self._all_began_at = self._loop.time()
            try:
                await self.check(ALL_USERS if is_due else NO_USERS)
            except Exception as error:
                database.warn(logger, "rights could not be checked, tried again", error)
                await asyncio.sleep(conf.SWEEP_SECONDS)

    async def sweep(self, rows: Sequence[access.Row], *, began: float) -> Concern:
        """Check what changes say that a sweep has found, which began at this time of the loop's clock.

        Returns whom the new ones concern.
        """
        # Rows are removed ACCESS_KEEP_SECONDS after a process has seen them. After a longer pause, some may have come
        # and gone unseen.
        is_late = self._swept_at is None or self._loop.time() - self._swept_at > conf.ACCESS_KEEP_SECONDS * 0.8
        if is_late or len(rows) > access.MAX_ROWS:
            concern = ALL_USERS
        else:
            # Not by the highest number: rows are committed in any order, however late.
            concern = access.concern_of(row for row in rows if row[0] not in self._seen)
        if concern:
            await self.check(concern)
        self._seen = {key for key, _, _ in rows}
        self._swept_at = began
        return concern

    async def prune(self) -> None:
        """Remove rows of changes that were seen long enough."""
        old: list[UUID] = []
        while True:
            await asyncio.sleep(conf.ACCESS_KEEP_SECONDS)
            try:
                for start in range(0, len(old), access.PRUNED_ROWS):
                    await database.write_behind(access.prune, old[start : start + access.PRUNED_ROWS])
                old = await database.look(access.stored_keys) if self._seen else []
            except Exception as error:
                old = []
                database.warn(logger, "changes of rights could not be removed, tried again", error)

    async def check(self, concern: Concern = ALL_USERS) -> None:
        """Ask for the rights of those concerned, close sockets whose login ended and panes that are not theirs now."""
        concern |= self._pending
        self._pending = NO_USERS
        if not concern:
            return
        self.checks += 1
        self._began_at = self._loop.time()
        if concern.is_all_users:
            self._all_began_at = self._began_at
        # In one step with the list of places: whoever is attached later has asked later, or asks again.
        for question in self._questions:
            question.outdate(concern)
        try:
            await self._check(concern, self._places(concern))
        except BaseException:
            self.check_soon(concern)
            raise

    def _places(self, concern: Concern) -> dict[Session, dict[int, Place]]:
        """Return the sessions concerned, each with its places that are."""
        found = {}
        for session in self._sessions:
            if session.standing is None or session.is_gone:
                continue
            is_mine = concern.touches(user=session.user_id)
            places = {
                room: place for room, place in session.places.items() if is_mine or room in concern.rooms
            }  # fmt: skip
            if is_mine or places:
                found[session] = places
        return found

    async def _check(self, concern: Concern, places: dict[Session, dict[int, Place]]) -> None:
        rooms = {room for joined in places.values() for room in joined}
        # Another check may give a session its new login meanwhile.
        logins = {session: session.login for session in places}
        standings: dict[Login, Standing] = {}
        known: dict[int, EnterableRoom] = {}
        if places:
            standings, known = await database.look(policies.load_rights, set(logins.values()), rooms)
        for room_id, room in known.items():
            if feed := self._feeds.get(room_id):
                feed.title, feed.staff_only = room.title, room.staff_only
        if concern.is_all_users or concern.rooms or _is_other_staff(places, standings):
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


def _is_other_staff(sessions: Collection[Session], standings: dict[Login, Standing]) -> bool:
    """Tell whether the rooms of a socket are other ones than before."""
    return any(
        session.standing is not None
        and session.login in standings
        and session.standing.user.is_staff != standings[session.login].user.is_staff
        for session in sessions
    )
