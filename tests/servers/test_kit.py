"""The test services and the client work without faults, and a task that fails does so in its test."""

import shutil

import pytest

from chat.testing import check
from tests.servers.conftest import recorded
from tests.servers.services import Server


def test_an_error_of_a_task_is_raised_in_the_test_and_the_next_task_runs(template_state, tmp_path):
    state = tmp_path / "state"
    shutil.copytree(template_state, state)
    # The server is not started, because only its environment is needed.
    server = Server(state)
    try:
        with pytest.raises(RuntimeError, match="ValidationError"):
            server.ask("make_room", "Room 1")
        assert server.ask("count_room_rows", 1) == b"[1,1,0]"
    finally:
        server.close()


# The tests of faults prove the same while something fails.
@pytest.mark.full_size
async def test_two_pages_on_two_processes_get_the_same_events(two_servers, open_page):
    bob = await open_page(two_servers[0].url, "bob", rooms=[1, 2])
    charlie = await open_page(two_servers[1].url, "charlie", rooms=[1, 2])
    seqs = [await bob.send(1, "hello"), await charlie.send(1, "hello back"), await bob.send(2, "over here")]
    assert seqs == [1, 2, 1]
    await bob.edit(1, 1, "hello all")
    await charlie.delete(1, 2)
    for page in (bob, charlie):
        await page.until(lambda page=page: (page.logs["1"].cursor, page.logs["2"].cursor) == (4, 1))
    run = recorded(two_servers[0], [bob, charlie])
    assert check(run) == []
    assert len(run.rows) == 5
    page = await charlie.history(1)
    assert [event["message"] for event in page["events"]] == ["hello all", None]
