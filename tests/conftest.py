"""What all tests share: an environment of their own, the cast and its rooms."""

import gc
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:  # importing models has to wait for Django
    from chat.models import Room

# Before Django reads its settings: nothing of the developer's environment or of var/ reaches a test.
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

PASSWORD = "four words nobody guesses"


def pytest_configure(config):
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["tests.hashers.FastArgon2"]


def pytest_unconfigure(config):
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture(autouse=True)
def nothing_counted():
    """Each test has its limits to itself."""
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
    """Close the connections of the database threads that a test has left open, as a server does when it ends.

    Otherwise they are collected as garbage in the middle of another test, which fails with a warning.
    """
    from chat.live import runtime

    made = []

    class Recorded(runtime.Threads):
        def __init__(self):
            super().__init__()
            made.append(self)

    monkeypatch.setattr(runtime, "Threads", Recorded)
    yield
    for closing in [threads.begin_to_close() for threads in made if not threads.is_closed]:
        for future in closing:
            future.result(10)


@pytest.fixture(autouse=True, scope="module")
def collected():
    """Collect what a module has left open, so that its last test fails, and not one of a later module."""
    yield
    if "TEST_DATABASE_URL" in os.environ:
        gc.collect()


class Rooms(NamedTuple):
    lobby: "Room"
    random: "Room"
    staff: "Room"


@pytest.fixture
def password():
    """The password of the whole cast."""
    return PASSWORD


@pytest.fixture
def alice(db, django_user_model):
    """On the staff."""
    return django_user_model.objects.create_user("alice", password=PASSWORD, is_staff=True)


@pytest.fixture
def bob(db, django_user_model):
    """Not on the staff."""
    return django_user_model.objects.create_user("bob", password=PASSWORD)


@pytest.fixture
def charlie(db, django_user_model):
    """Not on the staff."""
    return django_user_model.objects.create_user("charlie", password=PASSWORD)


@pytest.fixture
def rooms(db):
    """Lobby and Random for everybody, Staff for the staff."""
    from chat.models import Room

    create = Room.objects.create
    return Rooms(create(title="Lobby"), create(title="Random"), create(title="Staff", staff_only=True))
