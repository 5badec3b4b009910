"""Signing in by OpenID Connect at a real provider: who gets in, as whom, and what links an identity to a user."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings as site
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from jwt.algorithms import RSAAlgorithm

from chat import login_steps, provider_requests
from chat.live import database
from chat.models import Room
from chat.single_sign_on import Client as ProviderClient
from chat.store import identities, invitations
from tests.oidc_provider import choose, set_claims
from tests.sockets import Socket, handshake

pytestmark = pytest.mark.django_db
START = "/accounts/sso/?next=/chat/Lobby/"
STAFF = ("groups", "chat-admins")


def user_id_of(client):
    return client.get("/accounts/session/").json()["user"]


def sso(client, subject, start=START):
    """Go to the provider, sign in there, and come back."""
    answer = client.get(start)
    assert answer.status_code == 302, answer.content.decode()
    return client.get(choose(answer["Location"], subject))


def link_to(client, subject, password):
    answer = client.post("/accounts/sso/link/", {"password": password})
    link = re.search(r'class="primary" href="([^"]+)"', answer.content.decode())[1].replace("&amp;", "&")
    return client.get(choose(link, subject))


def text_of(answer):
    return " ".join(answer.content.decode().split())


@pytest.fixture
def nothing_read_yet():
    """Nothing of the provider's is kept from earlier tests, nor for later ones."""
    provider_requests.clear()
    yield
    provider_requests.clear()


@pytest.fixture
def linked_bob(bob):
    SocialAccount.objects.create(user=bob, provider=site.OIDC.key, uid="bobs-subject")
    return bob


@pytest.fixture
def lines(caplog):
    import logging

    caplog.set_level(logging.INFO, "multichat.security")
    logging.getLogger("multichat.security").addHandler(caplog.handler)
    yield lambda event: [
        record.getMessage() for record in caplog.records if f'"event": "{event}"' in record.getMessage()
    ]
    logging.getLogger("multichat.security").removeHandler(caplog.handler)


# Signing in


def test_a_linked_identity_signs_its_user_in_and_goes_where_they_wanted(client, linked_bob, lines):
    client.get("/accounts/login/?next=/chat/Lobby/")
    answer = sso(client, "bobs-subject")
    assert (answer.status_code, answer["Location"]) == (302, "/chat/Lobby/")
    assert user_id_of(client) == linked_bob.pk
    [line] = lines("sign_in")
    assert '"by": "single sign-on"' in line
    # The session is listed like any other.
    assert "Signed in here since" in client.get("/accounts/").content.decode()


def test_the_provider_is_asked_with_state_and_pkce_and_sends_back_to_the_configured_address(client, db):
    query = parse_qs(urlsplit(client.get(START, headers={"host": "localhost"})["Location"]).query)
    assert query["redirect_uri"] == [f"{site.SITE_URL}/accounts/sso/callback/"]
    assert query["code_challenge_method"] == ["S256"] and query["state"] and query["code_challenge"]


def test_the_provider_of_these_tests_demands_pkce(client, db, issuer):
    link = client.get(START)["Location"]
    without = re.sub(r"&code_challenge[^&]*", "", link)
    answer = requests.post(without, data={"sub": "x"}, timeout=10, allow_redirects=False)
    assert "code=" not in answer.headers.get("Location", "")
    code = parse_qs(urlsplit(choose(link, "x")).query)["code"][0]
    form = {"grant_type": "authorization_code", "code": code, "client_id": "multichat", "client_secret": "s"}
    form |= {"redirect_uri": f"{site.SITE_URL}/accounts/sso/callback/", "code_verifier": "w" * 43}
    assert requests.post(f"{issuer}/oauth2/token", data=form, timeout=10).status_code == 400


def test_a_next_address_of_another_site_is_not_followed(client, linked_bob):
    assert sso(client, "bobs-subject", "/accounts/sso/?next=https://elsewhere.example/")["Location"] == "/"


def test_a_user_who_is_signed_in_already_goes_where_they_wanted(client, bob):
    client.force_login(bob)
    assert client.get(START)["Location"] == "/chat/Lobby/"


