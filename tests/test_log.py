"""A room's numbered log: numbers without holes, pages, and the bell after the commit."""

import random
import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from chat import doorbell, protocol
from chat.models import Event, Room
from chat.store import actions, log
from chat.store.actions import Draft
from chat.store.log import HistoryPlace, Kind

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rung(monkeypatch):
    """What was rung, in order."""
    heard = []
    monkeypatch.setattr(doorbell, "ring", heard.append)
    return heard


def say(room, author, *bodies):
    return actions.commit([Draft(room=room.pk, author=author.pk, body=body) for body in bodies])


def seqs(room):
    return list(Event.objects.filter(room=room).order_by("seq").values_list("seq", flat=True))


def texts(events):
    return [(one.event.seq, one.event.message) for one in events]


def test_a_transaction_that_is_rolled_back_leaves_no_hole_and_rings_no_bell(bob, rooms, rung):
    say(rooms.lobby, bob, "a")
    with pytest.raises(ZeroDivisionError), log.append([rooms.lobby.pk]) as batch:
        batch.post(batch.rooms[rooms.lobby.pk], author=bob, username="bob", body="lost")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        say(rooms.lobby, bob, "lost too")
        raise ZeroDivisionError
    say(rooms.lobby, bob, "b")
    assert texts(log.read(rooms.lobby.pk, after=0, limit=10)) == [(1, "a"), (2, "b")]
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 2
    assert rung == [{rooms.lobby.pk: 1}, {rooms.lobby.pk: 2}]


def test_the_bell_rings_after_the_commit_and_never_before(bob, rooms, rung):
    with transaction.atomic():
        say(rooms.lobby, bob, "a", "b")
        say(rooms.random, bob, "c")
        assert rung == []
    assert rung == [{rooms.lobby.pk: 2}, {rooms.random.pk: 1}]


def test_one_batch_rings_once_with_the_last_head_of_each_room(bob, rooms, rung):
    drafts = [Draft(room=room.pk, author=bob.pk, body="hi") for room in (rooms.lobby, rooms.random, rooms.lobby)]
    actions.commit(drafts)
    assert rung == [{rooms.lobby.pk: 2, rooms.random.pk: 1}]


def test_a_batch_in_which_nothing_was_added_rings_nothing(bob, rooms, rung):
    draft = Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=uuid.uuid4())
    actions.commit([draft])
    actions.commit([draft])
    assert len(rung) == 1


def test_many_writers_at_once_leave_no_holes_and_double_nothing(bob, rooms):
    client_ids = [uuid.uuid4() for _ in range(40)]
    outcomes = [[] for _ in range(4)]

    def write(number):
        try:
            for start in range(0, 40, 5):
                drafts = [
                    Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=one)
                    for one in client_ids[start : start + 5]
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


def test_whoever_reads_while_others_write_never_sees_a_jump(bob, rooms):
    done = threading.Event()

    def write():
        try:
            for _ in range(30):
                say(rooms.lobby, bob, "a", "b")
        finally:
            done.set()
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    cursor = 0
    while not done.is_set() or cursor < 60:
        page = [one.seq for one in log.read(rooms.lobby.pk, after=cursor, limit=7)]
        assert page == list(range(cursor + 1, cursor + 1 + len(page)))
        cursor += len(page)
    writer.join()
    assert cursor == 60


def test_events_are_read_in_pages_from_a_cursor(bob, rooms):
    say(rooms.lobby, bob, *"abcde")
    say(rooms.random, bob, "elsewhere")
    assert texts(log.read(rooms.lobby.pk, after=0, limit=2)) == [(1, "a"), (2, "b")]
    assert texts(log.read(rooms.lobby.pk, after=3, limit=10)) == [(4, "d"), (5, "e")]
    assert log.read(rooms.lobby.pk, after=5, limit=10) == []


def test_a_page_of_events_is_bounded_by_the_bytes_of_its_frames(bob, rooms, settings):
    settings.CATCH_UP_BYTES = 5000
    say(rooms.lobby, bob, *["x" * 1000] * 6, "y" * 9000, "z")
    pages, after = [], 0
    while page := log.read(rooms.lobby.pk, after=after, limit=100):
        pages.append([one.seq for one in page])
        after = page[-1].seq
    assert pages == [[1, 2, 3, 4], [5, 6], [7], [8]]


def test_large_texts_are_not_read_to_be_thrown_away(bob, rooms, settings):
    settings.CATCH_UP_BYTES = 1000
    say(rooms.lobby, bob, *["x" * 2000] * 150)
    with CaptureQueriesContext(connection) as asked:
        log.read(rooms.lobby.pk, after=0, limit=150)
        history(rooms.lobby, 100, 1000)
        history(rooms.lobby, 100, 1000, after=0)
    limits = [int(one["sql"].rpartition("LIMIT ")[2]) for one in asked if "LIMIT " in one["sql"]]
    assert limits.count(log.ROWS_PER_QUERY) == 3
    assert max(limits) == log.ROWS_PER_QUERY


