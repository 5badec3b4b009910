"""Standstills of the whole process: noticed once, and healed by a sweep that began after the last one."""

import asyncio

import pytest

from chat.live.pulse import Pulse


@pytest.fixture
def standstills():
    return []


@pytest.fixture
async def pulse(settings, standstills):
    settings.FROZEN_SECONDS = 2.0
    return Pulse(on_standstill=lambda: standstills.append("sweep"))


async def test_a_process_that_runs_is_not_stale(pulse, standstills):
    pulse._last_beat -= 1
    assert not pulse.is_stale()
    assert standstills == []


async def test_a_standstill_is_logged_and_reported_once(pulse, standstills, caplog):
    pulse._last_beat -= 3
    assert pulse.is_stale() and pulse.is_stale()
    assert standstills == ["sweep"]
    assert "this process stood still for 3.0 s" in caplog.text


async def test_writes_wait_until_a_sweep_heals_the_standstill(pulse):
    pulse._last_beat -= 3
    assert pulse.is_stale()
    waiting = asyncio.ensure_future(pulse.until_fresh())
    await asyncio.sleep(0)
    assert not waiting.done()
    pulse.heal(pulse.standstills)
    await waiting
    assert not pulse.is_stale()


async def test_a_sweep_from_before_another_standstill_heals_nothing(pulse):
    before = pulse.standstills
    pulse._last_beat -= 3
    assert pulse.is_stale()
    pulse.heal(before)
    assert pulse.is_waiting_for_sweep
