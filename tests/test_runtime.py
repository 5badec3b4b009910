"""Each event loop has one runtime of its own."""

import asyncio
from types import SimpleNamespace

from chat.live import runtime
from tests.fakes import posted


async def test_a_loop_keeps_its_runtime():
    assert runtime.current() is runtime.current()


def test_two_loops_share_nothing():
    async def runtime_of_this_loop():
        return runtime.current()

    assert asyncio.run(runtime_of_this_loop()) is not asyncio.run(runtime_of_this_loop())


async def test_committed_events_go_to_the_hub_if_there_is_one():
    current, published = runtime.Runtime(), []
    current.publish(1, "a", [posted(1)])
    current.hub = SimpleNamespace(advance=lambda room, epoch, events: published.append((room, epoch, len(events))))
    current.publish(1, "a", [posted(1), posted(2)])
    assert published == [(1, "a", 2)]