def test_heads_are_those_of_the_rooms_asked_for_in_one_query(bob, rooms, django_assert_num_queries):
    say(rooms.lobby, bob, *"abc")
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
    say(rooms.lobby, bob, *"abcdefg")
    assert pages_of(rooms.lobby, 3) == [[5, 6, 7], [2, 3, 4], [1]]
    assert pages_of(rooms.lobby, 7) == [[1, 2, 3, 4, 5, 6, 7]]
    assert pages_of(rooms.random, 3) == [[]]


def test_history_holds_messages_as_they_stand_at_as_of(bob, rooms):
    say(rooms.lobby, bob, *"abc")
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


def test_a_message_tells_its_authors_id_which_a_rename_does_not_change(bob, rooms):
    with log.append([rooms.lobby.pk]) as batch:
        fresh = batch.post(batch.rooms[rooms.lobby.pk], author=bob, username="bob", body="as bob")
        batch.post(batch.rooms[rooms.lobby.pk], author=None, username="", body="by the system")
    bob.username = "robert"
    bob.save()
    actions.post_message(rooms.lobby, bob, "as robert")
    told = [(one.event.user, one.event.username) for one in log.read(rooms.lobby.pk, after=0, limit=10)]
    assert told == [(bob.pk, "bob"), (None, ""), (bob.pk, "robert")]
    assert [(event.user, event.username) for event in history(rooms.lobby, 10).events] == told
    # The first frame, which the feed's ring keeps, is the same bytes as the one that is read from the log later.
    assert log.logged(fresh).frame.payload == log.read(rooms.lobby.pk, after=0, limit=1)[0].frame.payload


def test_history_stops_at_the_floor(bob, rooms):
    say(rooms.lobby, bob, *"abcde")
    Room.objects.update(floor_seq=3)
    assert pages_of(rooms.lobby, 2) == [[4, 5], [3]]


def weight(page):
    return sum(len(protocol.encode(event).payload) for event in page.events)


def shown(page):
    return [event.seq for event in page.events], page.more, page.newer


def test_a_page_of_history_is_bounded_by_what_it_weighs(bob, rooms):
    # A control character is six bytes on the wire.
    say(rooms.lobby, bob, *["x" * 1000] * 6, "\x01" * 900, "y" * 9000, "z")
    assert pages_of(rooms.lobby, 10, 5000) == [[9], [8], [7], [3, 4, 5, 6], [1, 2]]
    assert weight(history(rooms.lobby, 10, 5000, before=7)) <= 5000
    assert shown(history(rooms.lobby, 10, 5000, after=0)) == ([1, 2, 3, 4], False, True)
    assert shown(history(rooms.lobby, 10, 5000, after=7)) == ([8], True, True)
    assert shown(history(rooms.lobby, 10, 5000, after=8)) == ([9], True, False)
    # Around a message both sides share the weight, and the message is there.
    assert shown(history(rooms.lobby, 10, 5000, around=4)) == ([2, 3, 4, 5], True, True)
    assert shown(history(rooms.lobby, 10, 5000, around=8)) == ([8], True, True)
    assert shown(history(rooms.lobby, 10, 5000, around=99)) == ([9], True, False)


@pytest.mark.parametrize("seed", range(5))
def test_pages_of_any_weight_miss_nothing_and_show_nothing_twice(bob, rooms, seed):
    chance = random.Random(seed)
    say(rooms.lobby, bob, *("x" * chance.choice([1, 100, 1000, 3000]) for _ in range(40)))
    limit, max_bytes = chance.randrange(1, 12), chance.randrange(200, 5000)
    pages = pages_of(rooms.lobby, limit, max_bytes)
    assert [seq for page in reversed(pages) for seq in page] == list(range(1, 41))
    after, forward = 0, []
    while True:
        page = history(rooms.lobby, limit, max_bytes, after=after)
        assert 1 <= len(page.events) <= limit
        assert weight(page) <= max_bytes or len(page.events) == 1
        assert page.more is (after > 0)
        forward += [event.seq for event in page.events]
        if not page.newer:
            break
        after = forward[-1]
    assert forward == list(range(1, 41))


def at_times(room, *seconds):
    """Give messages 1, 2 … of a room these times."""
    for seq, second in enumerate(seconds, start=1):
        Event.objects.filter(room=room, seq=seq).update(at=NOON + timedelta(seconds=second))


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=14))])
def test_history_from_a_time_begins_at_the_first_message_at_or_after_it(bob, rooms, zone):
    say(rooms.lobby, bob, *"abcdefgh")
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
    say(rooms.lobby, bob, *"abcde")
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
def test_a_time_at_the_edge_of_the_calendar_is_a_time_like_any_other(bob, rooms, text, seqs):
    say(rooms.lobby, bob, *"ab")
    page = history(rooms.lobby, 5, since_time=datetime.fromisoformat(text))
    assert ([event.seq for event in page.events], page.more) == (seqs, not seqs)


