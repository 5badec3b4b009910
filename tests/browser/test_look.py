"""The page's look: what is in view, what stays quiet, and what a narrower window does."""

import re
import signal

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.judging import POPOVER, violations_in_part
from tests.browser.test_accessibility import BOTH, CONFIRM, RULES, RULES_OF_COLOURS
from tests.browser.test_delivery import post
from tests.servers.quantities import IS_FULL

IN_VIEW = """(log) => {
  const edge = log.getBoundingClientRect();
  const boxes = [...log.querySelectorAll('.message')].map((message) => message.getBoundingClientRect());
  return boxes.filter(({top, bottom}) => top >= edge.top - 1 && bottom <= edge.bottom + 1).length;
}"""

FIRST_IN_VIEW = """(log) => {
  const edge = log.getBoundingClientRect().top + 32;
  const text = [...log.querySelectorAll('.text')].find((line) => line.getBoundingClientRect().top >= edge);
  const part = text.querySelector('[data-part=text]');
  return {text: part.textContent, y: part.getBoundingClientRect().y};
}"""
CHOOSE_COMPACT = """() => fetch('/accounts/appearance/', {
  method: 'POST',
  headers: {
    'Content-Type': 'application/json',
    'X-CSRFToken': document.querySelector('[name=csrfmiddlewaretoken]').value,
  },
  body: '{"density":"compact"}',
})"""


# For what test_accessibility.py judges in the dark too: the rail.
THEMES = BOTH if IS_FULL else [("light", RULES)]


def violations_in_themes(page, part, themes):
    found = []
    for theme, rules in themes:
        page.emulate_media(color_scheme=theme)
        found += [(theme, violation) for violation in violations_in_part(page, part, rules)]
    return found


def test_a_newcomer_finds_the_lobby_and_many_messages_in_view(visit, site):
    post(site, ("Lobby", 1, 60))
    charlie = visit("charlie", "/")
    charlie.page.set_viewport_size({"width": 1440, "height": 860})
    expect(charlie.box("Lobby")).to_be_focused()
    expect(charlie.texts("Lobby").last).to_have_text("text 60")
    # A line takes 25 pixels, where it took 29.5.
    until(charlie.page, f"({IN_VIEW})(document.querySelector('[role=log]')) >= 28")
    comfortable = charlie.log("Lobby").evaluate(IN_VIEW)
    # A line is as long as is easily read, also in a single pane.
    assert charlie.log("Lobby").locator(".lines").last.bounding_box()["width"] <= 760
    # The denser look, chosen in another tab. What is being read stays where it is.
    charlie.log("Lobby").evaluate("(log) => { log.scrollTop = 300; }")
    before = charlie.log("Lobby").evaluate(FIRST_IN_VIEW)
    charlie.page.evaluate(CHOOSE_COMPACT)
    expect(charlie.page.locator("html[data-density=compact]")).to_be_attached()
    after = charlie.texts("Lobby").get_by_text(before["text"], exact=True)
    assert abs(after.bounding_box()["y"] - before["y"]) < 12
    assert charlie.log("Lobby").evaluate(IN_VIEW) > comfortable
    # The page has told the server that the Lobby is open, so it is open on the next visit too.
    expect(charlie.page.get_by_role("status").first).to_contain_text("Connected")
    # Beside it, empty places say what to do, until a second room is open. A phone shows one pane.
    place = charlie.page.locator("[data-part=panes] > p").first
    expect(place).to_have_text("Choose a room to open it here. Open several to follow them side by side.")
    assert place.bounding_box()["x"] > charlie.pane("Lobby").bounding_box()["x"] + 280
    assert place.bounding_box()["width"] > 280
    assert violations_in_part(charlie.page, "[data-part=panes] > p") == []
    charlie.page.set_viewport_size({"width": 360, "height": 740})
    expect(place).to_be_hidden()
    charlie.page.set_viewport_size({"width": 1440, "height": 860})
    charlie.open("Random")
    expect(place).to_be_hidden()
    charlie.toggle("Random").click()
    expect(charlie.pane("Random")).to_have_count(0)
    charlie.goto("/")
    expect(charlie.texts("Lobby").last).to_have_text("text 60")
    expect(place).to_have_count(0)


