"""Typed text stays with its room and its tab, whatever happens to either, and never disappears."""

import re

from playwright.sync_api import expect

from tests.browser.test_delivery import change, post, swallow_sends
from tests.browser.test_log import measure
from tests.servers.quantities import IS_FULL

NEW_LOG = """
from chat.models import Room
Room.objects.filter(title={title!r}).update(title={new!r}, title_key={key!r}, epoch="other")
"""
IS_GUARDED = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"


def make(site, *titles, **fields):
    site.shell(f"from chat.models import Room\nfor title in {titles!r}: Room.objects.create(title=title, **{fields!r})")


def quotes(visitor):
    return visitor.page.locator(".notice blockquote:visible")


def drafts(visitor):
    return visitor.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('.draft.')).length")


def test_keys_go_nowhere_after_the_focused_room_is_closed(visit, site):
    bob = visit("bob")
    # Without another pane, and beside one.
    for number, others in enumerate(([], ["Lobby"])):
        make(site, f"Secret {number}")
        bob.open(*others, f"Secret {number}")
        bob.page.keyboard.type(f"the root {number}")
        site.shell(f"from chat.models import Room; Room.objects.get(title='Secret {number}').delete()")
        expect(bob.pane(f"Secret {number}")).to_have_count(0)
        bob.page.keyboard.type("password\nis hunter2\n")
        for key in ("Space", "ArrowDown", "ArrowUp", "Enter", "Escape", "x", "Space"):
            bob.page.keyboard.press(key)
        assert bob.commands("send") == []
        expect(bob.page.get_by_role("region")).to_have_count(len(others))
        for title in others:
            expect(bob.box(title)).to_have_value("")
        expect(quotes(bob)).to_have_text([f"the root {number}" for number in range(number + 1)])
        bob.page.keyboard.press("Tab")
        assert bob.page.evaluate("document.activeElement !== document.querySelector('main')")


def test_messages_and_drafts_of_a_replaced_room_or_log_are_offered_back(visit, site):
    make(site, "Secret")
    bob = visit("bob", "/healthz")
    bob.page.route_web_socket("**/chat/stream/**", swallow_sends)
    bob.goto("/chat/Secret/")
    bob.say("Secret", "never in public")
    bob.box("Secret").fill("half a secret")
    expect(bob.unsent("Secret")).to_have_count(1)
    site.shell(NEW_LOG.format(title="Secret", new="Public", key="public"))
    context = bob.page.context
    bob.page.close()
    bob = visit("bob", "/chat/Public/", context=context)
    expect(quotes(bob)).to_have_text(["never in public", "half a secret"])
    for at in range(2):
        expect(bob.page.locator(".notice").nth(at)).to_contain_text("“Secret”")
    expect(bob.box("Public")).to_have_value("")
    expect(bob.unsent("Public")).to_have_count(0)
    bob.say("Public", "hello")
    expect(bob.texts("Public")).to_have_text(["hello"])
    for _ in range(2):
        bob.page.get_by_role("button", name="Discard").first.click()
    expect(bob.page.locator(".notice")).to_have_count(0)
    bob.page.reload()
    expect(bob.texts("Public")).to_have_text(["hello"])
    expect(bob.page.locator(".notice")).to_have_count(0)
    # The log of an open pane is replaced, so what was typed is offered back, and no key goes into the new log.
    bob.expect_state("Connected")
    bob.box("Public").press_sequentially("the root ")
    site.manage("new_epoch")
    expect(bob.box("Public")).to_have_value("")
    bob.page.keyboard.type("password\n")
    expect(quotes(bob)).to_have_text(["the root "])
    assert [command["message"] for command in bob.commands("send")] == ["hello"]


