"""How a message is read: its text as nodes, folded, from right to left, copied and printed."""

import json
import os
import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.judging import violations_in_part
from tests.browser.test_delivery import change

ADDRESS = "https://grafana.ops.example.com/d/" + "dashboard/" * 8 + "panel?from=now-6h"
SNIPPET = "def f(x):\n    return x  # " + "a long comment " * 20
MARKED = f"""**Deploy** of *db-2* ~~failed~~ is back, see {ADDRESS}.
1. run `make *all*`
2. ask @alice, not `@alice`

> quoted [runbook](https://wiki.example/x)

```py
{SNIPPET}
```"""


def post(site, room, *texts, author="bob"):
    site.shell(
        f"""
from django.contrib.auth.models import User
from chat.models import Room
from chat.store import actions
room = Room.objects.filter(title={room!r}).first() or Room.objects.create(title={room!r})
author = User.objects.get(username={author!r})
for text in {list(texts)!r}:
    actions.post_message(room, author, text)
"""
    )


def width(locator):
    return locator.evaluate("(element) => element.getBoundingClientRect().width")


def test_a_text_is_typeset_as_nodes(visit, site):
    post(site, "Reading", MARKED, "plain  text\n\nas typed")
    alice = visit("alice", "/chat/Reading/")
    log, texts = alice.log("Reading"), alice.texts("Reading")
    expect(texts.last).to_have_text("plain  text\n\nas typed", use_inner_text=False)
    assert texts.last.evaluate("(element) => element.textContent") == "plain  text\n\nas typed"
    link = log.get_by_role("link", name=ADDRESS)
    expect(link).to_have_attribute("href", ADDRESS)
    expect(link).to_have_attribute("title", ADDRESS)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    shown = link.inner_text()
    assert shown.startswith("https://grafana.ops.example.com/") and "…" in shown and len(shown) < 60, shown
    expect(log.get_by_role("link", name="runbook (wiki.example)", exact=True)).to_be_visible()
    for tag, text in (("strong", "Deploy"), ("em", "db-2"), ("del", "failed"), ("mark", "@alice")):
        expect(log.locator(f"[data-part=text] {tag}")).to_have_text(text)
    expect(log.locator("li code")).to_have_text(["make *all*", "@alice"])
    # Code scrolls sideways, and its pane does not.
    code = log.locator("pre")
    assert code.evaluate("(pre) => pre.scrollWidth > pre.clientWidth + 100")
    assert code.locator("code").inner_text() == SNIPPET
    assert log.evaluate("(log) => log.scrollWidth <= log.clientWidth")
    # Tab goes from the log to no message's link, and from a focused message to its own.
    log.focus()
    for key in ("ArrowUp", "ArrowUp", "Tab"):
        alice.page.keyboard.press(key)
    expect(link).to_be_focused()
    alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    log.get_by_role("button", name="Copy code").click()
    expect(log.get_by_role("button", name="Copied")).to_be_visible()
    assert alice.page.evaluate("navigator.clipboard.readText()") == SNIPPET
    assert violations_in_part(alice.page, "message-list") == []
    # Its own fold: about twenty lines.
    post(site, "Reading", "line\n" * 22, "line\n" * 30 + "the end")
    expect(alice.texts("Reading")).to_have_count(4)
    expect(log.get_by_role("button", name="Show all")).to_have_count(1)
    if folder := os.environ.get("PICTURES"):
        alice.page.screenshot(path=f"{folder}/reading.png")


# Texts of 32 KiB: how long it takes to parse each and make its nodes, in ms. The best of some rounds counts, because
# the machine does other work too.
HOSTILE = r"""async () => {
  const { showText } = await import(new URL("/source/log/text.js", location.href));
  const size = 32 * 1024;
  const nested = Array.from({ length: 255 }, (_, depth) => ">".repeat(depth) + "a").join("\n");
  const parts = ["> ", "*", "`", "http://a.b ", "@a ", "**_a_ ~~b~~ ", "- a\n", "> a\n\n", "|\n"];
  const texts = ["[".repeat(10_000), nested, ...parts.map((part) => part.repeat(size / part.length))];
  return texts.map((text) => {
    const rounds = Array.from({ length: 7 }, () => {
      const holder = document.createElement("div").appendChild(document.createElement("div"));
      const start = performance.now();
      showText(holder, text, new Map([["A", true], ["a", true], ["bob", false]]));
      return performance.now() - start;
    });
    return [Math.min(...rounds), text.slice(0, 20)];
  });
}"""


