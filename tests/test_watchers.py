"""What sockets that watch receive: the rooms, and what is unread in them."""

import asyncio
import random
import time
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from chat import protocol
from chat.live import audiences, database, hub
from chat.live.positions import Positions
from chat.live.watchers import Watchers
from chat.models import Event, Membership, PositionCounter, Room, RoomMember, Visit
from chat.store import actions, concerns, layouts, levels, memberships, policies, room_actions, unread
from chat.store.actions import Draft
from chat.store.layouts import Panes
from chat.store.memberships import Move
from chat.store.room_user import RoomUser
from chat.store.unread import MOST, Moved, News, Unread
from tests.fakes import until
from tests.servers.quantities import seeds
from tests.sockets import connected, login_of

Kind = Event.Kind
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.SWEEP_SECONDS = 0.05
    settings.POSITIONS_SECONDS = 0.02
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


# The same queries follow a bell and a sweep, which has one more.
@pytest.fixture(params=[pytest.param("bell", marks=pytest.mark.any_database), "sweep"])
def updated_by(request, monkeypatch):
    """Run the test with bells, and again with every bell lost, so that only the sweep is left."""
    if request.param == "sweep":
        monkeypatch.setattr("chat.doorbell.ring", lambda heads: None)
        monkeypatch.setattr("chat.doorbell.ring_access", lambda concern: None)


class Watcher:
    """A socket that watches, with the last rooms and counts that it received."""

    def __init__(self, socket):
        self.socket = socket
        self.rooms = {}
        self.heads = {}
        self.frames = []

    def receive(self, frame):
        self.frames.append(frame)
        if "rooms" in frame:
            self.rooms = {int(room["id"]): room["title"] for room in frame["rooms"]}
        for room, head in frame.get("heads", {}).items():
            self.heads[int(room)] = head

    async def until(self, condition):
        """Receive frames until the condition holds."""
        async with asyncio.timeout(20):
            while not condition():
                self.receive(await self.socket.next())

    async def until_unread(self, room, unread, mentions=0):
        await self.until(lambda: self.counts(room) == (unread, mentions))

    async def rest(self):
        for frame in await self.socket.rest():
            self.receive(frame)

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

    def count():
        return unread.count({RoomUser(room.pk, user.pk): None for room in Room.objects.enterable_by(user)})

    counts = {pair.room: one._asdict() for pair, one in (await database.read(count)).items()}
    # As in a frame: a list, which is left out if it is empty, and a level by name, if it is not the first.
    return {
        room: {
            key: _on_the_wire(key, value)
            for key, value in one.items()
            if value != () and (key, value) != ("level", 0) and key != "epoch"
        }
        for room, one in counts.items()
    }


def _on_the_wire(key, value):
    if key == "level":
        return protocol.LEVELS[value]
    return list(value) if key == "alerts" else value


async def test_a_watcher_gets_the_rooms_that_the_user_may_enter_and_no_others(alice, bob, rooms):
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


@pytest.mark.any_database
async def test_a_socket_that_does_not_watch_gets_no_counts(bob, rooms):
    async with connected(bob) as quiet, watching(bob) as watcher:
        await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 1)
        assert await quiet.rest() == []


async def test_messages_of_others_are_counted_and_mentions_separately(updated_by, alice, bob, rooms):
    async with watching(bob) as watcher:
        await post(rooms.lobby, alice)
        await post(rooms.lobby, alice, "@bob")
        await post(rooms.lobby, bob, "my own @bob")
        await watcher.until(lambda: watcher.heads[rooms.lobby.pk]["head"] == 3)
        assert watcher.heads[rooms.lobby.pk] == {"head": 3, "read": 0, "unread": 2, "mentions": 1}
        assert watcher.counts(rooms.random) == (0, 0)


