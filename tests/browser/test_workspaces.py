"""Workspaces: named sets of panes, kept at the server, each window with its own."""

import contextlib
import re

from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

from tests.browser.test_panes import titles
from tests.browser.test_unread import wait_until

WIDE = {"width": 1320, "height": 780}


def menu(visitor, item=None):
    """Open the menu, and choose an item. It is opened again until this window has heard of what another one changed."""
    button = visitor.page.locator("[data-part=workspaces]")
    button.click()
    if item is None:
        return
    entry = visitor.page.get_by_role("menu").get_by_text(item, exact=True)
    for _ in range(10):
        with contextlib.suppress(PlaywrightTimeoutError):
            return entry.click(timeout=2_000)
        visitor.page.keyboard.press("Escape")
        button.click()
    entry.click()


def save_as(visitor, name):
    menu(visitor, "Save as…")
    dialog = visitor.page.get_by_role("dialog", name="Save as workspace")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def shows(visitor, *names):
    expect(visitor.page.get_by_role("region")).to_have_count(len(names))
    for name in names:
        expect(visitor.pane(name)).to_have_count(1)
    assert titles(visitor) == list(names)


def test_windows_have_sets_of_their_own_and_the_same_set_is_the_same_in_both(visit, site):
    bob = visit("bob", site.address("Lobby", "Random"), viewport=WIDE)
    save_as(bob, "On call")
    expect(bob.page.locator("[data-part=workspaces]")).to_have_text("On call")
    save_as(bob, "Desk")
    bob.open("Third")
    bob.page.keyboard.press("Alt+Shift+ArrowLeft")
    # The set that was used last opens in a new window, which then has another one.
    other = visit("bob", "/", viewport=WIDE)
    shows(other, "Lobby", "Third", "Random")
    expect(other.page.locator("[data-part=workspaces]")).to_have_text("Desk")
    menu(other, "On call")
    shows(other, "Lobby", "Random")
    # What one window changes is not in a window with another set, and is at once in one with the same.
    path = other.page.url.removeprefix(site.url)
    third = visit("bob", path, context=other.page.context, viewport=WIDE)
    shows(third, "Lobby", "Random")
    third.open("Here")
    shows(other, "Lobby", "Random", "Here")
    other.pane("Lobby").get_by_role("button", name="Close").click()
    shows(third, "Random", "Here")
    shows(bob, "Lobby", "Third", "Random")
    # An address of rooms opens no set, and changes none. A message's link shows the room in a provisional pane.
    [room] = [pk for pk, title, *_ in site.rooms if title == "There"]
    other.goto(f"/?rooms={room}")
    other.open("Here")
    shows(other, "There", "Here")
    other.goto(f"/?rooms={room}&at={room}.1")
    shows(other, "Random", "Here", "There")
    expect(other.pane("There")).to_have_class(re.compile("peek"))
    shows(third, "Random", "Here")
    # By the box above the list, by key, and deleted in another window.
    other.page.keyboard.press("Control+k")
    other.page.keyboard.type("desk")
    other.page.get_by_role("option", name=re.compile("Desk")).click()
    shows(other, "Lobby", "Third", "Random")
    other.page.keyboard.press("Control+Shift+Quote")
    other.page.get_by_role("menuitem", name="Delete…").click()
    other.page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(bob.page.get_by_text("The workspace “Desk” was deleted. Its panes stay open.")).to_be_visible()
    shows(bob, "Lobby", "Third", "Random")
    shows(other, "Lobby", "Third", "Random")
    expect(other.page.locator("[data-part=workspaces]")).to_have_text("Workspaces")
    menu(third, "Rename…")
    dialog = third.page.get_by_role("dialog", name="Rename workspace")
    dialog.get_by_label("Name").fill("Night")
    dialog.get_by_label("Name").press("Enter")
    expect(third.page.locator("[data-part=workspaces]")).to_have_text("Night")
    # The answer to a switch is late, and the user writes on: nothing of it comes into a room of the other workspace.
    held = []
    bob.page.route(
        "**/accounts/workspaces/",
        lambda route: held.append(route) if route.request.method == "POST" else route.continue_(),
    )
    bob.box("Third").press_sequentially("Good mor")
    menu(bob, "Night")
    bob.box("Third").press_sequentially("ning, ")
    expect(bob.box("Third")).to_have_value("Good morning, ")
    wait_until(lambda: len(held) == 1, bob)
    for route in held:
        route.continue_()
    shows(bob, "Random", "Here", "Third")
    bob.page.keyboard.type("everyone")
    expect(bob.box("Third")).to_have_value("Good morning, everyone")
    expect(bob.box("Random")).to_have_value("")
    expect(bob.box("Here")).to_have_value("")
    # Another window closes the pane that has the focus and no text: the page holds the focus.
    bob.box("Here").focus()
    third.pane("Here").get_by_role("button", name="Close").click()
    shows(bob, "Random", "Third")
    assert bob.page.evaluate("document.activeElement.dataset.part") == "panes-and-notices"
