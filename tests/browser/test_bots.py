"""The bots of a room on the page: made, used from outside, given a new token, and revoked."""

import urllib.request
from urllib.error import HTTPError

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations


def post(address, token, text):
    request = urllib.request.Request(address, text.encode(), {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_staff_make_a_bot_that_posts_and_replace_its_token(visit, site):
    alice = visit("alice", keep=False)
    page = alice.page
    alice.open("Lobby")
    alice.pane("Lobby").get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Room settings").click()
    dialog = page.get_by_role("dialog", name="Lobby")
    box = dialog.get_by_role("textbox", name="Name of a new bot")
    # A refusal keeps what was typed.
    box.fill("alice")
    box.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("taken")
    expect(box).to_have_value("alice")
    box.fill("monitoring")
    dialog.get_by_role("button", name="Add bot").click()
    expect(dialog.get_by_role("list", name="Bots")).to_contain_text("monitoring")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    token = dialog.locator(".secrets code").nth(0).inner_text()
    address = dialog.locator(".secrets code").nth(1).inner_text()
    assert address.startswith(site.url) and len(token) > 40
    assert violations(page) == []
    assert post(address, token, "disk full") == 200
    expect(alice.texts("Lobby").last).to_have_text("disk full")
    expect(alice.pane("Lobby")).to_contain_text("monitoring")
    # A new token ends the old one, and the focus does not stay on a button that is gone.
    dialog.get_by_role("button", name="New token for monitoring").click()
    expect(dialog.locator(".secrets code").nth(0)).not_to_have_text(token)
    expect(box).to_be_focused()
    assert post(address, token, "late") == 401
    new = dialog.locator(".secrets code").nth(0).inner_text()
    # What was shown once is gone after closing, and revoking asks once.
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert new not in page.content()
    alice.pane("Lobby").get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Room settings").click()
    dialog.get_by_role("button", name="Revoke monitoring", exact=True).click()
    dialog.get_by_role("button", name="Really revoke monitoring?").click()
    expect(dialog.get_by_role("list", name="Bots").get_by_role("listitem")).to_have_count(0)
    assert post(address, new, "late") == 401
