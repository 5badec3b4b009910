"""axe-core finds nothing to complain of, on every screen in both themes and at both widths."""

from playwright.sync_api import expect

from tests.browser.conftest import ROOT

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"


def complaints(page):
    page.evaluate(AXE)
    found = page.evaluate(f"axe.run(document, {RULES})")
    return [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]


def complaints_in_all_looks(page):
    found = []
    for width in (1320, 360):
        page.set_viewport_size({"width": width, "height": 740})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            found += [(width, theme, complaint) for complaint in complaints(page)]
    return found


def test_no_complaints(visit, site):
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "bob, room = User.objects.get(username='bob'), Room.objects.get(title='Third')\n"
        "for kind in (0, 1, 2, 3): room.send_message(f'of type {kind}', bob, kind)"
    )
    alice = visit("alice")
    assert complaints_in_all_looks(alice.page) == []
    alice.page.set_viewport_size({"width": 1320, "height": 740})
    alice.open("Lobby", "Staff", "Third")
    alice.say("Third", "hello")
    expect(alice.texts("Third").last).to_have_text("hello")
    alice.say("Third", "x" * 4001)
    alice.page.locator("room-people summary").first.click()
    assert complaints_in_all_looks(alice.page) == []
    alice.page.get_by_role("button", name="All rooms and account").click()
    # Behind the list nothing else is there, the main landmark neither.
    assert [found for found in complaints(alice.page) if found[0] != "landmark-one-main"] == []
    for path in ("/chat/Nowhere/", "/nowhere/"):
        alice.goto(path)
        assert complaints_in_all_looks(alice.page) == []
    alice.page.context.clear_cookies()
    alice.goto("/")
    assert complaints_in_all_looks(alice.page) == []


def test_each_panes_buttons_say_whose_they_are(visit):
    alice = visit("alice")
    alice.open("Lobby", "Third")
    for title in ("Lobby", "Third"):
        for name in ("Close", "More", "Send"):
            button = alice.pane(title).get_by_role("button", name=name, exact=True)
            expect(button).to_have_accessible_description(title)


def test_borders_are_seen(visit):
    """What can be written in has an edge of 3:1, and forced colours have edges too."""
    alice = visit("alice", "/chat/Lobby/")
    for theme in ("light", "dark"):
        alice.page.emulate_media(color_scheme=theme)
        alice.page.get_by_role("textbox", name="Open a room by name").focus()
        assert contrast(alice.page, "room-composer .box") >= 3
        alice.box("Lobby").focus()
        assert contrast(alice.page, ".find input") >= 3
    alice.page.emulate_media(forced_colors="active")
    width = "(e) => getComputedStyle(e).borderTopWidth"
    assert alice.page.locator("room-composer .send").evaluate(width) == "1px"


def contrast(page, selector):
    """Between an element's edge and its ground, as they are painted."""
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
