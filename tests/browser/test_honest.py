"""The page counts, pins and jumps to what its reader expects."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_delivery import post
from tests.browser.test_unread import badge, by_database, choose_at_message, look_away, look_back, wait_until

ALERT = "from chat.models import Room; Room.objects.get(title={title!r}).send_message({text!r}, None, 2)"


def pause(visitor, ms=800):
    """Wait for longer than the page takes to find what was read and to report it."""
    visitor.page.evaluate("(ms) => new Promise((done) => { setTimeout(done, ms); })", ms)


def test_mentions_in_a_pane_that_is_scrolled_out_of_view_stay_unread(visit, site):
    panes = site.address("Here", "There", "Lobby", "Third")
    charlie = visit("charlie", panes, viewport={"width": 900, "height": 700})
    charlie.until_counted()
    row = charlie.page.locator("[data-part=panes]")
    for scroll, hidden in ((10_000, "Here"), (0, "Third")):
        row.evaluate("(row, x) => { row.scrollLeft = x; }", scroll)
        site.manage("say", hidden, "@charlie where are you?", "--user", "alice")
        expect(badge(charlie, hidden)).to_have_text("1, @1")
        pause(charlie)
        assert by_database(site, "charlie")[hidden] == 1
    row.evaluate("(row) => { row.scrollLeft = 10_000; }")
    expect(badge(charlie, "Third")).to_be_hidden()
    row.evaluate("(row) => { row.scrollLeft = 0; }")
    expect(badge(charlie, "Here")).to_be_hidden()


def test_a_mark_as_unread_survives_a_blur_and_one_from_another_device_ends_with_an_answer(visit, site):
    bob = visit("bob", "/chat/Lobby/")
    bob.until_counted()
    for text in ("one", "two"):
        site.manage("say", "Lobby", text, "--user", "alice")
    expect(bob.texts("Lobby")).to_have_count(2)
    wait_until(lambda: any(command["seq"] == 2 for command in bob.commands("read")), bob)
    choose_at_message(bob, "Lobby", "two", "Mark as unread")
    expect(badge(bob, "Lobby")).to_have_text("1")
    bob.box("Lobby").focus()
    for _ in range(2):
        look_away(bob)
        look_back(bob)
        # A window that gets the focus back gives it to the element that had it.
        bob.box("Lobby").evaluate("(box) => box.dispatchEvent(new FocusEvent('focusin', {bubbles: true}))")
        pause(bob)
    expect(badge(bob, "Lobby")).to_have_text("1")
    bob.say("Lobby", "an answer")
    expect(badge(bob, "Lobby")).to_be_hidden()
    # The mark below is the later one only if the server gets this position before it.
    wait_until(lambda: bob.commands("read")[-1]["seq"] == 3, bob)
    # A mark from another device ends when the messages are read here.
    phone = visit("bob", "/chat/Lobby/")
    look_away(bob)
    choose_at_message(phone, "Lobby", "one", "Mark as unread")
    expect(badge(bob, "Lobby")).to_have_text("2")
    look_away(phone)
    look_back(bob)
    pause(bob)
    expect(badge(bob, "Lobby")).to_have_text("2")
    bob.log("Lobby").click(position={"x": 5, "y": 5})
    expect(badge(bob, "Lobby")).to_be_hidden()


def test_arrows_in_a_scrolled_log_begin_at_the_first_message_in_view(visit, site):
    post(site, ("Third", 1, 60))
    alice = visit("alice", "/chat/Third/")
    expect(alice.texts("Third").last).to_have_text("text 60")
    log = alice.log("Third")
    for key in ("ArrowUp", "ArrowDown"):
        log.evaluate("(log) => { log.scrollTop = 600; }")
        pause(alice, 300)
        before = log.evaluate("(log) => log.scrollTop")
        log.focus()
        alice.page.keyboard.press(key)
        assert abs(log.evaluate("(log) => log.scrollTop") - before) < 60
        assert log.locator(".message:focus").count() == 1
    log.evaluate("(log) => { log.scrollTop = log.scrollHeight; }")
    # The page hears of a scroll with the next frame.
    alice.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    log.focus()
    alice.page.keyboard.press("ArrowUp")
    expect(log.locator(".message:focus")).to_contain_text("text 60")


def test_on_a_phone_the_next_unread_button_moves_no_pane_and_a_deleted_room_is_not_counted(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Gone')")
    phone = visit("alice", "/chat/Lobby/", viewport={"width": 390, "height": 800})
    expect(phone.pane("Lobby").get_by_text("No messages yet.")).to_be_visible()
    next_unread = phone.page.get_by_role("button", name="Next unread")
    expect(next_unread).to_be_hidden()
    phone.until_counted()
    before = phone.pane("Lobby").bounding_box()
    post(site, ("Random", 1, 2))
    expect(next_unread).to_be_visible()
    assert phone.pane("Lobby").bounding_box() == before
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    next_unread.click()
    expect(phone.pane("Random")).to_be_visible()
    expect(phone.page).to_have_title("Multichat")
    # A room that is deleted leaves the counts.
    phone.page.set_viewport_size({"width": 1280, "height": 720})
    post(site, ("Gone", 1, 3))
    expect(phone.page).to_have_title("(3) Multichat")
    expect(phone.button("Gone")).to_be_visible()
    site.shell("from chat.models import Room; Room.objects.get(title='Gone').delete()")
    expect(phone.button("Gone")).to_have_count(0)
    expect(phone.page).to_have_title("Multichat")
    expect(next_unread).to_be_hidden()


def test_a_jump_that_waits_for_the_connection_says_so_and_is_cancelled_by_scrolling(visit, site):
    post(site, ("Here", 1, 300))
    alice = visit("alice", "/healthz")
    cut: list = []

    def pass_on(socket):
        server = socket.connect_to_server()
        if cut:
            socket.close(code=4000)
        socket.on_message(lambda text: None if cut else server.send(text))
        server.on_message(lambda text: socket.send(text))
        sockets.append(socket)

    sockets: list = []
    alice.page.route_web_socket("**/chat/stream/**", pass_on)
    here = next(pk for pk, title, *_ in site.rooms if title == "Here")
    alice.goto(f"/?rooms={here}&at={here}.20")
    log = alice.log("Here")
    expect(log.get_by_text("text 20", exact=True)).to_be_in_viewport()
    cut.append(True)
    sockets[-1].close(code=4000)
    alice.expect_state("Offline")
    alice.pane("Here").get_by_role("button", name="Jump to newest").click()
    trouble = alice.pane("Here").locator("[data-part=trouble]")
    expect(trouble).to_contain_text("You're offline.")
    log.hover()
    alice.page.mouse.wheel(0, 120)
    expect(trouble).to_be_hidden()
    cut.clear()
    alice.page.evaluate("dispatchEvent(new Event('online'))")
    alice.expect_state("Connected")
    pause(alice)
    expect(log.get_by_text("text 300", exact=True)).to_have_count(0)


# test_log.py pins an alert that is too far back for the first page, and tests/js/alerts.test.js asks no clock.
@pytest.mark.full_size
def test_an_alert_among_many_unread_messages_is_pinned_even_with_a_wrong_clock(visit, site):
    bob = visit("bob")
    bob.until_counted()
    post(site, ("Lobby", 1, 40))
    site.shell(ALERT.format(title="Lobby", text="Disk full"))
    post(site, ("Lobby", 42, 130))
    bob.page.add_init_script("Date.now = () => 946684800000 + performance.now()")
    bob.goto("/chat/Lobby/")
    pinned = bob.pane("Lobby").locator(".pinned")
    expect(pinned).to_have_count(1)
    expect(pinned).to_contain_text("Disk full")
    pinned.get_by_role("button", name="Got it").click()
    expect(pinned).to_have_count(0)
    bob.page.reload()
    expect(bob.texts("Lobby").last).to_be_visible()
    expect(pinned).to_have_count(0)


def test_a_new_alert_does_not_take_the_focus_and_enter_dismisses_one_alert(visit, site):
    bob = visit("bob", "/chat/Lobby/")
    bob.expect_state("Connected")
    pinned = bob.pane("Lobby").locator(".pinned")
    for count, text in enumerate(("one", "two"), 1):
        site.shell(ALERT.format(title="Lobby", text=text))
        expect(pinned).to_have_count(count)
    bob.page.evaluate(
        """() => {
          window.inserted = 0;
          new MutationObserver((changes) => {
            for (const {addedNodes} of changes) window.inserted += addedNodes.length;
          }).observe(document.querySelector('pinned-alerts'), {childList: true});
        }"""
    )
    second = pinned.nth(1).get_by_role("button", name="Got it")
    second.focus()
    site.shell(ALERT.format(title="Lobby", text="three"))
    expect(pinned).to_have_count(3)
    expect(second).to_be_focused()
    assert bob.page.evaluate("window.inserted") == 1
    bob.page.keyboard.press("Enter")
    expect(pinned).to_have_count(2)
    # The focus is on the next alert, and not on its button.
    expect(pinned.nth(1)).to_be_focused()
    bob.page.keyboard.press("Enter")
    pause(bob, 200)
    assert [text.split(" by")[0] for text in pinned.locator("[data-part=text]").all_text_contents()] == ["one", "three"]
    bob.page.keyboard.press("Tab")
    bob.page.keyboard.press("Enter")
    expect(pinned).to_have_count(1)


def test_a_message_stays_its_authors_after_a_rename_and_the_next_user_of_the_name_does_not_own_it(visit, site):
    bob = visit("bob", "/healthz")
    site.shell(
        "from django.contrib.auth.models import User\nu = User.objects.create_user('nora', password='x')\n"
        "from chat.models import Room\nRoom.objects.get(title='There').send_message('by the first nora', u)\n"
        "b = User.objects.get(username='bob')\nRoom.objects.get(title='There').send_message('by bob', b)\n"
        "b.username = 'robert'; b.save()\nu.username = 'eleonora'; u.save()"
    )
    try:
        bob.goto("/chat/There/")
        own = bob.log("There").locator(".message.own")
        expect(own).to_have_count(1)
        expect(own).to_contain_text("by bob")
        bob.say("There", "by robert")
        expect(own).to_have_count(2)
        # Both messages can be edited.
        choose_at_message(bob, "There", "by bob", "Edit")
        expect(bob.box("There")).to_have_value("by bob")
    finally:
        site.shell(
            "from django.contrib.auth.models import User\n"
            "User.objects.filter(username='eleonora').delete()\n"
            "bob = User.objects.get(username='robert')\nbob.username = 'bob'\nbob.save()"
        )