async def test_a_delete_and_an_edit_update_the_counts(updated_by, alice, bob, rooms):
    async with watching(bob) as watcher:
        for body in ("one @bob", "two"):
            await post(rooms.lobby, alice, body)
        await watcher.until_unread(rooms.lobby, 2, 1)
        await change(rooms.lobby, alice, Kind.DELETED, 1)
        await watcher.until_unread(rooms.lobby, 1)
        await change(rooms.lobby, alice, Kind.EDITED, 2, "two @bob")
        await watcher.until_unread(rooms.lobby, 1, 1)


@transaction.atomic
def restore(room):
    """Replace a room's log by one with five messages, which no user has read, as a restore beside the server does."""
    Event.objects.filter(room=room).delete()
    Membership.objects.filter(room=room).update(read_seq=None)
    Room.objects.filter(pk=room.pk).update(head_seq=0, epoch="another")
    for number in range(5):
        room.send_message(f"after the restore {number}", None)


async def test_a_log_that_was_restored_is_counted_from_its_beginning_although_it_is_longer(bob, rooms):
    room = rooms.lobby
    for _ in range(3):
        await post(room)
    async with watching(bob) as watcher:
        assert watcher.counts(room) == (0, 0)
        # Counted by a sweep, which has seen the log as it was.
        await post(room)
        await watcher.until_unread(room, 1)
        await database.write(restore, room)
        await watcher.until_unread(room, 5)
        await post(room)
        await watcher.until_unread(room, 6)


@pytest.mark.parametrize("is_joined", [False, True])
async def test_a_position_in_a_log_that_was_restored_meanwhile_is_not_written(bob, rooms, settings, is_joined):
    settings.POSITIONS_SECONDS = 0.5
    room = rooms.lobby
    async with watching(bob) as watcher:
        running = hub.running()
        for _ in range(3):
            await post(room)
        await watcher.until_unread(room, 3)
        if is_joined:
            await watcher.socket.send(command="join", room=room.pk)
            await watcher.until(lambda: any("join" in frame for frame in watcher.frames))
        await watcher.socket.send(command="read", room=room.pk, seq=2)
        await watcher.until_unread(room, 1)
        await database.write(restore, room)
        await watcher.until_unread(room, 5)
        await running.positions.flush()
        await post(room)
        await watcher.until_unread(room, 6)
        assert (await counted(bob))[room.pk]["unread"] == 6


async def test_a_position_in_a_log_that_was_restored_while_no_user_watched_is_written(alice, bob, rooms, settings):
    room = rooms.lobby
    async with connected(alice):
        running = hub.running()
        async with watching(bob) as watcher:
            await post(room)
            await watcher.until_unread(room, 1)
            # The last sweep of this test: no other one sees the new log.
            settings.SWEEP_SECONDS = 30
            running.sweep.run_soon()
            await until(lambda: not running.sweep._wanted.is_set())
            await running.sweep.run()
        await until(lambda: running.watchers.is_idle)
        await database.write(restore, room)
        async with watching(bob) as watcher:
            await watcher.socket.send(command="read", room=room.pk, seq=2)
            await watcher.until_unread(room, 3)
            await running.positions.flush()
            assert (await counted(bob))[room.pk]["unread"] == 3


async def test_a_position_in_a_log_that_the_client_names_is_dropped_if_it_is_another_one(bob, rooms):
    room = rooms.lobby
    async with watching(bob) as watcher:
        for _ in range(3):
            await post(room)
        await watcher.until_unread(room, 3)
        await watcher.socket.send(command="read", room=room.pk, seq=3, epoch="before")
        await watcher.socket.send(command="read", room=rooms.random.pk, seq=0)
        await hub.running().positions.flush()
        await post(room)
        await watcher.until_unread(room, 4)
        epoch = await database.read(lambda: Room.objects.get(pk=room.pk).epoch)
        await watcher.socket.send(command="read", room=room.pk, seq=3, epoch=epoch)
        await watcher.until_unread(room, 1)


