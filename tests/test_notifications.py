"""Which messages notify a user: once for all devices, by the room's level, and only what the user may see."""

import pytest
from django.utils import timezone

from chat.exceptions import ClientError
from chat.live import database
from chat.models import Event, Membership
from chat.store import levels, memberships, notifications, room_actions
from chat.store.actions import Draft, commit
from chat.store.log import Kind
from chat.store.memberships import Move
from chat.store.room_user import RoomUser
from tests.sockets import connected, login_of

pytestmark = pytest.mark.django_db(transaction=True)
Level = Membership.Level


def taken(user, room, after, seq):
    found = notifications.take(login_of(user), room.pk, after, seq)
    return found and (found.seq, found.message)


def test_the_newest_message_of_others_is_taken_once(alice, bob, rooms):
    lobby = rooms.lobby
    for text, author in (("one", alice), ("two", None), ("three", bob)):
        lobby.send_message(text, author)
    assert taken(bob, lobby, 0, 3) == (2, "two")
    assert taken(bob, lobby, 0, 3) is None
    # An earlier message was replaced by the later notification.
    assert taken(bob, lobby, 0, 1) is None
    assert taken(alice, lobby, 0, 3) == (3, "three")
    lobby.send_message("four", alice)
    assert taken(bob, lobby, 3, 4) == (4, "four")


def test_of_two_processes_that_found_the_same_message_one_gets_it(bob, rooms):
    assert [notifications.claim(bob.pk, rooms.lobby.pk, seq) for seq in (3, 3, 2, 4)] == [True, False, False, True]


def test_a_message_that_was_read_or_deleted_is_not_taken(alice, bob, rooms):
    lobby = rooms.lobby
    for text in ("one", "two", "three"):
        lobby.send_message(text, alice)
    memberships.store_moves(memberships.check_moves({RoomUser(lobby.pk, bob.pk): Move(login_of(bob), 2)}))
    commit([Draft(room=lobby.pk, author=alice.pk, kind=Kind.DELETED, target_seq=3)])
    assert taken(bob, lobby, 0, 4) is None


def test_what_is_replayed_after_sleep_notifies_nobody(alice, bob, rooms):
    rooms.lobby.send_message("old", alice)
    Event.objects.update(at=timezone.now() - notifications.FRESH)
    assert taken(bob, rooms.lobby, 0, 1) is None


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        pytest.param(Level.ALL, [1, 2, 3, 4], marks=pytest.mark.any_database),
        (Level.MENTIONS, [2, 3, 4]),
        (Level.QUIET, [4]),
    ],
)
def test_the_level_decides_and_alerts_break_through(level, expected, alice, bob, rooms):
    levels.store_levels({RoomUser(rooms.lobby.pk, bob.pk): level})
    for text, msg_type in (("plain", 0), ("@bob", 0), ("@all", 0), ("disk full", 2)):
        rooms.lobby.send_message(text, alice, msg_type)
    assert [seq for seq in range(1, 5) if taken(bob, rooms.lobby, seq - 1, seq)] == expected


def test_every_message_of_a_direct_room_is_a_mention(alice, bob):
    room = room_actions.open_direct([alice.pk, bob.pk], by=alice.pk)
    room.send_message("hi", alice)
    levels.store_levels({RoomUser(room.pk, bob.pk): Level.MENTIONS})
    assert taken(bob, room, 0, 1) == (1, "hi")
    room.send_message("hi again", alice)
    levels.store_levels({RoomUser(room.pk, bob.pk): Level.QUIET})
    assert taken(bob, room, 1, 2) is None


def test_a_user_who_may_not_enter_gets_nothing(alice, bob, rooms):
    rooms.staff.send_message("secret", alice)
    with pytest.raises(ClientError, match="ROOM_ACCESS_DENIED"):
        taken(bob, rooms.staff, 0, 1)
    assert not Membership.objects.filter(user=bob, room=rooms.staff).exists()


async def test_one_socket_of_a_user_gets_the_message(alice, bob, rooms):
    room = str(rooms.lobby.pk)
    await database.write(rooms.lobby.send_message, "hello", alice)
    async with connected(bob) as first, connected(bob) as second:
        for socket in (first, second):
            await socket.send(command="notify", room=room, seq=1)
        frames = [await socket.next() for socket in (first, second)]
        assert [frame["notify"] for frame in frames] == [room, room]
        [event] = [frame["event"] for frame in frames if "event" in frame]
        assert (event["seq"], event["message"]) == (1, "hello")
        await first.send(command="notify", room=str(rooms.staff.pk), seq=1)
        assert (await first.next())["error"] == "ROOM_ACCESS_DENIED"
