"""Sends messages at a fixed rate, whatever the server does, and measures when the last member has each (Pace)."""

import asyncio
import time
import uuid
from functools import partial
from typing import Any

from bench.chatter import Ack, Chatter
from bench.load import Broken
from bench.wire import WORDS

PATIENCE_SECONDS = 30


class Pace:
    """An open loop: `rate` messages a second, from clients in turn, each into its first room.

    With `retries`, a message that the server has no room for now is sent again when the server says, as a page does.
    """

    def __init__(self, clients: list[Chatter], *, senders: list[Chatter] | None = None, retries: bool = False) -> None:
        self._clients = clients
        self._senders = senders or clients
        self.acks: dict[str, tuple[int, int]] = {}
        self.broken: Broken | None = None
        # How many times a message was refused for now.
        self.refused = 0
        self._sent: dict[str, float] = {}
        self._commands: dict[str, dict[str, object]] = {}
        self._acked: list[float] = []
        self._last: dict[tuple[int, int], float] = {}
        for client in clients:
            client.on_events = self._receive
            client.on_broken = self._break
        for client in self._senders:
            client.on_ack = self._acknowledge
            if retries:
                client.on_refused = partial(self._retry, client)

    async def send(self, *, rate: float, seconds: float) -> tuple[list[float], list[float]]:
        """Send for so many seconds; return the sorted times to the last member, and to the ack. Raises Broken."""
        self._acked, acked = [], len(self.acks)
        sent: dict[str, float] = {}
        began = time.perf_counter()
        count = round(rate * seconds)
        for number in range(count):
            due = began + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            client = self._senders[number % len(self._senders)]
            client_id = str(uuid.uuid4())
            # From when it was due. Otherwise a load program that stood still would hide a server that did.
            self._sent[client_id] = sent[client_id] = due
            room = str(next(iter(client.heads)))
            text = f"{number} {WORDS}"[:60]
            command: dict[str, object] = {"command": "send", "room": room, "message": text, "client_id": client_id}
            self._commands[client_id] = command
            client.send_command(**command)
        until = time.perf_counter() + PATIENCE_SECONDS
        while self.broken is None and (len(self.acks) < acked + count or not self._is_complete()):
            if time.perf_counter() > until:
                raise Broken(
                    f"{acked + count - len(self.acks)} of {count} messages were not acknowledged, or not seen by all"
                )
            await asyncio.sleep(0.02)
        if self.broken is not None:
            raise self.broken
        echoes = sorted(self._last[self.acks[client_id]] - due for client_id, due in sent.items())
        return echoes, sorted(self._acked)

    def _is_complete(self) -> bool:
        heads: dict[int, int] = {}
        for room, seq in self.acks.values():
            heads[room] = max(seq, heads.get(room, 0))
        return all(head >= heads.get(room, 0) for client in self._clients for room, head in client.heads.items())

    def _receive(self, room: int, first: int, last: int) -> None:
        now = time.perf_counter()
        for seq in range(first, last + 1):
            self._last[room, seq] = now

    def _retry(self, client: Chatter, error: dict[str, Any]) -> bool:
        command = self._commands.get(error.get("client_id", ""))
        if command is None or error["error"] not in ("SERVER_UNAVAILABLE", "RATE_LIMITED"):
            return False
        self.refused += 1
        wait = float(error.get("retry_after", 2))
        asyncio.get_running_loop().call_later(wait, lambda: client.send_command(**command))
        return True

    def _acknowledge(self, ack: Ack) -> None:
        sent = self._sent.pop(ack.client_id, None)
        if sent is None:
            self._break(Broken(f"message {ack.client_id} was acknowledged twice"))
            return
        self._acked.append(time.perf_counter() - sent)
        self.acks[ack.client_id] = ack.room, ack.seq

    def _break(self, error: Broken) -> None:
        self.broken = self.broken or error
