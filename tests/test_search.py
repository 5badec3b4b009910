"""Search: what is found in which spelling, in which order, and by whom (chat/store/search.py and search_*.py)."""

import json
import random
import threading
import uuid
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models.signals import post_init
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from chat import limits, views
from chat.models import IDS_PER_BLOCK, Event, Room, SearchText
from chat.protocol import AttachedFile
from chat.store import actions, files, id_blocks, log, room_actions, search, search_plans, search_query, search_text
from chat.store.actions import Draft
from chat.store.search import SearchTimeoutError
from chat.store.search_query import Query, SearchError

Kind = Event.Kind
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)  # a Wednesday


def ask(user, text, **options):
    query = search_query.parse(text, now=datetime.now(UTC), zone=UTC, is_best_first=options.pop("best", False))
    return search.find(user, query, **options)


def change(room, author, seq, kind, body=""):
    return Draft(room=room.pk, author=author.pk, kind=kind, target_seq=seq, body=body)


def statement(user, query):
    rooms = Room.objects.enterable_by(user)
    few = search_plans.few_of(rooms)
    is_few = few is not None and few.events <= search_plans.FEW_EVENTS
    return search_plans.statement(rooms, few if is_few else None, query, search_plans.Ids(), limit=20)


def texts(user, text, **options):
    return [message.message for message in ask(user, text, **options).messages]


@pytest.fixture
def lobby(db):
    return Room.objects.create(title="Lobby")


@pytest.fixture(autouse=True)
def many_events(monkeypatch):
    """The index of all rooms is searched, as if the user's rooms had many events."""
    monkeypatch.setattr(search_plans, "FEW_EVENTS", -1)


@pytest.fixture(params=["the index of all rooms", "the texts of few rooms"])
def both_ways(request, monkeypatch, many_events):
    if request.param == "the texts of few rooms":
        monkeypatch.setattr(search_plans, "FEW_EVENTS", 1000)


PARTS = [
    ("The deployment failed", "deploy"),
    ("The deployment failed", "PLOYM"),
    ("The deployment failed", "failed deployment"),
    ("The deployment failed", '"deployment failed"'),
    ("Die Straße ist gesperrt", "STRASSE"),
    ("Déjà vu à l'école", "deja ecole"),
    ("deja vu", "déjà"),
    ("Проверка связи", "проверк"),
    ("Ёлка", "елка"),
    ("東京都の温度は高い", "温度"),
    ("東京都の温度は高い", "都"),
    ("서울에서 만나요", "서울"),
    ("カタカナのテスト", "テスト"),
    ("ＦＵＬＬ width", "full"),
    ("release v1.2.3-rc4", "1.2.3-rc"),
    ("it is ok", "ok"),
    ("100% of_it!", "100% of_it!"),
    ('a "quoted" word', 'quoted" word'),
    ("see https://example.org/a?b=c", "example.org/a?b"),
    ("see https://example.org", "see has:link"),
    ("مرحبا بالعالم", "بالعالم"),
    ("สวัสดีชาวโลก", "ชาวโลก"),
    ("two\nlines of text", "lines of"),
    ("Łódź i København, Đà Nẵng", "lodz kobenhavn"),
    ("da nang", "Đà Nẵng"),
    ("Smørrebrød", "SMORREBROD"),
    ("Ὀδυσσεύς", "οδυσσευσ"),
    ("it doesn’t work", "doesn't"),
    ("it doesn't work", "doesn’t"),
    ("„Feierabend“ – endlich", '"feierabend" - endlich'),
    ("disk full at last", "“disk full”"),
    ("Berlin–München um 8", "berlin-münchen"),
    ("an e\u2011mail", "e-mail"),
    ("Donau\u00addampf\u00adschiff", "donaudampfschiff"),
    ("هَٰذَا كِتَابٌ", "كتاب"),
    ("أحمد هنا", "احمد"),
    ("שָׁלוֹם לכולם", "שלום"),
    ("کتاب می\u200cخوانم", "میخوانم"),
    ("we ❤\ufe0f tests", "❤ tests"),
    ("ガラスのカップ", "ガラス"),
    ("हिन्दी में लिखा", "हिन्दी"),
]


@pytest.mark.usefixtures("both_ways")
def test_a_message_is_found_by_a_part_of_its_text(lobby, bob):
    actions.post_message(lobby, bob, "another thing entirely")
    found = {}
    for message, query in PARTS:
        # A savepoint takes back each message, so that the next query finds its own alone.
        with transaction.atomic():
            actions.post_message(lobby, bob, message)
            found[message, query] = texts(bob, query)
            transaction.set_rollback(True)
    assert found == {(message, query): [message] for message, query in PARTS}


