"""Rooms made and changed from the page: members, topics, direct rooms, and the end of a membership, live for all."""

import re

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations


def test_a_room_of_members_from_its_making_to_the_removal_of_a_member(visit, site):
    alice, bob, charlie = visit("alice", keep=False), visit("bob", keep=False), visit("charlie", keep=False)
    page = alice.page
    new_room = page.get_by_role("button", name="New room")
    new_room.click()
    dialog = page.get_by_role("dialog", name="New room")
    title = dialog.get_by_role("textbox", name="Room title")
    expect(title).to_be_focused()
    title.fill("Plans")
    dialog.get_by_role("textbox", name="Topic").fill("What we do next")
    # What is typed stays when the dialog is closed by mistake.
    page.keyboard.press("Escape")
    new_room.click()
    expect(title).to_have_value("Plans")
    expect(dialog.get_by_role("radio", name="Everybody")).to_be_checked()
    expect(dialog.get_by_role("radio", name="Staff")).to_be_visible()
    dialog.get_by_role("radio", name="Only these people").check()
    person = dialog.get_by_role("combobox", name="Add people")
    person.fill("@nobody")
    dialog.get_by_role("button", name="Create room").click()
    expect(dialog.get_by_role("alert")).to_have_text("There is no user called “nobody”.")
    person.fill("@bob")
    person.press("Enter")
    expect(dialog.get_by_role("list", name="People to add")).to_contain_text("bob")
    assert violations(page) == []
    dialog.get_by_role("button", name="Create room").click()
    expect(alice.box("Plans")).to_be_focused()
    expect(alice.pane("Plans")).to_contain_text("What we do next")
    # Bob sees it at once, and charlie does not.
    bob.button("Plans").click()
    bob.say("Plans", "hello")
    expect(alice.texts("Plans").last).to_have_text("hello")
    expect(charlie.button("Lobby")).to_be_visible()
    expect(charlie.button("Plans")).to_have_count(0)
    charlie.goto("/chat/Plans/")
    expect(charlie.page.get_by_role("alert").first).to_contain_text("There is no room")
    # Added by alice, renamed, and removed again while charlie's pane is open.
    settings = page.get_by_role("dialog", name="Plans")
    alice.pane("Plans").get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Members and settings").click()
    settings.get_by_role("combobox", name="Add people").fill("charlie")
    settings.get_by_role("button", name="Add", exact=True).click()
    expect(settings.get_by_role("list", name="Members")).to_contain_text("charlie")
    assert violations(page) == []
    charlie.button("Plans").click()
    expect(charlie.texts("Plans").last).to_have_text("hello")
    settings.get_by_role("button", name="Remove charlie").click()
    expect(charlie.pane("Plans")).to_have_count(0)
    expect(charlie.button("Plans")).to_have_count(0)
    settings.get_by_role("textbox", name="Room title").fill("Ideas")
    settings.get_by_role("button", name="Save").click()
    expect(bob.pane("Ideas")).to_be_visible()
    # An archived room can be read, and the box keeps what is typed.
    bob.box("Ideas").fill("unfinished")
    alice.pane("Ideas").get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Members and settings").click()
    page.get_by_role("dialog", name="Ideas").get_by_role("button", name="Archive room").click()
    expect(bob.pane("Ideas")).to_contain_text("This room is archived.")
    expect(bob.box("Ideas")).to_have_value("unfinished")
    expect(bob.box("Ideas")).not_to_be_editable()


def test_a_direct_room_of_several_people_is_seen_by_them_alone(visit, site):
    site.shell("from django.contrib.auth.models import User\nUser.objects.get_or_create(username='emil')")
    alice, bob, charlie = visit("alice", keep=False), visit("bob", keep=False), visit("charlie", keep=False)
    page = bob.page
    page.get_by_role("button", name="New direct room").click()
    dialog = page.get_by_role("dialog", name="New direct room")
    person = dialog.get_by_role("combobox", name="Add people")
    expect(person).to_be_focused()
    dialog.get_by_role("button", name="Open room").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one person.")
    for name in ("alice", "emil"):
        person.fill(name)
        person.press("Enter")
    assert violations(page) == []
    dialog.get_by_role("button", name="Open room").click()
    box = page.get_by_role("textbox", name="Message alice, emil")
    expect(box).to_be_focused()
    box.fill("just the three of us")
    box.press("Enter")
    row = alice.page.get_by_role("list", name="People").get_by_role("button", name=re.compile("^bob, emil"))
    row.click()
    expect(alice.log("bob, emil")).to_contain_text("just the three of us")
    expect(charlie.page.get_by_role("list", name="People").get_by_role("listitem")).to_have_count(0)


def test_a_direct_room_is_opened_from_the_people_list(visit, site):
    alice, bob = visit("alice", keep=False), visit("bob", keep=False)
    for visitor in (alice, bob):
        visitor.open("Lobby")
    people = alice.pane("Lobby").get_by_text("2 people here")
    people.wait_for(state="attached")
    alice.pane("Lobby").locator("room-people summary").click()
    names = alice.pane("Lobby").get_by_role("list", name="People here")
    expect(names.get_by_role("button")).to_have_count(1)
    assert violations(alice.page) == []
    names.get_by_role("button", name="Message bob").click()
    expect(alice.box("bob")).to_be_focused()
    alice.say("bob", "just for you")
    row = bob.page.get_by_role("list", name="People").get_by_role("button", name=re.compile("^alice"))
    expect(row).to_have_attribute("aria-description", re.compile("for you|mention"))
    row.click()
    expect(bob.texts("alice").last).to_have_text("just for you")
    assert violations(bob.page) == []
    # "Find or jump" finds people too, and shows them once, by their room if there is one.
    find = alice.page.get_by_role("combobox", name="Find or jump")
    options = alice.page.get_by_role("listbox", name="Rooms found").get_by_role("option")
    for typed, found in (("bo", ["bobopen"]), ("Charl", ["charlieperson"]), ("CHARLIE", ["charlieperson"])):
        find.fill(typed)
        expect(options.filter(has_not_text="Search messages")).to_have_text(found)
    expect(options.first).to_have_attribute("aria-selected", "true")
    find.press("Enter")
    expect(alice.box("charlie")).to_be_focused()
