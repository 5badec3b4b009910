"""Reactions: one user, one emoji, one state; in pages of history, over the socket, and after deletions."""

import threading
import uuid

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.exceptions import ClientError, ErrorCode
from chat.live import database
from chat.models import Event, Reaction, Room
from chat.store import actions, alerts, log, reactions, unread
from chat.store.actions import Draft
from chat.store.log import HistoryPlace, Kind
from chat.store.room_user import RoomUser
from tests.copies import copy_event
from tests.sockets import connected, login_of

pytestmark = pytest.mark.django_db(transaction=True)
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"
EMOJI = [chr(code) for code in range(0x1F600, 0x1F640)]


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


@pytest.fixture
def react():
    """Returns a function that reacts, for users who are signed in once."""
    logins = {}

    def draft(room, user, seq, emoji="👍", *, on=True, **fields):
        if user.pk not in logins:
            logins[user.pk] = login_of(user)
        fields |= {"author": user.pk, "login": logins[user.pk], "kind": Kind.REACTED, "target_seq": seq}
        return Draft(room=room.pk, body=emoji, is_on=on, **fields)

    def commit(*arguments, **fields):
        [outcome] = actions.commit([draft(*arguments, **fields)])
        return outcome if isinstance(outcome, ClientError) else outcome.seq

    commit.draft = draft
    return commit


def given(room, seq=1, reader=None):
    """Return the reactions of a message in a page of history: emoji, count, names, and the reader's own."""
    page = log.history(Room.objects.get(pk=room.pk), HistoryPlace(around=seq), limit=2, max_bytes=10**6, reader=reader)
    [message] = [event for event in page.events if event.seq == seq]
    return [
        (each.emoji, each.count, [person.username for person in each.users], each.own) for each in message.reactions
    ]


