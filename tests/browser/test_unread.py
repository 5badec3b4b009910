"""The page counts what the database counts, and only messages that were in view are read."""

import json
import random
import re

from playwright.sync_api import expect

from tests.browser.test_delivery import post
from tests.servers.quantities import IS_FULL

WALK_SEED = 20261121
COUNT = """
import json
from django.contrib.auth.models import User
from chat.models import Event, Membership, Room, Visit
user = User.objects.get(username={name!r})
first_visit = Visit.objects.get(user=user).at
counts = {{}}
for room in Room.objects.enterable_by(user):
    read = Membership.objects.filter(user=user, room=room).values_list("read_seq", flat=True).first()
    unread = {{"at__gt": first_visit}} if read is None else {{"seq__gt": read}}
    counts[room.title] = Event.objects.filter(room=room, kind=0, deleted_at=None, **unread).exclude(author=user).count()
print(json.dumps(counts))
"""


def by_database(site, name):
    """Return the unread counts that the page promises: messages of others, not deleted, after the read position.

    Where there is no position, messages from before the user's first visit count as read.
    """
    return json.loads(site.shell(COUNT.format(name=name)).splitlines()[-1])


def badge(visitor, title):
    return visitor.button(title).locator(".unread")


def shown(visitor):
    """Return the counts in the list, by title."""
    return visitor.page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('nav button[data-room]')].map((button) => [
          button.querySelector('.title').textContent, parseInt(button.querySelector('.unread').textContent || '0'),
        ]))"""
    )


def look_away(visitor):
    visitor.page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")


def look_back(visitor):
    visitor.page.evaluate("delete document.hasFocus; dispatchEvent(new Event('focus'))")


def wait_until(is_so, visitor):
    """Wait as long as Playwright's `expect` does."""
    for _ in range(100):
        if is_so():
            return
        visitor.page.evaluate("new Promise((done) => { setTimeout(done, 50); })")
    assert is_so()


def choose_at_message(visitor, title, text, item):
    visitor.log(title).get_by_text(text, exact=True).hover()
    message = visitor.log(title).locator(".message").filter(has_text=re.compile(rf"{text}\b"))
    message.get_by_role("button", name="More about this message").click()
    visitor.page.get_by_role("menuitem", name=item).click()


SAY = """
from django.contrib.auth.models import User
from chat.models import Room
for text in {texts!r}:
    Room.objects.get(title={title!r}).send_message(text, User.objects.get(username="alice"))
"""
DELETE = """
from django.contrib.auth.models import User
from chat.models import Room
from chat.store.actions import Draft, commit
from chat.store.log import Kind
room, alice = Room.objects.get(title={title!r}), User.objects.get(username="alice")
commit([Draft(room=room.pk, author=alice.pk, kind=Kind.DELETED, body="", target_seq={seq})])
"""


AGE = """
from datetime import timedelta
from chat.models import Event, Visit
from django.utils import timezone
# Messages from before the first visit would count as read, and so would all before them.
Visit.objects.update(at=timezone.now() - timedelta(days=4))
Event.objects.filter(body="old").update(at=timezone.now() - timedelta(days=3))
"""


def say(site, title, *texts):
    """Post as alice, beside the server."""
    site.shell(SAY.format(title=title, texts=texts))


def delete(site, title, seq):
    """Delete a message of alice, beside the server."""
    site.shell(DELETE.format(title=title, seq=seq))


