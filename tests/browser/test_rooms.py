"""Rooms made and changed from the page: members, topics, direct rooms, and the end of a membership, live for all."""

import json
import re

from playwright.sync_api import expect

from tests.browser.judging import DIALOG, violations_in_part
from tests.browser.test_accessibility import violations
from tests.servers.quantities import IS_FULL


def test_a_member_who_is_removed_keeps_what_was_typed_and_gets_nothing_more_of_the_room(visit, site):
    alice, bob = visit("alice", "/chat/Lobby/"), visit("bob", "/chat/Lobby/")
    page = alice.page
    # Only a room of members has a button that adds people to it.
    people = alice.pane("Lobby").locator("room-people summary")
    people.click()
    expect(alice.pane("Lobby").get_by_role("button", name="Message bob")).to_be_visible()
    expect(alice.pane("Lobby").get_by_role("button", name="Add people")).to_have_count(0)
    # A new one is shown to its members alone.
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "room = Room.objects.create(title='Plans', members_only=True)\n"
        "room.add_member(User.objects.get(username='alice'))"
    )
    alice.open("Plans")
    expect(bob.button("Lobby")).to_be_visible()
    expect(bob.button("Plans")).to_have_count(0)
    people = alice.pane("Plans").locator("room-people summary")
    people.click()
    add_people = alice.pane("Plans").get_by_role("button", name="Add people")
    add_people.click()
    settings = page.get_by_role("dialog", name="Plans")
    person = settings.get_by_role("combobox", name="Add people")
    expect(person).to_be_focused()
    person.fill("bob")
    settings.get_by_role("button", name="Add", exact=True).click()
    expect(settings.get_by_role("list", name="Members")).to_contain_text("bob")
    bob.open("Plans")
    page.keyboard.press("Escape")
    expect(people).to_be_focused()
    alice.say("Plans", "the price is five")
    expect(bob.texts("Plans").last).to_have_text("the price is five")
    bob.box("Plans").fill("not sent yet")

    # Removed: the pane closes, says why, and keeps what was typed. tests/servers/test_revocation.py measures the time
    # until the page is notified. Here a busy browser has to paint two pages too.
    people.click()
    expect(alice.pane("Plans").get_by_role("button", name="Message bob")).to_be_visible()
    if IS_FULL:  # test_people.py judges this list without the button that adds people
        assert violations(page) == []
    add_people.click()
    with page.expect_response("**/members/"):
        settings.get_by_role("button", name="Remove bob").click()
    expect(bob.pane("Plans")).to_have_count(0, timeout=3000)
    leave = next(frame for frame in bob.received if frame.get("reason") == "ROOM_ACCESS_DENIED")
    notice = bob.page.get_by_role("alert").filter(has_text="“Plans” was closed.")
    expect(notice).to_contain_text("You don't have access")
    expect(bob.page.get_by_text("not sent yet")).to_be_visible()
    # What is written there later is not sent to his page.
    page.keyboard.press("Escape")
    alice.say("Plans", "the price is six")
    expect(alice.texts("Plans").last).to_have_text("the price is six")
    alice.say("Lobby", "see you")
    expect(bob.texts("Lobby").last).to_have_text("see you")
    frames = bob.received[bob.received.index(leave) + 1 :]
    assert "Plans" not in json.dumps(frames) and "price" not in json.dumps(frames)
    # An error answers what his page had sent before it knew, such as that he is typing.
    about_room = [frame for frame in frames if f'"{leave["leave"]}"' in json.dumps(frame)]
    assert [frame for frame in about_room if frame.get("error") != "ROOM_INVALID"] == []
    # Nor do the list, "Find or jump", the search or an address know the room.
    expect(bob.button("Plans")).to_have_count(0)
    bob.page.get_by_role("combobox", name="Find or jump").fill("Plan")
    found = bob.page.get_by_role("listbox", name="Rooms found").get_by_role("option")
    expect(found).to_have_text([re.compile("Search messages")])
    answer = bob.page.request.get(f"{site.url}/search/?q=price")
    assert answer.ok and answer.json()["results"] == []
    bob.goto("/chat/Plans/")
    expect(bob.page.get_by_role("alert").first).to_contain_text("There is no room")


