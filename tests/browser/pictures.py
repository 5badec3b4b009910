"""Take the pictures of the documentation from the real page: python -m tests.browser.pictures."""

import contextlib
import json
import signal
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import ROOT, Site, Visitor, sign_in

IMAGES = ROOT / "docs/images"
WIDE = {"width": 1440, "height": 860}
NARROW = {"width": 1000, "height": 700}
PHONE = {"width": 360, "height": 740}
TALK = [
    ("Lobby", "dana", "Morning! The coffee machine on 3 is fixed.", 0),
    ("Lobby", "erin", "You are a hero", 0),
    ("Lobby", "femi", "Standup in ten minutes, in the usual place.\nBring the numbers for last week, please.", 0),
    ("Lobby", "bob", "On my way", 0),
    ("Incidents", "erin", "db-2 is at 91 % disk", 2),
    ("Incidents", "erin", "The nightly export did not clean up after itself. Deleting the old dumps now.", 0),
    ("Incidents", "dana", "@alice can you look at the replica lag? It went from 2 s to 40 s since then.", 0),
    ("Incidents", "bob", "Lag is back under a second.", 0),
    ("Incidents", "erin", "Maintenance at 18:00 UTC, ten minutes", 1),
    ("Deploys", "bob", "web 412 is out on both hosts", 0),
    ("Deploys", "bob", "No errors so far", 0),
    ("Deploys", "femi", "Rolling back 411 was the right call", 0),
    ("Staff", "alice", "The contract with the new provider is signed.", 0),
    (
        "Support",
        "dana",
        "A customer asks whether averylongnamewithoutanyspacesthatgoesonandon fits.",
        0,
    ),
    ("Support", "femi", "שלום, מה שלומך היום? English in between, ואז שוב עברית", 0),
]
SEED = f"""
import json
from django.contrib.auth.models import User
from chat.models import Room
for name in ["dana", "erin", "femi"]:
    User.objects.create_user(name)
Room.objects.exclude(title__in=["Lobby", "Staff"]).delete()
for title in ["Deploys", "Incidents", "Support", "Design", "Newsroom"]:
    Room.objects.create(title=title)
for title, name, text, kind in {TALK!r}:
    Room.objects.get(title=title).send_message(text, User.objects.get(username=name), kind)
print(json.dumps(dict(Room.objects.values_list("title", "id"))))
"""


def main():
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        site = Site(Path(folder))
        site.start()
        stack.callback(site.end)
        ids = json.loads(site.shell(SEED))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        stack.callback(browser.close)

        def visit(name, titles, size=WIDE, at="", **options):
            page = browser.new_context(viewport=size, **options).new_page()
            sign_in(page, site, name)
            visitor = Visitor(page, site)
            visitor.goto("/?rooms=" + ",".join(str(ids[title]) for title in titles) + at)
            if titles and size is not PHONE:
                visitor.expect_state("Connected")
            return visitor

        def keep(visitor, name):
            visitor.page.wait_for_timeout(700)
            visitor.page.screenshot(path=IMAGES / f"{name}.png")

        three = ["Lobby", "Incidents", "Deploys"]
        visit("bob", three)
        for theme, name in (("light", "multichat"), ("dark", "multichat-dark")):
            alice = visit("alice", three, color_scheme=theme)
            alice.box("Incidents").fill("The replica is fine, it was the")
            keep(alice, name)
        keep(visit("alice", []), "no-room-open")
        keep(visit("alice", list(ids)), "many-rooms")
        keep(visit("alice", ["Support"], NARROW), "any-text")
        keep(visit("alice", ["Incidents"], NARROW, at=f"&at={ids['Incidents']}.3"), "link-to-a-message")
        phone = visit("alice", three, PHONE, device_scale_factor=2)
        keep(phone, "phone")
        phone.page.get_by_role("button", name="All rooms and account").click()
        keep(phone, "phone-list")
        offline = visit("alice", ["Incidents", "Lobby"], NARROW)
        expect(offline.texts("Lobby").last).to_be_visible()
        site.stop(signal.SIGKILL)
        offline.expect_state("Offline")
        offline.say("Lobby", "This one is kept until the server is back.")
        expect(offline.unsent("Lobby")).to_have_count(1)
        keep(offline, "offline")


if __name__ == "__main__":
    main()
