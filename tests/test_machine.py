"""Log, hub and sessions under any sequence of steps: the frames of each socket are the log, without holes."""

import asyncio
import contextlib
import os
import random
import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chat import protocol
from chat.exceptions import ClientError
from chat.live import commands
from chat.live import hub as hubs
from chat.live.session import Session
from chat.protocol import Cursor, Delete, Edit, Join, Leave, Resume, Send
from chat.store.policies import Login
from chat.testing import RoomLog
from tests.fakes import FakeSocket
from tests.servers.quantities import IS_FULL
from tests.stepped import SteppedLoop, World

ROOM = protocol.RoomId(1)
SESSIONS = st.integers(0, 2)


class OnlyWorld(World):
    """Its database answers in the next turn of the loop, and only the machine rings bells."""

    async def takes_time(self, seconds):
        await asyncio.sleep(0)

    def _ring(self, rooms, *, here):
        pass


class Delivery(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = SteppedLoop()
        self.world = OnlyWorld(random.Random(0), rooms=(1,), failing=0.0).__enter__()
        self.world.staff_only = set()
        self.run(self.start())

    def run(self, work):
        return self.loop.run_until_complete(work)

    async def start(self):
        self.world._writing = asyncio.Lock()
        self.sessions = [self.enter(number) for number in range(3)]

    def enter(self, number):
        session = hubs.add(lambda hub: Session(FakeSocket(), hub=hub))
        session.standing = self.world._standing(Login(f"key {number}", number + 1, ""))
        session.log = None
        session.read = 0
        return session

    def teardown(self):
        try:
            self.run(self.finish())
        finally:
            self.world.__exit__()
            self.loop.close()

    async def finish(self):
        for session in self.sessions:
            session._socket.drain()
        await asyncio.sleep(3)  # several sweeps
        self.written_frames_match_the_log()
        events = self.world.events[1]
        for session in self.sessions:
            if session.log is not None:
                assert session.log.cursor == len(events), "the session did not reach the head"
                for shown in session.log.events:
                    assert shown["seq"] <= len(events)
                    assert shown.get("client_id") == self.world.client_ids[1][shown["seq"] - 1]
            await hubs.remove(session)

    # What users do

    @rule(number=SESSIONS, repeats=st.booleans())
    def post(self, number, repeats):
        client_id = uuid.uuid4()
        for _ in range(1 + repeats):
            self.say(number, Send(room=ROOM, message="hello", client_id=client_id))
        self.run(asyncio.sleep(0.01))
        assert self.world.client_ids[1].count(str(client_id)) <= 1

    @rule(number=SESSIONS, seq=st.integers(1, 12))
    def edit(self, number, seq):
        self.say(number, Edit(room=ROOM, seq=seq, message="better", client_id=uuid.uuid4()))

    @rule(number=SESSIONS, seq=st.integers(1, 12))
    def delete(self, number, seq):
        self.say(number, Delete(room=ROOM, seq=seq, client_id=uuid.uuid4()))

    @rule(number=SESSIONS)
    def join(self, number):
        self.say(number, Join(room=ROOM))

    @rule(number=SESSIONS, back=st.integers(0, 8), by_resume=st.booleans())
    def join_since(self, number, back, by_resume):
        log = self.sessions[number].log
        if log is None and self.sessions[number].has_replies:
            # A page that has not read the reply to its last join cannot know its cursor.
            return
        since = max(0, (log.cursor if log else len(self.world.events[1])) - back)
        epoch = log.epoch if log else self.world.epoch[1]
        if log is None:
            self.sessions[number].expects = since
        if by_resume:
            self.say(number, Resume(rooms={"1": Cursor(since, epoch)}))
        else:
            self.say(number, Join(room=ROOM, since=since, epoch=epoch))

    @rule(number=SESSIONS)
    def leave(self, number):
        self.say(number, Leave(room=ROOM))

    @rule(number=SESSIONS)
    def reconnect(self, number):
        """The socket is lost with its unread frames, and its page resumes from its cursor."""
        self.written_frames_match_the_log()
        old = self.sessions[number]
        self.run(hubs.remove(old))
        self.sessions[number] = self.run(self.entered(number))
        if old.log is not None:
            self.sessions[number].log = old.log
            self.say(number, Resume(rooms={"1": Cursor(old.log.cursor, old.log.epoch)}))

    async def entered(self, number):
        return self.enter(number)

    def say(self, number, command):
        with contextlib.suppress(ClientError):  # for example when the room is not joined
            self.run(commands.run(self.sessions[number], command))

    # What happens in their surroundings

    @rule(number=SESSIONS, room=st.integers(0, 3))
    def socket_is_full(self, number, room):
        self.sessions[number]._socket.room = room

    @rule(number=SESSIONS, room=st.sampled_from([1, 2, 5, None]))
    def socket_drains(self, number, room):
        self.run(self.drain(number, room))

    async def drain(self, number, room):
        self.sessions[number]._socket.drain(room)
        await asyncio.sleep(0.01)

    @rule(count=st.integers(1, 9))
    def commit_elsewhere(self, count):
        for _ in range(count):
            self.run(self.elsewhere())

    async def elsewhere(self):
        self.world.commit_elsewhere(1, "from elsewhere")

    @rule(times=st.integers(1, 2), wrong_by=st.sampled_from([0, 0, -3, 4]))
    def bell(self, times, wrong_by):
        """The bell is rung once or twice, for the right head, an old one, or one that does not exist."""
        self.run(self.ring(times, max(0, len(self.world.events[1]) + wrong_by)))

    async def ring(self, times, head):
        for _ in range(times):
            self.sessions[0].hub.hear_bell(1, head)
        await asyncio.sleep(0.01)

    @rule()
    def sweep(self):
        self.run(self.sessions[0].hub.sweep.run())

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.6]))
    def time_passes(self, seconds):
        self.run(asyncio.sleep(seconds))

    @precondition(lambda self: len(self.world.events[1]) > 2)
    @rule()
    def backup_is_restored(self):
        """From now on the same numbers mean other events. A sweep notices it."""
        self.world.restore(1, len(self.world.events[1]) // 2)
        self.run(asyncio.sleep(1))

    @invariant()
    def written_frames_match_the_log(self):
        for session in self.sessions:
            frames = session._socket.frames
            while session.read < len(frames):
                self.apply_frame(session, frames[session.read])
                session.read += 1

    def apply_frame(self, session, frame):
        if "join" in frame:
            if session.log is None:
                session.log = RoomLog("1", getattr(session, "expects", None), frame["epoch"])
                session.expects = None
            session.log.apply_join(frame)
        elif "leave" in frame:
            session.log = session.expects = None
        elif "seq" in frame and "ack" not in frame:
            assert session.log is not None, "an event outside of join and leave"
            assert session.log.apply_event(frame) != "gap", "a hole on the wire"


# script/soak sets SEEDS to run more.
EXAMPLES = int(os.environ.get("SEEDS", "40" if IS_FULL else "20"))
TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
