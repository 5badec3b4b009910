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
    context = browser.new_context()
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


def test_signing_out_hides_the_other_tabs_and_signing_in_again_restores_them(two_tabs, site):
    first, second = two_tabs
    site.shell(
        "from chat.models import Room\n"
        "Room.objects.get(title='Lobby').send_message('the secret', None, 2)\n"
        "Room.objects.get(title='Random').send_message('unread', None)\n"
        "from django.contrib.auth.models import User\n"
        "Room.objects.get(title='Third').send_message('@bob another secret', User.objects.get(username='alice'))"
    )
    second.goto("/chat/Lobby/")
    expect(second.texts("Lobby")).to_have_text(["the secret"])
    expect(second.page.locator(".pinned")).to_have_count(1)
    second.box("Lobby").fill("half written")
    second.page.get_by_role("button", name="Mentions").click()
    expect(second.page.get_by_text("another secret")).to_be_visible()
    log_out(first)
    second.expect_state("Signed out")
    expect(second.page.get_by_text("the secret")).to_have_count(0)
    expect(second.page.get_by_text("another secret")).to_have_count(0)
    expect(second.pane("Lobby")).to_be_hidden()
    expect(second.button("Lobby")).to_be_hidden()
    expect(second.page).to_have_title("Multichat")
    log_in_again(first, "bob")
    second.expect_state("Connected")
    expect(second.texts("Lobby")).to_have_text(["the secret"])
    expect(second.page.locator(".pinned")).to_have_count(1)
    # Signing out forgets drafts, in all tabs.
    expect(second.box("Lobby")).to_have_value("")
    expect(second.page.locator(".notice")).to_have_count(0)
    second.say("Lobby", "on it goes")
    expect(second.texts("Lobby").last).to_have_text("on it goes")


def test_signing_out_hides_what_other_tabs_had_said_of_the_rooms(two_tabs, site):
    first, second = two_tabs
    # Firefox and Safari have no ariaNotify, so a live region has the words there.
    second.page.add_init_script("delete Document.prototype.ariaNotify")
    second.goto("/?rooms=")
    second.open("Lobby", "Random")
    expect(second.box("Random")).to_be_focused()
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "Room.objects.get(title='Random').send_message('the secret', User.objects.get(username='alice'))"
    )
    announcer = second.page.locator("[data-part=announcer]")
    expect(announcer).to_contain_text("the secret")
    site.shell("from chat.models import Room; Room.objects.get(title='Lobby').delete()")
    notice = second.page.locator(".notice", has_text="Lobby")
    expect(notice).to_be_visible()
    log_out(first)
    second.expect_state("Signed out")
    expect(second.page.locator(".notice").filter(visible=True)).to_have_text([re.compile("Sign in again")])
    expect(announcer).to_be_empty()
    log_in_again(first, "bob")
    second.expect_state("Connected")
    expect(notice).to_be_visible()


def test_a_tab_that_was_signed_out_stays_hidden_from_another_user(two_tabs):
    first, second = two_tabs
    second.goto("/chat/Lobby/")
    second.expect_state("Connected")
    log_out(first)
    second.expect_state("Signed out")
    log_in_again(first, "alice")
    notice = second.page.locator(".notice")
    expect(notice).to_contain_text("Another user is logged in now.")
    expect(second.pane("Lobby")).to_be_hidden()
    notice.get_by_role("link", name="Reload").click()
    second.expect_state("Connected")
    expect(second.page.locator(".me")).to_have_text("alice")
    expect(second.pane("Lobby")).to_be_visible()


def attach(visitor, *names):
    """Paste files into the Lobby, and return their tray."""
    until(visitor.page, TRAYS_LOADED)
    pasted = visitor.page.evaluate_handle(TRANSFER, [[name, "text/plain", TEXT] for name in names])
    visitor.box("Lobby").evaluate(PASTE, pasted)
    items = visitor.page.locator(".tray li")
    expect(items).to_have_count(len(names))
    return items


END_SESSIONS = "from django.contrib.sessions.models import Session; Session.objects.all().delete()"


@pytest.mark.parametrize("name", ["bob", "alice"])
def test_uploads_go_on_when_their_user_signs_in_again_and_never_under_another_user(two_tabs, site, name):
    first, second = two_tabs
    first.expect_state("Connected")
    second.goto("/chat/Lobby/")
    second.expect_state("Connected")
    posted = []
    second.page.on("request", lambda request: posted.append(request.url) if "/files/?" in request.url else None)
    second.page.route(re.compile("name=failed"), lambda route: route.fulfill(status=500, body="{}"), times=1)
    second.page.route(re.compile("name=slow"), lambda route: None)
    items = attach(second, "failed.txt", "slow.txt", "done.txt")
    expect(items.filter(has_text="The upload was interrupted.")).to_have_count(1)
    done = second.page.locator(".tray li[data-state=done]")
    expect(done).to_have_count(1)
    site.shell(END_SESSIONS)
    # Those of the users of other tests, too.
    site.states.clear()
    second.expect_state("Signed out")
    # The network comes back while nobody is signed in.
    second.page.evaluate("dispatchEvent(new Event('online'))")
    first.goto("/chat/Lobby/")
    log_in_again(first, name)
    if name == "bob":
        second.expect_state("Connected")
        expect(done).to_have_count(2)
        return
    expect(second.page.locator(".notice")).to_contain_text("Another user is logged in now.")
    second.page.evaluate("dispatchEvent(new Event('online'))")
    expect(items).to_have_count(0)
    # The browser does not ask the other user about files.
    second.page.locator(".notice").get_by_role("link", name="Reload").click()
    second.expect_state("Connected")
    assert len(posted) == 3


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


def test_logging_out_works_with_an_old_token(two_tabs, site):
    first, _ = two_tabs
    first.expect_state("Connected")
    # Another tab has signed in since, so the browser has a new token.
    first.page.context.add_cookies([{"name": "csrftoken", "value": "x" * 32, "url": site.url}])
    log_out(first)
    first.goto("/")
    expect(first.page.get_by_label("Username")).to_be_visible()


def test_two_login_forms_in_two_tabs_end_signed_in(browser, site):
    site.clean()
    context = browser.new_context()
    first, second = Visitor(context.new_page(), site), Visitor(context.new_page(), site)
    for tab in (first, second):
        tab.goto("/chat/Lobby/")
    for tab in (first, second):
        log_in_again(tab, "charlie")
        expect(tab.pane("Lobby")).to_be_visible()
    context.close()


def test_a_link_to_log_out_has_one_button(two_tabs):
    first, _ = two_tabs
    first.goto("/accounts/logout/")
    expect(first.page.get_by_role("heading", name="Log out?")).to_be_visible()
    expect(first.page.get_by_role("button")).to_have_count(1)
    log_out(first)
