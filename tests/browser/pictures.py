"""Take the pictures of the documentation from the real page: python -m tests.browser.pictures [FOLDER [TAKE …]]."""

import contextlib
import io
import json
import re
import signal
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ROOT, Site, Visitor, signed_in

IMAGES = ROOT / "docs/images"
WIDE = {"width": 1440, "height": 860}
NARROW = {"width": 1000, "height": 700}
PHONE = {"width": 360, "height": 740}
# A window of 1440 × 860 pixels with 200 % zoom.
ZOOMED = {"width": 720, "height": 430}
GAP = 24
# Room, author, text, type, and how many minutes ago.
TALK = [
    ("Lobby", "dana", "Morning! The coffee machine on 3 is fixed.", 0, 95),
    ("Lobby", "erin", "You are a hero", 0, 94),
    ("Lobby", "femi", "Standup in ten minutes, in the usual place.\nBring the numbers for last week, please.", 0, 71),
    ("Lobby", "bob", "On my way", 0, 70),
    ("Lobby", "dana", "The shop feels slow from here. Is it only me?", 0, 33),
    ("Lobby", "femi", "Not only you. See Incidents.", 0, 31),
    ("Incidents", "bob", "Dashboards are green. Handing over to erin.", 0, 88),
    ("Incidents", "erin", "db-2 is at 91 % disk", 2, 42),
    ("Incidents", "erin", "The nightly export did not clean up after itself. Deleting the old dumps now.", 0, 41),
    ("Incidents", "dana", "@alice can you look at the replica lag? It went from 2 s to 40 s since then.", 0, 32),
    ("Incidents", "bob", "Lag is back under a second.", 0, 20),
    ("Incidents", "bob", "`select pg_wal_lsn_diff(...)` gives **0** on both replicas", 0, 19),
    ("Incidents", "erin", "Maintenance at 18:00 UTC, ten minutes", 1, 12),
    ("Deploys", "femi", "web 411: rolling back, errors on checkout", 0, 89),
    ("Deploys", "bob", "Rolled back. No errors since.", 0, 84),
    ("Deploys", "femi", "web 412 goes out now", 0, 44),
    ("Deploys", "bob", "web 412 is out on both hosts", 0, 40),
    ("Deploys", "bob", "I stop 413 until db-2 has space", 0, 31),
    ("Deploys", "femi", "No errors so far", 0, 22),
    ("Deploys", "femi", "Rolling back 411 was the right call", 0, 21),
    ("Staff", "alice", "The contract with the new provider is signed.", 0, 60),
    ("Support", "dana", "Two customers see a blank checkout", 0, 43),
    ("Support", "femi", "Asked them for a screenshot. @alice knows that page best.", 0, 36),
    ("Support", "dana", "Both say that it works again", 0, 18),
    ("Design", "femi", "New icons for the list: https://design.example.org/boards/icons/2026/november?view=all", 0, 50),
    ("Newsroom", "dana", "Deploys are frozen from Friday 18:00", 0, 15),
    ("Newsroom", "erin", "The status page says so too", 0, 14),
    (
        "Any text",
        "dana",
        "A customer asks whether averylongnamewithoutanyspacesthatgoesonandon fits.",
        0,
        13,
    ),
    ("Any text", "femi", "שלום, מה שלומך היום? English in between, ואז שוב עברית", 0, 12),
    ("Any text", "erin", "会議は十時からです。 Köln, Ærø, Łódź 👩🏽‍💻", 0, 11),
]
# Posts messages as others, at times before now.
SAY = """
import datetime, json
from django.contrib.auth.models import User
from django.utils import timezone
from chat.models import Event, Room, Visit
# What is older than a user's first visit counts as read.
Visit.objects.update(at=timezone.now() - datetime.timedelta(days=1))
for title, name, text, kind, minutes in {talk!r}:
    room = Room.objects.get(title=title)
    seq = room.send_message(text, User.objects.get(username=name), kind)
    Event.objects.filter(room=room, seq=seq).update(at=timezone.now() - datetime.timedelta(minutes=minutes))
print(json.dumps(dict(Room.objects.values_list("title", "id"))))
"""
SEED = f"""
import datetime
from django.contrib.auth.models import User
from django.utils import timezone
from chat.models import Room
User.objects.filter(username__startswith="<").delete()
for name in ["dana", "erin", "femi"]:
    User.objects.create_user(name)
# A message from before its reader's account mentions an earlier user of the name.
User.objects.update(date_joined=timezone.now() - datetime.timedelta(days=30))
titles = ["Deploys", "Incidents", "Support", "Design", "Newsroom", "Any text"]
for room, title in zip(Room.objects.exclude(title__in=["Lobby", "Staff"]), titles, strict=True):
    room.title = title
    room.save()
{SAY.format(talk=TALK)}
"""
# What came while alice was away.
NEWS = [
    ("Support", "dana", "A third one, with a screenshot this time", 0, 6),
    ("Support", "femi", "@alice it is the voucher box, I think", 0, 5),
    ("Design", "femi", "And the same in the dark", 0, 5),
    ("Design", "dana", "Much better than before", 0, 4),
    ("Deploys", "bob", "413 waits in the queue", 0, 3),
]
ALERT = [("Newsroom", "erin", "All deploys are frozen until 18:00: db-2 is being repaired.", 2, 2)]


