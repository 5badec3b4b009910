"""Nothing is cut silently at any width, and no control covers another one."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_unread import wait_until
from tests.servers.quantities import IS_FULL

# Returns each text that is cut without a sign, each control at whose centre there is something else, and whether the
# page is wider than its window.
#
# A text may end with an ellipsis if its element or one around it has the whole text as a title or label. It may also
# be continued in what scrolls, or fade out.
FAULTS = """(width) => {
  const found = [];
  if (document.documentElement.scrollWidth > width) found.push('the page is wider than the window');
  const isShown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const isForReaders = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const { clipPath, position } = getComputedStyle(e);
      if (clipPath !== 'none' && position === 'absolute') return true;
    }
    return false;
  };
  const scrolls = (value) => value === 'auto' || value === 'scroll';
  const hides = (value) => value === 'hidden' || value === 'clip';
  // A pinned alert shows all of its text to a click or the focus.
  const named = (element) =>
    element.closest('[title]:not([title=""]), :is(button, a, li)[aria-label], button[aria-description], .pinned');
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode;
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest('script, style, template, option, noscript, .brand')) continue;
    if (!isShown(parent) || isForReaders(parent)) continue;
    range.selectNodeContents(node);
    for (const text of range.getClientRects()) {
      if (text.width === 0) continue;
      let hasEllipsis = false;
      for (let e = parent; e; e = e.parentElement) {
        const style = getComputedStyle(e);
        if (style.display === 'inline' || style.display === 'contents') continue;
        const box = e.getBoundingClientRect();
        // A space at the end of a line that is broken there hangs out of the box.
        const spare = style.whiteSpace === 'pre-wrap' ? parseFloat(style.fontSize) / 2 : 1.5;
        const beyondX = text.right > box.right + spare || text.left < box.left - spare;
        const beyondY = text.bottom > box.bottom + 3 || text.top < box.top - 3;
        hasEllipsis ||= style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none';
        if ((beyondX && scrolls(style.overflowX)) || (beyondY && scrolls(style.overflowY))) break;
        const isCut = (beyondX && hides(style.overflowX)) || (beyondY && hides(style.overflowY));
        const isOut = beyondX && e.matches('button, a, select, .chip, li, h2, summary');
        if (isCut ? !(hasEllipsis && named(parent)) : isOut && !hasEllipsis) {
          found.push(`cut in ${e.tagName}.${e.className}: ${node.data.trim().slice(0, 60)}`);
          break;
        }
        if (isCut || style.position === 'fixed') break;
      }
    }
  }
  const controls = 'button, a[href], select, input, textarea, [role=separator]';
  for (const control of document.querySelectorAll(controls)) {
    if (!isShown(control) || isForReaders(control) || control.closest('.bar')) continue;
    const box = control.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
    let isIn = true;
    for (let e = control.parentElement; e; e = e.parentElement) {
      const clip = e.getBoundingClientRect();
      const { overflowX, overflowY } = getComputedStyle(e);
      if (overflowX !== 'visible' && (x < clip.left + 2 || x > clip.right - 2)) isIn = false;
      if (overflowY !== 'visible' && (y < clip.top + 2 || y > clip.bottom - 2)) isIn = false;
    }
    const at = document.elementFromPoint(x, y);
    if (!isIn || !at || control.contains(at) || at.contains(control)) continue;
    // What floats over a log may cover a link in it: the log scrolls.
    if (at.closest('.above, .below, .day, .moment')) continue;
    const name = control.ariaLabel ?? control.textContent.trim();
    found.push(`${control.tagName}.${control.className} ${name} is below ${at.tagName}.${at.className}`);
  }
  return [...new Set(found)];
}"""
LONG = ["Wartung der Datenbank im Rechenzentrum Frankfurt", "Unterbrechungsfreiestromversorgungsanlage", "Ops", "K"]
SEED = """
from django.contrib.auth.models import User
from chat.models import Room
bob = User.objects.get(username="bob")
for title in {titles!r}:
    room = Room.objects.create(title=title)
    for number in range(3):
        room.send_message(f"text {{number}} https://example.org/a/rather/long/address/{{number}}?of=a&page=of#it", bob)
    room.send_message("Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen @alice @charlie", bob)
for title in ("Here", "There", {titles!r}[1]):
    room = Room.objects.get(title=title)
    room.send_message("Bitte nichts ausrollen, bis die Datenbank wieder genug Platz hat", bob, 2)
    room.send_message("Wartungsarbeiten um 18 Uhr", bob, 1)
