"""The WebSocket consumer: accepts a connection, signs it in, applies its limits and runs its commands."""

import asyncio
import itertools
import logging
import secrets
from typing import Any
from urllib.parse import parse_qs

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat import audit, limits, protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, Sentence, unavailable
from chat.live import commands, database, hub
from chat.live.session import Session
from chat.live.sockets import Run, Socket
from chat.protocol import CloseCode
from chat.store.policies import Standing

logger = logging.getLogger(__name__)

# The key under which our server passes its own socket to the application, in the scope's extensions.
SOCKET_EXTENSION = "multichat.socket"
# A client may send thousands of frames at once. After so many of them, the other sockets have their turn.
FRAMES_PER_TURN = 16


class AsgiSocket:
    """A socket of any ASGI server. The server shows that it is full by making send() wait."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._is_full = False

    @property
    def is_closed(self) -> bool:
        return False  # Only the consumer's disconnect says so.

    def write(self, run: Run) -> int:
        for written, frame in enumerate(run.frames):
            if not self._is_written({"type": "websocket.send", "text": frame.text}):
                self._is_full = True
                return written
        return len(run.frames)

    def _is_written(self, message: dict[str, Any]) -> bool:
        # Run the coroutine for one step. If it finishes, the message was written. If it waits, nothing was written
        # yet, so close it: a coroutine that is left waiting would be overtaken by later sends.
        sending = self._send(message)
        try:
            sending.send(None)
        except StopIteration:
            return True
        except Exception:
            # The connection is gone; its consumer is notified separately.
            return False
        sending.close()
        return False

    async def drained(self) -> bool:
        if self._is_full:
            # The frame that waits for a full socket must never be an event. An unrequested pong is harmless.
            try:
                await self._send({"type": "websocket.send", "text": protocol.encode(protocol.Pong()).text})
            except Exception:
                return False
            self._is_full = False
        return True

    async def close(self, code: int) -> None:
        await self._send({"type": "websocket.close", "code": code})


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """Reads commands from one socket, one after the other.

    It encodes and decodes with chat.protocol, and dispatches without a thread: Channels' own dispatch uses the
    database thread for every frame, where one slow query would hold up every socket. It has no channel layer, because
    the hub listens for the whole process.
    """

    session: Session | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits = limits.SocketLimits()
        # The concurrency limits that count this socket, with its key in each. Released when the socket goes.
        self._acquired: dict[limits.ConcurrencyLimit, Any] = {}
        # Closes a socket without a session that sends no command.
        self._closing_later: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.base_send = scope, send
        try:
            # Channels would make a task for each frame, in order to hear its channel layer as well. There is none here.
            for count in itertools.count(1):
                await self.dispatch(await receive())
                if not count % FRAMES_PER_TURN:
                    await asyncio.sleep(0)
        except StopConsumer:
            return
        finally:
            if self._closing_later is not None:
                self._closing_later.cancel()
            for limit, key in self._acquired.items():
                limit.release(key)
            # Here and not in disconnect(), because a crash or a cut connection skips that.
            if self.session is not None:
                await asyncio.shield(hub.remove(self.session))

    async def dispatch(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.connect":
                await self.connect()
            case "websocket.receive":
                await self.receive(text_data=message.get("text"), bytes_data=message.get("bytes"))
            case "websocket.disconnect":
                raise StopConsumer

    async def connect(self) -> None:
        # Accept first: a refused handshake would give the browser a bare 403 without a reason.
        await self.accept()
        extensions: Any = self.scope.get("extensions") or {}
        socket: Socket = extensions.get(SOCKET_EXTENSION) or AsgiSocket(self.base_send)
        language = language_of(self.scope)
        self.session = session = hub.add(lambda running: Session(socket, hub=running, language=language))
        if session.hub.is_draining:
            # The handshake was under way when this server began to shut down.
            await session.turn_away()
            return
        if not self._acquire(limits.unauthenticated, None):
            await session.refuse(ErrorCode.SERVER_UNAVAILABLE, CloseCode.TRY_LATER)
            return
        try:
            has_ended = await self._sign_in(session)
        except Exception as error:
            # Logged sparingly: any client can begin a handshake, and while the database is away all pages reconnect
            # again and again.
            database.warn_sparingly(logger, "a login could not be checked", error)
            await session.refuse(ErrorCode.SERVER_UNAVAILABLE, CloseCode.TRY_LATER)
            return
        if session.standing is None and not has_ended:
            await self._expect_command(session)
            return
        if session.standing is None or not self._is_for(session.user_id):
            await session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CloseCode.SIGN_IN)
            return
        limits.unauthenticated.release(self._acquired.pop(limits.unauthenticated))
        if not self._acquire(limits.sockets_of_user, session.user_id):
            await self._refuse_flood(session, _("You have too many pages open. Close some."), retry_after=30)
        elif isinstance(slot := self.scope.get(limits.ADDRESS_SLOT), limits.Slot):
            # From here on the socket counts for its user only. Otherwise a whole office behind one address would
            # share one limit.
            slot.release()

    async def _expect_command(self, session: Session) -> None:
        """Let a socket without a session wait: its first command is answered, and without one it is closed.

        The server sends nothing on connect. The original client shows each error in a modal dialog and reconnects
        for ever, but it sends no command before its user clicks.
        """
        address = limits.address_of(self.scope)
        if address is not None and not self._acquire(limits.unauthenticated_of_address, address):
            await session.close(CloseCode.SIGN_IN)
            return
        self._closing_later = asyncio.get_running_loop().create_task(_close_later(session))

    def _is_for(self, user_id: int) -> bool:
        """Tell whether this is the user that the page expects: another user may have signed in in another tab."""
        asked = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("user", [])
        return all(name == str(user_id) for name in asked)

    async def _sign_in(self, session: Session) -> bool:
        """Find the socket's user. Return whether its login was valid and ended in the meantime."""
        standings: list[Standing | None] = []
        cookies: Any = self.scope.get("cookies") or {}
        if key := cookies.get(settings.SESSION_COOKIE_NAME):
            while True:
                with session.hub.revocation.question() as question:
                    standings.append(standing := await session.hub.logins.get(key))
                    # As when a room is joined: a check that began in the meantime did not know this socket's user.
                    if standing is None or not question.is_outdated(user=standing.login.user_id):
                        session.standing = standing
                        break
        return any(standings) and session.standing is None

    def _acquire(self, limit: limits.ConcurrencyLimit, key: Any) -> bool:
        if not limit.acquire(key):
            return False
        self._acquired[limit] = key
        return True

    async def _refuse_flood(self, session: Session, detail: Sentence, retry_after: float | None = None) -> None:
        audit.write_noise(
            "limit", user=session.user_id, address=limits.address_of(self.scope), close=CloseCode.FLOOD, detail=detail
        )
        if not session.is_gone:
            session.reply(session.refusal(ClientError(ErrorCode.RATE_LIMITED, detail=detail, retry_after=retry_after)))
            await session.close(CloseCode.FLOOD)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        # Commands that come after the `bye` are not answered: their sender keeps them and sends them elsewhere.
        if self.session is None or self.session.is_gone or self.session.hub.is_draining:
            return
        if self.session.standing is None:
            await self.session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CloseCode.SIGN_IN)
            return
        context: dict[str, Any] = {}
        try:
            command = _decode(text_data)
            context = _context(command)
            self._limits.check_command(context["command"], count=_rooms_of(command))
            await commands.run(self.session, command)
        except ClientError as error:
            self.session.reply(self.session.refusal(error, **context))
            if self._limits.is_flooding(error):
                detail = _("This page sent too many requests and was disconnected.")
                await self._refuse_flood(self.session, detail, retry_after=10)
        except database.AWAY as error:
            logger.warning("user=%s command=%s: %s", self.session.user_id, context["command"], database.reason(error))
            self.session.reply(self.session.refusal(unavailable(), **context))
        except Exception:
            frame = secrets.token_hex(4)
            logger.exception("frame=%s user=%s command=%s", frame, self.session.user_id, context.get("command"))
            detail = format_lazy(_("Something went wrong on the server (frame {frame})."), frame=frame)
            failed = ClientError(ErrorCode.SERVER_UNAVAILABLE, detail=detail)
            self.session.reply(self.session.refusal(failed, **context))
        await self.session.until_ready()


