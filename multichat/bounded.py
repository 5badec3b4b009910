"""Bounds what HTTP requests may use: requests at the same time, sign-ins, and the memory of bodies."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chat import audit, limits
from multichat.answers import answer
from multichat.fair_slots import FairSlots, NoSlotError

# Paths where a password is checked or hashed. Their POST waits here for a slot, so that it does not block a thread.
SIGN_IN = re.compile(
    r"/(accounts|admin)/login/|/accounts/(password_change/|sign_up/|reset/[^/]+/[^/]+/)?|/invite/[^/]+/"
)
PASSWORDS = re.compile(rf"{SIGN_IN.pattern}|/admin/password_change/|/admin/auth/user/(add|[^/]+/password)/")
# Each body may use this much memory of its own. Beyond it, all bodies share the second amount.
OWN_BODY_BYTES = 64 * 1024
SHARED_BODY_BYTES = 16 * 1024 * 1024
# A response up to this size is buffered until its slot is free again, so that a slow reader holds no thread, no slot
# and no database connection.
BUFFERED_RESPONSE_BYTES = 8 * 1024 * 1024
BUSY = "This server is busy. Wait a few seconds, then try again.\n"
TOO_MANY_SIGN_INS = "Too many sign-ins from your network at once. Wait a few seconds, then try again.\n"


class GoneError(Exception):
    """The client closed the connection."""


class TooLargeError(Exception):
    """The body is larger than LIMIT_BODY_BYTES."""


class BoundedRequests:
    """Lets Django handle a few requests at the same time. The others wait in a bounded queue that is fair per address.

    Django's ASGI handler gives each request a thread, and each thread opens a database connection.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self._requests = FairSlots("HTTP_REQUESTS")
        self._passwords = FairSlots("PASSWORD_CHECKS")
        self._shared_bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        address = limits.address_of(scope) or ""
        is_post = scope["method"] == "POST"
        if is_post and SIGN_IN.fullmatch(scope["path"]) and (wait := limits.sign_ins.take(address)):
            audit.write_noise("request_refused", reason="sign_ins", address=address)
            await answer(send, 429, TOO_MANY_SIGN_INS, retry_after=wait, is_last=True)
            return
        needs_password = is_post and PASSWORDS.fullmatch(scope["path"])
        response = BufferedResponse(send)
        try:
            async with self._body(receive) as body:
                async with self._slots(address, receive, bool(needs_password)):
                    await self.application(scope, replay(body), response.send)
                # The slot is free again, so the client may read at its own speed.
                await response.flush()
        except GoneError:
            pass
        except TooLargeError:
            await answer(send, 413, f"The body may have at most {limits.of('BODY_BYTES'):.0f} bytes.\n", is_last=True)
        except NoSlotError:
            audit.write_noise("request_refused", reason="busy", address=address)
            await answer(send, 503, BUSY, retry_after=limits.of("HTTP_REQUESTS_WAIT_SECONDS") / 4, is_last=True)

    @asynccontextmanager
    async def _body(self, receive: Any) -> AsyncIterator[bytes]:
        """Read a request's body before the request takes a slot, and hold it.

        Raises GoneError, TooLargeError, NoSlotError.
        """
        parts: list[bytes] = []
        size = shared = 0
        most = limits.of("BODY_BYTES")
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if most and size > most:
                    raise TooLargeError
                more = max(0, size - OWN_BODY_BYTES) - shared
                if more and self._shared_bytes + more > SHARED_BODY_BYTES:
                    raise NoSlotError
                shared += more
                self._shared_bytes += more
                if not message.get("more_body", False):
                    break
            yield b"".join(parts)
        finally:
            self._shared_bytes -= shared

    @asynccontextmanager
    async def _slots(self, address: str, receive: Any, needs_password: bool) -> AsyncIterator[None]:
        """Hold a slot, after a password slot if the request needs one. Raises GoneError, NoSlotError."""
        wanted = [self._passwords, self._requests] if needs_password else [self._requests]
        held: list[FairSlots] = []
        try:
            for slots in wanted:
                if not slots.try_enter():
                    await _wait_for_slot(slots, address, receive)
                held.append(slots)
            yield
        finally:
            for slots in reversed(held):
                slots.exit()


async def _wait_for_slot(slots: FairSlots, address: str, receive: Any) -> None:
    """Wait for a slot until the client disconnects. Raises GoneError, NoSlotError."""
    turn = asyncio.ensure_future(slots.enter(address))
    disconnect = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((turn, disconnect), return_when=asyncio.FIRST_COMPLETED)
        if not turn.done():
            raise GoneError
        turn.result()
    except BaseException:
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            slots.exit()
        raise
    finally:
        turn.cancel()
        disconnect.cancel()


def replay(body: bytes) -> Any:
    """Return a `receive` that gives this body and then waits forever, so that Django never cancels a view.

    The thread of a cancelled view would continue, and its slot would no longer count it.
    """
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await asyncio.get_running_loop().create_future()
        return messages.pop()

    return receive


class BufferedResponse:
    """Buffers a response until it may be written. A larger one is written through."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._messages: list[Any] = []
        self._size = 0

    async def send(self, message: Any) -> None:
        self._messages.append(message)
        self._size += len(message.get("body", b""))
        if self._size > BUFFERED_RESPONSE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        messages, self._messages = self._messages, []
        for message in messages:
            await self._send(message)
