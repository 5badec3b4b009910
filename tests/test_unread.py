"""Unread messages, as the database counts them."""

import random
import re
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.models import Event, Membership, Room, Visit
from chat.store import actions, memberships, unread
from chat.store.actions import Draft
from chat.store.room_user import RoomUser
from chat.store.unread import MOST, Unread
from tests.copies import copy_event
from tests.servers.quantities import IS_FULL, seeds

Kind = Event.Kind
pytestmark = pytest.mark.django_db


def count(user, room, read=None):
    """Return a user's counts, without the epoch, which is the room's."""
    counts = unread.count({RoomUser(room.pk, user.pk): read})[room.pk, user.pk]
    assert counts.epoch == Room.objects.values_list("epoch", flat=True).get(pk=room.pk)
    return counts._replace(epoch="")


def post(room, author, body="hi"):
    [outcome] = actions.commit([Draft(room=room.pk, author=author and author.pk, body=body, trusted=True)])
    return outcome.seq


def post_many(room, author, count, body="hi"):
    drafts = [Draft(room=room.pk, author=author and author.pk, body=body, trusted=True) for _ in range(count)]
    actions.commit(drafts)


def change(room, author, kind, seq, body=""):
    actions.commit([Draft(room=room.pk, author=author.pk, kind=kind, target_seq=seq, body=body)])


def plain_count(user, room, read):
    """Count in the simplest way, event by event."""
    later = [event for event in Event.objects.filter(room=room, kind=Kind.POSTED) if event.seq > read]
    unread = [event for event in later if event.deleted_at is None and event.author_id != user.pk]
    return min(len(unread), MOST), min(sum(f"@{user.username}" in event.body for event in unread), MOST)


def plain_alerts(user, room):
    """Find the alerts that a user has not confirmed in the simplest way, event by event."""
    alerts = []
    for event in Event.objects.filter(room=room).order_by("seq"):
        if event.kind == Kind.POSTED and event.msg_type == 2 and event.author_id != user.pk:
            alerts.append(event.seq)
        is_end = event.kind in (Kind.DELETED, Kind.RESOLVED) or (event.kind == Kind.CONFIRMED and event.author == user)
        if is_end and event.target_seq in alerts:
            alerts.remove(event.target_seq)
    return tuple(alerts)


def test_for_a_new_user_only_messages_after_the_first_visit_are_unread(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.store_first_visits([bob.pk])
    assert count(bob, rooms.lobby) == Unread(head=1, read=1, unread=0, mentions=0)
    # A message has its time in whole milliseconds, so in the visit's own millisecond it would count as before it.
    with time_machine.travel(timezone.now() + timedelta(milliseconds=5), tick=False):
        post(rooms.lobby, alice, "@bob")
    assert count(bob, rooms.lobby) == Unread(head=2, read=1, unread=1, mentions=1)


def test_a_room_made_after_the_first_visit_is_unread_from_its_beginning(alice, bob, rooms):
    memberships.store_first_visits([bob.pk])
    room = Room.objects.create(title="New")
    # In the visit's own millisecond it would count as before it.
    with time_machine.travel(timezone.now() + timedelta(milliseconds=5), tick=False):
        post(room, alice)
    assert count(bob, room) == Unread(head=1, read=0, unread=1, mentions=0)


def test_a_room_that_becomes_enterable_later_is_read_up_to_the_first_visit(alice, bob, rooms):
    post_many(rooms.staff, alice, 5)
    Event.objects.update(at=timezone.now() - timedelta(days=2))
    Visit.objects.create(user=bob, at=timezone.now() - timedelta(days=1))
    post_many(rooms.staff, alice, 3)
    assert count(bob, rooms.staff) == Unread(head=8, read=5, unread=3, mentions=0)


def test_counting_by_the_first_visit_writes_no_row(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.store_first_visits([bob.pk])
    unread.count({RoomUser(room.pk, bob.pk): None for room in rooms})
    assert not Membership.objects.exists()


def test_unread_messages_are_undeleted_by_other_authors_and_after_the_position(alice, bob, rooms):
    for body in ("one", "two @bob", "three @bob"):
        post(rooms.lobby, alice, body)
    post(rooms.lobby, bob, "by @bob himself")
    post(rooms.lobby, None, "by the system")
    assert count(bob, rooms.lobby) == Unread(head=5, read=0, unread=4, mentions=2)
    change(rooms.lobby, alice, Kind.EDITED, 1, "one @bob")
    assert count(bob, rooms.lobby) == Unread(head=6, read=0, unread=4, mentions=3)
    change(rooms.lobby, alice, Kind.DELETED, 3)
    assert count(bob, rooms.lobby) == Unread(head=7, read=0, unread=3, mentions=2)
    assert count(bob, rooms.lobby, 1) == Unread(head=7, read=1, unread=2, mentions=1)


def test_messages_of_a_deleted_user_count_as_unread(alice, bob, rooms):
    post(rooms.lobby, alice)
    alice.delete()
    assert count(bob, rooms.lobby).unread == 1


def test_a_count_stops_at_the_most(alice, bob, rooms):
    post_many(rooms.lobby, alice, MOST + 20, "@bob")
    assert count(bob, rooms.lobby) == Unread(MOST + 20, 0, MOST, MOST)
    assert count(bob, rooms.lobby, 21) == Unread(MOST + 20, 21, MOST - 1, MOST - 1)


def test_any_number_of_pairs_is_counted_by_three_queries(alice, bob, charlie, rooms):
    post(rooms.lobby, alice, "@bob")
    pairs = {RoomUser(room.pk, user.pk): None for user in (alice, bob, charlie) for room in rooms}
    with CaptureQueriesContext(connection) as captured:
        counts = unread.count(pairs)
    assert len(captured) == 3
    in_lobby = {user: found for (room, user), found in counts.items() if room == rooms.lobby.pk}
    assert {user: (found.unread, found.mentions) for user, found in in_lobby.items()} == {
        alice.pk: (0, 0),
        bob.pk: (1, 1),
        charlie.pk: (1, 0),
    }
    assert counts.keys() == pairs.keys()


def test_a_room_that_is_read_to_its_head_takes_no_count_query(alice, bob, rooms):
    post(rooms.lobby, alice)
    memberships.store_first_visits([bob.pk])
    with CaptureQueriesContext(connection) as captured:
        assert count(bob, rooms.lobby).unread == 0
    assert not any("chat_mention" in query["sql"] for query in captured)


def test_a_room_that_does_not_exist_has_no_count(bob, rooms):
    assert unread.count({RoomUser(10**6, bob.pk): None, RoomUser(10**6 + 1, bob.pk): 3}) == {}


@pytest.fixture
def prefer_indexes():
    """A function that makes PostgreSQL plan for these few rows as it does for many."""
    if connection.vendor == "sqlite":
        yield lambda: None
        return

    def prepare():
        with connection.cursor() as cursor:
            # As autovacuum does. An index-only scan needs pages that are marked as visible to all transactions.
            for table in ("event", "mention", "membership"):
                cursor.execute(f"VACUUM ANALYZE chat_{table}")
            cursor.execute("SET enable_seqscan = off")

    yield prepare
    with connection.cursor() as cursor:
        cursor.execute("RESET enable_seqscan")


@pytest.mark.django_db(transaction=True)  # VACUUM runs outside of transactions
def test_counting_reads_indexes_and_scans_no_table(alice, bob, rooms, prefer_indexes):
    post_many(rooms.lobby, alice, 600, "hi @bob")
    memberships.store_first_visits([bob.pk])
    post_many(rooms.lobby, alice, 600, "hi @bob")
    # Add many edits, which are not messages.
    at = timezone.now()
    edit = Event.objects.create(room=rooms.lobby, seq=1201, kind=Kind.EDITED, target_seq=1, username="alice", at=at)
    copy_event(edit, 1202, 5200)
    Room.objects.filter(pk=rooms.lobby.pk).update(head_seq=5200)
    prefer_indexes()
    with CaptureQueriesContext(connection) as captured:
        assert count(bob, rooms.lobby).unread == 600
    plans = []
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{query['sql']}")
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))
    assert "event_room_at" in plans[0]
    assert "event_posted" in plans[1], plans[1]
    # SQLite chooses the name of a unique constraint's index itself.
    assert "mention_user_room_seq" in plans[1] or "(user_id=? AND room_id=? AND seq>?)" in plans[1]
    assert not re.search(r"(SCAN|Seq Scan on) (chat_)?(event|mention|membership|room)\b", "\n".join(plans)), plans


