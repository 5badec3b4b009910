"""Read positions, layouts, and what is unread after them."""

import random

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat import actions, policies, reading
from chat.actions import Draft
from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Membership, Room
from chat.reading import Unread

Kind = Event.Kind
pytestmark = pytest.mark.django_db


def login_of(user):
    client = Client()
    client.force_login(user)
    [standing] = policies.sign_in([client.session.session_key]).values()
    return standing.login


def unread(user, room):
    return reading.count([user.pk])[user.pk, room.pk]


def post(room, author, body="hi"):
    [outcome] = actions.commit([Draft(room=room.pk, author=author and author.pk, body=body, trusted=True)])
    return outcome.seq


def change(room, author, kind, seq, body=""):
    actions.commit([Draft(room=room.pk, author=author.pk, kind=kind, target_seq=seq, body=body)])


def begin(user, *rooms):
    reading.begin({user.pk: list(Room.objects.filter(pk__in=[room.pk for room in rooms]))})


def plain_count(user, room, read):
    """Count by looking at each event, as a person would."""
    later = [one for one in Event.objects.filter(room=room, kind=Kind.POSTED) if one.seq > read]
    others = [one for one in later if one.deleted_at is None and one.author_id != user.pk]
    return len(others), sum(f"@{user.username}" in one.body for one in others)


def test_to_somebody_new_all_is_read_and_a_room_that_came_since_is_not(alice, bob, rooms):
    post(rooms.lobby, alice)
    begin(bob, rooms.lobby)
    assert unread(bob, rooms.lobby) == Unread(head=1, read=1, unread=0, mentions=0)
    post(rooms.random, alice, "@bob")
    begin(bob, rooms.lobby, rooms.random)
    assert unread(bob, rooms.random) == Unread(head=1, read=0, unread=1, mentions=1)


def test_a_position_that_is_there_is_kept(alice, bob, rooms):
    begin(bob, rooms.lobby)
    post(rooms.lobby, alice)
    begin(bob, rooms.lobby)
    assert unread(bob, rooms.lobby).unread == 1


def test_a_layout_before_the_first_look_reads_nothing_and_stays(alice, bob, rooms):
    login = login_of(bob)
    post(rooms.lobby, alice)
    reading.lay_out(login, [rooms.lobby.pk], rooms.lobby.pk)
    assert reading.count([bob.pk]) == {}
    begin(bob, rooms.lobby)
    assert unread(bob, rooms.lobby).unread == 0
    assert reading.layout(bob.pk) == ([rooms.lobby.pk], rooms.lobby.pk)


def test_a_position_made_meanwhile_is_not_moved_back(alice, bob, rooms, monkeypatch):
    login = login_of(bob)
    begin(bob, rooms.lobby)
    for _ in range(3):
        post(rooms.random, alice)
    known = reading.positions([bob.pk])
    reading.move(login, rooms.random.pk, 2, back=False)
    # As another process sees it that has looked just before.
    monkeypatch.setattr(reading, "positions", lambda users: known)
    begin(bob, rooms.lobby, rooms.random)
    assert unread(bob, rooms.random).read == 2


def test_what_is_unread_is_posted_undeleted_by_others_and_after_the_position(alice, bob, rooms):
    begin(bob, rooms.lobby)
    for body in ("one", "two @bob", "three @bob"):
        post(rooms.lobby, alice, body)
    post(rooms.lobby, bob, "mine @bob")
    post(rooms.lobby, None, "the system's")
    assert unread(bob, rooms.lobby) == Unread(head=5, read=0, unread=4, mentions=2)
    change(rooms.lobby, alice, Kind.EDITED, 1, "one @bob")
    assert unread(bob, rooms.lobby) == Unread(head=6, read=0, unread=4, mentions=3)
    change(rooms.lobby, alice, Kind.DELETED, 3)
    assert unread(bob, rooms.lobby) == Unread(head=7, read=0, unread=3, mentions=2)
    reading.move(login_of(bob), rooms.lobby.pk, 1, back=False)
    assert unread(bob, rooms.lobby) == Unread(head=7, read=1, unread=2, mentions=1)


def test_what_a_deleted_user_wrote_is_of_another(alice, bob, rooms):
    begin(bob, rooms.lobby)
    post(rooms.lobby, alice)
    alice.delete()
    assert unread(bob, rooms.lobby).unread == 1


