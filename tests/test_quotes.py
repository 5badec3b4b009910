"""Quotes and copies: a text stays in its source, and no user learns of a room or message that they may not see."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import protocol
from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.models import Event, Room
from chat.store import actions, log, quotes
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.sockets import connected, login_of
from tests.test_alerts import explain

pytestmark = pytest.mark.django_db(transaction=True)
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
ACROSS = uuid.UUID("16fd2706-8baf-433b-82eb-8c7fada847da")


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


def post(room, user, body="hi", **fields):
    """Post a message and return its number, or the code of its refusal."""
    [outcome] = actions.commit([Draft(room=room.pk, author=user.pk, login=login_of(user), body=body, **fields)])
    return getattr(outcome, "code", None) or outcome.seq


def delete(room, user, seq):
    assert post(room, user, "", kind=Kind.DELETED, target_seq=seq)


def test_a_quote_carries_its_source_and_not_its_text(alice, bob, rooms):
    rooms.random.send_message("the disk is full", alice)
    assert post(rooms.lobby, bob, "look", source=(rooms.random.pk, 1)) == 1
    [logged] = log.read(rooms.lobby.pk, after=0, limit=1)
    assert (logged.event.source.room, logged.event.source.seq) == (str(rooms.random.pk), 1)
    assert b"disk" not in logged.frame.payload
    assert b"Random" not in logged.frame.payload


def test_only_a_message_that_its_author_may_read_can_be_quoted(alice, bob, rooms):
    rooms.staff.send_message("secret", alice)
    rooms.random.send_message("gone", alice)
    delete(rooms.random, alice, 1)
    refused = [post(rooms.lobby, bob, "look", source=source) for source in ((rooms.staff.pk, 1), (rooms.staff.pk, 9))]
    # The same for a message that is there and for one that is not.
    assert refused == [ErrorCode.MESSAGE_INVALID] * 2
    sources = [(rooms.random.pk, 9), (rooms.random.pk, 2), (99999, 1)]
    assert [post(rooms.lobby, bob, "look", source=source) for source in sources] == [ErrorCode.MESSAGE_INVALID] * 3
    assert post(rooms.lobby, alice, "look", source=(rooms.staff.pk, 1)) == 1
    # A text is not lost because its quote was deleted meanwhile.
    assert post(rooms.lobby, bob, "look", source=(rooms.random.pk, 1)) == 2


def test_the_source_is_looked_up_by_its_key_among_any_number_of_rooms(bob, rooms):
    rooms.random.send_message("quote me", bob)
    with CaptureQueriesContext(connection) as queries:
        assert quotes.find_source(bob, rooms.random.pk, 1)
    # The writer asks this while it holds the locks of a batch, so it must not read the list of all rooms.
    assert not [query["sql"] for query in queries if "UNION" in query["sql"]]


def test_a_reader_gets_quoted_texts_only_from_rooms_that_they_may_enter_now(alice, bob, rooms):
    rooms.staff.send_message("secret", alice)
    found = quotes.read(login_of(alice), rooms.staff.pk, [1, 2], max_bytes=10**6)
    assert [(event.seq, event.message) for event in found.events] == [(1, "secret")]
    with pytest.raises(ClientError) as refusal:
        quotes.read(login_of(bob), rooms.staff.pk, [1], max_bytes=10**6)
    assert refusal.value.code == ErrorCode.ROOM_ACCESS_DENIED
    login = login_of(alice)
    alice.is_staff = False
    alice.save()
    with pytest.raises(ClientError):
        quotes.read(login, rooms.staff.pk, [1], max_bytes=10**6)


def test_a_deleted_source_has_no_text(alice, bob, rooms):
    rooms.random.send_message("the disk is full", alice)
    post(rooms.lobby, bob, "look", source=(rooms.random.pk, 1))
    delete(rooms.random, alice, 1)
    [event] = quotes.read(login_of(bob), rooms.random.pk, [1], max_bytes=10**6).events
    assert (event.message, event.deleted) == (None, True)
    # Nothing of it is left in the quote either.
    assert not Event.objects.filter(body__contains="disk").exists()
    rooms.random.delete()
    assert log.read(rooms.lobby.pk, after=0, limit=1)[0].event.source.seq == 1


def test_quoted_messages_come_in_the_order_asked_for_and_bounded_in_bytes(bob, rooms):
    for number in range(1, 41):
        rooms.lobby.send_message(f"{number} " + "x" * 1000, bob)
    login = login_of(bob)
    asked = [30, 7, 7, 99, *range(1, 41)]
    found = quotes.read(login, rooms.lobby.pk, asked, max_bytes=10**6)
    assert [event.seq for event in found.events][:3] == [30, 7, 1]
    assert (len(found.events), found.more) == (40, False)
    found = quotes.read(login, rooms.lobby.pk, asked, max_bytes=5000)
    assert 2 <= len(found.events) <= 5
    assert found.more
    assert len(quotes.read(login, rooms.lobby.pk, [3, 4], max_bytes=10).events) == 1


def test_copies_are_found_by_index_in_the_rooms_that_the_reader_may_enter(alice, bob, rooms):
    for room in rooms:
        post(room, alice, "power cut", across=ACROSS)
    deleted = post(rooms.random, alice, "twice", across=ACROSS)
    delete(rooms.random, alice, deleted)
    post(rooms.lobby, bob, "not one of them")
    post(rooms.lobby, bob, "claims to be one", across=ACROSS)
    with CaptureQueriesContext(connection) as captured:
        found = quotes.find_copies(login_of(bob), ACROSS)
    assert [(copy.room, copy.seq, copy.user) for copy in found.messages] == [
        (str(rooms.lobby.pk), 1, alice.pk),
        (str(rooms.lobby.pk), 3, bob.pk),
        (str(rooms.random.pk), 1, alice.pk),
    ]
    assert str(rooms.staff.pk) in {copy.room for copy in quotes.find_copies(login_of(alice), ACROSS).messages}
    [search] = [query["sql"] for query in captured if '"across"' in query["sql"]]
    # Among so few rows PostgreSQL takes the index of a room's events, which is in the order asked for.
    assert connection.vendor == "postgresql" or "event_across" in explain(search)
    # An event names no other room.
    payloads = [log.read(room.pk, after=0, limit=1)[0].frame.payload for room in rooms]
    for room, payload in zip(rooms, payloads, strict=True):
        others = {str(other.pk) for other in rooms} - {str(room.pk)}
        assert f'"across":"{ACROSS}"'.encode() in payload
        assert not any(f'"{other}"'.encode() in payload for other in others)


async def test_quotes_and_copies_over_a_socket(alice, bob, rooms):
    lobby, random, staff = (str(room.pk) for room in rooms)
    await database.write(rooms.random.send_message, "the disk is full", alice)
    await database.write(rooms.staff.send_message, "secret", alice)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=lobby)
        await socket.rest()
        fields = {"source": {"room": random, "seq": 1}, "across": str(ACROSS)}
        await socket.send(command="send", room=lobby, message="look", client_id=UUID, **fields)
        frames = await socket.until(lambda frame: "ack" in frame) + await socket.rest()
        [posted] = [frame for frame in frames if "source" in frame]
        assert {key: posted[key] for key in fields} == fields
        # The room of the source need not be joined.
        quoted = await socket.ask(command="quote", room=random, seqs=[1, 2])
        assert [event["message"] for event in quoted["events"]] == ["the disk is full"]
        assert (quoted["quote"], quoted["as_of"]) == (random, 1)
        copies = await socket.ask(command="copies", across=str(ACROSS))
        assert copies == {"copies": str(ACROSS), "messages": [{"room": lobby, "seq": 1, "user": bob.pk}]}
        for command, code in (
            ({"command": "quote", "room": staff, "seqs": [1]}, "ROOM_ACCESS_DENIED"),
            ({"command": "quote", "room": "999999", "seqs": [1]}, "ROOM_INVALID"),
            ({"command": "quote", "room": lobby, "seqs": list(range(51))}, "COMMAND_INVALID"),
            ({"command": "copies", "across": "x"}, "COMMAND_INVALID"),
            (
                {"command": "send", "room": lobby, "message": "x", "source": {"room": staff, "seq": 1}},
                "MESSAGE_INVALID",
            ),
        ):
            refused = await socket.ask(**command)
            assert (refused["error"], refused["command"]) == (code, command["command"])
            assert "secret" not in str(refused)


async def test_a_quote_reaches_readers_who_may_not_enter_its_source_without_title_and_text(alice, bob, rooms):
    lobby, staff = str(rooms.lobby.pk), str(rooms.staff.pk)
    await database.write(rooms.staff.send_message, "secret", alice)
    async with connected(alice) as alices, connected(bob) as bobs:
        for socket in (alices, bobs):
            await socket.ask(command="join", room=lobby)
            await socket.rest()
        await alices.send(command="send", room=lobby, message="see", source={"room": staff, "seq": 1})
        await alices.until(lambda frame: "source" in frame)
        [frame] = await bobs.rest()
        assert frame["source"] == {"room": staff, "seq": 1}
        assert "secret" not in str(frame)
        assert "Staff" not in str(frame)
        page = await bobs.ask(command="history", room=lobby)
        assert "secret" not in str(page)
    assert protocol.MAX_QUOTES == 50
    assert await database.read(Room.objects.count) == 3


async def test_a_copy_is_sent_and_changed_in_rooms_that_are_not_joined_if_its_author_may_write_there(alice, bob, rooms):
    across, other = str(ACROSS), str(uuid.uuid4())
    lobby, random, staff = (str(room.pk) for room in (rooms.lobby, rooms.random, rooms.staff))
    async with connected(bob) as socket:

        async def ask(**command):
            return await socket.ask(client_id=str(uuid.uuid4()), **command)

        assert (await ask(command="send", room=lobby, message="hi", across=across))["seq"] == 1
        assert (await ask(command="edit", room=lobby, seq=1, message="hello", across=across))["seq"] == 2
        # Only a message that has this `across`: any other needs a room that is joined.
        await database.read(post, rooms.random, bob, "no copy")
        for fields in ({"message": "changed"}, {}):
            command = {"command": "edit" if fields else "delete", "seq": 1, "across": other, **fields}
            assert (await ask(room=lobby, **command))["error"] == "MESSAGE_INVALID"
            assert (await ask(room=random, **command))["error"] == "MESSAGE_INVALID"
        assert (await ask(command="delete", room=lobby, seq=1, across=across, undo=True))["seq"] == 3
        refused = [
            {"command": "send", "message": "hi"},
            {"command": "edit", "seq": 1, "message": "hi"},
            {"command": "delete", "seq": 1},
        ]
        for command in refused:
            assert (await ask(room=staff, across=across, **command))["error"] == "ROOM_ACCESS_DENIED"
            assert (await ask(room="99999", across=across, **command))["error"] == "ROOM_INVALID"
        # Nothing of a room arrives on a socket that has not joined it.
        assert await socket.rest() == []


async def test_a_copy_for_a_room_of_members_is_answered_as_if_there_were_no_such_room(alice, bob, rooms):
    room = await database.read(Room.objects.create, title="Secret", members_only=True)
    await database.read(room.add_member, alice)
    command = {"command": "send", "message": "hi", "across": str(ACROSS), "client_id": UUID}
    async with connected(bob) as socket:
        answer = await socket.ask(room=str(room.pk), **command)
        unknown = await socket.ask(room="99999", **command)
        assert answer | {"room": ""} == unknown | {"room": ""}
    async with connected(alice) as socket:
        assert (await socket.ask(room=str(room.pk), **command))["ack"] == UUID
