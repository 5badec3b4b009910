"""Web Push in Chromium: turned on in the page, sent to a push service on loopback, shown by the real service worker.

Only the way between the browser and its push service is replaced, because a test has no push service on the internet.
"""

import contextlib
import json
import os
import re
import sqlite3
import time

import pytest
from playwright.sync_api import expect

from chat.web_push import encode
from tests import push_service
from tests.browser.conftest import Site
from tests.browser.engines import program
from tests.browser.test_notifications import strip, wait_for
from tests.push_service import PushService
from tests.servers import beside

# The site of these tests sends at once, and counts a user who closes the page as away at once.
QUICK = {"PUSH_SECONDS": 0, "PUSH_LOOK_SECONDS": 0.1, "GRACE_SECONDS": 0.1}
# A browser's subscription has these members. What it knows over a reload is kept by the test.
SUBSCRIBE = """
{
  const base64url = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)).buffer;
  const subscription = ({ endpoint, keys, siteKey }) => Object.create(PushSubscription.prototype, {
    endpoint: { value: endpoint },
    expirationTime: { value: null },
    options: { value: { userVisibleOnly: true, applicationServerKey: bytes(siteKey) } },
    getKey: { value: (name) => bytes(keys[name]) },
    toJSON: { value: () => ({ endpoint, expirationTime: null, keys }) },
    unsubscribe: { value: async () => (await askPushService("unsubscribe"), true) },
  });
  PushManager.prototype.subscribe = async function ({ userVisibleOnly, applicationServerKey }) {
    if (!userVisibleOnly || Notification.permission !== "granted") throw new DOMException("", "NotAllowedError");
    return subscription(await askPushService("subscribe", base64url(applicationServerKey)));
  };
  PushManager.prototype.getSubscription = async function () {
    const known = await askPushService("get");
    return known && subscription(known);
  };
}
"""
# The one notification that the service worker shows, as soon as it does.
SHOWN = """async () => {
  for (;;) {
    const [shown] = await registration.getNotifications();
    if (shown) return [shown.title, shown.body, shown.tag];
    await new Promise((done) => { setTimeout(done, 20); });
  }
}"""
# Only a user's click gives the worker the right to open or focus a window, so this notes what it would do.
CLICK = """async () => {
  const acts = [];
  clients.openWindow = async (address) => { acts.push(address); };
  WindowClient.prototype.focus = async () => { acts.push("focus"); };
  const [notification] = await registration.getNotifications();
  let done;
  const click = new NotificationEvent("notificationclick", { notification });
  click.waitUntil = (acting) => { done = acting; };
  dispatchEvent(click);
  await done;
  return (await registration.getNotifications()).length ? "it is still shown" : acts;
}"""


class Device(push_service.Browser):
    """A browser context with notifications allowed, and a subscription at the faked push service."""

    def __init__(self, service, name, context):
        super().__init__(service, name)
        self.context = context
        context.grant_permissions(["notifications"])
        context.expose_function("askPushService", self.answer)
        context.add_init_script(SUBSCRIBE)

    def answer(self, act, site_key=None):
        keys = self.service.site_keys
        if act == "subscribe":
            keys[self.name] = site_key
        elif act == "unsubscribe":
            del keys[self.name]
        return self.subscription() | {"siteKey": keys[self.name]} if self.name in keys else None

    def deliver(self, page, site, payload):
        """Hand the text of a message to the service worker, as the browser's own connection to its service does."""
        devtools = self.context.new_cdp_session(page)
        found = []
        devtools.on("ServiceWorker.workerRegistrationUpdated", lambda event: found.extend(event["registrations"]))
        devtools.send("ServiceWorker.enable")
        wait_for(lambda: found, page)
        message = {"origin": site.url, "registrationId": found[0]["registrationId"], "data": json.dumps(payload)}
        devtools.send("ServiceWorker.deliverPushMessage", message)
        devtools.detach()


@pytest.fixture(scope="module")
def browser(browser_type, browser_type_launch_args):
    """Chromium with its desktop's parts, because its headless shell never shows a notification."""
    path = program("chromium", "chromium", "chromium-browser", "google-chrome")
    args = [*browser_type_launch_args["args"], "--headless=new"]
    env = os.environ | {"CHROMIUM": path}
    browser = browser_type.launch(**browser_type_launch_args | {"env": env, "args": args})
    yield browser
    browser.close()


@pytest.fixture
def service():
    service = PushService()
    yield service
    service.stop()


@pytest.fixture
def site(tmp_path, collected):
    site = Site(tmp_path, static=collected)
    site.environment |= {
        "DJANGO_SETTINGS_MODULE": "tests.servers.settings",
        "TEST_SETTINGS": json.dumps(QUICK),
        "OUTGOING_LOOPBACK": "on",
    }
    site.start()
    yield site
    site.end()


def choose(page, role, name, is_change):
    """Choose an item of the button's menu, and wait until the server has what the page then sends."""

    def is_it(request):
        # A page that was just opened sends what the user wanted until now.
        return request.method == "POST" and "/push/" in request.url and is_change(request.post_data_json)

    page.get_by_role("button", name="Notifications", exact=True).click()
    with page.expect_request(is_it) as asked:
        page.get_by_role(role, name=name).click()
    assert asked.value.response().status == 200


