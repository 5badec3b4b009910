"""Delivery at the page: each missed event comes once, and no typed text is lost."""

import json
import signal

import pytest
from playwright.sync_api import expect

from tests.servers.quantities import IS_FULL
from tests.servers.services import Redis, directory, wait_for

# An address without the page, from which a script of a test can open a socket of its own.
BARE = "/accounts/session/"

POST = """
from django.contrib.auth.models import User
from chat.models import Room
from chat.store.actions import Draft, commit
from chat.store.log import Kind
bob = User.objects.get(username="bob").pk
for title, first, last in {rooms!r}:
    room, _ = Room.objects.get_or_create(title=title)
    for start in range(first, last + 1, 100):
        bodies = [f"text {{number}}" for number in range(start, min(start + 100, last + 1))]
        commit([Draft(room=room.pk, author=bob, kind=Kind.POSTED, body=body) for body in bodies])
    print(room.pk)
"""


def post(site, *rooms):
    """Post `text first` to `text last` in each room, as bob, beside the server. Returns the ids of the rooms."""
    return site.shell(POST.format(rooms=rooms)).split()


CHANGE = """
from django.contrib.auth.models import User
from chat.store.actions import Draft, commit
from chat.store.log import Kind
from chat.models import Room
bob = User.objects.get(username="bob")
for title, changes in {rooms!r}:
    room = Room.objects.get(title=title)
    for seq, text in changes:
        kind = Kind.DELETED if text is None else Kind.EDITED
        commit([Draft(room=room.pk, author=bob.pk, kind=kind, body=text or "", target_seq=seq)])
"""


def change(site, *rooms):
    """Edit bob's messages, or delete them where the text is None."""
    site.shell(CHANGE.format(rooms=rooms))


@pytest.fixture
def restart(site):
    """Let a test stop the server, and start it again at the end."""
    yield site
    if site.process is None:
        site.start()


@pytest.fixture
def redis(site):
    """Restart the server with a Redis of its own, and at the end without it."""
    with directory("redis") as path:
        redis = Redis(path).start()
        site.stop()
        site.start(redis.url)
        yield redis
        redis.kill()
        site.stop()
        site.start()


# Lets the sends of a page get lost on their way. A page with a socket that is routed could not be used by another test.
LOSE_SENDS = """(() => {
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (frame) {
    if (JSON.parse(frame).command !== 'send') send.call(this, frame);
  };
})()"""


def texts(first, last):
    return [f"text {number}" for number in range(first, last + 1)]


def first_in_view(log, scroll_top):
    """Scroll, and in the same turn return the text and the position of the first message in view."""
    return log.evaluate(
        """(log, scrollTop) => {
          log.scrollTop = scrollTop;
          const top = log.getBoundingClientRect().top;
          const boxes = [...log.querySelectorAll('.message')].map((e) => [e, e.getBoundingClientRect()]);
          const [element, box] = boxes.find(([, box]) => box.top >= top);
          return [element.querySelector('[data-part=text]').textContent, Math.round(box.top - top)];
        }""",
        scroll_top,
    )


def place_of(log, text):
    return log.get_by_text(text, exact=True).evaluate(
        "(e) => Math.round(e.closest('.message').getBoundingClientRect().top"
        " - e.closest('[role=log]').getBoundingClientRect().top)"
    )


def wake(visitor):
    visitor.page.evaluate("window.dispatchEvent(new Event('online'))")
    visitor.expect_state("Connected")


# Sends `text first` to `text last` by a socket of its own, ten in each frame.
BURST = """async ([room, first, last]) => {
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat/stream/');
  await new Promise((done) => { socket.onopen = done; });
  socket.send(JSON.stringify({command: 'join', room}));
  for (let n = first; n <= last; n += 1) {
    socket.send(JSON.stringify({command: 'send', room, message: `text ${n}`}));
    if (n % 10 === 0) await new Promise(requestAnimationFrame);
  }
}"""


