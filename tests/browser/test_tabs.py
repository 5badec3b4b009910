"""Several tabs and logins: signing out hides the other tabs, and signing in again restores them."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, Visitor, sign_in, until
from tests.browser.test_files import PASTE, TEXT, TRANSFER, TRAYS_LOADED


@pytest.fixture
def two_tabs(browser, site):
    """Open two tabs in a context of their own, in which only this test signs in and out."""
    site.clean()
    context = browser.new_context(reduced_motion="reduce")
    first, second = Visitor(context.new_page(), site), Visitor(context.new_page(), site)
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


def attach(visitor, *names):
    """Paste files into the Lobby, and return their tray."""
    until(visitor.page, TRAYS_LOADED)
    pasted = visitor.page.evaluate_handle(TRANSFER, [[name, "text/plain", TEXT] for name in names])
    visitor.box("Lobby").evaluate(PASTE, pasted)
    items = visitor.page.locator(".tray li")
    expect(items).to_have_count(len(names))
    return items


def attach_slowly(visitor):
    """Paste two files into the Lobby, of which one is not uploaded, and return their tray."""
    visitor.page.route(re.compile("name=slow"), lambda route: None)
    items = attach(visitor, "slow.txt", "done.txt")
    expect(visitor.page.locator(".tray li[data-state=done]")).to_have_count(1)
    return items


def log_out_and_discard(visitor):
    """Log out while a message waits for its file, which counts as unsent."""
    visitor.box("Lobby").press("Enter")
    visitor.page.get_by_role("button", name="Log out", exact=True).click()
    expect(visitor.page.locator(".notice")).to_contain_text("1 message")
    # The browser asks nothing, because the user has decided.
    visitor.page.get_by_role("button", name="Log out and discard").click()
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


def test_signing_out_hides_the_other_tabs_and_forgets_files_and_signing_in_again_restores_the_tabs(two_tabs, site):
    first, second = two_tabs
    for tab in two_tabs:
        tab.goto("/chat/Lobby/")
    expect(first.page.get_by_role("heading", name="Log in")).to_be_visible()
    # A wrong password is explained. Two forms in two tabs both lead to the requested page.
    first.page.get_by_label("Username").fill("bob")
    first.page.get_by_label("Password").fill("wrong")
    first.page.get_by_role("button", name="Log in").click()
    expect(first.page.get_by_role("alert")).to_contain_text("correct username and password")
    for tab in two_tabs:
        log_in_again(tab, "bob")
        expect(tab.pane("Lobby")).to_be_visible()
        assert tab.page.url == f"{site.url}/chat/Lobby/"
    site.shell(SECRETS)
    # Firefox and Safari have no ariaNotify, so a live region has the words there.
    second.page.add_init_script("delete Document.prototype.ariaNotify")
    second.goto(site.address("Lobby", "Here", "Random"))
    expect(second.texts("Lobby")).to_have_text(["the secret"])
    # What is typed, said to screen readers, shown of a room that is gone, and listed.
    second.box("Lobby").fill("half written")
    items = [attach_slowly(tab) for tab in two_tabs]
    second.box("Random").focus()
    site.shell(LAST_SECRET)
    announcer, gone = second.page.locator("[data-part=announcer]"), second.page.locator(".notice", has_text="Here")
    expect(announcer).to_contain_text("the last secret")
    expect(gone).to_be_visible()
    second.page.get_by_role("button", name="Mentions").click()
    expect(second.page.get_by_text("another secret")).to_be_visible()
    # Another tab has signed in since, so the browser has a new token. Logging out works with the old one too.
    first.page.context.add_cookies([{"name": "csrftoken", "value": "x" * 32, "url": site.url}])
    log_out_and_discard(first)
    second.expect_state("Signed out")
    expect(items[1]).to_have_count(0)
    for tab in two_tabs:
        assert tab.page.evaluate("sessionStorage.getItem('multichat.files')") is None
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
    # A link to log out has one button.
    first.goto("/accounts/logout/")
    expect(first.page.get_by_role("heading", name="Log out?")).to_be_visible()
    expect(first.page.get_by_role("button")).to_have_count(1)
    log_out(first)
    first.goto("/")
    expect(first.page.get_by_label("Username")).to_be_visible()


END_SESSIONS = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"


def end_sessions(site):
    """End all sessions, also those of the users of other tests."""
    site.shell(END_SESSIONS)
    site.states.clear()


def test_uploads_go_on_when_their_user_signs_in_again_and_never_under_another_user(two_tabs, site):
    first, second = two_tabs
    sign_in(first.page, site, "bob")
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
