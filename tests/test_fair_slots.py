"""Slots with a bounded queue that is fair to every address."""

import asyncio

import pytest

from multichat.fair_slots import FairSlots, NoSlotError


@pytest.fixture
def slots(settings):
    settings.LIMITS = {"X": 1, "X_WAITING": 6, "X_WAIT_SECONDS": 5}
    return FairSlots("X")


async def waiting(slots, order, *keys):
    """Start a task for each key, in this order. Each appends its key to `order` when it has a slot."""

    async def take(key):
        await slots.enter(key)
        order.append(key)

    tasks = [asyncio.create_task(take(key)) for key in keys]
    await asyncio.sleep(0)
    return tasks


async def free_slots(slots, count):
    for _ in range(count):
        slots.exit()
        for _ in range(3):
            await asyncio.sleep(0)


async def test_addresses_take_turns_although_one_of_them_floods(slots):
    assert slots.try_enter()
    order = []
    tasks = await waiting(slots, order, "flood", "flood", "flood", "flood", "bob", "alice")
    await free_slots(slots, 6)
    assert order == ["flood", "bob", "alice", "flood", "flood", "flood"]
    await asyncio.gather(*tasks)


async def test_a_full_queue_refuses_the_flood_and_not_the_newcomer(slots):
    slots.try_enter()
    order = []
    tasks = await waiting(slots, order, *["flood"] * 6)
    [newest, *_] = await waiting(slots, order, "bob")
    with pytest.raises(NoSlotError):
        await tasks[-1]
    with pytest.raises(NoSlotError):
        await slots.enter("flood")
    await free_slots(slots, 6)
    assert order == ["flood", "bob"] + ["flood"] * 4
    await newest


async def test_waiting_for_a_slot_ends_after_its_time_limit(settings, slots):
    settings.LIMITS = settings.LIMITS | {"X_WAIT_SECONDS": 0.01}
    slots.try_enter()
    with pytest.raises(NoSlotError):
        await slots.enter("bob")
    slots.exit()
    assert slots.try_enter()


async def test_a_cancelled_caller_keeps_no_slot(slots):
    slots.try_enter()
    order = []
    [task] = await waiting(slots, order, "bob")
    # Its turn comes at the moment when it is cancelled.
    slots.exit()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert slots.try_enter() or order == ["bob"]
    [gone, stays] = await waiting(slots, order, "carol", "dave")
    gone.cancel()
    await free_slots(slots, 1)
    assert order[-1] == "dave"
    await stays


async def test_zero_means_unlimited(settings, slots):
    settings.LIMITS = {}
    assert all(slots.try_enter() for _ in range(100))
