"""History stands still: links, days and unread messages far back, in a window that never moves what is in view."""

import re
from threading import Timer

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_accessibility import LOOKS, RULES, RULES_OF_COLOURS, inside, violations, violations_in_all_looks
from tests.browser.test_delivery import BARE, change, post
from tests.browser.test_honest import pause
from tests.browser.test_log import STORM
from tests.browser.test_unread import choose_at_message, wait_until
from tests.servers.quantities import IS_FULL, TIMEOUT

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
    room = fill(site, "Linked", 200)
    bob = visit("bob", f"/?rooms={room}&at={room}.100")
    log, found = bob.log("Linked"), bob.log("Linked").locator(".message.found")
    expect(text(bob, "Linked", 100)).to_be_in_viewport()
    expect(found).to_have_count(1)
    expect(found).to_be_focused()
    expect(found).to_contain_text("text 100")
    assert bob.commands("history")[0] == {"command": "history", "room": room, "around": 100}
    # A message that is posted now is counted, because below this window it would stand after a hole.
    expect(jump_button(bob, "Linked")).to_have_text("Jump to newest")
    fill(site, "Linked", 201, first=201, author="alice")
    expect(jump_button(bob, "Linked")).to_have_text("1 new below")
    expect(text(bob, "Linked", 201)).to_have_count(0)
    # The focus stays in the log when the message that had it is removed.
    jump_button(bob, "Linked").evaluate("(button) => button.click()")
    expect(text(bob, "Linked", 201)).to_be_in_viewport()
    expect(log).to_be_focused()
    # A link that is copied is such an address.
    bob.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose_at_message(bob, "Linked", "text 196", "Copy link")
    assert bob.page.evaluate("navigator.clipboard.readText()") == f"{site.url}/?rooms={room}&at={room}.196"
    # A reload goes back to the link, and a reader can scroll on to the newest message.
    bob.page.reload()
    expect(text(bob, "Linked", 100)).to_be_in_viewport()
    log.evaluate(WATCH)
    log.evaluate(READ_TO, ["newer", "text 201"])
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")
    fill(site, "Linked", 202, first=202, author="alice")
    expect(text(bob, "Linked", 202)).to_be_in_viewport()
    expect(jump_button(bob, "Linked")).to_be_hidden()
    assert watched(log)["wrong"] == []


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
    for at in (f"{staff}.1", "999999.1") if IS_FULL else (f"{staff}.1",):
        bob.goto(f"/?rooms={staff},999999&at={at}")
        expect(bob.main.get_by_role("alert")).to_have_text(
            "Some of these rooms don't exist, or you don't have access to them."
        )
        expect(bob.page.get_by_role("region")).to_have_count(0)
    # The link opens in the user's own workspace, here that of a newcomer.
    joined = [command["room"] for command in bob.commands("join")]
    assert joined.count(room) == 2
    assert str(staff) not in joined


# More than the page holds of a log; at full size several times as many.
DEEP = 1500 if IS_FULL else 500


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
WAYS = WAYS if IS_FULL else [120, 3, -110, -3]
BELOW = 250 if IS_FULL else 20
# How many messages are posted at once, and then sent one by one, to a pane of 400 at most that holds 50.
AT_ONCE, ONE_BY_ONE = (0, 500) if IS_FULL else (330, 40)


@pytest.mark.timeout(TIMEOUT)
def test_messages_in_view_do_not_move_while_others_are_added_or_removed(visit, site):
    room = fill(site, "Still", 1200)
    alice = visit("alice", f"/?rooms={room}&at={room}.600")
    bob = visit("bob", BARE)  # sends by a socket of his own, without a pane that shows it all
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
    if AT_ONCE:
        # Meanwhile, so that no message comes before the page has noted where it is.
        Timer(0.3, fill, (site, "Still", 1200 + AT_ONCE), {"first": 1201}).start()
        assert log.evaluate(STILL, [700, f"{AT_ONCE} new below"]) == 0
    storm = f"(args) => {{ setTimeout(() => ({STORM})(args), 300); }}"
    bob.page.evaluate(storm, [[room], ONE_BY_ONE, 2])
    assert log.evaluate(STILL, [700, f"{AT_ONCE + ONE_BY_ONE} new below"]) == 0
    # Some were removed meanwhile.
    assert alice.texts("Still").count() < AT_ONCE + ONE_BY_ONE
    assert watched(log)["most"] <= 450


