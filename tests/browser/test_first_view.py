"""The first view of the page comes soon, and nothing in it moves afterwards."""

from playwright.sync_api import expect

from tests.browser.test_delivery import post
from tests.servers.quantities import IS_FULL

# Records when the first message is painted, and every layout shift that no key or click has caused.
NOTES = """
window.shifts = [];
window.firstMessage = null;
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    if (!shift.hadRecentInput) {
      const moved = shift.sources.map(({node}) => node?.className || node?.parentElement?.outerHTML.slice(0, 160));
      window.shifts.push([shift.value, moved]);
    }
  }
}).observe({type: 'layout-shift', buffered: true});
new MutationObserver(() => {
  if (window.firstMessage === null && document.querySelector('room-pane .message [data-part=text]')?.textContent) {
    window.firstMessage = 0;
    requestAnimationFrame(() => setTimeout(() => { window.firstMessage = performance.now(); }));
  }
}).observe(document, {subtree: true, childList: true, characterData: true});
"""


def test_the_first_message_is_shown_soon_and_nothing_shifts(visit, site):
    post(site, ("Lobby", 1, 80), ("Random", 1, 3), ("Third", 1, 30))
    ids = {title: room for room, title, *_ in site.rooms}
    path = "/?rooms=" + ",".join(str(ids[title]) for title in ("Lobby", "Random", "Third"))
    bob = visit("bob", "/healthz")
    bob.page.add_init_script(NOTES)
    took = []
    for width in (1320, 360, 1320):
        bob.page.set_viewport_size({"width": width, "height": 740})
        bob.goto(path)
        expect(bob.texts("Lobby").last).to_have_text("text 80")
        bob.page.wait_for_function("window.firstMessage")
        bob.page.wait_for_timeout(300)  # late additions would shift the page too
        took.append(bob.page.evaluate("window.firstMessage"))
        shifts = bob.page.evaluate("window.shifts")
        assert sum(value for value, _ in shifts) < 0.01, (width, shifts)
    # The fastest of three, because a load may have waited for another program on this machine. In script/test other
    # lanes share its processors.
    assert min(took) < (1000 if IS_FULL else 4000), took
