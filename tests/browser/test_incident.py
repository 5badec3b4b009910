"""A whole incident, followed by keyboard alone: find, three rooms, same moment, quote, alert, catch up, and back."""

import re

from playwright.sync_api import expect

from tests.browser.test_panes import titles

COUNT_PRESSES = "() => { window.presses = 0; addEventListener('pointerdown', () => { window.presses += 1; }, true); }"


def find(visitor, typed, title):
    visitor.page.keyboard.press("Control+K")
    expect(visitor.page.get_by_role("combobox", name="Find or jump")).to_be_focused()
    visitor.page.keyboard.type(typed)
    expect(visitor.page.get_by_role("option", name=title).first).to_be_visible()
    visitor.page.keyboard.press("Enter")
    expect(visitor.box(title)).to_be_focused()


def press_until(visitor, key, locator, most=20):
    """Press a key until an element has the focus."""
    for _ in range(most):
        if locator.evaluate_all("(found) => found.includes(document.activeElement)"):
            return
        visitor.page.keyboard.press(key)
    expect(locator).to_be_focused()


def test_a_whole_incident_is_followed_by_keyboard_alone(visit, site):
    bob, alice = visit("bob", viewport={"width": 1320, "height": 780}), visit("alice", "/chat/Lobby/")
    bob.page.evaluate(COUNT_PRESSES)
    keyboard = bob.page.keyboard
    # Find, and three rooms side by side.
    for typed, title in (("lob", "Lobby"), ("rand", "Random"), ("thi", "Third")):
        find(bob, typed, title)
    site.manage("say", "Random", "deploy of 16:32 has started")
    site.manage("say", "Third", "customers write that they see errors")
    alice.say("Lobby", "the disk of db-1 is full")
    for title in ("Lobby", "Random", "Third"):
        expect(bob.texts(title)).to_have_count(1)
    # What stood in the other rooms at that moment, and back.
    keyboard.press("Control+Shift+1")
    expect(bob.box("Lobby")).to_be_focused()
    keyboard.press("Alt+PageUp")
    moment = bob.page.get_by_role("status").filter(has_text=re.compile(r"^\d\d?:\d\d.* in all panes$"))
    expect(moment).to_be_visible()
    keyboard.press("Escape")
    expect(moment).to_be_hidden()
    # Carry the message to the room of the customers.
    keyboard.press("Shift+F2")
    menu = bob.page.get_by_role("menu", name="Quote in another room")
    press_until(bob, "ArrowDown", menu.get_by_role("menuitem", name="Third"))
    keyboard.press("Enter")
    expect(bob.box("Third")).to_be_focused()
    keyboard.type("this is why")
    keyboard.press("Enter")
    alice.open("Third")
    expect(alice.log("Third").locator(".quote")).to_contain_text("the disk of db-1 is full")
    # An alert in a room that is not open: go there, and confirm it.
    site.manage("say", "Here", "db-1 is read-only", "--type", "alert")
    expect(bob.button("Here")).to_contain_text("Alert")
    keyboard.press("F8")
    expect(bob.box("Here")).to_be_focused()
    got_it = bob.pane("Here").get_by_role("button", name="Got it")
    expect(got_it).to_be_visible()
    press_until(bob, "Shift+Tab", got_it)
    keyboard.press("Enter")
    expect(bob.button("Here")).not_to_contain_text("Alert")
    alice.button("Here").click()
    expect(alice.log("Here")).to_contain_text("bob")
    # Answer in the first room, and catch up with the others.
    keyboard.press("Control+Shift+1")
    keyboard.type("on it")
    keyboard.press("Enter")
    expect(alice.texts("Lobby").last).to_have_text("on it")
    for title in ("There", "There", "Here"):
        site.manage("say", title, f"news in {title}")
    expect(bob.button("There")).to_contain_text("2")
    before = titles(bob)
    keyboard.press("Control+Shift+F8")
    expect(bob.texts("There")).to_have_count(2)
    for _ in range(5):
        if bob.page.get_by_text("All caught up").is_visible():
            break
        keyboard.press("e")
        bob.page.evaluate("new Promise((done) => { setTimeout(done, 300); })")
    expect(bob.page.get_by_text("All caught up")).to_be_visible()
    expect(bob.button("There").locator(".unread")).to_be_hidden()
    # And everything is as it was.
    keyboard.press("Escape")
    expect(bob.box("Lobby")).to_be_focused()
    assert titles(bob) == before
    assert bob.page.evaluate("window.presses") == 0