def test_jump_to_date_uses_the_readers_time_zone(visit, site):
    fill(site, "Days", 300, ages=[(200, 2), (100, 40)])
    bob = visit("bob", "/healthz")
    # A context with a time zone of its own would have none of the site's files yet.
    devtools = bob.page.context.new_cdp_session(bob.page)
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Kiritimati"})
    bob.goto("/chat/Days/")
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
    jump_button(bob, "Days").press("Enter")
    expect(text(bob, "Days", 300)).to_be_in_viewport()
    expect(jump_button(bob, "Days")).to_be_hidden()
    expect(bob.log("Days")).to_be_focused()


# Holds back what comes to a page and begins with this key, while the gate is shut. A page with a socket that is routed
# could not be used by another test.
GATE = """(() => {
  const { addEventListener } = WebSocket.prototype;
  window.held = [];
  WebSocket.prototype.addEventListener = function (type, listener, ...rest) {
    const hear = (event) => {
      const isHeld = sessionStorage.getItem('tests.gate') && event.data.slice(0, 20).includes('"%s":');
      if (isHeld) window.held.push(() => listener.call(this, event));
      else listener.call(this, event);
    };
    addEventListener.call(this, type, type === 'message' ? hear : listener, ...rest);
  };
})()"""


class Gate:
    """Holds back the frames of one kind while it is shut, also after a reload."""

    def __init__(self, visitor, key):
        self.page = visitor.page
        self.page.add_init_script(GATE % key)
        self.shut()

    def shut(self):
        self.page.evaluate("sessionStorage.setItem('tests.gate', 'shut')")

    def open(self):
        self.page.evaluate(
            "() => { sessionStorage.removeItem('tests.gate'); window.held?.splice(0).forEach((hear) => hear()); }"
        )

    def until_held(self):
        """Wait until there is such a frame."""
        until(self.page, "window.held.length > 0")


def test_a_late_page_of_history_takes_neither_the_focus_nor_the_place_nor_the_offer_to_undo(visit, site):
    room = fill(site, "Late", 300)
    bob = visit("bob", "/healthz")
    gate = Gate(bob, "history")
    bob.goto(f"/?rooms={room}&at={room}.100")
    bob.box("Late").press_sequentially("half a ")
    gate.until_held()
    gate.open()
    expect(text(bob, "Late", 100)).to_be_in_viewport()
    expect(bob.log("Late").locator(".message.found")).to_have_count(1)
    bob.page.keyboard.type("sentence")
    expect(bob.box("Late")).to_have_value("half a sentence")
    # Sending a message goes to the newest one, and it can be undone once the page with it is there.
    gate.shut()
    bob.say("Late", "to the wrong room")
    expect(bob.unsent("Late")).to_have_count(0)
    gate.until_held()
    gate.open()
    undo = bob.pane("Late").get_by_role("button", name="Undo")
    expect(bob.texts("Late").last).to_have_text("to the wrong room")
    expect(bob.texts("Late").last).to_be_in_viewport()
    expect(undo).to_be_in_viewport()
    undo.click()
    expect(bob.log("Late").locator(".message").last).to_be_hidden()
    expect(undo).to_have_count(0)
    expect(bob.box("Late")).to_have_value("to the wrong room")
    # A reader who closes the dialog stays where they are.
    gate.shut()
    bob.goto(f"/?rooms={room}")
    expect(bob.box("Late")).to_be_visible()
    choose(bob, "Late", re.compile("Jump to date"))
    bob.page.get_by_label("Show what was written from").fill("2020-01-01")
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.press("Escape")
    gate.open()
    expect(text(bob, "Late", 300)).to_be_in_viewport()
    site.manage("say", "Late", "said after that")
    expect(bob.log("Late").get_by_text("said after that")).to_be_in_viewport()
    expect(bob.log("Late").locator(".message.found")).to_have_count(0)
    expect(jump_button(bob, "Late")).to_be_hidden()