class Studio:
    """A site with some rooms, and a browser that takes pictures of it."""

    def __init__(self, stack, folder):
        self.folder = folder
        self.site = Site(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        self.site.start()
        stack.callback(self.site.end)
        self.ids = json.loads(self.site.shell(SEED))
        playwright = stack.enter_context(sync_playwright())
        self.browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        stack.callback(self.browser.close)

    def say(self, talk):
        self.site.shell(SAY.format(talk=talk))

    def visit(self, name, titles, size=WIDE, query="", **options):
        state = signed_in(self.browser, self.site, name)
        page = self.browser.new_context(viewport=size, storage_state=state, **options).new_page()
        visitor = Visitor(page, self.site)
        visitor.goto("/?rooms=" + ",".join(str(self.ids[title]) for title in titles) + query)
        if not query:
            expect(page.locator("room-pane")).to_have_count(len(titles))
        for title in titles[: 1 if size["width"] < 700 else None]:
            expect(visitor.texts(title).last).to_be_attached()
        return visitor

    def shoot(self, visitor):
        """Return a picture when nothing loads or moves any more."""
        visitor.page.wait_for_timeout(700)
        return Image.open(io.BytesIO(visitor.page.screenshot())).convert("RGB")

    def keep(self, name, *pictures):
        """Write pictures side by side into one file."""
        width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
        whole = Image.new("RGB", (width, max(picture.height for picture in pictures)), "white")
        left = 0
        for picture in pictures:
            whole.paste(picture, (left, 0))
            left += picture.width + GAP
        whole.save(self.folder / f"{name}.webp", quality=80, method=6)


def choose(visitor, title, item):
    """Choose from a pane's menu."""
    visitor.pane(title).get_by_role("button", name="More", exact=True).click()
    visitor.page.get_by_role("menuitem", name=item).click()


def choose_at_message(visitor, title, text, item):
    message = visitor.log(title).get_by_role("article").filter(has_text=text)
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    visitor.page.get_by_role("menuitem", name=item).click()


def add_rooms(visitor, title, *others):
    """Let a composer send into other rooms too."""
    pane, keyboard = visitor.pane(title), visitor.page.keyboard
    pane.get_by_role("button", name="Also in other rooms").click()
    expect(pane.get_by_role("combobox", name="Add a room")).to_be_focused()
    for other in others:
        keyboard.type(other)
        keyboard.press("Enter")
        expect(pane.get_by_role("button", name=f"Remove {other}")).to_be_visible()
    keyboard.press("Enter")
    expect(visitor.box(title)).to_be_focused()


def take_three_rooms(studio):
    for theme, name in (("light", "multichat"), ("dark", "multichat-dark")):
        alice = studio.visit("alice", ["Lobby", "Incidents", "Deploys"], color_scheme=theme)
        alice.box("Incidents").fill("The replica is fine, it was the")
        studio.keep(name, studio.shoot(alice))


def visit_all_shapes(studio):
    """Open columns, strips, and a column of two halves."""
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby", "Support", "Staff"])
    for title in ("Support", "Staff"):
        choose(alice, title, "Make it a strip")
    choose(alice, "Lobby", "Put below Deploys")
    return alice


def take_panes_of_all_shapes(studio):
    alice = visit_all_shapes(studio)
    edge = alice.page.get_by_role("separator", name="Edge between Incidents and Deploys")
    box = edge.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 300
    alice.page.mouse.move(x, y)
    alice.page.mouse.down()
    alice.page.mouse.move(x + 120, y, steps=4)
    studio.say(NEWS)
    expect(alice.button("Design").locator(".unread")).to_have_text("2")
    studio.keep("shapes", studio.shoot(alice))
    alice.page.mouse.up()


def take_the_same_moment(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby", "Support"])
    choose_at_message(alice, "Incidents", "replica lag", "Same moment")
    alice.page.mouse.move(0, 0)
    expect(alice.page.get_by_role("status").filter(has_text="in all panes")).to_be_visible()
    studio.keep("same-moment", studio.shoot(alice))


def take_catching_up(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    alice.page.get_by_role("button", name=re.compile("^Catch up")).click()
    expect(alice.page.get_by_role("button", name="Mark read and on")).to_be_visible()
    studio.keep("catch-up", studio.shoot(alice))


def take_alerts(studio):
    bob = studio.visit("bob", ["Incidents"])
    bob.pane("Incidents").get_by_role("button", name="Got it").click()
    expect(bob.log("Incidents").locator(".note.alert")).to_contain_text("Confirmed by bob")
    studio.say(ALERT)
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    alice.pane("Incidents").get_by_role("button", name="Got it").click()
    alice.page.get_by_role("button", name="Show the alert in Newsroom").click()
    expect(alice.pane("Newsroom").locator(".pinned")).to_be_visible()
    choose_at_message(alice, "Incidents", "91 %", "See who has not confirmed")
    expect(alice.page.get_by_role("dialog", name="Not confirmed yet")).to_be_visible()
    studio.keep("alerts", studio.shoot(alice))
    alice.page.keyboard.press("Escape")
    alice.pane("Newsroom").get_by_role("button", name="Got it").click()
    expect(alice.pane("Newsroom").locator(".pinned")).to_have_count(0)


def take_several_rooms(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Support"])
    pane, page = alice.pane("Deploys"), alice.page
    choose_at_message(alice, "Incidents", "back under a second", "Quote in another room")
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Deploys").click()
    expect(alice.box("Deploys")).to_be_focused()
    page.keyboard.type("This is why 413 may go out now")
    page.keyboard.press("Enter")
    expect(alice.log("Deploys").locator(".quote")).to_be_visible()
    choose_at_message(alice, "Incidents", "replica lag", "Quote in another room")
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Deploys").click()
    expect(pane.locator("room-composer .quote")).to_be_visible()
    add_rooms(alice, "Deploys", "Support", "Staff")
    page.keyboard.type("The replicas are fine again. Next update at 18:30.")
    page.keyboard.press("Enter")
    expect(pane.get_by_text("Press Enter again to send")).to_be_visible()
    studio.keep("several-rooms", studio.shoot(alice))


def take_closing(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby"], NARROW)
    alice.pane("Deploys").get_by_role("button", name="Close").click()
    offer = alice.page.get_by_role("button", name="Reopen")
    expect(offer).to_be_visible()
    offer.focus()  # or it would go meanwhile
    closed = studio.shoot(alice)
    alice.page.emulate_media(color_scheme="dark")
    alice.say("Lobby", "Sent a moment ago")
    expect(alice.pane("Lobby").get_by_role("button", name="Undo")).to_be_visible()
    choose_at_message(alice, "Lobby", "Sent a moment ago", "Delete")
    expect(alice.page.get_by_role("alertdialog")).to_be_visible()
    studio.keep("closing", closed, studio.shoot(alice))


def take_finding(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"], NARROW)
    alice.page.keyboard.press("Control+K")
    alice.page.keyboard.type("in")
    expect(alice.page.get_by_role("option", name="Incidents")).to_be_visible()
    found = studio.shoot(alice)
    alice.page.keyboard.press("Escape")
    alice.page.emulate_media(color_scheme="dark")
    alice.box("Deploys").fill("See #in")
    alice.box("Deploys").press("End")
    alice.page.keyboard.type("c")
    expect(alice.pane("Deploys").get_by_role("option").first).to_be_visible()
    studio.keep("finding", found, studio.shoot(alice))


def take_workspaces(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"], NARROW)
    for name in ("On call", "Release night"):
        alice.page.keyboard.press("Control+Shift+Quote")
        alice.page.get_by_role("menuitem", name="Save as…").click()
        dialog = alice.page.get_by_role("dialog", name="Save as workspace")
        dialog.get_by_label("Name").fill(name)
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_be_hidden()
    alice.page.keyboard.press("Control+Shift+Quote")
    expect(alice.page.get_by_role("menu")).to_contain_text("On call")
    menu = studio.shoot(alice)
    alice.page.keyboard.press("Escape")
    studio.site.shell("from chat.models import PaneSet; PaneSet.objects.all().delete()")
    alice.page.emulate_media(color_scheme="dark")
    studio.say(NEWS[:3])
    alice.page.get_by_role("button", name=re.compile("^Catch up")).click()
    alice.page.get_by_role("button", name="Mark all as read").click()
    expect(alice.page.get_by_text("All caught up")).to_be_visible()
    studio.keep("workspaces", menu, studio.shoot(alice))


def take_all_rooms(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"], NARROW)
    pane = alice.pane("Deploys")
    pane.get_by_role("button", name="Also in other rooms").click()
    pane.get_by_role("button", name="All rooms…").click()
    expect(alice.page.get_by_role("alertdialog")).to_be_visible()
    listed = studio.shoot(alice)
    alice.page.keyboard.press("Escape")
    alice.page.emulate_media(color_scheme="dark")
    pane.get_by_role("combobox", name="Type of message").select_option("Alert")
    alice.box("Deploys").fill("Nobody deploys now")
    studio.keep("all-rooms", listed, studio.shoot(alice))
    pane.get_by_role("combobox", name="Type of message").select_option("Message")
    alice.box("Deploys").fill("")


def take_search(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    alice.page.keyboard.press("Control+K")
    alice.page.keyboard.type("web 41")
    option = alice.page.get_by_role("option", name="Search messages for")
    expect(option).to_be_visible()
    option.click()
    results = alice.page.get_by_role("region", name="Search results")
    expect(results.locator(".hit").first).to_be_focused()
    studio.keep("search", studio.shoot(alice))


def take_keys(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"])
    alice.page.keyboard.press("Control+Slash")
    expect(alice.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    studio.keep("keys", studio.shoot(alice))


def take_german(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys"], locale="de-DE")
    message = alice.log("Incidents").get_by_role("article").filter(has_text="Lag is back")
    message.hover()
    message.get_by_role("button").last.click()
    studio.keep("german", studio.shoot(alice))


def take_zoomed(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Lobby"], ZOOMED, device_scale_factor=2)
    studio.keep("zoomed", studio.shoot(alice))


def take_forced_colours(studio):
    alice = studio.visit("alice", ["Incidents", "Deploys", "Support", "Lobby"], forced_colors="active")
    choose(alice, "Support", "Make it a strip")
    choose(alice, "Lobby", "Put below Deploys")
    alice.box("Incidents").focus()
    studio.keep("forced-colours", studio.shoot(alice))


def take_other_states(studio):
    studio.keep("no-room-open", studio.shoot(studio.visit("alice", [])))
    studio.keep("many-rooms", studio.shoot(studio.visit("alice", list(studio.ids))))
    studio.keep("any-text", studio.shoot(studio.visit("alice", ["Any text"], NARROW)))
    query = f"&at={studio.ids['Incidents']}.3"
    studio.keep("link-to-a-message", studio.shoot(studio.visit("alice", ["Incidents"], NARROW, query)))


def take_phones(studio):
    rooms, options = ["Incidents", "Lobby", "Deploys"], {"device_scale_factor": 1.5, "has_touch": True}
    phone = studio.visit("alice", rooms, PHONE, **options)
    pictures = [studio.shoot(phone)]
    phone.page.get_by_role("button", name="All rooms and account").click()
    pictures.append(studio.shoot(phone))
    dark = studio.visit("alice", rooms, PHONE, **options, color_scheme="dark")
    dark.box("Incidents").focus()
    add_rooms(dark, "Incidents", "Support", "Staff")
    dark.page.keyboard.type("The replicas are fine again.")
    pictures.append(studio.shoot(dark))
    dark.page.keyboard.press("Control+Shift+F8")
    expect(dark.page.get_by_role("button", name="Mark read and on")).to_be_visible()
    pictures.append(studio.shoot(dark))
    studio.keep("phone", *pictures)


def take_offline(studio):
    offline = studio.visit("alice", ["Incidents", "Lobby"], NARROW)
    offline.expect_state("Connected")
    studio.site.stop(signal.SIGKILL)
    offline.expect_state("Offline")
    offline.say("Lobby", "This one is kept until the server is back.")
    expect(offline.unsent("Lobby")).to_have_count(1)
    expect(offline.page.get_by_role("group", name="Connection")).to_be_visible(timeout=10_000)
    studio.keep("offline", studio.shoot(offline))


TAKES = [
    take_three_rooms,
    take_other_states,
    take_panes_of_all_shapes,
    take_the_same_moment,
    take_catching_up,
    take_alerts,
    take_several_rooms,
    take_all_rooms,
    take_closing,
    take_finding,
    take_search,
    take_keys,
    take_german,
    take_zoomed,
    take_forced_colours,
    take_phones,
    take_workspaces,
    take_offline,
]


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    names = sys.argv[2:]
    with contextlib.ExitStack() as stack:
        studio = Studio(stack, folder)
        for take in TAKES:
            if names and take.__name__ not in names:
                continue
            take(studio)
            # A window that stays open would read what comes later.
            for context in studio.browser.contexts:
                context.close()


if __name__ == "__main__":
    main()