async def test_a_user_who_is_not_in_a_restored_backup_has_read_what_is_in_it(bob, rooms):
    room = rooms.lobby

    @transaction.atomic
    def restore_as_from_before_the_first_visit():
        Visit.objects.all().delete()
        restore(room)
        PositionCounter.objects.update_or_create(pk=1, defaults={"epoch": "another"})

    await database.write(PositionCounter.objects.create)
    async with watching(bob) as watcher:
        await post(room)
        await watcher.until_unread(room, 1)
        await database.write(restore_as_from_before_the_first_visit)
        await watcher.until(lambda: watcher.heads[room.pk]["head"] == 5 and watcher.counts(room) == (0, 0))
        await post(room)
        await watcher.until_unread(room, 1)


async def test_news_above_the_limit_are_counted_by_the_database(alice, bob, rooms, monkeypatch):
    monkeypatch.setattr("chat.live.counting.MAX_NEWS", 3)
    async with watching(bob) as watcher:
        drafts = [Draft(room=rooms.lobby.pk, author=alice.pk, body="@bob") for _ in range(10)]
        await database.write(actions.commit, drafts)
        await watcher.until_unread(rooms.lobby, 10, 10)


async def test_a_watcher_sees_a_room_created_renamed_and_deleted(updated_by, bob, rooms):
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


@pytest.mark.any_database
async def test_a_new_room_is_unread_from_its_beginning(updated_by, bob, rooms):
    def make():
        room = Room.objects.create(title="New")
        room.send_message("welcome", None)
        return room

    async with watching(bob) as watcher:
        await watcher.until_unread(await database.write(make), 1)


@pytest.mark.any_database
async def test_a_watcher_loses_a_room_that_closes_and_gets_it_back_when_it_opens(updated_by, bob, rooms):
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


async def test_no_count_follows_the_closing_of_a_pane_although_the_lists_are_not_read_yet(
    updated_by, bob, charlie, rooms, monkeypatch
):
    room = await database.write(lambda: room_actions.create_room("Plans", who="members", members=[bob.pk, charlie.pk]))
    async with watching(bob) as watcher:
        await watcher.socket.send(command="join", room=room.pk)
        await watcher.until(lambda: "join" in watcher.frames[-1])
        with monkeypatch.context() as patched:
            patched.setattr(audiences, "load_own", Mock(side_effect=OperationalError))
            await database.write(room.remove_member, bob)
            await watcher.until(lambda: watcher.frames[-1].get("leave") == str(room.pk))
            del watcher.heads[room.pk]
            await post(room, charlie)
            await post(rooms.lobby, charlie)
            await watcher.until_unread(rooms.lobby, 1)
            await post(room, charlie)
            await post(rooms.lobby, charlie)
            await watcher.until_unread(rooms.lobby, 2)
            assert room.pk not in watcher.heads
            await database.write(room.add_member, bob)
        # The list is as it was before, and so it is not sent again.
        await watcher.until_unread(room, 2)


async def test_a_count_waits_for_a_list_that_has_become_old(bob, rooms, settings):
    settings.SWEEP_SECONDS = 60
    room = await database.write(lambda: room_actions.create_room("Plans", who="members", members=[bob.pk]))
    async with watching(bob) as watcher:
        del watcher.heads[room.pk]
        await database.write(RoomMember.objects.filter(room=room).delete)
        # In one step, so that both wait for the same turn of the watchers.
        running = hub.running()
        [session] = running.watchers.sessions_of(bob.pk)
        running.set_level(session, room.pk, 1)
        running.watchers.memberships_changed(concerns.about(users=[bob.pk]))
        await watcher.until(lambda: room.pk not in watcher.rooms)
        assert room.pk not in watcher.heads


@pytest.mark.any_database
async def test_a_watcher_gets_staff_rooms_while_the_user_is_staff(updated_by, bob, rooms):
    async with watching(bob) as watcher:
        bob.is_staff = True
        await database.write(bob.save)
        await watcher.until(lambda: rooms.staff.pk in watcher.rooms and rooms.staff.pk in watcher.heads)
        bob.is_staff = False
        await database.write(bob.save)
        await watcher.until(lambda: rooms.staff.pk not in watcher.rooms)


@pytest.mark.any_database
async def test_a_read_position_is_sent_to_all_sockets_of_its_user_only(alice, bob, rooms):
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


