"""axe-core finds no violations on any screen, in both themes and at three widths."""

import json
from functools import partial
from itertools import cycle

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import ROOT, signed_in, until
from tests.browser.test_fitting import END_MOTION, FAULTS
from tests.servers.quantities import IS_FULL, TIMEOUT

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"


# What a theme can break. All other rules would find the same in both.
RULES_OF_COLOURS = "{runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}}"


# A hundred messages are judged like fifteen, and take some seconds more.
OLDER = "[data-part=messages] > .message:not(.found):nth-last-child(n+16)"
CONTEXT = "document" if IS_FULL else f"{{exclude: [['{OLDER}']]}}"


def inside(*parts):
    """Return the context of what a state of the page shows, where other states have what is around it. script/soak
    judges all of it in each state."""
    return CONTEXT if IS_FULL else f"{{include: {[[part] for part in parts]}, exclude: [['{OLDER}']]}}"


def violations(page, rules=RULES, context=CONTEXT):
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    # Only what is returned leaves the page: all that axe has to say of what is right takes twice as long as the checks.
    # Only a rule that is not among these would read the style sheets again, which takes as long as several rules.
    options = f"{{...{rules}, resultTypes: ['violations'], selectors: false, preload: {{assets: ['media']}}}}"
    found = page.evaluate(f"axe.run({context}, {options}).then((all) => all.violations)")
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found]


# What is judged in the light theme with all rules needs only those of colours in the dark one.
DARK, LIGHT = [("dark", RULES_OF_COLOURS)], [("light", RULES)]
BOTH = DARK + LIGHT
# Of both themes, where all other rules have found what they would find again.
COLOURS = [("dark", RULES_OF_COLOURS), ("light", RULES_OF_COLOURS)]
# The themes in which states of a page are judged in wide and narrow windows: by script/soak in both, by script/test in
# one each, in turn.
THEMES = [(BOTH, BOTH)] if IS_FULL else [(DARK, LIGHT), (LIGHT, DARK)]
# script/test leaves out what hardly differs: a pane's colours at another width, and the width of a rail.
LOOKS = [(width, *theme) for width in (1320, 800, 360) for theme in BOTH]
LOOKS = LOOKS if IS_FULL else [(1320, "dark", RULES_OF_COLOURS), (360, "light", RULES)]


def looks_in_turn():
    """Yield the looks for one page after another, where many pages are alike: script/test judges each in one look."""
    return cycle([LOOKS] if IS_FULL else [[(1320, "dark", RULES)], [(360, "light", RULES)]])


def violations_in_all_looks(page, looks=LOOKS, context=CONTEXT):
    found = []
    for width, theme, rules in looks:
        # High enough for the whole list: a row that is cut at the edge of what scrolls would count as too small.
        page.set_viewport_size({"width": width, "height": 1000})
        page.emulate_media(color_scheme=theme)
        found += [(width, theme, violation) for violation in violations(page, rules, context)]
    return found


def test_axe_finds_no_violations_and_borders_have_enough_contrast(visit, site):
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "bob, room = User.objects.get(username='bob'), Room.objects.get(title='Third')\n"
        "for kind in (0, 1, 2, 3): room.send_message(f'of type {kind}', bob, kind)"
    )
    alice = visit("alice")
    looks = looks_in_turn()
    # Without a pane. The list is judged beside some.
    assert violations_in_all_looks(alice.page, next(looks), inside("main")) == []
    alice.page.set_viewport_size({"width": 1320, "height": 740})
    alice.open("Lobby", "Staff", "Third")
    alice.say("Third", "hello")
    expect(alice.texts("Third").last).to_have_text("hello")
    alice.say("Third", "x" * 4001)
    alice.page.locator("room-people summary").first.click()
    assert violations_in_all_looks(alice.page) == []
    alice.page.get_by_role("button", name="All rooms and account").click()
    # The expanded list hides everything else, the main landmark too.
    assert [found for found in violations(alice.page) if found[0] != "landmark-one-main"] == []
    alice.page.keyboard.press("Escape")
    alice.page.set_viewport_size({"width": 1320, "height": 740})
    # A text box with the focus has an edge with a contrast of 3:1, and forced colours have edges too.
    for theme in ("light", "dark"):
        alice.page.emulate_media(color_scheme=theme)
        alice.box("Lobby").focus()
        assert contrast(alice.page, "room-composer .box") >= 3
        alice.page.locator(".find input").focus()
        assert contrast(alice.page, ".find input") >= 3
    alice.page.emulate_media(forced_colors="active")
    width = "(e) => getComputedStyle(e).borderTopWidth"
    assert alice.page.locator("room-composer .send").first.evaluate(width) == "1px"
    alice.page.emulate_media(forced_colors="none")
    for path, part in (("/chat/Nowhere/", "main"), ("/nowhere/", "html")):
        alice.goto(path)
        assert violations_in_all_looks(alice.page, next(looks), inside(part)) == []
    alice.page.context.clear_cookies()
    alice.goto("/")
    assert violations_in_all_looks(alice.page, next(looks)) == []


