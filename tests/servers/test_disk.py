"""On a full disk no message is lost, senders get an error, and sending continues when there is space again."""

import asyncio
import resource

from chat.testing import check
from tests.servers.conftest import recorded

# More than the log file has, less than the database file.
FULL_BYTES = 256 * 1024
TEXT = "nothing fits any more " * 100
COUNT = 150


def limit_files(server, at_most):
    """Limit the size of the files that a process writes: further writes fail, as on a full disk."""
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (at_most, resource.RLIM_INFINITY))


async def test_on_a_full_disk_no_message_is_lost_and_waiting_ones_are_sent_once_there_is_space(start_server, open_page):
    server = start_server(settings={"DRAFT_HOLD_SECONDS": 1.0})
    bob, alice = [await open_page(server.url, name, rooms=[1, 2]) for name in ("bob", "alice")]
    assert await bob.send(1, "there is room") == 1
    limit_files(server, FULL_BYTES)
    sends = [bob.send(1 + n % 2, f"{n} {TEXT}") for n in range(COUNT)]
    await bob.until(lambda: bob.errors, 15)
    refused = bob.errors[0]
    assert (refused["error"], refused["command"], refused["retry_after"]) == ("SERVER_UNAVAILABLE", "send", 1)
    assert not all(send.done() for send in sends)
    # History can still be read, and the log says what is wrong.
    assert (await bob.history(1))["events"]
    assert "the database takes no messages (OperationalError: " in server.log.read_text()
    limit_files(server, resource.RLIM_INFINITY)
    await asyncio.wait_for(asyncio.gather(*sends), 30)
    await alice.until(lambda: sum(len(log.events) for log in alice.logs.values()) == COUNT + 1, 10)
    assert (bob.closes, alice.closes) == ([], [])
    run = await asyncio.to_thread(recorded, server, [bob, alice])
    assert check(run) == []
    assert len(run.rows) == COUNT + 1