async def test_what_is_older_than_a_time_is_read_in_all_rooms_of_the_user_and_no_others(alice, bob, rooms):
    lobby, random, staff = rooms.lobby, rooms.random, rooms.staff
    async with watching(bob) as watcher, watching(alice) as other:
        for room in (lobby, random, staff):
            await post(room, alice)
            await post(room, alice)
        for room in (lobby, random):
            await watcher.until_unread(room, 2)
        tomorrow = timezone.now() + timedelta(days=1)
        await database.write(lambda: Event.objects.filter(seq=2).update(at=tomorrow))
        before = (tomorrow - timedelta(hours=1)).isoformat()
        await watcher.socket.send(command="read_older", before=before)
        for room in (lobby, random):
            await watcher.until_unread(room, 1)
        await hub.flush()
        stored = Membership.objects.filter(read_seq__isnull=False).order_by("room")
        rows = stored.values_list("user", "room", "read_seq")
        assert await database.read(lambda: list(rows.all())) == [(bob.pk, lobby.pk, 1), (bob.pk, random.pk, 1)]
        # A position does not move back.
        await watcher.socket.send(command="read", room=lobby.pk, seq=2)
        await watcher.until_unread(lobby, 0)
        await watcher.socket.send(command="read_older", before=before)
        await watcher.socket.send(command="ping")
        await watcher.socket.until(lambda frame: "pong" in frame)
        await hub.flush()
        assert await database.read(lambda: list(rows.all())) == [(bob.pk, lobby.pk, 2), (bob.pk, random.pk, 1)]
        await other.rest()
        assert [other.counts(room) for room in (lobby, random, staff)] == [(0, 0)] * 3