@pytest.mark.any_database
@pytest.mark.parametrize("text", ["Łódź ‘Déjà’ – ñ 東京 ガラス 서울 שָׁלוֹם أحمد İı ﬁne ½ Ǆ ΐ ς", "é" * 3, "\u00ad", "ı̇"])
def test_the_stored_form_of_a_stored_form_is_the_same(text):
    once = search_text.searchable(text)
    assert search_text.searchable(once) == once


FOLDED = json.loads((Path(__file__).parent / "folded.json").read_text())


@pytest.mark.any_database
@pytest.mark.parametrize(("text", "folded"), FOLDED["letters"] + FOLDED["signs"])
def test_letters_and_signs_are_folded_as_in_the_page(text, folded):
    # Spaces stand around each letter of a script without spaces. The page marks hits in the text as it is.
    assert search_text.searchable(text).replace(" ", "") == folded.replace(" ", "")
    assert search_text.searchable(folded) == search_text.searchable(text)


MESSAGES = ("Łódź", "plain", "doesn’t", "東京", "Ærø", "Donau\u00addampf")
# As the version before migration 0057 stored them.
EARLIER_FORMS = (" łodz ", " plain ", " doesn’t ", " 東 京 ", " ærø ", " donau\u00addampf ")


class Interrupted(Exception):
    pass


@pytest.fixture
def fold_migration(monkeypatch):
    """The migration of stored texts, in pieces of two, and its arguments."""
    migration = import_module("chat.migrations.0057_fold_more_letters")
    monkeypatch.setattr(migration, "PIECE", 2)
    return migration, (apps, SimpleNamespace(connection=connection))


def stored_texts():
    return tuple(SearchText.objects.order_by("pk").values_list("text", flat=True))


def store_earlier_forms():
    keys = SearchText.objects.order_by("pk").values_list("pk", flat=True)
    for pk, text in zip(list(keys), EARLIER_FORMS, strict=True):
        SearchText.objects.filter(pk=pk).update(text=text)


def test_texts_that_were_stored_in_an_earlier_form_are_stored_anew(lobby, bob, fold_migration):
    for message in MESSAGES:
        actions.post_message(lobby, bob, message)
    stored = stored_texts()
    store_earlier_forms()
    assert texts(bob, "lodz") == texts(bob, "doesn't") == []
    migration, arguments = fold_migration
    migration.fold(*arguments)
    assert stored_texts() == stored
    assert (texts(bob, "lodz"), texts(bob, "doesn't"), texts(bob, "plain")) == (["Łódź"], ["doesn’t"], ["plain"])
    assert texts(bob, "łodz") == ["Łódź"]
    assert texts(bob, "donaudampf") == [MESSAGES[-1]], "in the last piece"


def test_going_back_stores_the_texts_as_the_version_before_looks_for_them(lobby, bob, fold_migration):
    for message in MESSAGES:
        actions.post_message(lobby, bob, message)
    file = files.encode([AttachedFile(id=uuid.uuid4(), name="Łódź.pdf", type="x", size=1)])
    Event.objects.filter(body="plain").update(files=file)
    stored = stored_texts()
    migration, arguments = fold_migration
    migration.unfold(*arguments)
    earlier = tuple(form if form != " plain " else " plain łodz.pdf " for form in EARLIER_FORMS)
    assert stored_texts() == earlier == tuple(map(migration.earlier_form, earlier))
    # Its index follows, so the earlier spelling is found there.
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT count(*) FROM chat_search WHERE chat_search MATCH %s", ['"łodz"'])
            assert cursor.fetchone() == (2,)
    Event.objects.filter(body="plain").update(files=None)
    SearchText.objects.filter(text=" plain łodz.pdf ").update(text=" plain ")
    migration.fold(*arguments)
    assert stored_texts() == stored


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("direction", ["fold", "unfold"])
def test_an_interrupted_migration_of_the_texts_keeps_whole_pieces_and_is_run_again(
    lobby, bob, fold_migration, monkeypatch, direction
):
    for message in MESSAGES:
        actions.post_message(lobby, bob, message)
    stored = stored_texts()
    migration, arguments = fold_migration
    if direction == "fold":
        store_earlier_forms()
        module, name, before, after = search_text, "searchable", EARLIER_FORMS, stored
    else:
        module, name, before, after = migration, "earlier_form", stored, EARLIER_FORMS
    form = getattr(module, name)

    def interrupt(text):
        if "\u00ad" in text:
            raise Interrupted
        return form(text)

    # In the last piece, whose other text is taken back.
    monkeypatch.setattr(module, name, interrupt)
    with pytest.raises(Interrupted):
        getattr(migration, direction)(*arguments)
    assert stored_texts() == (*after[:4], *before[4:])
    monkeypatch.setattr(module, name, form)
    getattr(migration, direction)(*arguments)
    assert stored_texts() == after


