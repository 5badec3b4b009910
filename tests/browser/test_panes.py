"""Panes side by side: their order, their widths and their drafts. No key ever goes to another room."""

import json
import random
import re
from collections import Counter, defaultdict

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_delivery import post
from tests.browser.test_unread import wait_until
from tests.servers.quantities import TIMEOUT, Q

# Panes come and change with a short motion.
MOTION_ENDS = """() => {
  const motions = document.getAnimations().filter(({effect}) => effect.getTiming().iterations < 10);
  return Promise.allSettled(motions.map(({finished}) => finished)).then(() => null);
}"""

FUZZ_SEED = 20261121


def titles(visitor):
    """Return the titles of the panes from left to right, as they are shown."""
    return visitor.page.evaluate(
        """() => [...document.querySelectorAll('room-pane')]
          .sort((a, b) => a.getBoundingClientRect().left - b.getBoundingClientRect().left)
          .map((pane) => pane.getAttribute('aria-label'))"""
    )


def in_document(visitor):
    return visitor.page.locator("room-pane").evaluate_all("(all) => all.map((e) => e.getAttribute('aria-label'))")


def choose(visitor, title, item):
    visitor.pane(title).get_by_role("button", name="More", exact=True).click()
    visitor.page.get_by_role("menuitem", name=item).click()


def drag(visitor, title, onto):
    head = visitor.pane(title).get_by_role("heading", level=2).bounding_box()
    target = visitor.pane(onto).bounding_box()
    mouse, y = visitor.page.mouse, head["y"] + 8
    mouse.move(head["x"] + 4, y)
    mouse.down()
    steps = 12
    goal = target["x"] + (target["width"] - 8 if target["x"] > head["x"] else 8)
    for step in range(1, steps + 1):
        mouse.move(head["x"] + (goal - head["x"]) * step / steps, y)
    mouse.up()


def test_panes_are_moved_by_key_menu_and_drag_and_the_address_keeps_their_order(visit, site):
    bob = visit("bob", site.address("Lobby", "Random", "Third"), viewport={"width": 1320, "height": 780})
    bob.box("Random").fill("half a sentence")
    bob.page.keyboard.press("Alt+Shift+ArrowLeft")
    assert titles(bob) == in_document(bob) == ["Random", "Lobby", "Third"]
    expect(bob.box("Random")).to_be_focused()
    bob.page.keyboard.press("Alt+Shift+ArrowLeft")  # it is the first one already
    bob.page.keyboard.press("Alt+Shift+ArrowRight")
    bob.page.keyboard.press("Alt+Shift+ArrowRight")
    assert titles(bob) == ["Lobby", "Third", "Random"]
    expect(bob.box("Random")).to_be_focused()
    choose(bob, "Third", re.compile("Move left"))
    assert titles(bob) == ["Third", "Lobby", "Random"]
    drag(bob, "Third", onto="Random")
    assert titles(bob) == in_document(bob) == ["Lobby", "Random", "Third"]
    drag(bob, "Third", onto="Lobby")
    assert titles(bob) == in_document(bob) == ["Third", "Lobby", "Random"]
    choose(bob, "Lobby", "Widen")
    bob.page.evaluate(MOTION_ENDS)
    lobby, third = (bob.pane(title).bounding_box()["width"] for title in ("Lobby", "Third"))
    assert lobby > third + 100
    ids = {command["room"]: None for command in bob.commands("join")}
    assert re.search(r"/\?rooms=(\d+,){2}\d+&wide=(\d+)$", bob.page.url)[2] in ids
    bob.page.reload()
    expect(bob.box("Random")).to_have_value("half a sentence")
    assert titles(bob) == ["Third", "Lobby", "Random"]
    wait_until(lambda: abs(bob.pane("Lobby").bounding_box()["width"] - lobby) <= 1, bob)
    # The list keeps the order of the titles.
    expect(bob.page.locator("nav li.open .title")).to_have_text(["Lobby", "Random", "Third"])
    # A draft outlives its pane, too, and is removed when it is sent.
    bob.pane("Random").get_by_role("button", name="Close").click()
    bob.open("Random")
    expect(bob.box("Random")).to_have_value("half a sentence")
    bob.box("Random").press("Enter")
    expect(bob.texts("Random").last).to_have_text("half a sentence")
    expect(bob.unsent("Random")).to_have_count(0)
    assert not bob.page.evaluate("Object.keys(localStorage).some((key) => /outbox|draft/.test(key))")