# How long each part of the page moves, in milliseconds, when it appears or changes.
MOTIONS = """() => {
  const longest = (times) => Math.max(...times.split(', ').map((time) => parseFloat(time) * 1000));
  const motionOf = (element) => {
    const { animationName, animationDuration, transitionProperty, transitionDuration } = getComputedStyle(element);
    const moves = animationName === 'none' ? 0 : longest(animationDuration);
    return Math.max(moves, transitionProperty === 'none' ? 0 : longest(transitionDuration));
  };
  const of = (selector) => [...new Set([...document.querySelectorAll(selector)].map(motionOf))];
  const content = 'room-pane [role=log], room-pane [role=log] *:not(button, button *)';
  return { pane: of('room-pane'), list: of('nav li'), content: of(content) };
}"""


def test_an_empty_page_says_what_to_do_and_panes_move_shortly_content_never_and_nothing_with_reduced_motion(visit):
    bob = visit("bob", viewport={"width": 1440, "height": 860})
    words, main = bob.page.get_by_text("Choose a room to open it here."), bob.page.get_by_role("main")
    expect(words).to_be_visible()
    box, around = words.bounding_box(), main.bounding_box()
    assert abs(box["x"] + box["width"] / 2 - around["x"] - around["width"] / 2) < 2
    assert box["width"] < around["width"] / 3
    # Motion is short, and with reduced motion there is none.
    bob.page.emulate_media(reduced_motion="no-preference")
    bob.page.evaluate(
        """() => {
          window.moved = [];
          addEventListener('animationstart', ({target}) => window.moved.push(target.localName), true);
        }"""
    )
    bob.open("Lobby", "Third")
    bob.say("Lobby", "hello")
    expect(bob.texts("Lobby")).to_have_text(["hello"])
    motions = bob.page.evaluate(MOTIONS)
    for part in ("pane", "list"):
        assert [120 <= milliseconds <= 180 for milliseconds in motions[part]] == [True], (part, motions)
    assert motions["content"] == [0]
    # A pane moves when it is opened, and the message that came did not.
    assert bob.page.evaluate("window.moved").count("room-pane") == 2
    assert set(bob.page.evaluate("window.moved")) == {"room-pane"}
    bob.page.emulate_media(reduced_motion="reduce")
    assert bob.page.evaluate(MOTIONS) == {"pane": [0], "list": [0], "content": [0]}


def test_with_the_systems_colours_no_line_is_covered_by_the_hidden_name_of_the_next_one(visit, site):
    for _ in range(2):
        site.manage("say", "Lobby", "gyp jumpy quay gyp jumpy quay gyp", "--user", "alice")
    bob = visit("bob", "/chat/Lobby/")
    bob.page.emulate_media(forced_colors="active")
    expect(bob.log("Lobby").locator(".message.more")).to_have_count(1)
    first, second = bob.texts("Lobby").all()
    before = first.screenshot()
    second.evaluate("(text) => text.closest('.message').querySelector('.by').style.visibility = 'hidden'")
    assert first.screenshot() == before


def test_a_window_of_medium_width_has_a_rail_of_rooms(visit, site):
    alice = visit("alice", site.address("Lobby", "Staff"), viewport={"width": 800, "height": 700})
    expect(alice.box("Staff")).to_be_visible()
    rail = alice.page.get_by_role("navigation", name="Rooms")
    assert rail.bounding_box()["width"] <= 60
    # The icons above the rooms are in one column.
    glyphs = alice.page.locator(":is(.all, .mentions) .glyph").all()
    middles = [box["x"] + box["width"] / 2 for box in (glyph.bounding_box() for glyph in glyphs)]
    assert max(middles) - min(middles) < 1
    row = alice.button("Lobby")
    assert row.evaluate("(row) => getComputedStyle(row, '::before').content").startswith('"Lo"')
    alice.page.get_by_role("button", name="All rooms and account").click()
    assert rail.bounding_box()["width"] > 200
    expect(row.locator(".title")).to_be_in_viewport()
    alice.page.keyboard.press("Escape")
    assert rail.bounding_box()["width"] <= 60


