"""Several tabs and logins: signing out hides the other tabs, and signing in again restores them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, Visitor, sign_in, until
from tests.browser.test_files import PASTE, TEXT, TRANSFER, TRAYS_LOADED


@pytest.fixture
def two_tabs(browser, site):
    """Open two tabs of bob in a context of their own, signed in for this test alone."""
    site.clean()
    context = browser.new_context(reduced_motion="reduce")
    first, second = Visitor(context.new_page(), site), Visitor(context.new_page(), site)
    sign_in(first.page, site, "bob")
    yield first, second
    context.close()
    assert first.problems + second.problems == []


def log_in_again(visitor, name):
    """Sign in at the form that signing out has led to."""
    visitor.page.get_by_label("Username").fill(name)
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.page.get_by_role("button", name="Log in").click()
    visitor.expect_state("Connected")


def log_out(visitor):
    visitor.page.get_by_role("button", name="Log out", exact=True).click()
    expect(visitor.page.get_by_label("Username")).to_be_visible()


SECRETS = """
from django.contrib.auth.models import User
from chat.models import Room
alice = User.objects.get(username="alice")
for title, text in (("Lobby", "the secret"), ("Third", "@bob another secret")):
    Room.objects.get(title=title).send_message(text, alice)
"""
LAST_SECRET = """
from django.contrib.auth.models import User
from chat.models import Room
Room.objects.get(title="Random").send_message("the last secret", User.objects.get(username="alice"))
Room.objects.get(title="Here").delete()
"""


def test_signing_out_hides_the_other_tabs_and_signing_in_again_restores_them(two_tabs, site):
    first, second = two_tabs
    site.shell(SECRETS)
    # Firefox and Safari have no ariaNotify, so a live region has the words there.
    second.page.add_init_script("delete Document.prototype.ariaNotify")
    second.goto(site.address("Lobby", "Here", "Random"))
    expect(second.texts("Lobby")).to_have_text(["the secret"])
    # What is typed, said to screen readers, shown of a room that is gone, and listed.
    second.box("Lobby").fill("half written")
    second.box("Random").focus()
    site.shell(LAST_SECRET)
    announcer, gone = second.page.locator("[data-part=announcer]"), second.page.locator(".notice", has_text="Here")
    expect(announcer).to_contain_text("the last secret")
    expect(gone).to_be_visible()
    second.page.get_by_role("button", name="Mentions").click()
    expect(second.page.get_by_text("another secret")).to_be_visible()
    # Another tab has signed in since, so the browser has a new token. Logging out works with the old one too.
    first.page.context.add_cookies([{"name": "csrftoken", "value": "x" * 32, "url": site.url}])
    log_out(first)
    second.expect_state("Signed out")
    for secret in ("the secret", "another secret", "the last secret"):
        expect(second.page.get_by_text(secret)).to_have_count(0)
    expect(announcer).to_be_empty()
    expect(second.page.locator(".notice").filter(visible=True)).to_have_text([re.compile("Sign in again")])
    expect(second.pane("Lobby")).to_be_hidden()
    expect(second.button("Lobby")).to_be_hidden()
    expect(second.page).to_have_title("Multichat")
    log_in_again(first, "bob")
    second.expect_state("Connected")
    expect(second.texts("Lobby")).to_have_text(["the secret"])
    expect(second.page.locator(".notice")).to_have_count(1)
    expect(gone).to_be_visible()
    # Signing out forgets drafts, in all tabs.
    expect(second.box("Lobby")).to_have_value("")
    second.say("Lobby", "on it goes")
    expect(second.texts("Lobby").last).to_have_text("on it goes")


def attach(visitor, *names):
    """Paste files into the Lobby, and return their tray."""
    until(visitor.page, TRAYS_LOADED)
    pasted = visitor.page.evaluate_handle(TRANSFER, [[name, "text/plain", TEXT] for name in names])
    visitor.box("Lobby").evaluate(PASTE, pasted)
    items = visitor.page.locator(".tray li")
    expect(items).to_have_count(len(names))
    return items


END_SESSIONS = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"


def end_sessions(site):
    """End all sessions, also those of the users of other tests."""
    site.shell(END_SESSIONS)
    site.states.clear()


def test_uploads_go_on_when_their_user_signs_in_again_and_never_under_another_user(two_tabs, site):
    first, second = two_tabs
    first.expect_state("Connected")
    site.shell("from chat.models import Room; Room.objects.get(title='Lobby').send_message('the secret', None, 2)")
    second.goto("/chat/Lobby/")
    second.expect_state("Connected")
    pinned = second.page.locator(".pinned")
    expect(pinned).to_contain_text("the secret")
    asked = []
    second.page.on("request", lambda request: asked.append(request.url) if "/files/?" in request.url else None)
    second.page.route(re.compile("name=failed"), lambda route: route.fulfill(status=500, body="{}"), times=1)
    second.page.route(re.compile("name=slow"), lambda route: None)
    items = attach(second, "failed.txt", "slow.txt", "done.txt")
    expect(items.filter(has_text="The upload was interrupted.")).to_have_count(1)
    done = second.page.locator(".tray li[data-state=done]")
    expect(done).to_have_count(1)
    end_sessions(site)
    second.expect_state("Signed out")
    # An alert is hidden too, and the title does not say that there is one.
    expect(second.page.get_by_text("the secret")).to_have_count(0)
    expect(second.page).to_have_title("Multichat")
    # The network comes back while nobody is signed in.
    second.page.evaluate("dispatchEvent(new Event('online'))")
    first.goto("/chat/Lobby/")
    log_in_again(first, "bob")
    second.expect_state("Connected")
    expect(pinned).to_contain_text("the secret")
    expect(done).to_have_count(2)
    number = len(asked)
    end_sessions(site)
    second.expect_state("Signed out")
    first.goto("/chat/Lobby/")
    log_in_again(first, "alice")
    # The tab stays hidden from another user.
    notice = second.page.locator(".notice")
    expect(notice).to_contain_text("Another user is logged in now.")
    expect(second.pane("Lobby")).to_be_hidden()
    second.page.evaluate("dispatchEvent(new Event('online'))")
    expect(items).to_have_count(0)
    # The browser does not ask the other user about files.
    notice.get_by_role("link", name="Reload").click()
    second.expect_state("Connected")
    expect(second.page.locator(".me")).to_have_text("alice")
    expect(second.pane("Lobby")).to_be_visible()
    assert len(asked) == number


def test_signing_out_forgets_attached_files_in_all_tabs(two_tabs):
    first, second = two_tabs
    for tab in (first, second):
        tab.goto("/chat/Lobby/")
        tab.expect_state("Connected")
        tab.page.route(re.compile("name=slow"), lambda route: None)
        items = attach(tab, "slow.txt", "done.txt")
        expect(tab.page.locator(".tray li[data-state=done]")).to_have_count(1)
    # A message that waits for its file counts as unsent.
    first.box("Lobby").press("Enter")
    first.page.get_by_role("button", name="Log out", exact=True).click()
    expect(first.page.locator(".notice")).to_contain_text("1 message")
    # The browser asks nothing, because the user has decided.
    first.page.get_by_role("button", name="Log out and discard").click()
    expect(first.page.get_by_label("Username")).to_be_visible()
    second.expect_state("Signed out")
    expect(items).to_have_count(0)
    for tab in (first, second):
        assert tab.page.evaluate("sessionStorage.getItem('multichat.files')") is None


def test_two_login_forms_in_two_tabs_end_signed_in_and_a_link_to_log_out_has_one_button(browser, site):
    site.clean()
    context = browser.new_context(reduced_motion="reduce")
    first, second = Visitor(context.new_page(), site), Visitor(context.new_page(), site)
    for tab in (first, second):
        tab.goto("/chat/Lobby/")
    for tab in (first, second):
        log_in_again(tab, "charlie")
        expect(tab.pane("Lobby")).to_be_visible()
    first.goto("/accounts/logout/")
    expect(first.page.get_by_role("heading", name="Log out?")).to_be_visible()
    expect(first.page.get_by_role("button")).to_have_count(1)
    log_out(first)
    first.goto("/")
    expect(first.page.get_by_label("Username")).to_be_visible()
    context.close()
