"""History stands still: links, days and unread messages far back, in a window that never moves what is in view."""

import re

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations_in_all_looks
from tests.browser.test_delivery import change
from tests.browser.test_honest import pause
from tests.browser.test_log import STORM
from tests.browser.test_unread import choose_at_message, wait_until
from tests.servers.quantities import IS_FULL

FILL = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from chat.store.actions import Draft, commit
from chat.store.log import Kind
from chat.models import Event, Room
author = User.objects.get_or_create(username={author!r})[0].pk
room, _ = Room.objects.get_or_create(title={title!r})
for start in range({first}, {last} + 1, 100):
    numbers = range(start, min(start + 100, {last} + 1))
    bodies = [f"text {{n}}" + " and more" * (n % 5 * n % 7) for n in numbers]
    commit([Draft(room=room.pk, author=author, kind=Kind.POSTED, body=body) for body in bodies])
for last, days in {ages!r}:
    Event.objects.filter(room=room, seq__lte=last).update(at=timezone.now() - timedelta(days=days))
print(room.pk)
"""

# Does what restoring a backup from before the first message does.
RESTORE = """
from chat.models import Event, Room
Event.objects.filter(room={room}).delete()
Room.objects.filter(pk={room}).update(head_seq=0, epoch="restored")
"""

# Records at each change whether the shown messages have a hole or a double, and the largest number of them.
WATCH = """(log) => {
  log.watched = {most: 0, wrong: [], seen: new Set()};
  const look = () => {
    const texts = [...log.querySelectorAll('[data-part=messages] [data-part=text]')];
    const numbers = texts.map((e) => Number(/\\d+/.exec(e.textContent)[0]));
    log.watched.most = Math.max(log.watched.most, numbers.length);
    numbers.forEach((n, i) => {
      log.watched.seen.add(n);
      if (i && n !== numbers[i - 1] + 1) log.watched.wrong.push([numbers[i - 1], n]);
    });
  };
  new MutationObserver(look).observe(log.querySelector('[data-part=messages]'), {childList: true});
  look();
}"""

# Scrolls to an end of the log at each frame until a message is there.
READ_TO = """async (log, [way, text]) => {
  const frame = () => new Promise(requestAnimationFrame);
  for (let n = 0; n < 2000; n += 1) {
    log.scrollTop = way === 'older' ? 0 : log.scrollHeight;
    await frame();
    const all = [...log.querySelectorAll('[data-part=messages] [data-part=text]')];
    const last = way === 'older' ? all[0] : all.at(-1);
    if (last?.textContent.split(' ').slice(0, 2).join(' ') === text) return;
  }
  throw new Error(`${text} was not reached`);
}"""

# Returns how far the first two messages in view moved in any frame while the log changed.
STILL = """async (log, [scrollTop, until]) => {
  const frame = () => new Promise(requestAnimationFrame);
  const all = () => [...log.querySelectorAll('[data-part=messages] .message')];
  const ends = () => [all()[0], all().at(-1)].map((e) => e.querySelector('[data-part=text]').textContent).join();
  log.scrollTop = scrollTop < 0 ? log.scrollHeight - log.clientHeight + scrollTop : scrollTop;
  const top = log.getBoundingClientRect().top;
  const read = all().filter((e) => e.getBoundingClientRect().bottom > top).slice(0, 2);
  const places = () => read.map((e) => e.getBoundingClientRect().top);
  const then = places();
  const before = ends();
  let moved = 0;
  let after = 0;
  for (let n = 0; n < 3000 && after < 6; n += 1) {
    await frame();
    await new Promise((done) => { setTimeout(done); });
    if (!read.every((e) => e.isConnected)) throw new Error('what was read is gone');
    moved = Math.max(moved, ...places().map((y, i) => Math.abs(y - then[i])));
    if (until ? log.parentElement.textContent.includes(until) : ends() !== before) after += 1;
  }
  if (!after) throw new Error('nothing happened');
  return moved;
}"""


def fill(site, title, last, *, first=1, ages=(), author="bob"):
    """Post `text first` to `text last`, of several lengths, as one author. Returns the room's id."""
    printed = site.shell(FILL.format(title=title, first=first, last=last, ages=list(ages), author=author))
    return printed.split()[-1]


def message(visitor, title, number):
    return visitor.log(title).locator(".message").filter(has_text=re.compile(rf"text {number}\b"))


def text(visitor, title, number):
    return visitor.log(title).get_by_text(re.compile(rf"^text {number}\b"))


def jump_button(visitor, title):
    return visitor.pane(title).get_by_role("button", name=re.compile("Jump to newest|new below"))


