"""Scripts in messages and names, pages of other origins, and rights that an admin takes away."""

import http.server
import json
import re
import threading
import time
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD
from tests.browser.payloads import PAYLOADS
from tests.servers.quantities import IS_FULL

# Would end the script, and the attribute, in which a template has it. Another payload takes two pages of its own, so
# only script/soak tries them.
BREAKING = """</script><script>hit()</script>" autofocus onfocus="hit()" x=\""""
MANY = f"""
from django.contrib.auth.models import User
from chat.models import Room
from chat.store.actions import Draft, commit
from chat.store.log import Kind
def post(room, messages):
    drafts = [Draft(room=room.pk, author=author.pk, kind=Kind.POSTED, body=body) for body, author in messages]
    for start in range(0, len(drafts), 100):
        commit(drafts[start : start + 100])
def linked(text):
    links = f"[x]({{text}}) [{{text}}](https://a.example) https://a.example/{{text}} `{{text}}`"
    return f"{{links}}\\n```{{text}}\\n{{text}}\\n```"
payloads = {PAYLOADS!r}
bob = User.objects.get(username="bob")
post(Room.objects.create(title="Links"), [(linked(text), bob) for text in payloads])
others = User.objects.bulk_create([User(username=text[:150]) for text in payloads[::3]])
messages = [(text, bob) for text in payloads] + [("as another", other) for other in others]
post(Room.objects.create(title="Payloads"), messages)
titles = [{BREAKING!r}] + [f"{{number}} {{text}}" for number, text in enumerate(payloads)]
Room.objects.bulk_create([Room(title=title) for title in titles])
print(*Room.objects.filter(title__in=["Payloads", "Links"]).order_by("-pk").values_list("pk", flat=True), sep=",")
"""
# Reports each script that runs, and each violation of the content security policy.
WATCH = """
window.hit = () => console.error('HIT');
document.addEventListener('securitypolicyviolation',
  (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`));
"""

# Where a payload takes many keys, script/soak tries each fifth one, and script/test fewer.
EVERY = 5 if IS_FULL else 18

# Elements in texts that the page never makes, attributes that would run or style something, and other addresses.
ODD = """[...document.querySelectorAll('message-list [data-part=text] *')].filter((element) =>
  !element.matches('a, code, strong, em, del, mark, small, p, pre, ul, ol, li, blockquote, .fence, button')
  || [...element.attributes].some(({name}) => /^on|^style$/.test(name))
  || (element.matches('a') && !/^(https?|mailto):$/.test(element.protocol))).map((element) => element.localName)"""

MADE = "document.querySelectorAll('main script, main img, main iframe, [onerror], [onload]').length"


@pytest.fixture
def watched(browser, visit):
    """Open an address for a user, with each success of a payload recorded as a problem."""

    def look(name, path):
        visitor = visit(name, "/healthz")
        visitor.page.add_init_script(WATCH)
        own = visitor.site.url
        visitor.page.on(
            "request",
            lambda request: request.url.startswith((own, "data:")) or visitor.problems.append(f"asked {request.url}"),
        )
        visitor.goto(path)
        return visitor

    return look