def test_a_deactivated_user_gets_a_sentence(client, linked_bob):
    linked_bob.is_active = False
    linked_bob.save()
    assert "was deactivated" in text_of(sso(client, "bobs-subject"))
    assert user_id_of(client) is None


def test_an_answer_is_used_once_and_in_its_own_browser_alone(client, linked_bob):
    back = choose(client.get(START)["Location"], "bobs-subject")
    stranger = Client()
    assert stranger.get(back).status_code == 403
    assert user_id_of(stranger) is None
    assert client.get(back).status_code == 302
    client.logout()
    assert client.get(back).status_code == 403
    assert user_id_of(client) is None


def tampered(token):
    head, body, signature = token.split(".")
    return f"{head}.{body}.{signature[:-8]}AAAAAAAA"


def unsigned(token):
    return f"eyJhbGciOiJub25lIiwia2lkIjoieCJ9.{token.split('.')[1]}."


def test_a_token_that_the_provider_did_not_sign_signs_no_user_in(client, linked_bob, monkeypatch, lines):
    real = OAuth2Client.get_access_token
    for failures, change in enumerate((tampered, unsigned, lambda token: "x", lambda token: None), 1):

        def get_access_token(self, *args, change=change, **kwargs):
            answer = real(self, *args, **kwargs)
            return answer | {"id_token": change(answer["id_token"])}

        monkeypatch.setattr(OAuth2Client, "get_access_token", get_access_token)
        assert sso(client, "bobs-subject").status_code == 403
        assert user_id_of(client) is None
        assert len(lines("sign_in_failed")) == failures


def test_claims_about_another_user_are_refused(client, linked_bob, monkeypatch):
    monkeypatch.setattr(ProviderClient, "_fetch_user_info", lambda self, token: {"sub": "another"})
    assert sso(client, "bobs-subject").status_code == 403
    assert user_id_of(client) is None


def test_the_subject_of_another_issuer_is_another_user(client, linked_bob):
    SocialAccount.objects.update(provider="oidc-of-another-issuer")
    assert "No account here is linked" in text_of(sso(client, "bobs-subject"))


def test_failed_sign_ons_count_like_wrong_passwords(client, linked_bob, monkeypatch, settings):
    settings.AXES_FAILURE_LIMIT = 3

    def fail(*args, **kwargs):
        raise KeyError("id_token")

    with monkeypatch.context() as patch:
        patch.setattr(ProviderClient, "complete_login", fail)
        assert [sso(client, "x").status_code for _ in range(2)] == [403, 403]
        sso(client, "x")
    assert client.get(START).status_code == 429


def test_a_user_who_is_locked_out_by_wrong_passwords_is_locked_out_here_too(client, linked_bob, settings):
    settings.AXES_FAILURE_LIMIT = 2
    for _ in range(2):
        client.post("/accounts/login/", {"username": "bob", "password": "wrong"})
    assert sso(client, "bobs-subject").status_code == 429
    assert user_id_of(client) is None


@pytest.mark.usefixtures("nothing_read_yet")
def test_a_provider_that_is_away_gets_a_sentence_and_counts_nothing(client, db, monkeypatch, settings):
    settings.OIDC = settings.OIDC._replace(issuer="http://localhost:9")
    answer = client.get(START)
    assert answer.status_code == 503
    assert "couldn't reach" in answer.content.decode().replace("&#x27;", "'")


@pytest.mark.usefixtures("nothing_read_yet")
@pytest.mark.parametrize("status", [None, 503])
def test_a_provider_that_goes_away_during_a_sign_on_counts_nothing(client, linked_bob, monkeypatch, settings, status):
    settings.AXES_FAILURE_LIMIT = 1
    for address in (".well-known", "jwks", "token"):
        backs = choose(client.get(START)["Location"], "bobs-subject")
        provider_requests.clear()
        real = requests.Session.request

        def away(self, method, url, *args, real=real, address=address, **kwargs):
            if address not in url:
                return real(self, method, url, *args, **kwargs)
            if status is None:
                raise requests.ConnectionError("away")
            answer = requests.Response()
            answer.status_code = status
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(requests.Session, "request", away)
            answer = client.get(backs)
        assert (answer.status_code, "couldn" in text_of(answer)) == (503, True), address
    assert sso(client, "bobs-subject").status_code == 302


