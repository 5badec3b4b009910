"""Keys of the page that no other test presses: unread rooms, catching up, panes by number, a quote in another room."""

import re

from playwright.sync_api import expect

from tests.browser.test_panes import titles
from tests.browser.test_unread import look_away, wait_until

WIDE = {"width": 1320, "height": 780}


def say(site, title, *texts):
    site.shell(
        "from chat.models import Room\n"
        f"for text in {texts!r}: Room.objects.get(title={title!r}).send_message(text, None)"
    )


def press_until(visitor, key, locator, most=20):
    """Press a key until an element has the focus."""
    for _ in range(most):
        if locator.evaluate_all("(found) => found.includes(document.activeElement)"):
            return
        visitor.page.keyboard.press(key)
    expect(locator).to_be_focused()


def quote_in(visitor, title):
    """Carry the message that has the focus to another room as a quote, by keys."""
    visitor.page.keyboard.press("Shift+F2")
    menu = visitor.page.get_by_role("menu", name="Quote in another room")
    expect(menu).to_be_visible()  # any key before would cancel it
    press_until(visitor, "ArrowDown", menu.get_by_role("menuitem", name=title))
    visitor.page.keyboard.press("Enter")
    expect(visitor.box(title)).to_be_focused()


def alone(visitor, title):
    """Wait until catching up shows a room."""
    expect(visitor.pane(title)).to_be_visible()
    expect(visitor.log(title)).to_be_focused()
    expect(visitor.page.get_by_role("region").filter(has=visitor.page.get_by_role("log"))).to_have_count(1)


def test_a_provisional_pane_comes_back_after_catching_up_and_a_quote_is_carried_by_keys(visit, site):
    bob = visit("bob", site.address("Lobby"), viewport=WIDE)
    bob.until_counted()
    say(site, "Random", *(f"line {number}" for number in range(60)))
    say(site, "Third", "@bob look")
    say(site, "Here", "one")
    expect(bob.button("Random").locator(".unread")).to_have_text("60")
    expect(bob.button("Third").locator(".unread")).to_have_text("1, @1")
    look_away(bob)  # so that what is shown stays unread
    keyboard = bob.page.keyboard
    for key, title in (("F8", "Random"), ("F8", "Third"), ("Shift+F8", "Random")):
        keyboard.press(key)
        expect(bob.box(title)).to_be_focused()
        expect(bob.pane(title)).to_have_class(re.compile("peek"))
    shown_at = bob.page.url
    # Mentions first, then the largest, by which the provisional pane is shown too.
    keyboard.press("Control+Shift+F8")
    alone(bob, "Third")
    keyboard.press("e")
    alone(bob, "Random")
    log = bob.log("Random")
    before = log.evaluate("(log) => { log.scrollTop = 0; return log.scrollTop; }")
    keyboard.press("Space")
    wait_until(lambda: log.evaluate("(log) => log.scrollTop") > before + 100, bob)
    keyboard.press("e")
    alone(bob, "Here")
    assert bob.page.url == shown_at, "what is provisional is in no address, also while it is hidden"
    keyboard.press("Escape")
    expect(bob.pane("Here")).to_have_count(0)
    expect(bob.box("Random")).to_be_focused()
    expect(bob.pane("Random")).to_have_class(re.compile("peek"))
    assert titles(bob) == ["Lobby", "Random"]
    assert bob.page.url == shown_at
    # It is kept when it is written in meanwhile.
    say(site, "Random", "more", "and more")
    expect(bob.button("Random").locator(".unread")).to_have_text("2")
    keyboard.press("Control+Shift+F8")
    alone(bob, "Random")
    bob.box("Random").press_sequentially("kept")
    bob.log("Random").focus()
    keyboard.press("Escape")
    expect(bob.pane("Random")).not_to_have_class(re.compile("peek"))
    expect(bob.box("Random")).to_have_value("kept")
    # To a pane by its number, and from it to another room with its newest message.
    for number, title in ((1, "Lobby"), (2, "Random")):
        keyboard.press(f"Control+Shift+{number}")
        expect(bob.box(title)).to_be_focused()
    quote_in(bob, "Lobby")
    expect(bob.pane("Lobby").locator("room-composer .quote")).to_contain_text("and more")


def test_the_keys_of_catching_up_are_changed_and_switched_off(visit, site):
    bob = visit("bob", site.address("Lobby"), viewport=WIDE)
    bob.until_counted()
    say(site, "Random", *(f"line {number}" for number in range(60)))
    keyboard, page = bob.page.keyboard, bob.page
    keyboard.press("Control+Slash")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.get_by_role("button", name="Off: Mark read and on, while catching up").click()
    dialog.get_by_role("button", name="Change: Next screen, while catching up").click()
    keyboard.press("n")
    expect(dialog.get_by_role("listitem").filter(has_text="Next screen")).to_contain_text("N")
    keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(bob.button("Random").locator(".unread")).to_have_text("60")
    keyboard.press("Control+Shift+F8")
    alone(bob, "Random")
    on, screen = (page.get_by_role("button", name=name) for name in ("Mark read and on", "Next screen"))
    expect(on.locator("kbd")).to_be_empty()
    expect(screen.locator("kbd")).to_have_text("N")
    log = bob.log("Random")
    before = log.evaluate("(log) => { log.scrollTop = 0; return log.scrollTop; }")
    keyboard.press("n")
    wait_until(lambda: log.evaluate("(log) => log.scrollTop") > before + 100, bob)
    # Neither the old key nor one that names nothing, such as Control alone, does what is switched off.
    for key in ("e", "Control", "Alt"):
        keyboard.press(key)
        page.evaluate("new Promise((done) => { requestAnimationFrame(() => setTimeout(done)); })")
        expect(bob.pane("Random")).to_be_visible()
    on.click()
    expect(page.get_by_text("All caught up")).to_be_visible()