def test_a_reaction_is_an_event_and_part_of_its_message(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", alice)
    assert [react(rooms.lobby, bob, 1), react(rooms.lobby, alice, 1), react(rooms.lobby, bob, 1, "🎉")] == [2, 3, 4]
    assert given(rooms.lobby, reader=alice.pk) == [("👍", 2, ["bob", "alice"], True), ("🎉", 1, ["bob"], False)]
    assert react(rooms.lobby, bob, 1, on=False) == 5
    assert given(rooms.lobby, reader=bob.pk) == [("👍", 1, ["alice"], False), ("🎉", 1, ["bob"], True)]
    events = [logged.event for logged in log.read(rooms.lobby.pk, after=1, limit=10)]
    assert [(event.reacted, event.emoji, event.username, event.user, event.on) for event in events] == [
        (1, "👍", "bob", bob.pk, True),
        (1, "👍", "alice", alice.pk, True),
        (1, "🎉", "bob", bob.pk, True),
        (1, "👍", "bob", bob.pk, False),
    ]
    # In the log they are events of their own, so that none is counted twice when a client catches up.
    assert log.read(rooms.lobby.pk, after=0, limit=1)[0].event.reactions == []


def test_a_repeated_state_posts_nothing_and_names_the_event_that_made_it(bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    assert react(rooms.lobby, bob, 1, on=False) == 1
    assert [react(rooms.lobby, bob, 1) for _ in range(3)] == [2, 2, 2]
    assert [react(rooms.lobby, bob, 1, on=False) for _ in range(3)] == [3, 3, 3]
    assert react(rooms.lobby, bob, 1) == 4
    assert Event.objects.count() == 4
    assert Reaction.objects.count() == 1


def test_reactions_of_one_batch_see_each_other(alice, bob, rooms, react):
    post = Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", trusted=True, username="bob")
    drafts = [react.draft(rooms.lobby, user, 1, on=on) for user in (alice, bob) for on in (True, True, False, True)]
    outcomes = actions.commit([post, *drafts])
    assert [outcome.seq for outcome in outcomes] == [1, 2, 2, 3, 4, 5, 5, 6, 7]
    assert given(rooms.lobby) == [("👍", 2, ["alice", "bob"], False)]
    assert set(Reaction.objects.values_list("user_id", "is_on", "seq")) == {(alice.pk, True, 4), (bob.pk, True, 7)}
    delete = Draft(room=rooms.lobby.pk, author=bob.pk, login=drafts[-1].login, kind=Kind.DELETED, target_seq=1)
    outcomes = actions.commit([react.draft(rooms.lobby, bob, 1, on=False), delete, react.draft(rooms.lobby, bob, 1)])
    assert [getattr(outcome, "code", None) for outcome in outcomes] == [None, None, ErrorCode.MESSAGE_INVALID]
    assert given(rooms.lobby) == []
    assert not Reaction.objects.exists()


def test_the_database_allows_one_row_for_each_user_message_and_emoji(bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    react(rooms.lobby, bob, 1)
    row = Reaction.objects.get()
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_a_deleted_message_loses_its_reactions(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    react(rooms.lobby, alice, 1)
    react(rooms.lobby, bob, 1)
    react(rooms.lobby, bob, 1, on=False)
    [outcome] = actions.commit(
        [Draft(room=rooms.lobby.pk, author=bob.pk, login=login_of(bob), kind=Kind.DELETED, target_seq=1)]
    )
    assert outcome.seq == 5
    assert given(rooms.lobby) == []
    assert not Reaction.objects.exists()
    assert react(rooms.lobby, alice, 1).code == ErrorCode.MESSAGE_INVALID


def test_an_edit_keeps_the_reactions(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    react(rooms.lobby, alice, 1)
    actions.commit(
        [Draft(room=rooms.lobby.pk, author=bob.pk, login=login_of(bob), kind=Kind.EDITED, target_seq=1, body="hello")]
    )
    assert given(rooms.lobby) == [("👍", 1, ["alice"], False)]


@pytest.mark.parametrize("emoji", ["", "hi", "👍👍", "1", "\x00", "<b>", "👩\u200d" * 15 + "👩"], ids=ascii)
def test_what_is_not_one_emoji_is_refused(emoji):
    with pytest.raises(ClientError) as refusal:
        actions.check_emoji(emoji)
    assert refusal.value.code == ErrorCode.MESSAGE_INVALID


def test_a_message_has_at_most_twenty_different_emoji(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    for emoji in EMOJI[: reactions.MOST_EMOJI]:
        react(rooms.lobby, bob, 1, emoji)
    head = Room.objects.get(pk=rooms.lobby.pk).head_seq
    assert react(rooms.lobby, bob, 1, EMOJI[20]).code == ErrorCode.MESSAGE_INVALID
    # The refused one took no number, and one that is there can still be given.
    assert react(rooms.lobby, alice, 1, EMOJI[3]) == head + 1
    assert react(rooms.lobby, bob, 1, EMOJI[0], on=False) == head + 2
    assert react(rooms.lobby, bob, 1, EMOJI[20]) == head + 3


def test_a_page_names_ten_users_of_an_emoji_and_counts_all(bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    users = [User.objects.create_user(f"user{number}") for number in range(13)]
    for user in users:
        react(rooms.lobby, user, 1)
    [(_, count, names, own)] = given(rooms.lobby, reader=users[12].pk)
    # The reader's own is marked although it is not among those named.
    assert (count, names, own) == (13, [f"user{number}" for number in range(10)], True)
    react(rooms.lobby, users[0], 1, on=False)
    [(_, count, names, _)] = given(rooms.lobby)
    assert (count, names) == (12, [f"user{number}" for number in range(1, 11)])


def test_reactions_stay_when_their_user_is_deleted(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", alice)
    react(rooms.lobby, bob, 1)
    bob.delete()
    assert given(rooms.lobby) == [("👍", 1, ["bob"], False)]
    assert Reaction.objects.count() == 1


def test_simultaneous_reactions_leave_one_row_and_one_event_each(alice, bob, rooms, react):
    rooms.lobby.send_message("hi", bob)
    drafts = [[react.draft(rooms.lobby, user, 1) for _ in range(6)] for user in (alice, bob) for _ in range(2)]

    def write(own):
        try:
            for draft in own:
                actions.commit([draft])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[own]) for own in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.count() == 3
    assert Reaction.objects.count() == 2
    assert [entry[1] for entry in given(rooms.lobby)] == [2]


def test_a_page_of_many_messages_with_reactions_and_replies_takes_one_query_more(bob, rooms, react):
    for _ in range(8):
        rooms.lobby.send_message("hi", bob)
    room = Room.objects.get(pk=rooms.lobby.pk)
    with CaptureQueriesContext(connection) as without:
        log.history(room, HistoryPlace(), limit=50, max_bytes=10**6, reader=bob.pk)
    for number in range(1, 9):
        react(rooms.lobby, bob, number)
    Event.objects.filter(kind=Kind.POSTED, seq__gt=1).update(reply_to=1)
    with CaptureQueriesContext(connection) as captured:
        page = log.history(room, HistoryPlace(), limit=50, max_bytes=10**6, reader=bob.pk)
    assert len(captured) == len(without) + 1
    assert all(event.reactions[0].own for event in page.events)
    assert [event.reply_to for event in page.events[1:]] == [1] * 7


def test_an_answer_names_a_message_of_its_room(alice, bob, rooms):
    rooms.random.send_message("elsewhere", alice)
    rooms.random.send_message("elsewhere", alice)
    rooms.lobby.send_message("hi", alice)
    login = login_of(bob)

    def answer(seq):
        draft = Draft(room=rooms.lobby.pk, author=bob.pk, login=login, body="yes", reply_to=seq)
        return actions.commit([draft])[0]

    assert answer(1).logged.event.reply_to == 1
    assert log.read(rooms.lobby.pk, after=1, limit=1)[0].event.reply_to == 1
    assert [answer(seq).code for seq in (0, 3, 2**62)] == [ErrorCode.MESSAGE_INVALID] * 3
    actions.commit(
        [Draft(room=rooms.lobby.pk, author=alice.pk, login=login_of(alice), kind=Kind.DELETED, target_seq=1)]
    )
    # The answer is not lost because its message was deleted while it was written.
    assert answer(1).logged.event.reply_to == 1
    assert answer(3).code == ErrorCode.MESSAGE_INVALID


async def test_a_reaction_reaches_all_sessions_and_is_acknowledged(alice, bob, rooms):
    lobby = str(rooms.lobby.pk)
    await database.write(rooms.lobby.send_message, "hi", alice)
    async with connected(bob) as bobs, connected(alice) as alices:
        for socket in (bobs, alices):
            await socket.ask(command="join", room=lobby)
            await socket.rest()
        await bobs.send(command="react", room=lobby, seq=1, emoji="❤", client_id=UUID)
        frames = await bobs.until(lambda frame: "ack" in frame) + await bobs.rest()
        [reacted] = [frame for frame in await alices.rest() if "reacted" in frame]
        assert {"ack": UUID, "room": lobby, "seq": 2} in frames
        assert reacted in frames
        assert reacted.pop("at").endswith("Z")
        assert reacted == {
            **{"room": lobby, "reacted": 1, "emoji": "❤️", "username": "bob", "user": bob.pk, "on": True, "seq": 2},
            "client_id": UUID,
        }
        # Another client_id, the same state: no event, and the number of the first.
        again = await bobs.ask(command="react", room=lobby, seq=1, emoji="❤️", client_id=str(uuid.uuid4()))
        assert again["seq"] == 2
        page = await alices.ask(command="history", room=lobby)
        users = [{"user": bob.pk, "username": "bob"}]
        assert page["events"][0]["reactions"] == [{"emoji": "❤️", "count": 1, "users": users}]
        assert (await bobs.ask(command="history", room=lobby))["events"][0]["reactions"][0]["own"] is True
        await bobs.send(command="send", room=lobby, message="yes", reply_to=1)
        [answer] = [frame for frame in await alices.until(lambda frame: "reply_to" in frame) if "seq" in frame]
        assert answer["reply_to"] == 1


INVALID = [
    ({"seq": 1, "emoji": "no"}, "MESSAGE_INVALID"),
    ({"seq": 7, "emoji": "👍"}, "MESSAGE_INVALID"),
    ({"seq": 1, "emoji": "👍" * 65}, "COMMAND_INVALID"),
    ({"seq": 1, "emoji": None}, "COMMAND_INVALID"),
    ({"seq": 1}, "COMMAND_INVALID"),
    ({"seq": 1, "emoji": "👍", "on": "yes"}, "COMMAND_INVALID"),
]


async def test_an_invalid_reaction_is_refused(bob, rooms):
    await database.write(rooms.lobby.send_message, "hi", bob)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        for fields, error in INVALID:
            refused = await socket.ask(command="react", room=rooms.lobby.pk, client_id=UUID, **fields)
            assert (refused["error"], refused["client_id"]) == (error, UUID), fields
            assert await database.read(Event.objects.count) == 1


async def test_a_user_who_may_not_enter_a_room_can_neither_react_nor_see_reactions_there(alice, bob, rooms):
    staff = str(rooms.staff.pk)
    await database.write(rooms.staff.send_message, "secret", alice)
    async with connected(bob) as bobs, connected(alice) as alices:
        await alices.ask(command="join", room=staff)
        refused = await bobs.ask(command="react", room=staff, seq=1, emoji="👍")
        assert refused["error"] == "ROOM_ACCESS_DENIED"
        await alices.send(command="react", room=staff, seq=1, emoji="👍")
        await alices.until(lambda frame: "reacted" in frame)
        assert await bobs.rest() == []


def rows_read(function):
    """Return how much a function's queries read: rows on PostgreSQL, steps of its virtual machine on SQLite."""
    if connection.vendor == "sqlite":
        steps = []
        connection.connection.set_progress_handler(lambda: steps.append(10), 10)
        try:
            function()
        finally:
            connection.connection.set_progress_handler(None, 0)
        return sum(steps)
    with CaptureQueriesContext(connection) as captured:
        function()
    rows = 0
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"].replace("%", "%%"))
            [[[explained]]] = cursor.fetchall()
        nodes = [explained["Plan"]]
        for node in nodes:
            nodes += node.get("Plans", [])
            rows += (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    return rows


def test_a_log_whose_newest_events_are_edits_and_reactions_is_opened_and_counted_as_fast(alice, bob, rooms):
    lobby = rooms.lobby
    drafts = [Draft(room=lobby.pk, author=alice.pk, body=f"text {n} @bob", trusted=True) for n in range(60)]
    actions.commit(drafts)
    pair = RoomUser(lobby.pk, bob.pk)

    def open_room():
        room = Room.objects.get(pk=lobby.pk)
        page = log.history(room, HistoryPlace(), limit=50, max_bytes=10**6, reader=bob.pk)
        counted = unread.count({pair: 10})[pair]
        alerts.recent({lobby.pk})
        return [event.seq for event in page.events], counted.unread, counted.mentions

    before, opened = rows_read(open_room), open_room()
    by_bob = {"author_id": bob.pk, "username": "bob", "body": "👍", "at": timezone.now()}
    change = Event.objects.create(room=lobby, seq=61, kind=Kind.EDITED, target_seq=2, **by_bob)
    kinds = f"CASE n % 2 WHEN 1 THEN {Kind.EDITED.value} ELSE {Kind.REACTED.value} END"
    copy_event(change, 62, 6060, kind=kinds, target_seq="n % 60 + 1")
    Room.objects.filter(pk=lobby.pk).update(head_seq=6060)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert open_room() == opened
    assert rows_read(open_room) < before + 500