def contrast(page, selector):
    """Return the contrast between an element's edge and its background, as they are painted."""
    return page.locator(selector).first.evaluate(
        """(element) => {
          const canvas = new OffscreenCanvas(1, 1).getContext('2d');
          const luminance = (colour) => {
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
              const part = byte / 255;
              return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const { borderTopColor, backgroundColor } = getComputedStyle(element);
          const [high, low] = [luminance(borderTopColor), luminance(backgroundColor)].sort((a, b) => b - a);
          return (high + 0.05) / (low + 0.05);
        }"""
    )


CONFIRM = """
from django.contrib.auth.models import User
from django.test import Client
from chat.models import Room
from chat.store import policies
from chat.store.actions import Draft, commit
from chat.store.log import Kind
room = Room.objects.get(title="Here")
for name in ("alice", "bob", "charlie"):
    user, client = User.objects.get(username=name), Client()
    client.force_login(user)
    [standing] = policies.load_logins([client.session.session_key]).values()
    commit([Draft(room=room.pk, author=user.pk, login=standing.login, kind=Kind.CONFIRMED, target_seq=1)])
"""
# A window of 1440 × 860 pixels with 200 % zoom.
ZOOMED = {"width": 720, "height": 430}
PHONE = {"width": 360, "height": 740}
# What only its colour or its shadow sets apart from what is around it has to have an edge in the system's colours.
WITHOUT_EDGE = """() => {
  const apart = `dialog[open], [popover]:popover-open, room-pane, .box, .avatar, .pinned, .alert-line,
    .connection-bar, .catch-up button, .reopen button, .undo button, .chip, .open-strip, .moment, .overlay`;
  const hasEdge = (element) => {
    const { borderTopWidth, outlineWidth, outlineStyle } = getComputedStyle(element);
    return parseFloat(borderTopWidth) >= 1 || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1);
  };
  return [...document.querySelectorAll(apart)]
    .filter((element) => element.checkVisibility() && !hasEdge(element) && !hasEdge(element.parentElement))
    .map((element) => `${element.localName}.${element.className}`);
}"""


# Menus, dialogs, the box to find rooms in and an offer of some seconds stand above other controls.
ABOVE = "dialog[open], [popover]:popover-open, [role=listbox]:visible, .reopen p, .find input:focus"
# What is behind a dialog or a menu is judged in states without these, so script/test judges them alone. Their colours
# are the same in all widths, and dialogs and menus take turns in the two themes.
POPUPS = "dialog[open], [popover]:popover-open"


def judge_colours(page, looks, state, context=CONTEXT):
    for theme, rules in looks:
        page.emulate_media(color_scheme=theme)
        expect(state).to_be_visible()
        assert violations(page, rules, context) == [], (state, theme)


def faults_of(page, width):
    """Return what has no space, once the page has placed everything in a window that has just got this width."""
    is_above = page.locator(ABOVE).count() > 0
    faults = []
    for _ in range(20):
        faults = [fault for fault in page.evaluate(FAULTS, width) if not (is_above and " is below " in fault)]
        if not faults:
            break
        page.wait_for_timeout(50)
    return faults


