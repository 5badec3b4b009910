"""A room's log: numbers without holes, reading in pages, and the bell after the commit."""

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from chat import doorbell, protocol
from chat.models import Event, Room
from chat.store import actions, event_rows, log
from chat.store.actions import Draft
from chat.store.log import HistoryPlace, Kind
from tests.copies import copy_event
from tests.servers.quantities import seeds

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(monkeypatch):
    """The bells that were rung, in order."""
    rung = []
    monkeypatch.setattr(doorbell, "ring", rung.append)
    return rung


def post(room, author, *bodies):
    return actions.commit([Draft(room=room.pk, author=author.pk, body=body) for body in bodies])


def seqs(room):
    return list(Event.objects.filter(room=room).order_by("seq").values_list("seq", flat=True))


def messages(page):
    return [(logged.event.seq, logged.event.message) for logged in page]


def test_a_rolled_back_transaction_leaves_no_hole_and_rings_no_bell(bob, rooms, rung):
    post(rooms.lobby, bob, "a")
    with pytest.raises(ZeroDivisionError), log.append([rooms.lobby.pk]) as batch:
        batch.post(batch.rooms[rooms.lobby.pk], author_id=bob.pk, username="bob", body="lost")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        post(rooms.lobby, bob, "lost too")
        raise ZeroDivisionError
    post(rooms.lobby, bob, "b")
    assert messages(log.read(rooms.lobby.pk, after=0, limit=10)) == [(1, "a"), (2, "b")]
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 2
    assert rung == [{rooms.lobby.pk: 1}, {rooms.lobby.pk: 2}]


def test_the_bell_rings_only_after_the_commit(bob, rooms, rung):
    with transaction.atomic():
        post(rooms.lobby, bob, "a", "b")
        post(rooms.random, bob, "c")
        assert rung == []
    assert rung == [{rooms.lobby.pk: 2}, {rooms.random.pk: 1}]


def test_a_batch_rings_once_with_the_new_head_of_each_room(bob, rooms, rung):
    drafts = [Draft(room=room.pk, author=bob.pk, body="hi") for room in (rooms.lobby, rooms.random, rooms.lobby)]
    actions.commit(drafts)
    assert rung == [{rooms.lobby.pk: 2, rooms.random.pk: 1}]


def test_a_batch_that_adds_nothing_does_not_ring(bob, rooms, rung):
    draft = Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=uuid.uuid4())
    actions.commit([draft])
    actions.commit([draft])
    assert len(rung) == 1


def test_simultaneous_writers_leave_no_hole_and_double_nothing(bob, rooms):
    client_ids = [uuid.uuid4() for _ in range(40)]
    outcomes = [[] for _ in range(4)]

    def write(number):
        try:
            for start in range(0, 40, 5):
                drafts = [
                    Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=client_id)
                    for client_id in client_ids[start : start + 5]
                ]
                outcomes[number] += [outcome.seq for outcome in actions.commit(drafts)]
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seqs(rooms.lobby) == list(range(1, 41))
    assert outcomes[0] == outcomes[1] == outcomes[2] == outcomes[3]
    assert sorted(outcomes[0]) == list(range(1, 41))


def test_a_reader_never_sees_a_hole_while_others_write(bob, rooms):
    done = threading.Event()

    def write():
        try:
            for _ in range(30):
                post(rooms.lobby, bob, "a", "b")
        finally:
            done.set()
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    cursor = 0
    while not done.is_set() or cursor < 60:
        page = [logged.seq for logged in log.read(rooms.lobby.pk, after=cursor, limit=7)]
        assert page == list(range(cursor + 1, cursor + 1 + len(page)))
        cursor += len(page)
    writer.join()
    assert cursor == 60


def test_events_are_read_in_pages_from_a_cursor(bob, rooms):
    post(rooms.lobby, bob, *"abcde")
    post(rooms.random, bob, "elsewhere")
    assert messages(log.read(rooms.lobby.pk, after=0, limit=2)) == [(1, "a"), (2, "b")]
    assert messages(log.read(rooms.lobby.pk, after=3, limit=10)) == [(4, "d"), (5, "e")]
    assert log.read(rooms.lobby.pk, after=5, limit=10) == []


def test_a_page_of_events_is_bounded_by_the_bytes_of_its_frames(bob, rooms, settings):
    settings.CATCH_UP_BYTES = 5000
    post(rooms.lobby, bob, *["x" * 1000] * 6, "y" * 9000, "z")
    pages, after = [], 0
    while page := log.read(rooms.lobby.pk, after=after, limit=100):
        pages.append([logged.seq for logged in page])
        after = page[-1].seq
    assert pages == [[1, 2, 3, 4], [5, 6], [7], [8]]