def test_two_tabs_send_a_draft_that_they_share_once_and_keep_a_draft_each(visit, site):
    make(site, "Both")
    one = visit("bob", "/chat/Both/")
    one.box("Both").fill("only once")
    two = visit("bob", "/chat/Both/", context=one.page.context)
    expect(two.box("Both")).to_have_value("only once")
    one.box("Both").press_sequentially(", please")
    expect(two.box("Both")).to_have_value("only once, please")
    two.box("Both").press("Enter")
    expect(one.box("Both")).to_have_value("")
    one.box("Both").press("Enter")
    expect(one.texts("Both")).to_have_text(["only once, please"])
    assert drafts(one) == 0
    # Each tab has a draft of its own.
    one.box("Both").fill("a long report that took ten minutes")
    two.box("Both").fill("ok")
    one.page.reload()
    expect(one.box("Both")).to_have_value("a long report that took ten minutes")
    two.box("Both").press("Enter")
    expect(one.texts("Both")).to_have_text(["only once, please", "ok"])
    expect(one.box("Both")).to_have_value("a long report that took ten minutes")
    one.page.close()
    # A new tab takes over the draft of a closed one, once.
    three = visit("bob", "/chat/Both/", context=two.page.context)
    expect(three.box("Both")).to_have_value("a long report that took ten minutes")
    three.box("Both").press_sequentially(" more")
    assert drafts(three) == 1
    # It is stored again after the storage was emptied.
    three.page.evaluate("localStorage.clear()")
    three.page.reload()
    expect(three.box("Both")).to_have_value("a long report that took ten minutes more")
    expect(three.page.locator(".notice")).to_have_count(0)
    assert drafts(three) == 1


def test_an_edit_is_kept_like_a_draft(visit, site):
    make(site, "Edit")
    for text in ("first", "second"):
        site.manage("say", "Edit", text, "--user", "bob")
    bob = visit("bob", "/chat/Edit/")
    expect(bob.texts("Edit")).to_have_text(["first", "second"])
    box = bob.box("Edit")
    editing = bob.pane("Edit").locator("[data-part=editing]")
    unfinished = bob.pane("Edit").locator("[data-part=unfinished]")
    box.press("ArrowUp")
    box.fill("second, better")
    bob.page.reload()
    expect(box).to_have_value("second, better")
    expect(editing).to_be_visible()
    # An Escape for the input method does nothing here. A plain one cancels the edit, and can be undone.
    for kind in ("isComposing: true", "keyCode: 229"):
        box.evaluate(f"(e) => e.dispatchEvent(new KeyboardEvent('keydown', {{key: 'Escape', bubbles: true, {kind}}}))")
    expect(box).to_have_value("second, better")
    box.press("Escape")
    expect(box).to_have_value("")
    expect(editing).to_be_hidden()
    unfinished.get_by_role("button", name="Continue").click()
    expect(box).to_have_value("second, better")
    # "Edit" on another message keeps this edit.
    bob.log("Edit").locator(".message").first.hover()
    bob.log("Edit").locator(".message").first.get_by_role("button", name="More about this message").click()
    bob.page.get_by_role("menuitem", name="Edit").click()
    expect(box).to_have_value("first")
    expect(unfinished).to_be_visible()
    bob.pane("Edit").get_by_role("button", name="Close").click()
    bob.open("Edit")
    expect(box).to_have_value("")
    unfinished.get_by_role("button", name="Continue").click()
    box.press("Enter")
    expect(bob.texts("Edit")).to_have_text(["first", "second, better"])
    expect(unfinished).to_be_hidden()
    expect(box).to_have_value("")
    assert drafts(bob) == 0
    # When the room is closed to its author, the edit is offered back, also after a reload.
    box.press("ArrowUp")
    box.fill("second, best")
    site.shell(
        "from chat.models import Room; Room.objects.filter(title='Edit').update(staff_only=True)\n"
        "Room.objects.get(title='Edit').save()"
    )
    expect(quotes(bob)).to_have_text(["second, best"])
    bob.page.reload()
    expect(quotes(bob)).to_have_text(["second, best"])


def test_a_message_that_changes_while_it_is_edited_says_so_and_keeps_the_text(visit, site):
    make(site, "Changing")
    for text in ("far", "near"):
        site.manage("say", "Changing", text, "--user", "bob")
    bob = visit("bob", "/chat/Changing/")
    box, reason = bob.box("Changing"), bob.pane("Changing").locator("[data-part=reason]")
    expect(bob.texts("Changing")).to_have_text(["far", "near"])
    box.press("ArrowUp")
    box.fill("mine")
    change(site, ("Changing", [(2, "from my phone")]))
    expect(reason).to_contain_text("from my phone")
    expect(box).to_have_value("mine")
    change(site, ("Changing", [(2, None)]))
    expect(reason).to_contain_text("was deleted")
    box.press("Enter")
    expect(reason).to_contain_text("was deleted")
    expect(box).to_have_value("mine")
    assert bob.commands("edit") == []
    # So also where the message is outside the part of the log that is shown.
    box.press("Escape")
    box.press("ArrowUp")
    expect(box).to_have_value("far")
    box.fill("mine too")
    bob.goto("/healthz")
    post(site, ("Changing", 3, 120))
    bob.goto("/chat/Changing/")
    expect(bob.texts("Changing").last).to_have_text("text 120")
    expect(bob.texts("Changing").filter(has_text="far")).to_have_count(0)
    expect(box).to_have_value("mine too")
    for text, said in (("from my phone", "from my phone"), (None, "was deleted")):
        change(site, ("Changing", [(1, text)]))
        expect(reason).to_contain_text(said)
    expect(box).to_have_value("mine too")