def judge_state(page, looks, state, part=None, *, is_known=False):
    """Judge what is shown by axe, wide and on a phone in the next of these looks; at 200 % zoom and on a phone whether
    all of it has space; and its edges in the system's colours. Where only a part of the page is new, axe judges it
    alone, and where all parts are known, such as another menu, it judges none."""
    expect(state).to_be_visible()
    wide, narrow = next(looks)
    context = inside(part) if part else CONTEXT
    if not IS_FULL and (is_known or page.locator(POPUPS).count() > 0):
        wide = [] if is_known else [(wide[0][0], RULES)]
        narrow, context = [], inside(POPUPS)
    judge_colours(page, wide, state, context)
    size = page.viewport_size

    def become(small):
        page.set_viewport_size(small)
        page.evaluate(END_MOTION)
        expect(state).to_be_visible()

    become(ZOOMED)
    assert faults_of(page, ZOOMED["width"]) == [], (state, ZOOMED)
    # They last from one size to the next, because each change of them restyles the page.
    page.emulate_media(forced_colors="active")
    assert page.evaluate(WITHOUT_EDGE) == [], (state, ZOOMED)
    become(PHONE)
    # On a phone a pane has the whole window, and no edge.
    assert [element for element in page.evaluate(WITHOUT_EDGE) if "room-pane" not in element] == [], (state, PHONE)
    page.emulate_media(forced_colors="none")
    assert faults_of(page, PHONE["width"]) == [], (state, PHONE)
    judge_colours(page, narrow, state, context)
    page.set_viewport_size(size)


@pytest.mark.timeout(2 * TIMEOUT)
def test_axe_finds_no_violations_in_what_stands_side_by_side(visit, site):
    """Chips, quotes, alerts with confirmations, strips, halves, and what tells of a lost connection: on one page."""
    site.shell(
        "from chat.models import Room\n"
        "Room.objects.get(title='Here').send_message('The disk of db-1 is full. Do not deploy.', None, 2)\n"
        "Room.objects.get(title='Lobby').send_message('the deploy is done', None)"
    )
    site.shell(CONFIRM)
    alice = visit("alice", site.address("Lobby", "Third", "Here"), viewport={"width": 1320, "height": 900})
    page = alice.page
    judge = partial(judge_state, page, cycle(THEMES))
    alice.expect_state("Connected")
    alice.box("Here").focus()  # the pane that a phone shows
    # A confirmed alert, one that is pinned, and one of a room that is not open.
    site.shell(
        "from chat.models import Room\n"
        "for title in ('Here', 'Random'): Room.objects.get(title=title).send_message('It burns', None, 2)"
    )
    expect(page.locator("[data-part=alert-line]")).to_be_visible()
    expect(alice.pane("Here").locator(".pinned")).to_be_visible()
    judge(alice.log("Here").get_by_text("Confirmed by"))
    alice.pane("Here").get_by_role("button", name="Got it").click()
    message = alice.log("Lobby").get_by_role("article").last
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    page.get_by_role("menuitem", name="Quote in another room").click()
    page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name="Third").click()
    pane = alice.pane("Third")
    expect(pane.locator("room-composer .quote")).to_be_visible()
    pane.get_by_role("button", name="Also in other rooms").click()
    pane.get_by_role("button", name="All rooms…").click()
    judge(page.get_by_role("alertdialog"))
    page.keyboard.press("Escape")
    pane.get_by_role("combobox", name="Add a room").focus()
    page.keyboard.type("Staff")
    judge(pane.get_by_role("option", name="Staff"), "main")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    alice.box("Third").fill("look")
    alice.box("Third").press("Enter")
    expect(pane.locator("room-composer .quote")).to_be_visible()
    expect(pane.get_by_role("button", name="Remove Staff")).to_be_visible()
    judge(pane.get_by_text("Press Enter again to send"), "main")
    for title, item in (("Here", "Make it a strip"), ("Third", "Put below Lobby")):
        alice.pane(title).get_by_role("button", name="More", exact=True).click()
        # Both items are in the menu of a pane that stands beside another one.
        if title == "Third":
            judge(page.get_by_role("menuitem", name=item))
        page.get_by_role("menuitem", name=item).click()
    # A phone shows each pane whole.
    strip = page.get_by_role("button", name="Show Here as a column")
    edge = page.get_by_role("separator", name="Edge between Lobby and Third")
    site.stop()
    try:
        alice.say("Lobby", "written offline")
        # The bar comes after five seconds.
        expect(page.get_by_role("button", name="Try now")).to_be_visible(timeout=15_000)
        expect(strip).to_be_visible()
        expect(edge).to_be_visible()
        judge(alice.log("Lobby").get_by_role("button", name="Discard").last)
        expect(strip).to_be_visible()
    finally:
        site.start()
    # Or the page tries by itself sooner, so that the button is gone.
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.get_by_role("status").first).to_contain_text("Connected", timeout=20_000)


