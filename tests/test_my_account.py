"""The page of the user's own account, and the sessions of a user."""

import pytest
from django.conf import settings as site
from django.test import Client

from chat.live import database
from chat.models import SignIn
from chat.store import sign_ins
from tests.sockets import Socket, handshake

pytestmark = pytest.mark.django_db
ACCOUNT = "/accounts/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def browser(name, password, agent=FIREFOX):
    client = Client(headers={"user-agent": agent})
    assert client.post("/accounts/login/", {"username": name, "password": password}).status_code == 302
    return client


def user_id_of(client):
    return client.get("/accounts/session/").json()["user"]


def save(client, **fields):
    return client.post(ACCOUNT, {"first_name": "", "last_name": "", "email": "", **fields})


def test_strangers_have_to_log_in(client, db):
    for path in (ACCOUNT, "/accounts/sign_out_everywhere/", "/accounts/sessions/1/end/"):
        assert client.post(path).headers["Location"].startswith("/accounts/login/")


def test_a_user_changes_the_own_name_and_nothing_else(client, bob):
    client.force_login(bob)
    assert save(client, first_name="Bob", last_name="Builder", is_staff="on", username="alice")["Location"] == ACCOUNT
    bob.refresh_from_db()
    assert (bob.get_full_name(), bob.username, bob.is_staff) == ("Bob Builder", "bob", False)
    assert "Bob Builder" in client.get(ACCOUNT).content.decode()


def test_a_name_without_invisible_characters(client, bob):
    client.force_login(bob)
    for name in ("a\u202eb", "a\u200bb", "a\nb"):
        assert save(client, first_name=name).status_code == 200
    bob.refresh_from_db()
    assert bob.first_name == ""


def test_another_email_address_needs_the_password(client, bob, password):
    client.force_login(bob)
    for given in ("", "wrong"):
        assert "Enter your password" in save(client, email="bob@example.com", password=given).content.decode()
    assert save(client, email="bob@example.com", password=password).status_code == 302
    # The same address again needs none.
    assert save(client, email="bob@example.com", first_name="Bob").status_code == 302
    bob.refresh_from_db()
    assert (bob.email, bob.first_name) == ("bob@example.com", "Bob")


def test_guesses_of_the_password_are_limited_together_with_the_other_page(client, bob, settings):
    settings.LIMITS = {**site.LIMITS, "PASSWORD_CHANGES_AT_ONCE": 2, "PASSWORD_CHANGES_PER_SECOND": 0.01}
    client.force_login(bob)
    answers = [save(client, email="bob@example.com", password="wrong").status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    assert client.post("/accounts/password_change/").status_code == 429


def test_the_page_lists_the_users_own_sessions(bob, alice, password):
    here, phone = browser("bob", password), browser("bob", password, "Mozilla/5.0 (iPhone) Version/17.5 Safari/605")
    browser("alice", password)
    page = here.get(ACCOUNT).content.decode()
    assert page.count("Firefox on Linux") == 1
    assert page.count("Signed in here since") == 1
    assert "Safari on iPhone" in page
    assert phone.session.session_key not in page


def test_a_session_can_be_ended_by_its_own_user_alone(bob, alice, password):
    here, phone = browser("bob", password), browser("bob", password)
    pk = SignIn.objects.get(session_key=phone.session.session_key).pk
    other = browser("alice", password)
    other.post(f"/accounts/sessions/{pk}/end/")
    assert user_id_of(phone) == bob.pk
    here.post(f"/accounts/sessions/{pk}/end/")
    assert (user_id_of(phone), user_id_of(here)) == (None, bob.pk)
    assert here.get("/accounts/sign_out_everywhere/").status_code == 405


def test_signing_out_everywhere_ends_all_sessions_of_the_user_and_no_others(bob, alice, password):
    here, phone, other = browser("bob", password), browser("bob", password), browser("alice", password)
    assert here.post("/accounts/sign_out_everywhere/")["Location"] == "/accounts/login/"
    assert (user_id_of(here), user_id_of(phone), user_id_of(other)) == (None, None, alice.pk)
    assert list(SignIn.objects.values_list("user_id", flat=True)) == [alice.pk]


def test_a_session_keeps_its_time_under_its_new_key(bob, password):
    client = browser("bob", password)
    at = SignIn.objects.get().at
    new = "five other words, hard to guess"
    client.post("/accounts/password_change/", {"old_password": password, "new_password1": new, "new_password2": new})
    row = SignIn.objects.get()
    assert (row.session_key, row.at) == (client.session.session_key, at)


def test_logging_out_and_an_expired_session_remove_the_row(bob, password):
    client = browser("bob", password)
    browser("bob", password)
    client.logout()
    assert SignIn.objects.count() == 1


@pytest.mark.parametrize(
    ("agent", "expected"),
    [(FIREFOX, "Firefox on Linux"), ("", "A browser"), ("x" * 5000 + "\x00", "A browser")],
)
def test_a_user_agent_is_shown_as_a_browser_on_a_system(bob, password, agent, expected):
    client = browser("bob", password, agent)
    assert sign_ins.list_sessions(bob, client.session.session_key)[0].browser == expected


@pytest.mark.django_db(transaction=True)
async def test_signing_out_everywhere_closes_the_open_sockets(bob, password):
    here, phone = await database.write(browser, "bob", password), await database.write(browser, "bob", password)
    communicator = handshake(cookie=f"{site.SESSION_COOKIE_NAME}={phone.cookies[site.SESSION_COOKIE_NAME].value}")
    assert (await communicator.connect(5))[0]
    socket = Socket(communicator)
    assert await socket.ask(command="ping") == {"pong": True}
    await database.write(here.post, "/accounts/sign_out_everywhere/")
    assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
    assert (await socket.next(), socket.closed) == (None, 4401)
    await socket.end()
    await database.close()