def test_what_waited_for_days_or_whose_room_is_deleted_is_offered_and_not_sent(visit, site):
    make(site, "Late", "Gone")
    bob = visit("bob", "/healthz")
    bob.page.route_web_socket("**/chat/stream/**", swallow_sends)
    bob.goto("/chat/Gone/")
    bob.say("Gone", "not sent")
    bob.box("Gone").fill("half")
    bob.pane("Gone").get_by_role("button", name="Close").click()
    expect(bob.button("Gone 1 not sent")).to_be_visible()
    site.shell("from chat.models import Room; Room.objects.get(title='Gone').delete()")
    expect(quotes(bob)).to_have_text(["half", "not sent"])
    for _ in range(2):
        bob.page.get_by_role("button", name="Discard").first.click()
    bob.open("Late")
    for text in ("restart the primary now", "lunch?", "never mind"):
        bob.say("Late", text)
    expect(bob.unsent("Late")).to_have_count(3)
    bob.page.evaluate(
        """() => {
          for (const [key, text] of Object.entries(localStorage)) {
            const entry = JSON.parse(text);
            localStorage.setItem(key, JSON.stringify({...entry, at: entry.at - 2 * 86_400_000}));
          }
        }"""
    )
    context = bob.page.context
    bob.page.close()
    bob = visit("bob", "/chat/Lobby/", context=context)  # the page opens the other room, too
    expect(bob.unsent("Late").get_by_role("alert").first).to_contain_text("more than a day ago")
    first, second, third = (bob.unsent("Late").nth(at) for at in range(3))
    third.get_by_role("button", name="Discard").click()
    second.get_by_role("button", name="Put back").click()
    expect(bob.box("Late")).to_have_value("lunch?")
    expect(bob.box("Late")).to_be_focused()
    expect(bob.texts("Late")).to_have_count(0)
    first.get_by_role("button", name="Send").click()
    expect(bob.texts("Late")).to_have_text(["restart the primary now"])
    bob.box("Late").press("Enter")
    expect(bob.texts("Late")).to_have_text(["restart the primary now", "lunch?"])
    expect(bob.unsent("Late")).to_have_count(0)


def test_signing_out_forgets_drafts_and_no_other_tab_stores_one(visit, site):
    charlie = visit("charlie", "/chat/Lobby/")
    site.states.pop("charlie")  # this session ends here
    charlie.box("Lobby").fill("my own secret")
    assert drafts(charlie) == 1
    other = visit("charlie", "/chat/Lobby/", context=charlie.page.context)
    other.expect_state("Connected")
    other.box("Lobby").fill("a secret")
    charlie.page.get_by_role("button", name="Log out").click()
    expect(charlie.page.get_by_role("button", name="Log in")).to_be_visible()
    assert charlie.page.evaluate("localStorage.length") == 0
    other.page.evaluate(
        "(text) => { const box = document.querySelector('room-composer textarea');"
        " if (box) { box.value = text; box.dispatchEvent(new Event('input')); } }",
        "typed on",
    )
    other.page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    assert other.page.evaluate("localStorage.length") == 0


# By name of the window. The first two stand for missing and for full storage; script/soak tries them all.
STORAGES = {
    "missing": "for (const name of ['localStorage', 'sessionStorage'])"
    " Object.defineProperty(window, name, {get: () => { throw new DOMException('', 'SecurityError'); }})",
    "full": "Storage.prototype.setItem = () => { throw new DOMException('', 'QuotaExceededError'); }",
    "null": "Object.defineProperty(window, 'localStorage', {get: () => null})",
    "undefined": "Object.defineProperty(window, 'localStorage', {get: () => undefined})",
    "deaf": "Storage.prototype.setItem = () => {}",
}


