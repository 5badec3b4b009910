"""Take a picture of each state of the page, wide and at 360 px, in both themes: python -m tests.browser.states FOLDER.

They are looked at and not kept. `tests.browser.pictures` takes those of the documentation.
"""

import contextlib
import signal
import sys
from pathlib import Path

from playwright.sync_api import expect

from tests.browser import pictures
from tests.browser.conftest import Visitor, signed_in
from tests.browser.pictures import PHONE, WIDE, Studio, add_rooms, choose_at_message, visit_all_shapes

THEMES = ("light", "dark")
SIZES = {"wide": WIDE, "360": PHONE}
# Three messages below each other that are deleted.
DELETE = """
from django.contrib.auth.models import User
from chat.models import Room
from chat.store import log
room, dana = Room.objects.get(title="Lobby"), User.objects.get(username="dana")
seqs = [room.send_message(f"deleted {number}", dana) for number in range(3)]
with log.append([room.pk]) as batch:
    for seq in seqs:
        batch.delete(batch.rooms[room.pk], batch.target(room.pk, seq), author_id=dana.pk, username="dana")
room.send_message("Three of my messages above are deleted.", dana)
"""


def show(studio, visitor, name, sizes=SIZES):
    """Take pictures of the page as it stands: one of each theme in a wide window, and both themes of a phone in one."""
    for size in sizes:
        visitor.page.set_viewport_size(SIZES[size])
        taken = []
        for theme in THEMES:
            visitor.page.emulate_media(color_scheme=theme)
            taken.append(studio.shoot(visitor))
        if size == "wide":
            for theme, picture in zip(THEMES, taken, strict=True):
                studio.keep(f"{name}-{theme}", picture)
        else:
            studio.keep(f"{name}-{size}", *taken)
    visitor.page.emulate_media(color_scheme="light")
    visitor.page.set_viewport_size(WIDE)


