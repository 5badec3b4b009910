"""A cookie that cannot be a session's key is no session: no query, no error, no harm to others."""

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session as WebSession
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.store import policies, web_sessions

POISON = ["\x00aaaaaaaaaaaa", "a" * 31 + "\x00", "a", "a" * 41, "\ud800" * 32, "é" * 32, "a' OR '1'='1", "", " " * 32]


@pytest.fixture
def key(client, bob):
    client.force_login(bob)
    return client.session.session_key


@pytest.mark.parametrize("poison", POISON, ids=ascii)
def test_what_cannot_be_a_key_is_no_session(poison):
    assert not web_sessions.is_key(poison)
    assert web_sessions.SessionStore(poison).session_key is None


def test_the_keys_that_django_makes_are_keys(db):
    store = web_sessions.SessionStore()
    store.create()
    assert web_sessions.is_key(store.session_key)
    assert web_sessions.SessionStore(store.session_key).session_key == store.session_key


@pytest.mark.parametrize("poison", POISON, ids=ascii)
def test_a_poisoned_login_asks_nothing_and_its_neighbours_sign_in(key, bob, poison):
    with CaptureQueriesContext(connection) as captured:
        assert policies.load_logins([poison]) == {}
    assert len(captured) == 0
    standings = policies.load_logins([poison, key])
    assert [standing.user.pk for standing in standings.values()] == [bob.pk]


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/admin/", "/admin/login/", "/chat/Lobby/", "/healthz"])
@pytest.mark.parametrize(
    "poison", [r'"\000aaaaaaaaaaaa"', '"\\000aaaaaaaaaaaa"', "a" * 5000, "'"], ids=lambda value: value[:20]
)
def test_a_page_with_a_poisoned_cookie_is_the_page_of_a_stranger(client, db, path, poison):
    response = client.get(path, headers={"cookie": f"{settings.SESSION_COOKIE_NAME}={poison}"})
    assert response.status_code in (200, 302)


def test_signing_in_works_with_a_poisoned_cookie(client, bob, password):
    headers = {"cookie": f'{settings.SESSION_COOKIE_NAME}="\\000aaaaaaaaaaaa"'}
    response = client.post("/accounts/login/", {"username": "bob", "password": password}, headers=headers)
    assert response.status_code == 302
    assert WebSession.objects.count() == 1


def test_many_logins_are_asked_about_in_pieces_that_every_database_takes(key, bob):
    keys = [f"key{number:029}" for number in range(2500)]
    with CaptureQueriesContext(connection) as captured:
        assert len(policies.load_logins([*keys, key])) == 1
    assert max(query["sql"].count("key0") for query in captured) <= policies.PIECE
    logins = {policies.Login(one, number, "") for number, one in enumerate(keys)}
    assert policies.load_standings(logins) == {}
