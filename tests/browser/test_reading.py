"""How a message is read: its text as nodes, folded, from right to left, copied and printed."""

import os

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations

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
    link = log.get_by_role("link", name=ADDRESS, exact=True)
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
    assert violations(alice.page) == []
    if folder := os.environ.get("PICTURES"):
        alice.page.screenshot(path=f"{folder}/reading.png")