staff = Room.objects.get(title="Staff")
staff.topic = "Only for us: what nobody else is to read"
staff.save()
print(",".join(str(Room.objects.get(title=title).pk) for title in [*{titles!r}, "Here", "Lobby", "Random", "Staff"]))
"""
SIZES = (
    *((320, 860), (320, 480), (360, 740), (480, 430), (700, 860), (701, 860), (701, 430), (760, 430), (899, 860)),
    *((901, 860), (901, 430), (1024, 768), (1280, 430), (1440, 860), (1920, 1080)),
)
# By the number of panes: each size is in one of the last two, and both sides of each breakpoint are in the last.
SIZES_OF = {1: SIZES[1::5], 3: SIZES[1::2], 8: SIZES[::2]} if not IS_FULL else dict.fromkeys((1, 3, 8), SIZES)
# What is shown beside panes for a while has few parts of its own.
FEW = SIZES[::3] if IS_FULL else SIZES[::5]
SIZES_OF_TYPE = """() => {
  const shown = [...document.querySelectorAll('body *')].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return [...new Set(shown.map((element) => getComputedStyle(element).fontSize))].sort();
}"""
END_MOTION = """() => {
  for (const animation of document.getAnimations())
    if (Number.isFinite(animation.effect.getComputedTiming().endTime)) animation.finish();
}"""


@pytest.mark.timeout(120)
def test_nothing_is_cut_silently_and_no_control_covers_another_one_at_any_width(visit, site):
    rooms = site.shell(SEED.format(titles=LONG)).strip().split(",")
    # German has the longer words, and staff have the most controls.
    alice = visit("alice", f"/?rooms={rooms[0]}", locale="de-DE")
    page = alice.page
    found = []

    def look(state, sizes):
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate(END_MOTION)
            found.extend((state, width, height, fault) for fault in page.evaluate(FAULTS, width))

    expect(page.get_by_role("status").first).to_contain_text("Verbunden")
    # What came before the first visit would count as read.
    visits = "from chat.models import Visit; print(Visit.objects.filter(user__username='alice').exists())"
    wait_until(lambda: site.shell(visits).strip() == "True", alice)
    # What is unread stays so, because the window has no focus.
    page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    site.shell(
        "from chat.models import Room\n"
        "for _ in range(12): Room.objects.get(title='Third').send_message('@alice neu', None)"
    )
    catch_up = page.get_by_role("button", name="Aufholen")
    expect(catch_up).to_contain_text("12, @12")
    look("one pane", SIZES_OF[1])
    page.set_viewport_size({"width": 1440, "height": 860})
    catch_up.click()
    expect(page.get_by_role("button", name="Gelesen und weiter")).to_be_visible()
    look("catching up", FEW)
    page.keyboard.press("Escape")
    layouts = {
        # The upper half is as low as it can be, then the lower one.
        3: f"{rooms[1]}-below,{rooms[1]}-h180",
        8: f"{rooms[2]}-strip,{rooms[4]}-below,{rooms[4]}-h20,{rooms[6]}-strip,{rooms[0]}-180",
    }
    for count, shape in layouts.items():
        page.set_viewport_size({"width": 1440, "height": 860})
        alice.goto(f"/?rooms={','.join(rooms[:count])}&shape={shape}")
        expect(page.locator("room-pane")).to_have_count(count)
        expect(page.locator("[data-part=panes].arranged")).to_be_attached()
        expect(page.locator("room-pane .message").first).to_be_attached()
        look(f"{count} panes", SIZES_OF[count])
        if count == 3:
            # Chromium draws no ellipsis in a text area, so a long name of a room fades out at its end.
            box, mask = alice.page.locator("room-pane textarea").first, "(box) => getComputedStyle(box).maskImage"
            assert box.evaluate(mask).startswith("linear-gradient(to left, rgba(0, 0, 0, 0)")
            box.evaluate("(box) => { box.dir = 'rtl'; }")
            assert box.evaluate(mask).startswith("linear-gradient(to right, rgba(0, 0, 0, 0)")
    assert page.locator("time").first.evaluate("(e) => getComputedStyle(e).fontVariantNumeric") == "tabular-nums"
    # Three sizes of type, and one accent, which only the reader's own name has.
    assert page.evaluate(SIZES_OF_TYPE) == ["12px", "13px", "15px"]
    colour = "(e) => getComputedStyle(e).color"
    other, own = (page.locator(f"mark{kind}").first for kind in (".other", ":not(.other)"))
    assert other.evaluate(colour) == page.locator("room-pane").first.evaluate(colour) != own.evaluate(colour)
    # A topic leaves the title its space.
    page.set_viewport_size({"width": 1440, "height": 860})
    title = page.locator("room-pane[aria-label=Staff] h2")
    assert title.evaluate("(e) => e.clientWidth >= 30 && e.scrollWidth <= e.clientWidth + 2")
    pane = page.get_by_role("region", name=LONG[0], exact=True)
    pane.get_by_role("button", name="Auch in anderen Räumen").click()
    expect(pane.get_by_role("combobox").first).to_be_focused()
    for title in (LONG[1], "Staff"):
        page.keyboard.type(title)
        page.keyboard.press("Enter")
        expect(pane.get_by_role("button", name=f"{title} entfernen")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.type("In allen drei Räumen")
    page.keyboard.press("Enter")
    expect(pane.get_by_role("alert").filter(has_text="Enter")).to_be_visible()
    look("in several rooms", FEW)
    assert not found, "\n".join(map(str, found))