def test_a_log_moves_only_for_a_reader_at_the_newest_message_and_shows_what_changes(visit, site):
    [room] = post(site, ("History", 1, 130))
    alice, bob = visit("alice", "/chat/History/"), visit("bob", BARE)
    expect(alice.texts("History").last).to_have_text("text 130")
    log = alice.log("History")
    expect(log.get_by_text("text 130", exact=True)).to_be_in_viewport()
    # Older messages do not move what is in view.
    for _ in range(2):
        held = alice.texts("History").count()
        text, top = first_in_view(log, 100)
        expect(alice.texts("History")).not_to_have_count(held)
        assert abs(place_of(log, text) - top) <= 1
    log.evaluate("(log) => { log.scrollTop = 0; }")
    expect(alice.texts("History")).to_have_text(texts(1, 130))
    assert len(alice.commands("history")) == 3
    # The pages that were added above came later, and are first in the order of the log.
    seqs = alice.pane("History").evaluate("(pane) => pane.list.messages.map(({seq}) => seq)")
    assert seqs == list(range(1, 131))
    # Nor do new ones, for a reader who scrolled up.
    text, top = first_in_view(log, 400)
    post(site, ("History", 131, 133))
    below = alice.pane("History").get_by_role("button", name="3 new below")
    expect(below).to_be_visible()
    assert place_of(log, text) == top
    below.click()
    expect(log.get_by_text("text 133", exact=True)).to_be_in_viewport()
    expect(below).to_have_count(0)
    # Edits and deletes are shown at once. The test of a resume proves that a page which is loaded then shows the same.
    change(site, ("History", [(132, "better"), (133, None)]))
    expect(alice.texts("History").last).to_have_text("Message deleted")
    assert alice.texts("History").all_text_contents()[-3:] == ["text 131", "better", "Message deleted"]
    expect(log.get_by_text("(edited)")).to_have_count(1)
    # A burst leaves a reader at the bottom.
    last = 233 if IS_FULL else 183
    bob.page.evaluate(BURST, [room, 134, last])
    # Nothing waits for acks, so a machine that does other work takes its time.
    expect(alice.texts("History").last).to_have_text(f"text {last}", timeout=20_000)
    expect(log.get_by_text(f"text {last}", exact=True)).to_be_in_viewport()
    expect(alice.pane("History").locator(".below")).to_be_hidden()


LONG = """
from django.contrib.auth.models import User
from chat.models import Room
from chat.store.actions import Draft, commit
from chat.store.log import Kind
bob, room = User.objects.get(username="bob").pk, Room.objects.create(title={title!r}).pk
bodies = [f"text {{number}} " + "and some more words " * (number % 7 * 4) for number in range(1, 121)]
commit([Draft(room=room, author=bob, kind=Kind.POSTED, body=body) for body in bodies])
"""


# Returns how far the newest message is below the view, after the pane became wider and the log longer.
WIDEN_AND_GROW = """async (log) => {
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
  const below = log.scrollHeight - log.scrollTop - log.clientHeight;
  more.remove();
  await frames(4);
  return below;
}"""
WIDTHS = (720, 1320, 900, 1320, 720, 1320) if IS_FULL else (720, 1320)
PANES = [("open", "Here"), ("open", "There"), ("open", "Third"), ("close", "Here"), ("close", "Third")]
PANES = PANES if IS_FULL else [PANES[0], PANES[3]]


def test_a_reader_stays_at_the_same_message_when_the_width_changes(visit, site):
    site.shell(LONG.format(title="Widths"))
    alice = visit("alice", "/chat/Widths/", viewport={"width": 1320, "height": 780})
    log = alice.log("Widths")
    expect(alice.texts("Widths").last).to_contain_text("text 120")
    # At the newest message, although the log grows beyond its old height before the page is notified of the width.
    expect(alice.texts("Widths").last).to_be_in_viewport()
    assert log.evaluate(WIDEN_AND_GROW) < 1
    # And although messages come.
    for number, width in enumerate(WIDTHS):
        alice.page.set_viewport_size({"width": width, "height": 780 - number * 40})
        post(site, ("Widths", 121 + number, 121 + number))
        expect(log.get_by_text(f"text {121 + number}", exact=True)).to_be_in_viewport()
    expect(alice.pane("Widths").locator(".below")).to_be_hidden()
    # In the middle of the log, while other panes take a part of the width.
    alice.page.set_viewport_size({"width": 1320, "height": 780})
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight / 2; }")
    text, top = first_in_view(log, 700)
    for change in PANES:
        if change[0] == "open":
            alice.open(change[1])
        else:
            alice.pane(change[1]).get_by_role("button", name="Close").click()
        # One frame in which the page is notified, and one to be sure.
        alice.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert abs(place_of(log, text.strip()) - top) <= 2, change


