"""Password hashes: OWASP's parameters, and a limit of concurrent computations."""

import threading

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, identify_hasher, make_password
from django.test import RequestFactory

from multichat import passwords

HASHERS = ["multichat.passwords.Argon2", "multichat.passwords.PBKDF2", "multichat.passwords.Scrypt"]


@pytest.fixture
def hashers(settings):
    settings.PASSWORD_HASHERS = HASHERS


def test_the_settings_use_our_hashers():
    from multichat import settings as ours

    assert ours.PASSWORD_HASHERS == HASHERS


def test_a_hash_is_argon2id_with_19_mib_two_iterations_and_one_lane(hashers):
    assert make_password("secret").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_of_an_earlier_version_is_accepted_and_replaced_at_the_next_sign_in(hashers, client, bob, settings):
    bob.password = Argon2PasswordHasher().encode("secret words", "a" * 22)
    bob.save()
    assert "m=102400" in bob.password
    response = client.post("/accounts/login/", {"username": "bob", "password": "secret words"})
    assert response.status_code == 302
    bob.refresh_from_db()
    assert "$m=19456,t=2,p=1$" in bob.password
    assert check_password("secret words", bob.password)


@pytest.mark.parametrize("name", ["argon2", "pbkdf2_sha256", "scrypt"])
def test_each_hasher_waits_for_a_turn_to_hash_and_to_check(hashers, settings, name, monkeypatch):
    settings.LIMITS = {"PASSWORD_CHECKS": 1}
    for hasher in (passwords.PBKDF2, passwords.Scrypt):
        monkeypatch.setattr(hasher, "iterations", 1, raising=False)
    monkeypatch.setattr(passwords.Scrypt, "work_factor", 2)
    taken = []
    take = passwords.turns.take
    monkeypatch.setattr(passwords.turns, "take", lambda: taken.append(1) or take())
    encoded = make_password("secret", hasher=name)
    assert identify_hasher(encoded).algorithm == name
    assert check_password("secret", encoded, preferred=name)
    assert not check_password("wrong", encoded, preferred=name)
    assert len(taken) >= 3


def test_the_number_of_threads_that_hash_at_once_is_limited(settings):
    settings.LIMITS = {"PASSWORD_CHECKS": 2, "PASSWORD_CHECKS_WAIT_SECONDS": 10}
    turns = passwords.Turns()
    now, most = 0, 0
    lock = threading.Lock()
    two_at_once = threading.Barrier(2)

    def check():
        nonlocal now, most
        with turns.take():
            with lock:
                now += 1
                most = max(most, now)
            two_at_once.wait(5)
            with lock:
                now -= 1

    threads = [threading.Thread(target=check) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (now, most) == (0, 2)


def test_a_sign_in_that_waits_too_long_for_a_turn_gets_503(settings, client, bob, password):
    settings.LIMITS = {"PASSWORD_CHECKS": 1, "PASSWORD_CHECKS_WAIT_SECONDS": 0.01}
    with passwords.turns.take():
        response = client.post("/accounts/login/", {"username": "bob", "password": password})
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert client.post("/accounts/login/", {"username": "bob", "password": password}).status_code == 302


def test_the_middleware_ignores_other_errors():
    middleware = passwords.Middleware(lambda request: None)
    assert middleware.process_exception(RequestFactory().get("/"), ValueError()) is None
