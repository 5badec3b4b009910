"""A backup is restored under connected clients: they start over, and new messages are not taken for old ones."""

import asyncio
import subprocess
import sys

import pytest

from chat.testing import check
from tests.servers import beside
from tests.servers.conftest import recorded
from tests.servers.quantities import IS_FULL, Q
from tests.servers.services import BASE, PRINT_PEAK, Server

pytestmark = pytest.mark.timeout(90)

ROOMS = (1, 2)


@pytest.fixture
def stopped_server(database_url, tmp_path):
    """A server that is not started, because only its environment is needed."""
    state = tmp_path / "state"
    state.mkdir()
    server = Server(state, database_url=database_url)
    server.close()
    return server


def manage(server, *arguments, fails=False):
    """Run manage.py beside a server, on its database."""
    done = beside.manage(server.environment, *arguments)
    assert bool(done.returncode) is fails, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if fails else done.stdout


async def write_on(page, room):
    number = 0
    while True:
        number += 1
        await page.send(room, f"{page.name} {number}")
        await asyncio.sleep(Q.think_seconds)


async def restore_under(pages, server, tmp_path):
    """Write, back up, write, restore while the pages write; return the run without the messages that were undone."""
    file = tmp_path / "backup"
    for number in range(5):
        await asyncio.gather(*(page.send(room, f"before {number}") for page in pages for room in ROOMS))
    await asyncio.to_thread(manage, server, "backup", file)
    saved = {row.client_id for row in (await asyncio.to_thread(recorded, server, pages)).rows}
    # More messages than are written soon after the restore, so that cursors are beyond the restored head.
    await asyncio.gather(*(pages[0].send(room, f"lost {number}") for number in range(20) for room in ROOMS))
    # The cursor of a client that is away during the restore and was ahead of the backup.
    away = pages[0].logs[str(ROOMS[0])].cursor_fields
    writing = [asyncio.ensure_future(write_on(page, room)) for page in pages for room in ROOMS]
    await asyncio.sleep(0.3)
    await asyncio.to_thread(manage, server, "restore", file, "--yes")
    await asyncio.sleep(1.5)
    for task in writing:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    await asyncio.gather(*(page.until_sent() for page in pages))
    while await pages[0].send(ROOMS[0], "past the old cursors") <= away["since"] + 3:
        pass
    last = [await pages[0].send(room, "last") for room in ROOMS]
    for page in pages:
        await page.until(lambda page=page: [page.logs[str(room)].cursor for room in ROOMS] == last)
    run = await asyncio.to_thread(recorded, server, pages)
    kept = {row.client_id for row in run.rows}
    assert saved <= kept
    # Messages acknowledged after the backup and before the restore are gone, as restoring is meant to do.
    gone = [sent for sent in run.sent if sent.client_id not in kept]
    assert len(gone) >= 20 * len(ROOMS)
    run.sent = [sent for sent in run.sent if sent.client_id in kept]
    return run, away


async def check_client_that_was_away(page, away):
    """Join with a cursor whose number now belongs to another message."""
    log = await page.join(ROOMS[0], **away)
    assert (log.resets, log.epoch != away["epoch"]) == (1, True)


async def test_clients_start_over_after_a_restore_on_postgresql_with_two_processes(two_servers, open_page, tmp_path):
    pages = [
        await open_page(server.url, name, rooms=ROOMS)
        for server, name in zip(two_servers, ("alice", "bob"), strict=True)
    ]
    run, away = await restore_under(pages, two_servers[0], tmp_path)
    assert check(run) == []
    await check_client_that_was_away(await open_page(two_servers[1].url, "charlie"), away)
    assert [log.resets for page in pages for log in page.logs.values()] == [1] * 4
    assert [page.closes for page in pages] == [[], []]


async def test_clients_start_over_after_a_restore_on_sqlite_with_one_process(sqlite_server, open_page, tmp_path):
    pages = [await open_page(sqlite_server.url, name, rooms=ROOMS) for name in ("alice", "bob")]
    run, away = await restore_under(pages, sqlite_server, tmp_path)
    assert check(run) == []
    await check_client_that_was_away(await open_page(sqlite_server.url, "charlie"), away)
    assert [log.resets for page in pages for log in page.logs.values()] == [1] * 4
    assert [page.closes for page in pages] == [[], []]


