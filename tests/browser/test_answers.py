"""Reactions and replies: given, shown live, kept over a lost connection, and never moving what is read."""

import os
import re

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_accessibility import inside, violations_in_all_looks
from tests.browser.test_delivery import change, post, wake

# The number in the text of the first message in view.
FIRST_IN_VIEW = """(() => {
  const list = document.querySelector("message-list");
  const { top } = list.getBoundingClientRect();
  const shown = [...list.querySelectorAll("[data-part=messages] .message")];
  const first = shown.find((message) => message.getBoundingClientRect().top > top);
  return Number(first.querySelector("[data-part=text]").textContent.split(" ")[1]);
})()"""


# A room whose newest sixty messages answer its first sixty. Of these, the first five have expired, the sixth was
# deleted, the seventh edited, and the eighth goes from right to left, with signs that turn what follows them.
ANSWERED = """
import uuid
from django.contrib.auth.models import User
from chat.models import Event, Room
from chat.store import log
room = Room.objects.create(title="Answered")
bob, evil = User.objects.get(username="bob"), User.objects.create(username="\u202etrickster")
fields = lambda author: {"author_id": author.pk, "username": author.username, "client_id": uuid.uuid4()}
with log.append([room.pk]) as batch:
    locked = batch.rooms[room.pk]
    for number in range(1, 131):
        text = "\u202eשלום\u2066 " if number == 8 else ""
        batch.post(locked, body=f"{text}text {number}", reply_to=number - 70 if number > 70 else None, **fields(bob))
    batch.delete(locked, batch.target(room.pk, 6), **fields(bob))
    batch.edit(locked, batch.target(room.pk, 7), "another wording", **fields(bob))
    batch.edit(locked, batch.target(room.pk, 129), "better", **fields(bob))
    for author in (evil, bob):
        batch.react(locked, batch.target(room.pk, 129), "\U0001f44d", is_on=True, **fields(author))
Room.objects.filter(pk=room.pk).update(floor_seq=6)
"""

# Posted beside the server. The messages of the room have their numbers in their texts.
REACT = """
import uuid
from django.contrib.auth.models import User
from chat.models import Room
from chat.store import log
bob, room = User.objects.get(username="bob"), Room.objects.get(title="Lobby")
with log.append([room.pk]) as batch:
    fields = {{"author_id": bob.pk, "username": bob.username, "client_id": uuid.uuid4()}}
    batch.react(batch.rooms[room.pk], batch.target(room.pk, {seq}), "\U0001f389", is_on=True, **fields)
"""

# Each reaction that is sent from now on gets lost on its way.
LOSE_REACTIONS = """() => {
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (frame) {
    if (!frame.includes('"react"')) send.call(this, frame);
  };
}"""


def react(visitor, message, name):
    message.hover()
    message.get_by_role("button", name="Add reaction").click()
    expect(visitor.page.get_by_role("searchbox", name="Search emoji")).to_be_focused(timeout=15_000)  # it is loaded now
    visitor.page.keyboard.type(name)
    visitor.page.keyboard.press("Enter")


# Messages with and without reactions and replies.
NEWEST = "[data-part=messages] > .message:nth-last-child(-n+8)"