@pytest.mark.any_database
@pytest.mark.parametrize("before", ["2026-11-21T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 7])
async def test_a_time_that_no_calendar_has_is_refused(bob, rooms, before):
    async with connected(bob) as socket:
        assert (await socket.ask(command="read_older", before=before))["error"] == "COMMAND_INVALID"


@pytest.mark.any_database
async def test_a_level_is_sent_to_all_sockets_of_its_user_only_and_stored(alice, bob, rooms):
    lobby = rooms.lobby
    async with watching(bob) as first, watching(bob) as second, watching(alice) as other:
        await post(lobby, alice)
        await first.socket.send(command="level", room=lobby.pk, level="quiet")
        for watcher in (first, second):
            await watcher.until(lambda watcher=watcher: watcher.heads[lobby.pk].get("level") == "quiet")
            # The counts go on, because what of them is shown is for the page.
            await watcher.until_unread(lobby, 1)
        await post(lobby, alice)
        await first.until_unread(lobby, 2)
        assert first.heads[lobby.pk]["level"] == "quiet"
        await first.socket.send(command="read", room=lobby.pk, seq=2)
        await first.until_unread(lobby, 0)
        assert first.heads[lobby.pk]["level"] == "quiet"
        await hub.flush()
        assert first.heads == await counted(bob)
        await other.rest()
        assert "level" not in other.heads[lobby.pk]
    async with watching(bob) as again:
        assert again.heads[lobby.pk]["level"] == "quiet"


@pytest.mark.any_database
async def test_the_last_of_several_levels_wins(bob, rooms):
    async with watching(bob) as watcher:
        for level in ("quiet", "all", "mentions"):
            await watcher.socket.send(command="level", room=rooms.lobby.pk, level=level)
        await watcher.until(lambda: watcher.heads[rooms.lobby.pk].get("level") == "mentions")
        await hub.flush()
        await watcher.rest()
        assert watcher.heads == await counted(bob)
        assert watcher.heads[rooms.lobby.pk]["level"] == "mentions"


async def test_a_level_that_another_process_wrote_is_found_by_the_sweep(bob, rooms):
    pair = RoomUser(rooms.lobby.pk, bob.pk)
    async with watching(bob) as watcher:
        await database.write_behind(levels.store_levels, {pair: Membership.Level.QUIET})
        await watcher.until(lambda: watcher.heads[rooms.lobby.pk].get("level") == "quiet")
        # It was the user's first row in this room, and holds no read position.
        assert await database.read(lambda: Membership.objects.get(user=bob, room=rooms.lobby).read_seq) is None


@pytest.mark.any_database
async def test_a_level_in_a_room_that_may_not_be_entered_is_refused(bob, rooms):
    async with watching(bob) as watcher:
        await watcher.socket.send(command="level", room=rooms.staff.pk, level="quiet")
        await watcher.until(lambda: any("error" in frame for frame in watcher.frames))
        refusal = next(frame for frame in watcher.frames if "error" in frame)
        assert (refusal["error"], refusal["command"]) == ("ROOM_ACCESS_DENIED", "level")
        assert not await database.read(lambda: Membership.objects.filter(room=rooms.staff).exists())


@pytest.mark.any_database
async def test_all_sockets_of_a_user_get_counts_of_messages_from_another_process(updated_by, alice, bob, rooms):
    async with watching(bob) as first, watching(bob) as second:
        await post(rooms.lobby, alice, "@bob")
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 1, 1)


@pytest.mark.any_database
async def test_a_socket_that_closes_does_not_affect_another_of_its_user(bob, rooms):
    async with watching(bob) as stays:
        async with connected(bob) as goes:
            await goes.ask(command="watch")
        await post(rooms.lobby)
        await stays.until_unread(rooms.lobby, 1)


@pytest.mark.any_database
async def test_a_failed_count_is_retried(bob, rooms, monkeypatch, caplog):
    count, failures = unread.count, [TimeoutError(), TimeoutError()]

    def fail(*arguments):
        if failures:
            raise failures.pop()
        return count(*arguments)

    async with watching(bob) as watcher:
        monkeypatch.setattr(unread, "count", fail)
        for _ in range(3):
            await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 3)
        await watcher.socket.send(command="read", room=rooms.lobby.pk, seq=1)
        await watcher.until_unread(rooms.lobby, 2)
    assert caplog.text.count("could not be counted") == 1


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.any_database) for seed in seeds(3)[1:])])
async def test_after_any_steps_the_counts_sent_equal_those_of_the_database(alice, bob, rooms, seed):
    chance = random.Random(seed)
    users, both = (alice, bob), rooms[:2]
    async with watching(alice) as alices, watching(bob) as bobs:
        for _ in range(40):
            room, user = chance.choice(both), chance.choice(users)
            watcher = alices if user is alice else bobs
            seq = chance.randrange(1, 15)
            match chance.choice(["post", "post", "edit", "delete", "alert", "confirm", "resolve", "read", "back"]):
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
                case "alert":
                    await database.write(actions.post_message, room, user, "Disk full", msg_type=2)
                case "confirm":
                    await change(room, user, Kind.CONFIRMED, seq)
                case "resolve":
                    await change(room, user, Kind.RESOLVED, seq)
                case way:
                    await watcher.socket.send(command="read", room=room.pk, seq=seq, back=way == "back")
                    # A read has no reply, so the watcher sends a ping after it and waits for the pong.
                    await watcher.rest()
        await hub.flush()
        for user, watcher in zip(users, (alices, bobs), strict=True):
            expected = await counted(user)
            await watcher.until(lambda expected=expected, watcher=watcher: watcher.heads == expected)


def move_elsewhere(user, room, seq, *, back=False):
    """Move a read position as another process would whose bell is lost."""
    checked = memberships.check_moves({RoomUser(room.pk, user.pk): Move(login_of(user), seq, is_set=back)})
    memberships.store_moves(checked)


def stored(user, room):
    return Membership.objects.filter(user=user, room=room).values_list("read_seq", flat=True).first()


async def afterwards(work, *arguments):
    """Query the database after the last socket has closed, and close the threads again."""
    try:
        return await database.read(work, *arguments)
    finally:
        await database.close()