def leave(visitor, site):
    """Close the page of bob, and wait until the server counts him as away."""
    here = "SELECT count(*) FROM chat_presence JOIN auth_user ON auth_user.id = user_id WHERE username = 'bob'"
    visitor.goto("/healthz")
    wait_for(lambda: ask(site, here) == 0, visitor.page)


def ask(site, statement):
    """Return the number that a statement counts in the site's database."""
    with contextlib.closing(sqlite3.connect(site.database, timeout=10)) as database:
        return database.execute(statement).fetchone()[0]


def say(site, title, text):
    """Post as alice, beside the server."""
    done = beside.manage(site.environment, "say", title, text, "--user", "alice")
    assert done.returncode == 0, done.stderr


def panes(page):
    return page.evaluate("[...document.querySelectorAll('room-pane h2')].map((title) => title.textContent)")


def test_a_message_reaches_a_user_who_is_away_and_a_click_leads_to_it(visit, site, service):
    bob = visit("bob", "/healthz", keep=False)
    device = Device(service, "bob", bob.page.context)
    ids = {title: str(room) for room, title, *_ in site.rooms}
    bob.goto("/?rooms=")
    bob.open("Lobby")
    button = bob.page.get_by_role("button", name="Notifications", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-description", "On")
    wanted = device.subscription() | {"shows_text": False, "paused_until": 0}
    choose(bob.page, "menuitemcheckbox", "Also while Multichat is closed", lambda asked: asked == wanted)
    [worker] = bob.page.context.service_workers
    leave(bob, site)
    say(site, "Random", "the secret plan")
    # The service has checked that the site signed it for this service, with the key that the page subscribed with.
    service.wait_for("bob", 1)
    assert device.messages() == [{"room": ids["Random"], "seq": 1}]
    device.deliver(bob.page, site, device.messages()[0])
    shown = worker.evaluate(SHOWN)
    assert shown == ["Multichat", "You have new messages.", f"room-{ids['Random']}"]
    # No page is open, so a click opens one that shows the message beside the user's panes.
    [address] = worker.evaluate(CLICK)
    # The browser is subscribed for an earlier key of the site, so the page subscribes it anew.
    site_key, service.site_keys["bob"] = service.site_keys["bob"], encode(bytes(65))
    bob.goto(address)
    wait_for(lambda: service.site_keys.get("bob") == site_key, bob.page)
    expect(bob.texts("Random")).to_have_text(["the secret plan"])
    assert panes(bob.page) == ["Lobby", "Random"]
    # The user wants to see the text. A pause is known to the server too.
    choose(bob.page, "menuitemcheckbox", "Show the text there", lambda asked: asked["shows_text"])
    choose(bob.page, "menuitem", "Pause until tomorrow", lambda asked: asked["paused_until"] > time.time())
    choose(bob.page, "menuitem", "Resume", lambda asked: asked == wanted | {"shows_text": True})
    leave(bob, site)
    say(site, "Third", "<b>dinner</b> at eight")
    service.wait_for("bob", 2)
    shown = {"title": "Third", "author": "alice", "text": "<b>dinner</b> at eight", "alert": False}
    assert device.messages()[1] == {"room": ids["Third"], "seq": 1} | shown
    device.deliver(bob.page, site, device.messages()[1])
    title, body, tag = worker.evaluate(SHOWN)
    assert (strip(title), strip(body), tag) == ("Third", "alice: <b>dinner</b> at eight", f"room-{ids['Third']}")
    # A page is open by now: the click goes to the message there, beside the pane that it has.
    bob.goto("/chat/Random/")
    expect(bob.texts("Random")).to_have_text(["the secret plan"])
    expect(button).to_have_attribute("aria-description", "On")
    assert worker.evaluate(CLICK) == ["focus"]
    expect(bob.texts("Third")).to_have_text(["<b>dinner</b> at eight"])
    assert panes(bob.page) == ["Random", "Third"]
    # The page is still loading what handles the click, and does not know the room yet.
    device.deliver(bob.page, site, device.messages()[0])
    worker.evaluate(SHOWN)
    held = []
    bob.page.route(re.compile("lazy/notifications"), lambda route: held.append(route), times=1)
    bob.goto("/chat/Lobby/")
    wait_for(lambda: held, bob.page)
    assert worker.evaluate(CLICK) == ["focus"]
    assert panes(bob.page) == ["Lobby"]
    held.pop().continue_()
    expect(bob.texts("Random")).to_have_text(["the secret plan"])
    assert panes(bob.page) == ["Lobby", "Random"]
    # Turning it off ends the subscription at the server and in the browser.
    choose(bob.page, "menuitem", "Turn off", lambda asked: asked == {"endpoint": device.endpoint})
    wait_for(lambda: "bob" not in service.site_keys, bob.page)
    assert ask(site, "SELECT count(*) FROM chat_pushsubscription") == 0
