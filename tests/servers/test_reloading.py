"""SIGHUP replaces a single process once it has drained, unless the new one cannot start; a closed terminal ends it."""

import asyncio
import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios

import pytest

from tests.servers.quantities import TIMEOUT
from tests.servers.services import BASE, WorkersServer, directory, wait_for

pytestmark = pytest.mark.timeout(TIMEOUT)


@pytest.fixture
def single(template_state):
    """One process as script/server starts it, on SQLite."""
    with directory("state") as state:
        shutil.copytree(template_state, state, dirs_exist_ok=True)
        server = WorkersServer(state, workers=1)
        yield server.start()
        server.close()


async def test_a_single_process_is_replaced_in_place_once_its_successor_can_start_and_pages_reconnect(
    single, open_page
):
    bob = await open_page(single.url, "bob", rooms=[1])
    pid = single.pid
    await bob.send(1, "before")
    # Several signals at once have the effect of one.
    for _ in range(3):
        single.process.send_signal(signal.SIGHUP)
    sent = [asyncio.ensure_future(bob.send(1, f"during {number}")) for number in range(20)]
    await asyncio.to_thread(wait_for, lambda: single.log.read_text().count("serving on") == 2, 60)
    await asyncio.gather(*sent)
    assert await bob.send(1, "after") == 22
    assert bob.closes == [1012]
    assert (single.pid, single.is_running) == (pid, True)
    # A successor that cannot start replaces nothing.
    key = single.state / "secret_key"
    kept = key.read_text()
    key.write_text("short")
    single.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(wait_for, lambda: "continues to serve" in single.log.read_text(), 60)
    assert "does not hold a secret key" in single.log.read_text()
    assert await asyncio.to_thread(single.is_ready)
    assert bob.closes == [1012]
    # The next one that can start does.
    key.write_text(kept)
    single.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(wait_for, lambda: single.log.read_text().count("serving on") == 3, 60)
    single.terminate()
    assert single.process.returncode == -signal.SIGTERM


@pytest.mark.parametrize("workers", [1, 2])
def test_closing_the_terminal_ends_the_server_cleanly(workers, redis, database_url):
    with directory("state") as state:
        server = WorkersServer(state, workers=workers, database_url=database_url, redis_url=redis.url)
        terminal, server_end = pty.openpty()

        def take_terminal():
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        process = subprocess.Popen(
            [sys.executable, "-m", "multichat.workers"],
            cwd=BASE, env=server.environment, preexec_fn=take_terminal,
            stdin=server_end, stdout=server_end, stderr=server_end,
        )  # fmt: skip
        os.close(server_end)
        try:
            wait_for(lambda: server.__class__.__mro__[1].is_ready(server), 60)
            # Read, so that the server does not wait for the terminal.
            os.read(terminal, 65536)
            os.close(terminal)
            # The signal did not kill it; with SIGHUP's default action the status would be -1.
            assert process.wait(20) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
