"""The whole of Multichat on a stepped clock: pages, connections, hub and writer, with a database in memory.

Everything that may take time takes a random time from one seed. So each seed is one interleaving, and a minute of chat
takes a moment. A run is recorded, and judged by the same checker as real runs.
"""

import asyncio
import contextlib
import json
import random
import selectors
import uuid
from datetime import UTC, datetime

from django.contrib.auth.models import User
from django.db import OperationalError
from websockets.exceptions import ConnectionClosedError

from chat.consumers import ChatConsumer
from chat.exceptions import ClientError, ErrorCode
from chat.live import commands, database, revocation, sweep
from chat.live import hub as hubs
from chat.live.session import Session
from chat.models import Room
from chat.protocol import Deleted, Edited, HistoryPage, Overtaken, Pong, Posted, encode
from chat.store import access, actions, alerts, concerns, deletion, log, policies, presence
from chat.store.events import LoggedEvent
from chat.store.log import Committed, Kind
from chat.store.policies import Login, Standing
from chat.testing import Refusal, Row, SocketClient, record

AT = "2026-11-21T04:43:17.123Z"
# Small, so that a few messages fill and overflow what otherwise takes thousands.
SMALL = {
    "LIMITS": {},
    "RING_EVENTS": 6,
    "CATCH_UP_PAGE": 4,
    "SOCKET_UNACKNOWLEDGED": 4,
    "BATCH_DRAFTS": 5,
    "FAN_OUT_SLICE": 2,
    "FROZEN_SECONDS": 60.0,
    "GRACE_SECONDS": 0.0,
}

# How long pages may take to show all events, on the stepped clock.
SETTLE_SECONDS = 20


class _Selector(selectors.DefaultSelector):
    """Does not wait: it moves the clock on by the time that it would have waited."""

    now = 0.0
    turns = 0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("no task can ever run again")
        self.now += max(timeout, 0)
        self.turns = 0 if timeout > 0 else self.turns + 1
        if self.turns > 20_000:
            raise RuntimeError("the loop turns without end, and no time passes")
        return super().select(0)


class SteppedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when there is nothing to do."""

    def __init__(self):
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self):
        return self._clock.now


def run(scenario, seed, **world):
    """Run `scenario(world)` on a stepped loop and return what it returns."""
    loop = SteppedLoop()
    random.seed(seed)
    with World(random.Random(seed), **world) as made:
        try:
            return loop.run_until_complete(made.live(scenario))
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.wait(tasks))
            loop.close()


class SilentDoorbell:
    """Never rings. The world delivers the bells, or loses them."""

    def __init__(self, **callbacks):
        self.id = "model"
        self.is_degraded = False

    def start(self):
        pass

    async def stop(self):
        pass

    def signal(self, *unused):
        pass


class Connection:
    """Both ends of a connection, with latency: the page uses it like websockets, the server as a Socket."""

    def __init__(self, world, user_id, username):
        self.world = world
        login = Login(f"{username}'s", user_id, "")
        self.standing = Standing(login, world.users[user_id], datetime.max.replace(tzinfo=UTC))
        self.transport = self
        self.close_code = None
        self.is_cut = False
        self.capacity = world.chance.choice([2, 5, 40])
        self._inbox = asyncio.Queue()
        self._wire = asyncio.Queue()
        self._arrived = asyncio.Queue()
        self._taken = asyncio.Event()
        self._under_way = 0
        start = asyncio.get_running_loop().create_task
        self._tasks = [start(self._serve()), start(self._deliver())]

    # The page's end

    async def send(self, text):
        if self.is_cut:
            raise ConnectionClosedError(None, None)
        self._inbox.put_nowait(text)

    def __aiter__(self):
        return self

    async def __anext__(self):
        text = await self._arrived.get()
        if text is None:
            raise ConnectionClosedError(None, None)
        return text

    def abort(self):
        if self.is_cut:
            return
        self.is_cut = True
        self.close_code = self.close_code or 1006
        self._arrived.put_nowait(None)
        self._taken.set()
        for task in self._tasks:
            task.cancel()

    async def end(self):
        self.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # The server's end

    @property
    def is_closed(self):
        return self.is_cut

    def write(self, run):
        count = 0 if self.is_cut else min(len(run.frames), self.capacity - self._under_way)
        for frame in run.frames[:count]:
            self.world.see(json.loads(frame.text))
            self._under_way += 1
            self._wire.put_nowait(frame.text)
        return count

    async def drained(self):
        while self._under_way >= self.capacity and not self.is_cut:
            self._taken.clear()
            await self._taken.wait()
        return not self.is_cut

    async def close(self, code):
        self.close_code = code
        asyncio.get_running_loop().call_soon(self.abort)

    async def _deliver(self):
        while True:
            text = await self._wire.get()
            await self.world.takes_time(self.world.slowness)
            self._under_way -= 1
            self._taken.set()
            self._arrived.put_nowait(text)

    async def _serve(self):
        await self.world.takes_time(0.01)
        consumer = ChatConsumer()
        consumer.session = session = hubs.add(lambda hub: Session(self, hub=hub))
        self.world.hubs.add(session.hub)
        try:
            # The session is registered first and signed in afterwards, as the consumer does it.
            await self.world.takes_time(0.02)
            session.standing = self.standing
            while True:
                text = await self._inbox.get()
                await self.world.takes_time(0.004)
                await consumer.receive(text_data=text)
        finally:
            await asyncio.shield(hubs.remove(session))


class View:
    """What a page shows: a snapshot from history, and the events since, as in room_log.js."""

    def __init__(self, page):
        self.page = page
        self.texts = {}
        self.as_of = {}
        self.changes = {}
        self.cursor = {}
        self.wrong = []
        self._joined = (0, set())
        self._asking = set()
        page.on_frame = self.apply_frame

    def _check_lane(self, frame):
        """Check that on each connection a room's events come between its join reply and its leave."""
        if self._joined[0] != self.page.resumes:
            self._joined = (self.page.resumes, set())
        joined = self._joined[1]
        if "join" in frame:
            joined.add(frame["join"])
        elif "leave" in frame:
            joined.discard(frame["leave"])
        elif "seq" in frame and "ack" not in frame and frame["room"] not in joined:
            self.wrong.append(f"LANE seq {frame['seq']} of room {frame['room']} came outside of join and leave")

    def apply_frame(self, frame):
        self._check_lane(frame)
        if "join" in frame and (frame["join"] not in self.cursor or frame.get("reset")):
            room = frame["join"]
            self.cursor[room] = frame["head"]
            self.texts[room], self.as_of[room], self.changes[room] = {}, {}, {}
            asking = asyncio.ensure_future(self._ask(room))
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)
        elif "leave" in frame:
            self.cursor.pop(frame["leave"], None)
        elif "seq" in frame and "ack" not in frame and self.cursor.get(frame["room"]) == frame["seq"] - 1:
            self.cursor[frame["room"]] += 1
            self._apply(frame["room"], frame)

    async def _ask(self, room):
        while room in self.cursor:
            with contextlib.suppress(ConnectionError, Refusal):
                self._fold(room, await self.page.history(room, limit=100))
                return
            await asyncio.sleep(0.1)
            await self.page.until(lambda: room not in self.page.logs or self.page.logs[room].is_joined)

    def _apply(self, room, event):
        if "overtaken" in event:
            return
        target = event.get("edited") or (event.get("deleted") if "message" not in event else None)
        if target is None:
            if event["seq"] not in self.texts[room]:
                self._hold(room, event["seq"], event["message"], event["seq"])
        else:
            self.changes[room][target] = event
            self._change(room, target)

    def _fold(self, room, page):
        for posted in page["events"]:
            if self.as_of[room].get(posted["seq"], -1) < page["as_of"]:
                self._hold(room, posted["seq"], posted["message"], page["as_of"])

    def _hold(self, room, seq, text, as_of):
        self.texts[room][seq], self.as_of[room][seq] = text, as_of
        self._change(room, seq)

    def _change(self, room, seq):
        event = self.changes[room].get(seq)
        if event is not None and seq in self.texts[room] and event["seq"] > self.as_of[room][seq]:
            self.texts[room][seq], self.as_of[room][seq] = event.get("message"), event["seq"]