async def test_a_read_position_whose_bell_was_lost_is_found_by_the_sweep(bob, rooms):
    async with watching(bob) as watcher:
        for _ in range(5):
            await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 5)
        for seq, unread in [(3, 2), (5, 0), (1, 4)]:
            await database.write(move_elsewhere, bob, rooms.lobby, seq, back=True)
            await watcher.until_unread(rooms.lobby, unread)
            assert watcher.heads[rooms.lobby.pk]["read"] == seq


@pytest.mark.any_database
async def test_a_read_position_is_sent_before_it_is_written(bob, rooms, monkeypatch, settings):
    settings.POSITIONS_SECONDS = 30
    async with watching(bob) as first, watching(bob) as second:
        await post(rooms.lobby)
        for watcher in (first, second):
            await watcher.until_unread(rooms.lobby, 1)
        await first.socket.send(command="read", room=rooms.lobby.pk, seq=1)
        await second.until_unread(rooms.lobby, 0)
        assert await database.read(stored, bob, rooms.lobby) is None
        # A join meanwhile is answered with the new position too.
        joined = await second.socket.ask(command="join", room=rooms.lobby.pk, since=0)
        while "join" not in joined:
            joined = await second.socket.next()
        assert joined["read"] == 1
    # The last socket has closed, so the position is written.
    assert await afterwards(stored, bob, rooms.lobby) == 1


@pytest.mark.any_database
async def test_a_draining_server_writes_pending_positions_and_layouts(bob, rooms, settings):
    settings.POSITIONS_SECONDS = 30
    async with watching(bob) as watcher:
        await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 1)
        await watcher.socket.send(command="read", room=rooms.lobby.pk, seq=1)
        await watcher.socket.send(command="layout", rooms=[rooms.lobby.pk])
        await watcher.rest()
        await hub.flush()
        assert await database.read(stored, bob, rooms.lobby) == 1
        assert await database.read(layouts.load_layout, bob.pk) == Panes([rooms.lobby.pk])


@pytest.mark.any_database
async def test_a_read_and_a_layout_need_no_query(bob, rooms, monkeypatch, settings):
    settings.POSITIONS_SECONDS = 30
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await post(rooms.lobby)
        await socket.until(lambda frame: "seq" in frame)
        calls = []
        for lane in (database.read, database.write, database.write_behind):

            async def note(work, *arguments, lane=lane, **named):
                calls.append(work)
                return await lane(work, *arguments, **named)

            monkeypatch.setattr(database, lane.__name__, note)
        for _ in range(20):
            await socket.send(command="read", room=rooms.lobby.pk, seq=1)
            await socket.send(command="layout", rooms=[rooms.lobby.pk])
        await socket.rest()
        # Meanwhile the server writes the presence of the join, and cleans up.
        modules = {module.__name__ for module in (layouts, levels, memberships, policies, unread)}
        assert [work for work in calls if work.__module__ in modules] == []


@pytest.mark.any_database
async def test_a_read_in_a_room_that_may_not_be_entered_is_refused(bob, rooms):
    await post(rooms.staff)
    async with connected(bob) as socket:
        for room, code in [(rooms.staff.pk, "ROOM_ACCESS_DENIED"), (10**6, "ROOM_INVALID")]:
            refusal = await socket.ask(command="read", room=room, seq=1)
            assert (refusal["error"], refusal["command"], refusal["room"]) == (code, "read", str(room))
        assert await socket.ask(command="read", room=rooms.lobby.pk, seq=-1) | {"detail": ""} == {
            "error": "COMMAND_INVALID",
            "command": "read",
            "room": str(rooms.lobby.pk),
            "detail": "",
        }
    assert await afterwards(stored, bob, rooms.staff) is None


async def test_the_count_is_corrected_when_a_position_is_refused(alice, rooms):
    async with watching(alice) as watcher:
        await post(rooms.lobby)
        await watcher.until_unread(rooms.lobby, 1)
        running = hub.running()
        [session] = running.sessions
        running.move_position(session, rooms.lobby.pk, 1, back=False)
        await watcher.until_unread(rooms.lobby, 0)
        # Simulate a right that ended just before the position was written.
        pair = RoomUser(rooms.lobby.pk, alice.pk)
        running.positions._moves.finish_write(running.positions._moves.start_write())
        running._on_position_refused(session, pair, policies.ClientError(policies.ErrorCode.ROOM_ACCESS_DENIED), "read")
        await watcher.until_unread(rooms.lobby, 1)