def test_large_messages_are_read_in_small_queries(bob, rooms, settings):
    settings.CATCH_UP_BYTES = 1000
    post(rooms.lobby, bob, *["x" * 2000] * 150)
    with CaptureQueriesContext(connection) as captured:
        log.read(rooms.lobby.pk, after=0, limit=150)
        history(rooms.lobby, 100, 1000)
        history(rooms.lobby, 100, 1000, after=0)
    limits = [int(query["sql"].rpartition("LIMIT ")[2]) for query in captured if "LIMIT " in query["sql"]]
    assert limits.count(event_rows.ROWS_PER_QUERY) == 3
    assert max(limits) == event_rows.ROWS_PER_QUERY


def test_the_heads_of_the_given_rooms_are_read_in_one_query(bob, rooms, django_assert_num_queries):
    post(rooms.lobby, bob, *"abc")
    with django_assert_num_queries(1):
        assert log.heads([rooms.lobby.pk, 999]) == {rooms.lobby.pk: (3, 1, rooms.lobby.epoch)}
    assert {pk: head for pk, (head, _, _) in log.heads().items()} == {
        rooms.lobby.pk: 3,
        rooms.random.pk: 0,
        rooms.staff.pk: 0,
    }


def history(room, limit, max_bytes=10**6, **place):
    return log.history(Room.objects.get(pk=room.pk), HistoryPlace(**place), limit=limit, max_bytes=max_bytes)


def pages_of(room, limit, max_bytes=10**6):
    """Return all pages of a room's history, newest first, as a page reads them."""
    pages, before = [], None
    while True:
        page = history(room, limit, max_bytes, before=before)
        pages.append([event.seq for event in page.events])
        if not page.more:
            return pages
        before = page.events[0].seq


def test_history_goes_back_page_by_page_to_the_beginning(bob, rooms):
    post(rooms.lobby, bob, *"abcdefg")
    assert pages_of(rooms.lobby, 3) == [[5, 6, 7], [2, 3, 4], [1]]
    assert pages_of(rooms.lobby, 7) == [[1, 2, 3, 4, 5, 6, 7]]
    assert pages_of(rooms.random, 3) == [[]]


def test_history_has_messages_as_they_are_at_as_of(bob, rooms):
    post(rooms.lobby, bob, *"abc")
    change = {"room": rooms.lobby.pk, "author": bob.pk}
    actions.commit(
        [
            Draft(**change, kind=Kind.EDITED, target_seq=1, body="A"),
            Draft(**change, kind=Kind.DELETED, target_seq=2),
        ]
    )
    page = history(rooms.lobby, 10)
    assert (page.as_of, page.more) == (5, False)
    assert [(event.seq, event.message, event.deleted) for event in page.events] == [
        (1, "A", False),
        (2, None, True),
        (3, "c", False),
    ]
    assert page.events[0].edited_at is not None
    assert page.events[2].edited_at is None


def test_a_message_has_its_authors_id_and_the_username_of_that_time(bob, rooms):
    with log.append([rooms.lobby.pk]) as batch:
        fresh = batch.post(batch.rooms[rooms.lobby.pk], author_id=bob.pk, username="bob", body="as bob")
        batch.post(batch.rooms[rooms.lobby.pk], author_id=None, username="", body="by the system")
    bob.username = "robert"
    bob.save()
    actions.post_message(rooms.lobby, bob, "as robert")
    page = log.read(rooms.lobby.pk, after=0, limit=10)
    authors = [(logged.event.user, logged.event.username) for logged in page]
    assert authors == [(bob.pk, "bob"), (None, ""), (bob.pk, "robert")]
    assert [(event.user, event.username) for event in history(rooms.lobby, 10).events] == authors
    # The frame that the feed's ring keeps has the same bytes as the frame that is read from the log later.
    assert log.logged(fresh).frame.payload == log.read(rooms.lobby.pk, after=0, limit=1)[0].frame.payload


def test_history_stops_at_the_floor(bob, rooms):
    post(rooms.lobby, bob, *"abcde")
    Room.objects.update(floor_seq=3)
    assert pages_of(rooms.lobby, 2) == [[4, 5], [3]]


def size(page):
    return sum(len(protocol.encode(event).payload) for event in page.events)


def shown(page):
    return [event.seq for event in page.events], page.more, page.newer


