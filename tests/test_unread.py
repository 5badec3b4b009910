"""What is unread, as the database counts it."""

import random
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import Event, Membership, Room, Visit
from chat.store import actions, memberships, unread
from chat.store.actions import Draft
from chat.store.room_user import RoomUser
from chat.store.unread import MOST, Unread

Kind = Event.Kind
pytestmark = pytest.mark.django_db


def count(user, room, read=None):
    return unread.count({RoomUser(room.pk, user.pk): read})[room.pk, user.pk]


def post(room, author, body="hi"):
    [outcome] = actions.commit([Draft(room=room.pk, author=author and author.pk, body=body, trusted=True)])
    return outcome.seq


def post_many(room, author, count, body="hi"):
    drafts = [Draft(room=room.pk, author=author and author.pk, body=body, trusted=True) for _ in range(count)]
    actions.commit(drafts)


def change(room, author, kind, seq, body=""):
    actions.commit([Draft(room=room.pk, author=author.pk, kind=kind, target_seq=seq, body=body)])


def plain_count(user, room, read):
    """Count by looking at each event, as a person would."""
    later = [one for one in Event.objects.filter(room=room, kind=Kind.POSTED) if one.seq > read]
    others = [one for one in later if one.deleted_at is None and one.author_id != user.pk]
    return min(len(others), MOST), min(sum(f"@{user.username}" in one.body for one in others), MOST)