def test_without_storage_the_page_works_and_warns_before_a_draft_is_lost(visit, site):
    bob = visit("bob", "/healthz")
    for name, storage in STORAGES.items():
        bob.page.add_init_script(f"if (window.name === {name!r}) {{ {storage}; }}")
    for name in STORAGES if IS_FULL else list(STORAGES)[:2]:
        make(site, name)
        bob.page.evaluate("(name) => { window.name = name; }", name)
        bob.goto(f"/chat/{name}/")
        bob.expect_state("Connected")
        bob.say(name, "it works")
        expect(bob.texts(name)).to_have_text(["it works"])
        assert not bob.page.evaluate(IS_GUARDED)
        bob.box(name).fill("half a text")
        expect(bob.page.locator(".notice")).to_contain_text("lost if you close the page")
        assert bob.page.evaluate(IS_GUARDED)
        bob.box(name).fill("")
        expect(bob.page.locator(".notice")).to_have_count(0)
        assert not bob.page.evaluate(IS_GUARDED)


# Words, one long word, and characters that each take many code points.
LONG = ["'lorem ipsum '", "'x'", "'👩‍👩‍👧‍👦'"]


def test_pasting_millions_of_characters_does_not_block_the_page(visit):
    bob = visit("bob", "/healthz")
    bob.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    bob.goto("/chat/There/")
    bob.expect_state("Connected")
    box, reason = bob.box("There"), bob.pane("There").locator("[data-part=reason]")
    cdp = bob.page.context.new_cdp_session(bob.page)
    # The thread's own time, because other programs use this machine. It is the sum of all tasks, so none takes longer.
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
    for text in LONG:
        box.fill("what stood there")
        expect(reason).not_to_contain_text("MESSAGE_TOO_LONG")
        bob.page.evaluate(f"navigator.clipboard.writeText({text}.repeat(2_000_000 / {text}.length))")
        before = measure(cdp, "TaskDuration")
        box.press("Control+v")
        expect(reason).to_contain_text("MESSAGE_TOO_LONG")
        expect(box).to_have_value("what stood there")
        took = measure(cdp, "TaskDuration") - before
        assert took < 0.2, (text, took)
        # A text can get into the box without a paste event.
        box.evaluate(f"(e) => {{ e.value += {text}.repeat(100_000); e.dispatchEvent(new Event('input')); }}")
        expect(box).to_have_value("what stood there")
    bob.page.reload()
    expect(box).to_have_value("what stood there")
    # The longest text that the box takes.
    for text in LONG if IS_FULL else LONG[:1]:
        box.fill("")
        bob.page.evaluate(f"navigator.clipboard.writeText({text}.repeat(32_000 / {text}.length))")
        box.press("Control+v")
        expect(box).to_have_value(re.compile(".{20000}"))
        box.press("Enter")
        expect(reason).to_contain_text("MESSAGE_TOO_LONG")
        bob.page.reload()
        expect(box).to_have_value(re.compile(".{20000}"))


def test_a_restored_draft_has_the_height_of_its_text_without_field_sizing(visit):
    bob = visit("bob", "/healthz")
    bob.page.add_init_script(
        """CSS.supports = () => false;
        addEventListener('DOMContentLoaded', () => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync('.box textarea { field-sizing: fixed !important; }');
          document.adoptedStyleSheets = [sheet];
        });"""
    )
    bob.goto("/chat/Here/")
    bob.box("Here").fill("one\ntwo\nthree")
    height = bob.box("Here").bounding_box()["height"]
    assert height > 50
    bob.page.reload()
    expect(bob.box("Here")).to_have_value("one\ntwo\nthree")
    assert abs(bob.box("Here").bounding_box()["height"] - height) < 2
    # On a phone, the composer of a hidden pane gets its height when the pane is shown.
    bob.page.set_viewport_size({"width": 360, "height": 740})
    bob.open("There")
    bob.page.evaluate("document.querySelector('room-pane:not(.seen)').composer.text = 'one\\ntwo\\nthree\\nfour'")
    bob.button("Here").click()
    assert bob.box("Here").bounding_box()["height"] > height + 10
