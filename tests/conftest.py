"""What all tests share: an isolated environment, the cast and its rooms."""

import gc
import os
import shutil
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING, NamedTuple

import hypothesis
import pytest

from tests import migrated
from tests.servers.quantities import IS_FULL

if TYPE_CHECKING:  # models can only be imported once Django is set up
    from chat.models import Room

# This runs before Django reads its settings, so that the developer's environment and var/ do not affect the tests.
if "multichat.settings" in sys.modules:
    raise pytest.UsageError("The settings were read too early: unset DJANGO_SETTINGS_MODULE.")
STATE = tempfile.mkdtemp(prefix="multichat-test-")
SETTINGS = """
    ALLOWED_HOSTS COOKIE_SUFFIX CSRF_TRUSTED_ORIGINS DATABASE_URL DEBUG EMAIL_FROM EMAIL_URL FIRST_RUN HOST HTTPS
    LOG_SERVED OIDC_CLIENT_ID OIDC_CLIENT_SECRET OIDC_ISSUER OIDC_NAME OIDC_ONLY OIDC_SIGN_UP OIDC_STAFF PORT
    REDIS_HOST REDIS_URL SECOND_FACTOR SIGN_UP SITE_URL STATIC_ROOT WORKERS SECRET_KEY TRUSTED_PROXIES VAR
"""
LIMITS = [name for name in os.environ if name.startswith("LIMIT")]
for name in SETTINGS.split() + LIMITS:
    os.environ.pop(name, None)
os.environ["VAR"] = STATE
os.environ["DJANGO_SETTINGS_MODULE"] = "multichat.settings"
if url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url

# asyncio's debug mode records where each future and each handle was made, which took a quarter of the tests' time.
# Everything else that it checks stays on. With STACKS=1 a failure shows where its futures were made.
if "STACKS" not in os.environ:
    traceback.walk_stack = lambda f: iter(())

# How long an example takes says nothing on a machine that others use.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

PASSWORD = "four words, hard to guess"


def pytest_configure(config):
    from django.conf import settings
    from django.test import TransactionTestCase

    settings.PASSWORD_HASHERS = ["tests.hashers.FastArgon2"]
    place = settings.MIDDLEWARE.index("servestatic.middleware.ServeStaticMiddleware")
    settings.MIDDLEWARE[place] = "tests.static_files.middleware"
    TransactionTestCase._fixture_teardown = _empty_tables
    _add_static_files_once()


def _add_static_files_once():
    """Let the middleware of each test client take the static files that the first one found.

    Each client has one of its own, and looking for the files took a tenth of the tests' time.
    """
    from servestatic.middleware import ServeStaticMiddleware

    found = {}
    add = ServeStaticMiddleware.add_files_from_finders

    def add_once(middleware):
        if not found:
            add(middleware)
            found.update(files=middleware.files, directories=middleware.directories)
        middleware.files |= found["files"]
        for directory in reversed(found["directories"]):
            middleware.insert_directory(*directory)

    ServeStaticMiddleware.add_files_from_finders = add_once


def _empty_tables(case):
    """Delete all rows after a test that committed, but for permissions and their content types.

    Django's own `flush` makes these two anew after each test, which took another quarter of the time of all tests.
    """
    from django.apps import apps
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.models import ContentType
    from django.db import connection, transaction

    models = set(apps.get_models(include_auto_created=True)) - {Permission, ContentType}
    tables = [connection.ops.quote_name(model._meta.db_table) for model in models if model._meta.managed]
    first_rows = " UNION ALL ".join(
        f"SELECT * FROM (SELECT '{table}' FROM {table} LIMIT 1) AS filled" for table in tables
    )
    with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(first_rows)
        filled = [table for (table,) in cursor.fetchall()]
        for table in filled:
            cursor.execute(f"DELETE FROM {table}")
        # What ANALYZE told SQLite about these rows would decide the plans of later tests.
        if connection.vendor == "sqlite" and "sqlite_stat1" in connection.introspection.table_names(cursor):
            cursor.execute("DELETE FROM sqlite_stat1")
            cursor.execute("ANALYZE sqlite_schema")


def pytest_collection_modifyitems(config, items):
    """Leave out what script/soak alone runs. A test that is named with its module, as a::b, always runs."""
    if IS_FULL or any("::" in argument for argument in config.args):
        return
    marks = ["full_size", "any_database"] if "TEST_DATABASE_URL" in os.environ else ["full_size"]
    kept, left_out = [], []
    for item in items:
        (left_out if any(map(item.get_closest_marker, marks)) else kept).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def pytest_collection_finish(session):
    """Keep the garbage collector away from what is imported: looking there takes a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def pytest_unconfigure(config):
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture(scope="session")
def django_db_keepdb():
    """Begin with a database that is migrated already. Your own PostgreSQL's is migrated in each run."""
    from django.conf import settings

    if "TEST_DATABASE_URL" in os.environ:
        return "KEEP_DATABASE" in os.environ
    migrated.copy_to(settings.DATABASES["default"]["TEST"]["NAME"])
    return True


@pytest.fixture(autouse=True)
def english():
    """Take back the language that a request of a test has set."""
    yield
    from django.utils import translation

    translation.deactivate()


@pytest.fixture(autouse=True)
def fresh_limits():
    """Reset what the limits have counted, so that tests do not share it."""
    from chat import limits
    from multichat import hints

    limits.clear()
    hints.clear()


@pytest.fixture(autouse=True)
def fresh_conf():
    """Read the settings again in each test: one that an earlier test has patched in chat.conf may be left over."""
    from chat import conf

    conf.clear()


@pytest.fixture(autouse=True)
def closed_threads(monkeypatch):
    """Close the connections of the database threads that a test left open, as a server does when it ends.

    Otherwise they are garbage-collected during another test, which then fails with a warning.
    """
    from chat.live import runtime

    created = []

    class Recorded(runtime.Threads):
        def __init__(self):
            super().__init__()
            created.append(self)

    monkeypatch.setattr(runtime, "Threads", Recorded)
    yield
    for closing in [threads.begin_to_close() for threads in created if not threads.is_closed]:
        for future in closing:
            future.result(10)


@pytest.fixture(autouse=True, scope="module")
def collected_garbage():
    """Collect the garbage of each module, so that its own last test fails for an open resource, not a later module."""
    yield
    if "TEST_DATABASE_URL" in os.environ:
        gc.collect()


class Rooms(NamedTuple):
    lobby: "Room"
    random: "Room"
    staff: "Room"


@pytest.fixture
def password():
    """The password of every user in the cast."""
    return PASSWORD


@pytest.fixture
def alice(db, django_user_model):
    """A staff user."""
    return django_user_model.objects.create_user("alice", password=PASSWORD, is_staff=True)


@pytest.fixture
def bob(db, django_user_model):
    """A user who is not staff."""
    return django_user_model.objects.create_user("bob", password=PASSWORD)


@pytest.fixture
def charlie(db, django_user_model):
    """A user who is not staff."""
    return django_user_model.objects.create_user("charlie", password=PASSWORD)


@pytest.fixture
def rooms(db):
    """Lobby and Random are for all users, Staff is for staff only."""
    from chat.models import Room

    create = Room.objects.create
    return Rooms(create(title="Lobby"), create(title="Random"), create(title="Staff", staff_only=True))
