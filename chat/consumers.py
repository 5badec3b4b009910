"""One socket's life: accept, read, limit, dispatch, close codes."""

import asyncio
import logging
import secrets
from typing import Any
from urllib.parse import parse_qs

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings

from chat import audit, conf, limits, protocol
from chat.exceptions import ClientError, ErrorCode
from chat.live import commands, database, hub
from chat.live.session import CLOSE_SIGN_IN, Run, Session, Socket
from chat.store.policies import Standing

logger = logging.getLogger(__name__)

CLOSE_TRY_LATER = 1013
CLOSE_FLOOD = 4429
# The key under which our server hands its own socket to the application, in the scope's extensions.
SOCKET_EXTENSION = "multichat.socket"


class AsgiSocket:
    """A socket of any ASGI server: tells that it is full by making send() wait."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self._is_full = False

    def write(self, run: Run) -> int:
        for taken, frame in enumerate(run.frames):
            if not self._has_taken({"type": "websocket.send", "text": frame.text}):
                self._is_full = True
                return taken
        return len(run.frames)

    def _has_taken(self, message: dict[str, Any]) -> bool:
        # One step of the coroutine: finished, it was written; waiting, nothing of it was. Closed then,
        # because one left waiting would be overtaken by later sends.
        sending = self._send(message)
        try:
            sending.send(None)
        except StopIteration:
            return True
        except Exception:
            # The socket is gone; its consumer hears of it by itself.
            return False
        sending.close()
        return False

    async def drained(self) -> bool:
        if self._is_full:
            # What waits for a full socket is never an event: a pong that nobody asked for harms no one.
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

    Its codec is chat.protocol's, and its dispatch goes to no thread: the stock one visits the database
    thread for every frame, and one slow query there would hold up every socket.
    """

    # No such layer is configured, so the socket gets no channel: the hub listens for the whole process.
    channel_layer_alias = "none"

    session: Session | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = limits.Patience()
        # The ceilings under which this socket counts, and as what: given back when it goes.
        self._counted: dict[limits.Ceiling, Any] = {}
        # Closes a socket without a session that sends nothing.
        self._expecting: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._expecting is not None:
                self._expecting.cancel()
            for ceiling, key in self._counted.items():
                ceiling.exit(key)
            # Here and not in disconnect(), which a crash or a cut line skips.
            if self.session is not None:
                await asyncio.shield(hub.exit(self.session))

    async def dispatch(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.connect":
                await self.connect()
            case "websocket.receive":
                await self.receive(text_data=message.get("text"), bytes_data=message.get("bytes"))
            case "websocket.disconnect":
                raise StopConsumer

    async def connect(self) -> None:
        # Accepted first: a refused handshake would give the browser a bare 403 and no reason.
        await self.accept()
        extensions: Any = self.scope.get("extensions") or {}
        socket: Socket = extensions.get(SOCKET_EXTENSION) or AsgiSocket(self.base_send)
        self.session = session = hub.enter(lambda running: Session(socket, hub=running))
        if session.hub.is_draining:
            # Its handshake was under way when this server began to end.
            await session.turn_away()
            return
        if not self._count(limits.unauthenticated, None):
            await session.refuse(ErrorCode.SERVER_UNAVAILABLE, CLOSE_TRY_LATER)
            return
        try:
            has_ended = await self._sign_in(session)
        except Exception as error:
            # Anybody can begin a handshake, and while the database is away all pages come back again and again.
            database.warn_sparingly(logger, "a login could not be checked", error)
            await session.refuse(ErrorCode.SERVER_UNAVAILABLE, CLOSE_TRY_LATER)
            return
        if session.standing is None and not has_ended:
            await self._expect_command(session)
            return
        if session.standing is None or not self._is_for(session.user_id):
            await session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CLOSE_SIGN_IN)
            return
        limits.unauthenticated.exit(self._counted.pop(limits.unauthenticated))
        if not self._count(limits.sockets_of_user, session.user_id):
            await self._refuse_flood(session, "You have too many pages open. Close some.", retry_after=30)
        elif isinstance(place := self.scope.get(limits.ADDRESS_PLACE), limits.Place):
            # From here on it counts for its user. Otherwise a whole office behind one address would share a ceiling.
            place.give_back()

    async def _expect_command(self, session: Session) -> None:
        """Let a socket without a session wait: its first command is answered, and without one it is closed.

        Nothing is said on connecting. The original client shows each error in a modal dialog, and it reconnects
        for ever, but it sends no command before its user clicks.
        """
        address = limits.address_of(self.scope)
        if address is not None and not self._count(limits.unauthenticated_of_address, address):
            await session.close(CLOSE_SIGN_IN)
            return
        self._expecting = asyncio.get_running_loop().create_task(_close_later(session))

    def _is_for(self, user_id: int) -> bool:
        """Tell whether the socket is who its page takes itself for: another may have signed in in the next tab."""
        asked = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("user", [])
        return all(name == str(user_id) for name in asked)

    async def _sign_in(self, session: Session) -> bool:
        """Find out who the socket is. Return whether its login was valid and ended meanwhile."""
        standings: list[Standing | None] = []
        cookies: Any = self.scope.get("cookies") or {}
        if key := cookies.get(settings.SESSION_COOKIE_NAME):
            while True:
                with session.hub.rights.question() as question:
                    standings.append(standing := await session.hub.logins.get(key))
                    # As for a room: a check that began meanwhile did not know whose socket this is.
                    if standing is None or not question.is_outdated(user=standing.login.user_id):
                        session.standing = standing
                        break
        return any(standings) and session.standing is None

    def _count(self, ceiling: limits.Ceiling, key: Any) -> bool:
        if not ceiling.enter(key):
            return False
        self._counted[ceiling] = key
        return True

    async def _refuse_flood(self, session: Session, detail: str, retry_after: float | None = None) -> None:
        audit.write_noise(
            "limit", user=session.user_id, address=limits.address_of(self.scope), close=CLOSE_FLOOD, detail=detail
        )
        if not session.is_gone:
            session.reply(protocol.refusal(ClientError(ErrorCode.RATE_LIMITED, detail=detail, retry_after=retry_after)))
            await session.close(CLOSE_FLOOD)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        # What comes after the `bye` is not answered: its sender keeps it, and tries again elsewhere.
        if self.session is None or self.session.is_gone or self.session.hub.is_draining:
            return
        if self.session.standing is None:
            await self.session.refuse(ErrorCode.USER_HAS_TO_LOGIN, CLOSE_SIGN_IN)
            return
        context: dict[str, Any] = {}
        try:
            command = _decode(text_data)
            context = _context(command)
            self._patience.check_command(context["command"], count=_rooms_of(command))
            await commands.run(self.session, command)
        except ClientError as error:
            self.session.reply(protocol.refusal(error, **context))
            if self._patience.is_over(error):
                await self._refuse_flood(self.session, "This page was stopped: it asked too much.", retry_after=10)
        except database.AWAY as error:
            logger.warning("user=%s command=%s: %s", self.session.user_id, context["command"], database.reason(error))
            away = ClientError(ErrorCode.SERVER_UNAVAILABLE, detail="The database is away.", retry_after=1)
            self.session.reply(protocol.refusal(away, **context))
        except Exception:
            frame = secrets.token_hex(4)
            logger.exception("frame=%s user=%s command=%s", frame, self.session.user_id, context.get("command"))
            failed = ClientError(ErrorCode.SERVER_UNAVAILABLE, detail=f"Something failed here (frame {frame}).")
            self.session.reply(protocol.refusal(failed, **context))
        await self.session.until_room()


async def _close_later(session: Session) -> None:
    await asyncio.sleep(conf.UNAUTHENTICATED_SECONDS)
    await session.close(CLOSE_SIGN_IN)


def _decode(text: str | None) -> protocol.AnyCommand:
    if text is None:
        raise ClientError(ErrorCode.JSON_INVALID, detail="A frame is text, not binary.")
    if len(text) > conf.FRAME_MAX_BYTES or len(text.encode()) > conf.FRAME_MAX_BYTES:
        detail = f"A frame takes at most {conf.FRAME_MAX_BYTES} bytes."
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=detail)
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
