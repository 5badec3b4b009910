"""What a user hears of each room: levels in the menus, and notifications counted over tabs and devices."""

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations
from tests.browser.test_unread import badge


def choose(visitor, level):
    visitor.page.get_by_role("radio", name=level, exact=True).click()
    expect(visitor.page.get_by_role("radio", name=level, exact=True)).to_be_checked()


def test_a_level_decides_what_counts_on_all_devices(visit, site):
    bob, phone, alice = visit("bob"), visit("bob"), visit("alice")
    alice.open("Lobby", "Random")
    bob.expect_state("Connected")
    # From the menu of a row, by key: the arrows move and choose nothing.
    bob.button("Lobby").click(button="right")
    bob.page.keyboard.press("ArrowUp")
    quiet = bob.page.get_by_role("radio", name="Quiet", exact=True)
    expect(quiet).to_be_focused()
    expect(bob.page.get_by_role("radio", name="All", exact=True)).to_be_checked()
    assert violations(bob.page) == []
    bob.page.keyboard.press("Enter")
    expect(quiet).to_be_checked()
    bob.page.keyboard.press("Escape")
    for text in ("hello", "@bob are you there?"):
        alice.say("Lobby", text)
    # A dot without a number, there and here, and nothing in the title.
    for device in (bob, phone):
        expect(badge(device, "Lobby")).to_be_visible()
        expect(badge(device, "Lobby")).to_have_text("")
        expect(device.button("Lobby")).to_have_attribute("aria-description", "Quiet, Unread")
        expect(device.page).to_have_title("Multichat")
        expect(device.page.get_by_role("button", name="Next unread")).to_be_hidden()
    alice.say("Random", "counts")
    expect(phone.page).to_have_title("(1) Multichat")
    # From the menu of a pane: only what is for the reader counts.
    phone.open("Third")
    phone.pane("Third").get_by_role("button", name="More", exact=True).click()
    choose(phone, "Mentions")
    phone.page.keyboard.press("Escape")
    bob.button("Third").click(button="right")
    expect(bob.page.get_by_role("radio", name="Mentions", exact=True)).to_be_checked()
    bob.page.keyboard.press("Escape")
    bob.button("Lobby").click(button="right")
    choose(bob, "Mentions")
    bob.page.keyboard.press("Escape")
    for device in (bob, phone):
        expect(badge(device, "Lobby")).to_have_text("1, @1")
        expect(device.page).to_have_title("(2, @1) Multichat")
    # Alerts always break through.
    bob.button("Random").click(button="right")
    choose(bob, "Quiet")
    bob.page.keyboard.press("Escape")
    site.manage("say", "Random", "disk full", "--type", "alert")
    expect(bob.page).to_have_title("● Alert (1, @1) Multichat")
    expect(bob.button("Random")).to_have_attribute("aria-description", "Alert, Quiet, Unread")