@pytest.mark.any_database
async def test_counts_above_the_maximum_are_sent_as_the_maximum(alice, bob, rooms):
    async with watching(bob) as watcher:
        for _ in range(2):
            drafts = [Draft(room=rooms.lobby.pk, author=alice.pk, body="@bob") for _ in range(600)]
            await database.write(actions.commit, drafts)
        await watcher.until(lambda: watcher.heads[rooms.lobby.pk]["head"] == 1200)
        assert watcher.counts(rooms.lobby) == (MOST, MOST)
        # A read makes this pair be counted again.
        await watcher.socket.send(command="read", room=rooms.lobby.pk, seq=1199)
        await watcher.until_unread(rooms.lobby, 1, 1)


@pytest.mark.any_database
async def test_a_staff_room_that_is_opened_is_counted_for_all_watchers(bob, charlie, rooms, monkeypatch):
    monkeypatch.setattr("chat.live.counting.MAX_NEWS", 20)
    async with watching(bob) as bobs, watching(charlie) as charlies:
        drafts = [Draft(room=rooms.staff.pk, author=None, body="old", trusted=True) for _ in range(30)]
        await database.write(actions.commit, drafts)
        rooms.staff.staff_only = False
        await database.write(rooms.staff.save)
        for watcher in (bobs, charlies):
            await watcher.until_unread(rooms.staff, 30)
    assert await afterwards(Membership.objects.filter(read_seq__isnull=False).exists) is False


@pytest.mark.any_database
async def test_a_watch_command_is_answered_only_to_its_socket(bob, rooms):
    async with watching(bob) as first, watching(bob) as second:
        for watcher in (first, second):
            await watcher.rest()
            watcher.frames.clear()
        await first.socket.send(command="watch")
        await first.until(lambda: any("heads" in frame for frame in first.frames))
        assert [sorted(frame) for frame in first.frames] == [["rooms"], ["heads"]]
        assert set(first.frames[1]["heads"]) == {str(rooms.lobby.pk), str(rooms.random.pk)}
        await second.rest()
        assert second.frames == []


class FakeSession:
    """A session with a user, which records the frames that it gets."""

    def __init__(self, user_id, *, is_staff=False):
        self.user_id = user_id
        self.standing = SimpleNamespace(user=SimpleNamespace(is_active=True, is_staff=is_staff))
        self.frames = []
        self.signal = self.frames.append


class Crowd:
    """Many watching sessions without sockets and database, to measure what a message costs the event loop."""

    def __init__(self, monkeypatch, sessions, rooms):
        self.sessions, self.rooms = sessions, rooms
        self.encoded, self.queries = [], []
        encode = protocol.encode
        monkeypatch.setattr(protocol, "encode", lambda struct: self.encoded.append(type(struct)) or encode(struct))
        monkeypatch.setattr(database, "read", self._run)
        monkeypatch.setattr(audiences, "load", lambda kinds: {kind: self._list() for kind in kinds})
        monkeypatch.setattr(audiences, "load_own", lambda users: dict.fromkeys(users, audiences.NO_ROOMS))
        monkeypatch.setattr(unread, "visitors", set)
        monkeypatch.setattr(unread, "moved_since", lambda change: Moved("a", 0, {}, True, {}))
        monkeypatch.setattr(unread, "count", lambda pairs: {pair: Unread(0, 0, 0, 0) for pair in pairs})
        monkeypatch.setattr(unread, "news", self._news)
        self.watchers = Watchers(Positions(on_written=Mock(), on_refused=Mock(), on_outdated=Mock()))
        for session in sessions:
            self.watchers.add(session)

    def _list(self):
        titles = [protocol.RoomTitle(id=str(room), title="room", staff_only=False) for room in range(self.rooms)]
        return audiences.RoomList(
            {room: str(room) for room in range(self.rooms)}, protocol.encode(protocol.Rooms(rooms=titles))
        )

    async def _run(self, work, *arguments):
        self.queries.append(work)
        await asyncio.sleep(0)
        return work(*arguments)

    def _news(self, ranges):
        return [News(room, up_to, Kind.POSTED, up_to, None, frozenset()) for room, (_, up_to) in ranges.items()]

    async def settle(self):
        """Wait until the work is done. Return its CPU seconds and the number of turns that the loop had meanwhile."""
        turns, start = 0, time.thread_time()
        while self.watchers._task is not None:
            await asyncio.sleep(0)
            turns += 1
        return time.thread_time() - start, turns

    def clear(self):
        self.encoded.clear()
        self.queries.clear()
        for session in self.sessions:
            session.frames.clear()


