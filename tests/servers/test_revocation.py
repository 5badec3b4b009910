"""Access ends when it ends: two processes, Redis or none, and each way to lose a right."""

import asyncio
import json
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
from tests.servers.services import BASE
from tests.servers.shell import CAUSES, MARK

pytestmark = pytest.mark.timeout(TIMEOUT)

NO_LONGER = {
    "staff_flag_taken": "ROOM_ACCESS_DENIED",
    "made_staff_only": "ROOM_ACCESS_DENIED",
    "room_deleted": "ROOM_INVALID",
}


class Shell:
    """Somebody at `manage.py shell`, who has it open all day."""

    def __init__(self, process, errors):
        self._process = process
        self._errors = errors
        self._turn = asyncio.Lock()

    async def ask(self, **asked):
        """Ask, and return the answer. Raises RuntimeError with what the shell said when it failed or has ended."""
        async with self._turn:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            while (line := (await self._process.stdout.readline()).decode()) and not line.startswith(MARK):
                pass
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"the shell ended at {asked}: {self._errors.read().decode()}")
        answer = json.loads(line.removeprefix(MARK))
        if answer and "failed" in answer:
            raise RuntimeError(f"{asked} failed: {answer['failed']}")
        return answer

    async def revoke(self, cause, one):
        return await self.ask(cause=cause, to=one)


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
    """One open page that watches, reads and writes until it is stopped, and remembers when it heard what."""

    def __init__(self, server, one, *, writes=True):
        self.one, self.room, self.writes = one, str(one["room"]), writes
        self.heard = []
        self.closed = None
        self.closed_at = None
        self._sent_at = {}
        self._line = connect(
            f"{server.url.replace('http', 'ws')}/chat/stream/",
            origin=server.url,
            additional_headers={"Cookie": one["cookie"]},
            compression=None,
            proxy=None,
        )

    async def __aenter__(self):
        self._line = await self._line
        await self._line.send(json.dumps({"command": "watch"}))
        await self._line.send(json.dumps({"command": "join", "room": self.room, "since": 0}))
        await self._line.send(json.dumps({"command": "layout", "rooms": [self.room]}))
        while "join" not in json.loads(await self._line.recv()):
            pass
        self._tasks = [
            asyncio.ensure_future(self._read()),
            asyncio.ensure_future(self._tell_what_was_read()),
            *([asyncio.ensure_future(self._write())] if self.writes else []),
        ]
        return self

    async def __aexit__(self, *unused):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._line.close()

    async def _read(self):
        try:
            async for text in self._line:
                self.heard.append((time.monotonic(), json.loads(text)))
        except ConnectionClosed:
            pass
        self.closed, self.closed_at = self._line.close_code, time.monotonic()

    async def _tell_what_was_read(self):
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(READ_AFTER_SECONDS)
                if seen := [frame["seq"] for _, frame in self.events()]:
                    await self._line.send(json.dumps({"command": "read", "room": self.room, "seq": seen[-1]}))

    async def _write(self):
        with suppress(ConnectionClosed):
            while True:
                client_id = str(uuid.uuid4())
                self._sent_at[client_id] = time.monotonic()
                send = {"command": "send", "room": self.room, "message": "hi", "client_id": client_id}
                await self._line.send(json.dumps(send))
                await asyncio.sleep(0.02)

    @property
    def is_out(self):
        return self.closed is not None or any("leave" in frame for _, frame in self.heard)

    async def until_out(self, seconds=5):
        async with asyncio.timeout(seconds):
            while not self.is_out:  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    def events(self):
        return [(at, frame) for at, frame in self.heard if self._is_event(frame)]

    def _is_event(self, frame):
        return frame.get("room") == self.room and "seq" in frame and "ack" not in frame

    def accepted_after(self, moment):
        """Return the acks of what was sent when the revoking commit was over."""
        acks = [frame["ack"] for _, frame in self.heard if "ack" in frame]
        return [client_id for client_id in acks if self._sent_at[client_id] > moment]

    def told(self):
        """Return how the page was told, and when."""
        for place, (at, frame) in enumerate(self.heard):
            # A refused send tells its writer; what ends the page is told without being asked.
            if "leave" in frame or (frame.get("error") == "USER_HAS_TO_LOGIN" and "command" not in frame):
                told = frame.get("reason") or (self.closed if "error" in frame else None)
                later = [one for _, one in self.heard[place:] if self._is_event(one)]
                return at, told, len(later)
        return self.closed_at, self.closed, 0