def test_a_clock_that_went_back_leads_to_a_message_at_that_time_or_after(bob, rooms):
    say(rooms.lobby, bob, *"abcdefgh")
    at_times(rooms.lobby, 0, 10, 20, 30, 25, 35, 40, 50)
    page = history(rooms.lobby, 3, since_time=NOON + timedelta(seconds=28))
    assert page.events[0].seq in (4, 6)


def many_events(room, author, count, every=50):
    """Fill a room: one message, then edits and deletes of it, as far as the queries can tell."""
    Event.objects.bulk_create(
        Event(
            room=room,
            seq=seq,
            kind=Kind.POSTED if seq % every == 1 else Kind.EDITED,
            target_seq=None if seq % every == 1 else seq - seq % every + 1,
            edit_seq=None if seq % every == 1 else seq,
            author=author,
            body="hi" if seq % every == 1 else "",
            at=NOON + timedelta(seconds=seq),
        )
        for seq in range(1, count + 1)
    )
    Room.objects.filter(pk=room.pk).update(head_seq=count)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def plans_of(asked):
    """Return how the database goes about the queries."""
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if connection.vendor == 'sqlite' else ''}{sql}")
            yield "\n".join(str(row) for row in cursor.fetchall())


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"before": 2500},
        {"after": 2500},
        {"after": 4900},
        {"around": 2500},
        {"since_time": datetime(2026, 11, 21, 13, tzinfo=UTC)},
        {"since_time": datetime(2999, 1, 1, tzinfo=UTC)},
    ],
    ids=str,
)
def test_history_looks_at_few_rows_wherever_it_is_in_a_room(bob, rooms, place):
    many_events(rooms.lobby, bob, 5000)
    with CaptureQueriesContext(connection) as captured:
        page = history(rooms.lobby, 10, **place)
    assert page.events or "since_time" in place
    asked = [one["sql"] for one in captured if "chat_event" in one["sql"]]
    assert len(asked) <= 16
    for sql in asked:
        # Of two lower bounds SQLite may take the wrong one.
        assert sql.count('"seq" >') <= 1
    for plan in plans_of(asked):
        assert "event_posted" in plan, plan
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan


def test_opening_history_reads_as_little_under_many_edits_as_under_none(bob, rooms, django_assert_num_queries):
    many_events(rooms.lobby, bob, 5000, every=1000)
    with django_assert_num_queries(2):  # the room, and its five messages
        page = history(rooms.lobby, 10)
    assert [event.seq for event in page.events] == [1, 1001, 2001, 3001, 4001]


def test_an_edited_message_of_another_page_is_found_in_its_own(bob, rooms):
    say(rooms.lobby, bob, *"abc")
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, kind=Kind.EDITED, target_seq=1, body="A")])
    page = history(rooms.lobby, 10, before=2)
    assert [(event.seq, event.message) for event in page.events] == [(1, "A")]
    assert page.as_of == 4


def test_times_are_utc_in_milliseconds_here_and_in_the_database(bob, rooms):
    [outcome] = say(rooms.lobby, bob, "hi")
    event = Event.objects.get()
    assert event.at.microsecond % 1000 == 0
    assert outcome.logged.event.at == event.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.at.microsecond // 1000:03}Z"


def test_what_is_found_is_the_authors_own(alice, bob, rooms):
    client_id = uuid.uuid4()
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, body="hi", client_id=client_id)])
    assert log.find_committed([]) == {}
    assert log.find_committed([(alice.pk, client_id)]) == {}
    assert list(log.find_committed([(bob.pk, client_id), (alice.pk, uuid.uuid4())])) == [(bob.pk, client_id)]


@pytest.mark.skipif("sqlite" not in connections.settings["default"]["ENGINE"], reason="about SQLite's own lock")
def test_sqlite_writes_ahead_syncs_in_full_and_locks_at_the_beginning(bob, rooms):
    with connection.cursor() as cursor:
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.transaction_mode == "IMMEDIATE"


def test_many_keys_of_many_authors_are_found_in_pieces_and_by_author(rooms, django_user_model):
    users = django_user_model.objects.bulk_create(
        [django_user_model(username=f"user{number}") for number in range(2 * log.FIND_AUTHORS + 1)]
    )
    drafts = [Draft(room=rooms.lobby.pk, author=user.pk, body="hi", client_id=uuid.uuid4()) for user in users]
    actions.commit(drafts)
    strangers = [(draft.author, uuid.uuid4()) for draft in drafts]
    with CaptureQueriesContext(connection) as captured:
        found = log.find_committed([*(draft.key for draft in drafts), *strangers])
    assert {key: place.seq for key, place in found.items()} == {
        draft.key: number for number, draft in enumerate(drafts, 1)
    }
    assert len(captured) == 3
    # Each author with their own keys: all with all would be as many searches as pairs.
    assert "OR" in captured[0]["sql"]
