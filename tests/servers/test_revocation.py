"""Access ends at once: in two processes, with Redis and without, for every way to lose a right."""

import asyncio
import json
import time
import uuid
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from chat.protocol import CloseCode
from chat.testing.page import READ_AFTER_SECONDS
from tests.servers.figures import percentile, report
from tests.servers.quantities import IS_FULL, TIMEOUT, Q
from tests.servers.rights import CAUSES

pytestmark = pytest.mark.timeout(TIMEOUT)

# How many causes are tried at the same time: pages that wait for the others' turns would only write more messages.
CAUSES_AT_ONCE = len(CAUSES) if IS_FULL else 3
REASONS = {
    "staff_flag_taken": "ROOM_ACCESS_DENIED",
    "made_staff_only": "ROOM_ACCESS_DENIED",
    "removed_from_members": "ROOM_ACCESS_DENIED",
    "room_deleted": "ROOM_INVALID",
}


class Shell:
    """A process on the database of a server that makes users and takes rights away (tests.servers.rights)."""

    def __init__(self, server):
        self._server = server
        # One request after another: requests at the same time would each get a process of their own.
        self._turn = asyncio.Lock()

    async def make(self, name, cause="", expires_in=None):
        """Make a user, and a room in which they have the right that the cause takes away."""
        is_staff, members_only = cause == "staff_flag_taken", cause == "removed_from_members"
        return await self._ask("make_target", name, is_staff, members_only, expires_in)

    async def revoke(self, cause, target):
        return await self._ask("revoke", cause, target)

    async def post_to(self, target):
        await self._ask("post_to", target)

    async def _ask(self, task, *arguments):
        async with self._turn:
            answer = await asyncio.to_thread(self._server.ask, task, *arguments)
        return json.loads(answer or b"null")


class Page:
    """An open page that watches, reads and writes until it is stopped, and records its frames with their times."""

    def __init__(self, server, target, *, writes=True):
        self.room, self.writes = str(target["room"]), writes
        self.frames = []
        self.closed = None
        self.closed_at = None
        self._sent_at = {}
        self._connection = connect(
            f"{server.url.replace('http', 'ws')}/chat/stream/",
            origin=server.url,
            additional_headers={"Cookie": target["cookie"]},
            compression=None,
            proxy=None,
        )

    async def __aenter__(self):
        self._connection = await self._connection
        await self._connection.send(json.dumps({"command": "watch"}))
        await self._connection.send(json.dumps({"command": "join", "room": self.room, "since": 0}))
        await self._connection.send(json.dumps({"command": "layout", "rooms": [self.room]}))
        while "join" not in json.loads(await self._connection.recv()):
            pass
        self._tasks = [
            asyncio.ensure_future(self._read()),
            asyncio.ensure_future(self._send_positions()),
            *([asyncio.ensure_future(self._write())] if self.writes else []),
        ]
        return self

    async def __aexit__(self, *unused):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _read(self):
        try:
            async for text in self._connection:
                self.frames.append((time.monotonic(), json.loads(text)))
        except ConnectionClosed:
            pass
        self.closed, self.closed_at = self._connection.close_code, time.monotonic()

    async def _send_positions(self):
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(READ_AFTER_SECONDS)
                if seen := [frame["seq"] for _, frame in self.events()]:
                    await self._connection.send(json.dumps({"command": "read", "room": self.room, "seq": seen[-1]}))

    async def _write(self):
        while True:
            await self.post()
            await asyncio.sleep(2 * Q.think_seconds)

    async def post(self):
        """Send a message, unless the connection is closed."""
        client_id = str(uuid.uuid4())
        self._sent_at[client_id] = time.monotonic()
        send = {"command": "send", "room": self.room, "message": "hi", "client_id": client_id}
        with suppress(ConnectionClosed):
            await self._connection.send(json.dumps(send))

    @property
    def is_revoked(self):
        return self.closed is not None or any("leave" in frame for _, frame in self.frames)

    async def until_revoked(self, seconds=5):
        async with asyncio.timeout(seconds):
            while not self.is_revoked:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def events(self):
        return [(at, frame) for at, frame in self.frames if self._is_event(frame)]

    def _is_event(self, frame):
        return frame.get("room") == self.room and "seq" in frame and "ack" not in frame

    def accepted_after(self, moment):
        """Return the acks of messages that were sent after the revoking commit."""
        acks = [frame["ack"] for _, frame in self.frames if "ack" in frame]
        return [client_id for client_id in acks if self._sent_at[client_id] > moment]

    def notice(self):
        """Return when the page was notified, the reason or close code, and how many events came after that."""
        for index, (at, frame) in enumerate(self.frames):
            # The answer to a refused send does not count, only an error that is sent unasked.
            if "leave" in frame or (frame.get("error") == "USER_HAS_TO_LOGIN" and "command" not in frame):
                reason = frame.get("reason") or (self.closed if "error" in frame else None)
                later = [frame for _, frame in self.frames[index:] if self._is_event(frame)]
                return at, reason, len(later)
        return self.closed_at, self.closed, 0