# How many texts have as their nodes' text what their blocks have, and those that differ. Links are shown shortened.
SHOWN = r"""async (texts) => {
  const { showText } = await import(new URL("/source/log/text.js", location.href));
  const { textOf, typeset } = await import(new URL("/source/model/typeset.js", location.href));
  const textOfBlock = (block) => block.kind === "paragraph" ? textOf(block.nodes)
    : block.kind === "quote" ? block.blocks.map(textOfBlock).join("")
    : block.kind === "list" ? block.items.flatMap((item) => item.blocks.map(textOfBlock)).join("")
    : block.text;
  const names = new Map(["alice", "bob", "ALICE", "BOB", "all"].map((name) => [name, true]));
  let same = 0, marks = 0;
  const others = [];
  for (const text of texts) {
    const element = document.createElement("div").appendChild(document.createElement("div"));
    showText(element, text, names);
    marks += element.querySelectorAll("mark").length;
    if (element.querySelector("a")) continue;
    for (const button of element.querySelectorAll("button")) button.remove();
    if (element.textContent === typeset(text).map(textOfBlock).join("")) same += 1;
    else others.push([text, element.textContent]);
  }
  return { same, marks, others };
}"""
CASES = json.loads((Path(__file__).parents[1] / "typeset.json").read_text())
PLAIN = [
    "plain  text\n\nas typed",
    "hi @bob, @ALICE and @nobody",
    "\u202eturned\n\u2069 שלום @bob",
    "a\r\n\tb \n\n\n",
    "<b>",
]


def test_the_nodes_of_each_text_have_its_text_and_those_of_a_hostile_one_are_made_in_10_ms(visit):
    """The page imports the modules as they are written, because the server has only the bundle."""
    bob = visit("bob", "/healthz")
    source = Path(__file__).parents[2] / "static/chat"
    bob.page.route(
        "**/source/**", lambda route: route.fulfill(path=source / route.request.url.partition("/source/")[2])
    )
    bob.goto("/?rooms=")
    # Also where names are marked.
    shown = bob.page.evaluate(SHOWN, [case["text"] for case in CASES] + PLAIN)
    assert shown["others"] == []
    assert shown["same"] > 100 and shown["marks"] > 2
    assert [entry for entry in bob.page.evaluate(HOSTILE) if entry[0] >= 10] == []


def test_directions_stay_within_their_paragraph_and_hidden_words_of_warnings_and_alerts_decide_none(visit, site):
    reverse = "\u202ereversed\u2069\u2069"
    post(site, "Third", f"@alice {reverse}", "שלום @alice", "hello\nשלום עולם\nhello", "Z" + "\u0351" * 60 + "algo")
    site.shell(
        "from django.contrib.auth.models import User; from chat.models import Room\n"
        "bob, room = User.objects.get(username='bob'), Room.objects.get(title='Lobby')\n"
        "for kind in (1, 2): room.send_message('שלום עולם @alice', bob, kind)\n"
        "for kind in (1, 2): room.send_message('hello @alice', bob, kind)"
    )
    alice = visit("alice", site.address("Third", "Lobby"))
    log, texts = alice.log("Third"), alice.texts("Third")
    direction = "(element) => getComputedStyle(element).direction"
    expect(log.get_by_text("Mentions you")).to_have_count(2)
    assert [text.evaluate(direction) for text in log.locator(".text").all()] == ["ltr", "rtl", "ltr", "ltr"]
    assert [line.evaluate(direction) for line in texts.nth(2).locator("p").all()] == ["ltr", "rtl", "ltr"]
    assert texts.nth(2).evaluate("(element) => element.textContent") == "hello\nשלום עולם\nhello"
    stacked = log.locator(".text").nth(3)
    assert stacked.evaluate("(element) => getComputedStyle(element).overflowY") == "clip"
    # A name of hostile signs turns nothing beside it.
    site.shell("from django.contrib.auth.models import User; User.objects.create(username='\u202eevil\u2069\u202e')")
    post(site, "Third", "by another", author="\u202eevil\u2069\u202e")
    by = log.locator(".by").last
    expect(by).to_contain_text("evil")
    name, time = by.locator("[data-part=author]").bounding_box(), by.locator("time").bounding_box()
    assert name["x"] + name["width"] <= time["x"]
    # Warnings and alerts say what they are, by words that decide no direction.
    expect(alice.texts("Lobby")).to_have_count(4)
    expect(alice.log("Lobby").get_by_text("Mentions you")).to_have_count(4)
    assert [text.evaluate(direction) for text in alice.texts("Lobby").all()] == ["rtl", "rtl", "ltr", "ltr"]
    # A name keeps its @ also between letters of the other direction.
    assert {mark.evaluate(direction) for mark in alice.texts("Lobby").locator("mark").all()} == {"ltr"}
    pinned = alice.pane("Lobby").locator(".pinned [data-part=text]")
    expect(pinned).to_have_text(["שלום עולם @alice", "hello @alice"])
    assert [text.evaluate(direction) for text in pinned.all()] == ["rtl", "ltr"]
    # What an operator says from the command line.
    for kind in ("warning", "alert", "muted"):
        site.manage("say", "Lobby", f"a {kind}", "--type", kind)
    expect(alice.log("Lobby").locator(".warning").last).to_contain_text("Warning")
    expect(alice.log("Lobby").locator(".note.alert").last).to_contain_text("Alert")
    expect(alice.log("Lobby").locator(".muted").last).to_contain_text("Muted: a muted")
    expect(alice.log("Lobby").locator(".muted").last).to_contain_text("System")
    expect(alice.log("Lobby").locator(".muted .avatar").last).to_have_text("✦")
    if not alice.page.evaluate("'ariaNotify' in document"):
        expect(alice.page.locator("[data-part=announcer]")).to_contain_text("System in Lobby: a muted")