def test_only_messages_in_view_are_marked_as_read_on_all_devices(visit, site):
    bob, phone = visit("bob", site.address("Here", "There")), visit("bob", "/chat/Here/")
    expect(phone.box("Here")).to_be_focused()
    bob.until_counted()
    say(site, "Here", "one")
    expect(bob.texts("Here")).to_have_text(["one"])
    wait_until(lambda: bob.commands("read") + phone.commands("read"), bob)
    expect(badge(bob, "Here")).to_be_hidden()
    for device in (bob, phone):
        look_away(device)
    say(site, "Here", "two", "hello @bob", "four")
    # In the list with mentions apart, in the title and in the icon. A separator stands at the first unread message.
    expect(badge(bob, "Here")).to_have_text("3, @1")
    expect(bob.button("Here")).to_have_attribute("aria-description", "3 unread, 1 for you")
    expect(bob.page).to_have_title("(3, @1) Multichat")
    expect(bob.page.locator("link[rel=icon]")).to_have_attribute("href", re.compile("^data:image/svg"))
    for device in (bob, phone):
        expect(device.log("Here").locator(".new + .message")).to_contain_text("two")
    # Read positions are written within a second.
    wait_until(lambda: by_database(site, "bob")["Here"] == 3, bob)
    # Messages that are read here are read there within a second.
    look_back(bob)
    expect(badge(bob, "Here")).to_be_hidden()
    expect(badge(phone, "Here")).to_be_hidden(timeout=1_500)
    expect(phone.log("Here").locator(".new")).to_have_count(0, timeout=1_500)
    expect(bob.page).to_have_title("Multichat")
    wait_until(lambda: by_database(site, "bob")["Here"] == 0, bob)
    # A mark as unread there is shown here.
    choose_at_message(phone, "Here", "hello @bob", "Mark as unread")
    for device in (bob, phone):
        expect(badge(device, "Here")).to_have_text("2, @1")
        expect(device.log("Here").locator(".new + .message")).to_contain_text("hello @bob")
    # A deleted message is not counted any more. A user's own messages never count.
    delete(site, "Here", 4)
    expect(badge(bob, "Here")).to_have_text("1, @1")
    # A key goes to the next unread room from another pane.
    bob.box("There").focus()
    bob.page.keyboard.press("Alt+Shift+ArrowDown")
    expect(bob.box("Here")).to_be_focused()
    expect(badge(bob, "Here")).to_be_hidden()
    expect(badge(phone, "Here")).to_be_hidden()


def test_unread_rooms_are_peeked_at_and_caught_up_with_and_the_panes_come_back(visit, site):
    bob = visit("bob", site.address("Lobby", "Here"), viewport={"width": 1320, "height": 780})
    bob.until_counted()
    for title, texts in (("Random", ["a"]), ("Third", ["b", "b2"]), ("There", ["@bob c"])):
        say(site, title, *texts)
    expect(badge(bob, "There")).to_have_text("1, @1")
    saved = bob.page.url
    panes = bob.page.get_by_role("region").filter(has=bob.page.get_by_role("log"))
    # One provisional pane, which the next one replaces. It is neither in the address nor saved.
    look_away(bob)  # so that what is shown stays unread
    bob.box("Here").press("F8")
    expect(panes).to_have_count(3)
    first = panes.last.get_attribute("aria-label")
    assert first in ("Random", "There", "Third")
    expect(panes.last).to_have_class(re.compile("peek"))
    bob.box(first).press("F8")
    expect(bob.pane(first)).to_have_count(0)
    expect(panes).to_have_count(3)
    assert bob.page.url == saved
    # Writing in it keeps it.
    second = panes.last.get_attribute("aria-label")
    bob.box(second).press_sequentially("x")
    expect(bob.pane(second)).not_to_have_class(re.compile("peek"))
    bob.box(second).fill("")
    bob.toggle(second).click()
    # So does a double click on its head.
    bob.box("Here").press("F8")
    expect(panes.last).to_have_class(re.compile("peek"))
    third = panes.last.get_attribute("aria-label")
    assert bob.pane(third).locator("h2").evaluate("(e) => getComputedStyle(e).fontStyle") == "italic"
    bob.pane(third).locator("h2").dblclick()
    expect(bob.pane(third)).not_to_have_class(re.compile("peek"))
    bob.toggle(third).click()
    # Catching up: mentions first, one room alone at a time.
    look_back(bob)
    bob.box("Lobby").fill("half")
    bob.page.get_by_role("button", name="Catch up").click()
    expect(panes).to_have_count(1)
    expect(bob.pane("There")).to_be_visible()
    expect(bob.log("There")).to_be_focused()
    for title in ("Third", "Random"):
        bob.page.keyboard.press("e")
        expect(bob.pane(title)).to_be_visible()
        expect(panes).to_have_count(1)
    bob.page.get_by_role("button", name="Mark read and on").click()
    done = bob.page.get_by_role("status").filter(has_text="All caught up")
    # In the middle of where the panes were.
    place, main = done.bounding_box(), bob.main.bounding_box()
    assert abs(place["x"] + place["width"] / 2 - main["x"] - main["width"] / 2) < 2
    assert abs(place["y"] + place["height"] / 2 - main["y"] - main["height"] / 2) < 40
    expect(bob.page.get_by_role("button", name="Catch up")).to_be_hidden()
    bob.page.keyboard.press("Escape")
    expect(panes).to_have_count(2)
    expect(bob.pane("Here")).to_be_visible()
    expect(bob.box("Lobby")).to_have_value("half")
    assert bob.page.url == saved
    # From the list: one room, and all of them.
    for title in ("Random", "Third", "There"):
        say(site, title, "new")
    expect(badge(bob, "There")).to_be_visible()
    bob.button("There").click(button="right")
    bob.page.get_by_role("menuitem", name="Mark as read").click()
    expect(badge(bob, "There")).to_be_hidden()
    expect(badge(bob, "Third")).to_be_visible()
    bob.button("Third").click(button="right")
    bob.page.get_by_role("menuitem", name="Mark all as read").click()
    for title in ("Random", "Third"):
        expect(badge(bob, title)).to_be_hidden()
    # Everything that is older than a day, in all rooms.
    for title in ("Random", "There"):
        say(site, title, "old")
    site.shell(AGE)
    for title in ("Random", "There"):
        expect(badge(bob, title)).to_be_visible()
    bob.page.get_by_role("button", name="Catch up").click()
    bob.page.get_by_role("button", name="Mark older as read…").click()
    bob.page.get_by_role("menuitem", name="From before yesterday").click()
    wait_until(lambda: not any(by_database(site, "bob").values()), bob)
    # The reader stays at the messages that are shown, and goes on by the same keys.
    expect(panes).to_have_count(1)
    bob.page.keyboard.press("e")
    expect(bob.page.get_by_role("status").filter(has_text="All caught up")).to_be_visible()