def take_closing(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby"])
    alice.pane("Deploys").get_by_role("button", name="Close").click()
    offer = alice.page.get_by_role("button", name="Reopen")
    expect(offer).to_be_visible()
    offer.focus()  # or it would go meanwhile
    show(studio, alice, "reopen")


def take_taking_back(studio):
    alice = studio.visit("alice", ["Lobby", "Deploys"])
    alice.say("Lobby", "Sent a moment ago")
    expect(alice.pane("Lobby").get_by_role("button", name="Undo")).to_be_visible()
    show(studio, alice, "undo", ["wide"])
    choose_at_message(alice, "Lobby", "Sent a moment ago", "Delete")
    expect(alice.page.get_by_role("alertdialog")).to_be_visible()
    show(studio, alice, "delete-question")
    alice.page.keyboard.press("Escape")
    message = alice.log("Lobby").get_by_role("article").last
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    show(studio, alice, "message-menu", ["wide"])


def take_finding(studio):
    alice = studio.visit("alice", ["Lobby", "Deploys"])
    alice.page.keyboard.press("Control+K")
    alice.page.keyboard.type("in")
    expect(alice.page.get_by_role("option", name="Incidents")).to_be_visible()
    show(studio, alice, "find")
    alice.page.keyboard.press("Control+A")
    alice.page.keyboard.type("xyzzy")
    show(studio, alice, "find-nothing", ["wide"])
    alice.page.keyboard.press("Escape")
    alice.page.keyboard.press("Escape")
    alice.page.keyboard.press("Control+Slash")
    expect(alice.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    show(studio, alice, "keys")


def take_peeking(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    # What is unread stays so.
    alice.page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    studio.say(pictures.NEWS)
    expect(alice.button("Design").locator(".unread")).to_be_visible()
    alice.button("Design").click(button="right")
    show(studio, alice, "row-menu", ["wide"])
    alice.page.keyboard.press("Escape")
    alice.page.keyboard.press("F8")
    expect(alice.page.locator("room-pane.peek")).to_be_visible()
    show(studio, alice, "peek")
    alice.page.keyboard.press("Control+Shift+F8")
    expect(alice.page.get_by_role("button", name="Mark read and on")).to_be_visible()
    show(studio, alice, "catch-up")
    alice.page.get_by_role("button", name="Mark older as read…").click()
    show(studio, alice, "catch-up-older", ["wide"])
    alice.page.keyboard.press("Escape")
    alice.page.get_by_role("button", name="Mark all as read").click()
    expect(alice.page.get_by_text("All caught up")).to_be_visible()
    show(studio, alice, "caught-up")


def take_workspaces(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    for name in ("On call", "Release night with a rather long name"):
        alice.page.keyboard.press("Control+Shift+Quote")
        alice.page.get_by_role("menuitem", name="Save as…").click()
        dialog = alice.page.get_by_role("dialog", name="Save as workspace")
        dialog.get_by_label("Name").fill(name)
        if name == "On call":
            show(studio, alice, "workspace-dialog")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_be_hidden()
    alice.page.keyboard.press("Control+Shift+Quote")
    expect(alice.page.get_by_role("menu")).to_contain_text("On call")
    show(studio, alice, "workspaces-menu", ["wide"])
    alice.page.keyboard.press("Escape")
    studio.site.shell("from chat.models import PaneSet; PaneSet.objects.all().delete()")


def take_shapes(studio):
    alice = visit_all_shapes(studio)
    edge = alice.page.get_by_role("separator", name="Edge between Deploys and Lobby")
    edge.focus()
    for _ in range(4):
        alice.page.keyboard.press("ArrowUp")
    show(studio, alice, "shapes")
    alice.pane("Incidents").get_by_role("button", name="More", exact=True).click()
    show(studio, alice, "pane-menu", ["wide"])
    alice.page.keyboard.press("Escape")
    show(studio, studio.visit("alice", list(studio.ids)), "many-rooms")


def take_the_same_moment(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby", "Support"])
    choose_at_message(alice, "Incidents", "replica lag", "Same moment")
    alice.page.mouse.move(0, 0)
    expect(alice.page.get_by_role("status").filter(has_text="in all panes")).to_be_visible()
    show(studio, alice, "same-moment")


def take_several_rooms(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Support"])
    pane, page = alice.pane("Deploys"), alice.page
    choose_at_message(alice, "Incidents", "back under a second", "Quote in another room")
    show(studio, alice, "quote-menu", ["wide"])
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Deploys").click()
    page.keyboard.type("This is why 413 may go out now, see #inc")
    expect(pane.get_by_role("option").first).to_be_visible()
    show(studio, alice, "completion")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(alice.log("Deploys").locator(".quote")).to_be_visible()
    # Quotes of a message that is deleted, and of a room that the reader may not enter.
    alice.say("Incidents", "A message that will be deleted")
    choose_at_message(alice, "Incidents", "will be deleted", "Quote in another room")
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Deploys").click()
    page.keyboard.type("Deleted soon")
    page.keyboard.press("Enter")
    expect(alice.log("Deploys").locator(".quote")).to_have_count(2)
    choose_at_message(alice, "Incidents", "will be deleted", "Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(alice.log("Deploys").locator(".quote").last).to_contain_text("deleted")
    choose_at_message(alice, "Incidents", "replica lag", "Quote in another room")
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Deploys").click()
    expect(pane.locator("room-composer .quote")).to_be_visible()
    add_rooms(alice, "Deploys", "Support", "Staff")
    page.keyboard.type("The replicas are fine again. Next update at 18:30.")
    show(studio, alice, "several-rooms")
    page.keyboard.press("Enter")
    expect(pane.get_by_text("Press Enter again to send")).to_be_visible()
    show(studio, alice, "second-enter")
    page.keyboard.press("Enter")
    expect(alice.texts("Support").last).to_contain_text("The replicas are fine")
    bob = studio.visit("bob", ["Deploys", "Support"])
    show(studio, bob, "quotes-of-bob")
    pane.get_by_role("button", name="Also in other rooms").click()
    pane.get_by_role("button", name="All rooms…").click()
    expect(page.get_by_role("alertdialog")).to_be_visible()
    show(studio, alice, "all-rooms")


def take_alerts(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    studio.say(pictures.ALERT)
    expect(alice.page.locator("[data-part=alert-line]")).to_contain_text("1 more room")
    alice.pane("Incidents").get_by_role("button", name="Got it").click()
    expect(alice.page.get_by_role("button", name="Show the alert in Newsroom")).to_be_visible()
    kind = alice.pane("Deploys").get_by_role("combobox", name="Type of message")
    kind.select_option("Alert")
    alice.box("Deploys").fill("Nobody deploys now")
    show(studio, alice, "alert-line")
    kind.select_option("Message")
    alice.box("Deploys").fill("")
    alice.page.get_by_role("button", name="Show the alert in Newsroom").click()
    expect(alice.pane("Newsroom").locator(".pinned")).to_be_visible()
    show(studio, alice, "alert-pinned")
    bob = studio.visit("bob", ["Newsroom"])
    bob.pane("Newsroom").get_by_role("button", name="Got it").click()
    alice.pane("Newsroom").get_by_role("button", name="Got it").click()
    expect(alice.pane("Newsroom").locator(".pinned")).to_have_count(0)
    choose_at_message(alice, "Newsroom", "frozen until", "See who has not confirmed")
    expect(alice.page.get_by_role("dialog", name="Not confirmed yet")).to_be_visible()
    show(studio, alice, "not-confirmed")


def take_looks(studio):
    show(studio, studio.visit("alice", []), "no-room-open")
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby"])
    alice.page.evaluate("document.documentElement.dataset.density = 'compact'")
    show(studio, alice, "compact")
    rail = studio.visit("alice", ["Incidents", "Deploys"], {"width": 860, "height": 700})
    studio.keep("rail", studio.shoot(rail))
    narrow = studio.visit("alice", ["Incidents", "Deploys", "Lobby", "Support"], {"width": 1400, "height": 700})
    studio.keep("280-px", studio.shoot(narrow))
    forced = studio.visit("alice", ["Incidents", "Deploys", "Lobby"], PHONE, forced_colors="active")
    studio.keep("forced-colours-360", studio.shoot(forced))
    state = signed_in(studio.browser, studio.site, "charlie")
    newcomer = Visitor(studio.browser.new_context(viewport=WIDE, storage_state=state).new_page(), studio.site)
    newcomer.goto("/")
    expect(newcomer.box("Lobby")).to_be_visible()
    show(studio, newcomer, "newcomer")


def take_offline(studio):
    alice = studio.visit("alice", ["Incidents", "Lobby"])
    alice.expect_state("Connected")
    studio.site.stop(signal.SIGKILL)
    alice.expect_state("Offline")
    alice.say("Lobby", "This one is kept until the server is back.")
    expect(alice.unsent("Lobby")).to_have_count(1)
    expect(alice.page.get_by_role("group", name="Connection")).to_be_visible(timeout=10_000)
    show(studio, alice, "offline")


STATES = [
    take_closing,
    take_taking_back,
    take_finding,
    take_shapes,
    take_the_same_moment,
    take_peeking,
    take_workspaces,
    take_several_rooms,
    take_alerts,
    take_looks,
    take_offline,
]


def main():
    names = sys.argv[2:]
    with contextlib.ExitStack() as stack:
        studio = Studio(stack, Path(sys.argv[1]))
        studio.site.shell(DELETE)
        for take in STATES:
            if names and take.__name__ not in names:
                continue
            take(studio)
            # A window that stays open would read what comes later.
            for context in studio.browser.contexts:
                context.close()


if __name__ == "__main__":
    main()