def choose(visitor, title, item):
    visitor.pane(title).get_by_role("button", name="More", exact=True).click()
    visitor.page.get_by_role("menuitem", name=item).click()


def watched(log):
    return log.evaluate("(log) => ({...log.watched, seen: [...log.watched.seen].sort((a, b) => a - b)})")


def test_a_link_opens_its_message_and_the_reader_can_go_on_to_the_newest(visit, site):
    room = fill(site, "Linked", 400)
    alice = visit("alice", "/chat/Linked/", permissions=["clipboard-read", "clipboard-write"])
    expect(text(alice, "Linked", 400)).to_be_in_viewport()
    message = alice.log("Linked").locator(".message").filter(has_text=re.compile(r"text 397\b"))
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    alice.page.get_by_role("menuitem", name="Copy link").click()
    link = alice.page.evaluate("navigator.clipboard.readText()")
    assert link == f"{site.url}/?rooms={room}&at={room}.397"
    bob = visit("bob", link.removeprefix(site.url).replace("397", "200"))
    expect(text(bob, "Linked", 200)).to_be_in_viewport()
    expect(bob.log("Linked").locator(".message.found")).to_have_count(1)
    expect(bob.log("Linked").locator(".message.found")).to_be_focused()
    expect(bob.log("Linked").locator(".message.found")).to_contain_text("text 200")
    assert bob.commands("history")[0] == {"command": "history", "room": room, "around": 200}
    # A message that is posted now is counted, because below this window it would stand after a hole.
    log = bob.log("Linked")
    log.evaluate(WATCH)
    expect(jump_button(bob, "Linked")).to_have_text("Jump to newest")
    alice.say("Linked", "text 401")
    expect(jump_button(bob, "Linked")).to_have_text("1 new below")
    expect(text(bob, "Linked", 401)).to_have_count(0)
    log.evaluate(READ_TO, ["newer", "text 401"])
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")
    alice.say("Linked", "text 402")
    expect(text(bob, "Linked", 402)).to_be_in_viewport()
    expect(jump_button(bob, "Linked")).to_be_hidden()
    assert watched(log)["wrong"] == []
    # A reload goes back to the link, and one click to the newest message.
    bob.page.reload()
    expect(text(bob, "Linked", 200)).to_be_in_viewport()
    jump_button(bob, "Linked").press("Enter")
    expect(text(bob, "Linked", 402)).to_be_in_viewport()
    expect(jump_button(bob, "Linked")).to_be_hidden()
    expect(bob.log("Linked")).to_be_focused()
    # The focus stays in the log when the message that had it is removed.
    bob.page.reload()
    expect(bob.log("Linked").locator(".message.found")).to_be_focused()
    jump_button(bob, "Linked").evaluate("(button) => button.click()")
    expect(text(bob, "Linked", 402)).to_be_in_viewport()
    expect(bob.log("Linked")).to_be_focused()
    # Sending a message goes to the newest one, too.
    bob.page.reload()
    expect(text(bob, "Linked", 200)).to_be_in_viewport()
    bob.say("Linked", "text 403")
    expect(text(bob, "Linked", 403)).to_be_in_viewport()
    expect(bob.unsent("Linked")).to_have_count(0)
    expect(bob.pane("Linked").get_by_role("button", name="Undo")).to_be_visible()


def test_a_link_to_a_missing_message_or_room_says_so(visit, site):
    room = fill(site, "Broken", 120)
    change(site, ("Broken", [(40, None)]))
    bob = visit("bob", f"/?rooms={room}&at={room}.40")
    expect(bob.main.get_by_role("alert")).to_contain_text("was deleted")
    expect(bob.log("Broken").locator(".message.found")).to_have_text(re.compile("Message deleted"))
    bob.goto(f"/?rooms={room}&at={room}.9000")
    expect(bob.main.get_by_role("alert")).to_contain_text("doesn't exist")
    expect(text(bob, "Broken", 120)).to_be_in_viewport()
    expect(bob.log("Broken").locator(".message.found")).to_have_count(0)
    staff = next(key for key, title, *_ in site.rooms if title == "Staff")
    for unknown in (staff, 999_999):
        bob.goto(f"/?rooms={unknown}&at={unknown}.1")
        expect(bob.main.get_by_role("alert")).to_have_text(
            "Some of these rooms don't exist, or you don't have access to them."
        )
        expect(bob.page.get_by_role("region")).to_have_count(0)
    # The link opens in the user's own workspace, here that of a newcomer.
    joined = [command["room"] for command in bob.commands("join")]
    assert joined.count(room) == 2
    assert str(staff) not in joined


# Several times what the page holds of a log.
DEEP = 1500 if IS_FULL else 900