def test_a_hidden_pane_loads_one_page_of_history(visit, site):
    [unseen] = post(site, ("Unseen", 1, 120))
    phone = visit("charlie", site.address("Lobby", unseen), viewport={"width": 360, "height": 740})
    phone.say("Lobby", "is all quiet?")
    expect(phone.texts("Lobby").last).to_have_text("is all quiet?")
    assert len([command for command in phone.commands("history") if command["room"] == unseen]) == 1
    phone.button("Unseen").click()
    expect(phone.log("Unseen").get_by_text("text 120", exact=True)).to_be_in_viewport()


# How many messages the rooms have when the page comes back.
ONE, TWO, FOUR = (330, 153, 102) if IS_FULL else (100, 33, 22)


def test_one_resume_brings_each_missed_event_once(redis, visit, site):
    rooms = post(site, ("One", 1, 80), ("Two", 1, 3), ("Four", 1, 2))
    alice = visit("alice", site.address(*rooms))
    # A pane without its first page would begin at the newest messages.
    expect(alice.texts("One").last).to_have_text("text 80")
    expect(alice.texts("Two")).to_have_count(3)
    expect(alice.texts("Four")).to_have_count(2)
    log = alice.log("One")
    text, top = first_in_view(log, 300)
    alice.sent.clear()
    alice.page.evaluate("window.isStillThere = true")
    assert is_listened_to(redis)
    site.stop(signal.SIGKILL)  # before a planned stop the server would say when it is back
    redis.kill()
    alice.expect_state("Offline – trying again in")
    # Many messages, two edits, three deletes.
    post(site, ("One", 81, ONE), ("Two", 4, TWO), ("Four", 3, FOUR))
    change(site, ("One", [(79, "edited"), (70, None), (ONE - 9, None)]), ("Two", [(2, "better"), (TWO - 3, None)]))
    redis.start()
    site.start(redis.url)
    wake(alice)
    expect(alice.texts("One").last).to_have_text(f"text {ONE}", timeout=20_000)
    expect(alice.texts("Four")).to_have_text(texts(1, FOUR))
    assert place_of(log, text) == top
    assert len(alice.commands("resume")) == 1
    assert alice.commands("join") == []
    wait_for(lambda: is_listened_to(redis))
    assert alice.page.evaluate("window.isStillThere")
    fresh = visit("charlie", site.address(*rooms))
    for title, count in (("One", ONE), ("Two", TWO), ("Four", FOUR)):
        for visitor in (alice, fresh):
            read_to_the_top(visitor, title, count)
        assert messages(fresh, title) == messages(alice, title)
    expect(alice.texts("Two").nth(1)).to_have_text("better")
    expect(alice.texts("One").nth(ONE - 10)).to_have_text("Message deleted")


def is_listened_to(redis):
    return redis.send("PUBSUB CHANNELS") not in (b"", b"*0")


def messages(visitor, title):
    """Return the shown text of each message of a pane: author, time, text, and whether it was edited."""
    return visitor.log(title).locator("[data-part=messages] .message .lines").all_text_contents()


def read_to_the_top(visitor, title, count):
    while (held := visitor.texts(title).count()) < count:
        visitor.log(title).evaluate("(log) => { log.scrollTop = 0; }")
        expect(visitor.texts(title)).not_to_have_count(held)
    expect(visitor.texts(title)).to_have_count(count)


STORED = """
import json
from chat.models import Event
events = Event.objects.filter(room__title={title!r}, kind=0).order_by("seq")
print(json.dumps(list(events.values_list("body", flat=True))))
"""


