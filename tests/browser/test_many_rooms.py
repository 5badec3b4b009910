"""Very many rooms in the list: a change in a room touches only that room's item."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor, signed_in
from tests.servers.quantities import IS_FULL

ROOMS = 1000 if IS_FULL else 300
# Counts the elements of the list that change, and the searches through the document that scripts ask for.
WATCH = """() => {
  window.touched = new Set();
  window.moved = 0;
  const list = document.querySelector('room-list nav');
  new MutationObserver((changes) => {
    for (const {type, target, addedNodes} of changes) {
      if (type === 'childList' && target.matches('ul')) window.moved += addedNodes.length;
      else window.touched.add((target.closest ? target : target.parentElement).closest('li') ?? target);
    }
  }).observe(list, {subtree: true, childList: true, attributes: true, characterData: true});
  window.searches = 0;
  for (const kind of [Document.prototype, Element.prototype])
    for (const name of ['querySelector', 'querySelectorAll']) {
      const search = kind[name];
      kind[name] = function (...args) { window.searches += 1; return search.apply(this, args); };
    }
}"""
RESET = "() => { window.touched.clear(); window.moved = window.searches = 0; }"
COUNTS = "() => ({touched: window.touched.size, moved: window.moved, searches: window.searches})"


@pytest.fixture(scope="module")
def bob(browser, site):
    """A page with all these rooms, three of them open. All tests share it, because it takes seconds to load."""
    site.clean()
    context = browser.new_context(storage_state=signed_in(browser, site, "bob"))
    visitor = Visitor(context.new_page(), site)
    made = site.shell(
        "import json\n"
        "from chat.models import Room\n"
        f"titles = [f'Room {{n:04}}' for n in range({ROOMS})]\n"
        "Room.objects.bulk_create([Room(title=title, title_key=title.lower()) for title in titles])\n"
        "print(json.dumps(list(Room.objects.filter(title__in=titles).order_by('title').values_list('id', flat=True))))"
    )
    visitor.ids = json.loads(made)
    visitor.goto("/?rooms=" + ",".join(map(str, visitor.ids[:3])))
    visitor.expect_state("Connected")
    expect(visitor.page.locator("room-list nav [data-room]")).to_have_count(ROOMS + 7)
    visitor.page.evaluate("() => new Promise((done) => setTimeout(done, 500))")
    visitor.page.evaluate(WATCH)
    yield visitor
    visitor.page.goto("about:blank")
    visitor.page.close()
    assert visitor.problems == []


@pytest.fixture(autouse=True)
def reset_counts(bob):
    bob.page.evaluate(RESET)


def post(site, *rooms):
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "alice = User.objects.get(username='alice')\n"
        f"for room in Room.objects.filter(id__in={list(rooms)!r}): room.send_message('hello', alice)"
    )


def test_a_message_in_one_of_very_many_rooms_touches_one_button(bob, site):
    post(site, bob.ids[200])
    badge = bob.button("Room 0200").locator(".unread")
    expect(badge).to_have_text("1")
    counts = bob.page.evaluate(COUNTS)
    assert counts["touched"] == 1
    assert counts["moved"] == 0
    assert counts["searches"] < 40, "a few for each pane and each changed room, and none for the other rooms"


def test_the_list_is_one_tab_stop_with_arrow_keys_and_focusing_opening_or_closing_a_room_moves_no_row(bob):
    # No other test focuses a room, because the tab stop is the room that had the focus last.
    rows = bob.page.locator("room-list nav [data-room]")
    first, second = (rows.nth(n).get_attribute("data-room") for n in (0, 1))
    bob.page.get_by_role("combobox", name="Find or jump").focus()
    bob.page.keyboard.press("Tab")
    for name in ("Mentions", "Workspaces"):
        expect(bob.page.get_by_role("button", name=name)).to_be_focused()
        bob.page.keyboard.press("Tab")
    focused = "() => document.activeElement.dataset.room ?? document.activeElement.tagName"
    assert bob.page.evaluate(focused) == first
    for key, room in (("ArrowDown", second), ("ArrowUp", first)):
        bob.page.keyboard.press(key)
        assert bob.page.evaluate(focused) == room
    # The button that opens or closes its pane is reached from the row.
    bob.page.keyboard.press("Tab")
    expect(rows.first.locator("xpath=following-sibling::button")).to_be_focused()
    bob.page.keyboard.press("Tab")
    expect(bob.page.get_by_role("button", name="New direct room")).to_be_focused()
    bob.page.keyboard.press("Tab")
    assert bob.page.evaluate("() => document.activeElement.closest('nav')") is None
    for _ in range(3):
        bob.page.keyboard.press("Shift+Tab")
    assert bob.page.evaluate(focused) == first
    # Another pane.
    bob.box("Room 0001").focus()
    bob.page.evaluate(RESET)
    bob.box("Room 0002").focus()
    expect(bob.button("Room 0002")).to_have_attribute("aria-current", "true")
    counts = bob.page.evaluate(COUNTS)
    assert counts["touched"] == 2, "the item of the pane that was shown, and of the pane that is shown"
    assert counts["moved"] == 0
    bob.page.evaluate(RESET)
    bob.button("Room 0250").click()
    expect(bob.box("Room 0250")).to_be_focused()
    bob.pane("Room 0250").get_by_role("button", name="Close").click()
    expect(bob.pane("Room 0250")).to_have_count(0)
    assert bob.page.evaluate(COUNTS)["moved"] == 0
    order = "() => [...document.querySelectorAll('room-list nav button .title')].map((e) => e.textContent)"
    titles = [title for title in bob.page.evaluate(order) if title.startswith("Room")]
    assert titles == sorted(titles)
