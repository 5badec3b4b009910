"""Signing in and out with stale forms, and which sessions a new password ends."""

import asyncio
import re

import pytest
from django.conf import settings as site
from django.contrib.sessions.models import Session as WebSession
from django.test import Client

from chat.live import database, hub
from chat.store import invitations, policies
from chat.store.policies import Login
from tests.sockets import Socket, handshake

NEW = "five other words, hard to guess"


def token_of(response):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.content.decode())[1]


def user_id_of(client):
    return client.get("/accounts/session/").json()["user"]


def form(client, path="/accounts/login/"):
    return {"csrfmiddlewaretoken": token_of(client.get(path)), "next": "/chat/Lobby/"}


@pytest.fixture
def strict(db):
    """A client that checks CSRF tokens, as for a browser."""
    return Client(enforce_csrf_checks=True)


def test_the_session_page_says_which_user_is_signed_in(client, bob):
    assert user_id_of(client) is None
    client.force_login(bob)
    response = client.get("/accounts/session/")
    assert response.json() == {"user": bob.pk}
    assert "no-store" in response["Cache-Control"]
    assert client.post("/accounts/session/").status_code == 405


# Signing in


def test_the_login_form_redirects_a_user_who_is_already_logged_in(client, bob):
    client.force_login(bob)
    assert client.get("/accounts/login/?next=/chat/Lobby/")["Location"] == "/chat/Lobby/"
    for path in ("/accounts/login/", "/accounts/login/?next=https://elsewhere.example/"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/accounts/login/", "/admin/login/"])
def test_login_forms_in_two_tabs_both_end_logged_in(strict, alice, password, path):
    login = {"username": "alice", "password": password}
    first, second = form(strict, path) | login, form(strict, path) | login
    assert strict.post(path, first).status_code == 302
    # The first sign-in gave the browser a new token.
    response = strict.post(path, second)
    assert (response.status_code, response["Location"]) == (302, "/chat/Lobby/")
    assert user_id_of(strict) == alice.pk


def test_a_stale_login_form_of_a_signed_out_browser_is_shown_again(strict, bob, password):
    stale = form(strict) | {"username": "bob", "password": password}
    strict.cookies["csrftoken"] = "x" * 32
    response = strict.post("/accounts/login/", stale, follow=True)
    assert response.status_code == 200
    assert "too old" in response.content.decode()
    assert user_id_of(strict) is None
    fresh = {"csrfmiddlewaretoken": token_of(response), "username": "bob", "password": password}
    assert strict.post("/accounts/login/", fresh | {"next": "/chat/Lobby/"})["Location"] == "/chat/Lobby/"
    assert user_id_of(strict) == bob.pk


def test_another_site_cannot_log_a_visitor_in(strict, bob, password):
    response = strict.post("/accounts/login/", {"username": "bob", "password": password, "next": "/"})
    assert response["Location"] == "/accounts/login/?again=1&next=%2F"
    assert user_id_of(strict) is None


def test_a_stale_form_does_not_redirect_to_another_site(strict, bob):
    for next_page in ("https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"):
        strict.logout()
        assert strict.post("/accounts/login/", {"next": next_page})["Location"] == "/accounts/login/?again=1&next=%2F"
        strict.force_login(bob)
        assert strict.post("/accounts/login/", {"next": next_page})["Location"] == "/"


def test_a_stale_form_of_another_user_asks_to_log_out_first(strict, alice, bob, password):
    stale = form(strict) | {"username": "bob", "password": password}
    strict.force_login(alice)
    strict.cookies["csrftoken"] = "x" * 32
    response = strict.post("/accounts/login/", stale)
    assert "To log in as bob, log out first." in response.content.decode()
    assert user_id_of(strict) == alice.pk


# Signing out


def test_a_link_to_the_logout_page_shows_one_button(strict, bob):
    assert strict.get("/accounts/logout/")["Location"] == "/"
    strict.force_login(bob)
    response = strict.get("/accounts/logout/")
    assert response.status_code == 200
    assert response.content.decode().count("<button") == 1
    assert user_id_of(strict) == bob.pk
    assert strict.post("/accounts/logout/", {"csrfmiddlewaretoken": token_of(response)})["Location"] == "/"
    assert user_id_of(strict) is None


def test_a_stale_logout_form_is_shown_again_with_a_fresh_button(strict, bob):
    strict.force_login(bob)
    response = strict.post("/accounts/logout/", {"csrfmiddlewaretoken": "x" * 32})
    assert (response.status_code, user_id_of(strict)) == (403, bob.pk)
    assert response.content.decode().count("<button") == 1
    assert strict.post("/accounts/logout/", {"csrfmiddlewaretoken": token_of(response)}).status_code == 302
    assert user_id_of(strict) is None
    # The user was signed out in another tab meanwhile.
    assert strict.post("/accounts/logout/", {"csrfmiddlewaretoken": "x" * 32})["Location"] == "/"


def test_a_stale_form_about_the_account_keeps_what_was_typed_and_is_sent_again(strict, bob):
    strict.force_login(bob)
    strict.get("/accounts/")  # sets the cookie
    typed = {
        "for_user": str(bob.pk),
        "first_name": "Bob <b>",
        "last_name": "Miller",
        "email": "",
        "old_password": "secret words",
    }
    response = strict.post("/accounts/", typed | {"csrfmiddlewaretoken": "x" * 32}, HTTP_ORIGIN="http://testserver")
    page = response.content.decode()
    assert response.status_code == 403
    assert 'name="first_name" value="Bob &lt;b&gt;"' in page and "secret words" not in page
    assert "type passwords again" in page
    bob.refresh_from_db()
    assert bob.first_name == ""
    answer = strict.post("/accounts/", typed | {"csrfmiddlewaretoken": token_of(response)})
    assert answer.status_code == 302
    bob.refresh_from_db()
    assert (bob.first_name, bob.last_name) == ("Bob <b>", "Miller")
    # A form of another site gets no fresh token, and none without an origin, or that was typed for another user.
    own = {"HTTP_ORIGIN": "http://testserver"}
    for changed, origin in (
        ({}, {"HTTP_ORIGIN": "http://elsewhere.example"}),
        ({}, {}),
        ({"for_user": str(bob.pk + 1)}, own),
    ):
        refused = strict.post("/accounts/", typed | {"csrfmiddlewaretoken": "x" * 32} | changed, **origin)
        assert refused.status_code == 403
        assert b"Miller" not in refused.content


def test_a_second_tab_of_an_invitation_says_that_the_user_is_signed_in(strict, alice, bob):
    _, code = invitations.create(alice, days=1, uses=2)
    address = f"/invite/{code}/"
    stale = {"username": "dora", "password1": NEW, "password2": NEW, "csrfmiddlewaretoken": "x" * 32}
    strict.force_login(bob)
    answer = strict.post(address, stale, HTTP_ORIGIN="null")
    assert (answer.status_code, answer["Location"]) == (302, address)


def test_another_stale_form_asks_to_try_again(strict, alice):
    strict.force_login(alice)
    response = strict.post("/admin/chat/room/add/", {"title": "Fresh"})
    assert response.status_code == 403
    assert "Please try again" in response.content.decode()


# A new password


def own_password_page(client, user, password):
    return client.post(
        "/admin/password_change/", {"old_password": password, "new_password1": NEW, "new_password2": NEW}
    )


def users_page(client, user, password):
    fields = {"usable_password": "true", "password1": NEW, "password2": NEW}
    return client.post(f"/admin/auth/user/{user.pk}/password/", fields)


@pytest.fixture
def superuser(db, django_user_model, password):
    return django_user_model.objects.create_superuser("alice", password=password)


def browser(user):
    client = Client()
    client.force_login(user)
    return client


async def socket_of(client):
    communicator = handshake(cookie=f"{site.SESSION_COOKIE_NAME}={client.cookies[site.SESSION_COOKIE_NAME].value}")
    assert (await communicator.connect(5))[0]
    socket = Socket(communicator)
    assert await socket.ask(command="ping") == {"pong": True}
    return socket


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [own_password_page, users_page])
async def test_a_new_password_keeps_the_session_that_changed_it_and_ends_all_others(
    superuser, rooms, password, change, settings
):
    settings.GRACE_SECONDS = 0
    lobby = str(rooms.lobby.pk)
    here, elsewhere = await database.write(browser, superuser), await database.write(browser, superuser)
    kept_socket, ended_socket = await socket_of(here), await socket_of(elsewhere)
    await kept_socket.ask(command="join", room=lobby)
    await kept_socket.rest()
    stolen = here.cookies[site.SESSION_COOKIE_NAME].value
    assert (await database.write(change, here, superuser, password)).status_code == 302
    assert await ended_socket.next() == {"error": "USER_HAS_TO_LOGIN"}
    assert (await ended_socket.next(), ended_socket.closed) == (None, 4401)
    # The socket stays open and joined, and may write, also after later checks of rights.
    for text in ("one", "two"):
        await kept_socket.send(command="send", room=lobby, message=text)
        assert (await kept_socket.next())["message"] == text
        await database.write(superuser.refresh_from_db)
        await database.write(superuser.save)
    assert await database.write(user_id_of, here) == superuser.pk
    assert await database.write(user_id_of, elsewhere) is None
    # Checks at the same time, as by the bell and the sweep, find the same.
    if running := hub.running():
        await asyncio.gather(*(running.revocation.check() for _ in range(3)))
    assert await kept_socket.ask(command="ping") == {"pong": True}
    # The session has a new key, and the old key belongs to no user.
    assert here.cookies[site.SESSION_COOKIE_NAME].value != stolen
    thief = Client()
    thief.cookies[site.SESSION_COOKIE_NAME] = stolen
    assert await database.write(user_id_of, thief) is None
    await kept_socket.end()
    await ended_socket.end()
    await database.close()