def test_a_page_of_history_is_bounded_by_its_bytes(bob, rooms):
    # A control character takes six bytes on the wire.
    post(rooms.lobby, bob, *["x" * 1000] * 6, "\x01" * 900, "y" * 9000, "z")
    assert pages_of(rooms.lobby, 10, 5000) == [[9], [8], [7], [3, 4, 5, 6], [1, 2]]
    assert size(history(rooms.lobby, 10, 5000, before=7)) <= 5000
    assert shown(history(rooms.lobby, 10, 5000, after=0)) == ([1, 2, 3, 4], False, True)
    assert shown(history(rooms.lobby, 10, 5000, after=7)) == ([8], True, True)
    assert shown(history(rooms.lobby, 10, 5000, after=8)) == ([9], True, False)
    # Around a message, both sides share the bytes, and the message itself is always included.
    assert shown(history(rooms.lobby, 10, 5000, around=4)) == ([2, 3, 4, 5], True, True)
    assert shown(history(rooms.lobby, 10, 5000, around=8)) == ([8], True, True)
    assert shown(history(rooms.lobby, 10, 5000, around=99)) == ([9], True, False)


@pytest.mark.parametrize("seed", seeds(5))
def test_pages_of_any_size_have_every_message_once(bob, rooms, seed):
    chance = random.Random(seed)
    post(rooms.lobby, bob, *("x" * chance.choice([1, 100, 1000, 3000]) for _ in range(40)))
    limit, max_bytes = chance.randrange(1, 12), chance.randrange(200, 5000)
    pages = pages_of(rooms.lobby, limit, max_bytes)
    assert [seq for page in reversed(pages) for seq in page] == list(range(1, 41))
    after, forward = 0, []
    while True:
        page = history(rooms.lobby, limit, max_bytes, after=after)
        assert 1 <= len(page.events) <= limit
        assert size(page) <= max_bytes or len(page.events) == 1
        assert page.more is (after > 0)
        forward += [event.seq for event in page.events]
        if not page.newer:
            break
        after = forward[-1]
    assert forward == list(range(1, 41))


def at_times(room, *seconds):
    """Set the times of messages 1, 2 … of a room, in seconds after noon."""
    for seq, second in enumerate(seconds, start=1):
        Event.objects.filter(room=room, seq=seq).update(at=NOON + timedelta(seconds=second))


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))])
def test_history_from_a_time_begins_at_the_first_message_at_or_after_it(bob, rooms, zone):
    post(rooms.lobby, bob, *"abcdefgh")
    at_times(rooms.lobby, 0, 0, 10, 20, 20, 20, 30, 40)
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, kind=Kind.EDITED, target_seq=1, body="A")])

    def first(second):
        page = history(rooms.lobby, 3, since_time=(NOON + timedelta(seconds=second)).astimezone(zone))
        return [event.seq for event in page.events], page.more, page.newer

    assert first(-1) == ([1, 2, 3], False, True)
    assert first(0) == ([1, 2, 3], False, True)
    assert first(1) == ([3, 4, 5], True, True)
    assert first(20) == ([4, 5, 6], True, True)
    assert first(40) == ([8], True, False)
    assert first(41) == ([], True, False)


def test_history_from_a_time_begins_at_the_floor(bob, rooms):
    post(rooms.lobby, bob, *"abcde")
    Room.objects.update(floor_seq=3)
    page = history(rooms.lobby, 2, since_time=NOON - timedelta(days=10_000))
    assert ([event.seq for event in page.events], page.more) == ([3, 4], False)
    assert history(rooms.random, 2, since_time=NOON).events == []


@pytest.mark.parametrize(
    ("text", "seqs"),
    [
        ("0001-01-01T00:00:00+14:00", [1, 2]),
        ("0001-01-01T00:00:00Z", [1, 2]),
        ("9999-12-31T23:59:59.999999-14:00", []),
        ("9999-12-31T23:59:59Z", []),
    ],
)
def test_history_from_the_first_and_last_times_of_the_calendar_works(bob, rooms, text, seqs):
    post(rooms.lobby, bob, *"ab")
    page = history(rooms.lobby, 5, since_time=datetime.fromisoformat(text))
    assert ([event.seq for event in page.events], page.more) == (seqs, not seqs)


def test_history_from_a_time_begins_at_or_after_it_although_the_clock_went_back(bob, rooms):
    post(rooms.lobby, bob, *"abcdefgh")
    at_times(rooms.lobby, 0, 10, 20, 30, 25, 35, 40, 50)
    page = history(rooms.lobby, 3, since_time=NOON + timedelta(seconds=28))
    assert page.events[0].seq in (4, 6)


