"""The test services and the client work without faults."""

from chat.testing import check
from tests.servers.conftest import recorded


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