def test_on_postgresql_a_restore_keeps_foreign_tables_and_refuses_to_overwrite_unasked(
    stopped_server, database_url, postgres, tmp_path
):
    name, server = database_url.split("/")[3].split("?")[0], stopped_server
    postgres.execute(name, "CREATE TABLE others (id int)")
    postgres.execute(name, "INSERT INTO others VALUES (7)")
    postgres.execute(name, "INSERT INTO chat_positioncounter (id, changes, epoch) VALUES (1, 5, 'before')")
    file = tmp_path / "backup"
    manage(server, "backup", file)
    assert "already exists" in manage(server, "backup", file, fails=True)
    assert "6 rooms and 3 users" in manage(server, "restore", file, fails=True)
    postgres.execute(name, "DELETE FROM chat_room WHERE id > 2")
    epochs = postgres.execute(name, "SELECT epoch FROM chat_room")
    broken = tmp_path / "broken"
    broken.write_bytes(file.read_bytes()[:-2000])
    assert "Nothing was restored" in manage(server, "restore", broken, "--yes", fails=True)
    assert postgres.execute(name, "SELECT epoch FROM chat_room") == epochs
    manage(server, "restore", file, "--yes")
    assert postgres.execute(name, "SELECT * FROM others") == [(7,)]
    assert postgres.execute(name, "SELECT count(*), count(DISTINCT epoch) FROM chat_room") == [(6, 6)]
    assert not {epoch for (epoch,) in postgres.execute(name, "SELECT epoch FROM chat_room")} & {e for (e,) in epochs}
    assert postgres.execute(name, "SELECT count(*) FROM chat_positioncounter WHERE epoch <> 'before'") == [(1,)]
    # Sequences continue after the restored rows.
    postgres.execute(
        name,
        "INSERT INTO chat_room (title, title_key, staff_only, head_seq, floor_seq, epoch)"
        " VALUES ('x', 'x', false, 0, 1, 'e')",
    )


RESTORE = """
import django, sys
django.setup()
from django.core.management import call_command
call_command("restore", sys.argv[1], yes=True, verbosity=0)
"""


@pytest.mark.skipif(not IS_FULL, reason="script/soak measures it")
@pytest.mark.timeout(200)
def test_a_restore_takes_no_more_memory_for_a_large_backup_than_for_an_empty_one(
    stopped_server, database_url, postgres, tmp_path
):
    name, server = database_url.split("/")[3].split("?")[0], stopped_server

    def peak(file):
        command = [sys.executable, "-c", RESTORE + PRINT_PEAK, str(file)]
        done = subprocess.run(
            command, cwd=BASE, env=server.environment, capture_output=True, text=True, check=True, timeout=120
        )
        return int(done.stdout.split("peak ")[1])

    files = [tmp_path / "empty", tmp_path / "large"]
    manage(server, "backup", files[0])
    server.ask("fill", 1, 1)
    # An emoji makes Python use four bytes for each character of the string.
    postgres.execute(
        name,
        "INSERT INTO chat_event SELECT (jsonb_populate_record(event, jsonb_build_object("
        " 'id', event.id + n, 'seq', n, 'client_id', gen_random_uuid(), 'body', repeat(md5(n::text), 40)"
        " || CASE n WHEN 7 THEN '\U0001f600' ELSE '' END))).*"
        " FROM chat_event event, generate_series(2, 20000) n WHERE event.seq = 1",
    )
    postgres.execute(name, "UPDATE chat_room SET head_seq = 20000 WHERE id = 1")
    manage(server, "backup", files[1])
    empty, large = [peak(file) for file in files]
    assert postgres.execute(name, "SELECT count(*), max(head_seq) FROM chat_event, chat_room") == [(120000, 20000)]
    assert large < empty + 20 * 1024**2, (empty, large)