def test_a_long_log_is_read_in_both_directions_while_the_page_holds_little_of_it(visit, site):
    fill(site, "Deep", DEEP)
    alice = visit("alice", "/chat/Deep/")
    expect(text(alice, "Deep", DEEP)).to_be_in_viewport()
    log = alice.log("Deep")
    log.evaluate(WATCH)
    log.evaluate(READ_TO, ["older", "text 1"])
    back = watched(log)
    assert (back["wrong"], back["seen"]) == ([], list(range(1, DEEP + 1)))
    assert back["most"] <= 450
    log.evaluate(WATCH)
    log.evaluate(READ_TO, ["newer", f"text {DEEP}"])
    forth = watched(log)
    assert (forth["wrong"], forth["seen"]) == ([], list(range(1, DEEP + 1)))
    assert forth["most"] <= 450
    expect(jump_button(alice, "Deep")).to_be_hidden()


WAYS = [120, 100, 0, 60, 110, 3, 100, -100, -3, -60, -110, -5, -100, -100, -100, 100, 50]
WAYS = WAYS if IS_FULL else [120, 3, 110, -110, -3, -100]
BELOW = 250 if IS_FULL else 60


def test_messages_in_view_do_not_move_while_others_are_added_or_removed(visit, site):
    room = fill(site, "Still", 1200)
    alice = visit("alice", f"/?rooms={room}&at={room}.600")
    bob = visit("bob")  # sends by a socket of his own, without a pane that shows it all
    log = alice.log("Still")
    expect(log.locator(".message.found")).to_contain_text("text 600")
    moved = []
    # Load older and newer pages until the window drops its other end, and go back.
    for way in WAYS:
        moved.append((way, log.evaluate(STILL, [way, None])))
    assert max(by for _, by in moved) == 0, moved
    # Messages arrive: first beyond the end of the window, then in a window that holds the newest.
    bob.page.evaluate(STORM, [[room], BELOW, 2])
    assert log.evaluate(STILL, [700, f"{BELOW} new below"]) == 0
    jump_button(alice, "Still").click()
    expect(alice.texts("Still").last).to_have_text(f"storm {BELOW}")
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight / 2; }")
    log.evaluate(WATCH)
    bob.page.evaluate(
        f"(args) => {{ setTimeout(() => ({STORM})(args), 300); }}",
        [[room], 500, 2],
    )
    assert log.evaluate(STILL, [700, "500 new below"]) == 0
    assert watched(log)["most"] <= 450


def test_jump_to_date_uses_the_readers_time_zone(visit, site):
    fill(site, "Days", 300, ages=[(200, 2), (100, 40)])
    bob = visit("bob", "/chat/Days/", timezone_id="Pacific/Kiritimati")
    expect(text(bob, "Days", 300)).to_be_in_viewport()
    day = bob.page.evaluate("new Date(Date.now() - 30 * 86400000).toLocaleDateString('en-CA')")
    choose(bob, "Days", re.compile("Jump to date"))
    dialog = bob.page.get_by_role("dialog", name="Jump to date")
    expect(dialog.get_by_label("Show what was written from")).to_be_focused()
    bob.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(bob.pane("Days").get_by_role("button", name="More", exact=True)).to_be_focused()
    choose(bob, "Days", re.compile("Jump to date"))
    later = bob.page.evaluate("new Date(Date.now() + 2 * 86400000).toLocaleDateString('en-CA')")
    dialog.get_by_label("Show what was written from").fill(later)
    bob.page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("There are no messages from")
    expect(text(bob, "Days", 300)).to_have_count(1)
    dialog.get_by_label("Show what was written from").fill(day)
    dialog.get_by_role("button", name="Jump").click()
    expect(dialog).to_be_hidden()
    expect(bob.log("Days").locator(".message.found")).to_contain_text("text 101")
    expect(text(bob, "Days", 101)).to_be_in_viewport()
    asked = bob.commands("history")[-1] if "from" in bob.commands("history")[-1] else bob.commands("history")[-2]
    midnight = bob.page.evaluate("(day) => new Date(`${day}T00:00:00+14:00`).toISOString()", day)
    assert asked | {"from": midnight} == asked
    expect(jump_button(bob, "Days")).to_have_text("Jump to newest")


