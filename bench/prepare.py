"""Tasks beside a Multichat server, in a process of their own: python -m bench.prepare TASK …, which prints JSON."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import reverse  # noqa: E402

from bench.wire import WORDS  # noqa: E402
from chat.models import Event, Room  # noqa: E402
from chat.store import actions  # noqa: E402
from chat.store.actions import Draft  # noqa: E402
from chat.store.log import Committed  # noqa: E402

# The lists whose search, later pages and order are timed too.
WELL_FILLED = ("/admin/chat/room/", "/admin/auth/user/")
# The rooms that a form offers while its user types.
CHOICES = "/admin/autocomplete/?app_label=chat&model_name=bot&field_name=room&term=7"
BACKEND = "django.contrib.auth.backends.ModelBackend"


def prepare(users: str, rooms: str) -> list[str]:
    """Make tables, rooms and signed-in users. Return the Cookie header of each user."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")  # of this connection alone
    call_command("migrate", interactive=False, verbosity=0)
    first = Room.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    titles = [f"Bench {number}" for number in range(first + 1, int(rooms) + 1)]
    for title in titles:
        Room.objects.create(title=title)
    return sign_in(User.objects.bulk_create([User(username=f"user{n}", password=f"!{n}") for n in range(int(users))]))


def sign_in(users: list[User]) -> list[str]:
    """Sign users in, and return their Cookie headers."""
    sessions: list[Any] = []
    for user in users:
        store: Any = SessionStore()
        store[SESSION_KEY] = str(user.pk)
        store[BACKEND_SESSION_KEY] = BACKEND
        store[HASH_SESSION_KEY] = user.get_session_auth_hash()
        store._session_key = store._get_new_session_key()
        sessions.append(store.create_model_instance(dict(store.items())))
    Session.objects.bulk_create(sessions, batch_size=200)
    return [f"{settings.SESSION_COOKIE_NAME}={session.session_key}" for session in sessions]


def time_admin_lists() -> list[tuple[str, int, float]]:
    """Open each list of the admin of an existing database; return its address, its queries and the median seconds."""
    call_command("migrate", interactive=False, verbosity=0)
    root = User.objects.filter(username="bench-root").first() or User.objects.create_superuser("bench-root")
    client = Client(headers={"host": "localhost"})
    client.force_login(root)
    found = []
    more = (path + query for path in WELL_FILLED for query in ("?q=7", "?p=2", "?o=2"))
    for path in [*admin_lists(), *more, CHOICES]:
        took = []
        for _ in range(3):
            began = time.perf_counter()
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(path)
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200, path
        found.append((path, len(captured), statistics.median(took)))
    return found


def time_searches() -> list[tuple[str, str, float, float, str]]:
    """Search in an existing database; return the kind of query, its median and 95 % in ms, and what was found."""
    call_command("migrate", interactive=False, verbosity=0)
    from tests.servers import bench_search

    kinds = bench_search.measure(bench_search.vocabulary())
    return [(each.kind, each.example, each.p50, each.p95, str(each.found)) for each in kinds]


def admin_lists() -> list[str]:
    """Return the addresses of the admin's lists."""
    names = [f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry]
    return [reverse(f"admin:{name}_changelist") for name in names]


def sign_in_some(count: str) -> list[str]:
    """Sign in some users of an existing database, and return their Cookie headers."""
    call_command("migrate", interactive=False, verbosity=0)
    return sign_in(list(User.objects.filter(is_active=True, is_staff=False).order_by("-pk")[: int(count)]))


def logged() -> list[list[object]]:
    """Return client_id, room and number of each message, in the order of the log."""
    posted = Event.objects.filter(kind=Event.Kind.POSTED, client_id_given=True).order_by("room", "seq")
    return [[str(client_id), room, seq] for client_id, room, seq in posted.values_list("client_id", "room", "seq")]


def post(count: str) -> list[int]:
    """Post so many messages in each room, as a management command would."""
    rooms = list(Room.objects.order_by("pk"))
    for number in range(int(count)):
        drafts = [Draft(room=room.pk, author=None, body=f"{number} {WORDS}"[:60], trusted=True) for room in rooms]
        for start in range(0, len(drafts), 100):
            assert all(isinstance(one, Committed) for one in actions.commit(drafts[start : start + 100]))
    return [len(rooms)]


TASKS: dict[str, Callable[..., Any]] = {
    "time_admin_lists": time_admin_lists,
    "time_searches": time_searches,
    "prepare": prepare,
    "logged": logged,
    "post": post,
    "sign_in_some": sign_in_some,
}

if __name__ == "__main__":
    json.dump(TASKS[sys.argv[1]](*sys.argv[2:]), sys.stdout)