def test_a_success_forgets_the_failures_of_colleagues_behind_the_same_address(client, linked_bob, settings):
    settings.AXES_FAILURE_LIMIT = 3
    wrong = "/accounts/sso/callback/?state=x&code=y"
    for _ in range(2):
        for _ in range(2):
            back = choose(client.get(START)["Location"], "bobs-subject")
            client.get(f"{back}x" if "code=" in back.rsplit("&", 1)[-1] else back.replace("code=", "code=x"))
        assert sso(Client(), "bobs-subject").status_code == 302
    assert client.get(wrong).status_code == 403
    assert client.get(START).status_code == 302


@pytest.mark.usefixtures("nothing_read_yet")
def test_discovery_and_keys_are_read_once_and_again_for_an_unknown_key(client, linked_bob, monkeypatch):
    asked = []
    real = requests.Session.request

    def count(self, method, url, *args, **kwargs):
        asked.append(url.rsplit("/", 1)[-1])
        return real(self, method, url, *args, **kwargs)

    monkeypatch.setattr(requests.Session, "request", count)
    for _ in range(2):
        assert sso(client, "bobs-subject").status_code == 302
        client.logout()
    assert (asked.count("openid-configuration"), asked.count("jwks")) == (1, 1)
    [keys] = [address for address in provider_requests._kept if address.endswith("jwks")]
    at = provider_requests._kept[keys][0]
    older = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)
    provider_requests._kept[keys] = (at, {"keys": [older]})
    assert sso(client, "bobs-subject").status_code == 302
    client.logout()
    assert asked.count("jwks") == 2
    monkeypatch.setattr(provider_requests, "clock", lambda: at + provider_requests.KEPT_SECONDS + 60)
    assert client.get(START).status_code == 302
    assert asked.count("openid-configuration") == 2


@pytest.mark.usefixtures("nothing_read_yet")
def test_a_slow_provider_holds_only_a_few_threads(client, db, monkeypatch):
    monkeypatch.setattr(provider_requests, "WAIT_SECONDS", 0.01)
    for _ in range(provider_requests.AT_ONCE):
        assert provider_requests._slots.acquire(blocking=False)
    try:
        assert client.get(START).status_code == 503
    finally:
        provider_requests._slots.release(provider_requests.AT_ONCE)
    assert client.get(START).status_code == 302


def test_the_session_of_a_visitor_is_short_until_they_sign_in(client, linked_bob):
    client.get(START)
    assert client.session.get_expiry_age() == login_steps.VISITOR_SECONDS
    assert sso(client, "bobs-subject").status_code == 302
    assert client.session.get_expiry_age() == site.SESSION_COOKIE_AGE


# Linking


def test_an_identity_is_linked_by_its_signed_in_user_who_confirms_with_the_password(client, bob, password, lines):
    client.force_login(bob)
    assert "This password is wrong" in text_of(client.post("/accounts/sso/link/", {"password": "wrong"}))
    assert link_to(client, "new-subject", password)["Location"] == "/accounts/"
    assert identities.user_of("new-subject") == bob
    assert "Linked to Example login" in text_of(client.get("/accounts/"))
    assert lines("identity_linked")
    client.post("/accounts/sso/unlink/", {"password": password})
    assert identities.user_of("new-subject") is None
    assert lines("identity_unlinked")


def test_an_email_address_links_nothing(client, bob, issuer, settings):
    bob.email = "bob@example.com"
    bob.save()
    set_claims(issuer, "mallory", email="bob@example.com", email_verified=True, preferred_username="bob")
    assert "No account here is linked" in text_of(sso(client, "mallory"))
    settings.OIDC_SIGN_UP = True
    # Nor does a username: the visitor has to choose another one.
    assert sso(client, "mallory")["Location"] == "/accounts/sso/name/"
    assert identities.user_of("mallory") is None
    assert user_id_of(client) is None


