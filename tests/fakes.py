"""Fakes of both sides of a hub: a socket that can be full, and a log that can be slow or away."""

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace

from django.utils.translation import trans_real

from chat.conf import conf
from chat.live import database
from chat.live.revocation import Revocation
from chat.protocol import Deleted, Edited, Overtaken, Posted
from chat.store import access, alerts, deletion, log, presence
from chat.store.events import LoggedEvent
from chat.store.policies import Login, Standing

AT = "2026-11-21T04:43:17.123Z"


class FakeSocket:
    """Takes `room` more frames and is then full; None means unlimited."""

    def __init__(self, room=None):
        self.room = room
        self.frames = []
        self.runs = []
        self.closed = None
        self.is_gone = False
        self._changed = asyncio.Event()

    @property
    def is_closed(self):
        return self.is_gone or self.closed is not None

    def write(self, run):
        count = len(run.frames) if self.room is None else min(self.room, len(run.frames))
        if self.room is not None:
            self.room -= count
        assert run.wire == b"".join(frame.wire for frame in run.frames)
        if count:
            self.runs.append(count)
        self.frames += [json.loads(frame.text) for frame in run.frames[:count]]
        return count

    async def drained(self):
        while self.room == 0 and not self.is_gone:
            await self._changed.wait()
        return not self.is_gone

    async def close(self, code):
        self.closed = code

    def drain(self, room=None):
        """Take `room` more frames."""
        self.room = room
        self._changed.set()
        self._changed = asyncio.Event()

    def lose(self):
        """Be gone, like a socket whose connection was cut."""
        self.is_gone = True
        self._changed.set()

    def seqs(self, room=1):
        """Return the numbers of the events written for a room."""
        return [frame["seq"] for frame in self.frames if frame.get("room") == str(room) and "seq" in frame]

    def replies(self):
        """Return the frames that are not events."""
        return [frame for frame in self.frames if "seq" not in frame]


def posted(seq, text="hi", room=1):
    return LoggedEvent(Posted(room=str(room), username="bob", message=text, msg_type=0, seq=seq, at=AT))


def edited(seq, target, text="new", room=1):
    return LoggedEvent(Edited(room=str(room), edited=target, message=text, seq=seq, at=AT))


def overtaken(seq, target, room=1):
    return LoggedEvent(Overtaken(room=str(room), edited=target, overtaken=True, seq=seq, at=AT))


def deleted(seq, target, room=1):
    return LoggedEvent(Deleted(room=str(room), deleted=target, seq=seq, at=AT))


class FakeLog:
    """The logs of all rooms, in memory. It answers the hub's questions to the database, on the event loop."""

    def __init__(self, monkeypatch):
        self.events = {1: [], 2: []}
        self.floor = {1: 1, 2: 1}
        self.epoch = {1: "a", 2: "a"}
        self.error = None
        self.reads = []
        self.gate = asyncio.Event()
        self.gate.set()
        monkeypatch.setattr(database, "read", self._run)
        monkeypatch.setattr(database, "poll", self._run)
        # Presence is not part of this fake; it has its own tests.
        monkeypatch.setattr(database, "write", self._write)
        monkeypatch.setattr(database, "write_behind", self._write)
        monkeypatch.setattr(presence, "begin_lease", lambda process: None)
        monkeypatch.setattr(presence, "renew_lease", lambda process: True)
        monkeypatch.setattr(presence, "expired_processes", list)
        monkeypatch.setattr(presence, "update_presence", lambda process, *, came, went: [])
        monkeypatch.setattr(presence, "present_usernames", lambda rooms: {room: set() for room in rooms})
        monkeypatch.setattr(conf, "SEND_PRESENCE", False)
        monkeypatch.setattr(conf, "GRACE_SECONDS", 0)
        monkeypatch.setattr(log, "read", self._read)
        monkeypatch.setattr(log, "heads", self._heads)
        monkeypatch.setattr(alerts, "recent", lambda rooms: {})
        monkeypatch.setattr(log, "heads_after", lambda room, *, limit: self._heads())
        # Rights do not change.
        monkeypatch.setattr(access, "recent_changes", list)
        monkeypatch.setattr(deletion, "unfinished", lambda: deletion.Unfinished([], []))
        monkeypatch.setattr(Revocation, "check_soon", lambda self, *concern: None)
        monkeypatch.setattr(Revocation, "check", self._nothing)

    def post(self, count=1, room=1, text="hi"):
        """Append messages and return them, as a commit does."""
        first = len(self.events[room]) + 1
        new = [posted(seq, text, room) for seq in range(first, first + count)]
        self.events[room] += new
        return new

    def append(self, event, room=1):
        self.events[room] = [kept.changed_by(event.event) for kept in self.events[room]] + [event]
        return [event]

    async def _run(self, work, *arguments, **named):
        # The answer is made now, and may arrive late.
        if self.error:
            raise self.error
        answer = work(*arguments, **named)
        await asyncio.sleep(0)
        await self.gate.wait()
        return answer

    async def _nothing(self, *arguments):
        pass

    async def _write(self, work, *arguments, **named):
        return work(*arguments, **named)

    def _read(self, room, *, after, limit):
        self.reads.append(("read", after))
        page, size = [], 0
        for event in self.events.get(room, []):
            if event.seq > after:
                size += len(event.frame.payload)
                if len(page) == limit or (page and size > conf.CATCH_UP_BYTES):
                    break
                page.append(event)
        return page

    def _heads(self, rooms=None):
        self.reads.append("heads")
        return {
            room: (len(events), self.floor[room], self.epoch[room])
            for room, events in self.events.items()
            if rooms is None or room in rooms
        }


async def until(condition, seconds=20):
    """Wait for a condition, a turn of the loop at a time; long, because these tests have the lowest priority."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  conditions of all kinds, and no test waits long
            await asyncio.sleep(0.001)


async def turns(count=20):
    """Let the loop run for some turns, to show that something does not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def standing(user_id, username):
    """Return a valid login of a user that is in no database."""
    login = Login(f"session-{user_id}", user_id, "")
    return Standing(login, SimpleNamespace(get_username=lambda: username), datetime.max.replace(tzinfo=UTC))


def expire_dead_processes():
    """Do at once what a server's lease keeper does with its database thread. Returns the users who left by it."""
    changes = []
    for process in presence.expired_processes():
        is_more = True
        while is_more:
            changed, is_more = presence.expire_piece(process)
            changes += changed
    return changes


def translate(monkeypatch, language, sentences):
    """Give a language these translations, whatever its own catalogue has."""
    catalogue = trans_real.translation(language)._catalog._catalogs[0]
    for sentence, translated in sentences.items():
        monkeypatch.setitem(catalogue, sentence, translated)