@pytest.mark.django_db(transaction=True)
async def test_signing_out_after_a_new_password_closes_the_sockets_of_the_session(superuser, rooms, password):
    here = await database.write(browser, superuser)
    kept_socket = await socket_of(here)
    await database.write(own_password_page, here, superuser, password)
    assert await kept_socket.ask(command="ping") == {"pong": True}
    await database.write(here.post, "/accounts/logout/")
    assert await kept_socket.next() == {"error": "USER_HAS_TO_LOGIN"}
    await kept_socket.end()
    await database.close()


def test_a_refused_password_change_keeps_the_session(superuser, password):
    client = browser(superuser)
    key = client.session.session_key
    assert own_password_page(client, superuser, "wrong").status_code == 200
    assert (client.session.session_key, user_id_of(client)) == (key, superuser.pk)


def test_a_login_with_the_session_of_another_user_is_invalid(superuser, bob, password):
    client = browser(superuser)
    [standing] = policies.load_logins([client.session.session_key]).values()
    own_password_page(client, superuser, password)
    assert policies.load_standings([standing.login])[standing.login].user == superuser
    forged = Login(standing.login.session_key, bob.pk, standing.login.auth_hash)
    assert policies.load_standings([forged]) == {}


def test_a_password_changed_by_an_admin_ends_all_sessions_of_its_user(superuser, bob, password):
    bobs_browser = browser(bob)
    [standing] = policies.load_logins([bobs_browser.session.session_key]).values()
    admin = browser(superuser)
    [admins] = policies.load_logins([admin.session.session_key]).values()
    assert users_page(admin, bob, password).status_code == 302
    assert policies.load_standings([standing.login]) == {}
    # The admin's own session gets a new key, too.
    assert not WebSession.objects.get(pk=admins.login.session_key).get_decoded().get("_auth_user_id")
    assert policies.load_standings([admins.login])[admins.login].user == superuser


@pytest.mark.django_db(transaction=True)
async def test_checks_at_the_same_time_after_a_new_password_end_no_session(superuser, password, settings):
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_SECONDS = 60
    here = await database.write(browser, superuser)
    kept_socket = await socket_of(here)
    running = hub.running()
    check = running.revocation.check
    running.revocation.check = asyncio.Event().wait  # no other check runs, because the bell's would wait for ever
    await database.write(own_password_page, here, superuser, password)
    await asyncio.gather(*(check() for _ in range(3)))
    assert await kept_socket.ask(command="ping") == {"pong": True}
    await kept_socket.end()
    await database.close()
