"""The page in German: every sentence that it shows and reads out, its dates and plurals, and refusals of the server."""

import os
import re
from functools import cache

from playwright.sync_api import expect

from tests.browser.test_accessibility import violations
from tests.servers.quantities import IS_FULL
from tests.test_languages import ROOT, entries

# Every text and every attribute that is read out, of the whole document.
WORDS = """() => {
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node instanceof Text && !node.parentElement.closest('script, style, template')) found.add(node.data);
    else if (node instanceof Element)
      for (const name of ['aria-label', 'title', 'placeholder', 'alt', 'aria-description'])
        found.add(node.getAttribute(name) ?? '');
  }
  return [...found].map((text) => text.replace(/\\s+/g, ' ').trim()).filter(Boolean);
}"""


@cache
def english():
    """Return the sentences whose German differs, without those that have placeholders."""
    found: set[str] = set()
    for domain in ("django", "djangojs"):
        for key, texts in entries(ROOT / f"locale/de/LC_MESSAGES/{domain}.po"):
            sentence = key[-1]
            if "{" not in sentence and "%(" not in sentence and sentence not in texts:
                found.add(re.sub(r"\s+", " ", sentence).strip())
    # Words that are the same sentence in both languages somewhere.
    translated = {
        text
        for domain in ("django", "djangojs")
        for _, texts in entries(ROOT / f"locale/de/LC_MESSAGES/{domain}.po")
        for text in texts
    }
    return found - translated - {"Staff"}  # a room's title


def look(page, name):
    """Assert that a page says nothing in English, and keep a picture if PICTURES names a folder."""
    assert sorted(english() & set(page.evaluate(WORDS))) == []
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/german-{name}.png", full_page=True)


def test_the_page_is_german_from_the_login_to_a_refusal(visit, site):
    alice = visit("alice", "/?rooms=", locale="de-DE", timezone_id="Europe/Berlin")
    page = alice.page
    page.get_by_role("navigation", name="Räume").get_by_role("button", name="Lobby", exact=True).click()
    box = page.get_by_role("textbox", name="Nachricht an Lobby", exact=True)
    box.fill("Guten Morgen")
    box.press("Enter")
    log = page.get_by_role("region", name="Lobby", exact=True).get_by_role("log")
    expect(log.get_by_text("Guten Morgen")).to_be_visible()
    expect(log.get_by_text("Heute")).to_be_visible()
    expect(log.locator("time").first).to_have_attribute("title", re.compile("^(Mittwoch|[A-Z][a-z]+tag), "))
    expect(page.get_by_role("status").filter(has_text="Verbunden")).to_be_visible()
    box.fill("a" * 4001)
    box.press("Enter")
    expect(page.get_by_text(re.compile(r"4\.001 Zeichen.*4\.000"))).to_be_visible()
    box.fill("")
    look(page, "page")
    message = log.locator(".message").first
    message.hover()
    page.keyboard.press("Escape")
    message.click(button="right")
    look(page, "menu")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("lob")
    expect(page.get_by_role("option", name="Lobby").first).to_be_visible()
    look(page, "find")
    page.keyboard.press("Escape")
    if IS_FULL:  # test_accessibility.py judges this page and the login in English
        assert violations(page) == []
    page.set_viewport_size({"width": 360, "height": 640})
    look(page, "phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"{site.url}/admin/chat/room/")
    expect(page.get_by_role("img", name="Suchen", exact=True)).to_be_visible()
    look(page, "admin")

    # The user's own choice counts more than the browser's.
    page.set_viewport_size({"width": 1280, "height": 720})
    page.goto(f"{site.url}/accounts/")
    look(page, "account")
    page.get_by_label("Sprache").select_option("en")
    page.get_by_role("button", name="Darstellung speichern").click()
    expect(page.get_by_role("heading", name="Appearance")).to_be_visible()
    page.goto(f"{site.url}/?rooms=1")
    expect(page.get_by_role("navigation", name="Rooms")).to_be_visible()
    expect(page.get_by_role("log").get_by_text("Today")).to_be_visible()
    page.goto(f"{site.url}/accounts/")
    page.get_by_label("Language").select_option("")
    page.get_by_role("button", name="Save appearance").click()
    expect(page.get_by_role("heading", name="Darstellung")).to_be_visible()

    page.context.clear_cookies()
    page.goto(site.url)
    expect(page.get_by_role("button", name="Anmelden", exact=True)).to_be_visible()
    look(page, "login")
    if IS_FULL:
        assert violations(page) == []