@pytest.mark.timeout(TIMEOUT)
def test_axe_finds_no_violations_in_what_comes_and_goes(visit, site):
    """One page goes from state to state, because loading it takes longer than judging it."""
    alice = visit("alice", site.address("Lobby", "Third"), viewport={"width": 1320, "height": 900})
    page, keyboard = alice.page, alice.page.keyboard
    alice.expect_state("Connected")
    # All menus are alike, so axe judges two of them: that of a pane in the dark theme, beside what stands side by side,
    # and the last one here in the light theme.
    judge = partial(judge_state, page, cycle(THEMES))
    # Both stay for some seconds, which is too short for two themes.
    for looks in [[(BOTH[:1], BOTH[1:])], [(BOTH[1:], BOTH[:1])]] if IS_FULL else [THEMES]:
        alice.toggle("Third").click()
        alice.say("Lobby", "in the light")
        expect(page.get_by_role("button", name="Reopen")).to_be_visible()
        judge_state(page, cycle(looks), alice.pane("Lobby").get_by_role("button", name="Undo"))
        page.get_by_role("button", name="Reopen").click()
        expect(alice.box("Third")).to_be_focused()
    keyboard.press("Control+K")
    keyboard.type("r")
    judge(page.get_by_role("option", name="Random"), "room-list")
    keyboard.press("Escape")
    keyboard.press("Escape")
    keyboard.press("Control+Slash")
    judge(page.get_by_role("dialog", name="Keyboard shortcuts"))
    keyboard.press("Escape")
    page.locator("[data-part=workspaces]").click()
    judge(page.get_by_role("menuitem", name="Save as…"), is_known=True)
    page.get_by_role("menuitem", name="Save as…").click()
    judge(page.get_by_role("dialog", name="Save as workspace"))
    keyboard.press("Escape")
    message = alice.log("Lobby").get_by_role("article").last
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    page.get_by_role("menuitem", name="Delete").click()
    judge(page.get_by_role("alertdialog"))
    keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_be_hidden()
    alice.box("Lobby").focus()
    keyboard.press("Alt+PageUp")
    judge(page.get_by_role("status").filter(has_text="in all panes"), "main")
    keyboard.press("Escape")
    # A provisional pane, and catching up with its room.
    page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    site.manage("say", "Random", "one")
    expect(alice.button("Random").locator(".unread")).to_have_text("1")
    alice.button("Random").click(button="right")
    judge(page.get_by_role("menuitem", name="Mark all as read"), is_known=True)
    keyboard.press("Escape")
    keyboard.press("F8")
    judge(page.locator("room-pane.peek"), "main")
    keyboard.press("Control+Shift+F8")
    judge(page.get_by_role("button", name="Mark read and on"), "main")
    page.get_by_role("button", name="Mark older as read…").click()
    judge(page.get_by_role("menuitem", name="From before today"))
    keyboard.press("Escape")
    alice.log("Random").focus()
    keyboard.press("e")
    judge(page.get_by_text("All caught up"), "main")
    keyboard.press("Escape")
    # What a search found, and the message to which it leads. On a phone, the results are shown in place of the panes.
    keyboard.press("Control+K")
    keyboard.type("in the light")
    page.get_by_role("option", name="Search messages for").click()
    expect(page.locator(".message.found")).to_be_visible()
    judge(page.get_by_role("region", name="Search results"), "main")
    page.get_by_role("region", name="Search results").get_by_role("button", name="Close").click()
    # A window of 1440 × 860 pixels with 200 % zoom, where the list is a rail.
    site.manage("say", "Random", "@alice two")
    page.set_viewport_size(ZOOMED)
    expect(page.get_by_role("button", name="Catch up")).to_contain_text("1, @1")
    expect(alice.button("Here")).to_be_in_viewport()
    judge_colours(page, BOTH if IS_FULL else LIGHT, alice.button("Here"))
    # The system's colours: what only a colour set apart has an edge.
    page.emulate_media(forced_colors="active")
    judge_colours(page, BOTH if IS_FULL else COLOURS, alice.button("Here"))
    for part in ("room-pane", ".box", ".avatar", ".next", "nav li.open"):
        assert page.locator(part).first.evaluate(
            "(e) => parseFloat(getComputedStyle(e).borderTopWidth) + parseFloat(getComputedStyle(e).outlineWidth) >= 1"
        ), part


MAKE_STAFF = """
from chat.models import Room
from django.contrib.auth.models import User
vera = User(username="vera", password=User.objects.get(username="bob").password, is_staff=True)
vera.save()
room = Room.objects.create(title="Plans", topic="What we do next", members_only=True)
room.add_member(vera)
print(room.pk, vera.pk)
"""


