"""What the sockets that watch are told: rooms, and what is unread in them."""

import asyncio
import random
import uuid
from contextlib import asynccontextmanager

import pytest

from chat import actions, database, reading
from chat.actions import Draft
from chat.models import Event, Room
from tests.sockets import connected

Kind = Event.Kind
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.SWEEP_SECONDS = 0.05
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


@pytest.fixture(params=["bell", "sweep"])
def told_by(request, monkeypatch):
    """What a promise holds by: with the bell, and with every bell lost."""
    if request.param == "sweep":
        monkeypatch.setattr("chat.doorbell.ring", lambda heads: None)
        monkeypatch.setattr("chat.doorbell.ring_access", lambda: None)


class Watcher:
    """A socket that watches, and what it was told last."""

    def __init__(self, socket):
        self.socket = socket
        self.rooms = {}
        self.heads = {}
        self.frames = []

    def hear(self, frame):
        self.frames.append(frame)
        if "rooms" in frame:
            self.rooms = {int(room["id"]): room["title"] for room in frame["rooms"]}
        for room, head in frame.get("heads", {}).items():
            self.heads[int(room)] = head

    async def until(self, condition):
        """Hear until a condition holds, which it does soon."""
        async with asyncio.timeout(5):
            while not condition():
                self.hear(await self.socket.next())

    async def until_unread(self, room, unread, mentions=0):
        await self.until(lambda: self.counts(room) == (unread, mentions))

    async def rest(self):
        for frame in await self.socket.rest():
            self.hear(frame)

    def counts(self, room):
        head = self.heads.get(room.pk)
        return head and (head["unread"], head["mentions"])


@asynccontextmanager
async def watching(user):
    async with connected(user) as socket:
        watcher = Watcher(socket)
        await socket.send(command="watch")
        await watcher.until(lambda: watcher.rooms and watcher.heads.keys() == watcher.rooms.keys())
        yield watcher


async def post(room, author=None, body="hi"):
    return await database.write(room.send_message, body, author)


async def change(room, author, kind, seq, body=""):
    draft = Draft(room=room.pk, author=author.pk, kind=kind, target_seq=seq, body=body)
    await database.write(actions.commit, [draft])


async def counted(user):
    """Return what the database says is unread, by room."""
    counts = await database.read(reading.count, [user.pk])
    return {room: one._asdict() for (_, room), one in counts.items()}


async def test_one_who_watches_is_told_of_the_rooms_that_they_may_enter_and_of_no_other(alice, bob, rooms):
    async with watching(bob) as bobs, watching(alice) as alices:
        assert bobs.rooms == {rooms.lobby.pk: "Lobby", rooms.random.pk: "Random"}
        assert alices.rooms == bobs.rooms | {rooms.staff.pk: "Staff"}
        assert set(bobs.heads[rooms.lobby.pk].values()) == {0}
        await post(rooms.staff)
        await post(rooms.lobby)
        await alices.until_unread(rooms.staff, 1)
        await bobs.until_unread(rooms.lobby, 1)
        await bobs.rest()
        assert rooms.staff.pk not in bobs.heads


async def test_one_who_does_not_watch_is_told_nothing(bob, rooms):
    async with connected(bob) as quiet, watching(bob) as watcher:
        await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 1)
        assert await quiet.rest() == []


async def test_what_is_said_is_counted_and_what_names_apart(told_by, alice, bob, rooms):
    async with watching(bob) as watcher:
        await post(rooms.lobby, alice)
        await post(rooms.lobby, alice, "@bob")
        await post(rooms.lobby, bob, "my own @bob")
        await watcher.until(lambda: watcher.heads[rooms.lobby.pk]["head"] == 3)
        assert watcher.heads[rooms.lobby.pk] == {"head": 3, "read": 0, "unread": 2, "mentions": 1}
        assert watcher.counts(rooms.random) == (0, 0)


async def test_a_delete_and_an_edit_are_counted_anew(told_by, alice, bob, rooms):
    async with watching(bob) as watcher:
        for body in ("one @bob", "two"):
            await post(rooms.lobby, alice, body)
        await watcher.until_unread(rooms.lobby, 2, 1)
        await change(rooms.lobby, alice, Kind.DELETED, 1)
        await watcher.until_unread(rooms.lobby, 1)
        await change(rooms.lobby, alice, Kind.EDITED, 2, "two @bob")
        await watcher.until_unread(rooms.lobby, 1, 1)


async def test_more_news_than_are_added_up_are_counted(alice, bob, rooms, monkeypatch):
    monkeypatch.setattr("chat.watch.NEWS_LIMIT", 3)
    async with watching(bob) as watcher:
        drafts = [Draft(room=rooms.lobby.pk, author=alice.pk, body="@bob") for _ in range(10)]
        await database.write(actions.commit, drafts)
        await watcher.until_unread(rooms.lobby, 10, 10)


async def test_a_room_made_renamed_and_deleted_is_told(told_by, bob, rooms):
    async with watching(bob) as watcher:
        made = await database.write(Room.objects.create, title="New")
        await watcher.until(lambda: made.pk in watcher.rooms and made.pk in watcher.heads)
        made.title = "Newer"
        await database.write(made.save)
        await watcher.until(lambda: watcher.rooms[made.pk] == "Newer")
        await post(made)
        await watcher.until_unread(made, 1)
        pk = made.pk
        await database.write(made.delete)
        await watcher.until(lambda: pk not in watcher.rooms)
        assert list(watcher.rooms.values()) == ["Lobby", "Random"]


