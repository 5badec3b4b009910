"""A disk that takes nothing more: nothing is lost, everybody is told, and all goes on when there is room again."""

import asyncio
import resource

from chat.testing import check
from tests.servers.conftest import recorded

# More than the log has, less than the database.
FULL_BYTES = 256 * 1024
TEXT = "nothing fits any more " * 100
TEXTS = 300


def limit_files(server, at_most):
    """Let a process write no file beyond so many bytes: from there on each write fails, as on a full disk."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (at_most, resource.RLIM_INFINITY))


async def test_on_a_full_disk_nothing_is_lost_and_what_waits_is_sent_when_there_is_room(sqlite_server, open_page):
    server = sqlite_server
    server.terminate()
    server.settings = {"DRAFT_HOLD_SECONDS": 1.0}
    server.start()
    bob, alice = [await open_page(server.url, name, rooms=[1, 2]) for name in ("bob", "alice")]
    assert await bob.send(1, "there is room") == 1
    limit_files(server, FULL_BYTES)
    texts = [bob.send(1 + n % 2, f"{n} {TEXT}") for n in range(TEXTS)]
    await bob.until(lambda: bob.errors, 15)
    refused = bob.errors[0]
    assert (refused["error"], refused["command"], refused["retry_after"]) == ("SERVER_UNAVAILABLE", "send", 1)
    assert not all(text.done() for text in texts)
    # Who reads goes on reading, and whoever runs the server is told why.
    assert (await bob.history(1))["events"]
    assert "the database takes no messages (OperationalError: " in server.log.read_text()
    limit_files(server, resource.RLIM_INFINITY)
    await asyncio.wait_for(asyncio.gather(*texts), 30)
    await alice.until(lambda: sum(len(log.events) for log in alice.logs.values()) == TEXTS + 1, 10)
    assert (bob.closes, alice.closes) == ([], [])
    run = await asyncio.to_thread(recorded, server, [bob, alice])
    assert check(run) == []
    assert len(run.rows) == TEXTS + 1