class World:
    """A database in memory, the faults it may have, and all pages and hubs."""

    def __init__(self, chance, *, rooms=(1, 2), lost_bells=0.5, failing=0.05, slowness=0.004):
        self.chance = chance
        self.rooms = rooms
        self.lost_bells = lost_bells
        self.failing = failing
        # The longest time that a frame takes to reach a page.
        self.slowness = slowness
        self.events = {room: [] for room in rooms}
        self.authors = {room: [] for room in rooms}
        self.client_ids = {room: [] for room in rooms}
        self.epoch = dict.fromkeys(rooms, "a")
        self.known = {}
        # Numbers that were taken without an event: only a planted bug does that.
        self.skipped = dict.fromkeys(rooms, 0)
        self.users = {
            number: User(pk=number, username=name, is_staff=name == "alice")
            for number, name in enumerate(("alice", "bob", "charlie"), start=1)
        }
        self.staff_only = set()
        # Changes of rights: key, user, room.
        self.changes = []
        # Texts that an edit or a delete replaced, by its client_id. Once it is acknowledged, they may not be sent.
        self.replaced = {}
        self.gone = set()
        self.late_texts = []
        self.hubs = set()
        self.pages = []
        self.views = {}
        self._connections = set()
        self._patches = contextlib.ExitStack()

    def __enter__(self):
        from unittest.mock import patch

        from django.test import override_settings

        self._patches.enter_context(override_settings(**SMALL))
        self._patches.enter_context(patch.object(database, "read", self._read))
        self._patches.enter_context(patch.object(database, "poll", self._read))
        self._patches.enter_context(patch.object(database, "write", self._write))
        self._patches.enter_context(patch.object(database, "write_behind", self._write))
        self._patches.enter_context(patch.object(hubs, "Doorbell", SilentDoorbell))
        return self

    def __exit__(self, *unused):
        self._patches.close()

    async def live(self, scenario):
        self._writing = asyncio.Lock()
        try:
            # By the stepped clock: a scenario that waits for something that never comes fails.
            async with asyncio.timeout(300):
                return await scenario(self)
        finally:
            for page in self.pages:
                await page.stop()
            for connection in list(self._connections):
                await connection.end()

    async def takes_time(self, seconds):
        await asyncio.sleep(self.chance.choice([0, 0, self.chance.uniform(0, seconds)]))

    # Pages

    async def open(self, name, rooms=(), *, since=None):
        """Open a page on this world. With `since` 0 it asks for all events, otherwise it shows a snapshot."""
        page = ModelPage(self, name)
        self.views[page] = View(page)
        self.pages.append(page)
        await page.__aenter__()
        for room in rooms:
            await page.join(room, since=since)
        return page

    async def settle(self):
        """Wait until everything is sent and every page shows all events. Raises TimeoutError."""
        seconds = SETTLE_SECONDS
        for page in self.pages:
            await page.until_sent(seconds)
        for page in self.pages:
            await page.until(
                lambda page=page: all(log.cursor == len(self.events[int(room)]) for room, log in page.logs.items()),
                seconds,
            )
            view = self.views[page]
            async with asyncio.timeout(seconds):
                while view._asking:
                    await asyncio.wait(view._asking)

    def recording(self):
        return record(self.pages, [row for room in self.rooms for row in self.rows(room)])

    def rows(self, room):
        rows = []
        for logged, client_id in zip(self.events[room], self.client_ids[room], strict=True):
            event = logged.event
            kind = {Posted: "send", Edited: "edit", Overtaken: "edit", Deleted: "delete"}[type(event)]
            target = getattr(event, "edited", None) if kind == "edit" else None
            target = event.deleted if kind == "delete" else target
            rows.append(
                Row(
                    room=str(room),
                    seq=event.seq,
                    kind=kind,
                    username=self.authors[room][event.seq - 1],
                    text=getattr(event, "message", None),
                    client_id=client_id,
                    target=target,
                    overtaken=isinstance(event, Overtaken),
                )
            )
        return rows

    def fresh(self, room):
        """Return what a page that is opened now would show."""
        return {logged.seq: logged.event.message for logged in self.events[room] if isinstance(logged.event, Posted)}

    def see(self, frame):
        """Check a frame that a server writes: it has no text whose deletion or edit was acknowledged before."""
        if "ack" in frame:
            self.gone |= self.replaced.get(frame["ack"], set())
        elif frame.get("message") is not None:
            place = frame["room"], frame.get("edited", frame["seq"]), frame["message"]
            if place in self.gone:
                self.late_texts.append(f"LATE message {place[1]} of room {place[0]} was written as {place[2]!r}")

    # The database

    async def _read(self, work, *arguments, **named):
        await self.takes_time(0.02)
        self._may_fail()
        answer = self._reads(work)(*arguments, **named)
        await self.takes_time(0.02)
        return answer

    def _reads(self, work):
        return {
            log.read: self._page,
            log.heads: self._heads,
            alerts.recent: lambda rooms: {},
            sweep._poll: lambda rooms, after: (self._heads(rooms), 0, list(self.changes)),
            access.stored_keys: lambda: [key for key, *_ in self.changes],
            deletion.unfinished: lambda: deletion.Unfinished([], []),
            presence.expired_processes: list,
            presence.present_usernames: lambda rooms: {room: set() for room in rooms},
            revocation._load_rights: lambda logins, rooms, pairs: (
                {login: self._standing(login) for login in logins},
                {room: self._room(room) for room in rooms},
                set(),
            ),
            policies.load_enterable_rooms: lambda asked: {
                (login, room): self._enter(login, room) for login, room in asked
            },
            commands._read_history: self._history,
        }[work]

    async def _write(self, work, *arguments, **named):
        if work is not actions.commit:
            await self.takes_time(0.02)
            if work is access.prune:
                self.changes = [change for change in self.changes if change[0] not in arguments[0]]
            # This model does not cover presence.
            return [] if work is presence.update_presence else True
        async with self._writing:
            await self.takes_time(0.02)
            self._may_fail()
            outcomes = self.commit(*arguments)
            # The outcome of a commit may stay unknown.
            self._may_fail()
            await self.takes_time(0.02)
        return outcomes

    def _may_fail(self):
        if self.chance.random() < self.failing:
            raise OperationalError("the database went away")

    def _room(self, room):
        head, staff_only = len(self.events[room]), room in self.staff_only
        return Room(pk=room, title=f"Room {room}", head_seq=head, epoch=self.epoch[room], staff_only=staff_only)

    def _standing(self, login):
        return Standing(login, self.users[login.user_id], datetime.max.replace(tzinfo=UTC))

    def _enter(self, login, room):
        try:
            return policies.check_enterable(self.users[login.user_id], self._room(room))
        except ClientError as refusal:
            return refusal

    def revoke(self, room):
        """Make a room staff-only. The bell may be lost; then the sweep finds it."""
        self.staff_only.add(room)
        self.changes.append((uuid.uuid4(), None, room))
        for hub in self.hubs:
            if self.chance.random() >= self.lost_bells:
                delay, concern = self.chance.uniform(0, 0.1), concerns.about(rooms=[room])
                asyncio.get_running_loop().call_later(delay, hub.revocation.check_soon, concern)

    def _page(self, room, *, after, limit):
        return self.events[room][after : after + limit]

    def _heads(self, rooms=None):
        return {room: (len(self.events[room]), 1, self.epoch[room]) for room in self.rooms}

    def _history(self, login, room, place, limit):
        if isinstance(refusal := self._enter(login, room), ClientError):
            raise refusal
        posted = [logged.event for logged in self.events[room] if isinstance(logged.event, Posted)]
        posted = [event for event in posted if place.before is None or event.seq < place.before]
        page = HistoryPage(
            history=str(room), events=posted[-limit:], as_of=len(self.events[room]), more=len(posted) > limit
        )
        return encode(page)

    def commit(self, drafts):
        """Append drafts as chat.store.actions does, and return an outcome for each."""
        outcomes = []
        for draft in drafts:
            if self.is_known(draft):
                outcomes.append(self.known[draft.key])
                continue
            outcome = self._append(draft)
            outcomes.append(outcome)
            if isinstance(outcome, Committed):
                self.known[draft.key] = Committed(outcome.room, outcome.seq)
        self._ring({draft.room for draft in drafts}, here=True)
        return outcomes

    def is_known(self, draft):
        return draft.key in self.known

    def _append(self, draft):
        events = self.events[draft.room]
        if isinstance(refusal := self._enter_as(draft.author, draft.room), ClientError):
            return refusal
        username = self.users[draft.author].username
        shared = {
            "room": str(draft.room),
            "seq": len(events) + 1 + self.skipped[draft.room],
            "at": AT,
            "client_id": draft.client_id,
        }
        if draft.kind == Kind.POSTED:
            event = Posted(username=username, message=draft.body, msg_type=0, **shared)
        else:
            target = events[draft.target_seq - 1].event if draft.target_seq <= len(events) else None
            if not isinstance(target, Posted) or target.message is None:
                return ClientError(ErrorCode.MESSAGE_INVALID, detail="There is no such message any more.")
            self.replaced[str(draft.client_id)] = {(str(draft.room), target.seq, target.message)}
            if draft.kind == Kind.EDITED:
                changed = Posted(**{name: getattr(target, name) for name in Posted.__struct_fields__})
                changed.message, changed.edited_at = draft.body, AT
                events[target.seq - 1] = LoggedEvent(changed)
                self._take_texts(events, target.seq)
                event = Edited(edited=target.seq, message=draft.body, **shared)
            else:
                changed = Posted(**{name: getattr(target, name) for name in Posted.__struct_fields__})
                changed.message, changed.deleted = None, True
                events[target.seq - 1] = LoggedEvent(changed)
                self._take_texts(events, target.seq, deleted=True)
                event = Deleted(deleted=target.seq, **shared)
        logged = LoggedEvent(event)
        events.append(logged)
        self.authors[draft.room].append(username)
        self.client_ids[draft.room].append(str(draft.client_id) if draft.client_id else None)
        return Committed(draft.room, logged.seq, self.epoch[draft.room], logged)

    def _take_texts(self, events, target, *, deleted=False):
        """Remove the text of a message's latest edit, as the database does."""
        for place, logged in enumerate(events):
            old = logged.event
            if isinstance(old, Edited) and old.edited == target:
                shared = {name: getattr(old, name) for name in ("room", "edited", "seq", "at", "client_id")}
                gone = Edited(message=None, deleted=True, **shared) if deleted else Overtaken(overtaken=True, **shared)
                events[place] = LoggedEvent(gone)

    def _enter_as(self, author, room):
        return self._enter(Login("", author, ""), room)

    def commit_elsewhere(self, room, text):
        """Let another process commit. This one hears the bell late, twice or never."""
        draft = actions.Draft(room=room, author=1, body=text, client_id=uuid.uuid4())
        [outcome] = [self._append(draft)]
        self.known[draft.key] = Committed(room, outcome.seq)
        self._ring({room}, here=False)
        return draft

    def restore(self, room, keep):
        """Restore an older backup: fewer events, and another epoch."""
        self.epoch[room] += "'"
        for kept in (self.events, self.authors, self.client_ids):
            del kept[room][keep:]
        self.known = {key: done for key, done in self.known.items() if (done.room, done.seq <= keep) != (room, False)}

    def _ring(self, rooms, *, here):
        loop = asyncio.get_running_loop()
        for hub in self.hubs:
            for room in rooms:
                head = len(self.events[room])
                if here:
                    loop.call_soon(hub.hear_bell, room, head)
                else:
                    for _ in range(self.chance.choice([1, 1, 2])):
                        if self.chance.random() >= self.lost_bells:
                            loop.call_later(self.chance.uniform(0, 0.1), hub.hear_bell, room, head)


