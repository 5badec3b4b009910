"""Checks the rights of this process's sockets, and closes sockets and panes that have lost them (Revocation)."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID
from weakref import WeakSet

from django.utils import timezone

from chat import audit
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.live.session import Session, Subscription
from chat.protocol import CloseCode
from chat.store import access, concerns, policies, web_sessions
from chat.store.concerns import ALL_USERS, NO_USERS, Concern
from chat.store.policies import EnterableRoom, Login, Standing
from chat.store.room_user import RoomUser

if TYPE_CHECKING:
    from chat.live.feed import Feed

logger = logging.getLogger(__name__)


# The sessions that one transaction prolongs.
PROLONGED = 200


class Question:
    """A question of rights to the database, and the checks that began before its answer was used."""

    __slots__ = ("_checked",)

    def __init__(self) -> None:
        self._checked = NO_USERS

    def outdate(self, concern: Concern) -> None:
        """Note that a check of these users and rooms begins."""
        self._checked |= concern

    def is_outdated(self, *, user: int, room: int | None = None) -> bool:
        """Tell whether a change of rights that this socket was not checked for may be newer than the answer."""
        return self._checked.touches(user=user, room=room)


class Revocation:
    """Ends the hub's sessions, and their subscriptions in its feeds, when their rights end."""

    def __init__(
        self,
        sessions: Collection[Session],
        feeds: "dict[int, Feed]",
        *,
        dismiss: Callable[[Session, int, ErrorCode], None],
        on_checked: Callable[[], None],
        on_concerned: Callable[[Concern], None] = lambda concern: None,
    ) -> None:
        # How many checks have begun.
        self.checks = 0
        self._sessions = sessions
        self._feeds = feeds
        self._dismiss = dismiss
        self._on_checked = on_checked
        self._on_concerned = on_concerned
        self._questions: set[Question] = set()
        # The users and rooms of changes that were not checked yet.
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
        """Check these users and rooms soon, because their rights have changed."""
        self._pending |= concern
        self._wanted.set()

    def find_expired(self) -> None:
        """Check users whose login has expired."""
        now = timezone.now()
        users = {
            session.user_id for session in self._sessions if session.standing and session.standing.expires_at <= now
        }
        if users:
            self.check_soon(concerns.about(users=users))

    @contextmanager
    def question(self) -> Iterator[Question]:
        """Hold a question of rights, from before it is asked until its answer has been used.

        A check that begins in the meantime does not see the socket or the subscription that the answer is for. So the
        question has to be asked again if that check is about its user or room. Changes of other users' rights do not
        delay it, however many there are.
        """
        question = Question()
        self._questions.add(question)
        try:
            yield question
        finally:
            self._questions.discard(question)

    async def check_always(self) -> None:
        """Check after each change, and check all users periodically."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._all_began_at + conf.ACCESS_CHECK_SECONDS):
                    await self._wanted.wait()
            # The first change is checked at once. Further ones wait, because a script may save all users.
            await asyncio.sleep(max(0.0, self._began_at + conf.ACCESS_CHECK_PAUSE_SECONDS - self._loop.time()))
            self._wanted.clear()
            if is_due := self._loop.time() >= self._all_began_at + conf.ACCESS_CHECK_SECONDS:
                self._all_began_at = self._loop.time()
            try:
                await self.check(ALL_USERS if is_due else NO_USERS)
            except Exception as error:
                database.warn(logger, "rights could not be checked; trying again", error)
                await asyncio.sleep(conf.SWEEP_SECONDS)

    async def sweep(self, rows: Sequence[access.Row], *, began: float) -> Concern:
        """Check the rows of changes that a sweep has read, and return the users and rooms of the new ones.

        `began` is when the sweep began, by the loop's clock.
        """
        # Rows are removed ACCESS_KEEP_SECONDS after a process has seen them. So after a longer pause this process may
        # have missed some.
        is_late = self._swept_at is None or self._loop.time() - self._swept_at > conf.ACCESS_KEEP_SECONDS * 0.8
        if is_late or len(rows) > access.MAX_ROWS:
            concern = ALL_USERS
        else:
            # Compared by key and not by the highest number, because rows are committed in any order, however late.
            concern = access.concern_of(row for row in rows if row[0] not in self._seen)
        if concern:
            await self.check(concern)
        self._seen = {key for key, _, _ in rows}
        self._swept_at = began
        return concern

    async def prune_always(self) -> None:
        """Remove the rows of changes that were seen ACCESS_KEEP_SECONDS ago."""
        old: list[UUID] = []
        while True:
            await asyncio.sleep(conf.ACCESS_KEEP_SECONDS)
            try:
                for start in range(0, len(old), access.PRUNED_ROWS):
                    await database.write_behind(access.prune, old[start : start + access.PRUNED_ROWS])
                old = await database.poll(access.stored_keys) if self._seen else []
            except Exception as error:
                old = []
                database.warn(logger, "changes of rights could not be removed; trying again", error)

    async def check(self, concern: Concern = ALL_USERS) -> None:
        """Read the rights of the users concerned; close sockets whose login ended, and panes they may not see."""
        concern |= self._pending
        self._pending = NO_USERS
        if not concern:
            return
        self.checks += 1
        self._began_at = self._loop.time()
        if concern.is_all_users:
            self._all_began_at = self._began_at
        # In one step with the list of subscriptions: a session that is attached later has asked later, or asks again.
        for question in self._questions:
            question.outdate(concern)
        try:
            await self._check(concern, self._subscriptions_of(concern))
        except BaseException:
            self.check_soon(concern)
            raise

    def _subscriptions_of(self, concern: Concern) -> dict[Session, dict[int, Subscription]]:
        """Return the sessions concerned, each with the subscriptions that are."""
        found = {}
        for session in self._sessions:
            if session.standing is None or session.is_gone:
                continue
            is_mine = concern.touches(user=session.user_id)
            subscriptions = {
                room: subscription
                for room, subscription in session.subscriptions.items()
                if is_mine or room in concern.rooms
            }
            if is_mine or subscriptions:
                found[session] = subscriptions
        return found

    async def _check(self, concern: Concern, subscriptions: dict[Session, dict[int, Subscription]]) -> None:
        rooms = {room for joined in subscriptions.values() for room in joined}
        # Another check may give a session its new login in the meantime.
        logins = {session: session.login for session in subscriptions}
        standings: dict[Login, Standing] = {}
        known: dict[int, EnterableRoom] = {}
        members: set[RoomUser] = set()
        if subscriptions:
            pairs = {RoomUser(room, session.user_id) for session, joined in subscriptions.items() for room in joined}
            standings, known, members = await database.poll(_load_rights, set(logins.values()), rooms, pairs)
        for room_id, room in known.items():
            if feed := self._feeds.get(room_id):
                feed.title, feed.staff_only = room.title, room.staff_only
                feed.view = feed.view._replace(
                    topic=room.topic, kind=room.kind, is_archived=room.archived_at is not None
                )
        if concern.is_all_users or concern.rooms or _is_other_staff(subscriptions, standings):
            self._on_checked()
        self._on_concerned(concern)
        ended = []
        for session, joined in subscriptions.items():
            standing = standings.get(logins[session])
            if standing is None:
                # Two checks at the same time, after a bell and in the sweep, find the same session.
                if session not in self._ended:
                    ended.append(session)
                continue
            session.standing = standing
            for room_id, subscription in joined.items():
                if session.subscriptions.get(room_id) is not subscription:
                    continue  # The room was left, or joined again, in the meantime.
                now = known.get(room_id)
                try:
                    is_member = RoomUser(room_id, session.user_id) in members
                    policies.check_enterable(standing.user, now, is_member=is_member)
                except ClientError as refusal:
                    # The user has seen this room, so they may know that it still exists.
                    code = ErrorCode.ROOM_ACCESS_DENIED if now is not None else refusal.code
                    self._dismiss(session, room_id, code)
        if ended:
            await self._end_logins(ended)
        if concern.is_all_users:
            await self._prolong(standings.values())

    async def _prolong(self, standings: Iterable[Standing]) -> None:
        """Prolong the web sessions of open sockets, each about once a day: an open page is in use."""
        due = [standing.login.session_key for standing in standings if web_sessions.is_due(standing.expires_at)]
        try:
            for start in range(0, len(due), PROLONGED):
                await database.write_behind(web_sessions.prolong, due[start : start + PROLONGED])
        except Exception as error:
            database.warn(logger, "sessions could not be prolonged; trying again", error)

    async def _end_logins(self, sessions: list[Session]) -> None:
        """Close sockets whose login ended; a full socket does not delay the others."""
        self._ended.update(sessions)
        for session in sessions:
            audit.write("revoked", user=session.user_id, close=CloseCode.SIGN_IN)
        refusing = [
            asyncio.ensure_future(session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CloseCode.SIGN_IN))
            for session in sessions
        ]
        _, waiting = await asyncio.wait(refusing, timeout=1)
        for task in waiting:
            task.cancel()


def _load_rights(
    logins: Collection[Login], rooms: Collection[int], pairs: Collection[RoomUser]
) -> tuple[dict[Login, Standing], dict[int, EnterableRoom], set[RoomUser]]:
    standings, known = policies.load_rights(logins, rooms)
    return standings, known, policies.load_members(pairs, known)


def _is_other_staff(sessions: Collection[Session], standings: dict[Login, Standing]) -> bool:
    """Tell whether a user was put on the staff or taken from it, and so may enter other rooms."""
    return any(
        session.standing is not None
        and session.login in standings
        and session.standing.user.is_staff != standings[session.login].user.is_staff
        for session in sessions
    )