@pytest.mark.timeout(TIMEOUT)
def test_axe_finds_no_violations_in_the_admin(visit, site, browser):
    room, user = site.shell(MAKE_STAFF).split()
    alice = visit("alice", "/healthz")
    looks = looks_in_turn()
    found = {}
    # These have what the others have: a list, and a form with a room or with fields of these kinds.
    # The list of what the first page has stands beside each of the others.
    further = ("chat/room/add/", "chat/webhook/add/", "chat/room/", "") if IS_FULL else ()
    for path in ("auth/user/", f"chat/room/{room}/change/", "chat/bot/add/", f"auth/user/{user}/change/", *further):
        alice.goto(f"/admin/{path}")
        if "bot" in path:
            # With the list of results open.
            box = alice.page.get_by_role("combobox", name="Room:")
            box.click()
            alice.page.get_by_role("searchbox", name="Room:").fill("lob")
            expect(alice.page.get_by_role("option", name="Lobby")).to_be_visible()
        if "change" in path:
            # The pages of a room and of a user explain who may enter, and why.
            expect(alice.page.get_by_text("Why can they see it?" if "room" in path else "and why?")).to_be_visible()
        # What is around it is the same on each page. The list of results stands at the end of the document.
        part = inside("#content", ".select2-dropdown") if found else CONTEXT
        found[path] = violations_in_all_looks(alice.page, next(looks), part)
    # A staff user without permissions, in the same browser, because its process has compiled axe.
    alice.page.context.clear_cookies()
    alice.page.context.add_cookies(signed_in(browser, site, "vera")["cookies"])
    alice.goto("/admin/")
    expect(alice.page.get_by_text("may delete any message")).to_be_visible()
    found["vera"] = violations_in_all_looks(alice.page, next(looks), inside("#content"))
    site.shell(f"from django.contrib.auth.models import User; User.objects.get(pk={user}).delete()")
    assert {path: violations for path, violations in found.items() if violations} == {}


HEAR = """
window.announced = [];
Document.prototype.ariaNotify = function (text) { window.announced.push(...text.split('\\n')); };
"""


def test_screen_readers_announce_the_focused_pane_mentions_and_alerts(visit, site):
    bob = visit("bob", "/healthz")
    bob.page.add_init_script(HEAR)
    bob.goto(site.address("Here", "Lobby"))
    bob.expect_state("Connected")
    bob.box("Lobby").focus()
    expected_sentences = []
    for title, text, kind, expected in (
        ("Here", "nothing for bob", 0, None),
        ("Here", "@bob look", 0, "alice in Here: @bob look"),
        ("Here", "it burns", 2, "Alert. alice in Here: it burns"),
        ("Lobby", "good morning", 0, "alice in Lobby: good morning"),
    ):
        site.shell(
            "from chat.models import Room\n"
            "from django.contrib.auth.models import User\n"
            "alice = User.objects.get(username='alice')\n"
            f"Room.objects.get(title={title!r}).send_message({text!r}, alice, {kind})"
        )
        expect(bob.log(title).get_by_text(text)).to_be_visible()
        expected_sentences += [expected] if expected else []
        until(bob.page, f"window.announced.length >= {len(expected_sentences)}")
    assert bob.page.evaluate("window.announced") == expected_sentences
    # The alert is announced once, because the pinned copy is no live region.
    assert bob.pane("Here").locator("pinned-alerts").get_by_role("alert").count() == 0


def test_descriptions_name_the_room_of_a_button_and_its_unread_count_and_that_it_is_for_staff(visit, site):
    alice = visit("alice", site.address("Lobby", "Third"))
    for title in ("Lobby", "Third"):
        for name in ("Close", "More", "Send"):
            button = alice.pane(title).get_by_role("button", name=name, exact=True)
            expect(button).to_have_accessible_description(title)
    staff = alice.button("Staff")
    alice.until_counted()
    say = "from chat.models import Room; Room.objects.get(title='Staff').send_message('psst', None)"
    site.shell(say)
    expect(staff).to_have_accessible_description("1 unread, Staff only")
    site.shell("from chat.models import Room; Room.objects.create(title='Made since')")  # sends all rooms again
    expect(alice.button("Made since")).to_be_visible()
    expect(staff).to_have_accessible_description("1 unread, Staff only")
    site.shell(say)
    expect(staff).to_have_accessible_description("2 unread, Staff only")


