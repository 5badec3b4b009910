"""Each list of the admin takes the same few queries however many rows there are, and none counts a whole table."""

import re
from types import SimpleNamespace

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat import admin_lists
from chat.models import Bot, Event, Room, RoomMember, Webhook
from chat.store import room_actions

User = get_user_model()
pytestmark = pytest.mark.django_db
# The queries of each list: session, user, their language, the page of rows, and what the paginator estimates.
MOST = 9
LISTS = list(admin.site._registry)


@pytest.fixture
def root(client, monkeypatch):
    # So that few rows, which are made quickly, fill a page.
    monkeypatch.setattr(admin.ModelAdmin, "list_per_page", 20)
    root = User.objects.create_superuser("root")
    client.force_login(root)
    return root


def make_rooms(numbers):
    rooms = Room.objects.bulk_create(
        [Room(title=f"Room {n}", title_key=f"room {n}", members_only=bool(n % 2), head_seq=1) for n in numbers]
    )
    Event.objects.bulk_create([Event(room=room, seq=1, username="", body="x", at=timezone.now()) for room in rooms])
    users = User.objects.order_by("-pk")[:20]
    RoomMember.objects.bulk_create([RoomMember(room=room, user=user) for room in rooms[:20] for user in users])


def make_bots(numbers):
    users = User.objects.bulk_create([User(username=f"bot{n}", password="!") for n in numbers])
    rooms = Room.objects.order_by("-pk")[: len(users)]
    Bot.objects.bulk_create([Bot(room=room, user=user) for room, user in zip(rooms, users, strict=True)])


def make_webhooks(numbers):
    rooms = Room.objects.order_by("-pk")[: len(numbers)]
    made = {"maker": User.objects.first(), "host": "example.com", "sent_seq": 0, "due_at": timezone.now()}
    Webhook.objects.bulk_create([Webhook(room=room, **made) for room in rooms])


def make_with(model, row):
    return lambda numbers: model.objects.bulk_create([model(**row(n)) for n in numbers])


# How rows of each list are made, in an order in which rooms find users.
MAKERS = {
    User: make_with(User, lambda n: {"username": f"user{n}", "password": "!"}),
    Group: make_with(Group, lambda n: {"name": f"group{n}"}),
    Room: make_rooms,
    Bot: make_bots,
    Webhook: make_webhooks,
    AccessAttempt: make_with(AccessAttempt, lambda n: {"username": f"user{n}", "failures_since_start": n}),
    AccessFailureLog: make_with(AccessFailureLog, lambda n: {"username": f"user{n}"}),
    AccessLog: make_with(AccessLog, lambda n: {"username": f"user{n}"}),
}


def grow(count):
    start = Room.all_objects.count()
    for make in MAKERS.values():
        make(range(start, start + count))


def path_of(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def queries_of(client, path):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path, follow=True).status_code == 200, path
    return [query["sql"] for query in captured]


def test_each_list_of_the_admin_is_filled_here():
    missing = {model._meta.label for model in LISTS} - {model._meta.label for model in MAKERS}
    assert not missing, f"say in MAKERS how their rows are made: {missing}"


def test_no_list_takes_more_queries_with_more_rows(client, root, monkeypatch):
    monkeypatch.setattr(admin.ModelAdmin, "list_per_page", 10)
    grow(3)
    few = {model: queries_of(client, path_of(model)) for model in LISTS}
    grow(20)
    for model, before in few.items():
        many = queries_of(client, path_of(model))
        assert len(many) == len(before) <= MOST, (model, many)


def filters_of(client, path):
    """Return a query for each filter beside a list: its last choice."""
    shown = client.get(path, follow=True).context["cl"]
    return [list(spec.choices(shown))[-1]["query_string"] for spec in shown.filter_specs]


def sorted_whole(statements):
    """Return the statements for which the database must read all rows and then sort them."""
    is_sqlite = connection.vendor == "sqlite"
    explain, mark = ("EXPLAIN QUERY PLAN", "TEMP B-TREE FOR ORDER BY") if is_sqlite else ("EXPLAIN", "Sort")
    found = []
    with connection.cursor() as cursor:
        if not is_sqlite:
            # PostgreSQL sorts few rows because that is fastest; the question is whether an index could be used.
            cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")
        for sql in statements:
            if sql.startswith("SELECT") and "ORDER BY" in sql:
                cursor.execute(f"{explain} {sql.replace('%', '%%')}")
                plan = str(cursor.fetchall())
                found += [(sql, plan)] if mark in plan else []
    return found


def test_no_list_counts_a_whole_table_or_sorts_it_unasked(client, root, monkeypatch):
    # A page of few rows is rendered in less time, and its queries are the same.
    monkeypatch.setattr(admin.ModelAdmin, "list_per_page", 5)
    monkeypatch.setattr(admin_lists, "MAX_COUNTED", 10)
    grow(15)
    for model in LISTS:
        path = path_of(model)
        # The list, a search, a later page, the counts beside the filters, the filters, and an order that a user chose.
        for query in ("", "?q=7", "?p=2", "?_facets=True", *filters_of(client, path), "?o=1"):
            statements = queries_of(client, path + query)
            # The highest id is read from the end of its index. Choices are the distinct values of one column.
            whole = [sql for sql in statements if re.match(r"SELECT (COUNT\(|DISTINCT [^,]+ FROM|MIN\()", sql)]
            assert not [sql for sql in whole if "LIMIT 11" not in sql], (model, query, whole)
            # A count computes no column of the rows that it counts.
            assert not [sql for sql in whole if sql.count("SELECT") > 2], (model, query, whole)
            if query in ("", "?p=2"):
                assert not sorted_whole(statements), (model, query)
        assert any("LIMIT 11" in sql for sql in statements), (model, "how many rows does it count?")


