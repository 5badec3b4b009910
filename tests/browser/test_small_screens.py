"""Messages and the composer are in view at 400 % zoom, on a phone on its side, and with large fonts."""

import itertools

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WINDOW, until
from tests.browser.test_delivery import post

IN_VIEW = """(log) => {
  const box = log.getBoundingClientRect();
  return [...log.querySelectorAll('.message .text')].filter((text) => {
    const {top, bottom, left} = text.getBoundingClientRect();
    const y = (top + bottom) / 2;
    // An element above a message would hide it.
    return top >= box.top && bottom <= box.bottom + 1 && log.contains(document.elementFromPoint(left + 2, y));
  }).length;
}"""


# Width, height, and how many messages are in view there.
SIZES = [(320, 180, 1), (320, 256, 3), (568, 200, 2), (844, 300, 4), (360, 740, 15)]


@pytest.mark.parametrize("sizes", [SIZES, *(pytest.param([size], marks=pytest.mark.full_size) for size in SIZES[1:])])
def test_a_small_screen_shows_messages_and_the_composer(visit, site, sizes):
    post(site, ("Lobby", 1, 40), ("Random", 1, 2))
    bob = visit("bob", "/chat/Lobby/", viewport={"width": sizes[0][0], "height": sizes[0][1]})
    expect(bob.texts("Lobby").last).to_be_in_viewport()
    bob.until_counted()
    site.shell("from chat.models import Room; Room.objects.get(title='Random').send_message('psst', None)")
    for width, height, messages in sizes:
        bob.page.set_viewport_size({"width": width, "height": height})
        expect(bob.page.get_by_role("button", name="Next unread")).to_be_visible()
        expect(bob.box("Lobby")).to_be_in_viewport(ratio=1)
        expect(bob.pane("Lobby").get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
        # The line about Random takes its place from the log, which then scrolls to its end again.
        until(bob.page, f"({IN_VIEW})(document.querySelector('[role=log]')) >= {messages}")
        assert bob.page.evaluate("document.documentElement.scrollWidth") <= width
    for width, height, _ in sizes:
        bob.page.set_viewport_size({"width": width, "height": height})
        bob.say("Lobby", f"at {width} by {height}")
        expect(bob.texts("Lobby").last).to_have_text(f"at {width} by {height}")
        expect(bob.texts("Lobby").last).to_be_in_viewport(ratio=1)
    # Text follows the browser's font size.
    bob.page.set_viewport_size(WINDOW)
    size = "(e) => parseFloat(getComputedStyle(e).fontSize)"
    places = [bob.texts("Lobby").last, bob.box("Lobby"), bob.button("Random"), bob.pane("Lobby").locator("h2")]
    before = [place.evaluate(size) for place in places]
    bob.page.evaluate("document.documentElement.style.fontSize = '32px'")
    assert [place.evaluate(size) for place in places] == [2 * size for size in before]


# Makes the log lower, higher for one frame, and lower again before the browser reports that it has moved the log
# meanwhile. Returns how many pixels are below the view then.
SHRINK_GROW_SHRINK = """async () => {
  const log = document.querySelector('[role=log]');
  const frame = () => new Promise((done) => { requestAnimationFrame(done); });
  const task = () => new Promise((done) => { setTimeout(done); });
  const line = document.createElement('div');
  line.style.height = '60px';
  const pane = log.closest('room-pane');
  pane.append(line);
  for (let i = 0; i < 4; i++) await frame();
  line.remove();
  await frame();
  await task();
  pane.append(line);
  for (let i = 0; i < 6; i++) await frame();
  const below = log.scrollHeight - log.scrollTop - log.clientHeight;
  line.remove();
  return below;
}"""


def test_a_log_whose_height_changes_twice_at_once_stays_at_its_end(visit, site):
    post(site, ("Lobby", 1, 60))
    bob = visit("bob", "/chat/Lobby/")
    expect(bob.texts("Lobby").last).to_be_in_viewport()
    for _ in range(5):
        assert bob.page.evaluate(SHRINK_GROW_SHRINK) <= 2


# Returns how far each end of the row of tabs is faded, and the tabs that have a part in it.
FADED = """(nav) => {
  const { left, right } = nav.getBoundingClientRect();
  const fades = getComputedStyle(nav).maskImage ===
    'linear-gradient(to right, rgba(0, 0, 0, 0) 8px, rgb(0, 0, 0) 16px, ' +
    'rgb(0, 0, 0) calc(100% - 16px), rgba(0, 0, 0, 0))';
  const tabs = [...nav.querySelectorAll('li')].map((tab) => tab.getBoundingClientRect());
  const isIn = (tab, from, to) => tab.left < to - 1 && tab.right > from + 1;
  return [fades, tabs.some((tab) => isIn(tab, left, left + 16)), tabs.some((tab) => isIn(tab, right - 16, right))];
}"""


def test_the_row_of_tabs_fades_where_it_hides_tabs_and_shows_that_of_the_pane_that_is_seen(visit, site):
    site.shell(
        "from django.contrib.auth.models import User; from chat.store import room_actions\n"
        "alice, bob = User.objects.filter(username__in=['alice', 'bob']).order_by('username')\n"
        "room_actions.open_direct([bob.pk], by=alice.pk)"
    )
    path = site.address("Lobby", "Here", "Random", "There", "Third")
    bob = visit("bob", path, viewport={"width": 360, "height": 740})
    expect(bob.box("Lobby")).to_be_visible()
    tabs = bob.page.get_by_role("navigation", name="Rooms")
    until(bob.page, "getComputedStyle(document.querySelector('nav')).maskImage !== 'none'")
    # The fade moved no tab when it came.
    assert bob.button("Lobby").bounding_box()["x"] < 12
    end = "(nav) => nav.scrollWidth - nav.clientWidth"
    assert tabs.evaluate(end) > 200
    for place, is_left_faded, is_right_faded in ((0, False, True), (0.5, True, True), (1, True, False)):
        tabs.evaluate(f"(nav) => {{ nav.scrollLeft = {place} * ({end})(nav); }}")
        assert tabs.evaluate(FADED) == [True, is_left_faded, is_right_faded], place
    # None covers another one, also not those of people, which come last.
    boxes = [tab.bounding_box() for tab in tabs.get_by_role("listitem").all()]
    assert boxes[-1] == tabs.get_by_role("list", name="People").get_by_role("listitem").bounding_box()
    boxes.sort(key=lambda box: box["x"])
    assert all(one["x"] + one["width"] <= other["x"] for one, other in itertools.pairwise(boxes))
    # So also when the phone is turned.
    bob.page.set_viewport_size({"width": 740, "height": 360})
    bob.open("Third")
    expect(bob.page.locator("[data-part=panes].arranged")).to_be_attached()
    bob.page.set_viewport_size({"width": 360, "height": 740})
    expect(bob.button("Third")).to_be_in_viewport(ratio=1)
