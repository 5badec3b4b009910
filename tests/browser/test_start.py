"""The page starts, or explains why it does not."""

import shutil

from playwright.sync_api import expect

from tests.browser.conftest import Site, Visitor, sign_in
from tests.browser.test_delivery import post

INCOMPLETE = "Part of this page could not be loaded. Check your connection, then reload the page."


def test_a_script_that_fails_to_load_is_reported_with_a_reload_button(visit):
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


def test_an_error_while_the_page_starts_is_reported(visit):
    bob = visit("bob", "/healthz")
    bob.page.add_init_script("customElements.define = () => { throw new Error('planted'); }")
    bob.goto("/?rooms=")
    expect(bob.page.get_by_role("alert")).to_have_text(INCOMPLETE)
    assert bob.problems == ["planted"]
    bob.problems.clear()


def test_an_old_browser_is_shown_which_versions_are_supported(visit):
    bob = visit("bob", "/healthz")
    for without in (
        "delete HTMLElement.prototype.popover",
        "delete Intl.Segmenter",
        "delete Element.prototype.checkVisibility",
        "CSS.supports = (name, value) => !String(value).startsWith('light-dark')",
        "delete HTMLScriptElement.supports",
    ):
        page = bob.page.context.new_page()
        page.add_init_script(without)
        page.goto(bob.site.url + "/?rooms=")
        expect(page.locator("#start-trouble")).to_contain_text("Chrome 125, Firefox 128 or Safari 17.5")
        page.close()


def test_the_script_that_checks_the_browser_runs_in_an_old_one(visit):
    """A browser parses the whole script first, so newer syntax anywhere would silence it."""
    bob = visit("bob", "/?rooms=")
    source = bob.page.evaluate("[...document.scripts].find((e) => e.text.includes('isSupported')).text")
    newer = ("=>", "`", "let ", "const ", "...", "?.", "??", "class ", "async ", "for (var of")
    assert [piece for piece in newer if piece in source] == []


def test_the_page_says_that_it_needs_javascript(browser, visit, site):
    state = visit("bob", "/healthz").page.context.storage_state()
    context = browser.new_context(java_script_enabled=False, storage_state=state)
    page = context.new_page()
    page.goto(site.url + "/?rooms=")
    expect(page.locator("noscript p")).to_be_visible()
    for words in ("Connecting…", "Choose a room"):
        expect(page.get_by_text(words)).to_be_hidden()
    context.close()


def test_a_page_older_than_its_server_offers_the_new_version(browser, tmp_path, collected):
    shutil.copytree(collected, tmp_path / "static")
    site = Site(tmp_path)
    site.start()
    try:
        page = browser.new_page()
        bob = Visitor(page, site)
        sign_in(page, site, "bob")
        bob.expect_state("Connected")
        notice = page.get_by_text("A new version of this page is available.")
        expect(notice).to_have_count(0)
        # An upgrade: other static files, and another server.
        site.stop()
        manifest = tmp_path / "static/staticfiles.json"
        text = manifest.read_text()
        version = bob.page.evaluate("JSON.parse(document.getElementById('config').textContent).version")
        assert f'"hash": "{version}"' in text
        manifest.write_text(text.replace(version, "0123456789ab"))
        site.start()
        page.evaluate("dispatchEvent(new Event('online'))")
        expect(notice).to_be_visible()
        page.get_by_role("button", name="Reload").click()
        bob.expect_state("Connected")
        assert bob.page.evaluate("JSON.parse(document.getElementById('config').textContent).version") == "0123456789ab"
        expect(notice).to_have_count(0)
        assert bob.problems == []
        page.close()
    finally:
        site.end()


def test_days_and_times_follow_a_change_of_the_time_zone(visit, site):
    bob = visit("bob", "/healthz", locale="en-GB")
    devtools = bob.page.context.new_cdp_session(bob.page)
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Tokyo"})
    bob.goto("/chat/Lobby/")
    post(site, ("Lobby", 1, 1))
    time = bob.log("Lobby").locator(".message time")
    expect(time).to_have_count(1)
    at = time.get_attribute("datetime")
    shown = "(zone) => new Intl.DateTimeFormat('en-GB', {hour: 'numeric', minute: '2-digit', timeZone: zone})"
    format_time = f"([at, zone]) => ({shown})(zone).format(new Date(at))"
    expect(time).to_have_text(bob.page.evaluate(format_time, [at, "Asia/Tokyo"]))
    devtools.send("Emulation.setTimezoneOverride", {"timezoneId": "America/Los_Angeles"})
    expect(time).to_have_text(bob.page.evaluate(format_time, [at, "America/Los_Angeles"]))
