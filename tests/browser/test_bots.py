"""Bots and webhooks of a room on the page: made, used from outside, given new secrets, and ended."""

import os
import urllib.request
from urllib.error import HTTPError

from playwright.sync_api import expect

from tests.browser.test_accessibility import inside, violations
from tests.browser.test_notifications import wait_for


def post(address, token, text):
    request = urllib.request.Request(address, text.encode(), {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code


def test_staff_make_a_bot_that_posts_and_replace_its_token(visit, site):
    alice = visit("alice", site.address("Lobby"))
    page = alice.page
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
    assert post(address, token, "disk full") == 200
    expect(alice.texts("Lobby").last).to_have_text("disk full")
    expect(alice.pane("Lobby")).to_contain_text("monitoring")
    # The hook needs no header. Its secret stays out of the server's log, also when a request fails.
    hook = dialog.locator(".secrets code").filter(has_text="/hooks/").inner_text()
    assert post(hook, "", "disk fine") == 200
    expect(alice.texts("Lobby").last).to_have_text("disk fine")
    assert post(f"{hook}/more", "", "lost") == 404
    wait_for(lambda: "Not Found: /hooks/" in site.log.read_text(), page)
    assert hook.rpartition("/")[2] not in site.log.read_text()
    # A new token ends the old one, and the focus does not stay on a button that is gone.
    dialog.get_by_role("button", name="New token for monitoring").click()
    expect(dialog.locator(".secrets code").nth(0)).not_to_have_text(token)
    expect(box).to_be_focused()
    assert post(address, token, "late") == 401
    new = dialog.locator(".secrets code").nth(0).inner_text()
    # A webhook: a refusal keeps what was typed, and its secret is shown once.
    hooks = dialog.get_by_role("list", name="Webhooks")
    address_box = dialog.get_by_role("textbox", name="Address of a new webhook")
    address_box.fill("http://example.com/in")
    address_box.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("https://")
    address_box.fill("https://hooks.example.com/in/topsecret")
    dialog.get_by_role("checkbox", name="Also send what bots write").check()
    dialog.get_by_role("button", name="Add webhook").click()
    expect(hooks).to_contain_text("hooks.example.com")
    expect(hooks).to_contain_text("On · also bots")
    expect(address_box).to_have_value("")
    secret = dialog.locator(".secrets code").filter(has_text="whsec_").inner_text()
    # A bot with its secrets, and a webhook with its own.
    expect(dialog.locator(".secrets code").filter(has_text=new)).to_be_attached()
    # What is behind the dialog is judged in other tests.
    assert violations(page, context=inside("dialog[open]")) == []
    dialog.get_by_role("button", name="Pause for hooks.example.com").click()
    expect(hooks).to_contain_text("Paused. A user paused it.")
    expect(address_box).to_be_focused()
    if pictures := os.environ.get("PICTURES"):
        for width, theme in ((1200, "light"), (360, "light"), (360, "dark"), (1200, "dark")):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 900})
            hooks.scroll_into_view_if_needed()
            page.screenshot(path=f"{pictures}/webhooks-{width}-{theme}.png")
    dialog.get_by_role("button", name="Resume for hooks.example.com", exact=True).click()
    expect(hooks).to_contain_text("On · also bots")
    dialog.get_by_role("button", name="Remove hooks.example.com", exact=True).click()
    dialog.get_by_role("button", name="Really remove hooks.example.com?").click()
    expect(hooks.get_by_role("listitem")).to_have_count(0)
    assert secret not in page.content()
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