def many_events(room, author, count, every=50):
    """Fill a room with messages, each followed by edits of it."""
    for seq in range(1, count + 1, every):
        shared = {"room": room, "author": author, "at": NOON + timedelta(seconds=seq)}
        Event.objects.create(seq=seq, kind=Kind.POSTED, body="hi", **shared)
        edit = Event.objects.create(seq=seq + 1, kind=Kind.EDITED, target_seq=seq, edit_seq=seq + 1, **shared)
        copy_event(edit, seq + 2, seq + every - 1, edit_seq="n")
    Room.objects.filter(pk=room.pk).update(head_seq=count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plans_of(queries):
    """Yield the database's plan of each query."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # These few rows may be scanned. tests/servers/test_plans.py has enough of them to leave the choice to it.
            cursor.execute("SET LOCAL enable_seqscan = off")
        for sql in queries:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            yield "\n".join(str(row) for row in cursor.fetchall())


PLACES = [
    {},
    {"before": 2500},
    {"after": 2500},
    {"after": 4900},
    {"around": 2500},
    {"since_time": datetime(2026, 11, 21, 13, tzinfo=UTC)},
    {"since_time": datetime(2999, 1, 1, tzinfo=UTC)},
]


def test_history_reads_few_rows_anywhere_in_a_room(bob, rooms):
    many_events(rooms.lobby, bob, 5000)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE chat_event")  # as autovacuum does
    for place in PLACES:
        with CaptureQueriesContext(connection) as captured:
            page = history(rooms.lobby, 10, **place)
        assert page.events or "since_time" in place, place
        queries = [query["sql"] for query in captured if "chat_event" in query["sql"]]
        assert len(queries) <= 16, place
        for sql in queries:
            # With two lower bounds, SQLite may choose the wrong one.
            assert sql.count('"seq" >') <= 1, place
        for plan in plans_of(queries):
            assert "event_posted" in plan, plan
            assert "TEMP B-TREE" not in plan, plan
            assert "Sort" not in plan, plan


def test_opening_history_takes_two_queries_under_many_edits(bob, rooms, django_assert_num_queries):
    many_events(rooms.lobby, bob, 1000, every=200)
    with django_assert_num_queries(2):  # the room, and its five messages
        page = history(rooms.lobby, 10)
    assert [event.seq for event in page.events] == [1, 201, 401, 601, 801]


def test_a_page_of_history_has_edits_that_came_after_the_page(bob, rooms):
    post(rooms.lobby, bob, *"abc")
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, kind=Kind.EDITED, target_seq=1, body="A")])
    page = history(rooms.lobby, 10, before=2)
    assert [(event.seq, event.message) for event in page.events] == [(1, "A")]
    assert page.as_of == 4


def test_frames_and_database_have_the_same_utc_times_in_milliseconds(bob, rooms):
    [outcome] = post(rooms.lobby, bob, "hi")
    event = Event.objects.get()
    assert event.at.microsecond % 1000 == 0
    assert outcome.logged.event.at == event.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.at.microsecond // 1000:03}Z"


def test_a_client_id_is_found_only_for_its_author(alice, bob, rooms):
    client_id = uuid.uuid4()
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=client_id)])
    assert log.find_committed([]) == {}
    assert log.find_committed([(alice.pk, client_id)]) == {}
    assert list(log.find_committed([(bob.pk, client_id), (alice.pk, uuid.uuid4())])) == [(bob.pk, client_id)]


@pytest.mark.skipif("sqlite" not in connections.settings["default"]["ENGINE"], reason="about SQLite's settings")
def test_sqlite_uses_wal_with_full_sync_and_immediate_transactions(bob, rooms):
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.transaction_mode == "IMMEDIATE"


def test_many_client_ids_of_many_authors_are_found_in_pieces_and_each_with_its_author(rooms, django_user_model):
    users = django_user_model.objects.bulk_create(
        [django_user_model(username=f"user{number}") for number in range(log.FIND_DRAFTS + 1)]
    )
    drafts = [Draft(room=rooms.lobby.pk, author=user.pk, body="hi", client_id=uuid.uuid4()) for user in users]
    actions.commit(drafts)
    # The client_ids of others, with which these authors have sent nothing.
    strangers = [(draft.author, other.client_id) for draft, other in pairwise([*drafts, drafts[0]])]
    with CaptureQueriesContext(connection) as captured:
        found = log.find_committed([*(draft.key for draft in drafts), *strangers])
    assert {key: event.seq for key, event in found.items()} == {
        draft.key: number for number, draft in enumerate(drafts, 1)
    }
    # PostgreSQL gets the three statements in one round trip.
    assert sum(query["sql"].count("WITH asked") for query in captured) == 3


def test_a_new_event_has_the_defaults_of_its_model_of_which_none_is_callable(rooms):
    with log.append([rooms.lobby.pk]) as batch:
        event = batch.post(batch.rooms[rooms.lobby.pk], username="bob", body="hello")
        expected = Event(room=rooms.lobby, seq=event.seq, at=event.at, username="bob", body="hello")
        fields = Event._meta.concrete_fields
        assert {f.attname: getattr(event, f.attname) for f in fields} == {
            f.attname: getattr(expected, f.attname) for f in fields
        }
        assert not any(callable(f.default) for f in fields if f.has_default())
