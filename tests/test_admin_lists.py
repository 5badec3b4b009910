"""The admin's lists take the same few queries however many rows there are, and none counts a whole table."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chat.models import Event, Room, RoomMember

User = get_user_model()
pytestmark = pytest.mark.django_db
# The queries of each list: session, user, their language, the page of rows, and what the paginator estimates.
MOST = 9


@pytest.fixture
def root(client):
    root = User.objects.create_superuser("root")
    client.force_login(root)
    return root


def grow(count):
    start = Room.all_objects.count()
    numbers = range(start, start + count)
    rooms = Room.objects.bulk_create(
        [Room(title=f"Room {n}", title_key=f"room {n}", members_only=bool(n % 2), head_seq=1) for n in numbers]
    )
    users = User.objects.bulk_create([User(username=f"user{n}", password="!") for n in numbers])
    RoomMember.objects.bulk_create([RoomMember(room=room, user=user) for room in rooms[:20] for user in users[:20]])
    Event.objects.bulk_create([Event(room=room, seq=1, username="", body="x", at=timezone.now()) for room in rooms])


def paths():
    for model in admin.site._registry:
        yield reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def queries_of(client, path):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200, path
    return [query["sql"] for query in captured]


def test_no_list_takes_more_queries_with_more_rows_or_counts_a_table(client, root):
    grow(30)
    few = {path: queries_of(client, path) for path in paths()}
    assert {"/admin/chat/room/", "/admin/auth/user/"} <= few.keys()
    grow(1500)
    for path, before in few.items():
        many = queries_of(client, path)
        assert len(many) == len(before) <= MOST, (path, many)
        if path in ("/admin/chat/room/", "/admin/auth/user/"):
            # A count is of a bounded part, or of one room's members.
            whole = [sql for sql in many if re.match(r"SELECT COUNT\(", sql) and "LIMIT" not in sql]
            assert not whole, (path, whole)


@pytest.mark.parametrize("path", ["/admin/chat/room/", "/admin/auth/user/"])
def test_a_search_and_a_later_page_count_no_table_either(client, root, path):
    grow(1500)
    for query in ("?q=7", "?p=5", "?o=1"):
        whole = [sql for sql in queries_of(client, path + query) if re.match(r"SELECT COUNT\(", sql)]
        assert not [sql for sql in whole if "LIMIT" not in sql], (path, query, whole)