@pytest.mark.usefixtures("both_ways")
def test_other_words_find_nothing(lobby, bob):
    for message in ("The deployment failed", "東京都の温度は高い", "of it"):
        actions.post_message(lobby, bob, message)
    for query in ("absent", "deployed", "温泉", "of%it", "o_ %", '"failed the"', "zq"):
        assert texts(bob, query) == [], query


@pytest.mark.usefixtures("both_ways")
def test_the_newest_come_first_and_a_cursor_continues(lobby, bob):
    for number in range(5):
        actions.post_message(lobby, bob, f"needle {number}")
    first = ask(bob, "needle", limit=2)
    assert [message.message for message in first.messages] == ["needle 4", "needle 3"]
    second = ask(bob, "needle", limit=3, before=first.cursor)
    assert [message.message for message in second.messages] == ["needle 2", "needle 1", "needle 0"]
    assert second.cursor is None


@pytest.mark.usefixtures("both_ways")
def test_the_best_come_first_on_request(lobby, bob):
    actions.post_message(lobby, bob, "disk")
    actions.post_message(lobby, bob, "diskette " + "and many other words " * 20)
    assert texts(bob, "disk", best=True)[0] == "disk"
    assert texts(bob, "disk")[0].startswith("diskette")


@pytest.mark.usefixtures("both_ways")
def test_edited_messages_are_found_by_their_new_text_and_deleted_ones_not_at_all(lobby, bob):
    seq = actions.post_message(lobby, bob, "the first wording")
    actions.commit([change(lobby, bob, seq, Kind.EDITED, "the second wording")])
    assert texts(bob, "first") == []
    assert texts(bob, "second") == ["the second wording"]
    actions.commit([change(lobby, bob, seq, Kind.DELETED)])
    assert texts(bob, "wording") == []
    assert not SearchText.objects.exists()


def test_a_message_that_is_posted_and_changed_in_one_batch_is_stored_as_it_stands(lobby, bob):
    actions.commit(
        [
            Draft(room=lobby.pk, author=bob.pk, body="gone at once"),
            change(lobby, bob, 1, Kind.DELETED),
            Draft(room=lobby.pk, author=bob.pk, body="a first wording"),
            change(lobby, bob, 3, Kind.EDITED, "a last wording"),
        ]
    )
    assert texts(bob, "gone") == texts(bob, "first") == []
    assert texts(bob, "wording") == ["a last wording"]


@pytest.mark.usefixtures("both_ways")
def test_filters_narrow_what_is_found(lobby, alice, bob):
    other = Room.objects.create(title="Incidents")
    actions.post_message(lobby, alice, "disk full")
    actions.post_message(lobby, bob, "disk empty")
    actions.post_message(other, bob, "disk gone")
    assert texts(bob, "disk from:alice") == ["disk full"]
    assert texts(bob, "disk from:@BOB") == ["disk gone", "disk empty"]
    assert texts(bob, "disk in:incidents") == ["disk gone"]
    assert texts(bob, 'disk in:"Incidents" from:alice') == []
    assert texts(bob, "in:nowhere disk") == []
    Event.objects.filter(body="disk full").update(at=datetime.now(UTC) - timedelta(days=3))
    assert texts(bob, "disk before:yesterday") == ["disk full"]
    assert "disk full" not in texts(bob, "disk after:yesterday")


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-11-20", "2026-11-20"),
        ("today", "2026-11-25"),
        ("yesterday", "2026-11-24"),
        ("monday", "2026-11-23"),
        ("Wednesday", "2026-11-18"),
        ("thursday", "2026-11-19"),
    ],
)
def test_days_begin_at_midnight_of_the_reader(value, day):
    zone = ZoneInfo("Europe/Berlin")
    found = search_query.parse(f"x1 after:{value}", now=NOW, zone=zone).after
    assert found == datetime.fromisoformat(day).replace(tzinfo=zone)


@pytest.mark.any_database
@pytest.mark.parametrize(("german", "english"), [("Montag", "monday"), ("heute", "today"), ("GESTERN", "yesterday")])
def test_days_have_their_names_in_the_language_of_the_page_too(german, english):
    with pytest.raises(SearchError, match="Write a day"):
        search_query.parse(f"x1 after:{german}", now=NOW, zone=UTC)
    with translation.override("de"):
        found = [search_query.parse(f"x1 after:{name}", now=NOW, zone=UTC).after for name in (german, english)]
    assert found[0] == found[1] == search_query.parse(f"x1 after:{english}", now=NOW, zone=UTC).after