def test_after_a_crash_what_was_typed_arrives_once_and_a_page_whose_session_has_ended_asks_to_sign_in(visit, restart):
    site = restart
    far, near, _ = post(site, ("Far", 1, 1), ("Near", 1, 1), ("Tabs", 1, 1))
    charlie, alice = visit("charlie", site.address(far, near)), visit("alice", "/chat/Lobby/")
    one = visit("bob", "/chat/Tabs/")
    two = visit("bob", "/chat/Tabs/", context=one.page.context)
    for visitor, title in ((charlie, "Far"), (charlie, "Near"), (one, "Tabs"), (two, "Tabs")):
        expect(visitor.texts(title)).to_have_count(1)
    alice.expect_state("Connected")
    site.stop(signal.SIGKILL)
    for visitor in (charlie, alice, one, two):
        visitor.expect_state("Offline")
    # What is typed survives the tab,
    for title, text in (("Far", "first"), ("Near", "elsewhere"), ("Far", "second")):
        charlie.say(title, text)
        expect(charlie.box(title)).to_have_value("")
    expect(charlie.unsent("Far")).to_have_count(2)
    context = charlie.page.context
    charlie.page.close()
    # and two tabs share it.
    for number, tab in enumerate((one, two, one)):
        tab.say("Tabs", f"by {number}")
        expect(one.unsent("Tabs")).to_have_count(number + 1)
        expect(two.unsent("Tabs")).to_have_count(number + 1)
    alice.page.context.clear_cookies()
    site.start()
    # At another address the page opens the rooms with unsent messages, so that they are sent.
    again = visit("charlie", "/", context=context)
    expect(again.texts("Far")).to_have_text(["text 1", "first", "second"])
    expect(again.texts("Near")).to_have_text(["text 1", "elsewhere"])
    expect(again.unsent("Far")).to_have_count(0)
    assert again.page.evaluate("localStorage.length") == 0
    assert json.loads(site.shell(STORED.format(title="Far"))) == ["text 1", "first", "second"]
    # Neither tab sends what the other one has sent.
    wake(one)
    wake(two)
    everything = ["text 1", *(f"by {number}" for number in range(3))]
    for tab in (one, two):
        expect(tab.texts("Tabs")).to_have_text(everything)
        expect(tab.unsent("Tabs")).to_have_count(0)
    # A session that ended meanwhile.
    alice.page.evaluate("window.dispatchEvent(new Event('online'))")
    alice.expect_state("Signed out. Sign in again")
    expect(alice.page.get_by_role("alert").get_by_text("Sign in again")).to_be_visible()
    alice.main.get_by_role("link", name="Sign in again", exact=True).click()
    expect(alice.page.get_by_role("button", name="Log in")).to_be_visible()
    assert "next=%2Fchat%2FLobby%2F" in alice.page.url


def test_a_message_does_not_wait_for_a_tab_whose_connection_is_dead(visit, site):
    post(site, ("Steal", 1, 1))
    one = visit("bob", "/healthz")
    one.page.add_init_script(LOSE_SENDS)
    one.goto("/chat/Steal/")
    expect(one.texts("Steal")).to_have_count(1)
    one.say("Steal", "first")  # this tab sends for both, and its frames get lost
    two = visit("bob", "/chat/Steal/", context=one.page.context)
    two.say("Steal", "second")
    expect(two.unsent("Steal")).to_have_count(2)
    expect(two.texts("Steal")).to_have_text(["text 1", "first", "second"])
    expect(one.unsent("Steal")).to_have_count(0)