async def trial(shell, servers, cause, name):
    """Take a right away under two open pages; return when each was told, and what came too late."""
    is_staff = cause in ("staff_flag_taken",)
    one = await shell.ask(make=name, is_staff=is_staff, staff_only=is_staff)
    # One writes too: it is refused, and its process looks at once. The other one only the bell or the sweep can tell.
    async with Page(servers[0], one) as here, Page(servers[1], one, writes=False) as there:
        async with asyncio.timeout(10):
            while not (here.events() and there.events()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        moment = await shell.revoke(cause, one)
        for page in (here, there):
            await page.until_out()
        # What is still on its way may come now.
        await asyncio.sleep(0.15)
    return [
        {
            "cause": cause,
            "told": page.told()[1],
            "seconds": page.told()[0] - moment["done"],
            "last": max((at for at, _ in page.events()), default=0) - moment["done"],
            "seen": len(page.events()),
            "frames after": page.told()[2],
            "accepted after": len(page.accepted_after(moment["done"])),
        }
        for page in (here, there)
    ]


def judge(trials, what):
    took = [one["seconds"] for one in trials]
    report(
        f"revocation, {what}: {len(trials)} pages, told after p50 {percentile(took, 0.5) * 1000:.0f} ms, "
        f"p99 {percentile(took, 0.99) * 1000:.0f} ms, max {max(took) * 1000:.0f} ms; last frame "
        f"{max(one['last'] for one in trials) * 1000:.0f} ms after the commit at most; frames after being told "
        f"{sum(one['frames after'] for one in trials)}, sends accepted {sum(one['accepted after'] for one in trials)}"
    )
    for one in trials:
        assert one["told"] == NO_LONGER.get(one["cause"], CloseCode.SIGN_IN), one
        assert one["seen"] > 0, "it was read until then"
        assert one["last"] < 1, one
        assert one["frames after"] == 0, one
    assert percentile(took, 0.99) < 1
    assert sum(one["frames after"] for one in trials) == 0
    assert sum(one["accepted after"] for one in trials) == 0


@pytest.mark.parametrize("with_redis", [True, False], ids=["redis up", "redis stopped"])
async def test_every_cause_ends_access_in_every_process(two_servers, redis, with_redis):
    trials = []
    async with shell_of(two_servers[0]) as shell:
        if not with_redis:
            await asyncio.to_thread(redis.kill)
        for turn in range(Q.revocation_rounds):
            running = [trial(shell, two_servers, cause, f"{cause}{turn}") for cause in CAUSES]
            trials += [page for pages in await asyncio.gather(*running) for page in pages]
    judge(trials, "Redis up" if with_redis else "Redis stopped")
    lines = [json.loads(line) for line in log_of(two_servers) if '"event": "revoked"' in line]
    assert len(lines) == len(trials)


def log_of(servers):
    return [line for server in servers for line in server.log.read_text().splitlines()]


SQL = {
    "staff_flag_taken": "UPDATE auth_user SET is_staff = false WHERE id = {user}",
    "made_staff_only": "UPDATE chat_room SET staff_only = true WHERE id = {room}",
    "deactivated": "UPDATE auth_user SET is_active = false WHERE id = {user}",
    "password_changed": "UPDATE auth_user SET password = 'x' WHERE id = {user}",
    "session_deleted": "DELETE FROM django_session WHERE session_key = '{session}'",
}


async def test_a_shell_that_fails_or_ends_says_why(sqlite_server):
    async with shell_of(sqlite_server) as shell:
        with pytest.raises(RuntimeError, match="KeyError"):
            await shell.ask(cause="staff_flag_taken", to={})
        assert "room" in await shell.ask(make="somebody")
        shell._process.stdin.write(b"this is no JSON\n")
        with pytest.raises(RuntimeError, match="JSONDecodeError"):
            await shell.ask(make="somebody else")
        shell._process.kill()
        with pytest.raises(RuntimeError, match="the shell ended"):
            await shell.ask(make="nobody")


async def test_what_plain_sql_changes_is_found(start_servers, database_url, redis, postgres):
    settings = {"ACCESS_CHECK_SECONDS": 1.0}
    servers = start_servers(settings, settings, database_url=database_url, redis_url=redis.url)
    database = database_url.split("@/")[1].split("?")[0]

    async def one_trial(shell, cause):
        is_staff = cause == "staff_flag_taken"
        one = await shell.ask(make=f"{cause} by sql", is_staff=is_staff, staff_only=is_staff)
        async with Page(servers[0], one) as here, Page(servers[1], one) as there:
            await asyncio.to_thread(postgres.execute, database, SQL[cause].format(**one))
            done = time.monotonic()
            for page in (here, there):
                await page.until_out()
            return [(page.told()[0] - done, page.told()[1], len(page.accepted_after(done))) for page in (here, there)]

    async with shell_of(servers[0]) as shell:
        outcomes = await asyncio.gather(*(one_trial(shell, cause) for cause in SQL))
    for cause, pages in zip(SQL, outcomes, strict=True):
        for seconds, told, accepted in pages:
            assert told == NO_LONGER.get(cause, CloseCode.SIGN_IN)
            assert accepted == 0
            assert seconds < 2.0
    slowest = max(seconds for pages in outcomes for seconds, *_ in pages)
    report(f"revocation by plain SQL, looked for every 1 s: told after {slowest * 1000:.0f} ms at most")


async def test_a_session_ends_at_its_time_whatever_comes_through_its_socket(two_servers):
    async with shell_of(two_servers[0]) as shell:
        one = await shell.ask(make="expiring", expires_in=2)
        made = time.monotonic()
        async with Page(two_servers[0], one) as busy:
            await busy.until_out(8)
            assert busy.closed is None or busy.closed == CloseCode.SIGN_IN
            async with asyncio.timeout(5):
                while busy.closed is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert busy.closed == CloseCode.SIGN_IN
        assert 1.5 < busy.closed_at - made < 2 + 5
        report(f"session expiry: closed {busy.closed_at - made - 2:.1f} s after it")


async def test_who_regains_access_joins_again_on_the_same_socket(two_servers, postgres, database_url):
    database = database_url.split("@/")[1].split("?")[0]
    async with shell_of(two_servers[0]) as shell:
        one = await shell.ask(make="regaining")
        async with Page(two_servers[0], one) as page:
            await shell.revoke("made_staff_only", one)
            await page.until_out()
            await asyncio.to_thread(
                postgres.execute, database, f"UPDATE chat_room SET staff_only = false WHERE id = {one['room']}"
            )
            page.heard.clear()
            await page._line.send(json.dumps({"command": "join", "room": page.room}))
            async with asyncio.timeout(5):
                while not any("ack" in frame for _, frame in page.heard):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