@pytest.mark.any_database
@pytest.mark.parametrize("text", ["", "   ", "x", "a" * 201, "x after:someday", "x has:cheese", '""'])
def test_a_query_that_cannot_be_run_is_refused_with_a_sentence(text):
    with pytest.raises(SearchError, match=r"\.$"):
        search_query.parse(text, now=NOW, zone=UTC)


@pytest.mark.parametrize(("text", "zone"), [("after:0001-01-01", "Asia/Tokyo"), ("before:0001-01-01", "Europe/Berlin")])
def test_a_day_that_the_database_cannot_hold_is_refused_with_a_sentence(lobby, bob, text, zone):
    with pytest.raises(SearchError, match=r"Write a day"):
        search.find(bob, search_query.parse(text, now=NOW, zone=ZoneInfo(zone)))


def import_messages(room, times):
    """Store messages whose ids are given, as an import does: one for each id and time."""
    events = [
        Event(pk=pk, room=room, seq=seq, username="bob", body=f"needle {pk}", at=at, client_id=uuid.uuid4())
        for seq, (pk, at) in enumerate(sorted(times.items()), room.head_seq + 1)
    ]
    log.import_events(events)
    Room.objects.filter(pk=room.pk).update(head_seq=events[-1].seq)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("seed", [0, 5, *(pytest.param(seed, marks=pytest.mark.full_size) for seed in (1, 2, 3, 4))])
def test_days_find_the_same_messages_whatever_the_order_of_ids_and_times(lobby, bob, seed):
    drawn = random.Random(seed)
    keys = drawn.sample(range(1, 30 * IDS_PER_BLOCK), 60)
    times = {pk: NOW + timedelta(hours=place) for place, pk in enumerate(sorted(keys))}
    # A clock that was set back, overlapping transactions, and an import of older messages beside others.
    for pk in drawn.sample(keys, seed % 6 * 3):
        times[pk] = NOW + timedelta(hours=drawn.randrange(60))
    import_messages(lobby, times)
    for hour in (-1, 0, 17, 18, 40, 59, 70):
        after, before = NOW + timedelta(hours=hour), NOW + timedelta(hours=hour + 12)
        for query in (
            Query(terms=["needle"], after=after),
            Query(terms=["needle"], before=before),
            Query(terms=["needle"], after=after, before=before),
        ):
            wanted = [
                f"needle {pk}"
                for pk, at in sorted(times.items(), reverse=True)
                if (query.after is None or at >= query.after) and (query.before is None or at < query.before)
            ]
            first = search.find(bob, query, limit=10)
            others = search.find(bob, query, before=first.cursor, limit=60).messages if first.cursor else []
            assert [message.message for message in (*first.messages, *others)] == wanted


def test_days_are_looked_up_in_an_index_and_bound_the_ids_that_are_read(lobby, bob):
    step = IDS_PER_BLOCK
    import_messages(lobby, {place * step: NOW + timedelta(days=place) for place in range(1, 40)})
    query = Query(terms=["needle"], after=NOW + timedelta(days=10), before=NOW + timedelta(days=20))
    with CaptureQueriesContext(connection) as captured:
        found = search.find(bob, query, limit=5)
    assert [message.seq for message in found.messages] == [19, 18, 17, 16, 15]
    assert search_plans.ids_of(query, None) == (10 * step, 20 * step)
    assert search_plans.ids_of(query, 15 * step) == (10 * step, 15 * step)
    *_, walk = [query["sql"] for query in captured if "chat_searchtext" in query["sql"]]
    assert str(10 * step) in walk and str(20 * step) in walk
    # An order of days that leaves nothing: no message has an id below the first block.
    assert search_plans.ids_of(Query(before=NOW), None) == (None, step)
    with connection.cursor() as cursor:
        for walk in (id_blocks.BEFORE, id_blocks.SINCE):
            is_sqlite = connection.vendor == "sqlite"
            if not is_sqlite:
                cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
            # PostgreSQL shows the plans of what the walk looks up only after it has begun.
            cursor.execute(f"EXPLAIN {'QUERY PLAN' if is_sqlite else 'ANALYZE'} {walk} SELECT 1 FROM block", [str(NOW)])
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            assert "event_time_of_ids" in plan, plan
            assert "SCAN event" not in plan and "TEMP B-TREE" not in plan and "Sort" not in plan, plan


