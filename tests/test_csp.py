"""The Content-Security-Policy that browsers get with each page."""

import re

STRICT = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "manifest-src 'self'",
    "trusted-types service-worker",
}


def policy(response):
    """Return the directives, without the nonce, which only pages with a script of their own have."""
    return set(re.sub(r" 'nonce-[^']+'", "", response["Content-Security-Policy"]).split("; "))


def test_pages_get_the_strict_policy(client, db):
    assert policy(client.get("/accounts/login/")) == STRICT


def test_the_admin_gets_the_strict_policy_without_trusted_types(client, db):
    assert policy(client.get("/admin/login/")) == STRICT - {"require-trusted-types-for 'script'"}


def test_each_page_has_a_nonce_of_its_own(client, alice):
    client.force_login(alice)
    nonces = [re.search(r"'nonce-([^']+)'", client.get("/")["Content-Security-Policy"])[1] for _ in "ab"]
    assert nonces[0] != nonces[1]