TRAVEL = """
import uuid
from django.contrib.auth.models import User
from chat.models import Room
from chat.store import actions, log
bob = User.objects.get(username="bob")
there = Room.objects.create(title="\\u202eElsewhere\\u2069")
here = Room.objects.create(title="Here and now")
seq = actions.post_message(there, bob, "the quoted text")
quoted = {"source_room": there.pk, "source_seq": seq}
with log.append([here.pk]) as batch:
    author = {"author_id": bob.pk, "username": "bob", "client_id": uuid.uuid4()}
    batch.post(batch.rooms[here.pk], body="see", **quoted, **author)
actions.post_message(here, bob, "an alarm", msg_type=2)
"""
TIME_IN = """([at, timeZone]) =>
  new Intl.DateTimeFormat('en-US', {hour: 'numeric', minute: '2-digit', timeZone}).format(new Date(at))"""


def test_times_of_messages_alerts_quotes_and_hits_follow_the_reader_to_another_zone(visit, site):
    site.shell(TRAVEL)
    alice = visit("alice", "/healthz")
    page, pane = alice.page, alice.pane("Here and now")
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    alice.goto("/chat/Here and now/")
    time = pane.locator("message-list .message time").first
    at = time.get_attribute("datetime")
    expect(time).to_have_text(page.evaluate(TIME_IN, [at, "Asia/Tokyo"]))
    page.keyboard.press("Control+k")
    page.keyboard.type("quoted")
    page.get_by_role("option", name="Search messages for “quoted”").click()
    hit = page.get_by_role("region", name="Search results").locator("time")
    # The title and its author turn nothing beside them.
    head = pane.locator("message-list .quote .head")
    expect(head).to_have_text(re.compile("^\u2068\u202eElsewhere\u2069 · bob · "))
    pinned = pane.locator(".pinned [data-part=by]")
    shown = [(head, head.inner_text()), (pinned, pinned.inner_text())]
    title = hit.get_attribute("title")
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kathmandu"})
    expect(time).to_have_text(page.evaluate(TIME_IN, [at, "Asia/Kathmandu"]))
    for element, before in shown:
        expect(element).not_to_have_text(before)
    expect(hit).not_to_have_attribute("title", title)


SELECT = """([log, from, to]) => {
  const texts = log.querySelectorAll('[data-part=messages] [data-part=text]');
  const start = texts[from].firstChild, end = texts[to].lastChild;
  getSelection().setBaseAndExtent(start, 2, end, end.length);
}"""


def test_a_selection_is_copied_and_a_pane_is_printed(visit, site):
    post(site, "Copies", "the first", f"**second** {ADDRESS}", "deleted", "the last")
    change(site, ("Copies", [(3, None)]))
    alice = visit("alice", "/chat/Copies/")
    alice.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    log = alice.log("Copies")
    expect(alice.texts("Copies")).to_have_count(4)
    handle = log.element_handle()
    alice.page.evaluate(SELECT, [handle, 0, 3])
    alice.page.keyboard.press("Control+c")
    by = [f"bob, {time}" for time in log.locator("time").all_text_contents()]
    expected = f"{by[0]}\ne first\n\n{by[1]}\n**second** {ADDRESS}\n\n{by[3]}\nthe last"
    assert alice.page.evaluate("navigator.clipboard.readText()") == expected
    message = log.locator(".message").first
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    alice.page.get_by_role("menuitem", name="Copy as Markdown").click()
    copied = alice.page.evaluate("navigator.clipboard.readText()")
    assert copied.count("**bob** · [20") == 3 and copied.endswith("\n\nthe last\n"), copied
    assert f"]({site.url}/?rooms=" in copied and "\n\nthe first\n" in copied
    # On paper.
    alice.page.evaluate(
        "() => { window.print = () => { window.printed = document.querySelector('.printed').ariaLabel; }; }"
    )
    alice.pane("Copies").get_by_role("button", name="More", exact=True).click()
    alice.page.get_by_role("menuitem", name="Print").click()
    assert alice.page.evaluate("window.printed") == "Copies"
    alice.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    alice.page.emulate_media(media="print")
    expect(alice.pane("Copies").get_by_text("Messages from")).to_be_visible()
    expect(alice.box("Copies")).to_be_hidden()
    expect(alice.page.get_by_role("navigation", name="Rooms")).to_be_hidden()
    assert log.evaluate("(log) => log.scrollHeight <= log.clientHeight")
    alice.page.evaluate("dispatchEvent(new Event('afterprint'))")
    alice.page.emulate_media(media="screen")
    expect(alice.box("Copies")).to_be_visible()