def test_an_identity_of_another_user_is_not_taken_over(client, linked_bob, charlie, password):
    client.force_login(charlie)
    assert "belongs to another account" in text_of(link_to(client, "bobs-subject", password))
    assert identities.user_of("bobs-subject") == linked_bob
    assert not identities.is_linked(charlie.pk)


def test_a_link_is_for_the_user_who_asked_for_it(client, bob, charlie, password):
    client.force_login(bob)
    answer = client.post("/accounts/sso/link/", {"password": password})
    link = re.search(r'class="primary" href="([^"]+)"', answer.content.decode())[1].replace("&amp;", "&")
    back = choose(link, "new-subject")
    states = client.session["socialaccount_states"]
    client.force_login(charlie)  # which begins another session
    session = client.session
    session["socialaccount_states"] = states
    session.save()
    assert "nothing was linked" in text_of(client.get(back))
    assert identities.user_of("new-subject") is None


def test_users_without_a_password_link_only_just_after_signing_in(client, bob):
    bob.set_unusable_password()
    bob.save()
    client.force_login(bob)
    session = client.session
    session["signed_in_at"] -= 3600
    session.save()
    assert "Log out and log in again first" in text_of(client.post("/accounts/sso/link/"))


# New users


def test_an_unknown_identity_becomes_a_user_where_that_is_allowed(client, db, issuer, settings, django_user_model):
    settings.OIDC_SIGN_UP = True
    claims = {"preferred_username": "dora", "given_name": "Dora", "family_name": "Explorer", "email": "d@example.com"}
    set_claims(issuer, "dora-1", **claims, email_verified=False)
    assert sso(client, "dora-1")["Location"] == "/chat/Lobby/"
    dora = django_user_model.objects.get(username="dora")
    assert (dora.get_full_name(), dora.is_staff, dora.has_usable_password()) == ("Dora Explorer", False, False)
    # An address that the provider has not verified could be another's.
    assert dora.email == ""
    assert user_id_of(client) == dora.pk
    client.logout()
    assert sso(client, "dora-1").status_code == 302
    assert user_id_of(client) == dora.pk


def test_the_rules_for_usernames_hold_for_new_identities(client, bob, issuer, settings, django_user_model):
    settings.OIDC_SIGN_UP = True
    for wanted in ("bob", "BOB", "b\u200bob", "System", "", "a b", None):
        set_claims(issuer, "another-bob", preferred_username=wanted)
        assert sso(client, "another-bob")["Location"] == "/accounts/sso/name/", wanted
    for refused in ("Bob", "System", "a b"):
        assert client.post("/accounts/sso/name/", {"username": refused}).status_code == 200
    assert django_user_model.objects.count() == 1
    assert client.post("/accounts/sso/name/", {"username": "robert"})["Location"] == "/chat/Lobby/"
    robert = django_user_model.objects.get(username="robert")
    assert identities.user_of("another-bob") == robert
    assert user_id_of(client) == robert.pk


def test_a_display_name_of_another_user_is_left_out(client, bob, issuer, settings, django_user_model):
    settings.OIDC_SIGN_UP = True
    set_claims(issuer, "faker", preferred_username="faker", given_name="Bob")
    sso(client, "faker")
    assert django_user_model.objects.get(username="faker").first_name == ""


def test_an_invitation_lets_an_unknown_identity_in_once(client, alice, rooms, issuer, django_user_model):
    made, code = invitations.create(alice, days=1, uses=1, room_ids=[rooms.random.pk])
    set_claims(issuer, "erin", preferred_username="erin")
    client.get(f"/invite/{code}/")
    made.refresh_from_db()
    assert made.uses_left == 1
    assert sso(client, "erin", "/accounts/sso/")["Location"] == f"/?rooms={rooms.random.pk}"
    assert django_user_model.objects.get(username="erin").pk == user_id_of(client)
    made.refresh_from_db()
    assert made.uses_left == 0
    client.logout()
    set_claims(issuer, "frank", preferred_username="frank")
    assert "No account here is linked" in text_of(sso(client, "frank"))


