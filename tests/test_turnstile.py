"""The work of sockets that come back at once passes one after the other, for a share of each turn of the loop."""

import asyncio
import time

import pytest

from chat.live import audiences
from chat.live.turnstile import Turnstile


async def test_work_is_done_in_its_order_and_each_caller_gets_its_own_outcome():
    turnstile, order = Turnstile(), []

    def work(number):
        yield
        order.append(number)
        if number == 2:
            raise ValueError("of the second")
        return number * 10

    outcomes = await asyncio.gather(*(turnstile.run(work(number)) for number in range(4)), return_exceptions=True)
    assert order == [0, 1, 2, 3]
    assert [outcomes[0], outcomes[1], outcomes[3]] == [0, 10, 30]
    assert isinstance(outcomes[2], ValueError)
    assert await turnstile.run(work(5)) == 50


@pytest.mark.parametrize(("callers", "pieces"), [(20, 1), (1, 20)])
async def test_others_have_their_turn_between_pieces_of_work_that_take_long(monkeypatch, callers, pieces):
    monkeypatch.setattr(audiences, "SLICE_SECONDS", 0.001)
    turnstile, turns = Turnstile(), []

    async def count_turns():
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    def work():
        for _ in range(pieces):
            time.sleep(0.002)
            yield

    counting = asyncio.create_task(count_turns())
    await asyncio.gather(*(turnstile.run(work()) for _ in range(callers)))
    counting.cancel()
    assert len(turns) >= 20


async def test_the_work_of_a_caller_that_was_cancelled_is_left_out():
    turnstile, done = Turnstile(), []

    def work(name):
        yield
        done.append(name)

    gone = asyncio.create_task(turnstile.run(work("gone")))
    await asyncio.sleep(0)
    gone.cancel()
    await turnstile.run(work("here"))
    assert done == ["here"]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_work_stops_where_it_is_when_its_caller_is_cancelled(monkeypatch):
    # The other tasks have their turn after each piece.
    monkeypatch.setattr(audiences, "SLICE_SECONDS", -1)
    turnstile, done, is_begun = Turnstile(), [], asyncio.Event()

    def work(name):
        done.append(f"{name} 1")
        is_begun.set()
        yield
        done.append(f"{name} 2")

    gone = asyncio.create_task(turnstile.run(work("gone")))
    await is_begun.wait()
    gone.cancel()
    await turnstile.run(work("here"))
    assert done == ["gone 1", "here 1", "here 2"]
    with pytest.raises(asyncio.CancelledError):
        await gone