def test_the_next_screen_while_catching_up_leaves_no_line_out_and_ends_with_the_next_room(visit, site):
    post(site, ("Random", 1, 100), ("Third", 1, 2))
    bob = visit("bob", viewport={"width": 1000, "height": 700})
    bob.until_counted()
    look_away(bob)
    for title, count in (("Random", 60), ("Third", 1)):
        say(site, title, *(f"new {number}" for number in range(count)))
    expect(badge(bob, "Random")).to_have_text("60")
    look_back(bob)
    bob.page.get_by_role("button", name="Catch up").click()
    log, screen = bob.log("Random"), bob.page.get_by_role("button", name="Next screen")
    expect(log).to_be_focused()
    ends = """(log) => {
      const { top, bottom } = log.getBoundingClientRect();
      const shown = [...log.querySelectorAll('.message')].filter((message) => {
        const box = message.getBoundingClientRect();
        return box.bottom > top + 1 && box.top < bottom - 1;
      });
      return [shown[0], shown.at(-1)].map((message) => message.querySelector('[data-part=text]').textContent);
    }"""
    numbers = lambda: [int(words.split()[1]) if words.startswith("new") else -1 for words in log.evaluate(ends)]  # noqa: E731
    top = lambda: log.evaluate("(log) => log.scrollTop")  # noqa: E731
    # The log has the focus before its messages have come.
    expect(log.get_by_text("new 0", exact=True)).to_be_visible()
    first, last = numbers()
    assert first <= 0 < last < 59
    # By Space and by the button, after which Space goes on too.
    for press in (lambda: bob.page.keyboard.press(" "), screen.click, lambda: bob.page.keyboard.press(" ")):
        before = top()
        press()
        wait_until(lambda before=before: top() > before, bob)
        previous, (first, last) = last, numbers()
        assert first <= previous <= last, "a line stays in view, so that none is left out"
        expect(log).to_be_focused()
        expect(bob.pane("Random")).to_be_visible()
        if last == 59:
            break
    # At the end it marks the room as read and goes on: once, because a second key would be for the next room.
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")
    bob.page.keyboard.press(" ")
    expect(bob.pane("Third")).to_be_visible()
    expect(badge(bob, "Random")).to_be_hidden()