def test_an_edited_message_has_a_save_button_and_enter_on_a_deleted_one_opens_no_empty_menu(visit):
    bob = visit("bob", "/chat/Lobby/")
    bob.say("Lobby", "helo")
    expect(bob.texts("Lobby").last).to_have_text("helo")
    bob.box("Lobby").press("ArrowUp")
    bob.box("Lobby").fill("hello")
    bob.pane("Lobby").get_by_role("button", name="Save").click()
    expect(bob.texts("Lobby").last).to_have_text("hello")
    expect(bob.pane("Lobby").get_by_role("button", name="Send")).to_be_visible()
    message = bob.log("Lobby").locator(".message").last
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    bob.page.get_by_role("menuitem", name="Delete").click()
    bob.page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(bob.texts("Lobby").last).to_have_text("Message deleted")
    bob.log("Lobby").focus()
    bob.page.keyboard.press("ArrowUp")
    expect(message).to_be_focused()
    bob.page.keyboard.press("Enter")
    expect(bob.page.get_by_role("menu")).to_have_count(0)
    expect(message).to_be_focused()


def test_the_focus_moves_to_a_neighbour_when_its_element_is_removed(visit, site):
    bob = visit("bob", "/healthz")
    # Each send is refused for good, so that the message has Retry and Discard.
    bob.page.route_web_socket("**/chat/stream/**", _refuse_sends)
    bob.goto("/?rooms=999,998")
    dismiss = bob.page.get_by_role("button", name="Dismiss")
    dismiss.focus()
    bob.page.keyboard.press("Enter")
    expect(bob.main).to_be_focused()
    bob.open("Lobby")
    bob.say("Lobby", "refused")
    for name in ("Retry", "Discard"):
        bob.unsent("Lobby").first.get_by_role("button", name=name).focus()
        bob.page.keyboard.press("Enter")
        expect(bob.log("Lobby")).to_be_focused()
    expect(bob.unsent("Lobby")).to_have_count(0)


def test_the_focus_moves_to_the_next_notice_and_enter_does_nothing_there(visit, site):
    titles = ("One", "Two")
    ids = site.shell(
        f"from chat.models import Room\nfor title in {titles!r}: print(Room.objects.create(title=title).pk)"
    )
    bob = visit("bob", site.address(*ids.split()))
    bob.expect_state("Connected")
    site.shell(f"from chat.models import Room\nfor room in Room.objects.filter(title__in={titles!r}): room.delete()")
    notices = bob.page.locator(".notice:visible")
    expect(notices).to_have_count(2)
    notices.first.get_by_role("button", name="Dismiss").focus()
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.press("Enter")
    expect(notices).to_have_count(1)
    expect(notices).to_be_focused()
    bob.page.keyboard.press("Tab")
    expect(notices.get_by_role("button", name="Dismiss")).to_be_focused()


def _refuse_sends(socket):
    server = socket.connect_to_server()

    def refuse(text):
        command = json.loads(text)
        if command["command"] != "send":
            return server.send(text)
        about = {key: command[key] for key in ("room", "client_id")}
        socket.send(json.dumps({"error": "USER_MUTED", "command": "send"} | about))

    socket.on_message(refuse)


def test_a_long_message_is_folded_until_its_reader_unfolds_it(visit, site):
    bob = visit("bob", "/chat/Lobby/")
    bob.expect_state("Connected")
    # Few messages stand at the bottom, and would move up into the space above them.
    site.shell(
        "from chat.models import Room\n"
        "for number in range(12): Room.objects.get(title='Lobby').send_message(f'text {number}', None)"
    )
    # Chromium's own textarea would need half a minute for it.
    site.shell(
        "from chat.models import Room; Room.objects.get(title='Lobby').send_message('a' + chr(10) * 3990 + 'z', None)"
    )
    text = bob.texts("Lobby").last
    expect(text).to_contain_text("z")
    height = "(e) => e.closest('.message').getBoundingClientRect().height"
    assert text.evaluate(height) < 900
    show_all = bob.log("Lobby").get_by_role("button", name="Show all")
    expect(show_all).to_be_in_viewport()
    top = "(e) => e.closest('.message').getBoundingClientRect().top"
    before = text.evaluate(top)
    show_all.focus()
    bob.page.keyboard.press("Enter")
    expect(show_all).to_have_count(0)
    assert text.evaluate(height) > 50_000
    assert abs(text.evaluate(top) - before) < 2, "the messages in view stay where they are"
    expect(bob.log("Lobby")).to_be_focused()
    bob.say("Lobby", "short\n" * 20)
    expect(bob.unsent("Lobby")).to_have_count(0)
    expect(show_all).to_have_count(0)
