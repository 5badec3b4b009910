"""My mentions: newest first, from rooms that the user may enter now, found by an index."""

import uuid

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.live import database
from chat.models import Event, Mention, Room
from chat.store import actions, own_mentions
from chat.store.actions import Draft
from chat.store.log import Committed
from tests.sockets import connected, login_of
from tests.test_alerts import explain

pytestmark = pytest.mark.django_db(transaction=True)


def post(author, *texts):
    """Post messages into rooms in one transaction; a text is (room, text). All of them are saved."""
    done = actions.commit([Draft(room=room.pk, author=author.pk, body=text) for room, text in texts])
    assert all(isinstance(each, Committed) for each in done)


def texts(user, *, before=None, limit=50, max_bytes=10**6):
    page = own_mentions.read(login_of(user), before=before, limit=limit, max_bytes=max_bytes)
    return [event.message for event in page.mentioned], page.next


def test_mentions_of_all_rooms_are_listed_newest_first(alice, bob, rooms):
    rooms.lobby.send_message("one @bob", alice)
    rooms.random.send_message("two @Bob", alice)
    rooms.lobby.send_message("not him", alice)
    rooms.random.send_message("three @all", alice)
    rooms.lobby.send_message("his own @bob", bob)
    assert texts(bob) == (["three @all", "two @Bob", "one @bob"], None)
    assert texts(alice) == ([], None)


def test_pages_follow_each_other_without_gap_and_repetition(alice, bob, rooms):
    post(alice, *((rooms[number % 2], f"{number} @{'bob' if number % 3 else 'all'}") for number in range(150)))
    found, before = [], None
    for _ in range(20):
        page, before = texts(bob, before=before, limit=20)
        found += page
        if before is None:
            break
    assert [int(text.split()[0]) for text in found] == list(range(149, -1, -1))


def test_deleted_messages_and_those_of_rooms_that_the_user_may_not_enter_are_left_out(alice, bob, rooms):
    alice.is_staff = bob.is_staff = True
    bob.save()
    for number in range(own_mentions.ROWS_PER_QUERY + 5):
        rooms.staff.send_message(f"secret {number} @bob", alice)
    rooms.lobby.send_message("old @bob", alice)
    assert len(texts(bob, limit=100)[0]) == own_mentions.ROWS_PER_QUERY + 6
    rooms.lobby.send_message("first @bob", alice)
    Room.objects.filter(pk=rooms.lobby.pk).update(floor_seq=2)
    bob.is_staff = False
    bob.save()
    assert texts(bob) == (["first @bob"], None)
    rooms.lobby.delete()
    assert texts(bob) == ([], None)


def test_mentions_of_all_users_from_before_the_account_are_left_out(alice, rooms):
    rooms.lobby.send_message("@all", alice)
    Event.objects.update(at="2020-01-01T00:00:00Z")
    late = User.objects.create_user("late")
    rooms.lobby.send_message("welcome @all", alice)
    assert texts(late) == (["welcome @all"], None)


def test_a_page_costs_few_queries_by_index_whatever_the_number_of_mentions(alice, bob, rooms):
    post(alice, *((rooms.lobby, f"{number} @bob") for number in range(200)))
    assert Mention.objects.filter(user=bob).count() == 200
    login = login_of(bob)
    with CaptureQueriesContext(connection) as captured:
        own_mentions.read(login, before=None, limit=50, max_bytes=10**6)
    searches = [query["sql"] for query in captured if query["sql"].startswith('SELECT "chat_mention"')]
    assert len(searches) == 2
    assert all("mention_user_newest" in explain(search) for search in searches)
    assert len(captured) <= 8


async def test_a_user_gets_their_own_mentions_over_a_socket(alice, bob, charlie, rooms):
    await database.write(rooms.lobby.send_message, "hi @bob", alice)
    await database.write(rooms.staff.send_message, "secret @bob", alice)
    async with connected(bob) as bobs, connected(charlie) as charlies:
        page = await bobs.ask(command="mentions")
        assert [event["message"] for event in page["mentioned"]] == ["hi @bob"]
        assert page["mentioned"][0]["mentions"] == [{"name": "bob", "user": bob.pk}]
        assert "secret" not in str(page)
        assert await charlies.ask(command="mentions", limit=10) == {"mentioned": []}
        assert (await bobs.ask(command="mentions", limit=0))["error"] == "COMMAND_INVALID"
        assert (await bobs.ask(command="mentions", before=-1))["error"] == "COMMAND_INVALID"
        await bobs.ask(command="join", room=rooms.lobby.pk)
        await bobs.send(command="send", room=rooms.lobby.pk, message="@Charlie!", client_id=str(uuid.uuid4()))
        [*_, posted] = await bobs.until(lambda frame: "seq" in frame and "ack" not in frame)
        assert posted["mentions"] == [{"name": "Charlie", "user": charlie.pk}]