def pages_of(client, model):
    """Return the pages of the admin about a model that exist: its list, the page that adds a row, and a row's own."""
    info = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = reverse(f"{info}_change", args=[model._base_manager.order_by("pk").values_list("pk", flat=True)[0]])
    pages = {
        path: client.get(path, follow=True) for path in (reverse(f"{info}_changelist"), reverse(f"{info}_add"), row)
    }
    return {path: page.content.decode() for path, page in pages.items() if page.status_code == 200}


def test_no_form_or_filter_of_the_admin_offers_more_with_more_rows(client, root, monkeypatch):
    """However many rooms and users there are. Groups are few: each is a set of permissions."""
    monkeypatch.setattr(admin.ModelAdmin, "list_per_page", 5)
    larger = [model for model in MAKERS if model is not Group]

    def choices():
        pages = {path: page for model in LISTS for path, page in pages_of(client, model).items()}
        return {path: len(re.findall("<option|<li|<input", page)) for path, page in pages.items()}

    for number in (0, 100):
        for model in larger:
            MAKERS[model](range(number, number + 20))
        MAKERS[Group](range(number, number + 1))
        if number == 0:
            few = choices()
    assert {"/admin/chat/bot/add/", "/admin/chat/webhook/add/", "/admin/chat/room/add/"} < few.keys() and len(few) > 12
    # The one group that was added, in the form of a user, and the links to more pages.
    assert {path: count for path, count in choices().items() if count > few[path] + 8} == {}


def test_no_page_of_the_admin_shows_a_message(client, root, bob, charlie):
    """Neither the lists nor a row's own page, its history or the question before it is deleted."""
    grow(3)
    hidden = [
        room_actions.create_room("Plans", topic="Secret topic", who="members", members=[bob.pk]),
        room_actions.open_direct([bob.pk], by=charlie.pk),
    ]
    for room in hidden:
        room.send_message("the secret plan @root", bob)
    seen = 0
    for model in LISTS:
        rows = (
            [room.pk for room in hidden] if model is Room else model._base_manager.order_by("-pk")[:1].values_list("pk")
        )
        info = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for row in rows:
            key = row if model is Room else row[0]
            for page in ("change", "history", "delete"):
                answer = client.get(reverse(f"{info}_{page}", args=[key]), follow=True)
                assert "secret plan" not in answer.content.decode(), (model, page)
                seen += answer.status_code == 200
        for query in ("", "?q=secret"):
            assert "secret plan" not in client.get(path_of(model) + query).content.decode(), model
    assert "secret plan" not in client.get("/admin/").content.decode() and seen > 20


@pytest.mark.parametrize("add, model", [("add_bot", "bot"), ("add_webhook", "webhook")])
def test_rooms_to_choose_from_are_searched_for_among_those_that_the_user_may_enter(
    client, bob, charlie, rooms, add, model
):
    plans = room_actions.create_room("Lobbying", who="members", members=[charlie.pk])
    direct = room_actions.open_direct([bob.pk], by=charlie.pk)
    rows = [f"Lobby {n}" for n in range(30)]
    Room.objects.bulk_create([Room(title=title) for title in rows])
    bob.is_staff = True
    bob.save()
    client.force_login(bob)
    asked = {"app_label": "chat", "model_name": model, "field_name": "room"}

    def offered(**more):
        answer = client.get("/admin/autocomplete/", asked | more)
        return [row["text"] for row in answer.json()["results"]] if answer.status_code == 200 else answer.status_code

    assert offered(term="lob") == 403
    bob.user_permissions.add(Permission.objects.get(codename=add))
    assert offered(term="lobbying") == [] and "Lobby" in offered(term="lob")
    everything = offered() + offered(page=2)
    assert len(offered()) == 20 and not {plans.title, direct.title, str(direct)} & {*everything}
    assert {"Lobby", "Random", "Staff"} <= {*everything}
    # The list of rooms and a room's page stay closed.
    assert client.get("/admin/chat/room/").status_code == 403
    assert client.get(f"/admin/chat/room/{rooms.lobby.pk}/change/").status_code in (302, 403)
    plans.add_member(bob)
    assert offered(term="lobbying") == ["Lobbying"]


@pytest.mark.parametrize("parameter", ["attempt_time__gte", "locked_out"])
def test_failed_logins_are_filtered_by_what_needs_no_look_at_the_table(client, root, parameter):
    filters = [*filters_of(client, path_of(AccessAttempt)), *filters_of(client, path_of(AccessFailureLog))]
    assert any(parameter in query for query in filters) and not any("path_info" in query for query in filters)


@pytest.mark.parametrize("key", [models.CharField, models.UUIDField])
def test_a_list_of_an_app_whose_key_is_no_number_ends_with_what_is_counted(monkeypatch, key):
    monkeypatch.setattr(admin_lists, "MAX_COUNTED", 3)

    class Rows(list):
        model = SimpleNamespace(_meta=SimpleNamespace(pk=key(primary_key=True)))

        def order_by(self):
            return self

        def values(self, *names):
            return self

        def __getitem__(self, part):
            return SimpleNamespace(count=lambda: len(list(self)[part]))

    assert admin_lists.EstimatingPaginator(Rows(range(3)), 2).count == 3
    assert admin_lists.EstimatingPaginator(Rows(range(9)), 2).count == 4