def test_days_are_looked_up_without_a_look_at_blocks_that_have_no_messages(lobby, bob):
    far = 10_000 * IDS_PER_BLOCK
    import_messages(lobby, {1: NOW, far: NOW + timedelta(days=9)})
    day = NOW + timedelta(days=1)
    assert (id_blocks.end_of(day), id_blocks.start_of(day)) == (IDS_PER_BLOCK, far)
    with connection.cursor() as cursor:
        for walk in (id_blocks.BEFORE, id_blocks.SINCE):
            cursor.execute(f"{walk} SELECT COUNT(*) FROM block", [connection.ops.adapt_datetimefield_value(day)])
            assert cursor.fetchone()[0] < 10


def test_without_messages_no_days_have_ids(db):
    assert (id_blocks.end_of(NOW), id_blocks.start_of(NOW)) == (0, 0)


@pytest.mark.usefixtures("both_ways")
def test_messages_below_the_floor_are_not_found(lobby, bob):
    for number in range(3):
        actions.post_message(lobby, bob, f"needle {number}")
    Room.objects.filter(pk=lobby.pk).update(floor_seq=3)
    assert texts(bob, "needle") == ["needle 2"]


def test_words_with_a_colon_that_name_no_filter_are_words(lobby, bob):
    actions.post_message(lobby, bob, "at 12:30 see error:404 and http://x.org/")
    assert texts(bob, "12:30") == texts(bob, "error:404") == texts(bob, "http://x.org/") != []


@pytest.mark.usefixtures("both_ways")
def test_a_user_finds_nothing_in_rooms_that_they_may_not_enter(lobby, alice, bob):
    staff = Room.objects.create(title="Staff", staff_only=True)
    actions.post_message(staff, alice, "secretword here")
    actions.post_message(lobby, bob, "public here")
    assert texts(bob, "secretword") == texts(bob, "secretword in:staff") == texts(bob, "from:alice") == []
    assert texts(bob, "here") == ["public here"]
    assert texts(alice, "here") == ["public here", "secretword here"]
    # The right is asked anew at each search.
    staff.staff_only = False
    staff.save()
    assert texts(bob, "secretword") == ["secretword here"]
    staff.delete()
    assert texts(bob, "secretword") == []
    bob.is_active = False
    assert texts(bob, "here") == []


@pytest.mark.usefixtures("both_ways")
def test_a_members_only_room_is_searched_for_its_members_alone(lobby, alice, bob, charlie):
    private = Room.objects.create(title="Private", members_only=True)
    private.add_member(charlie)
    actions.post_message(private, charlie, "secretword of members")
    alice.is_superuser = True
    alice.save()
    for user in (alice, bob):
        assert texts(user, "secretword") == texts(user, "in:private") == texts(user, "from:charlie") == []
    assert texts(charlie, "secretword") == ["secretword of members"]
    private.remove_member(charlie)
    assert texts(charlie, "secretword") == []


def test_deleting_a_room_removes_its_texts(lobby, bob):
    actions.post_message(lobby, bob, "a text")
    lobby.delete()
    assert not SearchText.objects.exists()


def test_a_search_that_takes_too_long_is_given_up(lobby, bob, monkeypatch):
    for number in range(3):
        actions.post_message(lobby, bob, f"needle {number}")
    monkeypatch.setattr(search, "MAX_SECONDS", 0.001 if connection.vendor == "postgresql" else -1.0)
    monkeypatch.setattr(search, "STEPS_PER_LOOK", 1)
    if connection.vendor == "postgresql":
        sleep = "SELECT event.*, pg_sleep(1) AS search_text FROM chat_event event"
        monkeypatch.setattr(search_plans, "statement", lambda *args, **options: (sleep, []))
    with pytest.raises(SearchTimeoutError, match="too long"):
        search.find(bob, Query(terms=["needle"]))
    assert Event.objects.count() == 3  # the connection still works


def test_a_search_begins_no_transaction_on_sqlite_because_that_would_lock_writes_out(lobby, bob):
    actions.post_message(lobby, bob, "needle")
    with CaptureQueriesContext(connection) as captured:
        assert len(search.find(bob, Query(terms=["needle"])).messages) == 1
    begun = [query["sql"] for query in captured if query["sql"].startswith(("BEGIN", "SAVEPOINT"))]
    assert bool(begun) == (connection.vendor == "postgresql")


def test_another_error_of_the_database_is_not_taken_for_a_search_that_is_too_long(lobby, bob, monkeypatch):
    monkeypatch.setattr(search_plans, "statement", lambda *args, **options: ("SELECT * FROM chat_missing", []))
    with pytest.raises(DatabaseError) as caught:
        search.find(bob, Query(terms=["needle"]))
    assert "chat_missing" in str(caught.value)


