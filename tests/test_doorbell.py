"""Ringing and hearing bells: over the in-memory layer, without it, and from any thread."""

import asyncio
import json
import threading

import pytest
from channels.layers import InMemoryChannelLayer

from chat import doorbell
from chat.doorbell import Doorbell
from tests.fakes import turns, until


class Layer(InMemoryChannelLayer):
    """A layer that can lose, refuse or freeze, and records the messages sent."""

    def __init__(self):
        super().__init__()
        self.sent = []
        self.mode = "works"

    async def group_send(self, group, message):
        self.sent.append(message)
        match self.mode:
            case "refuses":
                raise ConnectionError
            case "freezes":
                await asyncio.Event().wait()
            case "works":
                await super().group_send(group, message)

    def forget(self):
        """Lose every subscription, as a flushed Redis does."""
        self.groups.clear()


@pytest.fixture
async def layer(monkeypatch, settings):
    settings.PROBE_SECONDS = settings.GAP_SECONDS = 0.005
    # Longer than this process may have to wait for a processor: a bell that is rung meanwhile is lost.
    settings.BELL_DEADLINE_SECONDS = 0.3
    settings.BELL_BREAKER_SECONDS = 0.02
    layer = Layer()
    monkeypatch.setattr(doorbell, "_layer", lambda: layer)
    return layer


@pytest.fixture
async def bells(layer):
    """The doorbells of two processes, each with the bells that it heard."""
    made = []
    for _ in range(2):
        heard = []
        bell = Doorbell(
            on_bell=lambda room, head, heard=heard: heard.append((room, head)),
            on_signal=lambda *signal, heard=heard: heard.append(signal),
            on_access=lambda concern, heard=heard: heard.append(concern),
            on_read=lambda user, heard=heard: heard.append(("read", user)),
            on_typing=lambda *typing, heard=heard: heard.append(("typing", *typing)),
        )
        bell.heard = heard
        bell.start()
        made.append(bell)
    await until(lambda: all(bell._last_echo for bell in made))
    yield made
    for bell in made:
        await bell.stop()


async def test_a_bell_is_heard_in_its_own_and_in_other_processes(bells):
    bells[0].ring_threadsafe({7: 3})
    await until(lambda: all((7, 3) in bell.heard for bell in bells))


async def test_a_bell_may_be_rung_from_any_thread(bells):
    thread = threading.Thread(target=doorbell.ring, args=[{7: 3}])
    thread.start()
    await until(lambda: all((7, 3) in bell.heard for bell in bells))
    thread.join()


async def test_waiting_bells_are_rung_in_one_message_with_the_highest_heads(bells, layer):
    layer.sent.clear()
    for head in (1, 3, 2):
        bells[0].ring_threadsafe({7: head, 8: 1})
    await until(lambda: (7, 3) in bells[1].heard)
    [message] = [message for message in layer.sent if message.get("heads")]
    assert message["heads"] == {"7": 3, "8": 1}


async def test_typing_is_heard_only_in_other_processes(bells):
    bells[0].signal_typing(7, "bob")
    await until(lambda: bells[1].heard == [("typing", 7, "bob")])
    assert bells[0].heard == []


async def test_a_signal_is_heard_only_in_other_processes(bells):
    bells[0].signal_presence(7, "bob", True)
    await until(lambda: bells[1].heard == [(7, "bob", True)])
    assert bells[0].heard == []


async def test_no_message_text_passes_through_the_layer(bells, layer):
    bells[0].ring_threadsafe({7: 3})
    bells[0].signal_presence(7, "bob", True)
    await until(lambda: (7, "bob", True) in bells[1].heard)
    keys = {"type", "from", "heads", "signals", "number", "access", "reads", "typing"}
    assert all(set(message) <= keys for message in layer.sent)
    assert "message" not in json.dumps(layer.sent)


async def test_an_invalid_bell_is_ignored(bells, layer):
    for wrong in ({"type": "bell"}, {"type": "bell", "heads": {"x": 1}}, {"type": "bell", "heads": None}):
        await layer.group_send(doorbell.GROUP, wrong)
    bells[0].ring_threadsafe({7: 3})
    await until(lambda: (7, 3) in bells[1].heard)


@pytest.mark.parametrize("mode", ["refuses", "freezes", "loses"])
async def test_without_the_layer_the_doorbell_is_degraded_and_its_own_bells_are_still_heard(bells, layer, mode):
    layer.mode = mode
    bells[0].ring_threadsafe({7: 3})
    await until(lambda: (7, 3) in bells[0].heard)
    await until(lambda: all(bell.is_degraded for bell in bells))
    layer.mode = "works"
    await until(lambda: not any(bell.is_degraded for bell in bells))
    # The breaker may stay open a moment longer.
    await until(lambda: bells[0].ring_threadsafe({7: 9}) or (7, 9) in bells[1].heard)


async def test_the_breaker_stops_bells_after_one_attempt_at_a_frozen_layer(bells, layer, settings):
    settings.BELL_BREAKER_SECONDS = settings.PROBE_SECONDS = 60
    layer.mode = "freezes"
    layer.sent.clear()
    bells[0].ring_threadsafe({7: 1})
    await until(lambda: bells[0].is_degraded)
    tried = len([message for message in layer.sent if message.get("heads")])
    for head in range(2, 20):
        bells[0].ring_threadsafe({7: head})
        await turns()
    assert len([message for message in layer.sent if message.get("heads")]) == tried


async def test_a_lost_subscription_is_noticed_and_renewed(bells, layer, caplog):
    layer.forget()
    # Each of them notices it, but the first may have subscribed again before the second does.
    await until(lambda: caplog.text.count("does not answer (no echo)") == len(bells))
    await until(lambda: not any(bell.is_degraded for bell in bells))
    bells[0].ring_threadsafe({7: 3})
    await until(lambda: (7, 3) in bells[1].heard)


def test_ringing_without_a_listener_is_harmless():
    doorbell.ring({1: 1})
