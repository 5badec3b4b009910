"""The page starts, or explains why it does not."""

import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import signed_in
from tests.servers.quantities import IS_FULL

INCOMPLETE = "Part of this page could not be loaded. Check your connection, then reload the page."


def test_a_script_that_fails_to_load_or_to_start_is_reported_with_a_reload_button(visit):
    bob = visit("bob", "/healthz")
    for name in ("chat/main.*.js", "vendor/reconnecting-websocket/*"):  # our bundle, and the package that it imports
        bob.page.route(f"**/static/{name}", lambda route: route.abort())
        bob.goto("/?rooms=")
        expect(bob.page.get_by_role("alert")).to_have_text(INCOMPLETE)
        for words in ("Connecting…", "Choose a room"):
            expect(bob.page.get_by_text(words)).to_be_hidden()
        bob.page.unroute(f"**/static/{name}")
    bob.page.get_by_role("button", name="Reload").click()
    bob.expect_state("Connected")
    expect(bob.page.get_by_role("alert")).to_have_count(0)
    # An error while the page starts.
    bob.page.add_init_script("customElements.define = () => { throw new Error('planted'); }")
    bob.goto("/?rooms=")
    expect(bob.page.get_by_role("alert")).to_have_text(INCOMPLETE)
    assert bob.problems == ["planted"]
    bob.problems.clear()


def test_a_missing_script_is_reported_after_20_seconds_until_it_arrives(visit):
    bob = visit("bob", "/healthz", keep=False)
    held = []
    bob.page.route("**/vendor/reconnecting-websocket/*", lambda route: held.append(route))
    bob.page.clock.install()
    with bob.page.expect_request("**/vendor/reconnecting-websocket/*"):
        bob.page.goto(f"{bob.site.url}/?rooms=", wait_until="commit")
    expect(bob.page.get_by_text("Connecting…")).to_be_visible()
    bob.page.clock.fast_forward(21_000)
    expect(bob.page.get_by_role("alert")).to_have_text(INCOMPLETE)
    held[0].continue_()
    bob.page.clock.resume()
    bob.expect_state("Connected")
    expect(bob.page.get_by_role("alert")).to_have_count(0)


# Each leaves one thing out that the page needs.
OLD = [
    "delete HTMLElement.prototype.popover",
    "delete Intl.Segmenter",
    "delete Element.prototype.checkVisibility",
    "delete Array.prototype.findLastIndex",
    "CSS.supports = (name, value) => !String(value).startsWith('light-dark')",
    "CSS.supports = (name, value) => !String(value).startsWith('round')",
    "CSS.supports = (name, value) => value !== undefined",
    "delete HTMLScriptElement.supports",
]


def test_an_old_browser_is_shown_which_versions_are_supported(visit):
    bob = visit("bob", "/?rooms=")
    source = bob.page.evaluate("[...document.scripts].find((e) => e.text.includes('isSupported')).text")
    # A browser parses the whole script first, so newer syntax anywhere would silence it.
    newer = ("=>", "`", "let ", "const ", "...", "?.", "??", "class ", "async ", "for (var of")
    assert [piece for piece in newer if piece in source] == []
    for without in ("", *OLD):
        bob.goto("/healthz")
        bob.page.evaluate(f"() => {{ {without}; {source}; }}")
        assert bob.page.evaluate("window.multichatIsTooOld === true") == bool(without), without
    # The whole page, which may start nevertheless.
    for without in OLD if IS_FULL else OLD[:1]:
        page = bob.page.context.new_page()
        page.add_init_script(without)
        page.goto(bob.site.url + "/?rooms=")
        expect(page.locator("#start-trouble")).to_contain_text("Chrome 125, Firefox 128 or Safari 17.5")
        page.close()


def test_the_page_says_that_it_needs_javascript(browser, site):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in(browser, site, "bob"))
    page = context.new_page()
    page.goto(site.url + "/?rooms=")
    expect(page.locator("noscript p")).to_be_visible()
    for words in ("Connecting…", "Choose a room"):
        expect(page.get_by_text(words)).to_be_hidden()
    context.close()


@pytest.fixture
def upgraded(site, collected, tmp_path):
    """Let a test restart the server with other static files, and restart it at the end with those it had."""
    environment = site.environment

    def upgrade(version, later):
        shutil.copytree(collected, tmp_path / "static")
        manifest = tmp_path / "static/staticfiles.json"
        text = manifest.read_text()
        assert f'"hash": "{version}"' in text
        manifest.write_text(text.replace(version, later))
        site.environment = environment | {"STATIC_ROOT": str(tmp_path / "static")}
        site.stop()
        site.start()

    yield upgrade
    site.environment = environment
    site.stop()
    site.start()


def test_a_page_older_than_its_server_offers_the_new_version(upgraded, visit):
    bob = visit("bob")
    bob.expect_state("Connected")
    version = "JSON.parse(document.getElementById('config').textContent).version"
    notice = bob.page.get_by_text("A new version of this page is available.")
    expect(notice).to_have_count(0)
    upgraded(bob.page.evaluate(version), "0123456789ab")
    bob.page.evaluate("dispatchEvent(new Event('online'))")
    expect(notice).to_be_visible()
    bob.page.get_by_role("button", name="Reload").click()
    bob.expect_state("Connected")
    assert bob.page.evaluate(version) == "0123456789ab"
    expect(notice).to_have_count(0)