@pytest.mark.parametrize("end", ["used up", "revoked", "expired", "the inviter may not invite"])
def test_an_invitation_that_ended_lets_no_identity_in(client, alice, issuer, django_user_model, end):
    made, code = invitations.create(alice, days=1, uses=1)
    set_claims(issuer, f"gina {end}", preferred_username="alice")
    client.get(f"/invite/{code}/")
    assert sso(client, f"gina {end}")["Location"] == "/accounts/sso/name/"
    if end == "used up":
        made.uses_left = 0
    elif end == "revoked":
        made.revoked_at = timezone.now()
    elif end == "expired":
        made.expires_at = timezone.now()
    else:
        alice.is_staff = False
        alice.save()
    made.save()
    # The second time too, when the session has no invitation any more.
    assert "The invitation ended" in text_of(client.post("/accounts/sso/name/", {"username": "gina"}))
    assert client.post("/accounts/sso/name/", {"username": "gina"})["Location"] == "/accounts/login/"
    assert not django_user_model.objects.filter(username="gina").exists()
    assert user_id_of(client) is None


def test_an_invitation_that_is_used_up_in_the_last_moment_takes_the_identity_with_it(
    client, alice, issuer, monkeypatch, django_user_model
):
    _, code = invitations.create(alice, days=1, uses=1)
    set_claims(issuer, "hugo", preferred_username="alice")
    client.get(f"/invite/{code}/")
    sso(client, "hugo")

    def used_up(*args, **kwargs):
        raise invitations.UsedUpError

    with monkeypatch.context() as patch:
        patch.setattr(invitations, "accept", used_up)
        assert "The invitation ended" in text_of(client.post("/accounts/sso/name/", {"username": "hugo"}))
    assert client.post("/accounts/sso/name/", {"username": "hugo"})["Location"] == "/accounts/login/"
    assert not django_user_model.objects.filter(username="hugo").exists()