def test_no_payload_runs_as_message_name_title_or_address(watched, site):
    assert len(PAYLOADS) >= 100
    rooms = site.shell(MANY).split()[-1]
    alice = watched("alice", f"/?rooms={rooms}")
    log = alice.log("Payloads")
    expect(log.get_by_text("as another", exact=True).last).to_be_visible()
    count = len(PAYLOADS) + len(PAYLOADS[::3])
    while alice.texts("Payloads").count() < count:
        log.evaluate("(log) => { log.scrollTop = 0; }")
        alice.page.wait_for_timeout(50)
    shown = alice.texts("Payloads").evaluate_all("(all) => all.map((element) => element.textContent)")
    assert shown[: len(PAYLOADS)] == PAYLOADS, "each is shown as it was written"
    titles = alice.page.get_by_role("navigation", name="Rooms").evaluate("(nav) => nav.textContent")
    assert all(f"{number} {text}" in titles for number, text in enumerate(PAYLOADS))
    # The same in links and in code, which are elements.
    expect(alice.log("Links").locator("pre").last).to_be_visible()
    while alice.texts("Links").count() < len(PAYLOADS):
        alice.log("Links").evaluate("(log) => { log.scrollTop = 0; }")
        alice.page.wait_for_timeout(50)
    assert alice.page.evaluate(ODD) == []
    assert alice.page.evaluate(MADE) == 0
    assert alice.log("Links").locator("a").count() > 1.5 * len(PAYLOADS)
    assert alice.log("Links").locator("pre").count() > 0.9 * len(PAYLOADS)
    # Open rooms by their titles, and missing rooms by the address and by the box.
    few = [(f"{number} {PAYLOADS[number]}", PAYLOADS[number]) for number in range(0, len(PAYLOADS), 2 * EVERY)]
    for title, text in [(BREAKING, f"no {BREAKING}"), *(few if IS_FULL else [])]:
        alice.goto(f"/chat/{quote(title, safe='')}/")
        expect(alice.page.get_by_role("region")).to_have_count(1)
        alice.goto(f"/chat/{quote(text, safe='')}/?next={quote(text, safe='')}&rooms={quote(text, safe='')}")
        expect(alice.page.get_by_role("alert").first).to_contain_text("no room called")
    box = alice.page.get_by_role("combobox", name="Find or jump")
    for text in PAYLOADS[:: EVERY if IS_FULL else 2 * EVERY]:
        box.fill(f"{text} nowhere")
        box.press("Enter")
        expect(alice.page.locator("#not-found")).to_contain_text("no room called")
    # No payload became an element, and none runs under the pointer.
    assert alice.page.evaluate(MADE) == 0
    alice.page.mouse.move(300, 300)


def test_no_payload_runs_in_frames_of_the_server(watched, site):
    """Error details, titles, names and reasons are text, even in frames that only a broken server would send."""
    bob = watched("bob", "/healthz")

    def forge(route):
        server = route.connect_to_server()
        server.on_message(lambda text: route.send(text))
        route.on_message(lambda text: (server.send(text), say(route, text)))

    def say(route, text):
        if json.loads(text)["command"] != "join":
            return
        for number, payload in enumerate(PAYLOADS):
            room = str(9000 + number)
            frames = [
                {"error": payload, "detail": payload},
                {"error": "COMMAND_INVALID", "detail": payload, "command": payload},
                {"leave": "9000", "reason": payload},
            ]
            if number % 7 == 0:
                event = {"room": room, "username": payload, "message": payload, "msg_type": 2, "seq": 1, "at": payload}
                frames += [
                    {"join": room, "title": payload, "head": 0, "floor": 1, "epoch": payload},
                    {"room": room, "present": [payload]},
                    {"room": room, "username": payload, "message": None, "msg_type": 4},
                    event,
                    {"error": "RATE_LIMITED", "room": room, "detail": payload, "retry_after": 5},
                ]
            for frame in frames:
                route.send(json.dumps(frame))

    bob.page.route_web_socket(re.compile("/chat/stream/"), forge)
    bob.goto("/chat/Lobby/")
    for payload in (PAYLOADS[0], PAYLOADS[-1]):
        expect(bob.page.get_by_text(payload).first).to_be_visible(timeout=20_000)
    # The page may fail on an invalid date, but it may not run it.
    bob.problems[:] = [
        problem for problem in bob.problems if "HIT" in problem or "CSP" in problem or "asked" in problem
    ]