def test_a_room_of_members_is_made_renamed_and_archived_live(visit):
    alice, bob = visit("alice"), visit("bob")
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
    assert violations_in_part(page, DIALOG) == []
    dialog.get_by_role("button", name="Create room").click()
    expect(alice.box("Plans")).to_be_focused()
    expect(alice.pane("Plans")).to_contain_text("What we do next")
    # Bob sees it at once.
    bob.button("Plans").click()
    bob.say("Plans", "hello")
    expect(alice.texts("Plans").last).to_have_text("hello")
    # Its settings are in the menu of its pane.
    alice.pane("Plans").get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Members and settings").click()
    settings = page.get_by_role("dialog", name="Plans")
    expect(settings.get_by_role("list", name="Members")).to_contain_text("bob")
    assert violations_in_part(page, DIALOG) == []
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


def test_a_direct_room_is_opened_from_a_list_of_people_and_seen_by_its_people_alone(visit, site):
    site.shell("from django.contrib.auth.models import User\nUser.objects.get_or_create(username='emil')")
    alice, bob, charlie = visit("alice", "/chat/Lobby/"), visit("bob", "/chat/Lobby/"), visit("charlie")
    bob.until_counted()
    alice.pane("Lobby").get_by_text("2 people here").wait_for(state="attached")
    alice.pane("Lobby").locator("room-people summary").click()
    names = alice.pane("Lobby").get_by_role("list", name="People here")
    expect(names.get_by_role("button")).to_have_count(1)
    names.get_by_role("button", name="Message bob").click()
    expect(alice.box("bob")).to_be_focused()
    alice.say("bob", "just for you")
    row = bob.page.get_by_role("list", name="People").get_by_role("button", name=re.compile("^alice"))
    expect(row).to_have_attribute("aria-description", re.compile("for you|mention"))
    row.click()
    expect(bob.texts("alice").last).to_have_text("just for you")
    assert violations_in_part(bob.page, "room-list [aria-label=People], room-pane") == []
    # "Find or jump" finds people too, and shows them once, by their room if there is one.
    find = alice.page.get_by_role("combobox", name="Find or jump")
    options = alice.page.get_by_role("listbox", name="Rooms found").get_by_role("option")
    for typed, found in (("bo", ["bobopen"]), ("Charl", ["charlieperson"]), ("CHARLIE", ["charlieperson"])):
        find.fill(typed)
        expect(options.filter(has_not_text="Search messages")).to_have_text(found)
    expect(options.first).to_have_attribute("aria-selected", "true")
    find.press("Enter")
    expect(alice.box("charlie")).to_be_focused()
    # A room of several people.
    bob.page.get_by_role("button", name="New direct room").click()
    dialog = bob.page.get_by_role("dialog", name="New direct room")
    person = dialog.get_by_role("combobox", name="Add people")
    expect(person).to_be_focused()
    dialog.get_by_role("button", name="Open room").click()
    expect(dialog.get_by_role("alert")).to_have_text("Choose at least one person.")
    for name in ("alice", "emil"):
        person.fill(name)
        person.press("Enter")
    assert violations_in_part(bob.page, DIALOG) == []
    dialog.get_by_role("button", name="Open room").click()
    expect(bob.box("alice, emil")).to_be_focused()
    bob.say("alice, emil", "just the three of us")
    alice.page.get_by_role("list", name="People").get_by_role("button", name=re.compile("^bob, emil")).click()
    expect(alice.log("bob, emil")).to_contain_text("just the three of us")
    # Charlie sees only the room that alice opened with him.
    items = charlie.page.get_by_role("list", name="People").get_by_role("listitem")
    expect(items).to_have_count(1)
    expect(items).to_contain_text("alice")
    expect(items).not_to_contain_text("bob")