def test_a_room_with_over_a_page_of_unread_messages_opens_at_the_first_of_them(visit, site):
    room = fill(site, "Missed", 30)
    alice = visit("alice", "/chat/Missed/")
    alice.until_counted()
    alice.goto("/?rooms=")
    fill(site, "Missed", 230, first=31)
    expect(alice.button("Missed").locator(".unread")).to_have_text("200")
    alice.open("Missed")
    expect(text(alice, "Missed", 31)).to_be_in_viewport()
    expect(alice.log("Missed").locator(".new + .message")).to_contain_text("text 31")
    for _ in range(2):
        expect(alice.log("Missed").locator(".new")).to_be_in_viewport()
        jump_button(alice, "Missed").click()
        expect(text(alice, "Missed", 230)).to_be_in_viewport()
        # The way back to the messages that were jumped over.
        alice.pane("Missed").get_by_role("button", name="new above").click()
        expect(alice.log("Missed").locator(".new")).to_be_in_viewport()
        # The same when the page is opened, although the unread counts come after the room.
        alice.goto(f"/?rooms={room}")


class Gate:
    """Holds back the frames of one kind while it is shut."""

    def __init__(self, visitor, key):
        self.key = key
        self.held = []
        self.is_shut = True
        visitor.page.route_web_socket(re.compile("/chat/stream/"), self._pass)

    def _pass(self, socket):
        server = socket.connect_to_server()
        socket.on_message(server.send)
        server.on_message(lambda text: self._hold(socket, text))

    def _hold(self, socket, text):
        if self.is_shut and f'"{self.key}":' in text[:20]:
            self.held.append((socket, text))
        else:
            socket.send(text)

    def open(self):
        self.is_shut = False
        for socket, text in self.held:
            socket.send(text)
        self.held.clear()


def test_a_late_page_of_history_takes_neither_the_focus_nor_the_readers_place(visit, site):
    room = fill(site, "Late", 300)
    bob = visit("bob", "/healthz")
    gate = Gate(bob, "history")
    bob.goto(f"/?rooms={room}&at={room}.100")
    bob.box("Late").press_sequentially("half a ")
    gate.open()
    expect(text(bob, "Late", 100)).to_be_in_viewport()
    expect(bob.log("Late").locator(".message.found")).to_have_count(1)
    bob.page.keyboard.type("sentence")
    expect(bob.box("Late")).to_have_value("half a sentence")
    # A reader who closes the dialog stays where they are.
    bob.page.unroute_all()
    alice = visit("alice", "/healthz")
    gate = Gate(alice, "history")
    alice.goto("/chat/Late/")
    gate.open()
    expect(text(alice, "Late", 300)).to_be_in_viewport()
    gate = Gate(alice, "history")
    alice.page.reload()
    expect(alice.box("Late")).to_be_visible()
    choose(alice, "Late", re.compile("Jump to date"))
    alice.page.get_by_label("Show what was written from").fill("2020-01-01")
    alice.page.keyboard.press("Enter")
    alice.page.keyboard.press("Escape")
    gate.open()
    expect(text(alice, "Late", 300)).to_be_in_viewport()
    bob.say("Late", "said after that")
    expect(alice.log("Late").get_by_text("said after that")).to_be_in_viewport()
    expect(alice.log("Late").locator(".message.found")).to_have_count(0)
    expect(jump_button(alice, "Late")).to_be_hidden()


def test_sending_a_message_does_not_mark_unseen_messages_as_read(visit, site):
    fill(site, "Begun", 30)
    alice = visit("alice")
    alice.until_counted()
    fill(site, "Begun", 130, first=31)
    unread = alice.button("Begun").locator(".unread")
    expect(unread).to_have_text("100")
    alice.open("Begun")
    expect(alice.log("Begun").locator(".new + .message")).to_contain_text("text 31")
    expect(unread).not_to_have_text("100")
    alice.say("Begun", "an answer")
    expect(alice.log("Begun").get_by_text("an answer")).to_be_in_viewport()
    expect(alice.pane("Begun").get_by_role("button", name="new above")).to_be_visible()
    expect(unread).to_be_visible()
    # A room that was made after the first visit has read position 0, and opens at its first message.
    fill(site, "Made", 120)
    made = alice.button("Made").locator(".unread")
    expect(made).to_have_text("120")
    alice.open("Made")
    expect(text(alice, "Made", 1)).to_be_in_viewport()
    expect(made).not_to_have_text("120")
    expect(made).to_have_text(re.compile(r"^\d\d+$"))


def test_a_sent_message_can_be_undone_when_its_page_of_history_comes_late(visit, site):
    room = fill(site, "Sent", 300)
    bob = visit("bob", "/healthz")
    gate = Gate(bob, "history")
    gate.open()
    bob.goto(f"/?rooms={room}&at={room}.100")
    expect(text(bob, "Sent", 100)).to_be_in_viewport()
    gate.is_shut = True
    bob.say("Sent", "to the wrong room")
    expect(bob.unsent("Sent")).to_have_count(0)
    gate.open()
    undo = bob.pane("Sent").get_by_role("button", name="Undo")
    expect(undo).to_be_in_viewport()
    undo.click()
    expect(bob.log("Sent").locator(".message").last).to_be_hidden()
    expect(undo).to_have_count(0)
    expect(bob.box("Sent")).to_have_value("to the wrong room")


