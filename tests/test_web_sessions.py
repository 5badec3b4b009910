"""A cookie that cannot be a session key means no session: it causes no query, no error and no harm to other users."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session as WebSession
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.live import database, hub
from chat.store import policies, web_sessions
from tests.sockets import connected

INVALID_KEYS = [
    "\x00aaaaaaaaaaaa",
    "a" * 31 + "\x00",
    "a",
    "a" * 41,
    "\ud800" * 32,
    "é" * 32,
    "a' OR '1'='1",
    "",
    " " * 32,
]


@pytest.fixture
def key(client, bob):
    client.force_login(bob)
    return client.session.session_key


@pytest.mark.parametrize("invalid", INVALID_KEYS, ids=ascii)
def test_an_invalid_key_means_no_session(invalid):
    assert not web_sessions.is_key(invalid)
    assert web_sessions.SessionStore(invalid).session_key is None


def test_the_keys_that_django_makes_are_valid(db):
    store = web_sessions.SessionStore()
    store.create()
    assert web_sessions.is_key(store.session_key)
    assert web_sessions.SessionStore(store.session_key).session_key == store.session_key


@pytest.mark.parametrize("invalid", INVALID_KEYS, ids=ascii)
def test_an_invalid_key_takes_no_query_and_other_logins_are_loaded(key, bob, invalid):
    with CaptureQueriesContext(connection) as captured:
        assert policies.load_logins([invalid]) == {}
    assert len(captured) == 0
    standings = policies.load_logins([invalid, key])
    assert [standing.user.pk for standing in standings.values()] == [bob.pk]


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/admin/", "/admin/login/", "/chat/Lobby/", "/healthz"])
@pytest.mark.parametrize(
    "invalid", [r'"\000aaaaaaaaaaaa"', '"\\000aaaaaaaaaaaa"', "a" * 5000, "'"], ids=lambda value: value[:20]
)
def test_pages_answer_a_request_with_an_invalid_cookie(client, db, path, invalid):
    response = client.get(path, headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={invalid}"})
    assert response.status_code in (200, 302)


def test_signing_in_works_with_an_invalid_cookie(client, bob, password):
    headers = {"cookie": f'{settings.SESSION_COOKIE_NAME}="\\000aaaaaaaaaaaa"'}
    response = client.post("/accounts/login/", {"username": "bob", "password": password}, headers=headers)
    assert response.status_code == 302
    assert WebSession.objects.count() == 1


def test_many_logins_are_loaded_in_pieces_that_every_database_accepts(key, bob):
    keys = [f"key{number:029}" for number in range(2500)]
    with CaptureQueriesContext(connection) as captured:
        assert len(policies.load_logins([*keys, key])) == 1
    assert max(query["sql"].count("key0") for query in captured) <= policies.PIECE
    logins = {policies.Login(session_key, number, "") for number, session_key in enumerate(keys)}
    assert policies.load_standings(logins) == {}


def expire_in(key, **time):
    WebSession.objects.filter(session_key=key).update(expire_date=timezone.now() + timedelta(**time))


def days_left(key):
    return (WebSession.objects.get(session_key=key).expire_date - timezone.now()) / timedelta(days=1)


def test_a_request_prolongs_its_session_about_once_a_day(client, key, rooms):
    expire_in(key, days=3)
    answer = client.get("/accounts/session/")
    assert days_left(key) > 13.9
    assert answer.cookies[settings.SESSION_COOKIE_NAME]["max-age"] == 14 * 24 * 3600
    with CaptureQueriesContext(connection) as queries:
        # The cookie is renewed for a page that only uses its socket.
        assert settings.SESSION_COOKIE_NAME in client.get("/accounts/session/").cookies
    assert not [query for query in queries if "UPDATE" in query["sql"]]
    expire_in(key, seconds=-1)
    assert client.get("/accounts/session/").json() == {"user": None}
    web_sessions.prolong([key])
    assert days_left(key) < 0


@pytest.mark.django_db(transaction=True)
async def test_an_open_socket_prolongs_its_session_without_a_write_for_each_frame(bob, settings):
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_SECONDS = 60
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        key = hub.running().sessions.copy().pop().login.session_key
        await database.write(expire_in, key, days=3)
        for _ in range(20):
            await socket.ask(command="ping")
        assert await database.read(days_left, key) < 4
        await hub.running().revocation.check()
        assert await database.read(days_left, key) > 13.9
        # A session that has ended is not brought back.
        await database.write(expire_in, key, seconds=-1)
        await hub.running().revocation.check()
        assert await database.read(days_left, key) < 0