def test_a_refused_message_is_sent_again_or_offered_back_and_says_why(visit):
    bob = visit("bob", "/healthz")
    away = {"error": "SERVER_UNAVAILABLE", "detail": "The database is away. Try again."}
    refusals = [away, {"error": "USER_MUTED", "message": None}, {"error": "USER_MUTED", "message": None}]
    refused = []

    def answer(socket):
        server = socket.connect_to_server()

        def on_command(text):
            command = json.loads(text)
            if command["command"] != "send" or not refusals:
                return server.send(text)
            # The message that was refused for now is sent again.
            if refused and command["client_id"] == refused[0]:
                return server.send(text)
            refused.append(command["client_id"])
            socket.send(json.dumps(command | refusals.pop(0)))

        socket.on_message(on_command)

    bob.page.route_web_socket("**/chat/stream/**", answer)
    bob.goto("/chat/Third/")
    # For now: the error disappears with its cause.
    bob.say("Third", "in a moment")
    trouble = bob.pane("Third").locator("[data-part=trouble]")
    expect(trouble).to_contain_text("We'll retry automatically. (SERVER_UNAVAILABLE)")
    expect(bob.texts("Third").last).to_have_text("in a moment")
    expect(trouble).to_be_hidden()
    # For good: the message is offered back.
    bob.say("Third", "let me say")
    failed = bob.unsent("Third")
    expect(failed.get_by_role("alert")).to_contain_text("USER_MUTED")
    bob.page.reload()
    expect(failed.get_by_role("alert")).to_contain_text("USER_MUTED")
    failed.get_by_role("button", name="Retry").click()
    expect(failed.get_by_role("alert")).to_contain_text("USER_MUTED")
    assert refused[1] == refused[2]
    failed.get_by_role("button", name="Retry").click()
    expect(bob.texts("Third").last).to_have_text("let me say")
    expect(failed).to_have_count(0)


def test_signing_out_empties_the_outbox_after_a_question_that_is_in_view(visit, site):
    charlie = visit("charlie", "/healthz")
    site.states.pop("charlie")  # this session ends here
    charlie.page.add_init_script(LOSE_SENDS)
    charlie.goto("/chat/Lobby/")
    charlie.expect_state("Connected")
    charlie.say("Lobby", "never mind")
    expect(charlie.unsent("Lobby")).to_have_count(1)
    # On a phone, where the list covers the page.
    charlie.page.set_viewport_size({"width": 360, "height": 740})
    charlie.page.get_by_role("button", name="All rooms and account").click()
    log_out = charlie.page.get_by_role("button", name="Log out", exact=True)
    log_out.click()
    notice = charlie.page.locator(".notice")
    expect(notice).to_contain_text("1 message hasn't been sent yet. Log out and discard it?")
    stay = notice.get_by_role("button", name="Stay")
    expect(stay).to_be_focused()
    expect(stay).to_be_in_viewport()
    assert charlie.page.evaluate("document.scrollingElement.scrollTop + document.body.scrollTop") == 0
    stay.click()
    expect(charlie.unsent("Lobby")).to_have_count(1)
    # In a wide window, by key.
    charlie.page.set_viewport_size({"width": 1280, "height": 720})
    log_out.click()
    expect(stay).to_be_focused()
    charlie.page.keyboard.press("Enter")
    expect(notice).to_have_count(0)
    expect(charlie.unsent("Lobby")).to_have_count(1)
    log_out.click()
    notice.get_by_role("button", name="Log out and discard").click()
    expect(charlie.page.get_by_role("button", name="Log in")).to_be_visible()
    assert charlie.page.evaluate("localStorage.length") == 0


def test_a_user_who_joins_before_the_first_page_arrives_is_shown_below_it(visit, site):
    [room] = post(site, ("Early", 1, 3))
    alice, charlie = visit("alice", "/healthz"), visit("charlie", BARE)
    held = []

    def hold(socket):
        server = socket.connect_to_server()
        server.on_message(
            lambda text: held.append((socket, text)) if text.startswith('{"history"') else socket.send(text)
        )

    alice.page.route_web_socket("**/chat/stream/**", hold)
    alice.goto("/chat/Early/")
    alice.expect_state("Connected")
    charlie.page.evaluate(
        """(room) => {
          const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat/stream/');
          socket.onopen = () => socket.send(JSON.stringify({command: 'join', room}));
        }""",
        room,
    )
    lines = alice.log("Early").locator("[data-part=messages] > :not(.day)")
    expect(lines).to_have_text(["charlie joined"])
    while not held:
        alice.page.wait_for_timeout(20)
    socket, text = held[0]
    socket.send(text)
    expect(lines).to_have_count(4)
    expect(lines.last).to_have_text("charlie joined")