def test_only_the_row_of_panes_scrolls_sideways_and_a_swipe_over_a_log_moves_it(visit, site):
    post(site, ("Lobby", 1, 40))
    path = site.address("Lobby", "Random", "Third", "Here", "There")
    alice = visit("alice", path, viewport={"width": 1320, "height": 780})
    alice.open("Staff")
    expect(alice.pane("Staff")).to_be_in_viewport()
    expect(alice.pane("Lobby")).not_to_be_in_viewport()
    assert alice.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert min(pane.bounding_box()["width"] for pane in alice.page.locator("room-pane").all()) >= 280
    expect(alice.pane("Staff").locator(".to")).to_have_text("Staffstaff only")
    expect(alice.pane("Staff").locator(".to")).to_be_visible()
    row = alice.page.locator("[data-part=panes]")
    row.evaluate("(e) => { e.scrollLeft = 0; }")
    expect(alice.log("Lobby")).to_be_in_viewport()
    alice.log("Lobby").hover()
    alice.page.mouse.wheel(200, 0)
    until(alice.page, "document.querySelector('[data-part=panes]').scrollLeft > 150")


# An act of the user between two keys, as the page receives it. None of them answers a key of the test.
SHUFFLE = """(choice) => {
  window.isInert = false;  // it begins with the pointer
  const rooms = [...document.querySelectorAll('nav button[data-room]')];
  const panes = [...document.querySelectorAll('room-pane')];
  const focused = document.activeElement.closest('room-pane');
  const unfocused = panes.filter((pane) => pane !== focused);
  const pane = unfocused[choice % unfocused.length];
  if (choice % 3 === 0 && pane && panes.length > 3) pane.querySelector('[data-part=close]').click();
  else if (choice % 3 === 1)
    rooms.find((e) => e.textContent.startsWith('Fuzz') && !e.parentElement.matches('.open'))?.click();
  else document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {
    key: choice % 2 ? 'ArrowLeft' : 'ArrowRight', altKey: true, shiftKey: true, bubbles: true,
  }));
  const boxes = [...document.querySelectorAll('room-pane textarea')];
  if (boxes.length && choice % 5 === 0) boxes[choice % boxes.length].focus();
}"""
# Records in the page, in the same turn as each key, which room's box has the focus. After the server closed the pane
# that had the focus, no key may reach any element.
WATCH = """() => {
  window.typed = {};
  window.leaked = [];
  window.isInert = false;
  addEventListener('beforeinput', ({target, data}) => {
    const room = target.closest('room-pane')?.room;
    window.typed[room] = (window.typed[room] ?? '') + (data ?? '');
    if (window.isInert) window.leaked.push(`typed in ${room}`);
  }, true);
  for (const kind of ['focusin', 'click'])
    addEventListener(kind, ({target}) => {
      const isNothing = target.dataset?.part === 'panes-and-notices';
      if (window.isInert && !isNothing) window.leaked.push(`${kind} ${target.outerHTML}`);
    }, true);
}"""
KEYS = {
    " ": {"code": "Space", "text": " ", "windowsVirtualKeyCode": 32},
    "Enter": {"code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13},
    "Escape": {"code": "Escape", "windowsVirtualKeyCode": 27},
    "ArrowUp": {"code": "ArrowUp", "windowsVirtualKeyCode": 38},
    "ArrowDown": {"code": "ArrowDown", "windowsVirtualKeyCode": 40},
    "ArrowLeft": {"code": "ArrowLeft", "windowsVirtualKeyCode": 37},
    "ArrowRight": {"code": "ArrowRight", "windowsVirtualKeyCode": 39},
}


@pytest.mark.timeout(TIMEOUT)
def test_each_key_goes_to_the_room_that_had_the_focus(visit, site):
    """Each letter is only in the room whose composer had the focus when it was typed."""
    chance = random.Random(FUZZ_SEED)
    names = [f"Fuzz {letter}" for letter in "abcde"]
    made = (
        f"from chat.models import Room\nprint(*(Room.objects.create(title=title).pk for title in {names!r}), sep=',')"
    )
    first_four = site.shell(made).split()[-1].rpartition(",")[0]
    bob = visit("bob", "/healthz")
    sockets = []
    joining = set()

    def connect(socket):
        server = socket.connect_to_server()
        sockets.append(socket)

        def ask(text):
            command = json.loads(text)
            if command["command"] == "join":
                joining.add(command["room"])
            server.send(text)

        def answer(text):
            if text.startswith('{"join"'):
                joining.discard(json.loads(text)["join"])
            socket.send(text)

        socket.on_message(ask)
        server.on_message(answer)

    bob.page.route_web_socket("**/chat/stream/**", connect)
    bob.goto(f"/?rooms={first_four}")
    bob.box("Fuzz d").focus()
    rooms = bob.page.evaluate("JSON.parse(document.getElementById('config').textContent).rooms")
    cdp = bob.page.context.new_cdp_session(bob.page)

    def press(key):
        what = KEYS.get(key, {"text": key})
        kind = "keyDown" if "text" in what else "rawKeyDown"
        cdp.send("Input.dispatchKeyEvent", {"type": kind, "key": key, **what})
        cdp.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": key, **what, "text": ""})

    def close_by_server():
        """Close a pane as the server does, and put the room into the list again."""
        room = bob.page.evaluate(
            """(isFocused) => {
              const focused = document.activeElement.closest('room-pane');
              const pane = isFocused ? focused : [...document.querySelectorAll('room-pane')].find((e) => e !== focused);
              return pane?.room;
            }""",
            chance.random() < 0.7,
        )
        # A server closes only a pane that has joined, so before the join frame there is none to close.
        if room is None or room in joining:
            return
        had_focus = bob.page.evaluate("(room) => document.activeElement.closest('room-pane')?.room === room", room)
        sockets[-1].send(json.dumps({"leave": room, "reason": "ROOM_ACCESS_DENIED"}))
        bob.page.wait_for_function(
            "(room) => ![...document.querySelectorAll('room-pane')].some((e) => e.room === room)", arg=room
        )
        bob.page.evaluate("(hadFocus) => { window.isInert ||= hadFocus; }", had_focus)
        sockets[-1].send(json.dumps({"rooms": rooms}))

    bob.page.evaluate(WATCH)
    closes = 0
    for _ in range(Q.keys):
        draw = chance.random()
        if draw < 0.59:
            press(chance.choice("abcdefgh"))
        elif draw < 0.6:
            press("?")
        elif draw < 0.7:
            press(" ")
        elif draw < 0.82:
            press("Enter")
        elif draw < 0.91:
            press(chance.choice([key for key in KEYS if key not in (" ", "Enter")]))
        elif draw < 0.93:
            close_by_server()
            closes += 1
        else:
            bob.page.evaluate(SHUFFLE, chance.randrange(1_000))
    expect(bob.page.locator("[data-part=unsent] .message")).to_have_count(0, timeout=20_000)
    typed = bob.page.evaluate("window.typed")
    assert bob.page.evaluate("window.leaked") == []
    assert closes > Q.keys / 100
    assert len(typed) > 2 and sum(map(len, typed.values())) > Q.keys / 4
    wanted = {room: counts_of_letters(Counter(text)) for room, text in typed.items()}
    # While an edit is being saved, its draft and the message have the same letters.
    wait_until(lambda: letters_kept(site, bob, rooms=typed) == wanted, bob)


def counts_of_letters(counter):
    return {letter: counter[letter] for letter in "abcdefgh"}


def letters_kept(site, visitor, *, rooms):
    """Count the letters in these rooms, and in any other that has some: messages, drafts, unsent ones and edits."""
    posted = site.shell(
        "import json\nfrom chat.models import Event\n"
        "rows = Event.objects.filter(kind=0).order_by('room', 'seq')\n"
        "print(json.dumps([[str(row.room_id), row.body] for row in rows]))"
    )
    found: dict[str, Counter[str]] = defaultdict(Counter, {room: Counter() for room in rooms})
    for room, body in json.loads(posted.splitlines()[-1]):
        found[room].update(body)
    for key, text in visitor.page.evaluate("Object.entries(localStorage)"):
        if ".outbox." in key or ".draft." in key:
            record = json.loads(text)
            found[record["room"]].update(record["text"])
            found[record["room"]].subtract(record.get("edit", {}).get("original", ""))
    return {room: counts_of_letters(letters) for room, letters in found.items()}


# Prints the titles of the panes that bob's next page opens.
SAVED = """
from chat.models import Membership
saved = Membership.objects.filter(user__username="bob", position__isnull=False).order_by("position")
print(*saved.values_list("room__title", flat=True))
"""


def test_another_browser_opens_the_saved_layout(visit, site):
    bob = visit("bob")
    bob.open("Here", "There", "Lobby")
    bob.page.keyboard.press("Alt+Shift+ArrowLeft")
    choose(bob, "Here", "Widen")
    wide = bob.page.url.split("rooms=")[1].split(",")[0]
    for _ in range(100):
        bob.page.evaluate("new Promise((done) => { setTimeout(done, 50); })")
        if any(command.get("wide") == wide for command in bob.commands("layout")):
            break
    # The page sends the change, and not the whole layout.
    assert any(command.get("wide") == wide for command in bob.commands("layout"))
    assert not any("rooms" in command for command in bob.commands("layout"))
    elsewhere = visit("bob", "/")
    expect(elsewhere.page.get_by_role("region")).to_have_count(3)
    assert titles(elsewhere) == ["Here", "Lobby", "There"]
    assert elsewhere.pane("Here").bounding_box()["width"] > elsewhere.pane("There").bounding_box()["width"] + 60
    # A tab that a link opened adds the rooms that its user opens, and closes none that other tabs have saved.
    link = visit("bob", "/chat/Third/", context=elsewhere.page.context)
    link.open("Random")
    expect(link.pane("Random")).to_be_visible()
    wait_until(lambda: site.shell(SAVED).split("\n")[-2] == "Here Lobby There Random", link)