async def test_a_room_that_came_is_unread_from_its_beginning(told_by, bob, rooms):
    def make():
        room = Room.objects.create(title="New")
        room.send_message("welcome", None)
        return room

    async with watching(bob) as watcher:
        await watcher.until_unread(await database.write(make), 1)


async def test_a_room_closed_to_the_user_is_told_no_more_and_again_once_it_is_open(told_by, bob, rooms):
    async with watching(bob) as watcher:
        lobby = rooms.lobby
        lobby.staff_only = True
        await database.write(lobby.save)
        await watcher.until(lambda: lobby.pk not in watcher.rooms)
        del watcher.heads[lobby.pk]
        await post(lobby)
        await post(rooms.random)
        await watcher.until_unread(rooms.random, 1)
        await watcher.rest()
        assert lobby.pk not in watcher.heads
        lobby.staff_only = False
        await database.write(lobby.save)
        await watcher.until(lambda: lobby.pk in watcher.rooms)
        await watcher.until_unread(lobby, 1)


async def test_one_who_joins_the_staff_and_leaves_it_sees_its_rooms_come_and_go(told_by, bob, rooms):
    async with watching(bob) as watcher:
        bob.is_staff = True
        await database.write(bob.save)
        await watcher.until(lambda: rooms.staff.pk in watcher.rooms and rooms.staff.pk in watcher.heads)
        bob.is_staff = False
        await database.write(bob.save)
        await watcher.until(lambda: rooms.staff.pk not in watcher.rooms)


async def test_all_sockets_of_a_user_and_nobody_elses_are_told_what_was_read(alice, bob, rooms):
    async with watching(bob) as first, watching(bob) as second, watching(alice) as alices:
        for _ in range(3):
            await post(rooms.lobby)
        for watcher in (first, second, alices):
            await watcher.until_unread(rooms.lobby, 3)
        await first.socket.send(command="read", room=rooms.lobby.pk, seq=2)
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 1)
        await second.socket.send(command="read", room=rooms.lobby.pk, seq=1)
        await second.socket.send(command="read", room=rooms.lobby.pk, seq=99)
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 0)
            assert 1 not in [
                frame["heads"][str(rooms.lobby.pk)]["read"] for frame in watcher.frames if "heads" in frame
            ]
            assert watcher.heads[rooms.lobby.pk]["read"] == 3
        await first.socket.send(command="read", room=rooms.lobby.pk, seq=1, back=True)
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 2)
        await alices.rest()
        assert alices.counts(rooms.lobby) == (3, 0)


async def test_two_sockets_of_a_user_are_told_of_what_another_process_wrote(told_by, alice, bob, rooms):
    async with watching(bob) as first, watching(bob) as second:
        await post(rooms.lobby, alice, "@bob")
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 1, 1)


async def test_a_socket_that_goes_takes_nothing_from_another_of_its_user(bob, rooms):
    async with watching(bob) as stays:
        async with connected(bob) as goes:
            await goes.ask(command="watch")
        await post(rooms.lobby)
        await stays.until_unread(rooms.lobby, 1)


async def test_a_count_that_failed_is_made_again(bob, rooms, monkeypatch, caplog):
    count, failures = reading.count, [TimeoutError(), TimeoutError()]

    def fail(*arguments):
        if failures:
            raise failures.pop()
        return count(*arguments)

    async with watching(bob) as watcher:
        monkeypatch.setattr(reading, "count", fail)
        await post(rooms.lobby)
        await watcher.socket.send(command="read", room=rooms.random.pk, seq=0)
        await watcher.until_unread(rooms.lobby, 1)
    assert "could not be counted" in caplog.text


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_what_is_told_is_what_the_database_says(alice, bob, rooms, seed):
    chance = random.Random(seed)
    users, both = (alice, bob), rooms[:2]
    async with watching(alice) as alices, watching(bob) as bobs:
        for _ in range(40):
            room, user = chance.choice(both), chance.choice(users)
            watcher = alices if user is alice else bobs
            seq = chance.randrange(1, 15)
            match chance.choice(["post", "post", "edit", "delete", "read", "back"]):
                case "post":
                    draft = Draft(
                        room=room.pk,
                        author=user.pk,
                        body=chance.choice(["hi", "@bob", "@alice @bob"]),
                        client_id=uuid.UUID(int=chance.getrandbits(128), version=4),
                    )
                    await database.write(actions.commit, [draft])
                case "edit":
                    await change(room, user, Kind.EDITED, seq, chance.choice(["hi", "@bob", "@alice"]))
                case "delete":
                    await change(room, user, Kind.DELETED, seq)
                case way:
                    await watcher.socket.send(command="read", room=room.pk, seq=seq, back=way == "back")
                    # A read has no answer; this is one after it.
                    await watcher.rest()
        for user, watcher in zip(users, (alices, bobs), strict=True):
            said = await counted(user)
            await watcher.until(lambda said=said, watcher=watcher: watcher.heads == said)