def test_the_rail_has_the_buttons_of_its_rows_where_no_pointer_hovers_and_marks_panes_out_of_view(visit):
    bob = visit("bob", viewport={"width": 800, "height": 700}, has_touch=True, is_mobile=True)
    assert bob.page.evaluate("matchMedia('(hover: none)').matches")
    opening = bob.page.get_by_role("button", name="Open Lobby", exact=True)
    size = opening.bounding_box()
    assert min(size["width"], size["height"]) >= 24
    background = "(row) => getComputedStyle(row, '::before').backgroundColor"
    opening.tap()
    expect(bob.pane("Lobby")).to_be_visible()
    closing = bob.page.get_by_role("button", name="Close Lobby", exact=True)
    expect(closing).to_be_visible()
    filled = bob.button("Lobby").evaluate(background)
    for title in ("Random", "Here", "Third"):
        bob.button(title).tap()
        expect(bob.pane(title)).to_be_in_viewport()
    expect(bob.button("Lobby")).to_have_accessible_description("Out of view")
    assert bob.button("Lobby").evaluate(background) == "rgba(0, 0, 0, 0)" != filled
    assert bob.button("Third").evaluate(background) != "rgba(0, 0, 0, 0)"
    row, button = bob.button("Third").bounding_box(), bob.toggle("Third").bounding_box()
    assert row["x"] + row["width"] <= button["x"]
    assert abs(row["y"] + row["height"] / 2 - button["y"] - button["height"] / 2) < 3
    rail = bob.page.get_by_role("navigation", name="Rooms")
    assert rail.bounding_box()["width"] <= 84
    assert rail.evaluate("(rail) => rail.scrollWidth <= rail.clientWidth")
    assert violations_in_themes(bob.page, "room-list", THEMES) == []
    closing.tap()
    expect(bob.pane("Lobby")).to_have_count(0)
    # In a wide window, the button of a closed room is seen without a pointer, too.
    bob.page.set_viewport_size({"width": 1320, "height": 800})
    expect(opening).to_be_visible()
    assert opening.evaluate("(button) => getComputedStyle(button).color") != "rgba(0, 0, 0, 0)"


def test_all_who_have_confirmed_an_alert_are_listed_and_a_long_one_takes_two_lines(visit, site):
    words = "the disk of db-1 is full, so nothing is saved and nobody should deploy anything before it is mended. " * 5
    site.shell(f"from chat.models import Room; Room.objects.get(title='Here').send_message({words.strip()!r}, None, 2)")
    bob = visit("bob", viewport={"width": 1320, "height": 780})
    page = bob.page
    # A link shows a room that is not in the workspace provisionally.
    page.get_by_role("button", name="Show the alert in Here").click()
    expect(bob.pane("Here")).to_have_class(re.compile("peek"))
    # Pinned, it takes two lines at most, until it has the focus.
    pinned = bob.pane("Here").locator(".pinned > div")
    expect(pinned).to_contain_text("the disk of db-1 is full")
    lines = """(box) => {
      const style = getComputedStyle(box);
      const height = box.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
      return Math.round(height / parseFloat(getComputedStyle(box.querySelector('p')).lineHeight));
    }"""
    assert pinned.evaluate(lines) == 2
    bob.pane("Here").locator(".pinned").focus()
    assert pinned.evaluate(lines) > 2
    # The author and the time may be in a line of their own, which begins with no sign.
    by = pinned.locator(".by")
    assert by.evaluate("(by) => getComputedStyle(by, '::before').content") == "none"
    bob.box("Here").focus()
    # The alert's line names two. The menu lists all of them.
    site.shell(CONFIRM)
    alert = bob.log("Here").locator(".note.alert")
    expect(alert).to_contain_text("Confirmed by alice, bob and 1 more")
    alert.get_by_role("button", name="More about this message").click()
    page.get_by_role("menuitem", name="See who has confirmed").click()
    listed = page.get_by_role("dialog", name="Confirmed", exact=True)
    expect(listed.get_by_role("listitem")).to_have_text(["alice", "bob", "charlie"])
    assert violations_in_part(page, POPOVER) == []
    page.keyboard.press("Escape")
    expect(listed).to_have_count(0)