def test_the_bar_of_catching_up_takes_two_rows_on_a_phone(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Unterbrechungsfreie Stromversorgung')")
    site.shell(
        "from django.contrib.auth.models import User; from chat.models import Appearance\n"
        "Appearance.objects.create(user=User.objects.get(username='alice'), language='de')"
    )
    alice = visit("alice")
    page = alice.page
    expect(page.get_by_role("status").first).to_contain_text("Verbunden")
    alice.until_counted()
    page.set_viewport_size({"width": 360, "height": 740})
    page.evaluate("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    for title in ("Unterbrechungsfreie Stromversorgung", "Third", "Random"):
        site.shell(f"from chat.models import Room; Room.objects.get(title={title!r}).send_message('neu', None)")
    catch_up = page.get_by_role("button", name="Aufholen")
    expect(catch_up).to_contain_text("3")
    catch_up.click()
    bar = page.get_by_role("region", name="Aufholen")
    shown = bar.get_by_role("button")
    expect(shown).to_have_count(4)
    boxes = [button.bounding_box() for button in shown.all()]
    assert len({round(box["y"]) for box in boxes}) == 2
    # Tab goes through them in the order in which they stand.
    assert boxes == sorted(boxes, key=lambda box: (round(box["y"]), box["x"]))
    assert min(min(box["width"], box["height"]) for box in boxes) >= 24
    assert bar.bounding_box()["height"] <= 96
    whole = "(e) => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 1"
    assert all(part.evaluate(whole) for part in [*shown.all()[::3], bar.get_by_role("status")])
    # The button that has no space is in the menu.
    page.get_by_role("button", name="Älteres als gelesen markieren…").click()
    page.get_by_role("menuitem", name="Alle als gelesen markieren").click()
    wait_until(lambda: not any(by_database(site, "alice").values()), alice)
    expect(shown).to_have_count(1)


def test_the_list_follows_rooms_and_a_closed_one_counts_and_opens_at_the_first_unread_message(visit, site):
    post(site, ("Long", 1, 30))
    bob, alice = visit("bob"), visit("alice")
    bob.expect_state("Connected")
    alice.until_counted()
    # New, renamed, made staff-only, and deleted.
    site.shell("from chat.models import Room; Room.objects.create(title='Fresh')")
    expect(bob.button("Fresh")).to_be_visible()
    post(site, ("Fresh", 1, 2))
    expect(badge(alice, "Fresh")).to_have_text("2")
    alice.open("Fresh")
    rename = "from chat.models import Room; r = Room.objects.get(title__startswith='Fr'); r.title = 'Frozen'; r.save()"
    site.shell(rename)
    expect(alice.pane("Frozen")).to_be_visible()
    expect(bob.button("Frozen")).to_be_visible()
    site.shell(rename.replace("'Frozen'", "'Frozen'; r.staff_only = True"))
    expect(bob.button("Frozen")).to_have_count(0)
    expect(alice.button("Frozen")).to_have_count(1)
    site.shell("from chat.models import Room; Room.objects.get(title='Frozen').delete()")
    expect(alice.button("Frozen")).to_have_count(0)
    # A room that is closed.
    alice.open("Long")
    expect(alice.texts("Long")).to_have_count(30)
    expect(badge(alice, "Long")).to_be_hidden()
    alice.toggle("Long").click()
    post(site, ("Long", 31, 76))
    expect(badge(alice, "Long")).to_have_text("46")
    alice.page.get_by_role("button", name="Next unread").click()
    expect(alice.box("Long")).to_be_focused()
    log = alice.log("Long")
    expect(log.locator(".new")).to_be_in_viewport()
    expect(log.get_by_text("text 31", exact=True)).to_be_in_viewport()
    expect(log.get_by_text("text 76", exact=True)).not_to_be_in_viewport()
    expect(badge(alice, "Long")).not_to_have_text("46")
    assert 0 < int(badge(alice, "Long").text_content()) < 46
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")  # messages that are jumped over stay unread
    expect(alice.pane("Long").get_by_role("button", name="new above")).to_be_visible()
    alice.pane("Long").get_by_role("button", name="More", exact=True).click()
    alice.page.get_by_role("menuitem", name="Mark as read").click()
    expect(badge(alice, "Long")).to_be_hidden()


def test_counts_match_the_database_after_a_random_walk_of_two_devices(visit, site):
    chance = random.Random(WALK_SEED)
    names = ["Walk a", "Walk b", "Walk c"]
    post(site, *((name, 1, 3) for name in names))
    devices = [visit("charlie"), visit("charlie")]
    said = 0
    for _ in range(100 if IS_FULL else 20):
        device, title = chance.choice(devices), chance.choice(names)
        step = chance.random()
        if step < 0.4:
            said += 1
            say(site, title, f"walk {said}")
        elif step < 0.6:
            device.toggle(title).click()
        elif step < 0.7:
            look_away(device)
        elif step < 0.85:
            look_back(device)
        elif device.pane(title).count() and device.texts(title).count():
            device.log(title).evaluate("(log, y) => { log.scrollTop = y; }", chance.randrange(400))
    for device in devices:
        look_away(device)
    # Reads that are on their way arrive and are written.
    devices[0].page.evaluate("new Promise((done) => { setTimeout(done, 2500); })")
    truth = {title: count for title, count in by_database(site, "charlie").items() if title in names}
    for device in devices:
        for title in names:
            expect(badge(device, title)).to_have_text(re.compile(rf"^{truth[title] or ''}$"))
        assert {title: count for title, count in shown(device).items() if title in names} == truth
