"""People on the page: the names that they choose, who is around, and a colleague whom staff deactivate."""

import re

from playwright.sync_api import expect

from tests.browser.judging import NARROW_AND_LIGHT, POPOVER, violations_in_part, violations_of_part_in_looks
from tests.browser.test_accessibility import LOOKS, violations_in_all_looks
from tests.browser.test_accounts import picture
from tests.servers.quantities import IS_FULL

MAKE_WANDA = """
from django.contrib.auth.models import User
wanda = User(username="wanda", password=User.objects.get(username="bob").password)
wanda.save()
"""
FORGET = """
from django.contrib.auth.models import User
User.objects.filter(username="wanda").delete()
for user in User.objects.filter(username="bob"):
    user.first_name = user.last_name = ""
    user.save()
"""


def test_names_and_looks_follow_live_and_people_are_found_and_deactivated(visit, site):
    site.shell(MAKE_WANDA)
    try:
        alice, bob, wanda = (visit(name, "/chat/Lobby/") for name in ("alice", "bob", "wanda"))
        bob.say("Lobby", "hello")
        author = alice.log("Lobby").locator(".message [data-part=author]").last
        expect(author).to_have_text("bob")
        alice.box("Lobby").fill("not sent yet")
        people = alice.pane("Lobby").locator("room-people summary")
        people.click()

        # bob changes his name and how the page looks, in another tab.
        account = bob.page.context.new_page()
        account.goto(site.url + "/accounts/")
        account.get_by_label("First name").fill("Robert")
        account.get_by_label("Last name").fill("Tables")
        account.get_by_role("button", name="Save", exact=True).click()
        account.get_by_label("Theme").select_option("Dark")
        account.get_by_label("Time").select_option("24 hours")
        account.get_by_role("button", name="Save appearance").click()
        expect(account.locator("html[data-theme=dark]")).to_be_attached()
        picture(account, "account-dark")
        account.close()
        expect(author).to_have_text("Robert Tables")
        expect(author).to_have_attribute("title", "bob")
        listed = alice.pane("Lobby").get_by_role("listitem").filter(has_text="Robert Tables")
        expect(listed.get_by_text("bob", exact=True)).to_be_visible()
        expect(listed.get_by_role("button", name="Message Robert Tables")).to_be_visible()
        picture(alice.page, "people")
        assert violations_of_part_in_looks(alice.page, "room-people", NARROW_AND_LIGHT) == []
        alice.page.set_viewport_size({"width": 1320, "height": 740})
        expect(bob.page.locator(".me")).to_have_text("Robert Tables")
        expect(bob.page.locator("html[data-theme=dark][data-clock='24']")).to_be_attached()
        time = bob.log("Lobby").locator(".message [data-part=time]").last
        expect(time).to_have_text(re.compile(r"^\d\d:\d\d$"))

        # The people around are all but the reader.
        around = alice.page.get_by_role("button", name="2 around")
        around.click()
        dialog = alice.page.get_by_role("dialog", name="People around")
        expect(dialog.get_by_role("button", name=re.compile("Robert Tables.*since.*in Lobby"))).to_be_visible()
        picture(alice.page, "around")
        assert violations_in_part(alice.page, POPOVER) == []
        if IS_FULL:
            assert violations_in_all_looks(alice.page, LOOKS) == []
            alice.page.set_viewport_size({"width": 1320, "height": 740})
            if not dialog.is_visible():
                around.click()
        dialog.get_by_role("button", name=re.compile("Robert Tables")).click()
        expect(alice.box("Robert Tables")).to_be_focused()
        expect(alice.box("Lobby")).to_have_value("not sent yet")

        # wanda is deactivated, after a question. Her page closes at once.
        deactivate = alice.pane("Lobby").get_by_role("button", name="Deactivate a person")
        if not deactivate.is_visible():  # the list was closed with a narrow window
            people.click()
        deactivate.click()
        alice.page.get_by_role("button", name="Deactivate wanda").click()
        question = alice.page.get_by_role("alertdialog", name="Deactivate wanda?")
        expect(question.get_by_role("button", name="Cancel")).to_be_focused()
        question.get_by_role("button", name="Deactivate").click()
        expect(wanda.page.get_by_role("status").first).to_contain_text("Signed out")
        # After a count that took long because the machine is busy, the next one is late.
        expect(alice.page.get_by_role("button", name="1 around")).to_be_visible(timeout=20_000)
        expect(alice.page.get_by_role("link", name="Admin", exact=True)).to_be_visible()
        expect(bob.page.get_by_role("link", name="Admin", exact=True)).to_have_count(0)
    finally:
        site.shell(FORGET)


RENAME = """
from django.contrib.auth.models import User
bob = User.objects.get(username="{}")
bob.username = "{}"
bob.save()
"""


def test_a_user_who_is_renamed_is_one_person_and_is_not_offered_to_themselves(visit, site):
    """While their page is open, and after it reconnects."""
    alice, bob = visit("alice", "/chat/Lobby/"), visit("bob", "/chat/Lobby/")
    for visitor in (alice, bob):
        visitor.pane("Lobby").locator("room-people summary").click()
    people = [visitor.pane("Lobby").get_by_role("list", name="People here") for visitor in (alice, bob)]
    for listed in people:
        expect(listed.get_by_role("listitem")).to_contain_text(["alice", "bob"])
    site.shell(RENAME.format("bob", "robert"))
    try:
        for is_after in (False, True):
            if is_after:
                site.stop()
                site.start()
                bob.say("Lobby", "back")
                expect(alice.texts("Lobby")).to_have_text(["back"], timeout=20_000)  # after her own reconnect
                bob.pane("Lobby").locator("room-people summary").click()
            for listed in people:
                expect(listed.get_by_role("listitem")).to_contain_text(["alice", "robert"])
            expect(people[0].get_by_role("button", name="Message robert")).to_be_visible()
            expect(people[1].get_by_role("button", name=re.compile("Message|Deactivate"))).to_have_count(1)
            expect(people[1].get_by_role("button", name="Message alice")).to_be_visible()
            expect(bob.page.locator(".me")).to_have_text("robert")
    finally:
        site.shell(RENAME.format("robert", "bob"))