def test_the_day_and_time_of_messages_in_view_are_shown(visit, site):
    room = fill(site, "When", 200, ages=[(100, 40)])
    bob = visit("bob", "/chat/When/")
    days = bob.log("When").locator(".day")
    expect(text(bob, "When", 200)).to_be_in_viewport()
    expect(days.last).to_have_text("Today")
    expect(days.last).to_be_in_viewport()
    line = message(bob, "When", 199)
    clock = """(element) => {
      const {content, width, right} = getComputedStyle(element.querySelector('time'), '::after');
      const begins = element.querySelector('.lines').offsetLeft;
      return content === 'none' ? null : [parseFloat(width), element.offsetWidth - parseFloat(right), begins];
    }"""
    expect(line).to_be_in_viewport()
    assert line.evaluate(clock) is None
    line.hover()
    width, end, begins = line.evaluate(clock)
    # Between the edge of the pane and the text.
    assert 20 < width < end < begins
    # A reader who goes far back sees the day.
    bob.goto(f"/?rooms={room}&at={room}.50")
    expect(text(bob, "When", 50)).to_be_in_viewport()
    expect(days.filter(has_text=re.compile(r"20\d\d"))).to_be_in_viewport()


def test_the_sticky_day_covers_no_unread_message_and_moves_nothing(visit, site):
    fill(site, "Days", 120, ages=[(89, 2)])
    bob = visit("bob", "/chat/Days/", viewport={"width": 400, "height": 700})
    alice = visit("alice", "/chat/Days/", viewport={"width": 400, "height": 700})
    for visitor in (bob, alice):
        expect(text(visitor, "Days", 120)).to_be_in_viewport()
    # In another width every row above has another height.
    to_top = """(log, [element, px]) => {
      log.scrollTop += element.getBoundingClientRect().top - log.getBoundingClientRect().top - px;
    }"""
    bob.log("Days").evaluate(to_top, [message(bob, "Days", 89).element_handle(), -5])
    expect(jump_button(bob, "Days")).to_be_hidden()
    top = "(element) => element.getBoundingClientRect().top"
    frame = "new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })"
    bob.page.evaluate(frame)
    before = message(bob, "Days", 90).evaluate(top)
    bob.page.set_viewport_size({"width": 690, "height": 700})
    bob.page.evaluate(frame)
    assert abs(message(bob, "Days", 90).evaluate(top) - before) < 1
    # A separator behind the sticky day is not in view.
    alice.until_counted()
    choose_at_message(alice, "Days", "text 119", "Mark as unread")
    new = alice.log("Days").locator(".new")
    above = alice.pane("Days").get_by_role("button", name="new above")
    fill(site, "Days", 160, first=121)
    expect(text(alice, "Days", 160)).to_be_attached()
    for px, is_covered in ((40, False), (0, True), (40, False)):
        alice.log("Days").evaluate(to_top, [new.element_handle(), px])
        expect(above).to_be_visible(visible=is_covered)


def test_a_long_name_takes_no_space_where_it_is_hidden(visit, site):
    fill(site, "Names", 3, author="n" * 120)
    bob = visit("bob", "/chat/Names/", viewport={"width": 360, "height": 700})
    expect(text(bob, "Names", 3)).to_be_in_viewport()
    below = "(log) => log.scrollHeight - log.querySelector('[data-part=content]').offsetHeight"
    assert bob.log("Names").evaluate(below) == 0


def test_undo_disappears_when_a_restore_gives_its_number_to_another_message(visit, site):
    room = fill(site, "Undone", 1)
    bob = visit("bob", "/chat/Undone/")
    bob.say("Undone", "something of mine")
    expect(bob.pane("Undone").get_by_role("button", name="Undo")).to_be_visible()
    site.shell(RESTORE.format(room=room))
    fill(site, "Undone", 2, author="alice")
    expect(text(bob, "Undone", 2)).to_be_visible()
    expect(bob.pane("Undone").get_by_role("button", name="Undo")).to_have_count(0)


