"""Second factors and single sign-on in a browser that has a virtual passkey, at a server that has these turned on."""

import base64
import hashlib
import hmac
import re
import time

import pytest
from playwright.sync_api import expect

from tests import migrated, oidc_provider
from tests.browser.conftest import PASSWORD, Site
from tests.browser.judging import violations_of_part_in_looks
from tests.browser.test_accessibility import looks_in_turn
from tests.browser.test_accounts import picture


@pytest.fixture
def guarded(tmp_path, collected):
    """A site with second factors and single sign-on. Its name is localhost, where passkeys need no HTTPS."""
    process, issuer = oidc_provider.start()
    site = Site(tmp_path, static=collected)
    site.url = f"http://localhost:{site.port}"
    site.environment |= {
        "SECOND_FACTOR": "on",
        "SITE_URL": site.url,
        "OIDC_ISSUER": issuer,
        "OIDC_CLIENT_ID": "multichat",
        "OIDC_CLIENT_SECRET": "a secret of the tests",
        "OIDC_NAME": "Example login",
    }
    migrated.add_optional_to(site.database)
    site.start()
    yield site
    site.end()
    oidc_provider.stop(process)


def code_of(secret):
    """Return what an authenticator app shows now (RFC 6238)."""
    digest = hmac.new(base64.b32decode(secret), int(time.time() // 30).to_bytes(8, "big"), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 10**6:06}"


LOOKS = looks_in_turn()


def check(page, name):
    picture(page, name)
    # test_accounts.py judges what all pages of accounts have around this.
    assert violations_of_part_in_looks(page, "main", *next(LOOKS)) == []
    page.set_viewport_size({"width": 1320, "height": 740})


def log_out(page, site):
    page.goto(f"{site.url}/accounts/logout/")
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{site.url}/accounts/login/?next=/accounts/")


def forget_user(page, site):
    """Open the page to log in without a session, in fewer steps than a user who logs out."""
    page.context.clear_cookies()
    page.goto(f"{site.url}/accounts/login/?next=/accounts/")


def log_in(page):
    page.get_by_label("Username").fill("bob")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_a_passkey_an_app_and_an_identity_each_log_their_user_in(browser, guarded):
    context = browser.new_context()
    page = context.new_page()
    problems = []
    page.on("console", lambda message: problems.append(message) if message.type == "error" else None)
    devtools = context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    device = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    account = page.get_by_role("heading", name="My account")

    page.goto(f"{guarded.url}/accounts/login/?next=/accounts/")
    check(page, "login")
    log_in(page)
    check(page, "account_ways")
    page.get_by_role("link", name="Second factor and passkeys").click()
    page.get_by_role("link", name="Set up an authenticator app").click()
    check(page, "factor_app")
    secret = page.locator(".link").inner_text().replace(" ", "")
    page.get_by_label("Code from the app").fill(code_of(secret))
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text(re.compile(r"^\d{8}$"))).to_have_count(10)
    check(page, "recovery_codes")
    page.get_by_role("link", name="I have stored them").click()
    page.get_by_role("link", name="Add a passkey").click()
    check(page, "factor_passkey")
    page.get_by_label("Name of the passkey").fill("This computer")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_text("This computer")).to_be_visible()
    check(page, "factors")

    log_out(page, guarded)
    log_in(page)
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    check(page, "second_step")
    page.get_by_role("button", name="Use a passkey").click()
    expect(account).to_be_visible()

    forget_user(page, guarded)
    page.get_by_role("button", name="Log in with a passkey").click()
    expect(account).to_be_visible()

    page.get_by_role("link", name="Link to Example login").click()
    check(page, "confirm")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("link", name="Continue").click()
    page.locator("input[name=sub]").fill("bobs-subject")
    page.locator("input[name=sub]").press("Enter")
    expect(page.get_by_text("Linked to Example login")).to_be_visible()

    forget_user(page, guarded)
    page.get_by_role("link", name="Log in with Example login").click()
    page.locator("input[name=sub]").fill("bobs-subject")
    page.locator("input[name=sub]").press("Enter")
    page.get_by_role("button", name="Use a passkey").click()
    expect(account).to_be_visible()

    forget_user(page, guarded)
    page.get_by_role("link", name="Log in with Example login").click()
    page.locator("input[name=sub]").fill("a stranger")
    page.locator("input[name=sub]").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No account here is linked")
    check(page, "sso_failed")
    # A refusal is shown with status 403, and the pages of the provider are not ours.
    ours = [problem.text for problem in problems if problem.location["url"].startswith(guarded.url)]
    assert [text for text in ours if "status of 403" not in text] == []
    context.close()
