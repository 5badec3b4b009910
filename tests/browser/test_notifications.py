"""What a user hears of each room: levels in the menus, and notifications counted over tabs and devices."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_accessibility import violations
from tests.browser.test_delivery import BARE
from tests.browser.test_unread import badge
from tests.servers.quantities import IS_FULL

# Keeps what would be shown. A hidden tab is one whose document says so, because headless tabs are all in front.
STUB = """
window.shown = [];
window.Notification = class {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, options) { Object.assign(this, { title, ...options }); shown.push(this); }
  close() { this.isClosed = true; }
};
window.hideTab = (isHidden) => {
  const get = () => isHidden ? "hidden" : "visible";
  Object.defineProperty(document, "visibilityState", { get, configurable: true });
  document.hasFocus = () => !isHidden;
  document.dispatchEvent(new Event("visibilitychange"));
};
window.isCut = false;
let socket;
window.WebSocket = class extends WebSocket {
  constructor(...options) { super(...options); socket = this; if (isCut) this.close(); }
};
window.cutConnection = () => { isCut = true; socket.close(); };
"""
COLOUR = "(element) => getComputedStyle(element).color"


def shown(*pages):
    """Return the notifications of all pages, as their titles and texts without the marks of direction."""
    code = "() => shown.map(({ title, body, isClosed }) => [title, body, isClosed === true])"
    found = [tuple(entry) for page in pages for entry in page.evaluate(code)]
    return [(strip(title), strip(body), is_closed) for title, body, is_closed in found]


def strip(text):
    return text.replace("\u2068", "").replace("\u2069", "")


def wait_for(condition, page):
    # Rarely, because a condition may ask several pages.
    for _ in range(25):
        if condition():
            return
        page.evaluate("new Promise((done) => { setTimeout(done, 200); })")
    assert condition()


def send(visitor, title, text):
    [room] = [str(pk) for pk, shown_title, *_ in visitor.site.rooms if shown_title == title]
    visitor.page.evaluate(SEND, [room, text])


def choose(visitor, level):
    visitor.page.get_by_role("radio", name=level, exact=True).click()
    expect(visitor.page.get_by_role("radio", name=level, exact=True)).to_be_checked()


def test_a_level_decides_what_counts_on_all_devices(visit, site):
    bob, phone = visit("bob"), visit("bob", site.address("Third"))
    for device in (bob, phone):
        device.until_counted()
    # From the menu of a row, by key: the arrows move and choose nothing.
    bob.button("Lobby").click(button="right")
    expect(bob.page.get_by_role("menuitem", name="Open")).to_be_focused()
    bob.page.keyboard.press("ArrowUp")
    quiet = bob.page.get_by_role("radio", name="Quiet", exact=True)
    expect(quiet).to_be_focused()
    expect(bob.page.get_by_role("radio", name="All", exact=True)).to_be_checked()
    if IS_FULL:  # test_accessibility.py judges the same menu
        assert violations(bob.page) == []
    bob.page.keyboard.press("Enter")
    expect(quiet).to_be_checked()
    bob.page.keyboard.press("Escape")
    for text in ("hello", "@bob are you there?"):
        site.manage("say", "Lobby", text, "--user", "alice")
    # A dot without a number, there and here, and nothing in the title.
    for device in (bob, phone):
        expect(badge(device, "Lobby")).to_be_visible()
        expect(badge(device, "Lobby")).to_have_text("")
        expect(device.button("Lobby")).to_have_attribute("aria-description", "Quiet, Unread")
        expect(device.page).to_have_title("Multichat")
        expect(device.page.get_by_role("button", name="Next unread")).to_be_hidden()
        quiet, other = (device.button(title).locator(".title") for title in ("Lobby", "Here"))
        assert quiet.evaluate(COLOUR) != other.evaluate(COLOUR), "a quiet row is dim"
    site.manage("say", "Random", "counts", "--user", "alice")
    expect(phone.page).to_have_title("(1) Multichat")
    # From the menu of a pane: only what is for the reader counts.
    phone.pane("Third").get_by_role("button", name="More", exact=True).click()
    choose(phone, "Mentions")
    phone.page.keyboard.press("Escape")
    bob.button("Third").click(button="right")
    expect(bob.page.get_by_role("radio", name="Mentions", exact=True)).to_be_checked()
    bob.page.keyboard.press("Escape")
    bob.button("Lobby").click(button="right")
    choose(bob, "Mentions")
    bob.page.keyboard.press("Escape")
    for device in (bob, phone):
        expect(badge(device, "Lobby")).to_have_text("1, @1")
        expect(device.page).to_have_title("(2, @1) Multichat")
    # Alerts always break through.
    bob.button("Random").click(button="right")
    choose(bob, "Quiet")
    bob.page.keyboard.press("Escape")
    site.manage("say", "Random", "disk full", "--type", "alert")
    expect(bob.page).to_have_title("● Alert (1, @1) Multichat")
    expect(bob.button("Random")).to_have_attribute("aria-description", "Alert, Quiet, Unread")


# Sends by a socket of its own, which takes a part of the time that a page with open rooms takes.
SEND = """async ([room, message]) => {
  const open = (done) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat/stream/');
    socket.onopen = () => done(socket);
  };
  window.socket ??= await new Promise(open);
  for (const command of [{command: 'join', room}, {command: 'send', room, message}])
    window.socket.send(JSON.stringify(command));
}"""
FURTHER_TABS = 2 if IS_FULL else 1


def test_a_message_notifies_once_over_tabs_and_devices(visit, site):
    alice = visit("alice", BARE)
    bob, phone = visit("bob", "/healthz", keep=False), visit("bob", "/healthz", viewport={"width": 390, "height": 800})
    tabs = [bob, *(visit("bob", "/healthz", context=bob.page.context) for _ in range(FURTHER_TABS))]
    for visitor in (*tabs, phone):
        visitor.page.add_init_script(STUB)
        visitor.goto(site.address("Lobby", "Random") if visitor is bob else "/?rooms=")
        visitor.until_counted()
    in_browser = [visitor.page for visitor in tabs]
    pages = [*in_browser, phone.page]
    button = bob.page.get_by_role("button", name="Notifications", exact=True)
    expect(button).to_have_attribute("aria-description", "Off")
    button.click()
    # One opt-in for all tabs of the browser, and one for the other device.
    for page in in_browser:
        expect(page.get_by_role("button", name="Notifications", exact=True)).to_have_attribute("aria-description", "On")
    phone.page.get_by_role("button", name="All rooms and account").click()
    phone.page.get_by_role("button", name="Notifications", exact=True).click()
    phone.page.keyboard.press("Escape")
    for page in pages:
        until(page, "document.querySelector('[data-part=state]').dataset.state === 'open'")
        page.evaluate("hideTab(true)")
    send(alice, "Lobby", "hello <b>\u202ebob</b>")
    wait_for(lambda: shown(*pages), bob.page)
    # What another message of another room has caused was decided after all tabs were asked about the first one.
    send(alice, "Third", "a closed room")
    wait_for(lambda: len(shown(*pages)) > 1, bob.page)
    once = [("Lobby", "alice: hello <b>bob</b>", False), ("Third", "alice: a closed room", False)]
    assert sorted(shown(*pages)) == once
    # A message in view notifies no tab, and neither does one that was read elsewhere.
    bob.page.evaluate("hideTab(false)")
    send(alice, "Random", "seen")
    expect(bob.texts("Random")).to_have_text(["seen"])
    # A quiet room is silent but for alerts, and a pause is silent.
    bob.button("Random").click(button="right")
    choose(bob, "Quiet")
    bob.page.keyboard.press("Escape")
    expect(phone.page.locator("nav .quiet")).to_have_count(1)
    bob.page.evaluate("hideTab(true)")
    send(alice, "Random", "nothing for bob")
    site.manage("say", "Random", "disk full", "--type", "alert")
    wait_for(lambda: len(shown(*pages)) > 2, bob.page)
    [alert] = [entry for entry in shown(*pages) if entry[0].startswith("Alert")]
    assert alert[:2] == ("Alert in Random", "disk full")
    assert len(shown(*pages)) == 3
    # A click goes to the message in its pane and moves no other pane.
    [index] = [number for number, page in enumerate(pages) if ("Third", "alice: a closed room", False) in shown(page)]
    visitor = [*tabs, phone][index]
    visitor.page.evaluate("hideTab(false)")
    before = visitor.page.evaluate("[...document.querySelectorAll('room-pane h2')].map((h) => h.textContent)")
    visitor.page.evaluate("shown.find(({ title }) => title.includes('Third')).onclick()")
    expect(visitor.texts("Third")).to_have_text(["a closed room"])
    after = visitor.page.evaluate("[...document.querySelectorAll('room-pane h2')].map((h) => h.textContent)")
    assert after == [*before, "Third"]
    # A pause holds in all tabs.
    phone.page.evaluate("hideTab(false)")
    phone.page.get_by_role("button", name="All rooms and account").click()
    phone.page.get_by_role("button", name="Notifications", exact=True).click()
    phone.page.get_by_role("menuitem", name="Turn off").click()
    button.click()
    if IS_FULL:  # test_accessibility.py judges other items of the same menu
        assert violations(bob.page, context="'[popover]:popover-open'") == []
    bob.page.get_by_role("menuitem", name="Pause until tomorrow").click()
    for page in in_browser:
        expect(page.get_by_role("button", name="Notifications", exact=True)).to_have_attribute(
            "aria-description", re.compile("Paused until")
        )
        page.evaluate("hideTab(true)")
    send(alice, "Lobby", "during the pause")
    button.click()
    bob.page.get_by_role("menuitem", name="Resume").click()
    send(alice, "Lobby", "after it")
    wait_for(lambda: len(shown(*pages)) > 3, bob.page)
    assert [text for _, text, _ in shown(*pages)].count("alice: during the pause") == 0
    # What comes while the pages are not connected is replayed to them, and no news.
    for page in in_browser:
        page.evaluate("cutConnection()")
        until(page, "document.querySelector('[data-part=state]').dataset.state !== 'open'")
    send(alice, "Here", "while the connection was lost")
    # The connected device knows, so the server has counted it. Otherwise the pages would hear of it later, as news.
    [here] = [str(pk) for pk, title, *_ in site.rooms if title == "Here"]
    wait_for(lambda: any(frame.get("heads", {}).get(here, {}).get("unread") for frame in phone.received), bob.page)
    for page in in_browser:
        page.evaluate("isCut = false; dispatchEvent(new Event('online'))")
        until(page, "document.querySelector('[data-part=state]').dataset.state === 'open'")
    expect(bob.button("Here")).to_have_attribute("aria-description", re.compile("1 unread"))
    send(alice, "Third", "all are back")
    wait_for(lambda: len(shown(*pages)) > 4, bob.page)
    assert [title for title, *_ in shown(*pages)].count("Here") == 0
    # After signing out, nothing of a room stays on the screen.
    site.states.pop("bob")
    bob.page.evaluate("document.querySelector('[data-part=sign-out]').requestSubmit()")
    for page in in_browser[1:]:
        until(page, "document.querySelector('[data-part=state]').dataset.state === 'signed out'")
        assert [is_closed for *_, is_closed in shown(page)].count(False) == 0
    expect(bob.page.get_by_role("button", name="Log in")).to_be_visible()


# As the service worker does, after it has focused the page.
CLICKED = "(data) => navigator.serviceWorker.dispatchEvent(new MessageEvent('message', {data}))"
MAKE_ROOMS = """
from django.contrib.auth.models import User
from chat.store import actions, room_actions
alice = User.objects.get(username="alice")
hidden = room_actions.create_room("Hidden plans", who="members", members=[alice.pk])
old = room_actions.create_room("Old plans")
actions.post_message(old, alice, "from before")
room_actions.change_room(old.pk, is_archived=True)
print(hidden.pk, old.pk)
"""


def test_the_page_can_be_installed_and_says_that_the_room_of_a_clicked_push_is_gone_without_a_reload(visit, site):
    # A headless browser has no push service, so it says that it could not subscribe.
    bob = visit("bob", "/healthz", keep=False)
    bob.page.add_init_script(STUB)
    bob.goto("/chat/Lobby/")
    button = bob.page.get_by_role("button", name="Notifications", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-description", "On")
    button.click()
    bob.page.get_by_role("menuitemcheckbox", name="Also while Multichat is closed").click()
    expect(bob.page.get_by_text("This browser could not subscribe to messages")).to_be_visible()
    bob.page.get_by_role("button", name="Dismiss").click()
    registered = """async () => {
      const { scope, active } = await navigator.serviceWorker.ready;
      return [scope, active.scriptURL];
    }"""
    assert bob.page.evaluate(registered) == [f"{bob.site.url}/", f"{bob.site.url}/service_worker.js"]
    manifest = bob.page.evaluate("async () => (await fetch(document.querySelector('link[rel=manifest]').href)).json()")
    assert (manifest["display"], manifest["start_url"], manifest["scope"]) == ("standalone", "/", "/")
    for icon in manifest["icons"]:
        assert bob.page.request.get(bob.site.url + icon["src"]).status == 200
    # A push of a room that the user may not enter, or that is gone, is clicked.
    page = bob.page
    hidden, old = site.shell(MAKE_ROOMS).split()
    page.evaluate("window.isStillHere = true")
    notice = page.get_by_text("The room is no longer available to you.")
    for room in (hidden, "987654"):
        page.evaluate(CLICKED, {"room": room, "seq": 1})
        expect(notice).to_be_visible()
        page.get_by_role("button", name="Dismiss").click()
        expect(notice).to_have_count(0)
    # The list of rooms has no archived room, but its message can be read.
    page.evaluate(CLICKED, {"room": old, "seq": 1})
    expect(bob.texts("Old plans")).to_have_text(["from before"])
    assert page.evaluate("window.isStillHere") and "Hidden plans" not in page.content()
