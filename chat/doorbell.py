"""Rings bells and listens to them: the only module that uses the channel layer.

A bell says that a room's head moved. Bells may be lost, doubled, late or out of order, because only latency
depends on them. Neither bells nor signals carry text, so access to the layer is not enough to read or forge
a message.
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
from chat.store.concerns import NO_USERS, Concern

logger = logging.getLogger(__name__)

T = TypeVar("T")

GROUP = "bells"
MISSED_PROBES = 2
# The most signals in one bell. When more come at once, as after a cut, the next check of the leases finds the rest.
MAX_SIGNALS = 500
# The subscription is renewed after this many probes, because the in-memory layer forgets members after a day.
ASSERT_EVERY_PROBES = 600

_listening: "set[Doorbell]" = set()


def is_in_memory() -> bool:
    """Return whether bells stay inside this process."""
    return isinstance(get_channel_layer(), InMemoryChannelLayer)


def ring(heads: dict[int, int]) -> None:
    """Notify every process that rooms moved to these heads (seq by room id). From any thread; never raises.

    Called after the commit. If a server runs in this process, its doorbell rings on its own event loop.
    """
    _ring(heads, NO_USERS)


def ring_access(concern: Concern) -> None:
    """Notify every process that rights have changed. From any thread; never raises."""
    _ring({}, concern)


def _ring(heads: dict[int, int], concern: Concern) -> None:
    if listening := list(_listening):
        for doorbell in listening:
            doorbell.ring_threadsafe(heads, concern)
    elif not is_in_memory():
        try:
            async_to_sync(_send)({"type": "bell", "heads": _on_layer(heads), "access": concern.as_message()})
        except Exception as error:
            # The sweep of every server finds the change within half a second.
            logger.info("could not ring a bell, the sweep will find the change: %s", type(error).__name__)


async def _send(message: dict[str, Any]) -> None:
    await _within(conf.BELL_DEADLINE_SECONDS, _layer().group_send(GROUP, message))


async def _within(seconds: float, work: Awaitable[T]) -> T:
    # Not asyncio.wait_for: before Python 3.12 it loses a cancellation that comes when the work is just done,
    # and then Doorbell.stop() would wait for ever.
    async with asyncio.timeout(seconds):
        return await work


def _layer() -> Any:
    return get_channel_layer()


def is_degraded() -> bool | None:
    """Return whether the channel layer fails for a server in this process; None when no doorbell listens."""
    return any(doorbell.is_degraded for doorbell in _listening) if _listening else None


async def is_answering() -> bool:
    """Return whether the channel layer accepts a bell."""
    try:
        await _within(1, _layer().group_send(GROUP, {"type": "bell", "heads": {}}))
    except Exception:
        return False
    return True


def _on_layer(heads: dict[int, int]) -> dict[str, int]:
    # Not every layer's serializer takes integers as keys.
    return {str(room): head for room, head in heads.items()}


class Doorbell:
    """A process's end of the channel layer; belongs to the running event loop."""

    def __init__(
        self,
        *,
        on_bell: Callable[[int, int], None],
        on_signal: Callable[[int, str, bool], None],
        on_access: Callable[[Concern], None],
        on_read: Callable[[int], None],
        on_typing: Callable[[int, str], None],
    ) -> None:
        self.id = secrets.token_hex(6)
        self.is_degraded = False
        self._on_bell = on_bell
        self._on_signal = on_signal
        self._on_access = on_access
        self._concern = NO_USERS
        self._on_read = on_read
        self._on_typing = on_typing
        self._typing: set[tuple[int, str]] = set()
        self._readers: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._heads: dict[int, int] = {}
        self._signals: list[dict[str, Any]] = []
        self._has_work = asyncio.Event()
        self._paused_until = 0.0
        self._last_probe = 0
        self._last_echo = 0
        self._has_warned_of_foreign = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to ring and to listen."""
        _listening.add(self)
        self._tasks = [self._loop.create_task(work) for work in (self._ring(), self._listen_forever())]

    async def stop(self) -> None:
        """Stop ringing and listening."""
        _listening.discard(self)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def ring_threadsafe(self, heads: dict[int, int], concern: Concern = NO_USERS) -> None:
        """Ring for these heads and for changed rights, in this process and in all others. From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._gather, heads, concern)
        except RuntimeError:
            # The loop is closed, so this process has no users any more.
            _listening.discard(self)

    def signal_read(self, user: int) -> None:
        """Notify the other processes that a user moved a read position; may be lost."""
        self._readers.add(user)
        self._has_work.set()

    def signal_typing(self, room: int, username: str) -> None:
        """Notify the other processes that a user is writing in a room; may be lost."""
        if len(self._typing) < MAX_SIGNALS:
            self._typing.add((room, username))
            self._has_work.set()

    def signal_presence(self, room: int, username: str, is_here: bool) -> None:
        """Notify the other processes that a user entered or left a room; may be lost."""
        if len(self._signals) < MAX_SIGNALS:
            self._signals.append({"room": room, "username": username, "is_here": is_here})
            self._has_work.set()

    def _gather(self, heads: dict[int, int], concern: Concern) -> None:
        if concern:
            self._concern |= concern
            self._on_access(concern)
        for room, head in heads.items():
            self._heads[room] = max(head, self._heads.get(room, 0))
            # This process hears the bell whether the layer works or not. It does so a moment later, so that events that
            # were committed here, and are handed to the sockets directly, are not read from the log again.
            self._loop.call_later(conf.GAP_SECONDS, self._on_bell, room, head)
        self._has_work.set()

    async def _ring(self) -> None:
        """Ring for everything that has gathered, in one message. A frozen layer delays no sender here."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            heads, self._heads = self._heads, {}
            signals, self._signals = self._signals, []
            message: dict[str, Any] = {"type": "bell", "from": self.id, "heads": _on_layer(heads), "signals": signals}
            message["access"], self._concern = self._concern.as_message(), NO_USERS
            message["reads"], self._readers = sorted(self._readers), set()
            message["typing"], self._typing = [list(pair) for pair in sorted(self._typing)], set()
            if self._loop.time() >= self._paused_until:
                await self._try_layer(_send(message))

    async def _try_layer(self, work: Coroutine[Any, Any, Any]) -> bool:
        try:
            await work
        except Exception as error:
            # The breaker: each try may take its whole deadline, so pause for a while.
            self._paused_until = self._loop.time() + conf.BELL_BREAKER_SECONDS
            self._set_degraded(True, type(error).__name__)
            return False
        return True

    async def _listen_forever(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                self._set_degraded(True, type(error).__name__)
            await asyncio.sleep(conf.PROBE_SECONDS)

    async def _listen(self) -> None:
        """Subscribe, and listen until the subscription is dead: two of our own probes brought no echo."""
        layer = _layer()
        channel = await _within(5, layer.new_channel())
        await _within(5, layer.group_add(GROUP, channel))
        receiver = asyncio.ensure_future(self._receive(layer, channel))
        self._last_probe = self._last_echo = 0
        try:
            while self._last_probe - self._last_echo < MISSED_PROBES:
                self._last_probe += 1
                if self._last_probe % ASSERT_EVERY_PROBES == 0:
                    await _within(5, layer.group_add(GROUP, channel))
                probe = {"type": "probe", "from": self.id, "number": self._last_probe}
                await self._try_layer(_send(probe))
                await asyncio.wait([receiver], timeout=conf.PROBE_SECONDS)
                if receiver.done():
                    receiver.result()
                if self._last_echo == self._last_probe:
                    self._paused_until = 0.0
                    self._set_degraded(False, "")
            self._set_degraded(True, "no echo")
            if not is_in_memory():
                # Closes the layer's connections of this loop. Only the doorbell uses them.
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
                # Not encrypted with our key. Skip it, so that foreign messages cannot stop us from listening.
                if not self._has_warned_of_foreign:
                    logger.warning(
                        "the channel layer carries foreign messages: do all processes have the same SECRET_KEY?"
                    )
                self._has_warned_of_foreign = True
                continue
            try:
                self._dispatch(message)
            except Exception:
                logger.warning("ignored a message on the channel layer that is not a bell: %.80r", message.get("type"))

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "probe":
            if message["from"] == self.id:
                self._last_echo = max(self._last_echo, int(message["number"]))
            return
        if message.get("from") == self.id:
            return
        if concern := concerns.from_message(message.get("access")):
            self._on_access(concern)
        for room, head in message["heads"].items():
            self._on_bell(int(room), int(head))
        for user in message.get("reads", ()):
            self._on_read(int(user))
        for room, username in message.get("typing", ()):
            self._on_typing(int(room), str(username))
        for signal in message.get("signals", ()):
            self._on_signal(int(signal["room"]), str(signal["username"]), bool(signal["is_here"]))

    def _set_degraded(self, is_degraded: bool, reason: str) -> None:
        if is_degraded and not self.is_degraded:
            logger.warning("the channel layer does not answer (%s): the sweep delivers messages", reason)
        elif self.is_degraded and not is_degraded:
            logger.info("the channel layer answers again")
        self.is_degraded = is_degraded
