"""The main job in a real browser: sign in, open several rooms on one page, and talk."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MARKUP, ODD_TITLE
from tests.browser.test_delivery import post


# Users talk in most tests of this folder, and in test_log.py other rooms hear nothing.
@pytest.mark.full_size
@pytest.mark.parametrize("site", ["uvicorn", "daphne"], indirect=True)
def test_two_users_talk_and_other_rooms_hear_nothing(visit, site):
    alice, bob = visit("alice", site.address("Here", "There")), visit("bob", "/chat/Here/")
    for number in range(2):
        alice.say("Here", f"alice {number}")
        bob.say("Here", f"bob {number}")
    expect(alice.texts("Here")).to_have_count(4)
    expect(bob.texts("Here")).to_have_count(4)
    seen = alice.texts("Here").all_inner_texts()
    assert seen == bob.texts("Here").all_inner_texts()
    assert sorted(seen) == sorted(f"{name} {number}" for name in ("alice", "bob") for number in range(2))
    alice.say("There", "only here")
    expect(alice.texts("There")).to_have_text(["only here"])
    alice.say("Here", "afterwards")
    expect(bob.texts("Here")).to_have_count(5)
    expect(alice.texts("Here")).to_have_count(5)
    assert "only here" not in str(bob.received)


@pytest.mark.parametrize("site", ["daphne"], indirect=True)
def test_the_page_works_from_its_sources_with_the_development_server(visit):
    bob = visit("bob", "/chat/Here/")
    bob.say("Here", "from the sources")
    expect(bob.texts("Here")).to_have_text(["from the sources"])
    assert len(bob.sockets) == 1


def hold(visitor, url):
    """Hold requests back, and return the list in which they wait."""
    held = []
    visitor.page.route(url, lambda route: held.append(route))
    return held


def test_three_panes_share_one_socket_and_need_four_collected_files(visit, collected):
    alice = visit("alice")
    alice.open("Lobby")
    alice.say("Lobby", "hashed and compressed")
    expect(alice.texts("Lobby")).to_have_text(["hashed and compressed"])
    expect_small_first_view(alice, collected)
    alice.open("Random", "Staff")
    expect(alice.page.get_by_role("region")).to_have_count(3)
    expect(alice.page.get_by_role("log")).to_have_count(3)
    assert alice.page.url.endswith("/?rooms=" + ",".join(command["room"] for command in alice.commands("join")))
    alice.say("Staff", "one line")
    expect(alice.texts("Staff")).to_have_text(["one line"])
    assert len(alice.sockets) == 1
    alice.page.reload()
    expect(alice.page.get_by_role("region")).to_have_count(3)
    expect(alice.texts("Staff")).to_have_text(["one line"])


def expect_small_first_view(visitor, collected):
    """Assert that the page has its files by their hashed names, and how large our own are."""
    names = visitor.page.evaluate("performance.getEntriesByType('resource').map(({name}) => name.split('/').pop())")
    # Undo was loaded because a message was sent, and the others because the page is connected.
    later = ("undo_offer", "diagnosis", "badge_icon", "attachments")
    names = [name for name in names if name.endswith(("js", "css")) and not name.startswith(later)]
    assert len(names) == 4, "main.js, reconnecting-websocket and two style sheets"
    assert [name for name in names if not re.search(r"\.[0-9a-f]{12}\.", name)] == []
    sizes = {path.name.removesuffix(".gz"): path.stat().st_size for path in (collected / "chat").rglob("*.gz")}
    # Without what is loaded only when it is first used (lazy/).
    first_view = [sizes[name] for name in names if name in sizes]
    assert len(first_view) == 3
    # 60 KB. Take this number down when something moves behind its first use.
    assert 10_000 < sum(first_view) <= 60 * 1024, "the size of our own files of the first view, as they are sent"


CLICK_CLOSES = "localStorage.setItem('multichat.preference.%d.clickCloses', 'true')"


# What waits for some seconds from now on waits for a call of `endWaiting`.
HOLD_TIMERS = """() => {
  const held = [], start = setTimeout;
  window.setTimeout = (run, ms, ...given) => ms >= 5_000 && ms <= 9_000 ? -held.push(run) : start(run, ms, ...given);
  window.endWaiting = () => held.splice(0).forEach((run) => run());
}"""


def test_a_click_goes_to_a_room_and_never_closes_it_unless_the_user_wants_that(visit, site):
    # Wide enough for two panes beside the list, and not for a third.
    bob = visit("bob", site.address("Lobby", "Random", "Third"), viewport={"width": 920, "height": 700})
    rows = bob.page.locator("room-list nav li .title")
    before = rows.all_text_contents()
    bob.button("Third").click()
    bob.toggle("Lobby").hover()
    # A click on an open room brings its pane into view and focuses it.
    expect(bob.button("Lobby")).to_have_accessible_description("Out of view")
    bob.button("Lobby").click()
    expect(bob.pane("Lobby")).to_be_in_viewport(ratio=1)
    expect(bob.box("Lobby")).to_be_focused()
    expect(bob.button("Lobby")).to_have_attribute("aria-current", "true")
    expect(bob.button("Third")).to_have_accessible_description("Out of view")
    assert rows.all_text_contents() == before
    # Beside it is a button that opens and closes, and a middle click closes too.
    close = bob.page.get_by_role("button", name="Close Random", exact=True)
    size = close.bounding_box()
    assert min(size["width"], size["height"]) >= 24
    expect(close).to_have_attribute("aria-pressed", "true")
    close.click()
    expect(bob.pane("Random")).to_have_count(0)
    expect(bob.page.get_by_role("button", name="Open Random", exact=True)).to_have_attribute("aria-pressed", "false")
    # For some seconds it can be opened again where it was, by mouse or key.
    expect(bob.page.get_by_role("status").filter(has_text="Random is closed.")).to_be_visible()
    bob.page.get_by_role("button", name="Reopen").click()
    expect(bob.box("Random")).to_be_focused()
    assert bob.page.evaluate("[...document.querySelectorAll('room-pane')].map((pane) => pane.ariaLabel)") == [
        "Lobby",
        "Random",
        "Third",
    ]
    bob.button("Random").click(button="middle")
    expect(bob.pane("Random")).to_have_count(0)
    bob.page.evaluate(HOLD_TIMERS)
    bob.pane("Lobby").get_by_role("button", name="Close").click()
    expect(bob.button("Lobby")).to_be_focused()
    expect(bob.page.get_by_role("button", name="Reopen")).to_have_count(1)
    bob.page.evaluate("endWaiting()")
    expect(bob.page.get_by_role("button", name="Reopen")).to_have_count(0)
    assert rows.all_text_contents() == before
    # With the setting, a row is the original's: a click opens it, and a second click closes it. Other tabs follow.
    other = visit("bob", "/healthz", context=bob.page.context)
    user = bob.page.evaluate("JSON.parse(document.getElementById('config').textContent).user.id")
    other.page.evaluate(CLICK_CLOSES % user)
    expect(bob.button("Third")).to_have_attribute("aria-pressed", "true")
    expect(bob.page.get_by_role("button", name="Close Third")).to_have_count(0)
    bob.button("Third").click()
    expect(bob.pane("Third")).to_have_count(0)
    bob.button("Third").click()
    expect(bob.box("Third")).to_be_focused()
    # It is an item of the user's menu.
    for is_on in (False, True):
        bob.page.locator("[data-part=my-menu]").click()
        item = bob.page.get_by_role("menuitemcheckbox", name="A click on an open room closes it")
        expect(item).to_be_checked(checked=not is_on)
        item.click()
        expect(item).to_be_hidden()
        bob.button("Third").click()
        expect(bob.pane("Third")).to_have_count(0 if is_on else 1)


def test_markup_is_shown_as_text_in_titles_names_and_messages(visit):
    odd = visit(MARKUP)
    odd.open(MARKUP)
    odd.say(MARKUP, MARKUP)
    expect(odd.texts(MARKUP)).to_have_text([MARKUP])
    expect(odd.log(MARKUP).locator(".by b")).to_have_text([MARKUP])
    expect(odd.pane(MARKUP).get_by_role("heading", level=2)).to_have_text(MARKUP)
    expect(odd.page.locator(".me")).to_have_text(MARKUP)
    assert odd.page.locator("img[src=x]").count() == 0
    # `visit` fails on dialogs and on violations of the content security policy.


def test_address_and_name_open_a_room_with_any_title_and_to_other_users_no_staff_room(visit, site):
    # That users on the staff see and open it, another test shows.
    bob = visit("bob", "/chat/Nowhere/")
    expect(bob.button("Lobby")).to_be_visible()
    expect(bob.button("Staff")).to_have_count(0)
    assert "Staff" not in bob.page.content()
    box, missing = bob.page.get_by_role("combobox", name="Find or jump"), "There is no room called “%s”."
    for title in ("Nowhere", "Staff"):
        if title == "Staff":
            bob.goto("/chat/Staff/")
        expect(bob.page.get_by_role("alert")).to_have_text(missing % title)
        expect(bob.page.get_by_role("region")).to_have_count(0)
        box.fill(title)
        box.press("Enter")
        expect(bob.page.locator("#not-found")).to_have_text(missing % title)
    assert not any("Staff" in str(frame) for frame in bob.received)
    # Any title. tests/test_views.py writes addresses in other letter cases.
    bob.goto("/chat/" + ODD_TITLE.replace("%", "%25").replace("?", "%3F") + "/")
    expect(bob.pane(ODD_TITLE)).to_be_visible()
    expect(bob.box(ODD_TITLE)).to_be_focused()
    site.shell("from chat.models import Room; Room.objects.get_or_create(title='Made since')")
    for typed, title in (("random", "Random"), (ODD_TITLE, ODD_TITLE), ("made SINCE", "Made since")):
        box.fill(typed)
        box.press("Enter")
        expect(bob.box(title)).to_be_focused()
        expect(box).to_have_value("")
    expect(bob.toggle("Made since")).to_have_attribute("aria-pressed", "true")
    box.fill("..")
    box.press("Enter")
    expect(bob.page.get_by_role("alert")).to_have_text(missing % "..")


def test_rooms_are_found_and_panes_reached_by_keys_inside_a_composer(visit, site):
    titles = ("Köln office", "Kassel", "Ops west")
    site.shell(f"from chat.models import Room\nfor title in {titles}: Room.objects.create(title=title)")
    bob = visit("bob", site.address("Lobby", "Random", "Third"))
    bob.box("Third").fill("half a sentence")
    box = bob.page.get_by_role("combobox", name="Find or jump")
    options = bob.page.get_by_role("listbox").get_by_role("option")
    press = bob.page.keyboard.press
    press("Control+k")
    expect(box).to_be_focused()
    expect(box).to_have_attribute("aria-expanded", "true")
    # Escape gives the focus back, and the text is as it was.
    box.press_sequentially("koln")
    expect(options).to_have_text([re.compile("Köln office"), re.compile("Search messages for")])
    press("Escape")
    expect(bob.box("Third")).to_be_focused()
    expect(bob.box("Third")).to_have_value("half a sentence")
    expect(options).to_have_count(0)
    # Initials find a room, also after the # with which a message names it. The arrows choose, and Enter opens.
    press("Control+k")
    box.press_sequentially("#ow")
    expect(options).to_have_text([re.compile("Ops west"), re.compile("Search messages for")])
    box.fill("")
    box.press_sequentially("ko")
    expect(options.first).to_have_attribute("aria-selected", "true")
    box.fill("k")
    expect(options).to_have_text([re.compile(words) for words in ("Kassel", "Köln office", "Search messages for")])
    press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", options.nth(1).get_attribute("id"))
    press("Enter")
    expect(bob.box("Köln office")).to_be_focused()
    expect(box).to_have_value("")
    for key, title in (
        ("F6", "Lobby"),
        ("Shift+F6", "Köln office"),
        ("Shift+F6", "Third"),
        ("Control+Shift+Digit2", "Random"),
    ):
        press(key)
        expect(bob.box(title)).to_be_focused()
    press("Control+Shift+F7")
    assert bob.page.evaluate("document.querySelector('room-pane').ariaLabel") == "Random"
    expect(bob.box("Random")).to_be_focused()
    bob.say("Random", "frist")
    expect(bob.texts("Random")).to_have_text(["frist"])
    bob.box("Random").press_sequentially("next")
    press("F2")
    expect(bob.box("Random")).to_have_value("frist")
    press("Escape")
    expect(bob.box("Random")).to_have_value("next")
    assert len(bob.commands("send")) == 1
    # The keys are listed, and each can be changed or switched off.
    press("Control+Slash")
    keys = bob.page.get_by_role("dialog", name="Keyboard shortcuts")
    row = keys.get_by_role("listitem").filter(has_text="Next pane")
    expect(row).to_contain_text("F6")
    row.get_by_role("button", name="Change").click()
    press("Control+Alt+KeyP")
    expect(row).to_contain_text("Ctrl+Alt+P")
    press("Escape")
    bob.box("Random").focus()
    press("F6")
    expect(bob.box("Random")).to_be_focused()
    press("Control+Alt+KeyP")
    expect(bob.box("Random")).not_to_be_focused()
    # The rest of a sentence comes to the main element when the server closes the pane in which it was written.
    bob.main.focus()
    press("?")
    expect(keys).to_be_hidden()
    expect(bob.main).to_be_focused()
    bob.log("Random").focus()
    press("?")
    row.get_by_role("button", name="Default").click()
    expect(row).to_contain_text("F6")
    # The keys that the page names at its controls are the user's own.
    find, hint = keys.get_by_role("listitem").filter(has_text="Find or jump"), bob.page.locator(".find kbd")
    find.get_by_role("button", name="Off").click()
    expect(hint).to_have_text("")
    expect(box).not_to_have_attribute("aria-keyshortcuts", re.compile("."))
    find.get_by_role("button", name="Default").click()
    expect(hint).to_have_text("Ctrl+K")
    expect(box).to_have_attribute("aria-keyshortcuts", "Control+K")


def test_what_comes_late_does_not_take_the_focus_from_a_room_in_which_the_user_writes(visit, site):
    alice = visit("alice", "/chat/Lobby/")
    page, box = alice.page, alice.page.get_by_role("combobox", name="Find or jump")

    def write_meanwhile(held, title):
        alice.box("Lobby").press_sequentially("on")
        held[0].continue_()
        expect(alice.pane(title)).to_be_visible()
        expect(alice.box("Lobby")).to_be_focused()

    # What finds a room loads slowly. The user may be back in the box before it is loaded.
    held = hold(alice, "**/switcher*.js")
    with page.expect_request("**/switcher*.js"):
        box.fill("Random")
    box.press("Enter")
    alice.box("Lobby").press_sequentially("on")
    box.click()
    held[0].continue_()
    expect(page.get_by_role("option", name="Random").first).to_be_visible(timeout=20_000)
    expect(alice.pane("Random")).to_have_count(0)
    # The answer about a room comes late. The room is made only now. Otherwise it would be in the list already, and the
    # page would not ask for it.
    held = hold(alice, "**/chat/Slow/")
    box.fill("Slow")
    with page.expect_request("**/chat/Slow/"):
        box.press("Enter")
    site.shell("from chat.models import Room; Room.objects.create(title='Slow')")
    write_meanwhile(held, "Slow")
    expect(box).to_have_value("")
    # So does a direct room.
    held = hold(alice, "**/direct/")
    box.fill("charlie")
    expect(page.get_by_role("listbox").get_by_role("option", selected=True)).to_contain_text("charlie")
    with page.expect_request("**/direct/"):
        box.press("Enter")
    write_meanwhile(held, "charlie")
    # So does a new room, whose dialog was closed meanwhile.
    held = hold(alice, "**/rooms/")
    page.get_by_role("button", name="New room").click()
    dialog = page.get_by_role("dialog", name="New room")
    dialog.get_by_role("textbox", name="Room title").fill("Slowly made")
    with page.expect_request("**/rooms/"):
        dialog.get_by_role("button", name="Create room").click()
    page.keyboard.press("Escape")
    write_meanwhile(held, "Slowly made")


HOLD_ENTER = """(box) => {
  for (const repeat of [false, false, true])
    box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, repeat}));
}"""


def test_enter_sends_what_is_complete_once_and_the_keyboard_reaches_everything(visit):
    bob = visit("bob", "/chat/Third/")
    box = bob.box("Third")
    expect(box).to_be_focused()
    for name in ("Attach files", "Emoji", "Send"):
        bob.page.keyboard.press("Tab")
        expect(bob.pane("Third").get_by_role("button", name=name)).to_be_focused()
    for _ in range(4):
        bob.page.keyboard.press("Shift+Tab")
    expect(bob.log("Third")).to_be_focused()
    # Shift and Enter break the line.
    box.press_sequentially("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    box.press("Enter")
    expect(box).to_have_value("")
    expect(bob.texts("Third").last).to_have_text("one\ntwo", use_inner_text=True)
    assert [command["message"] for command in bob.commands("send")] == ["one\ntwo"]
    # A key that is held sends nothing twice, and with other keys it sends nothing.
    for keys in ("Shift+ArrowUp", "Control+ArrowUp"):
        box.press(keys)
        expect(box).to_have_value("")
    box.press("ArrowUp")
    box.fill("edited")
    box.evaluate(HOLD_ENTER)
    expect(bob.texts("Third")).to_have_text(["edited"])
    assert len(bob.commands("edit")) == 1
    box.fill("three")
    for keys in ("Control+Enter", "Alt+Enter"):
        box.press(keys)
    box.evaluate("(e) => e.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, repeat: true}))")
    expect(box).to_have_value("three")
    assert len(bob.commands("send")) == 1
    # A refused message stays with the reason, and an empty one without.
    box.fill("x" * 4001)
    box.press("Enter")
    alert = bob.pane("Third").locator("room-composer").get_by_role("alert")
    expect(alert).to_contain_text("MESSAGE_TOO_LONG")
    expect(box).to_have_value("x" * 4001)
    box.fill("fine")
    expect(alert).to_have_count(0)
    bob.say("Third", "  \n ")  # sent by mistake
    expect(box).to_have_value("  \n ")
    expect(alert).to_have_count(0)
    # While an input method composes, Enter is its own.
    box.fill("にほん")
    for kind in ("isComposing: true", "keyCode: 229"):
        box.evaluate(f"(e) => e.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Enter', bubbles: true, {kind}}}))")
    input_method = bob.page.context.new_cdp_session(bob.page)
    input_method.send("Input.imeSetComposition", {"text": "日本", "selectionStart": 2, "selectionEnd": 2})
    box.press("Enter")
    assert len(bob.commands("send")) == 1
    expect(box).to_have_value(re.compile("にほん"))


CUT = "window.WebSocket = class extends WebSocket { constructor(...given) { super(...given); this.close(); } };"


def test_a_phone_shows_one_pane_and_tabs_for_the_others(visit, site):
    bob = visit("bob", viewport={"width": 360, "height": 740})
    bob.open("Lobby", "Random")
    expect(bob.pane("Random")).to_be_visible()
    expect(bob.pane("Lobby")).to_be_hidden()
    bob.button("Lobby").click()
    expect(bob.pane("Lobby")).to_be_visible()
    bob.say("Lobby", "from the train")
    expect(bob.texts("Lobby").last).to_have_text("from the train")
    # A tap on the tab that is shown goes to the newest message, and closes nothing.
    post(site, ("Lobby", 1, 30))
    expect(bob.texts("Lobby")).to_have_count(31)
    bob.log("Lobby").evaluate("(log) => { log.scrollTop = 0; }")
    expect(bob.texts("Lobby").last).not_to_be_in_viewport()
    bob.button("Lobby").click()
    expect(bob.texts("Lobby").last).to_be_in_viewport()
    expect(bob.page.get_by_role("button", name="Close Lobby")).to_be_visible()
    width = bob.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 360
    # The list of all rooms closes when a room opens, and by Escape.
    all_rooms = bob.page.get_by_role("button", name="All rooms and account")
    all_rooms.click()
    find = bob.page.get_by_role("combobox", name="Find or jump")
    expect(find).to_be_visible()
    expect(bob.page.get_by_role("button", name="Log out")).to_be_visible()
    bob.button("Third").click()
    expect(bob.box("Third")).to_be_focused()
    all_rooms.click()
    find.fill("random")
    find.press("Enter")
    expect(bob.box("Random")).to_be_focused()
    expect(bob.box("Random")).to_be_in_viewport()
    all_rooms.click()
    find.press("Escape")
    expect(all_rooms).to_be_focused()
    expect(all_rooms).to_have_attribute("aria-expanded", "false")
    expect(bob.pane("Random")).to_be_visible()
    # Offline it shows its rooms too.
    bob.page.add_init_script(CUT)
    bob.goto("/?rooms=")
    expect(bob.page.get_by_role("status")).to_contain_text("Offline")
    all_rooms.click()
    expect(bob.button("Third")).to_be_in_viewport()
    expect(bob.page.get_by_role("status")).to_be_in_viewport()