def test_an_alert_is_seen_whether_or_not_its_room_is_open_and_got_it_holds_on_all_devices(visit, site):
    bob, phone = visit("bob"), visit("bob", viewport={"width": 360, "height": 740})
    alice = visit("alice", "/chat/Here/")
    bob.until_counted()
    # Staff choose the type. It is part of the draft, and after one message it is over.
    kind = alice.pane("Here").get_by_role("combobox", name="Type of message")
    alice.box("Here").fill("Do not deploy before 18:00")
    kind.select_option("Alert")
    alice.page.reload()
    expect(kind).to_have_value("2")
    assert violations_in_part(alice.page, "room-composer", RULES_OF_COLOURS) == []
    alice.pane("Here").get_by_role("button", name="Send alert", exact=True).click()
    expect(kind).to_have_value("0")
    expect(alice.box("Here")).to_have_value("")
    for page in (bob.page, phone.page):
        line = page.get_by_role("group", name="Alerts", exact=True)
        expect(line).to_contain_text("Alert in Here")
        expect(page).to_have_title("● Alert (1) Multichat")
        # The icon has the sign of an alert, in place of a number.
        expect(page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("%3E!%3C"))
    row = bob.button("Here").locator("xpath=..")
    expect(row).to_contain_text("Alert")
    expect(bob.button("Lobby").locator("xpath=..")).not_to_contain_text("Alert")
    if IS_FULL:  # test_accessibility.py judges the line of an alert, and the row
        assert violations_in_themes(bob.page, "[data-part=alert-line]", THEMES) == []
    line = bob.page.locator("[data-part=alert-line]")
    line.get_by_role("button", name="Show the alert in Here").click()
    expect(line).to_contain_text("Do not deploy before 18:00")
    pinned = bob.pane("Here").locator(".pinned")
    # Its twin in the log is quiet meanwhile.
    expect(bob.log("Here").locator(".note.is-pinned")).to_have_count(1)
    expect(bob.pane("Here").get_by_role("combobox", name="Type of message")).to_have_count(0)
    pinned.get_by_role("button", name="Got it").click()
    expect(pinned).to_have_count(0)
    expect(line).to_be_hidden()
    expect(row).not_to_contain_text("Alert")
    expect(bob.log("Here").locator(".is-pinned")).to_have_count(0)
    # On the other device it is gone, too, and everybody in the room sees who has confirmed it.
    expect(phone.page.locator("[data-part=alert-line]")).to_be_hidden()
    expect(phone.page).not_to_have_title("● Alert (1) Multichat")
    for visitor in (alice, bob):
        expect(visitor.log("Here").locator(".note.alert")).to_contain_text("Confirmed by bob")
    # Staff also see who has not.
    alice.log("Here").locator(".note.alert").get_by_role("button", name="More about this message").click()
    alice.page.get_by_role("menuitem", name="See who has not confirmed").click()
    waiting = alice.page.get_by_role("dialog", name="Not confirmed yet")
    expect(waiting.get_by_text("charlie", exact=True)).to_be_visible()
    expect(waiting.get_by_text(re.compile("^(alice|bob)$"))).to_have_count(0)
    alice.page.keyboard.press("Escape")
    expect(waiting).to_have_count(0)
    # It is over for all users.
    alice.log("Here").locator(".note.alert").get_by_role("button", name="More about this message").click()
    alice.page.get_by_role("menuitem", name="Alert is over").click()
    expect(bob.log("Here").locator(".note.alert")).to_contain_text("Over, says alice")
    # Its author has nothing to confirm.
    expect(alice.pane("Here").locator(".pinned")).to_have_count(0)


