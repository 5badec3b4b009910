"""Changing one's own password, and resetting it by mail."""

import re

import pytest
from django.conf import settings as site
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from chat import audit, limits

NEW = "five other words, hard to guess"
CHANGE = "/accounts/password_change/"
RESET = "/accounts/password_reset/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def with_mail(settings):
    settings.EMAIL_URL = "smtp://mail.example"
    settings.SITE_URL = "https://chat.example.com"


@pytest.fixture
def bob(bob):
    bob.email = "bob@example.com"
    bob.save()
    return bob


def browser(user):
    client = Client()
    client.force_login(user)
    return client


def user_id_of(client):
    return client.get("/accounts/session/").json()["user"]


def change(client, old, new=NEW):
    return client.post(CHANGE, {"old_password": old, "new_password1": new, "new_password2": new})


def can_log_in(password):
    return Client().post("/accounts/login/", {"username": "bob", "password": password}).status_code == 302


def link_in(message):
    return re.search(r"https?://\S+", message.body.split("here:")[1])[0]


def test_a_user_changes_the_own_password_and_only_this_session_goes_on(bob, password):
    here, elsewhere = browser(bob), browser(bob)
    key = here.session.session_key
    assert here.get(CHANGE).status_code == 200
    assert change(here, password)["Location"] == "/accounts/password_change/done/"
    assert "still logged in here" in here.get("/accounts/password_change/done/").content.decode()
    assert (user_id_of(here), user_id_of(elsewhere)) == (bob.pk, None)
    assert here.session.session_key != key
    assert can_log_in(NEW)


def test_a_wrong_old_password_or_a_weak_new_one_changes_nothing(bob, password):
    client = browser(bob)
    for response in (change(client, "wrong"), change(client, password, "12345")):
        assert response.status_code == 200
        assert 'class="trouble"' in response.content.decode()
    bob.refresh_from_db()
    assert bob.check_password(password)


def test_reading_the_page_changes_nothing_and_strangers_have_to_log_in(bob, password):
    client = browser(bob)
    client.get(CHANGE, {"old_password": password, "new_password1": NEW, "new_password2": NEW})
    bob.refresh_from_db()
    assert bob.check_password(password)
    assert Client().post(CHANGE)["Location"] == f"/accounts/login/?next={CHANGE}"


def test_a_stolen_session_cannot_guess_the_password(bob, password, settings):
    settings.LIMITS = {**site.LIMITS, "PASSWORD_CHANGES_AT_ONCE": 3, "PASSWORD_CHANGES_PER_SECOND": 0.01}
    client = browser(bob)
    assert [change(client, "wrong").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = change(client, password)
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0


def test_without_mail_the_reset_page_says_whom_to_ask(client, bob):
    for response in (client.get(RESET), client.post(RESET, {"email": bob.email})):
        assert response.status_code == 200
        assert "Ask an administrator" in response.content.decode()
    assert mail.outbox == []


def test_the_mail_has_a_link_that_sets_a_new_password_once_and_ends_all_sessions(with_mail, client, bob):
    signed_in = browser(bob)
    assert client.post(RESET, {"email": "BOB@example.com"}, follow=True).status_code == 200
    [message] = mail.outbox
    assert message.to == ["bob@example.com"]
    path = link_in(message).removeprefix("https://chat.example.com")
    form = client.get(path)
    # The address of the form has no token, so no Referer and no screen shows it.
    assert form["Location"].endswith("/set-password/")
    assert client.get(form["Location"]).status_code == 200
    fields = {"new_password1": NEW, "new_password2": NEW}
    assert client.post(form["Location"], fields)["Location"] == "/accounts/reset/done/"
    assert user_id_of(signed_in) is None
    assert can_log_in(NEW)
    assert "doesn't work" in Client().get(path).content.decode()


def test_an_unknown_address_gets_the_same_answer_and_no_mail(with_mail, client, bob):
    pages = [client.post(RESET, {"email": email}) for email in ("bob@example.com", "eve@example.com")]
    assert {(page.status_code, page["Location"], page.content) for page in pages} == {
        (302, "/accounts/password_reset/done/", b"")
    }
    assert len(mail.outbox) == 1


def test_an_unknown_address_takes_the_same_work(with_mail, client, bob):
    """As many queries, and the same templates, so the time of the answer does not tell whether a user has it."""
    client.post(RESET, {"email": "warm@example.com"})
    work = []
    for email in (bob.email, "eve@example.com"):
        with CaptureQueriesContext(connection) as captured:
            answer = client.post(RESET, {"email": email})
        work.append((len(captured), {template.name for template in answer.templates}))
    assert work[0] == work[1] and len(work[0][1]) >= 2
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("host", ["evil.example", "localhost:8000"])
def test_the_link_names_the_configured_address_and_not_the_host_of_the_request(with_mail, client, bob, settings, host):
    settings.ALLOWED_HOSTS = ["*"]
    client.post(RESET, {"email": bob.email}, headers={"host": host})
    assert link_in(mail.outbox[0]).startswith("https://chat.example.com/accounts/reset/")
    assert host not in mail.outbox[0].body


def test_deactivated_users_get_no_mail(with_mail, client, bob):
    bob.is_active = False
    bob.save()
    client.post(RESET, {"email": bob.email})
    assert mail.outbox == []


def test_mails_to_one_user_and_mails_from_one_address_are_limited(with_mail, client, bob, settings):
    settings.LIMITS = {**site.LIMITS, "PASSWORD_CHANGES_AT_ONCE": 2, "PASSWORD_CHANGES_PER_SECOND": 0.01}

    def ask(email, address):
        return client.post(RESET, {"email": email}, REMOTE_ADDR=address).status_code

    # The same for an address that no user has, so the limit reveals nothing.
    for email, network in (("bob@example.com", "10.0.0"), ("eve@example.com", "10.0.1")):
        assert [ask(email, f"{network}.{n}") for n in range(3)] == [302, 302, 429]
    limits.clear()
    assert [ask(f"user{n}@example.com", "10.0.2.1") for n in range(3)] == [302, 302, 429]
    assert len(mail.outbox) == 2


def test_the_security_log_names_changes_and_resets(with_mail, client, bob, password, monkeypatch):
    written = []
    monkeypatch.setattr(audit, "write", lambda event, **fields: written.append((event, fields.get("user"))))
    change(browser(bob), password)
    client.post(RESET, {"email": bob.email})
    form = client.get(link_in(mail.outbox[0]).removeprefix("https://chat.example.com"))["Location"]
    client.post(form, {"new_password1": NEW + "!", "new_password2": NEW + "!"})
    assert [entry for entry in written if entry[0].startswith("password")] == [
        ("password_changed", bob.pk),
        ("password_reset", bob.pk),
    ]