class ModelPage(SocketClient):
    """The socket client, on a connection of the model."""

    def __init__(self, world, name):
        super().__init__("http://model", "", name=name, window=world.chance.choice([1, 3]))
        self._world = world
        self._user_id = {"alice": 1, "bob": 2, "charlie": 3}[self.username]

    @contextlib.asynccontextmanager
    async def _connect(self):
        await self._world.takes_time(0.05)
        connection = Connection(self._world, self._user_id, self.username)
        self._world._connections.add(connection)
        try:
            yield connection
        finally:
            await connection.end()
            self._world._connections.discard(connection)


async def busy(world, *, sends=12, cuts=3, elsewhere=6):
    """Everything at once: three pages post, edit and delete; connections are cut, rooms left and joined again."""
    pages = [await world.open(name, world.rooms, since=0) for name in ("bob", "charlie")]
    visitor = await world.open("alice")
    chance = world.chance

    async def talk(page, room):
        for number in range(sends):
            await asyncio.sleep(chance.uniform(0, 0.06))
            head = len(world.events[room])
            with contextlib.suppress(Exception):
                match chance.choice(["send", "send", "send", "edit", "delete", "many"]):
                    case "edit" if head:
                        await page.edit(room, chance.randint(1, head), f"{page.name} edits {number}")
                    case "delete" if head:
                        await page.delete(room, chance.randint(1, head))
                    case "many":
                        for part in range(4):
                            page.send(room, f"{page.name} {number}.{part}")
                    case _:
                        await page.send(room, f"{page.name} {number}")

    async def cut():
        for _ in range(cuts):
            await asyncio.sleep(chance.uniform(0, 0.5))
            chance.choice(world.pages).cut()

    async def hang():
        for _ in range(cuts):
            await asyncio.sleep(chance.uniform(0, 0.5))
            page = chance.choice(pages)
            page.stop_reading()
            await asyncio.sleep(chance.uniform(0, 0.3))
            page.resume_reading()

    async def visit():
        for _ in range(3):
            await asyncio.sleep(chance.uniform(0, 0.2))
            room = chance.choice(world.rooms)
            await visitor.join(room)
            if chance.random() < 0.5:
                await asyncio.sleep(chance.uniform(0, 0.1))
                with contextlib.suppress(TimeoutError):
                    visitor._send_command({"command": "leave", "room": str(room)})
                    await visitor.until(lambda room=room: str(room) not in visitor.logs, 2)

    async def others():
        for number in range(elsewhere):
            await asyncio.sleep(chance.uniform(0, 0.2))
            room = chance.choice(world.rooms)
            world.foreign.append((room, world.commit_elsewhere(room, f"elsewhere {number}")))

    world.foreign = []
    talking = [talk(page, room) for page in pages for room in world.rooms]
    await asyncio.gather(*talking, cut(), hang(), visit(), others())
    world.failing = 0.0
    # The last message comes from another process, and its bell is lost.
    world.lost_bells = 1.0
    for room in world.rooms:
        world.foreign.append((room, world.commit_elsewhere(room, "the last word")))
    await world.settle()
    return judged(world)


def judged(world):
    """Return the faults of a world that has settled."""
    from chat.testing import Sent, check

    run = world.recording()
    run.sent += [
        Sent(
            client="elsewhere",
            username="alice",
            room=str(room),
            client_id=str(draft.client_id),
            text=draft.body,
            seqs=[],
            began=0.0,
        )
        for room, draft in getattr(world, "foreign", [])
    ]
    wrong = check(run)
    for page, view in world.views.items():
        wrong += view.wrong + ["GAP: an event was written that is not the next one"] * page.gaps
        for room in page.logs:
            if view.texts.get(room) != world.fresh(int(room)):
                wrong.append(f"SNAPSHOT room {room} at {page.name} is not what a page opened now shows")
    return wrong


__all__ = ["LoggedEvent", "OperationalError", "Pong", "World", "busy", "encode", "judged", "run"]