def test_the_late_answer_to_an_edit_does_not_end_the_next_edit(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Edits')")
    bob = visit("bob", "/chat/Edits/")
    for words in ("first", "second"):
        bob.say("Edits", words)
    expect(bob.unsent("Edits")).to_have_count(0)
    gate = Gate(bob, "ack")
    bob.page.reload()
    expect(bob.texts("Edits")).to_have_text(["first", "second"])
    bob.box("Edits").press("ArrowUp")
    bob.say("Edits", "second, mended")
    expect(bob.texts("Edits").last).to_have_text("second, mended")
    bob.box("Edits").press("Escape")
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("another")
    gate.open()
    bob.page.evaluate("new Promise((done) => { setTimeout(done, 200); })")
    expect(bob.box("Edits")).to_have_value("another")
    # What is typed before the answer belongs to the next message, and takes nothing from the edit.
    gate.is_shut = True
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.press("Backspace")
    bob.page.keyboard.type("the next")
    expect(bob.box("Edits")).to_have_value("the next")
    expect(bob.pane("Edits").locator("[data-part=editing]")).to_be_hidden()
    expect(bob.pane("Edits").locator("[data-part=unfinished]")).to_be_hidden()
    gate.open()
    bob.page.keyboard.press("Enter")
    expect(bob.texts("Edits")).to_have_text(["first", "another", "the next"])
    expect(bob.pane("Edits").locator("[data-part=unfinished]")).to_be_hidden()
    assert bob.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('.draft.')).length") == 0
    # So does what a button inserts.
    gate.is_shut = True
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("the last")
    bob.page.keyboard.press("Enter")
    bob.pane("Edits").locator("[data-part=new-line]").evaluate("(button) => button.click()")
    expect(bob.box("Edits")).to_have_value("\n")
    gate.open()
    expect(bob.texts("Edits")).to_have_text(["first", "another", "the last"])
    bob.box("Edits").fill("")
    # After a reload the box has the next message, whether or not the edit was answered.
    gate.is_shut = True
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("the very last")
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.type("hello")
    expect(bob.box("Edits")).to_have_value("hello")
    bob.page.reload()
    expect(bob.texts("Edits").last).to_have_text("the very last")
    expect(bob.box("Edits")).to_have_value("hello")


def test_a_mention_of_the_reader_is_highlighted_and_announced(visit, site):
    bob, alice = visit("bob", "/chat/Here/"), visit("alice", "/chat/Here/")
    alice.say("Here", "to the whole room")
    alice.say("Here", "look, @bob.")
    bob.say("Here", "I am @bob")
    expect(bob.texts("Here")).to_have_count(3)
    marked = bob.log("Here").locator(".message.for-me")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("Mentions you: look, @bob.")
    assert "inset" in marked.evaluate("(e) => getComputedStyle(e).boxShadow")
    expect(alice.texts("Here")).to_have_count(3)
    expect(alice.log("Here").locator(".message.for-me")).to_have_count(0)


def test_a_reader_at_the_newest_message_stays_there_when_the_pane_widens_and_messages_arrive(visit, site):
    fill(site, "Wider", 120)
    alice = visit("alice", "/chat/Wider/", viewport={"width": 1320, "height": 780})
    expect(text(alice, "Wider", 120)).to_be_in_viewport()
    # The wider pane moves its reader up. Before the page is notified of it, the log has grown beyond its old height.
    below = alice.log("Wider").evaluate(
        """async (log) => {
          const frames = async (n) => { for (let i = 0; i < n; i += 1) await new Promise(requestAnimationFrame); };
          const pane = log.closest('room-pane');
          pane.style.flex = '0 0 340px';
          await frames(4);
          pane.style.flex = '';
          await new Promise((done) => { setTimeout(done); });
          const more = document.createElement('p');
          more.style.height = '9000px';
          log.querySelector('[data-part=messages]').append(more);
          await frames(4);
          return log.scrollHeight - log.scrollTop - log.clientHeight;
        }"""
    )
    assert below < 1


def test_panes_beyond_the_edge_are_counted_and_scrolled_into_view(visit):
    alice = visit("alice", viewport={"width": 1000, "height": 700})
    right, left = alice.page.locator(".overflow.right"), alice.page.locator(".overflow:not(.right)")
    alice.open("Lobby", "Random")
    expect(right.or_(left)).to_have_text(["", ""])
    alice.open("Third", "Here")
    expect(alice.main.get_by_role("button", name="2 more panes", exact=True)).to_be_visible()
    expect(right).to_be_hidden()
    # It covers nothing.
    row = alice.page.locator("[data-part=panes]").bounding_box()
    button = left.bounding_box()
    assert button["y"] >= row["y"] + row["height"]
    assert button["height"] >= 24
    left.click()
    expect(alice.box("Random")).to_be_in_viewport()
    left.click()
    expect(alice.box("Lobby")).to_be_in_viewport()
    expect(left).to_be_hidden()
    expect(right).to_have_text("2 more panes")
    alice.pane("Here").get_by_role("button", name="Close").evaluate("(e) => e.click()")
    expect(right).to_have_text("1 more pane")
    right.press("Enter")
    expect(alice.box("Third")).to_be_in_viewport()
    expect(right).to_be_hidden()
    phone = visit("bob", alice.page.url.removeprefix(alice.site.url), viewport={"width": 360, "height": 740})
    expect(phone.box("Lobby")).to_be_visible()
    expect(phone.page.locator(".overflow:visible")).to_have_count(0)


