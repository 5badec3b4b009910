"""A WebSocket to the application in this process, which sends commands and receives frames."""

import asyncio
import json
from contextlib import asynccontextmanager

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from chat.live import database
from chat.store import policies, sign_ins
from chat.store.web_sessions import SessionStore
from multichat.asgi import application

ORIGIN = "http://localhost:8000"


def session_of(user):
    """Return the key of a new session of a user. A whole sign-in takes five times as long."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    sign_ins.record(user, session, agent="")
    return session.session_key


def login_of(user):
    """Sign a user in, and return what a socket knows about the session."""
    [standing] = policies.load_logins([session_of(user)]).values()
    return standing.login


def cookie_of(user):
    return f"{settings.SESSION_COOKIE_NAME}={session_of(user)}"


def handshake(path="/chat/stream/", *, cookie="", origin=ORIGIN, host="localhost:8000"):
    """Return a communicator whose handshake has these headers; None leaves a header out."""
    headers = {"host": host, "origin": origin, "cookie": cookie or None}
    sent = [(name.encode(), value.encode()) for name, value in headers.items() if value is not None]
    return WebsocketCommunicator(application, path, headers=sent)


class Socket:
    """Sends commands and receives frames. Frames that say who is present or around are skipped."""

    def __init__(self, communicator):
        self._communicator = communicator
        self.closed = None

    async def send(self, **command):
        await self.send_text(json.dumps(command, ensure_ascii=False))

    async def send_text(self, text):
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data):
        await self._communicator.send_input({"type": "websocket.receive", "bytes": data})

    async def end(self):
        """Disconnect."""
        await self._communicator.disconnect(timeout=5)
        await self._communicator.wait(5)

    async def next(self):
        """Return the next frame; None when the server has closed."""
        while True:
            message = await self._communicator.receive_output(20)
            if message["type"] == "websocket.close":
                self.closed = message["code"]
                return None
            frame = json.loads(message["text"])
            if "present" not in frame and "around" not in frame:
                return frame

    async def ask(self, **command):
        """Send a command and return the next frame."""
        await self.send(**command)
        return await self.next()

    async def until(self, is_wanted):
        """Return the frames up to the first that is wanted, and that one too."""
        frames = []
        async with asyncio.timeout(20):
            while not frames or not is_wanted(frames[-1]):
                frame = await self.next()
                assert frame is not None, f"closed after {frames}"
                frames.append(frame)
        return frames

    async def rest(self):
        """Return all frames that have come by now: a ping is answered after all earlier commands."""
        await self.send(command="ping")
        return (await self.until(lambda frame: "pong" in frame))[:-1]


@asynccontextmanager
async def connected(user=None, path="/chat/stream/"):
    """Open a socket that is signed in as a user, or as no user (None)."""
    cookie = await database.write(cookie_of, user) if user else ""
    communicator = handshake(path, cookie=cookie)
    assert (await communicator.connect(5))[0]
    socket = Socket(communicator)
    try:
        yield socket
    finally:
        await socket.end()
        await database.close()