async def try_cause(shell, servers, cause, name, *, writes):
    """Revoke a right while two pages are open. Return, for each, when it was notified and what came too late."""
    target = await shell.make(name, cause)
    # If the first page writes, its messages are refused, so its process checks rights at once. A page of a process
    # where no user writes can only be notified by the bell or the sweep.
    async with Page(servers[0], target, writes=writes) as writer, Page(servers[1], target, writes=False) as reader:
        await shell.post_to(target)
        async with asyncio.timeout(10):
            while not (writer.events() and reader.events()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        moment = await shell.revoke(cause, target)
        if writes:
            # A message that is sent just after the commit must be refused.
            await writer.post()
        await shell.post_to(target)
        for page in (writer, reader):
            await page.until_revoked()
        await shell.post_to(target)
        # Let frames that are still on their way arrive.
        await asyncio.sleep(0.15)
    return [
        {
            "cause": cause,
            "reason": page.notice()[1],
            "seconds": page.notice()[0] - moment["done"],
            "last": max((at for at, _ in page.events()), default=0) - moment["done"],
            "seen": len(page.events()),
            "frames after": page.notice()[2],
            "accepted after": len(page.accepted_after(moment["done"])),
        }
        for page in (writer, reader)
    ]


def check_trials(trials, what):
    took = [trial["seconds"] for trial in trials]
    report(
        f"revocation, {what}: {len(trials)} pages, notified after p50 {percentile(took, 0.5) * 1000:.0f} ms, "
        f"p99 {percentile(took, 0.99) * 1000:.0f} ms, max {max(took) * 1000:.0f} ms; last frame "
        f"{max(trial['last'] for trial in trials) * 1000:.0f} ms after the commit at most; frames after the notice "
        f"{sum(trial['frames after'] for trial in trials)}, "
        f"sends accepted {sum(trial['accepted after'] for trial in trials)}"
    )
    for trial in trials:
        assert trial["reason"] == REASONS.get(trial["cause"], CloseCode.SIGN_IN), trial
        assert trial["seen"] > 0, "the page got no event before the revocation"
        assert trial["last"] < 1, trial
        assert trial["frames after"] == 0, trial
    assert percentile(took, 0.99) < 1
    assert sum(trial["frames after"] for trial in trials) == 0
    assert sum(trial["accepted after"] for trial in trials) == 0


async def try_all_causes(shell, servers, *, what, writes=True):
    trials, turns = [], asyncio.Semaphore(CAUSES_AT_ONCE)

    async def try_in_turn(cause, number):
        async with turns:
            return await try_cause(shell, servers, cause, f"{cause}{number} {what}", writes=writes)

    for number in range(Q.revocation_rounds):
        running = [try_in_turn(cause, number) for cause in CAUSES]
        trials += [page for pages in await asyncio.gather(*running) for page in pages]
    check_trials(trials, what)
    return trials


async def test_each_way_to_lose_a_right_ends_access_in_every_process(two_servers, redis):
    shell = Shell(two_servers[0])
    with_redis = await try_all_causes(shell, two_servers, what="Redis up")
    await asyncio.to_thread(redis.kill)
    without = await try_all_causes(shell, two_servers, what="Redis stopped")
    lines = [json.loads(line) for line in log_lines(two_servers) if '"event": "revoked"' in line]
    assert len(lines) == len(with_redis) + len(without)


async def test_each_way_to_lose_a_right_ends_access_on_sqlite(sqlite_server):
    # The shell is another process without a channel layer, so only the sweep can find what it took away.
    servers = [sqlite_server, sqlite_server]
    await try_all_causes(Shell(sqlite_server), servers, what="one process on SQLite", writes=False)


def log_lines(servers):
    return [line for server in servers for line in server.log.read_text().splitlines()]


SQL = {
    "staff_flag_taken": "UPDATE auth_user SET is_staff = false WHERE id = {user}",
    "made_staff_only": "UPDATE chat_room SET staff_only = true WHERE id = {room}",
    "removed_from_members": "DELETE FROM chat_roommember WHERE room_id = {room}",
    "deactivated": "UPDATE auth_user SET is_active = false WHERE id = {user}",
    "password_changed": "UPDATE auth_user SET password = 'x' WHERE id = {user}",
    "session_deleted": "DELETE FROM django_session WHERE session_key = '{session}'",
}


async def test_rights_revoked_by_plain_sql_end_access_at_the_next_check_and_until_then_a_page_prolongs_its_session(
    start_servers, database_url, redis, postgres
):
    settings = {"ACCESS_CHECK_SECONDS": 1.0}
    servers = start_servers(settings, settings, database_url=database_url, redis_url=redis.url)
    database = database_url.split("@/")[1].split("?")[0]
    shell = Shell(servers[0])

    async def try_cause(cause):
        target = await shell.make(f"{cause} by sql", cause)
        async with Page(servers[0], target) as first, Page(servers[1], target) as second:
            await asyncio.to_thread(postgres.execute, database, SQL[cause].format(**target))
            done = time.monotonic()
            for page in (first, second):
                await page.post()
            for page in (first, second):
                await page.until_revoked()
            notices = [(*page.notice()[:2], len(page.accepted_after(done))) for page in (first, second)]
            return [(at - done, reason, accepted) for at, reason, accepted in notices]

    async def prolong_session():
        """Return for how long a page was open although its session would have expired after 4 s."""
        target = await shell.make("expiring", expires_in=4)
        created_at = time.monotonic()
        async with Page(servers[0], target) as busy:
            await asyncio.sleep(5)
            assert not busy.is_revoked, "a page that is open is used"
            end = f"UPDATE django_session SET expire_date = now() WHERE session_key = '{target['session']}'"
            await asyncio.to_thread(postgres.execute, database, end)
            async with asyncio.timeout(8):
                while busy.closed is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert busy.closed == CloseCode.SIGN_IN
        return busy.closed_at - created_at

    kept, *outcomes = await asyncio.gather(prolong_session(), *map(try_cause, SQL))
    report(f"an open page kept its session of 4 s for {kept:.1f} s, until it was ended")
    for cause, pages in zip(SQL, outcomes, strict=True):
        for seconds, reason, accepted in pages:
            assert reason == REASONS.get(cause, CloseCode.SIGN_IN)
            assert accepted == 0
            assert seconds < 2.0
    slowest = max(seconds for pages in outcomes for seconds, *_ in pages)
    report(f"revocation by plain SQL, checked every 1 s: notified after {slowest * 1000:.0f} ms at most")