def test_a_position_moves_forward_alone_unless_it_is_asked_back(alice, bob, rooms):
    login = login_of(bob)
    for _ in range(5):
        post(rooms.lobby, alice)
    places = [(3, False, 3), (2, False, 3), (1, True, 1), (99, False, 5), (0, False, 5), (99, True, 5), (0, True, 0)]
    for seq, back, place in places:
        reading.move(login, rooms.lobby.pk, seq, back=back)
        assert reading.positions([bob.pk]) == {(bob.pk, rooms.lobby.pk): place}


def test_a_position_is_of_rooms_that_may_be_entered(alice, bob, rooms):
    login = login_of(bob)
    for room, code in [(rooms.staff.pk, ErrorCode.ROOM_ACCESS_DENIED), (10**6, ErrorCode.ROOM_INVALID)]:
        with pytest.raises(ClientError) as caught:
            reading.move(login, room, 1, back=False)
        assert caught.value.code == code
    assert not Membership.objects.exists()


def test_rooms_are_counted_for_many_users_by_one_query(alice, bob, charlie, rooms):
    reading.begin({user.pk: list(rooms[:2]) for user in (alice, bob, charlie)})
    post(rooms.lobby, alice, "@bob")
    with CaptureQueriesContext(connection) as asked:
        counts = reading.count([alice.pk, bob.pk, charlie.pk], [rooms.lobby.pk])
    assert len(asked) == 1
    assert {user: (one.unread, one.mentions) for (user, _), one in counts.items()} == {
        alice.pk: (0, 0),
        bob.pk: (1, 1),
        charlie.pk: (1, 0),
    }


def test_news_are_events_after_the_cursors_with_whom_they_name(alice, bob, rooms):
    post(rooms.lobby, alice)
    post(rooms.lobby, alice, "@bob")
    post(rooms.random, None)
    change(rooms.lobby, alice, Kind.DELETED, 1)
    news = reading.news({rooms.lobby.pk: 1, rooms.random.pk: 0}, limit=10)
    assert sorted((one.room, one.seq, one.kind, one.author, set(one.named)) for one in news) == [
        (rooms.lobby.pk, 2, Kind.POSTED, alice.pk, {bob.pk}),
        (rooms.lobby.pk, 3, Kind.DELETED, alice.pk, set()),
        (rooms.random.pk, 1, Kind.POSTED, None, set()),
    ]
    assert len(reading.news({rooms.lobby.pk: 0}, limit=2)) == 2


def test_a_layout_holds_what_may_be_entered_in_its_order(bob, rooms):
    login = login_of(bob)
    reading.lay_out(login, [rooms.random.pk, rooms.staff.pk, 10**6, rooms.lobby.pk], rooms.lobby.pk)
    assert reading.layout(bob.pk) == ([rooms.random.pk, rooms.lobby.pk], rooms.lobby.pk)
    reading.lay_out(login, [rooms.lobby.pk], None)
    assert reading.layout(bob.pk) == ([rooms.lobby.pk], None)
    reading.lay_out(login, [], None)
    assert reading.layout(bob.pk) == ([], None)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_unread_is_what_a_plain_count_says(alice, bob, rooms, seed):
    chance = random.Random(seed)
    users, both = (alice, bob), rooms[:2]
    logins = {user: login_of(user) for user in users}
    reading.begin({user.pk: list(both) for user in users})
    read = {(user.pk, room.pk): 0 for user in users for room in both}
    for _ in range(60):
        room, user = chance.choice(both), chance.choice(users)
        seq = chance.randrange(1, Event.objects.filter(room=room).count() + 2)
        match chance.choice(["post", "post", "edit", "delete", "read", "back"]):
            case "post":
                post(room, chance.choice([*users, None]), chance.choice(["hi", "@bob", "@alice, @bob", "@nobody"]))
            case "edit":
                change(room, user, Kind.EDITED, seq, chance.choice(["hi", "@bob", "@alice"]))
            case "delete":
                change(room, user, Kind.DELETED, seq)
            case way:
                head = Room.objects.get(pk=room.pk).head_seq
                reading.move(logins[user], room.pk, seq, back=way == "back")
                key, seq = (user.pk, room.pk), min(seq, head)
                read[key] = seq if way == "back" else max(seq, read[key])
        counts = reading.count([user.pk for user in users])
        assert counts.keys() == read.keys()
        for user in users:
            for room in both:
                known = counts[user.pk, room.pk]
                assert known.read == read[user.pk, room.pk]
                assert known[2:] == plain_count(user, room, known.read)
