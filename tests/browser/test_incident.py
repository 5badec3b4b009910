"""A whole incident, followed by keyboard alone: find, three rooms, same moment, quote, alert, catch up, and back."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_history import FIRST_IN_VIEW, fill, text
from tests.browser.test_keys import press_until, quote_in
from tests.browser.test_panes import titles
from tests.browser.test_unread import wait_until

COUNT_PRESSES = "() => { window.presses = 0; addEventListener('pointerdown', () => { window.presses += 1; }, true); }"
WIDE = {"width": 1320, "height": 780}


def find(visitor, typed, title):
    visitor.page.keyboard.press("Control+K")
    expect(visitor.page.get_by_role("combobox", name="Find or jump")).to_be_focused()
    visitor.page.keyboard.type(typed)
    expect(visitor.page.get_by_role("option", name=title).first).to_be_visible()
    visitor.page.keyboard.press("Enter")
    expect(visitor.box(title)).to_be_focused()


# Each step is pressed in test_page.py, test_keys.py, test_history.py, test_unread.py or test_honest.py too.
@pytest.mark.full_size
def test_a_whole_incident_is_followed_by_keyboard_alone(visit, site):
    # More than a page, so that the rooms have something to move to.
    fill(site, "Lobby", 120, ages=[(100, 40)])
    fill(site, "Random", 200, ages=[(60, 41)])
    site.shell("from chat.models import Room; Room.objects.create(title='News')")
    bob, alice = visit("bob", viewport=WIDE), visit("alice", viewport=WIDE)
    for visitor in (bob, alice):
        visitor.page.evaluate(COUNT_PRESSES)
        visitor.expect_state("Connected")
    keyboard = bob.page.keyboard
    # Find, and three rooms side by side.
    for typed, title in (("lob", "Lobby"), ("rand", "Random"), ("thi", "Third")):
        find(bob, typed, title)
    site.manage("say", "Third", "customers write that they see errors")
    site.manage("say", "Lobby", "the disk of db-1 is full", "--user", "alice")
    expect(bob.texts("Lobby").last).to_have_text("the disk of db-1 is full")
    expect(bob.texts("Third")).to_have_count(1)
    expect(text(bob, "Random", 200)).to_be_in_viewport()
    # What stood in the other rooms at that moment, and back.
    keyboard.press("Control+Shift+1")
    expect(bob.box("Lobby")).to_be_focused()
    place = bob.log("Random").evaluate(FIRST_IN_VIEW)
    keyboard.press("Alt+PageUp")
    moment = bob.page.get_by_role("status").filter(has_text=re.compile(r"^\d\d:\d\d in all panes$"))
    expect(moment).to_be_visible()
    expect(text(bob, "Random", 61)).to_be_in_viewport()
    keyboard.press("Escape")
    expect(moment).to_be_hidden()
    expect(bob.box("Lobby")).to_be_focused()
    wait_until(lambda: bob.log("Random").evaluate(FIRST_IN_VIEW) == place, bob)
    # Carry the message to the room of the customers.
    quote_in(bob, "Third")
    keyboard.type("this is why")
    keyboard.press("Enter")
    expect(bob.log("Third").locator(".quote")).to_contain_text("the disk of db-1 is full")
    expect(bob.unsent("Third")).to_have_count(0)
    # Staff send an alert into a room that bob has not opened.
    find(alice, "here", "Here")
    alice.page.keyboard.type("db-1 is read-only")
    kind = alice.pane("Here").get_by_role("combobox", name="Type of message")
    press_until(alice, "Tab", kind)
    for _ in range(2):
        alice.page.keyboard.press("ArrowDown")
    expect(kind.locator("option:checked")).to_have_text("Alert")
    press_until(alice, "Shift+Tab", alice.box("Here"))
    alice.page.keyboard.press("Enter")
    expect(kind.locator("option:checked")).to_have_text("Message")
    # Bob goes there, and confirms it.
    expect(bob.button("Here")).to_contain_text("Alert")
    expect(bob.button("Third")).not_to_contain_text("Alert")
    keyboard.press("F8")
    expect(bob.box("Here")).to_be_focused()
    got_it = bob.pane("Here").get_by_role("button", name="Got it")
    expect(got_it).to_be_visible()
    press_until(bob, "Shift+Tab", got_it)
    keyboard.press("Enter")
    expect(bob.button("Here")).not_to_contain_text("Alert")
    expect(alice.log("Here")).to_contain_text("Confirmed by bob")
    # Answer in the first room, and catch up with the others.
    keyboard.press("Control+Shift+1")
    keyboard.type("on it")
    keyboard.press("Enter")
    expect(bob.texts("Lobby").last).to_have_text("on it")
    expect(bob.unsent("Lobby")).to_have_count(0)
    for title, words in (("There", "one"), ("There", "two"), ("News", "@bob three")):
        site.manage("say", title, words)
    for title, counts in (("There", "2"), ("News", "1, @1")):
        expect(bob.button(title).locator(".unread")).to_have_text(counts)
    # What bob saw of the others is read within a moment, and catching up asks for the rest alone.
    catch_up = bob.page.get_by_role("button", name=re.compile("^Catch up"))
    expect(catch_up).to_contain_text("3")
    expect(catch_up).to_contain_text("@1")
    before = titles(bob)
    assert before == ["Lobby", "Random", "Third", "Here"]
    keyboard.press("Control+Shift+F8")
    for title, count in (("News", 1), ("There", 2)):
        expect(bob.texts(title)).to_have_count(count)
        expect(bob.log(title)).to_be_focused()
        keyboard.press("e")
    expect(bob.page.get_by_text("All caught up")).to_be_visible()
    for title in ("There", "News"):
        expect(bob.button(title).locator(".unread")).to_be_hidden()
    # And everything is as it was.
    keyboard.press("Escape")
    expect(bob.box("Lobby")).to_be_focused()
    expect(bob.pane("There")).to_have_count(0)
    assert titles(bob) == before
    for visitor in (bob, alice):
        assert visitor.page.evaluate("window.presses") == 0
