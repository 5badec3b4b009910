"""Ways to write besides typing: the emoji picker, completion, a new line on a phone, and who else is writing."""

import os
import re

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.judging import NARROW_AND_LIGHT, POPOVER, WIDE_AND_DARK, violations_of_part_in_looks

# A key of an input method that does not say that it composes. Returns whether the page left it alone.
BY_INPUT_METHOD = """(element, key) => element.dispatchEvent(
  new KeyboardEvent('keydown', {key, keyCode: 229, bubbles: true, cancelable: true}))"""


def test_the_emoji_picker_is_loaded_when_first_used_and_works_with_the_keyboard(visit):
    bob = visit("bob", "/chat/Lobby/")
    page = bob.page
    expect(bob.box("Lobby")).to_be_focused()
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    assert len(loaded) > 3 and [url for url in loaded if "emoji" in url] == []
    box, picker = bob.box("Lobby"), page.get_by_role("dialog", name="Choose an emoji")
    button = bob.pane("Lobby").get_by_role("button", name="Emoji")
    # Only a phone needs a button for a new line.
    expect(bob.pane("Lobby").get_by_role("button", name="New line")).to_have_count(0)
    search, grid = picker.get_by_role("searchbox", name="Search emoji"), picker.get_by_role("grid", name="Emoji")
    box.fill("well done!")
    box.press("Home")
    for _ in range(4):
        box.press("ArrowRight")
    button.click()
    expect(search).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "true")
    search.fill("nothing like this")
    expect(picker.get_by_role("status")).to_have_text("No emoji found.")
    page.keyboard.press("Enter")
    expect(picker).to_be_visible()
    # Escape closes it, leaves the text and the caret as they were, and gives the focus back.
    search.fill("party popp")
    assert violations_of_part_in_looks(page, POPOVER, WIDE_AND_DARK) == []
    page.set_viewport_size({"width": 1320, "height": 740})
    page.keyboard.press("Escape")
    expect(picker).to_be_hidden()
    expect(box).to_be_focused()
    expect(box).to_have_value("well done!")
    # Enter chooses the first one found, unless it ends a composition: in Safari only its code says so.
    button.click()
    expect(search).to_have_value("")
    page.keyboard.type("tada")
    expect(grid.get_by_role("button")).to_have_count(1)
    for key in ("Enter", "ArrowDown", "Escape"):
        search.dispatch_event("keydown", {"key": key, "keyCode": 229})
    expect(search).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_be_focused()
    expect(box).to_have_value("well🎉 done!")
    assert bob.commands("send") == []
    # The emoji chosen last is the first one, and the arrows move in the grid.
    button.click()
    page.keyboard.press("ArrowDown")
    expect(grid.get_by_role("button", name="party popper").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(grid.get_by_role("button", name="grinning face", exact=True)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(grid.get_by_role("button", name="grinning face with big eyes")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_have_value("well🎉😃 done!")
    # What was put in is undone like what was typed, and kept like it.
    page.keyboard.press("Control+z")
    expect(box).to_have_value("well🎉 done!")
    until(page, "Object.values(localStorage).some((text) => text.includes('well🎉 done!'))")


def test_names_of_people_rooms_and_emoji_are_completed_without_leaving_the_box(visit, site):
    alice, bob = visit("alice", "/chat/Lobby/"), visit("bob", "/chat/Lobby/")
    page, box = bob.page, bob.box("Lobby")
    expect(alice.box("Lobby")).to_be_focused()
    expect(box).to_be_focused()
    choices = bob.pane("Lobby").get_by_role("listbox")
    options = choices.get_by_role("option")
    # Those who are here come first, then others who may enter.
    page.keyboard.type("hi @")
    expect(options.first).to_have_accessible_name("alice")
    expect(options.filter(has_text="bob")).to_contain_text("here")
    people = [text for text in options.all_text_contents() if "everybody" not in text]
    marks = [text.endswith("here") for text in people]
    # Which others, depends on the users that earlier tests have made.
    assert marks == sorted(marks, reverse=True) and not all(marks)
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-controls", choices.get_attribute("id"))
    expect(box).to_have_attribute("aria-activedescendant", options.first.get_attribute("id"))
    assert violations_of_part_in_looks(page, "room-pane", NARROW_AND_LIGHT) == []
    page.set_viewport_size({"width": 1320, "height": 740})
    # Arrows choose, Enter accepts, and sends nothing.
    page.keyboard.type("C")
    expect(options).to_have_count(1)
    page.keyboard.press("Enter")
    expect(box).to_have_value("hi @charlie ")
    expect(choices).to_be_hidden()
    page.keyboard.type("@")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    second = options.nth(1).locator("bdi").text_content()
    page.keyboard.press("Tab")
    written = f"hi @charlie @{second} "
    expect(box).to_have_value(written)
    expect(box).to_be_focused()
    # Escape closes the list, and only the list.
    page.keyboard.type("#r")
    expect(options).to_have_text(["Random"])
    page.keyboard.press("Escape")
    expect(choices).to_be_hidden()
    expect(box).to_have_value(f"{written}#r")
    page.keyboard.type("a")
    options.click()
    expect(box).to_have_value(f"{written}#Random ")
    expect(box).to_be_focused()
    page.keyboard.type(":tad")
    expect(options.first).to_contain_text("tada")
    page.keyboard.press("Enter")
    expect(box).to_have_value(f"{written}#Random 🎉 ")
    # A name that is typed completely is sent by Enter.
    page.keyboard.type("@Alice")
    expect(options).to_have_count(1)
    assert bob.commands("send") == []
    page.keyboard.press("Enter")
    expect(alice.texts("Lobby")).to_have_text([f"{written}#Random 🎉 @Alice"])
    # A name that cannot be found, and one that is left, close the list.
    page.keyboard.type("@zz")
    expect(choices).to_be_hidden()
    for _ in range(3):
        page.keyboard.press("Backspace")
    page.keyboard.type("@a")
    expect(choices).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(choices).to_be_hidden()
    # While an input method composes, every key belongs to it.
    box.fill("")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Input.imeSetComposition", {"text": "@al", "selectionStart": 3, "selectionEnd": 3})
    expect(choices).to_be_hidden()
    devtools.send("Input.insertText", {"text": "@al"})
    expect(options.first).to_have_text("alicehere")
    # Some input methods give each of their keys the code 229 alone. The list, the text and the search box stay.
    sent = len(bob.commands("send"))
    for key in ("Escape", "ArrowDown", "Tab", "Enter"):
        assert box.evaluate(BY_INPUT_METHOD, key), f"{key} belongs to the input method"
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(box).to_have_value("@al")
    page.keyboard.press("Escape")
    assert box.evaluate(BY_INPUT_METHOD, "Enter")
    expect(box).to_have_value("@al")
    assert len(bob.commands("send")) == sent
    page.keyboard.press("Control+k")
    find = page.get_by_role("combobox", name="Find or jump")
    page.keyboard.type("Ra")
    expect(page.get_by_role("option", name="Random")).to_be_visible()
    for key in ("Enter", "Escape"):
        assert find.evaluate(BY_INPUT_METHOD, key)
    expect(find).to_be_focused()
    expect(bob.pane("Random")).to_have_count(0)


def test_options_have_names_and_staff_mention_all_users_of_a_room_or_those_who_are_here(visit, site):
    rename = "from django.contrib.auth.models import User\nuser = User.objects.get(username='charlie')\n"
    site.shell(f"{rename}user.first_name, user.last_name = 'Robert', 'Tables'\nuser.save()")
    try:
        charlie, alice = visit("charlie", "/chat/Lobby/"), visit("alice", "/chat/Lobby/")
        expect(charlie.box("Lobby")).to_be_visible()
        box, people = alice.box("Lobby"), alice.pane("Lobby").get_by_role("listbox", name="People")
        options = people.get_by_role("option")
        # A user with a display name is an option that has the username as its name.
        box.press_sequentially("@rob")
        expect(options).to_have_text("charlie Robert Tableshere")
        expect(options).to_have_accessible_name("charlie")
        expect(options).to_have_accessible_description("Robert Tables, here")
        box.press("Enter")
        expect(box).to_have_value("@charlie ")
        box.fill("")
        for typed, name, note in (("@al", "all", "everybody in the room"), ("@her", "here", "everybody who is here")):
            box.press_sequentially(typed)
            option = options.filter(has_text=note)
            expect(option).to_have_accessible_name(name)
            expect(option).to_have_accessible_description(note)
            while option.get_attribute("aria-selected") != "true":
                box.press("ArrowDown")
            box.press("Enter")
            expect(box).to_have_value(f"@{name} ")
            expect(options).to_have_count(0)
            box.press_sequentially("look")
            box.press("Enter")
            expect(charlie.texts("Lobby").last).to_have_text(f"@{name} look")
            message = charlie.log("Lobby").locator("[data-part=messages] .message").last
            expect(message).to_have_class(re.compile(r"\bfor-me\b"))
            expect(message.locator("[data-part=text] mark")).to_have_text(f"@{name}")
    finally:
        site.shell(f"{rename}user.first_name = user.last_name = ''\nuser.save()")


def test_a_phone_has_a_way_to_write_a_new_line(visit):
    phone = visit("bob", "/chat/Lobby/", viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    box = phone.box("Lobby")
    box.fill("first")
    phone.pane("Lobby").get_by_role("button", name="New line").tap()
    expect(box).to_be_focused()
    phone.page.keyboard.type("second @al")
    option = phone.pane("Lobby").get_by_role("option", name="alice", exact=True)
    expect(option).to_be_in_viewport(ratio=1)
    option.tap()
    expect(box).to_have_value("first\nsecond @alice ")
    box.press("Enter")
    expect(phone.texts("Lobby")).to_have_text("first\nsecond @alice", use_inner_text=True)
    # A long press opens the menu of a message, which stays when the finger is lifted.
    text = phone.texts("Lobby").bounding_box()
    finger = {"x": text["x"] + 10, "y": text["y"] + 10}
    devtools = phone.page.context.new_cdp_session(phone.page)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    reply = phone.page.get_by_role("menuitem", name="Reply", exact=True)
    expect(reply).to_be_visible()
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(reply).to_be_visible()
    expect(phone.page.get_by_role("menuitem", name="Add reaction")).to_be_visible()
    if folder := os.environ.get("PICTURES"):
        phone.page.screenshot(path=f"{folder}/long-press.png")


def test_a_pane_shows_who_is_here_and_who_is_writing_unless_they_turn_it_off(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Quiet')")  # without users yet
    alice = visit("alice", "/chat/Quiet/")
    here = alice.pane("Quiet").locator("summary")
    expect(here).to_have_text(re.compile("1 person here"))
    # The avatars are those of others.
    expect(here.locator(".avatar")).to_have_count(0)
    expect(here.locator("svg")).to_be_visible()
    bob = visit("bob", "/chat/Quiet/")
    expect(here).to_have_text(re.compile("2 people here"))
    expect(here.locator(".avatar")).to_have_text(["BO"])
    expect(here.locator("svg")).to_be_hidden()
    expect(bob.pane("Quiet").locator("summary .avatar")).to_have_text(["AL"])
    # It says who is writing, and moves nothing for it.
    status = alice.pane("Quiet").get_by_role("status").filter(has_text="writing")
    top = "document.querySelector('room-composer').getBoundingClientRect().top"
    before = alice.page.evaluate(top)
    bob.box("Quiet").press_sequentially("hello")
    expect(status).to_have_text("bob is writing …")
    assert alice.page.evaluate(top) == before
    # One signal for several keys. The message ends it.
    assert len(bob.commands("typing")) == 1
    bob.page.keyboard.press("Enter")
    expect(alice.texts("Quiet")).to_have_text(["hello"])
    expect(status).to_have_count(0)
    # A user who turns it off sends none.
    bob.page.get_by_role("button", name="bob", exact=True).click()
    bob.page.get_by_role("menuitemcheckbox", name="Show who is writing", checked=True).click()
    bob.box("Quiet").press_sequentially("again")
    bob.page.keyboard.press("Enter")
    expect(alice.texts("Quiet").last).to_have_text("again")
    assert len(bob.commands("typing")) == 1
    expect(status).to_have_count(0)
    # The people are listed by keyboard, and as a list for screen readers.
    here.focus()
    alice.page.keyboard.press("Enter")
    names = alice.pane("Quiet").get_by_role("list", name="People here").get_by_role("listitem")
    expect(names).to_contain_text(["alice", "bob"])
    bob.toggle("Quiet").click()
    expect(names).to_contain_text(["alice"])
    expect(names).to_have_count(1)
    alice.page.keyboard.press("Escape")
    expect(names).to_have_count(0)
    expect(here).to_be_focused()


def test_my_mentions_are_listed_newest_first_and_open_at_their_place(visit, site):
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "alice = User.objects.get(username='alice')\n"
        "lobby, third, staff = (Room.objects.get(title=title) for title in ('Lobby', 'Third', 'Staff'))\n"
        "lobby.send_message('first @bob', alice)\n"
        "for number in range(110): lobby.send_message(f'filler {number}', alice)\n"
        "third.send_message('second @BOB <b>bold</b>', alice)\n"
        "staff.send_message('secret @bob', alice)\n"
    )
    bob = visit("bob", "/chat/Random/")
    page = bob.page
    expect(bob.box("Random")).to_be_focused()
    button, panel = page.get_by_role("button", name="Mentions", exact=True), page.get_by_role("dialog", name="Mentions")
    button.click()
    items = panel.get_by_role("listitem")
    expect(items).to_have_count(2)
    expect(items.first).to_contain_text("second @BOB <b>bold</b>")
    expect(items.first).to_contain_text("alice in Third")
    assert violations_of_part_in_looks(page, POPOVER, WIDE_AND_DARK) == []
    page.set_viewport_size({"width": 1320, "height": 740})
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    items.nth(1).get_by_role("button").click()
    expect(panel).to_be_hidden()
    place = bob.log("Lobby").locator(".message", has_text="first @bob")
    expect(place).to_be_in_viewport()
    # A room that is not in the workspace is shown provisionally.
    expect(bob.pane("Lobby")).to_have_class(re.compile("peek"))
    assert bob.commands("send") == []
