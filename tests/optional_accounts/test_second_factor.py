"""The second step of signing in, passkeys, and the pages that turn them on and off."""

import json
import re

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.conf import settings as site
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from chat.login_steps import VISITOR_SECONDS
from chat.store import second_factors
from tests.soft_passkey import PRESENT, SoftPasskey

pytestmark = pytest.mark.django_db
LOGIN, STEP, FACTORS = "/accounts/login/", "/accounts/second_factor/", "/accounts/second_factors/"
SECRET = "JBSWY3DPEHPK3PXP"
# WebAuthn allows plain HTTP on localhost alone.
LOCAL = {"host": "localhost"}


def user_id_of(client):
    return client.get("/accounts/session/").json()["user"]


def text_of(answer):
    return " ".join(answer.content.decode().split())


def code(secret=SECRET, periods=0):
    return format_hotp_value(hotp_value(secret, int(timezone.now().timestamp()) // 30 + periods))


def first_step(client, password, following="/chat/Lobby/", name="bob"):
    return client.post(LOGIN, {"username": name, "password": password, "next": following})


def options_in(answer):
    found = re.search(r'id="passkey-options" type="application/json">(.*?)</script>', answer.content.decode())
    return json.loads(found[1])


@pytest.fixture
def codes(bob):
    """Bob has an authenticator app; returns the recovery codes."""
    return second_factors.turn_app_on(bob, SECRET)


@pytest.fixture
def local():
    return Client(headers=LOCAL)


@pytest.fixture
def passkey(local, bob, password):
    """Bob has a passkey."""
    local.force_login(bob)
    made = SoftPasskey()
    answer = made.make(options_in(local.get(f"{FACTORS}passkey/")))
    shown = local.post(f"{FACTORS}passkey/", {"name": "My phone", "password": password, "credential": answer})
    assert "Your recovery codes" in text_of(shown)
    local.logout()
    return made


# The second step


def test_a_password_alone_signs_in_only_users_without_a_second_factor(client, bob, charlie, codes, password):
    assert first_step(client, password, name="charlie")["Location"] == "/chat/Lobby/"
    assert user_id_of(client) == charlie.pk
    client.logout()
    assert first_step(client, password)["Location"] == STEP
    assert user_id_of(client) is None
    answer = client.post(STEP, {"code": code()})
    assert (answer.status_code, answer["Location"]) == (302, "/chat/Lobby/")
    assert user_id_of(client) == bob.pk
    assert "Signed in here since" in text_of(client.get("/accounts/"))


def test_the_admin_has_no_way_around_the_second_step(client, alice, password):
    second_factors.turn_app_on(alice, SECRET)
    login = {"username": "alice", "password": password}
    assert client.post("/admin/login/?next=/admin/", login)["Location"] == f"{LOGIN}?next=%2Fadmin%2F"
    assert user_id_of(client) is None


def test_a_code_works_once_in_any_process(client, bob, codes, password):
    with time_machine.travel("2026-01-01 12:00:10+00:00", tick=False):
        used = code()
        assert second_factors.accept_code(bob.pk, used) == "app"
        assert second_factors.accept_code(bob.pk, used) == ""
        # Nor an earlier one, which is still within the tolerance.
        assert second_factors.accept_code(bob.pk, code(periods=-1)) == ""
        assert second_factors.accept_code(bob.pk, code(periods=1)) == "app"
    with time_machine.travel("2026-01-01 12:05:10+00:00", tick=False):
        assert second_factors.accept_code(bob.pk, code(periods=-2)) == ""
        assert second_factors.accept_code(bob.pk, f" {code()[:3]} {code()[3:]} ") == "app"


def test_a_recovery_code_works_once(client, bob, codes, password):
    assert len(codes) == 10
    first_step(client, password)
    assert client.post(STEP, {"code": codes[0]}).status_code == 302
    assert user_id_of(client) == bob.pk
    assert second_factors.factors_of(bob.pk).codes_left == 9
    client.logout()
    first_step(client, password)
    assert client.post(STEP, {"code": codes[0]}).status_code == 200
    assert user_id_of(client) is None


@pytest.mark.parametrize("wrong", ["", "000000", "12345", "x" * 20, "１２３４５６", "\x00"])
def test_a_wrong_code_is_answered_by_a_sentence(client, bob, codes, password, wrong):
    first_step(client, password)
    assert client.post(STEP, {"code": wrong}).status_code == 200
    assert client.post(STEP, {"credential": wrong or "[]"}).status_code == 200
    assert user_id_of(client) is None


def test_wrong_codes_count_like_wrong_passwords(client, bob, codes, password, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(2):
        first_step(client, password)  # the right password resets nothing
        assert client.post(STEP, {"code": "000000"}).status_code == 200
    first_step(client, password)
    assert client.post(STEP, {"code": "000000"}).status_code == 429
    assert client.post(STEP, {"code": code()}).status_code == 429
    assert first_step(client, password).status_code == 429
    assert user_id_of(client) is None


def test_wrong_codes_count_for_a_user_whatever_their_address_is(bob, codes, password, settings):
    settings.LIMITS = settings.LIMITS | {"PASSWORD_CHANGES_AT_ONCE": 3}
    statuses = []
    for number in range(5):
        client = Client(REMOTE_ADDR=f"192.0.2.{number}")
        first_step(client, password)
        statuses.append(client.post(STEP, {"code": "000000"}).status_code)
    assert statuses == [200, 200, 200, 429, 429]


def test_wrong_codes_make_users_wait_longer_and_longer_in_any_process(bob, codes):
    with time_machine.travel("2026-01-01 12:00:00+00:00", tick=False) as clock:
        for count in range(1, 9):
            assert second_factors.accept_code(bob.pk, "000000") == ""
            wait = 0 if count < 5 else 30 * 2 ** (count - 5)
            assert second_factors.code_wait(bob.pk) == wait
            # Within the wait nothing is checked, and nothing counts.
            if wait:
                assert second_factors.accept_code(bob.pk, code()) == second_factors.accept_code(bob.pk, codes[0]) == ""
            clock.shift(wait)
        assert second_factors.accept_code(bob.pk, codes[0]) == "recovery code"
        assert second_factors.factors_of(bob.pk).codes_left == 9
        assert second_factors.accept_code(bob.pk, "000000") == ""
        assert second_factors.accept_code(bob.pk, code()) == "app"
        for _ in range(30):
            second_factors.accept_code(bob.pk, "000000")
            clock.shift(second_factors.code_wait(bob.pk))
        second_factors.accept_code(bob.pk, "000000")
        assert second_factors.code_wait(bob.pk) == second_factors.MAX_WAIT_SECONDS


def test_recovery_codes_of_users_with_passkeys_alone_count_failures_and_work_once(bob, codes):
    Authenticator.objects.filter(type="totp").delete()
    assert second_factors.accept_code(bob.pk, "000000") == ""
    assert second_factors.accept_code(bob.pk, codes[0]) == "recovery code"
    assert second_factors.accept_code(bob.pk, codes[0]) == ""


def test_the_second_step_ends_after_a_few_failures(client, bob, codes, password):
    first_step(client, password)
    for _ in range(4):
        assert client.post(STEP, {"code": "000000"}).status_code == 200
    assert "Log in again" in text_of(client.post(STEP, {"code": "000000"}))
    assert client.post(STEP, {"code": code()})["Location"] == LOGIN
    first_step(client, password)
    # Codes that are not checked are no failures: ten would lock the user out.
    for _ in range(4):
        assert "Too many wrong codes. Try again in 1 minute, " in text_of(client.post(STEP, {"code": code()}))
    assert "failures" not in client.session["second_factor"]
    assert user_id_of(client) is None


def test_signing_out_everywhere_ends_second_steps(client, bob, codes, password):
    first_step(client, password)
    elsewhere = Client()
    elsewhere.force_login(bob)
    assert elsewhere.post("/accounts/sign_out_everywhere/")["Location"] == LOGIN
    assert client.post(STEP, {"code": code()})["Location"] == LOGIN
    first_step(client, password)
    assert client.post(STEP, {"code": code()})["Location"] == "/chat/Lobby/"


def test_the_session_of_a_visitor_is_short_until_they_have_signed_in(local, bob, codes, password):
    local.get("/accounts/passkey/")
    assert local.session.get_expiry_age() == VISITOR_SECONDS
    first_step(local, password)
    assert local.session.get_expiry_age() == VISITOR_SECONDS
    local.post(STEP, {"code": code()})
    assert local.session.get_expiry_age() == site.SESSION_COOKIE_AGE


def test_the_second_step_is_for_a_short_time_and_ends_with_the_password_and_the_account(client, bob, codes, password):
    first_step(client, password)
    session = client.session
    session["second_factor"] = session["second_factor"] | {"at": session["second_factor"]["at"] - 601}
    session.save()
    assert client.post(STEP, {"code": code()})["Location"] == LOGIN
    first_step(client, password)
    bob.set_password("another one, just as hard")
    bob.save()
    assert client.post(STEP, {"code": code()})["Location"] == LOGIN
    first_step(client, "another one, just as hard")
    bob.is_active = False
    bob.save()
    assert client.post(STEP, {"code": code()})["Location"] == LOGIN
    assert user_id_of(client) is None


def test_two_tabs_in_the_second_step_both_end_signed_in(client, bob, codes, password):
    first_step(client, password)
    assert client.post(STEP, {"code": code()}).status_code == 302
    assert client.get(STEP)["Location"] == "/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(bob)
    assert strict.post(STEP, {"code": code()})["Location"] == "/"


def test_a_code_of_another_secret_key_is_worth_nothing_and_breaks_nothing(client, bob, codes, password, settings):
    settings.SECRET_KEY = "another key, of another installation, with many letters"
    assert second_factors.accept_code(bob.pk, code()) == ""
    client.force_login(bob)
    assert client.get(FACTORS).status_code == 200


def test_the_database_has_no_secret_in_the_clear(bob, codes):
    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert SECRET not in stored and not any(recovery in stored for recovery in codes)


# Turning it on and off


def test_an_app_is_turned_on_with_the_password_and_a_right_code(client, bob, password):
    client.force_login(bob)
    page = text_of(client.get(f"{FACTORS}app/"))
    secret = re.search(r'<p class="link">([A-Z2-7 ]+)</p>', page)[1].replace(" ", "")
    assert "otpauth" not in page and "<path d=" in page
    for wrong in ({"code": code(secret), "password": "wrong"}, {"code": "000000", "password": password}):
        assert client.post(f"{FACTORS}app/", wrong).status_code == 200
    assert not second_factors.is_on(bob.pk)
    elsewhere = Client()
    elsewhere.force_login(bob)
    assert "In all other browsers you will be logged out" in page
    shown = text_of(client.post(f"{FACTORS}app/", {"code": code(secret), "password": password}))
    assert len(re.findall(r"<code>\d{8}</code>", shown)) == 10
    assert second_factors.is_on(bob.pk)
    # They were signed in without it.
    assert (user_id_of(client), user_id_of(elsewhere)) == (bob.pk, None)
    assert "10 left" in text_of(client.get(FACTORS))
    shown = text_of(client.post(f"{FACTORS}codes/", {"password": password}))
    assert len(re.findall(r"<code>\d{8}</code>", shown)) == 10
    assert client.post(f"{FACTORS}app/off/", {"password": "wrong"}).status_code == 200
    assert client.post(f"{FACTORS}app/off/", {"password": password})["Location"] == FACTORS
    assert not Authenticator.objects.exists()


def test_strangers_and_other_users_change_nothing(client, local, passkey, charlie, password):
    for path in ("", "app/", "app/off/", "codes/", "passkey/", "passkey/1/"):
        assert client.post(f"{FACTORS}{path}")["Location"].startswith(LOGIN)
    client.force_login(charlie)
    row = Authenticator.objects.get(type="webauthn")
    assert client.post(f"{FACTORS}passkey/{row.pk}/", {"password": password}).status_code == 302
    assert Authenticator.objects.filter(pk=row.pk).exists()


def test_an_administrator_turns_a_lost_second_factor_off(bob, codes, capsys):
    call_command("remove_second_factor", "bob")
    assert not Authenticator.objects.exists()
    assert "bob" in capsys.readouterr().out


def test_the_tables_are_not_in_the_admin(client, django_user_model, password):
    client.force_login(django_user_model.objects.create_superuser("root", password=password))
    for path in ("mfa/authenticator", "socialaccount/socialaccount", "account/emailaddress"):
        assert client.get(f"/admin/{path}/").status_code == 404
    assert "mfa" not in text_of(client.get("/admin/"))


def test_a_deleted_user_leaves_no_factor(bob, codes):
    bob.delete()
    assert not Authenticator.objects.exists()


# Passkeys


def test_a_passkey_alone_signs_in(local, bob, passkey):
    answer = passkey.use(local.get("/accounts/passkey/").json())
    following = {"next": "/chat/Lobby/"}
    assert local.post("/accounts/passkey/", following | {"credential": answer})["Location"] == "/chat/Lobby/"
    assert user_id_of(local) == bob.pk
    local.logout()
    # The answer is for one challenge.
    assert local.post("/accounts/passkey/", {"credential": answer}).status_code == 403
    assert user_id_of(local) is None


def test_a_passkey_is_a_second_step(local, bob, passkey, password):
    assert first_step(local, password)["Location"] == STEP
    answer = passkey.use(options_in(local.get(STEP)))
    assert local.post(STEP, {"credential": answer})["Location"] == "/chat/Lobby/"
    assert user_id_of(local) == bob.pk


def test_passkeys_that_are_not_right_sign_no_user_in(local, bob, charlie, passkey, settings):
    def try_with(used):
        return local.post("/accounts/passkey/", {"credential": used.use(local.get("/accounts/passkey/").json())})

    other = SoftPasskey()
    other.id, other.handle = passkey.id, passkey.handle
    elsewhere = SoftPasskey(origin="http://elsewhere.localhost")
    untouched = SoftPasskey(flags=PRESENT)
    for copy in (elsewhere, untouched):
        copy.id, copy.handle, copy.key = passkey.id, passkey.handle, passkey.key
    for wrong in (other, elsewhere, untouched):
        assert try_with(wrong).status_code == 403
    for garbage in ("", "{}", "[]", "null", "[" * 8000, '{"response": 3}', "x" * 50_000):
        local.get("/accounts/passkey/")
        assert local.post("/accounts/passkey/", {"credential": garbage}).status_code in (403, 429)
    assert user_id_of(local) is None


def test_failed_passkeys_count_and_a_deactivated_user_stays_out(local, bob, passkey, settings):
    bob.is_active = False
    bob.save()
    settings.AXES_FAILURE_LIMIT = 2

    def try_it():
        return local.post("/accounts/passkey/", {"credential": passkey.use(local.get("/accounts/passkey/").json())})

    assert try_it().status_code == 403
    assert try_it().status_code in (403, 429)
    assert try_it().status_code == 429
    assert user_id_of(local) is None
    # Colleagues behind the same address can still log in, until passkeys fail that name no user.
    for _ in range(2):
        assert local.get("/accounts/passkey/").status_code == 200
        local.post("/accounts/passkey/", {"credential": "{}"})
    assert local.get("/accounts/passkey/").status_code == 429


def test_a_passkey_that_works_forgets_the_failures_of_others_behind_its_address(local, bob, passkey, settings):
    settings.AXES_FAILURE_LIMIT = 3
    for _ in range(2):
        for _ in range(2):
            assert local.post("/accounts/passkey/", {"credential": "{}"}).status_code == 403
        answer = passkey.use(local.get("/accounts/passkey/").json())
        assert local.post("/accounts/passkey/", {"credential": answer}).status_code == 302
        local.logout()


def test_a_removed_passkey_ends_the_second_factor(local, bob, passkey, password):
    local.force_login(bob)
    row = Authenticator.objects.get(type="webauthn")
    assert "My phone" in text_of(local.get(FACTORS))
    assert local.post(f"{FACTORS}passkey/{row.pk}/", {"password": password}).status_code == 302
    assert not second_factors.is_on(bob.pk)
    assert not Authenticator.objects.exists()


# The pages


def test_passkeys_may_be_used_by_our_own_pages_alone(client, db):
    answer = client.get(LOGIN)
    assert "publickey-credentials-get=(self)" in answer["Permissions-Policy"]
    assert "require-trusted-types-for 'script'" in answer["Content-Security-Policy"]
    assert "Log in with a passkey" in text_of(answer)
    assert site.SECOND_FACTOR