def test_history_and_mentions_pass_the_accessibility_checks(visit, site):
    room = fill(site, "Seen", 200)
    site.shell("from chat.models import Room; Room.objects.create(title='Aside')")
    alice = visit("alice")
    alice.open("Lobby")
    alice.until_counted()
    bob = visit("bob", "/chat/Lobby/")
    bob.say("Lobby", "look, @alice")
    expect(alice.log("Lobby").locator(".for-me")).to_have_count(1)
    # A mention in another room is counted in the list until she opens the room.
    bob.open("Aside")
    bob.say("Aside", "and here, @alice")
    expect(alice.button("Aside").locator(".unread.for-me")).to_have_text("1, @1")
    alice.goto(f"{alice.page.url.removeprefix(site.url)},4,5,{room}&at={room}.100")
    expect(text(alice, "Seen", 100)).to_be_in_viewport()
    expect(alice.button("Aside").locator(".unread.for-me")).to_have_text("1, @1")
    assert violations_in_all_looks(alice.page) == []
    alice.page.set_viewport_size({"width": 1320, "height": 740})
    choose(alice, "Seen", re.compile("Jump to date"))
    alice.page.get_by_label("Show what was written from").fill("2999-01-01")
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert violations_in_all_looks(alice.page) == []


FIRST_IN_VIEW = """(log) => {
  const {top} = log.getBoundingClientRect();
  const first = [...log.querySelectorAll('.message')].find((e) => e.getBoundingClientRect().bottom > top + 40);
  return [first?.querySelector('[data-part=text]').textContent, Math.round(first?.getBoundingClientRect().top - top)];
}"""


def first_in_view_at_rest(visitor, title):
    """Return the first message in view and its place, once they stay the same for a while."""
    readings = [visitor.log(title).evaluate(FIRST_IN_VIEW)]

    def is_at_rest():
        readings.append(visitor.log(title).evaluate(FIRST_IN_VIEW))
        return len(readings) > 4 and all(reading == readings[-1] for reading in readings[-4:])

    wait_until(is_at_rest, visitor)
    return readings[-1]


# How far a message's top, or the bottom of the last one, is from the line of the same moment.
FROM_LINE = """([room, edge, text]) => {
  const log = document.querySelector(`room-pane[aria-label="${room}"] message-list`);
  const rows = [...log.querySelectorAll('[data-part=messages] .message')];
  const row = text ? rows.find((e) => e.querySelector('[data-part=text]').textContent.startsWith(text)) : rows.at(-1);
  return row.getBoundingClientRect()[edge] - document.querySelector('.moment').getBoundingClientRect().top;
}"""


def stands_at_line(visitor, room, *, edge="top", text=None):
    wait_until(lambda: abs(visitor.page.evaluate(FROM_LINE, [room, edge, text])) <= 2, visitor)


# Returns the texts and controls of the logs that are covered by the words at the line of the same moment.
COVERED = """() => {
  const words = document.querySelector('.moment [data-part=handle]').getBoundingClientRect();
  const isOver = ({ left, right, top, bottom, width }) => width > 1 &&
    left < words.right && right > words.left && top < words.bottom && bottom > words.top;
  const covered = [];
  const range = document.createRange();
  for (const log of document.querySelectorAll('message-list')) {
    const walker = document.createTreeWalker(log, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { data, parentElement } = walker.currentNode;
      if (!parentElement.checkVisibility() || parentElement.closest('.visually-hidden')) continue;
      range.selectNodeContents(walker.currentNode);
      if ([...range.getClientRects()].some(isOver)) covered.push(data);
    }
    for (const control of log.querySelectorAll('a, .message:is(:hover, :focus-within) button'))
      if (isOver(control.getBoundingClientRect())) covered.push(control.ariaLabel);
  }
  return covered;
}"""