def test_over_a_page_of_unread_messages_is_shown_from_the_first_and_an_answer_reads_none(visit, site):
    room = fill(site, "Begun", 30)
    alice = visit("alice")
    alice.until_counted()
    fill(site, "Begun", 130, first=31)
    log, unread = alice.log("Begun"), alice.button("Begun").locator(".unread")
    above = alice.pane("Begun").get_by_role("button", name="new above")
    expect(unread).to_have_text("100")
    alice.open("Begun")
    expect(text(alice, "Begun", 31)).to_be_in_viewport()
    expect(log.locator(".new + .message")).to_contain_text("text 31")
    expect(unread).not_to_have_text("100")
    # An answer goes to the newest message, and does not mark those between as read.
    alice.say("Begun", "an answer")
    expect(log.get_by_text("an answer")).to_be_in_viewport()
    expect(above).to_be_visible()
    expect(unread).to_be_visible()
    # The way back to the messages that were jumped over.
    above.click()
    expect(log.locator(".new")).to_be_in_viewport()
    # The same when the page is opened, although the unread counts come after the room.
    alice.goto(f"/?rooms={room}")
    expect(log.locator(".new")).to_be_in_viewport()
    jump_button(alice, "Begun").click()
    expect(log.get_by_text("an answer")).to_be_in_viewport()
    above.click()
    expect(log.locator(".new")).to_be_in_viewport()
    # A room that was made after the first visit has read position 0, and opens at its first message.
    fill(site, "Made", 120)
    made = alice.button("Made").locator(".unread")
    expect(made).to_have_text("120")
    alice.open("Made")
    expect(text(alice, "Made", 1)).to_be_in_viewport()
    expect(made).not_to_have_text("120")
    expect(made).to_have_text(re.compile(r"^\d\d+$"))


CLOCK = """(element) => {
  const {content, width, right} = getComputedStyle(element.querySelector('time'), '::after');
  const begins = element.querySelector('.lines').offsetLeft;
  return content === 'none' ? null : [parseFloat(width), element.offsetWidth - parseFloat(right), begins];
}"""


def test_the_day_and_time_of_messages_in_view_are_shown_and_the_sticky_day_covers_and_moves_nothing(visit, site):
    fill(site, "Days", 120, ages=[(89, 40)])
    alice = visit("alice", "/chat/Days/")
    alice.until_counted()
    log, days = alice.log("Days"), alice.log("Days").locator(".day")
    expect(text(alice, "Days", 120)).to_be_in_viewport()
    expect(days.last).to_have_text("Today")
    line = message(alice, "Days", 119)
    expect(line).to_be_in_viewport()
    assert line.evaluate(CLOCK) is None
    line.hover()
    width, end, begins = line.evaluate(CLOCK)
    # Between the edge of the pane and the text.
    assert 20 < width < end < begins
    # In another width every row above has another height.
    alice.page.set_viewport_size({"width": 400, "height": 700})
    to_top = """(log, [element, px]) => {
      log.scrollTop += element.getBoundingClientRect().top - log.getBoundingClientRect().top - px;
    }"""
    log.evaluate(to_top, [message(alice, "Days", 89).element_handle(), -5])
    expect(jump_button(alice, "Days")).to_be_hidden()
    # A reader who goes far back sees the day.
    expect(days.filter(has_text=re.compile(r"20\d\d"))).to_be_in_viewport()
    top = "(element) => element.getBoundingClientRect().top"
    frame = "new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); })"
    alice.page.evaluate(frame)
    before = message(alice, "Days", 90).evaluate(top)
    alice.page.set_viewport_size({"width": 690, "height": 700})
    alice.page.evaluate(frame)
    assert abs(message(alice, "Days", 90).evaluate(top) - before) < 1
    # A separator behind the sticky day is not in view.
    alice.page.set_viewport_size({"width": 400, "height": 700})
    choose_at_message(alice, "Days", "text 119", "Mark as unread")
    new = log.locator(".new")
    above = alice.pane("Days").get_by_role("button", name="new above")
    fill(site, "Days", 160, first=121)
    expect(text(alice, "Days", 160)).to_be_attached()
    for px, is_covered in ((40, False), (0, True), (40, False)):
        log.evaluate(to_top, [new.element_handle(), px])
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
    post(site, ("Edits", 1, 2))
    bob = visit("bob", "/healthz")
    gate = Gate(bob, "ack")
    bob.goto("/chat/Edits/")
    expect(bob.texts("Edits")).to_have_text(["text 1", "text 2"])
    bob.box("Edits").press("ArrowUp")
    bob.say("Edits", "second, mended")
    expect(bob.texts("Edits").last).to_have_text("second, mended")
    bob.box("Edits").press("Escape")
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("another")
    gate.until_held()
    gate.open()
    bob.page.evaluate("new Promise((done) => { setTimeout(done, 200); })")
    expect(bob.box("Edits")).to_have_value("another")
    # What is typed before the answer belongs to the next message, and takes nothing from the edit.
    gate.shut()
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.press("Backspace")
    bob.page.keyboard.type("the next")
    expect(bob.box("Edits")).to_have_value("the next")
    expect(bob.pane("Edits").locator("[data-part=editing]")).to_be_hidden()
    expect(bob.pane("Edits").locator("[data-part=unfinished]")).to_be_hidden()
    gate.open()
    bob.page.keyboard.press("Enter")
    expect(bob.texts("Edits")).to_have_text(["text 1", "another", "the next"])
    expect(bob.pane("Edits").locator("[data-part=unfinished]")).to_be_hidden()
    assert bob.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('.draft.')).length") == 0
    # So does what a button inserts.
    gate.shut()
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("the last")
    bob.page.keyboard.press("Enter")
    bob.pane("Edits").locator("[data-part=new-line]").evaluate("(button) => button.click()")
    expect(bob.box("Edits")).to_have_value("\n")
    gate.open()
    expect(bob.texts("Edits")).to_have_text(["text 1", "another", "the last"])
    bob.box("Edits").fill("")
    # After a reload the box has the next message, whether or not the edit was answered.
    gate.shut()
    bob.box("Edits").press("ArrowUp")
    bob.box("Edits").fill("the very last")
    bob.page.keyboard.press("Enter")
    bob.page.keyboard.type("hello")
    expect(bob.box("Edits")).to_have_value("hello")
    bob.page.reload()
    expect(bob.texts("Edits").last).to_have_text("the very last")
    expect(bob.box("Edits")).to_have_value("hello")