def test_no_payload_runs_as_an_emoji_or_in_the_other_frames_of_the_server(watched, site):
    """Reactions, quotes, names, who is typing: what only a broken server would send is shown as text."""
    few = PAYLOADS[::EVERY]
    site.shell(
        "from django.contrib.auth.models import User; from chat.models import Room\n"
        "Room.objects.get(title='Lobby').send_message('hello @bob', User.objects.get(username='alice'))"
    )
    bob = watched("bob", "/healthz")

    def forge(route):
        server = route.connect_to_server()
        server.on_message(lambda text: pass_on(route, json.loads(text)))
        route.on_message(server.send)

    def pass_on(route, frame):
        is_page = "history" in frame and frame["events"]
        if is_page:
            people = [{"username": payload, "user": 9000 + number} for number, payload in enumerate(few)]
            given = [{"emoji": payload, "count": 3, "users": people[:10]} for payload in few]
            frame["events"] = [event | {"reactions": given} for event in frame["events"]]
        route.send(json.dumps(frame))
        if not is_page:
            return
        room, at = frame["history"], frame["events"][0]["at"]
        posted = {"room": room, "msg_type": 0, "at": at, "user": 9000}
        for number, payload in enumerate(few):
            messages = [posted | {"seq": 1, "username": payload, "message": payload}]
            who = {"username": payload, "user": 9000 + number}
            frames = [
                {"room": room, "seq": 2 + number, "at": at, "reacted": 1, "emoji": f"live {payload}", "on": True} | who,
                {"quote": room, "events": messages, "as_of": 1},
                {"mentioned": messages},
                {"users": {"bob": {"user": 9000, "name": payload, "picture": payload}, payload: {"name": payload}}},
                {"copies": payload, "messages": [{"room": room, "seq": 1, "title": payload}]},
                {"people": room, "prefix": "", "names": few, "all": True},
                {"room": room, "typing": payload},
            ]
            for forged in frames:
                route.send(json.dumps(forged))

    bob.page.route_web_socket(re.compile("/chat/stream/"), forge)
    user = bob.site.shell("from django.contrib.auth.models import User; print(User.objects.get(username='bob').pk)")
    stored = [f"multichat.preference.{user.split()[-1]}.recentEmoji", json.dumps(few)]
    bob.page.evaluate("([key, value]) => localStorage.setItem(key, value)", stored)
    bob.goto("/chat/Lobby/")
    reactions = bob.log("Lobby").locator("button.reaction")
    for shown in (few[0], few[-1], f"live {few[0]}", f"live {few[-1]}"):
        expect(reactions.filter(has_text=shown).first).to_be_visible()
    expect(bob.pane("Lobby").get_by_role("status").filter(has_text="writing")).to_contain_text(few[0])
    # The quick reactions and the picker begin with the emoji chosen last.
    bob.texts("Lobby").first.hover()
    bob.log("Lobby").get_by_role("button", name="Add reaction").first.click()
    expect(bob.page.get_by_role("dialog", name="Choose an emoji").get_by_role("searchbox")).to_be_focused(
        timeout=15_000
    )
    for payload in few[:4]:
        bob.page.keyboard.insert_text(payload)
    bob.page.keyboard.press("Escape")
    box = bob.box("Lobby")
    for payload in few:
        for sign in ":@#":
            box.fill("")
            box.press_sequentially(sign)
            bob.page.keyboard.insert_text(payload)
    made = "document.querySelectorAll('main script, main img, main iframe, main svg svg, [onerror], [onload]').length"
    assert bob.page.evaluate(made) == 0
    assert bob.page.evaluate(ODD) == []
    ours = ("HIT", "CSP", "asked")
    bob.problems[:] = [problem for problem in bob.problems if any(sign in problem for sign in ours)]


EVIL = """<!doctype html><title>Evil</title><script>
const target = %r;
const done = {};
const socket = new WebSocket(target.replace("http", "ws") + "/chat/stream/");
socket.onopen = () => { done.socket = "open"; };
socket.onclose = () => { done.socket ??= "refused"; };
const posts = [
  ["/accounts/logout/", {}],
  ["/accounts/login/", {username: "alice", password: "x"}],
  ["/admin/chat/room/add/", {title: "Made by evil"}],
  ["/admin/auth/user/add/", {username: "evil", password1: "xyzxyzxyz1", password2: "xyzxyzxyz1"}],
];
// The posts are sent, although the page may not see the answers.
Promise.allSettled(posts.map(([path, form]) =>
  fetch(target + path, {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams(form)})
)).then(() => { done.posts = "sent"; });
fetch(target + "/", {credentials: "include"})
  .then((answer) => answer.text(), () => "blocked")
  .then((text) => { done.read = text; });
</script><iframe src=%r></iframe>
<form method=post action=%r id=form><input name=csrfmiddlewaretoken value=guessed></form>"""