def test_the_text_of_a_message_is_stored_without_an_instance_of_the_model(lobby, bob):
    made = []

    def note(**kwargs):
        made.append(kwargs["instance"])

    post_init.connect(note, sender=SearchText)
    try:
        actions.commit([Draft(room=lobby.pk, author=bob.pk, body="needle") for _ in range(4)])
    finally:
        post_init.disconnect(note, sender=SearchText)
    assert made == []
    assert texts(bob, "needle") == ["needle"] * 4


def test_the_index_and_not_the_table_is_searched(lobby, bob):
    actions.commit([Draft(room=lobby.pk, author=bob.pk, body=f"message number {number}") for number in range(600)])
    sql, params = statement(bob, Query(terms=["number 417"]))
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            plan = [row[-1] for row in cursor.fetchall()]
            assert "VIRTUAL TABLE INDEX" in plan[0], plan
            assert not [line for line in plan if line.startswith(("SCAN chat_event", "SCAN chat_searchtext"))]
        else:
            # Among so few rows PostgreSQL would choose another plan. The question is whether the index can be used.
            cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
            cursor.execute(f"EXPLAIN SELECT event_id FROM chat_searchtext found WHERE {search_plans.LIKE}", params[-1:])
            plan = [row[0] for row in cursor.fetchall()]
            assert any("search_trigrams" in line for line in plan), plan
            # The rooms are checked where the texts are read, and not joined to what was found.
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = [row[0] for row in cursor.fetchall()]
            assert any("hashed SubPlan" in line for line in plan), plan


QUERIES = {
    "a word": Query(terms=["number 41"]),
    "two letters": Query(terms=["ab"]),
    "a user": Query(author="alice", terms=["number"]),
    "files": Query(has_file=True),
    "days": Query(before=NOW, after=NOW),
}


def test_few_rooms_with_few_events_are_searched_without_a_look_at_other_rooms(lobby, alice, bob, monkeypatch):
    monkeypatch.setattr(search_plans, "FEW_EVENTS", 3)
    staff = Room.objects.create(title="Staff", staff_only=True)
    actions.commit([Draft(room=staff.pk, author=alice.pk, body=f"number {number}") for number in range(600)])
    for number in range(3):
        actions.post_message(lobby, bob, f"message number 41{number}")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
            cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
    for name, query in QUERIES.items():
        sql, params = statement(bob, query)
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{sql}", params)
            plan = "\n".join(row[-1] for row in cursor.fetchall())
        assert "search_room_event" in plan, (name, plan)
        # Other indexes may serve to look up the event of a text, and for nothing else.
        by_id = plan.count("id = found.event_id") + plan.count("event USING INTEGER PRIMARY KEY (rowid=?)")
        assert by_id == 1, (name, plan)
        for index in ("VIRTUAL TABLE", "search_trigrams", "SCAN event", "SCAN found"):
            assert index not in plan, (name, plan)


@pytest.mark.parametrize("few_matches", [-1, 1_000_000])
def test_pages_are_the_same_wherever_they_end(lobby, bob, monkeypatch, few_matches):
    # PostgreSQL first looks for a page among the newest ids.
    monkeypatch.setattr(search_plans, "NEWEST_IDS", 3)
    monkeypatch.setattr(search_plans, "FEW_MATCHES", few_matches)
    for number in range(9):
        actions.post_message(lobby, bob, f"needle {number}" if number % 4 else "something else")
    for limit in (1, 2, 3, 6, 7):
        seen, cursor = [], None
        while True:
            found = ask(bob, "needle", limit=limit, before=cursor)
            seen += [message.message for message in found.messages]
            if (cursor := found.cursor) is None:
                break
        assert seen == [f"needle {number}" for number in (7, 6, 5, 3, 2, 1)]