def test_panes_beyond_the_edge_are_counted_and_scrolled_into_view(visit, site):
    alice = visit("alice", site.address("Lobby", "Random"), viewport={"width": 1000, "height": 700})
    right, left = alice.page.locator(".overflow.right"), alice.page.locator(".overflow:not(.right)")
    expect(alice.box("Random")).to_be_visible()
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
    # A phone shows one pane.
    alice.page.set_viewport_size({"width": 360, "height": 740})
    expect(alice.page.locator("room-pane:visible")).to_have_count(1)
    expect(alice.page.locator(".overflow:visible")).to_have_count(0)


MENTION = """
from django.contrib.auth.models import User
from chat.models import Room
bob, lobby = User.objects.get(username="bob"), Room.objects.get(title="Lobby")
for text in ("to the whole room", "look, @alice.", "hello @charlie"):
    lobby.send_message(text, bob)
Room.objects.create(title="Aside").send_message("and here, @alice", bob)
"""
SEEN_IN = LOOKS if IS_FULL else [(360, "light", RULES)]


def test_mentions_of_the_reader_are_highlighted_and_announced_and_are_as_accessible_as_history(visit, site):
    room = fill(site, "Seen", 200)
    alice = visit("alice", site.address("Lobby"))
    alice.until_counted()
    site.shell(MENTION)
    expect(alice.texts("Lobby")).to_have_count(3)
    alice.say("Lobby", "I am @alice")
    expect(alice.texts("Lobby")).to_have_count(4)
    # Neither those of other users, nor her own.
    marked = alice.log("Lobby").locator(".message.for-me")
    expect(marked).to_have_count(1)
    expect(marked).to_contain_text("Mentions you: look, @alice.")
    assert "inset" in marked.evaluate("(e) => getComputedStyle(e).boxShadow")
    # A mention in another room is counted in the list until she opens the room.
    expect(alice.button("Aside").locator(".unread.for-me")).to_have_text("1, @1")
    alice.goto(site.address("Lobby", room) + f"&at={room}.100")
    expect(text(alice, "Seen", 100)).to_be_in_viewport()
    expect(alice.button("Aside").locator(".unread.for-me")).to_have_text("1, @1")
    alice.page.emulate_media(color_scheme="dark")
    assert violations(alice.page, RULES_OF_COLOURS, "'.for-me, .found'") == []
    # The list of rooms is judged in other tests.
    assert violations_in_all_looks(alice.page, SEEN_IN, inside("main")) == []
    alice.page.set_viewport_size({"width": 1320, "height": 740})
    choose(alice, "Seen", re.compile("Jump to date"))
    alice.page.get_by_label("Show what was written from").fill("2999-01-01")
    alice.page.keyboard.press("Enter")
    expect(alice.page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    # What is behind the dialog was judged above.
    assert violations(alice.page, context="'dialog[open]'") == []
    if IS_FULL:
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
      if (getComputedStyle(parentElement).color === 'rgba(0, 0, 0, 0)') continue; // for screen readers alone
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
        "from chat.store.actions import Draft, commit\n"
        "from chat.store.log import Kind\n"
        "bob = User.objects.get(username='bob').pk\n"
        f"bodies = [f'{{number}} ' + ('ok', '{long}')[number % 2] for number in range(60)]\n"
        "for room in Room.objects.filter(title__in=('Lobby', 'Random')):\n"
        "    commit([Draft(room=room.pk, author=bob, kind=Kind.POSTED, body=body) for body in bodies])\n"
        "Event.objects.filter(seq__lte=30).update(at=datetime.datetime(2026, 1, 5, 9, 0, tzinfo=datetime.UTC))\n"
        "Event.objects.filter(seq__gt=30).update(at=datetime.datetime(2026, 1, 5, 9, 1, tzinfo=datetime.UTC))"
    )
    both = site.address("Lobby", "Random")
    bob = visit("bob", both, viewport={"width": 800, "height": 700}, has_touch=True, is_mobile=True)
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


