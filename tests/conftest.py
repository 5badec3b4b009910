"""What all tests share: an isolated environment, the cast and its rooms."""

import gc
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:  # models can only be imported once Django is set up
    from chat.models import Room

# This runs before Django reads its settings, so that the developer's environment and var/ do not affect the tests.
if "multichat.settings" in sys.modules:
    raise pytest.UsageError("The settings were read too early: unset DJANGO_SETTINGS_MODULE.")
STATE = tempfile.mkdtemp(prefix="multichat-test-")
SETTINGS = """
    ALLOWED_HOSTS COOKIE_SUFFIX CSRF_TRUSTED_ORIGINS DATABASE_URL DEBUG FIRST_RUN HOST HTTPS LOG_SERVED PORT
    REDIS_HOST REDIS_URL STATIC_ROOT WORKERS SECRET_KEY TRUSTED_PROXIES VAR
"""
LIMITS = [name for name in os.environ if name.startswith("LIMIT")]
for name in SETTINGS.split() + LIMITS:
    os.environ.pop(name, None)
os.environ["VAR"] = STATE
os.environ["DJANGO_SETTINGS_MODULE"] = "multichat.settings"
if url := os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url

PASSWORD = "four words, hard to guess"


def pytest_configure(config):
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["tests.hashers.FastArgon2"]


def pytest_unconfigure(config):
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture(autouse=True)
def fresh_limits():
    """Reset what the limits have counted, so that tests do not share it."""
    from chat import limits
    from multichat import hints

    limits.clear()
    hints.clear()


@pytest.fixture(autouse=True)
def closed_threads(monkeypatch):
    """Close the connections of the database threads that a test left open, as a server does when it ends.

    Otherwise they are garbage-collected during another test, which then fails with a warning.
    """
    from chat.live import database

    created = []

    class Recorded(database.Threads):
        def __init__(self):
            super().__init__()
            created.append(self)

    monkeypatch.setattr(database, "Threads", Recorded)
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
