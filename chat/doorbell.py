"""Ring and hear: the only file that touches the channel layer.

A bell says that a room's head moved. Bells may be lost, doubled, late or out of order: nothing
depends on them but latency. Neither bells nor signals carry text, so whoever merely reaches the
layer can neither read nor forge a message.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer
from cryptography.fernet import InvalidToken

from chat.conf import conf
from chat.store import concerns
from chat.store.concerns import NOBODY, Concern

logger = logging.getLogger(__name__)

T = TypeVar("T")

GROUP = "bells"
MISSED_PROBES = 2
# In one bell: more at once, as after a cut, are found by the next look at the leases.
MAX_SIGNALS = 500
# A subscription is asserted anew now and then: the in-memory layer forgets members after a day.
ASSERT_EVERY_PROBES = 600

_listening: "set[Doorbell]" = set()


def is_in_memory() -> bool:
    """Tell whether bells stay inside this process."""
    return isinstance(get_channel_layer(), InMemoryChannelLayer)


def ring(heads: dict[int, int]) -> None:
    """Tell every process that rooms moved to these heads (seq by room id). From any thread; never raises.

    Called after the commit. Where a server runs in this process, its doorbell rings off this thread.
    """
    _ring(heads, NOBODY)


def ring_access(concern: Concern) -> None:
    """Tell every process whose rights have changed. From any thread; never raises."""
    _ring({}, concern)


def _ring(heads: dict[int, int], concern: Concern) -> None:
    if listening := list(_listening):
        for doorbell in listening:
            doorbell.ring_threadsafe(heads, concern)
    elif not is_in_memory():
        try:
            async_to_sync(_send)({"type": "bell", "heads": _on_layer(heads), "access": concern.as_message()})
        except Exception as error:
            # The sweep of every server finds it within half a second.
            logger.info("bell not rung, the sweep will do: %s", type(error).__name__)


async def _send(message: dict[str, Any]) -> None:
    await _within(conf.BELL_DEADLINE_SECONDS, _layer().group_send(GROUP, message))


async def _within(seconds: float, work: Awaitable[T]) -> T:
    # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that comes as the work is done,
    # and whoever stops a doorbell would wait for ever.
    async with asyncio.timeout(seconds):
        return await work


def _layer() -> Any:
    return get_channel_layer()


def is_degraded() -> bool | None:
    """Tell whether the channel layer fails for a server in this process; None when none listens."""
    return any(doorbell.is_degraded for doorbell in _listening) if _listening else None


async def answers() -> bool:
    """Tell whether the channel layer takes a bell."""
    try:
        await _within(1, _layer().group_send(GROUP, {"type": "bell", "heads": {}}))
    except Exception:
        return False
    return True


def _on_layer(heads: dict[int, int]) -> dict[str, int]:
    # Not every layer's serializer takes integers as keys.
    return {str(room): head for room, head in heads.items()}


class Doorbell:
    """One process's end of the bell wire; belongs to the running event loop."""

    def __init__(
        self,
        *,
        on_bell: Callable[[int, int], None],
        on_signal: Callable[[int, str, bool], None],
        on_access: Callable[[Concern], None],
        on_read: Callable[[int], None],
    ) -> None:
        self.id = secrets.token_hex(6)
        self.is_degraded = False
        self._on_bell = on_bell
        self._on_signal = on_signal
        self._on_access = on_access
        self._concern = NOBODY
        self._on_read = on_read
        self._reads: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._heads: dict[int, int] = {}
        self._signals: list[dict[str, Any]] = []
        self._wanted = asyncio.Event()
        self._closed_until = 0.0
        self._probe = 0
        self._echo = 0
        self._has_heard_foreign = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ring and to hear."""
        _listening.add(self)
        self._tasks = [self._loop.create_task(work) for work in (self._ring(), self._hear_always())]

    async def stop(self) -> None:
        """Ring no more, hear no more."""
        _listening.discard(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def ring_threadsafe(self, heads: dict[int, int], concern: Concern = NOBODY) -> None:
        """Ring for these heads, and for changed rights, here and everywhere. From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, heads, concern)
        except RuntimeError:
            # The loop is closed: this process serves nobody any more.
            _listening.discard(self)

    def tell_read(self, user: int) -> None:
        """Tell the other processes that a user moved a read position; may be lost."""
        self._reads.add(user)
        self._wanted.set()

    def signal(self, room: int, username: str, is_here: bool) -> None:
        """Tell the other processes that somebody came or went; may be lost."""
        if len(self._signals) < MAX_SIGNALS:
            self._signals.append({"room": room, "username": username, "is_here": is_here})
            self._wanted.set()

    def _take(self, heads: dict[int, int], concern: Concern) -> None:
        if concern:
            self._concern |= concern
            self._on_access(concern)
        for room, head in heads.items():
            self._heads[room] = max(head, self._heads.get(room, 0))
            # Heard here whatever becomes of the layer; a moment later, because this process's sockets
            # get what it committed without reading the log again.
            self._loop.call_later(conf.GAP_SECONDS, self._on_bell, room, head)
        self._wanted.set()

    async def _ring(self) -> None:
        """Ring what has gathered, one message for all of it. Off the send path: a frozen layer delays no one."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            heads, self._heads = self._heads, {}
            signals, self._signals = self._signals, []
            message: dict[str, Any] = {"type": "bell", "from": self.id, "heads": _on_layer(heads), "signals": signals}
            message["access"], self._concern = self._concern.as_message(), NOBODY
            message["reads"], self._reads = sorted(self._reads), set()
            if self._loop.time() >= self._closed_until:
                await self._try_layer(_send(message))

    async def _try_layer(self, work: Coroutine[Any, Any, Any]) -> bool:
        try:
            await work
        except Exception as error:
            # The breaker: each try may take its whole deadline, so no more of them for a while.
            self._closed_until = self._loop.time() + conf.BELL_BREAKER_SECONDS
            self._set_degraded(True, type(error).__name__)
            return False
        return True

    async def _hear_always(self) -> None:
        while True:
            try:
                await self._hear()
            except Exception as error:
                self._set_degraded(True, type(error).__name__)
            await asyncio.sleep(conf.PROBE_SECONDS)

    async def _hear(self) -> None:
        """Subscribe, and hear until the subscription proves dead: no echo of our own probe, twice."""
        layer = _layer()
        channel = await _within(5, layer.new_channel())
        await _within(5, layer.group_add(GROUP, channel))
        receiver = asyncio.ensure_future(self._receive(layer, channel))
        self._probe = self._echo = 0
        try:
            while self._probe - self._echo < MISSED_PROBES:
                self._probe += 1
                if self._probe % ASSERT_EVERY_PROBES == 0:
                    await _within(5, layer.group_add(GROUP, channel))
                probe = {"type": "probe", "from": self.id, "number": self._probe}
                await self._try_layer(_send(probe))
                await asyncio.wait([receiver], timeout=conf.PROBE_SECONDS)
                if receiver.done():
                    receiver.result()
                if self._echo == self._probe:
                    self._closed_until = 0.0
                    self._set_degraded(False, "")
            self._set_degraded(True, "no echo")
            if not is_in_memory():
                # Drops the layer's connections, of this loop: nothing else in the house uses them.
                await _within(5, layer.flush())
        finally:
            receiver.cancel()
            await asyncio.gather(receiver, return_exceptions=True)
            with suppress(Exception):
                await _within(conf.BELL_DEADLINE_SECONDS, layer.group_discard(GROUP, channel))

    async def _receive(self, layer: Any, channel: str) -> None:
        while True:
            try:
                message = await layer.receive(channel)
            except InvalidToken:
                # Not encrypted with our key. Whoever merely reaches the layer does not make us deaf with it.
                if not self._has_heard_foreign:
                    logger.warning(
                        "the channel layer carries what is not ours: does every process have one SECRET_KEY?"
                    )
                self._has_heard_foreign = True
                continue
            try:
                self._hear_one(message)
            except Exception:
                logger.warning("not a bell: %.80r", message.get("type"))

    def _hear_one(self, message: dict[str, Any]) -> None:
        if message["type"] == "probe":
            if message["from"] == self.id:
                self._echo = max(self._echo, int(message["number"]))
            return
        if message.get("from") == self.id:
            return
        if concern := concerns.from_message(message.get("access")):
            self._on_access(concern)
        for room, head in message["heads"].items():
            self._on_bell(int(room), int(head))
        for user in message.get("reads", ()):
            self._on_read(int(user))
        for signal in message.get("signals", ()):
            self._on_signal(int(signal["room"]), str(signal["username"]), bool(signal["is_here"]))

    def _set_degraded(self, is_degraded: bool, why: str) -> None:
        if is_degraded and not self.is_degraded:
            logger.warning("the channel layer does not answer (%s): messages go by the sweep", why)
        elif self.is_degraded and not is_degraded:
            logger.info("the channel layer answers again")
        self.is_degraded = is_degraded