def test_the_same_moment_is_left_and_stepped_by_pointer_and_its_words_cover_nothing(visit, site):
    long = "and so on, until the end of the line is reached and the next one begins"
    site.shell(
        "import datetime\n"
        "from django.contrib.auth.models import User\n"
        "from chat.models import Event, Room\n"
        "bob = User.objects.get(username='bob')\n"
        "for title in ('Lobby', 'Random'):\n"
        "    for number in range(60):\n"
        f"        Room.objects.get(title=title).send_message(f'{{number}} ' + ('ok', '{long}')[number % 2], bob)\n"
        "Event.objects.filter(seq__lte=30).update(at=datetime.datetime(2026, 1, 5, 9, 0, tzinfo=datetime.UTC))\n"
        "Event.objects.filter(seq__gt=30).update(at=datetime.datetime(2026, 1, 5, 9, 1, tzinfo=datetime.UTC))"
    )
    bob = visit("bob", viewport={"width": 800, "height": 700}, has_touch=True, is_mobile=True)
    bob.open("Lobby", "Random")
    expect(bob.texts("Random").last).to_be_in_viewport()
    before = first_in_view_at_rest(bob, "Random")
    choose_at_message(bob, "Lobby", "58 ok", "Same moment")
    page = bob.page
    line = page.get_by_role("status").filter(has_text=re.compile(r"^\d\d:\d\d in all panes$"))
    expect(line).to_be_visible()
    assert page.evaluate(COVERED) == []
    words = line.text_content()
    page.get_by_role("button", name="A minute earlier").tap()
    expect(line).not_to_have_text(words)
    expect(bob.log("Random").get_by_text("0 ok", exact=True)).to_be_in_viewport()
    page.get_by_role("button", name="A minute later").tap()
    expect(line).to_have_text(words)
    assert page.evaluate(COVERED) == []
    # By key, the focus goes where it can go on.
    back = page.locator(".moment").get_by_role("button", name="Back")
    back.focus()
    page.keyboard.press("Enter")
    expect(line).to_be_hidden()
    expect(bob.log("Lobby")).to_be_focused()
    wait_until(lambda: bob.log("Random").evaluate(FIRST_IN_VIEW) == before, bob)


def test_all_panes_show_the_same_moment_and_come_back_without_anything_being_read(visit, site):
    room = fill(site, "Deploys", 120, ages=[(100, 40)])
    other = fill(site, "Errors", 200, ages=[(60, 41)])
    # Fewer messages than fill a pane: some since then, and none.
    few, before_all = fill(site, "Few", 4, ages=[(2, 41)]), fill(site, "Earlier", 3, ages=[(3, 41)])
    rooms = ",".join((room, other, few, before_all))
    bob = visit("bob", f"/?rooms={rooms}&at={room}.90", viewport={"width": 1520, "height": 780})
    expect(text(bob, "Deploys", 90)).to_be_in_viewport()
    expect(text(bob, "Errors", 200)).to_be_in_viewport()
    bob.log("Errors").evaluate("(log) => { log.scrollTop -= 333; }")
    pause(bob)
    before = bob.log("Errors").evaluate(FIRST_IN_VIEW)
    kept = bob.log("Deploys").evaluate(FIRST_IN_VIEW)
    reads = len(bob.commands("read"))
    # What the other pane said at that time is beyond what it holds.
    choose_at_message(bob, "Deploys", "text 90", "Same moment")
    line = bob.page.get_by_role("status").filter(has_text=re.compile(r"^\d\d:\d\d in all panes$"))
    expect(line).to_be_visible()
    expect(text(bob, "Errors", 61)).to_be_in_viewport()
    stands_at_line(bob, "Errors", text="text 61")
    stands_at_line(bob, "Few", text="text 3")
    stands_at_line(bob, "Earlier", edge="bottom")
    # What is written now belongs below the line, under the label of its day.
    site.manage("say", "Earlier", "since then")
    expect(bob.texts("Earlier").last).to_have_text("since then")
    wait_until(lambda: 0 < bob.page.evaluate(FROM_LINE, ["Earlier", "top", None]) < 100, bob)
    assert bob.log("Deploys").evaluate(FIRST_IN_VIEW) == kept
    words = line.text_content()
    assert len(bob.commands("read")) == reads
    bob.page.keyboard.press("ArrowUp")
    expect(line).not_to_have_text(words)
    bob.page.keyboard.press("Escape")
    expect(line).to_be_hidden()
    for _ in range(40):
        if bob.log("Errors").evaluate(FIRST_IN_VIEW) == before:
            break
        pause(bob, 50)
    assert bob.log("Errors").evaluate(FIRST_IN_VIEW) == before
    # From the label of the day too.
    bob.log("Deploys").locator(".day").first.get_by_role("button").click()
    bob.page.get_by_role("menuitem", name="Same moment").click()
    expect(line).to_be_visible()
    expect(text(bob, "Errors", 61)).to_be_in_viewport()
    bob.page.keyboard.press("Escape")
    expect(line).to_be_hidden()
    # What came meanwhile is read once the panes are back.
    wait_until(lambda: len(bob.commands("read")) > reads, bob)
    assert {command["room"] for command in bob.commands("read")[reads:]} == {before_all}
