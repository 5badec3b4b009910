"""Access ends at once: in two processes, with Redis and without, for every way to lose a right."""

import asyncio
import json
import shutil
import sys
import tempfile
import time
import uuid
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from chat.protocol import CloseCode
from chat.testing.page import READ_AFTER_SECONDS
from tests.servers.figures import percentile, report
from tests.servers.quantities import TIMEOUT, Q
from tests.servers.services import BASE, Server
from tests.servers.shell import CAUSES, MARK

pytestmark = pytest.mark.timeout(TIMEOUT)

REASONS = {
    "staff_flag_taken": "ROOM_ACCESS_DENIED",
    "made_staff_only": "ROOM_ACCESS_DENIED",
    "removed_from_members": "ROOM_ACCESS_DENIED",
    "room_deleted": "ROOM_INVALID",
}


class Shell:
    """The test's end of a shell that stays open (tests.servers.shell)."""

    def __init__(self, process, errors):
        self._process = process
        self._errors = errors
        self._turn = asyncio.Lock()

    async def ask(self, **request):
        """Return the shell's answer. Raises RuntimeError with the shell's error when it failed or has ended."""
        async with self._turn:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            while (line := (await self._process.stdout.readline()).decode()) and not line.startswith(MARK):
                pass
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"the shell ended at {request}: {self._errors.read().decode()}")
        answer = json.loads(line.removeprefix(MARK))
        if answer and "failed" in answer:
            raise RuntimeError(f"{request} failed: {answer['failed']}")
        return answer

    async def revoke(self, cause, target):
        return await self.ask(cause=cause, to=target)


@asynccontextmanager
async def shell_of(server):
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.servers.shell"),
            cwd=BASE,
            env=server.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=2**20,
        )
        try:
            yield Shell(process, errors)
        finally:
            process.stdin.close()
            await process.wait()


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
        with suppress(ConnectionClosed):
            while True:
                client_id = str(uuid.uuid4())
                self._sent_at[client_id] = time.monotonic()
                send = {"command": "send", "room": self.room, "message": "hi", "client_id": client_id}
                await self._connection.send(json.dumps(send))
                await asyncio.sleep(Q.think_seconds)

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
    is_staff = cause in ("staff_flag_taken",)
    members_only = cause == "removed_from_members"
    target = await shell.ask(make=name, is_staff=is_staff, staff_only=is_staff, members_only=members_only)
    # If the first page writes, its messages are refused, so its process checks rights at once. A page of a process
    # where no user writes can only be notified by the bell or the sweep.
    async with Page(servers[0], target, writes=writes) as writer, Page(servers[1], target, writes=False) as reader:
        await shell.ask(post_to=target)
        async with asyncio.timeout(10):
            while not (writer.events() and reader.events()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        moment = await shell.revoke(cause, target)
        await shell.ask(post_to=target)
        for page in (writer, reader):
            await page.until_revoked()
        await shell.ask(post_to=target)
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
    trials = []
    for turn in range(Q.revocation_rounds):
        running = [try_cause(shell, servers, cause, f"{cause}{turn} {what}", writes=writes) for cause in CAUSES]
        trials += [page for pages in await asyncio.gather(*running) for page in pages]
    check_trials(trials, what)
    return trials


async def test_each_way_to_lose_a_right_ends_access_in_every_process(two_servers, redis):
    async with shell_of(two_servers[0]) as shell:
        with_redis = await try_all_causes(shell, two_servers, what="Redis up")
        await asyncio.to_thread(redis.kill)
        without = await try_all_causes(shell, two_servers, what="Redis stopped")
    lines = [json.loads(line) for line in log_lines(two_servers) if '"event": "revoked"' in line]
    assert len(lines) == len(with_redis) + len(without)


async def test_each_way_to_lose_a_right_ends_access_on_sqlite(sqlite_server):
    # The shell is another process without a channel layer, so only the sweep can find what it took away.
    async with shell_of(sqlite_server) as shell:
        await try_all_causes(shell, [sqlite_server, sqlite_server], what="one process on SQLite", writes=False)


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


async def test_an_error_of_the_shell_is_raised_in_the_test(template_state, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(template_state, state)
    # The server is not started, because the shell needs only its environment.
    server = Server(state)
    server.close()
    async with shell_of(server) as shell:
        with pytest.raises(RuntimeError, match="KeyError"):
            await shell.ask(cause="staff_flag_taken", to={})
        assert "room" in await shell.ask(make="dora")
        shell._process.stdin.write(b"this is not JSON\n")
        with pytest.raises(RuntimeError, match="JSONDecodeError"):
            await shell.ask(make="emil")
        shell._process.kill()
        with pytest.raises(RuntimeError, match="the shell ended"):
            await shell.ask(make="frida")


async def test_rights_revoked_by_plain_sql_end_access_at_the_next_check(start_servers, database_url, redis, postgres):
    settings = {"ACCESS_CHECK_SECONDS": 1.0}
    servers = start_servers(settings, settings, database_url=database_url, redis_url=redis.url)
    database = database_url.split("@/")[1].split("?")[0]

    async def try_cause(shell, cause):
        is_staff = cause == "staff_flag_taken"
        members_only = cause == "removed_from_members"
        target = await shell.ask(
            make=f"{cause} by sql", is_staff=is_staff, staff_only=is_staff, members_only=members_only
        )
        async with Page(servers[0], target) as first, Page(servers[1], target) as second:
            await asyncio.to_thread(postgres.execute, database, SQL[cause].format(**target))
            done = time.monotonic()
            for page in (first, second):
                await page.until_revoked()
            notices = [(*page.notice()[:2], len(page.accepted_after(done))) for page in (first, second)]
            return [(at - done, reason, accepted) for at, reason, accepted in notices]

    async with shell_of(servers[0]) as shell:
        outcomes = await asyncio.gather(*(try_cause(shell, cause) for cause in SQL))
    for cause, pages in zip(SQL, outcomes, strict=True):
        for seconds, reason, accepted in pages:
            assert reason == REASONS.get(cause, CloseCode.SIGN_IN)
            assert accepted == 0
            assert seconds < 2.0
    slowest = max(seconds for pages in outcomes for seconds, *_ in pages)
    report(f"revocation by plain SQL, checked every 1 s: notified after {slowest * 1000:.0f} ms at most")


async def test_an_open_socket_prolongs_its_session_until_the_session_is_ended(start_server, database_url, postgres):
    server = start_server(database_url=database_url, settings={"ACCESS_CHECK_SECONDS": 0.5})
    async with shell_of(server) as shell:
        target = await shell.ask(make="expiring", expires_in=4)
        created_at = time.monotonic()
        async with Page(server, target) as busy:
            await asyncio.sleep(5)
            assert not busy.is_revoked, "a page that is open is used"
            end = f"UPDATE django_session SET expire_date = now() WHERE session_key = '{target['session']}'"
            database = database_url.split("@/")[1].split("?")[0]
            await asyncio.to_thread(postgres.execute, database, end)
            async with asyncio.timeout(8):
                while busy.closed is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert busy.closed == CloseCode.SIGN_IN
        report(f"an open page kept its session of 4 s for {busy.closed_at - created_at:.1f} s, until it was ended")
