"""The page's look: what is in view, what stays quiet, and what a narrower window does."""

from playwright.sync_api import expect

from tests.browser.test_delivery import post

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
CHOOSE_COMPACT = """() => {
  const {user} = JSON.parse(document.getElementById('config').textContent);
  const key = `multichat.preference.${user.id}.isCompact`;
  localStorage.setItem(key, 'true');
  dispatchEvent(new StorageEvent('storage', {key, newValue: 'true'}));
}"""


def test_a_newcomer_finds_the_lobby_and_many_messages_in_view(visit, site):
    post(site, ("Lobby", 1, 60))
    charlie = visit("charlie", "/")
    charlie.page.set_viewport_size({"width": 1440, "height": 860})
    expect(charlie.box("Lobby")).to_be_focused()
    expect(charlie.texts("Lobby").last).to_have_text("text 60")
    # A line takes 25 pixels, where it took 29.5.
    comfortable = charlie.log("Lobby").evaluate(IN_VIEW)
    assert comfortable >= 28
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
    charlie.goto("/")
    expect(charlie.texts("Lobby").last).to_have_text("text 60")


def test_a_window_of_medium_width_has_a_rail_of_rooms(visit):
    alice = visit("alice", keep=False)
    alice.page.set_viewport_size({"width": 800, "height": 700})
    alice.open("Lobby", "Staff")
    rail = alice.page.get_by_role("navigation", name="Rooms")
    assert rail.bounding_box()["width"] <= 60
    row = alice.button("Lobby")
    assert row.evaluate("(row) => getComputedStyle(row, '::before').content").startswith('"Lo"')
    alice.page.get_by_role("button", name="All rooms and account").click()
    assert rail.bounding_box()["width"] > 200
    expect(row.locator(".title")).to_be_in_viewport()
    alice.page.keyboard.press("Escape")
    assert rail.bounding_box()["width"] <= 60
    # Nothing moves for users who want no motion.
    motion = "() => getComputedStyle(document.querySelector('room-pane')).animationDuration"
    assert alice.page.evaluate(motion) == "0.15s"
    alice.page.emulate_media(reduced_motion="reduce")
    assert alice.page.evaluate(motion) == "0s"