@pytest.fixture
def evil(site):
    """A site on the same host and another port, so that the browser sends the user's cookies."""
    page = EVIL % (site.url, site.url + "/", site.url + "/accounts/logout/")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *unused):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_page_of_another_origin_opens_no_socket_and_posts_no_form(visit, site, evil):
    alice = visit("alice", "/healthz")
    page = alice.page.context.new_page()
    page.goto(evil)
    page.wait_for_function("done.socket && done.posts && done.read")
    done = page.evaluate("done")
    assert (done["socket"], done["posts"], done["read"]) == ("refused", "sent", "blocked")
    # The page does not see the answers to its posts. The effects are checked below, and the log names the page.
    assert f"CSRF_TRUSTED_ORIGINS={evil.rstrip('/')}." in site.log.read_text()
    assert page.frames[1].url.startswith("chrome-error:"), "our pages are not shown in frames"
    with page.expect_navigation():
        page.evaluate("document.getElementById('form').submit()")
    expect(page.get_by_role("heading")).to_have_text("Log out?")  # the page asks first
    page.close()
    alice.goto("/")
    expect(alice.button("Lobby")).to_be_visible()
    expect(alice.button("Made by evil")).to_have_count(0)
    made = "from django.contrib.auth.models import User; print(User.objects.filter(username='evil').count())"
    assert site.shell(made).strip() == "0"
    assert "handshake_refused" in site.log.read_text()


GUEST = """
from django.contrib.auth.models import User
from chat.models import Room
user = User.objects.create_user({name!r}, password={password!r})
room = Room.objects.create(title={title!r})
print(user.pk, room.pk)
"""
# A user loses one right after another.
FURTHER = [("room deleted", "user deleted"), ("signed out elsewhere",)]


def take_away(admin, guest, cause, user, room):
    """Take a right away in the admin's forms, or sign out as the guest, which only the guest can do.

    Returns the element that shows that it is done.
    """
    if cause == "signed out elsewhere":
        tab = guest.page.context.new_page()
        tab.goto(guest.site.url)
        tab.get_by_role("button", name="Log out").click(no_wait_after=True)
        return tab.get_by_label("Username")
    if cause == "made staff-only":
        admin.goto(f"/admin/chat/room/{room}/change/")
        admin.page.locator("#id_staff_only").check()
    elif cause == "room deleted":
        admin.goto(f"/admin/chat/room/{room}/delete/")
    elif cause == "deactivated":
        admin.goto(f"/admin/auth/user/{user}/change/")
        admin.page.locator("#id_is_active").uncheck()
    elif cause == "password changed":
        admin.goto(f"/admin/auth/user/{user}/password/")
        for field in ("#id_password1", "#id_password2"):
            admin.page.locator(field).fill("four other words entirely")
        guest.site.states.pop("alice")  # Django gives the session of an admin who changes a password another key
    elif cause == "user deleted":
        admin.goto(f"/admin/auth/user/{user}/delete/")
    name = {"room deleted": "Yes, I’m sure", "user deleted": "Yes, I’m sure", "password changed": "Change password"}
    admin.page.get_by_role("button", name=name.get(cause, "Save"), exact=True).click(no_wait_after=True)
    return admin.page.locator(".messagelist .success")


@pytest.mark.parametrize("number", [0, pytest.param(1, marks=pytest.mark.full_size)])
@pytest.mark.parametrize(
    "causes",
    [
        ("made staff-only", "deactivated"),
        ("password changed",),
        *(pytest.param(causes, marks=pytest.mark.full_size) for causes in FURTHER),
    ],
    ids=" and ".join,
)
def test_a_page_closes_its_pane_when_its_user_loses_access(visit, site, causes, number):
    name = f"guest {causes[-1]} {number}".replace(" ", "-")
    title = f"{name}'s room"
    made = site.shell(GUEST.format(name=name, title=title, password=PASSWORD))
    user, room = re.search(r"^(\d+) (\d+)$", made, re.MULTILINE).groups()
    admin, guest = visit("alice", "/healthz"), visit(name, f"/?rooms={room}")
    expect(guest.box(title)).to_be_visible()
    guest.box(title).fill("half a sentence")
    for cause in causes:
        done = take_away(admin, guest, cause, user, room)
        start = time.monotonic()
        if cause in ("made staff-only", "room deleted"):
            expect(guest.pane(title)).to_have_count(0)
            words = "no longer exists" if cause == "room deleted" else "don't have access"
            expect(guest.page.get_by_text(re.compile(f"was closed.*{words}"))).to_be_visible()
            expect(guest.page.get_by_text("half a sentence")).to_be_visible()
        else:
            guest.expect_state("Signed out")
            expect(guest.page.get_by_role("link", name="Sign in again").first).to_be_visible()
        assert time.monotonic() - start < 3  # includes the admin's answer, and two pages that are painted
        expect(done).to_be_visible()