def test_a_lost_race_for_a_username_is_explained_and_a_second_tab_signs_in(client, bob, issuer, settings, monkeypatch):
    settings.OIDC_SIGN_UP = True
    set_claims(issuer, "ivan", preferred_username="ivan")

    def lost(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr(identities, "create_user", lost)
    assert sso(client, "ivan")["Location"] == "/accounts/sso/name/"
    assert "This name is taken" in text_of(client.post("/accounts/sso/name/", {"username": "ivan"}))
    SocialAccount.objects.create(user=bob, provider=site.OIDC.key, uid="ivan")
    answer = client.post("/accounts/sso/name/", {"username": "ivan"})
    assert answer["Location"] == "/accounts/sso/?next=%2Fchat%2FLobby%2F"


# Staff from a claim


def test_staff_follows_the_claim_at_each_sign_in(client, linked_bob, issuer, settings, lines):
    settings.OIDC_STAFF = STAFF
    followed = [
        ({"groups": ["chat-admins2"]}, False),
        ({"groups": "chat-admins"}, True),
        ({"groups": ["users"]}, False),
        ({"groups": ["users", "chat-admins"]}, True),
        ({}, False),
    ]
    for claims, is_staff in followed:
        set_claims(issuer, "bobs-subject", **claims)
        sso(client, "bobs-subject")
        linked_bob.refresh_from_db()
        assert linked_bob.is_staff is is_staff, claims
        client.logout()
    assert (len(lines("staff_given")), len(lines("staff_taken"))) == (2, 2)


def test_the_claim_is_ignored_until_it_is_set_and_superusers_keep_the_flag(client, linked_bob, issuer, settings):
    set_claims(issuer, "bobs-subject", groups=["chat-admins"])
    sso(client, "bobs-subject")
    linked_bob.refresh_from_db()
    assert not linked_bob.is_staff
    linked_bob.is_staff = linked_bob.is_superuser = True
    linked_bob.save()
    settings.OIDC_STAFF = STAFF
    set_claims(issuer, "bobs-subject", groups=[])
    client.logout()
    sso(client, "bobs-subject")
    linked_bob.refresh_from_db()
    assert linked_bob.is_staff


@pytest.mark.django_db(transaction=True)
async def test_open_pages_learn_that_the_claim_took_the_staff_flag(linked_bob, issuer, settings):
    settings.OIDC_STAFF = STAFF

    def prepare():
        set_claims(issuer, "bobs-subject", groups=["chat-admins"])
        client = Client()
        assert sso(client, "bobs-subject").status_code == 302
        room = Room.objects.create(title="Staff", staff_only=True)
        return client, str(room.pk)

    client, room = await database.write(prepare)
    communicator = handshake(cookie=f"{site.SESSION_COOKIE_NAME}={client.cookies[site.SESSION_COOKIE_NAME].value}")
    assert (await communicator.connect(5))[0]
    socket = Socket(communicator)
    assert (await socket.ask(command="join", room=room))["join"] == room
    await socket.rest()

    def sign_in_elsewhere():
        set_claims(issuer, "bobs-subject", groups=[])
        assert sso(Client(), "bobs-subject").status_code == 302

    await database.write(sign_in_elsewhere)
    assert await socket.next() == {"leave": room, "reason": "ROOM_ACCESS_DENIED"}
    await socket.end()
    await database.close()


# Without passwords


def test_without_passwords_each_form_for_one_is_refused(client, alice, bob, password, settings):
    from chat.store.second_factors import Authenticator

    code = invitations.create(alice, days=1, uses=1)[1]
    settings.OIDC_ONLY = True
    settings.AUTHENTICATION_BACKENDS = [
        site.AUTHENTICATION_BACKENDS[0],
        "multichat.login.RefusedPasswords",
        *site.AUTHENTICATION_BACKENDS[1:],
    ]
    login = {"username": "bob", "password": password}
    page = text_of(client.get("/accounts/login/"))
    assert "Log in with Example login" in page and 'type="password"' not in page
    assert client.post("/accounts/login/", login).status_code == 403
    assert client.post("/admin/login/?next=/admin/", login)["Location"] == "/accounts/login/?next=%2Fadmin%2F"
    page = text_of(client.get(f"/invite/{code}/"))
    assert "Sign up with Example login" in page and 'type="password"' not in page
    new = {"username": "dora", "password1": password, "password2": password}
    assert client.post(f"/invite/{code}/", new).status_code == 403
    for path in ("/accounts/password_reset/", "/accounts/reset/MQ/x-y/", "/accounts/password_change/"):
        assert client.post(path, {"email": "bob@example.com"}).status_code == 403
    assert client.get("/accounts/passkey/")["Location"] == "/accounts/login/"
    assert user_id_of(client) is None
    assert not Authenticator.objects.exists()


def test_without_passwords_a_linked_user_signs_in_and_cannot_unlink(client, linked_bob, settings):
    settings.OIDC_ONLY = True
    assert sso(client, "bobs-subject").status_code == 302
    assert "Change password" not in text_of(client.get("/accounts/"))
    assert "It stays linked" in text_of(client.post("/accounts/sso/unlink/"))
    assert identities.user_of("bobs-subject") == linked_bob


def test_another_email_address_needs_the_stored_password_or_a_fresh_sign_in(client, linked_bob, password, settings):
    def save(**fields):
        return client.post("/accounts/", {"first_name": "", "last_name": "", "email": "thief@example.com"} | fields)

    settings.OIDC_ONLY = True
    client.force_login(linked_bob)
    assert "Enter your password" in text_of(save())
    assert save(password=password).status_code == 302
    linked_bob.set_unusable_password()
    linked_bob.save(update_fields=["password"])
    client.force_login(linked_bob)
    session = client.session
    session["signed_in_at"] -= 3600
    session.save()
    assert "Log out and log in again first" in text_of(save(email="other@example.com"))
    linked_bob.refresh_from_db()
    assert linked_bob.email == "thief@example.com"
    client.force_login(linked_bob)
    session = client.session
    session["signed_in_at"] += 3600
    session.save()
    assert save(email="other@example.com").status_code == 302