def test_news_has_the_events_of_the_given_ranges_with_their_messages(alice, bob, rooms):
    post(rooms.lobby, alice, "one @bob")
    post(rooms.lobby, bob, "two @alice")
    post(rooms.random, None)
    change(rooms.lobby, bob, Kind.EDITED, 2, "two @bob @alice")
    change(rooms.lobby, alice, Kind.DELETED, 1)
    post(rooms.lobby, alice, "not asked for")
    news = unread.news({rooms.lobby.pk: (1, 4), rooms.random.pk: (0, 1)})
    assert [item[:6] for item in news] == [
        (rooms.lobby.pk, 2, Kind.POSTED, 2, bob.pk, {alice.pk, bob.pk}),
        (rooms.lobby.pk, 3, Kind.EDITED, 2, bob.pk, {alice.pk, bob.pk}),
        (rooms.lobby.pk, 4, Kind.DELETED, 1, alice.pk, set()),
        (rooms.random.pk, 1, Kind.POSTED, 1, None, set()),
    ]


def test_the_news_of_an_edit_costs_the_same_after_any_number_of_edits(alice, bob, rooms):
    post(rooms.lobby, alice, "one")
    costs = []
    for count in (1, 15):
        for _ in range(count):
            change(rooms.lobby, alice, Kind.EDITED, 1, "@bob")
        head = Room.objects.get(pk=rooms.lobby.pk).head_seq
        with CaptureQueriesContext(connection) as captured:
            [item] = unread.news({rooms.lobby.pk: (head - 1, head)})
        assert item.named == {bob.pk}
        costs.append(len(captured))
    assert costs == [2, 2]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.any_database) for seed in seeds(4)[1:])])
def test_after_random_changes_unread_matches_a_plain_count(alice, bob, rooms, seed):
    chance = random.Random(seed)
    users, both = (alice, bob), rooms[:2]
    for _ in range(60 if IS_FULL else 40):
        room, user = chance.choice(both), chance.choice(users)
        head = Room.objects.get(pk=room.pk).head_seq
        seq = chance.randrange(1, head + 2)
        match chance.choice(["post", "post", "alert", "edit", "delete", "confirm", "resolve"]):
            case "post":
                post(room, chance.choice([*users, None]), chance.choice(["hi", "@bob", "@alice, @bob", "@stranger"]))
            case "alert":
                actions.post_message(room, chance.choice([*users, None]), "@bob", msg_type=2)
            case "confirm":
                change(room, user, Kind.CONFIRMED, seq)
            case "resolve":
                change(room, user, Kind.RESOLVED, seq)
            case "edit":
                change(room, user, Kind.EDITED, seq, chance.choice(["hi", "@bob", "@alice"]))
            case "delete":
                change(room, user, Kind.DELETED, seq)
        read = chance.randrange(0, head + 1)
        assert count(user, room, read)[2:5] == (*plain_count(user, room, read), plain_alerts(user, room))