def test_a_cursor_names_a_message_that_the_user_has_seen_and_no_id(lobby, alice, bob):
    staff = Room.objects.create(title="Staff", staff_only=True)
    hidden = actions.post_message(staff, alice, "needle")
    for number in range(3):
        actions.post_message(lobby, bob, f"needle {number}")
    assert ask(bob, "needle", limit=2).cursor == f"{lobby.pk}-2"
    # The cursor of another room would tell when its message was posted.
    for cursor in (f"{staff.pk}-{hidden}", f"{lobby.pk}-99"):
        with pytest.raises(SearchError, match="is gone"):
            ask(bob, "needle", before=cursor)
    for cursor in ("5", f"{lobby.pk}-0", f"{lobby.pk}-2x", "9" * 19 + "-1"):
        with pytest.raises(SearchError, match="not valid"):
            ask(bob, "needle", before=cursor)


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite walks the matches, and never all texts")
def test_a_frequent_word_is_looked_for_in_the_texts_of_the_rooms_when_they_are_fewer(lobby, alice, bob, monkeypatch):
    monkeypatch.setattr(search_plans, "FEW_EVENTS", 1)
    monkeypatch.setattr(search_plans, "NEWEST_IDS", 1)
    monkeypatch.setattr(search_plans, "FEW_MATCHES", 5)
    for number in range(3):
        actions.post_message(lobby, bob, f"frequent {number}")
    staff = Room.objects.create(title="Staff", staff_only=True)
    actions.commit([Draft(room=staff.pk, author=alice.pk, body="frequent") for _ in range(50)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as captured:
        assert texts(bob, "frequent") == ["frequent 2", "frequent 1", "frequent 0"]
    last = [query["sql"] for query in captured if "search_text" in query["sql"]][-1]
    assert f"WHERE room_id IN ({lobby.pk}) LIMIT" in last


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite walks the matches, and never all texts")
def test_a_word_that_is_frequent_in_hidden_rooms_alone_does_not_lead_through_all_texts(lobby, alice, bob):
    staff = Room.objects.create(title="Staff", staff_only=True)
    for _ in range(10):
        actions.commit([Draft(room=staff.pk, author=alice.pk, body="secretword") for _ in range(20)])
        actions.commit([Draft(room=lobby.pk, author=bob.pk, body="other") for _ in range(150)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")
    with CaptureQueriesContext(connection) as captured:
        assert texts(bob, "secretword") == []
    assert search_plans.estimated_matches(["secretword"]) > 100
    last = [query["sql"] for query in captured if "search_text" in query["sql"]][-1]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {last.replace('%', '%%')}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    # What is sorted afterwards need not be read from the newest id on.
    assert "Sort Key: ((found.event_id + 0)) DESC" in plan, plan


def test_rooms_with_more_events_or_more_rooms_are_searched_by_the_index(lobby, bob, monkeypatch):
    for number in range(3):
        actions.post_message(lobby, bob, f"needle {number}")
    other = Room.objects.create(title="Other")

    def is_by_rooms(room=None):
        with CaptureQueriesContext(connection) as captured:
            search.find(bob, Query(terms=["needle"], room=room))
        [*_, last] = [query["sql"] for query in captured if "search_text" in query["sql"]]
        return ("WHERE room_id IN" if connection.vendor == "postgresql" else "INDEXED BY search_room_event") in last

    monkeypatch.setattr(search_plans, "FEW_EVENTS", 3)
    assert is_by_rooms()
    actions.post_message(other, bob, "needle")
    assert not is_by_rooms()
    # What has expired does not count.
    Room.objects.filter(pk=lobby.pk).update(floor_seq=2)
    assert is_by_rooms()
    monkeypatch.setattr(search_plans, "FEW_ROOMS", 1)
    assert not is_by_rooms()
    # A search in one room is a search in few rooms.
    assert is_by_rooms("other")


def test_messages_of_an_author_are_read_from_their_index(lobby, alice, bob):
    drafts = [Draft(room=lobby.pk, author=alice.pk, body=f"message number {number}") for number in range(600)]
    actions.commit([*drafts, Draft(room=lobby.pk, author=bob.pk, body="number 417, absent")])
    # Before a search, whose short timeout ends with the transaction.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    # Alone, with a short term, and with a long one.
    for terms in ([], ["ab"], ["number 417"]):
        query = Query(terms=terms, author="BOB")
        assert [message.username for message in search.find(alice, query).messages] == ["bob"], query
        with connection.cursor() as cursor:
            sql, params = statement(alice, query)
            cursor.execute(f"EXPLAIN {'' if connection.vendor == 'postgresql' else 'QUERY PLAN '}{sql}", params)
            plan = [row[-1] for row in cursor.fetchall()]
            assert any("event_author_newest" in line for line in plan), plan
            assert not [line for line in plan if "B-TREE FOR ORDER" in line], plan


def test_a_long_word_of_an_author_of_many_messages_is_read_from_the_index_of_texts(lobby, bob, monkeypatch):
    monkeypatch.setattr(search_plans, "FEW_OF_AUTHOR", 5)
    actions.commit([Draft(room=lobby.pk, author=bob.pk, body=f"message number {number}") for number in range(6)])
    query = Query(terms=["number 4"], author="bob")
    assert len(search.find(bob, query).messages) == 1
    assert ("chat_search" in statement(bob, query)[0].split("chat_searchtext")[0]) == (connection.vendor == "sqlite")


@pytest.mark.any_database
def test_the_address_answers_with_messages_and_refusals(lobby, alice, bob, client):
    address = reverse("search")
    assert client.get(address, {"q": "hello"}).status_code == 401
    client.force_login(bob)
    seq = actions.post_message(lobby, bob, "hello there")
    answer = client.get(address, {"q": "hello", "tz": "Europe/Berlin"})
    (result,) = json.loads(answer.content)["results"]
    assert (result["room"], result["seq"], result["message"], result["username"]) == (
        str(lobby.pk),
        seq,
        "hello there",
        "bob",
    )
    shown = {"id": str(lobby.pk), "title": "Lobby", "staff_only": False}
    assert json.loads(answer.content)["rooms"] == [shown]
    # The list of rooms leaves out archived ones, which are searched all the same.
    room_actions.change_room(lobby.pk, is_archived=True)
    assert client.get(address, {"q": "hello"}).json()["rooms"] == [shown | {"archived": True}]
    direct = room_actions.open_direct([alice.pk], by=bob.pk)
    actions.post_message(direct, alice, "for you")
    (room,) = client.get(address, {"q": "for you"}).json()["rooms"]
    assert (room["title"], room["people"]) == ("alice", ["alice"])
    assert answer["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    for query in ({"q": ""}, {"q": "hello", "before": "x"}, {"q": "x after:never"}):
        refused = client.get(address, query)
        assert refused.status_code == 400
        assert refused.json()["detail"].endswith(".")
    assert client.get(address, {"q": "hello", "tz": "../../etc/passwd"}).status_code == 200
    assert client.post(address, {"q": "hello"}).status_code == 405


def test_one_user_runs_one_search_at_a_time(lobby, bob, client, monkeypatch):
    client.force_login(bob)
    inside = []

    def find(*args, **options):
        thread = threading.Thread(target=lambda: inside.append(views._one_search(bob.pk).__enter__()))
        thread.start()
        thread.join()
        return search.Found([], None)

    monkeypatch.setattr(search, "find", find)
    assert client.get(reverse("search"), {"q": "hello"}).status_code == 200
    assert inside == [False]
    monkeypatch.undo()
    assert client.get(reverse("search"), {"q": "hello"}).status_code == 200


@pytest.mark.any_database
@pytest.mark.parametrize("fails", [False, True])
def test_the_time_of_a_search_is_rounded_up_so_that_it_does_not_tell_of_other_rooms(bob, client, monkeypatch, fails):
    client.force_login(bob)
    now, waits, taken = [5.0], [], [0.0]

    def find(*args, **options):
        now[0] += taken[0]
        if fails:
            raise SearchTimeoutError("This search takes too long.")
        return search.Found([], None)

    monkeypatch.setattr(search, "find", find)
    monkeypatch.setattr(views, "time", SimpleNamespace(perf_counter=lambda: now[0], sleep=waits.append))
    for seconds, waited in ((0.003, 0.022), (0.024, 0.001), (0.026, 0.024), (0.1, 0)):
        taken[0] = seconds
        limits.clear()
        assert client.get(reverse("search"), {"q": "hello"}).status_code == (503 if fails else 200)
        slept = waits.pop()
        assert waits == []
        # Just short of a whole step is as good as none.
        assert min(abs(slept - waited), abs(slept - waited - views.SEARCH_STEP_SECONDS)) < 1e-6, seconds


@pytest.mark.usefixtures("both_ways")
def test_all_filters_hold_together(lobby, alice, bob):
    incidents = Room.objects.create(title="Incidents")
    wanted = "the disk of https://example.org is full"
    for room, author, body in (
        (incidents, bob, wanted),
        (incidents, bob, "the disk is full"),
        (incidents, alice, wanted),
        (lobby, bob, wanted),
        (incidents, bob, f"{wanted} without a file"),
        (incidents, bob, f"{wanted}, too early"),
    ):
        actions.post_message(room, author, body)
    file = files.encode([AttachedFile(id=uuid.uuid4(), name="disk.pdf", type="x", size=1)])
    Event.objects.exclude(body__endswith="without a file").update(files=file)
    Event.objects.filter(body__endswith="too early").update(at=datetime.now(UTC) - timedelta(days=3))
    assert texts(bob, "from:bob in:incidents after:yesterday has:link has:file") == [wanted]
    assert texts(bob, "full from:bob in:incidents after:yesterday has:link has:file") == [wanted]
    assert texts(bob, "absent from:bob in:incidents after:yesterday has:link has:file") == []