def language_of(scope: Any) -> str:
    """Return the language that the page asks for, otherwise that of the site, as for other clients."""
    [asked] = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("language", [""])[-1:]
    return asked if asked in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE


async def _close_later(session: Session) -> None:
    await asyncio.sleep(conf.UNAUTHENTICATED_SECONDS)
    await session.close(CloseCode.SIGN_IN)


def _decode(text: str | None) -> protocol.AnyCommand:
    if text is None:
        raise ClientError(ErrorCode.JSON_INVALID, detail=_("Send text frames, not binary ones."))
    if len(text) > conf.FRAME_MAX_BYTES or len(text.encode()) > conf.FRAME_MAX_BYTES:
        most = conf.FRAME_MAX_BYTES
        sentence = ngettext_lazy(
            "A frame may have at most {most} byte.", "A frame may have at most {most} bytes.", most
        )
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=format_lazy(sentence, most=most))
    limits.check_depth(text)
    return protocol.decode(text)


def _rooms_of(command: protocol.AnyCommand) -> int:
    return len(command.rooms) if isinstance(command, protocol.Resume) else 1


def _context(command: protocol.AnyCommand) -> dict[str, Any]:
    return {
        "command": command.__struct_config__.tag,
        "room": getattr(command, "room", None),
        "client_id": getattr(command, "client_id", None),
    }