def step_and_leave_by_key(bob, site, gate, line):
    keyboard = bob.page.keyboard
    bob.box("Deploys").focus()
    places = {title: bob.log(title).evaluate(FIRST_IN_VIEW) for title in ("Deploys", "Errors")}
    keyboard.press("Alt+PageUp")
    expect(line).to_be_visible()
    expect(text(bob, "Errors", 61)).to_be_in_viewport()
    words = line.text_content()
    # In the composer, the arrow would edit the last message. What is typed goes nowhere.
    keyboard.press("ArrowUp")
    expect(line).not_to_have_text(words)
    keyboard.press("ArrowDown")
    expect(line).to_have_text(words)
    keyboard.type("no")
    expect(bob.box("Deploys")).to_have_value("")
    keyboard.press("Escape")
    expect(line).to_be_hidden()
    expect(bob.box("Deploys")).to_be_focused()
    for title, place in places.items():
        wait_until(lambda title=title, place=place: bob.log(title).evaluate(FIRST_IN_VIEW) == place, bob)
    # A page that arrives after the return moves nothing.
    gate.shut()
    keyboard.press("Alt+PageUp")
    expect(line).to_be_visible()
    gate.until_held()
    keyboard.press("Escape")
    expect(line).to_be_hidden()
    gate.open()
    site.manage("say", "Random", "more")
    expect(bob.button("Random").locator(".unread")).to_have_text("1")
    assert {title: bob.log(title).evaluate(FIRST_IN_VIEW) for title in places} == places
    keyboard.press("Alt+PageDown")
    expect(text(bob, "Deploys", 120)).to_be_in_viewport()
    expect(bob.box("Deploys")).to_be_focused()


def test_all_panes_show_the_same_moment_by_menu_and_key_and_come_back_without_anything_being_read(visit, site):
    room = fill(site, "Deploys", 120, ages=[(100, 40)])
    other = fill(site, "Errors", 200, ages=[(60, 41)])
    # Fewer messages than fill a pane: some since then, and none.
    few, before_all = fill(site, "Few", 4, ages=[(2, 41)]), fill(site, "Earlier", 3, ages=[(3, 41)])
    rooms = ",".join((room, other, few, before_all))
    bob = visit("bob", "/healthz", viewport={"width": 1520, "height": 780})
    gate = Gate(bob, "history")
    gate.open()
    bob.goto(f"/?rooms={rooms}&at={room}.90")
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
    wait_until(lambda: bob.log("Errors").evaluate(FIRST_IN_VIEW) == before, bob)
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
    step_and_leave_by_key(bob, site, gate, line)