def test_reactions_and_replies_are_live_kept_and_reachable_by_keyboard(visit, site):
    post(site, ("Lobby", 1, 60))
    alice, bob = visit("alice", site.address("Lobby")), visit("bob", site.address("Lobby"))
    page, log, box = alice.page, alice.log("Lobby"), alice.box("Lobby")
    message = log.locator(".message").filter(has_text=re.compile(r"text 59\b"))
    hers = bob.log("Lobby").locator(".message").filter(has_text=re.compile(r"text 59\b"))

    # A reaction is a button named by emoji and count, pressed if it is one's own.
    react(alice, message, "thumbs up")
    mine = message.get_by_role("button", name="👍 1", exact=True)
    expect(mine).to_have_attribute("aria-pressed", "true")
    expect(mine).to_have_attribute("title", "You")
    theirs = hers.get_by_role("button", name="👍 1", exact=True)
    expect(theirs).to_have_attribute("aria-pressed", "false")
    expect(theirs).to_have_attribute("title", re.compile("alice"))
    theirs.click()
    both = message.get_by_role("button", name="👍 2", exact=True)
    expect(both).to_have_attribute("title", re.compile("^You and .*bob"))
    both.click()
    expect(hers.get_by_role("button", name="👍 1", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(message.get_by_role("button", name="👍 1", exact=True)).to_have_attribute("aria-pressed", "false")

    # Its buttons do not move what a reader further up reads.
    page.evaluate("document.querySelector('message-list').scrollTop -= 300")
    top = page.evaluate(FIRST_IN_VIEW)
    read = log.locator(".message").filter(has_text=re.compile(rf"text {top + 5}\b"))
    before = read.bounding_box()["y"]
    above = re.compile(rf"text {top - 3}\b")
    site.shell(REACT.format(seq=top - 3))
    expect(log.locator(".message").filter(has_text=above).get_by_role("button", name="🎉 1")).to_be_attached()
    assert abs(read.bounding_box()["y"] - before) < 1

    # A reply is part of the draft, and shows what it answers as a link that leads there.
    message.scroll_into_view_if_needed()
    message.hover()
    message.get_by_role("button", name="Reply", exact=True).click()
    expect(box).to_be_focused()
    target = alice.pane("Lobby").get_by_role("status").filter(has_text="Reply to")
    expect(target).to_contain_text("text 59")
    box.fill("an answer")
    # A reaction that the server did not get before a reload is sent after it.
    page.evaluate(LOSE_REACTIONS)
    lost = re.compile(r"text 57\b")
    react(alice, log.locator(".message").filter(has_text=lost), "tada")
    expect(page.locator(".reaction.pending")).to_be_visible()
    page.reload()
    expect(target).to_contain_text("text 59")
    expect(box).to_have_value("an answer")
    expect(message.get_by_role("button", name="👍 1", exact=True)).to_have_attribute("aria-pressed", "false")
    late = bob.log("Lobby").locator(".message").filter(has_text=lost)
    expect(late.get_by_role("button", name="🎉 1", exact=True)).to_be_visible()
    until(page, "!Object.keys(localStorage).some((key) => key.includes('reactions'))")
    # The page around these is judged in other tests.
    assert violations_in_all_looks(page, context=inside(NEWEST, "room-composer")) == []
    page.set_viewport_size({"width": 1320, "height": 740})
    box.press("Enter")
    expect(target).to_be_hidden()
    answer = bob.log("Lobby").locator(".message").filter(has_text="an answer")
    source = answer.get_by_role("link", name=re.compile("^Reply to .*: text 59$"))
    expect(source).to_be_visible()

    # The source is followed when it is edited, and not quoted when it is deleted.
    change(site, ("Lobby", [(59, "another wording")]))
    expect(answer.get_by_role("link", name=re.compile("another wording"))).to_be_visible()
    answer.get_by_role("link").click()
    expect(bob.log("Lobby").locator(".message.found")).to_contain_text("another wording")

    # Both survive a lost connection, once.
    site.stop()
    alice.expect_state("Reconnecting")
    other = log.locator(".message").filter(has_text=re.compile(r"text 58\b"))
    react(alice, other, "tada")
    expect(other.get_by_role("button", name="🎉 1")).to_be_visible()
    other.press("Control+Shift+F2")
    expect(box).to_be_focused()
    alice.say("Lobby", "from the tunnel")
    waiting = log.locator(".message.pending")
    expect(waiting.get_by_role("link", name=re.compile("^Reply to .*: text 58$"))).to_be_visible()
    site.start()
    # Otherwise the pages would wait a while before they try again.
    wake(alice)
    wake(bob)
    reply = bob.log("Lobby").get_by_role("link", name=re.compile("text 58"))
    expect(reply).to_be_visible()
    hers = bob.log("Lobby").locator(".message").filter(has_text=re.compile(r"text 58\b"))
    expect(hers.get_by_role("button", name="🎉 1", exact=True)).to_be_visible()
    until(page, "!document.querySelector('.reaction.pending')")
    assert {command["epoch"] for command in alice.commands("react")} != {None}

    # With the keyboard alone: from the message to its reactions and its bar.
    log.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    menu = page.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Reply")).to_be_visible()
    expect(menu.get_by_role("menuitem", name="Add reaction")).to_be_visible()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()

    # A source that is deleted is not quoted any more, and has no reactions.
    change(site, ("Lobby", [(59, None)]))
    expect(bob.log("Lobby").get_by_role("link", name="Reply to a deleted message")).to_be_visible()
    expect(bob.log("Lobby").get_by_text("another wording")).to_have_count(0)
    assert bob.problems == alice.problems == []


def test_replies_to_messages_that_are_not_loaded_cost_one_question_and_quote_nothing_that_is_gone(visit, site):
    site.shell(ANSWERED)
    alice = visit("alice", "/chat/Answered/")
    page, log = alice.page, alice.log("Answered")
    message = log.locator("[data-part=messages] .message")
    expect(log.get_by_role("link", name="Reply to bob: text 60", exact=True)).to_be_visible()
    log.evaluate("(log) => { log.scrollTop = 0; }")
    answers = message.filter(has=page.locator(".reply-to"))
    expect(answers).to_have_count(60)
    expect(
        log.get_by_role("link", name=re.compile("^Reply to a message that isn't available any more$"))
    ).to_have_count(5)
    expect(log.get_by_role("link", name="Reply to a deleted message", exact=True)).to_have_count(1)
    expect(log.get_by_role("link", name="Reply to bob: another wording", exact=True)).to_have_count(1)
    # One question for each page of history, and no text of what is gone.
    assert len(alice.commands("quote")) <= 3
    assert sum(len(command["seqs"]) for command in alice.commands("quote")) <= 65
    # What is quoted, and who reacted, turn nothing beside them.
    turned = answers.filter(has_text="text 78")
    quote, name = turned.locator(".reply-to bdi"), turned.locator(".reply-to b")
    assert quote.evaluate("(quote) => getComputedStyle(quote).unicodeBidi") == "isolate"
    assert name.bounding_box()["x"] < quote.bounding_box()["x"]
    reaction = answers.nth(58).get_by_role("button", name=re.compile("2$"))
    expect(reaction).to_have_attribute("title", "\u2068\u2068\u202etrickster\u2069\u2069 and bob")
    # A copy has names, times and texts: no reactions, no quotes, and no "(edited)".
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    log.evaluate(
        """(log) => {
          const texts = [...log.querySelectorAll('[data-part=messages] [data-part=text]')].slice(-3);
          getSelection().setBaseAndExtent(texts[0], 0, texts[2], texts[2].childNodes.length);
        }"""
    )
    page.keyboard.press("Control+c")
    by = f"bob, {message.last.locator('time').inner_text()}"
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{by}\ntext 128\n\n{by}\nbetter\n\n{by}\ntext 130"
    if folder := os.environ.get("PICTURES"):
        turned.scroll_into_view_if_needed()
        page.screenshot(path=f"{folder}/answered.png")
        log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")
        page.screenshot(path=f"{folder}/answered-end.png")
    assert alice.problems == []