@pytest.mark.any_database
async def test_the_cost_of_a_thousand_watchers_follows_what_changes(monkeypatch):
    crowd = Crowd(monkeypatch, [FakeSession(number, is_staff=number % 10 == 0) for number in range(1000)], rooms=12)
    took, turns = await crowd.settle()
    assert crowd.encoded.count(protocol.Rooms) == 2, "a list is encoded once for each kind of reader"
    assert len(crowd.queries) <= 12_000 / 200 + 10
    assert all(len(session.frames) >= 2 for session in crowd.sessions)
    assert took < 5 and turns > took / 0.05

    crowd.clear()
    crowd.watchers.note_heads({room: int(room < 10) for room in range(12)})
    took, turns = await crowd.settle()
    # One message in each of 10 rooms takes one query, and one frame for each user.
    assert crowd.queries.count(unread.news) == 1
    assert crowd.encoded == [protocol.Heads] * 1000
    assert all(len(session.frames) == 1 for session in crowd.sessions)
    # It once took 2.3 s, and takes about 0.05 s now.
    assert took < 1 and turns > took / 0.05

    crowd.clear()
    for session in crowd.sessions:
        crowd.watchers.resend(session)
    await crowd.settle()
    # After a standstill all counts are sent again from memory.
    assert crowd.queries == [] and crowd.encoded == [protocol.Heads] * 1000

    crowd.clear()
    crowd.watchers.add(crowd.sessions[5])
    await crowd.settle()
    assert crowd.encoded == [protocol.Heads] and crowd.queries == []

    crowd.clear()
    crowd.watchers.rooms_changed()
    await crowd.settle()
    assert not any(session.frames for session in crowd.sessions) and len(crowd.queries) == 1

    took = time.thread_time()
    for session in crowd.sessions:
        crowd.watchers.remove(session)
    assert time.thread_time() - took < 0.2
    assert crowd.watchers.is_idle


@pytest.mark.any_database
async def test_all_sockets_of_a_user_share_one_frame(monkeypatch):
    crowd = Crowd(monkeypatch, [FakeSession(number // 10) for number in range(30)], rooms=3)
    await crowd.settle()
    crowd.clear()
    crowd.watchers.note_heads({1: 4, 2: 1})
    await crowd.settle()
    assert crowd.encoded == [protocol.Heads] * 3
    assert len({id(frame) for session in crowd.sessions for frame in session.frames}) == 3


async def test_more_rooms_than_a_query_takes_move_between_two_sweeps(bob, rooms, monkeypatch):
    monkeypatch.setattr("chat.live.counting.MAX_ROOMS", 20)
    monkeypatch.setattr("chat.live.counting.MAX_PAIRS", 20)

    def make():
        return [room.pk for room in Room.objects.bulk_create([Room(title=f"room {number}") for number in range(100)])]

    def say(made):
        drafts = [Draft(room=room, author=None, body="hi", trusted=True) for room in made]
        # One transaction, so that one sweep finds all messages.
        with transaction.atomic():
            actions.commit(drafts)

    made = await database.write(make)
    async with watching(bob) as watcher:
        await database.write(say, made)
        await watcher.until(lambda: all(watcher.heads[room]["unread"] == 1 for room in made))