def test_to_somebody_new_all_is_read_and_what_is_said_since_is_not(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.visit([bob.pk])
    assert count(bob, rooms.lobby) == Unread(head=1, read=1, unread=0, mentions=0)
    post(rooms.lobby, alice, "@bob")
    assert count(bob, rooms.lobby) == Unread(head=2, read=1, unread=1, mentions=1)


def test_a_room_that_came_since_is_unread_from_its_beginning(alice, bob, rooms):
    memberships.visit([bob.pk])
    room = Room.objects.create(title="New")
    post(room, alice)
    assert count(bob, room) == Unread(head=1, read=0, unread=1, mentions=0)


def test_a_room_opened_later_is_read_up_to_the_first_visit(alice, bob, rooms):
    post_many(rooms.staff, alice, 5)
    Event.objects.update(at=timezone.now() - timedelta(days=2))
    Visit.objects.create(user=bob, at=timezone.now() - timedelta(days=1))
    post_many(rooms.staff, alice, 3)
    assert count(bob, rooms.staff) == Unread(head=8, read=5, unread=3, mentions=0)


def test_what_is_read_by_the_first_visit_takes_no_row(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.visit([bob.pk])
    unread.count({RoomUser(room.pk, bob.pk): None for room in rooms})
    assert not Membership.objects.exists()


def test_what_is_unread_is_posted_undeleted_by_others_and_after_the_position(alice, bob, rooms):
    for body in ("one", "two @bob", "three @bob"):
        post(rooms.lobby, alice, body)
    post(rooms.lobby, bob, "mine @bob")
    post(rooms.lobby, None, "the system's")
    assert count(bob, rooms.lobby) == Unread(head=5, read=0, unread=4, mentions=2)
    change(rooms.lobby, alice, Kind.EDITED, 1, "one @bob")
    assert count(bob, rooms.lobby) == Unread(head=6, read=0, unread=4, mentions=3)
    change(rooms.lobby, alice, Kind.DELETED, 3)
    assert count(bob, rooms.lobby) == Unread(head=7, read=0, unread=3, mentions=2)
    assert count(bob, rooms.lobby, 1) == Unread(head=7, read=1, unread=2, mentions=1)


def test_what_a_deleted_user_wrote_is_of_another(alice, bob, rooms):
    post(rooms.lobby, alice)
    alice.delete()
    assert count(bob, rooms.lobby).unread == 1


def test_a_count_stops_at_the_most(alice, bob, rooms):
    post_many(rooms.lobby, alice, MOST + 20, "@bob")
    assert count(bob, rooms.lobby) == Unread(MOST + 20, 0, MOST, MOST)
    assert count(bob, rooms.lobby, 21) == Unread(MOST + 20, 21, MOST - 1, MOST - 1)


def test_pairs_are_counted_by_two_queries_whatever_their_number(alice, bob, charlie, rooms):
    post(rooms.lobby, alice, "@bob")
    pairs = {RoomUser(room.pk, user.pk): None for user in (alice, bob, charlie) for room in rooms}
    with CaptureQueriesContext(connection) as asked:
        counts = unread.count(pairs)
    assert len(asked) == 2
    assert {user: (one.unread, one.mentions) for (room, user), one in counts.items() if room == rooms.lobby.pk} == {
        alice.pk: (0, 0),
        bob.pk: (1, 1),
        charlie.pk: (1, 0),
    }
    assert counts.keys() == pairs.keys()


def test_what_is_read_to_its_end_is_not_counted(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.visit([bob.pk])
    with CaptureQueriesContext(connection) as asked:
        assert count(bob, rooms.lobby).unread == 0
    assert len(asked) == 1


def test_a_room_that_is_gone_has_no_count(bob, rooms):
    assert unread.count({RoomUser(10**6, bob.pk): None, RoomUser(10**6 + 1, bob.pk): 3}) == {}


@pytest.fixture
def reads_indexes():
    """Let PostgreSQL plan for these few rows as it does for many."""
    if connection.vendor == "sqlite":
        yield lambda: None
        return

    def reads_indexes():
        with connection.cursor() as cursor:
            # As autovacuum does it: an index alone answers only for pages that are known to be visible to all.
            for table in ("event", "mention", "membership"):
                cursor.execute(f"VACUUM ANALYZE chat_{table}")
            cursor.execute("SET enable_seqscan = off")

    yield reads_indexes
    with connection.cursor() as cursor:
        cursor.execute("RESET enable_seqscan")


@pytest.mark.django_db(transaction=True)  # VACUUM runs outside of transactions
def test_counting_reads_indexes_and_no_table(alice, bob, rooms, reads_indexes):
    post_many(rooms.lobby, alice, 600, "hi @bob")
    memberships.visit([bob.pk])
    post_many(rooms.lobby, alice, 600, "hi @bob")
    # Among many edits, which are no messages.
    at = timezone.now()
    Event.objects.bulk_create(
        Event(room=rooms.lobby, seq=seq, kind=Kind.EDITED, target_seq=1, username="alice", at=at)
        for seq in range(1201, 5201)
    )
    Room.objects.filter(pk=rooms.lobby.pk).update(head_seq=5200)
    reads_indexes()
    with CaptureQueriesContext(connection) as asked:
        assert count(bob, rooms.lobby).unread == 600
    plans = []
    for query in asked.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{query['sql']}")
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    assert "event_room_at" in plans[0]
    assert "event_posted" in plans[1], plans[1]
    # SQLite names the index of a unique constraint itself.
    assert "mention_user_room_seq" in plans[1] or "(user_id=? AND room_id=? AND seq>?)" in plans[1]
    assert not re.search(r"(SCAN|Seq Scan on) (chat_)?(event|mention|membership|room)\b", "\n".join(plans)), plans


def test_news_are_events_in_their_ranges_and_the_messages_that_they_are_about(alice, bob, rooms):
    post(rooms.lobby, alice, "one @bob")
    post(rooms.lobby, bob, "two @alice")
    post(rooms.random, None)
    change(rooms.lobby, bob, Kind.EDITED, 2, "two @bob @alice")
    change(rooms.lobby, alice, Kind.DELETED, 1)
    post(rooms.lobby, alice, "not asked for")
    news = unread.news({rooms.lobby.pk: (1, 4), rooms.random.pk: (0, 1)})
    assert [tuple(one) for one in news] == [
        (rooms.lobby.pk, 2, Kind.POSTED, 2, bob.pk, {alice.pk, bob.pk}),
        (rooms.lobby.pk, 3, Kind.EDITED, 2, bob.pk, {alice.pk, bob.pk}),
        (rooms.lobby.pk, 4, Kind.DELETED, 1, alice.pk, set()),
        (rooms.random.pk, 1, Kind.POSTED, 1, None, set()),
    ]


def test_an_edit_costs_the_same_whatever_number_of_edits_came_before(alice, bob, rooms):
    post(rooms.lobby, alice, "one")
    costs = []
    for count in (1, 50):
        for _ in range(count):
            change(rooms.lobby, alice, Kind.EDITED, 1, "@bob")
        head = Room.objects.get(pk=rooms.lobby.pk).head_seq
        with CaptureQueriesContext(connection) as asked:
            [one] = unread.news({rooms.lobby.pk: (head - 1, head)})
        assert one.named == {bob.pk}
        costs.append(len(asked))
    assert costs == [2, 2]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_unread_is_what_a_plain_count_says(alice, bob, rooms, seed):
    chance = random.Random(seed)
    users, both = (alice, bob), rooms[:2]
    for _ in range(60):
        room, user = chance.choice(both), chance.choice(users)
        head = Room.objects.get(pk=room.pk).head_seq
        seq = chance.randrange(1, head + 2)
        match chance.choice(["post", "post", "edit", "delete"]):
            case "post":
                post(room, chance.choice([*users, None]), chance.choice(["hi", "@bob", "@alice, @bob", "@nobody"]))
            case "edit":
                change(room, user, Kind.EDITED, seq, chance.choice(["hi", "@bob", "@alice"]))
            case "delete":
                change(room, user, Kind.DELETED, seq)
        read = chance.randrange(0, head + 1)
        assert count(user, room, read)[2:] == plain_count(user, room, read)