ANNOUNCED = """() => {
  const words = document.querySelector('[data-part=state-words]');
  window.announced = [];
  new MutationObserver(() => window.announced.push(words.textContent)).observe(words, {childList: true});
}"""


def test_without_a_server_the_page_says_so_once_and_what_is_written_stays_in_view_and_is_sent(visit, site):
    post(site, ("Lobby", 1, 60))
    alice = visit("alice", "/chat/Lobby/")
    page = alice.page
    expect(alice.texts("Lobby").last).to_have_text("text 60")
    alice.expect_state("Connected")
    page.evaluate(ANNOUNCED)
    bar = page.get_by_role("group", name="Connection")
    alice.box("Lobby").fill("this one waits")
    site.stop(signal.SIGKILL)
    try:
        alice.expect_state("Offline")
        expect(bar).to_be_visible(timeout=8000)
        expect(bar).to_contain_text("The server doesn't answer.")
        # A sign-out that fails keeps the draft, and the message that was sent.
        refused = page.get_by_role("alert").filter(has_text="You're still logged in")
        page.get_by_role("button", name="Log out").click()
        expect(refused).to_be_visible()
        alice.box("Lobby").press("Enter")
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Log out and discard").click()
        expect(refused).to_be_visible()
        alice.log("Lobby").evaluate("(log) => { log.scrollTop = 0; }")
        expect(alice.unsent("Lobby")).to_be_in_viewport(ratio=1)
        if IS_FULL:  # test_accessibility.py judges this bar
            assert violations_in_themes(page, "[data-part=connection-bar]", THEMES) == []
        # However often the page tries, the outage is announced once.
        tries = len(alice.sockets)
        for _ in range(4):
            with page.expect_websocket():
                page.evaluate("window.dispatchEvent(new Event('online'))")
        assert len(alice.sockets) >= tries + 4
        bar.get_by_role("button", name="Try now").focus()
    finally:
        site.start()
    page.keyboard.press("Enter")
    expect(bar).to_be_hidden()
    # The focus is where the next Enter does nothing.
    expect(alice.main).to_be_focused()
    expect(alice.texts("Lobby").last).to_have_text("this one waits")
    announced = page.evaluate("window.announced")
    assert [words for words in announced if words != "Connecting…"] == ["Offline – trying again", "Connected"]
    assert announced.count("Connecting…") <= 1


def test_a_refused_handshake_says_what_an_operator_has_to_change(visit):
    bob = visit("bob", "/healthz", keep=False)
    answers = {"cookies for this site are too large": {"status": 431}}
    if IS_FULL:  # tests/js/diagnosis.test.js tells all causes apart, and has the words
        answers |= {
            "ALLOWED_HOSTS": {"json": {"refused": "name", "host": "x"}},
            "CSRF_TRUSTED_ORIGINS": {"json": {"refused": "origin", "host": "x"}},
        }
    bob.page.route_web_socket("**/chat/stream/**", lambda socket: socket.close())
    bar = bob.page.get_by_role("group", name="Connection")
    for words, answer in answers.items():
        # Without cookies, the server answers.
        bob.page.route(
            "**/chat/stream/check**",
            lambda route, request, answer=answer: route.fulfill(
                **({"json": {}} if "status" in answer and "cookie" not in request.all_headers() else answer)
            ),
        )
        bob.goto("/?rooms=")
        expect(bar).to_contain_text(words, timeout=15_000)
        expect(bar.get_by_role("button", name="Try now")).to_be_visible()
