"""Bounds what HTTP requests may use: requests at the same time, sign-ins, and the memory of bodies."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy

from chat import audit, limits
from chat.exceptions import Sentence
from chat.file_streams import BODY, STREAMED
from multichat import language, transfers
from multichat.answers import answer
from multichat.fair_slots import FairSlots, NoSlotError

logger = logging.getLogger(__name__)

# Paths where a password is checked or hashed. Their POST waits here for a slot, so that it does not block a thread.
SIGN_IN = re.compile(
    r"/(accounts|admin)/login/|/accounts/(password_change/|sign_up/|reset/[^/]+/[^/]+/)?|/invite/[^/]+/"
)
PASSWORDS = re.compile(
    rf"{SIGN_IN.pattern}|/admin/password_change/|/admin/auth/user/(add|[^/]+/password)/"
    r"|/accounts/(second_factors/.+|sso/(un)?link/)"
)
# Other ways of signing in, in which no password is checked. A GET counts too: the provider sends users back by one.
OTHER_SIGN_IN = re.compile(r"/accounts/(second_factor/|passkey/|sso/|sso/callback/|sso/name/)")
# Each body may use this much memory of its own. Beyond it, all bodies share the second amount.
OWN_BODY_BYTES = 64 * 1024
SHARED_BODY_BYTES = 16 * 1024 * 1024
# A response up to this size is buffered until its slot is free again, so that a slow reader holds no thread, no slot
# and no database connection.
BUFFERED_RESPONSE_BYTES = 8 * 1024 * 1024
BUSY = gettext_lazy("This server is busy. Wait a few seconds, then try again.")
TOO_MANY_SIGN_INS = gettext_lazy("Too many sign-ins from your network at once. Wait a few seconds, then try again.")
TOO_MANY_UPLOADS = gettext_lazy("Too many uploads at once. Wait a few seconds, then try again.")
DISK_FULL = gettext_lazy("The server's disk is full. Tell an administrator.")


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
        self._uploads = FairSlots("FILE_CHECKS")
        self._shared_bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        address = limits.address_of(scope) or ""
        is_post = scope["method"] == "POST"
        is_sign_in = (is_post and SIGN_IN.fullmatch(scope["path"])) or OTHER_SIGN_IN.fullmatch(scope["path"])
        if is_sign_in and (wait := limits.sign_ins.take(address)):
            audit.write_noise("request_refused", reason="sign_ins", address=address)
            await _refuse(scope, send, 429, TOO_MANY_SIGN_INS, retry_after=wait)
            return
        response = BufferedResponse(send)
        streams: list[Any] = []
        scope = {**scope, STREAMED: streams}
        try:
            if transfers.is_upload(scope):
                pieces = self._pieces(receive, limits.most_bytes("FILE_MB"))
                slots = [self._uploads, self._requests]
                async with transfers.upload(address, pieces) as file, self._slots(address, receive, slots):
                    await self.application({**scope, BODY: file}, replay(b""), response.send)
                await response.flush()
                return
            is_copy = transfers.is_copy(scope)
            slots = [self._requests]
            if is_post and PASSWORDS.fullmatch(scope["path"]):
                slots.insert(0, self._passwords)
            elif is_copy:
                # Otherwise copies could take all slots of other requests while the storage is slow.
                slots.insert(0, self._uploads)
            count = transfers.counted(address) if is_copy else nullcontext()
            async with self._body(receive) as body:
                with count:
                    async with self._slots(address, receive, slots):
                        await self.application(scope, replay(body), response.send)
                # The slot is free again, so the client may read at its own speed.
                await response.flush(more=bool(streams))
                if streams:
                    await transfers.stream(send, streams)
        except GoneError:
            pass
        except TooLargeError:
            most = round(transfers.most_bytes(scope["method"], scope["path"]))
            sentence = ngettext_lazy(
                "The body may have at most {most} byte.", "The body may have at most {most} bytes.", most
            )
            await _refuse(scope, send, 413, format_lazy(sentence, most=most))
        except transfers.TooManyError:
            audit.write_noise("request_refused", reason="uploads", address=address)
            await _refuse(scope, send, 429, TOO_MANY_UPLOADS)
        except transfers.FullError:
            logger.warning("an upload could not be written to a temporary file", exc_info=True)
            await _refuse(scope, send, 503, DISK_FULL)
        except NoSlotError:
            audit.write_noise("request_refused", reason="busy", address=address)
            await _refuse(scope, send, 503, BUSY, retry_after=limits.of("HTTP_REQUESTS_WAIT_SECONDS") / 4)
        finally:
            for stream in streams:
                stream.close()

    @asynccontextmanager
    async def _body(self, receive: Any) -> AsyncIterator[bytes]:
        """Read a request's body before the request takes a slot, and hold it.

        Raises GoneError, TooLargeError, NoSlotError.
        """
        parts: list[bytes] = []
        size = shared = 0
        try:
            async for piece in self._pieces(receive, limits.of("BODY_BYTES")):
                parts.append(piece)
                size += len(piece)
                more = max(0, size - OWN_BODY_BYTES) - shared
                if more and self._shared_bytes + more > SHARED_BODY_BYTES:
                    raise NoSlotError
                shared += more
                self._shared_bytes += more
            yield b"".join(parts)
        finally:
            self._shared_bytes -= shared

    @staticmethod
    async def _pieces(receive: Any, most: float) -> AsyncIterator[bytes]:
        """Yield a request's body as it arrives. Raises GoneError, TooLargeError."""
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            piece = message.get("body", b"")
            size += len(piece)
            if most and size > most:
                raise TooLargeError
            yield piece
            if not message.get("more_body", False):
                return

    @asynccontextmanager
    async def _slots(self, address: str, receive: Any, wanted: list[FairSlots]) -> AsyncIterator[None]:
        """Hold a slot of each of these, in their order. Raises GoneError, NoSlotError."""
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


async def _refuse(scope: Any, send: Any, status: int, sentence: Sentence, retry_after: float | None = None) -> None:
    with translation.override(language.of_scope(scope)):
        text = f"{sentence}\n"
    await answer(send, status, text, retry_after=retry_after, is_last=True)


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

    async def flush(self, *, more: bool = False) -> None:
        """Write what is buffered. With `more`, the body goes on after it."""
        messages, self._messages = self._messages, []
        for message in messages:
            is_body = message["type"] == "http.response.body"
            await self._send({**message, "more_body": True} if more and is_body else message)