def test_a_page_sends_nothing_with_another_users_cookie(visit):
    alice = visit("alice", "/healthz")
    sockets, commands = [], []

    def answer(socket):
        sockets.append(socket)
        if len(sockets) == 1:
            return swallow_sends(socket)
        socket.on_message(lambda text: (commands.append(json.loads(text)), refuse(socket)))

    def refuse(socket):
        socket.send(json.dumps({"error": "USER_HAS_TO_LOGIN"}))
        socket.close(code=4401)

    alice.page.route_web_socket("**/chat/stream/**", answer)
    alice.goto("/chat/Here/")
    alice.expect_state("Connected")
    alice.say("Here", "for my own name only")
    sockets[0].close(code=1012)
    alice.expect_state("Signed out. Sign in again")
    assert commands == [{"command": "ping"}]
    user = alice.page.evaluate("JSON.parse(document.getElementById('config').textContent).user.id")
    assert [socket.url.partition("?")[2] for socket in sockets] == [f"user={user}&language=en"] * 2
    # The pane is hidden while no user is signed in here, and the message stays.
    expect(alice.page.locator("[data-part=unsent] .message")).to_have_count(1)
    assert alice.page.evaluate("localStorage.length") == 1


def test_unsent_messages_are_counted_or_offered_back_and_closing_the_page_asks_while_one_is_not_stored(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Going')")
    bob = visit("bob", "/healthz")
    bob.page.add_init_script(LOSE_SENDS)
    bob.goto("/chat/Here/")
    # The room list shows that a closed pane has some.
    bob.say("Here", "not yet")
    expect(bob.unsent("Here")).to_have_count(1)
    bob.pane("Here").get_by_role("button", name="Close").click()
    expect(bob.button("Here 1 not sent")).to_be_focused()
    bob.button("Here 1 not sent").click()
    expect(bob.button("Here")).to_be_visible()
    bob.unsent("Here").get_by_role("button", name="Discard").click()
    bob.pane("Here").get_by_role("button", name="Close").click()
    expect(bob.button("Here")).to_be_focused()
    # One pane is left when the other one's room is deleted.
    bob.open("Lobby", "Going")
    bob.say("Going", "not sent")
    bob.say("Going", "not sent either")
    bob.box("Going").fill("half a text")
    site.shell("from chat.models import Room; Room.objects.get(title='Going').delete()")
    expect(bob.pane("Going")).to_have_count(0)
    expect(bob.main).to_be_focused()
    assert "," not in bob.page.url  # one room is left
    notices = bob.page.locator(".notice")
    expect(notices.locator("blockquote:visible")).to_have_text(["half a text", "not sent", "not sent either"])
    for number, text in ((1, "half a text"), (2, "not sent")):
        notices.nth(number).get_by_role("button", name="Copy").click()
        assert bob.page.evaluate("getSelection().toString()") == text
    bob.page.reload()
    expect(notices.locator("blockquote:visible")).to_have_text(["not sent", "not sent either", "half a text"])
    for _ in range(3):
        notices.get_by_role("button", name="Discard").first.click()
    expect(notices).to_have_count(0)
    assert bob.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('outbox')).length") == 0
    # While the storage is full, closing the page would lose the message.
    bob.page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full'); }")
    bob.goto("/chat/Lobby/")
    bob.expect_state("Connected")
    is_guarded = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert not bob.page.evaluate(is_guarded)
    bob.say("Lobby", "nowhere else")
    expect(notices).to_contain_text("lost if you close the page")
    assert bob.page.evaluate(is_guarded)
    bob.unsent("Lobby").get_by_role("button", name="Discard").click()
    expect(notices).to_have_count(0)
    assert not bob.page.evaluate(is_guarded)


def swallow_sends(socket):
    server = socket.connect_to_server()
    socket.on_message(lambda text: None if json.loads(text)["command"] == "send" else server.send(text))
