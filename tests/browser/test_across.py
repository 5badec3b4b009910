"""What connects rooms that stand side by side: quotes of other rooms, and one message into several rooms."""

import json
import re
from uuid import uuid4

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_accessibility import inside, violations
from tests.browser.test_delivery import wake
from tests.browser.test_files import PASTE, PICTURE, TEXT, TRANSFER
from tests.browser.test_unread import wait_until
from tests.browser.test_writing import BY_INPUT_METHOD

HIDDEN = "A message in a room that you can't open."
# The messages of the site, by room, in the order of their numbers.
TEXTS = """
from chat.models import Event
for title, body in Event.objects.filter(kind=0, deleted_at=None).order_by("room__title", "seq").values_list(
    "room__title", "body"
):
    print(f"{title}: {body}")
"""

# More messages than a pane shows.
MORE = """
from django.contrib.auth.models import User
from chat.models import Room
from chat.store.actions import Draft, commit
from chat.store.log import Kind
room, bob = Room.objects.get(title="Lobby").pk, User.objects.get(username="bob").pk
commit([Draft(room=room, author=bob, kind=Kind.POSTED, body=f"line {number}") for number in range(60)])
"""


def choose(visitor, title, text, label):
    message = visitor.log(title).get_by_role("article").filter(has_text=text)
    message.hover()
    message.get_by_role("button", name="More about this message").click()
    visitor.page.get_by_role("menuitem", name=label).click()


def quote(visitor, title, text, into):
    choose(visitor, title, text, "Quote in another room")
    visitor.page.get_by_role("menu", name="Quote in another room").get_by_role("menuitem", name=into).click()
    expect(visitor.box(into)).to_be_focused()


# Notes the address of each upload where a reload keeps it.
COUNT_UPLOADS = """
(() => {
  const { open } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    sessionStorage.setItem("tests.uploads", `${sessionStorage.getItem("tests.uploads") ?? ""}${url}\\n`);
    return open.call(this, method, url, ...rest);
  };
})()
"""


def test_a_message_is_carried_over_as_a_quote_that_shows_only_what_its_reader_may_see(visit, site):
    alice, bob = visit("alice", site.address("Lobby", "Staff", "Random")), visit("bob", site.address("Random"))
    page = alice.page
    alice.say("Lobby", "the disk is full")
    alice.say("Staff", "the contract is signed")
    # Into the composer of another pane, as a part of its draft.
    quote(alice, "Lobby", "the disk is full", into="Random")
    chip = alice.pane("Random").locator("room-composer .quote")
    expect(chip).to_contain_text("the disk is full")
    page.keyboard.type("look")
    page.reload()
    expect(chip).to_contain_text(re.compile("Lobby · alice.*the disk is full"))
    expect(alice.box("Random")).to_have_value("look")
    alice.pane("Random").get_by_role("button", name="Remove quote").click()
    expect(chip).to_have_count(0)
    # By dragging too.
    alice.log("Lobby").get_by_role("article").first.drag_to(alice.box("Random"))
    expect(chip).to_contain_text("the disk is full")
    expect(alice.box("Random")).to_be_focused()
    page.keyboard.press("Enter")
    expect(chip).to_have_count(0)
    quotes = bob.log("Random").locator(".quote")
    expect(quotes).to_contain_text(["the disk is full"])
    [sent] = [command for command in alice.commands("send") if "source" in command]
    assert sent["source"] == {"room": alice.pane("Lobby").evaluate("(pane) => pane.room"), "seq": 1}
    assert sent["message"] == "look"
    # From a restricted room into a wider one only by a second Enter.
    quote(alice, "Staff", "the contract is signed", into="Random")
    page.keyboard.type("good news")
    page.keyboard.press("Enter")
    again = alice.pane("Random").get_by_text("Press Enter again to send")
    expect(again).to_be_visible()
    page.keyboard.type("!")
    expect(again).to_be_hidden()
    page.keyboard.press("Enter")
    expect(again).to_be_visible()
    assert len([command for command in alice.commands("send") if "source" in command]) == 1
    page.keyboard.press("Enter")
    # A reader who may not enter the source sees that there is one.
    expect(bob.texts("Random").last).to_have_text("good news!")
    expect(quotes.last).to_have_text(HIDDEN)
    assert "contract" not in bob.page.content()
    assert "Staff" not in bob.page.content()
    expect(alice.log("Random").locator(".quote").last).to_contain_text("the contract is signed")
    # A click shows the message in its own pane, which opens if it is not open.
    quotes.first.click()
    expect(bob.log("Lobby").get_by_role("article")).to_be_visible()
    bob.toggle("Lobby").click()
    # It is hidden at once when its reader may not open the room any more.
    change = "from chat.models import Room; room = Room.objects.get(title='Lobby'); room.staff_only = {}; room.save()"
    site.shell(change.format(True))
    expect(quotes.first).to_have_text(HIDDEN)
    assert "the disk is full" not in bob.page.content()
    site.shell(change.format(False))
    expect(quotes.first).to_contain_text("the disk is full")
    # A link to a message of this site is a chip too.
    bob.say("Random", f"see {site.url}/?rooms=1&at={sent['source']['room']}.1 now")
    link = bob.log("Random").get_by_role("link", name="Lobby · alice: the disk is full")
    expect(link).to_be_visible()
    # Both scroll the neighbouring pane to it, and this one stays as it is.
    site.shell(MORE)
    bob.open("Lobby")
    source = bob.log("Lobby").get_by_role("article").filter(has_text="the disk is full")
    for chip in (link, quotes.first):
        expect(bob.texts("Lobby").last).to_be_in_viewport()
        expect(source).not_to_be_in_viewport()
        chip.click()
        expect(source).to_be_in_viewport()
        expect(chip).to_be_in_viewport()
        bob.box("Lobby").press("Alt+PageDown")
    # When the source is deleted, its text is gone from all of them, in rooms that are not open too.
    choose(alice, "Lobby", "the disk is full", "Delete")
    page.get_by_role("button", name="Delete").click()
    expect(quotes.first).to_contain_text("Message deleted")
    expect(alice.log("Random").locator(".quote").first).to_contain_text("Message deleted")
    expect(link).to_have_count(0)
    assert "the disk is full" not in bob.page.content()


def test_one_message_goes_into_several_rooms_and_is_changed_in_all_of_them(visit, site):
    alice = visit("alice", site.address("Lobby", "Random"))
    page = alice.page
    pane, box = alice.pane("Lobby"), alice.box("Lobby")
    send = pane.get_by_role("button", name=re.compile("^Send"))
    adding = pane.get_by_role("combobox", name="Add a room")

    def until_texts(condition):
        for _ in range(400):
            if condition(site.shell(TEXTS).splitlines()):
                return
            page.wait_for_timeout(50)
        raise AssertionError(site.shell(TEXTS))

    def add(*titles):
        pane.get_by_role("button", name="Also in other rooms").click()
        expect(adding).to_be_focused()
        for title in titles:
            page.keyboard.type(title)
            page.keyboard.press("Enter")
            expect(pane.get_by_role("button", name=f"Remove {title}")).to_be_visible()
        page.keyboard.press("Enter")
        expect(box).to_be_focused()

    add("Random", "Here", "Staff")
    expect(send).to_have_accessible_name("Send to 4 rooms")
    expect(send).to_have_text("4")
    # The rooms are a part of the draft.
    page.keyboard.type("power is out")
    page.reload()
    expect(pane.get_by_role("button", name="Remove Here")).to_be_visible()
    # A restricted room together with a wider one needs a second Enter.
    box.press("Enter")
    expect(pane.get_by_text("Press Enter again to send")).to_be_visible()
    pane.get_by_role("button", name="Remove Staff").click()
    expect(pane.get_by_text("Press Enter again to send")).to_be_hidden()
    assert alice.commands("send") == []
    box.press("Enter")
    expect(alice.texts("Random")).to_have_text(["power is out"])
    # They are gone from the composer, and each copy was one command.
    expect(pane.get_by_role("button", name="Remove Here")).to_have_count(0)
    expect(send).to_have_accessible_name("Send")
    sent = alice.commands("send")
    assert [command["message"] for command in sent] == ["power is out"] * 3
    assert len({command["across"] for command in sent}) == 1
    assert len({command["client_id"] for command in sent}) == len({command["room"] for command in sent}) == 3
    # Edit and Undo reach the copy in the room that is not open too.
    choose(alice, "Lobby", "power is out", "Edit")
    box.fill("power is back")
    box.press("Enter")
    expect(alice.texts("Random")).to_have_text(["power is back"])
    here = "Here: power is back"
    until_texts(lambda texts: texts == [here, "Lobby: power is back", "Random: power is back"])
    pane.get_by_role("button", name="Undo").click()
    until_texts(lambda texts: texts == [])
    expect(box).to_have_value("power is back")
    # Offline: nothing is lost or doubled, and a copy that is refused is named.
    add("Random", "Here", "Third")
    site.stop()
    alice.expect_state(re.compile("Offline|Reconnecting"))
    box.press("Enter")
    site.shell(
        "from chat.models import Room; Room.objects.filter(title='Here').update(archived_at='2026-01-01T00:00Z')"
    )
    site.start()
    wake(alice)  # or it would wait a while before it tries again
    until_texts(lambda texts: len(texts) == 3)
    assert site.shell(TEXTS).splitlines() == [f"{title}: power is back" for title in ("Lobby", "Random", "Third")]
    missing = page.get_by_role("alert").filter(has_text="Here")
    expect(missing).to_contain_text("wasn't sent")
    # Delete offers all copies, in the same question.
    choose(alice, "Lobby", "power is back", "Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete all").click()
    until_texts(lambda texts: texts == [])
    # Staff address all rooms but direct ones, after a list and a second Enter.
    site.shell(
        "from django.contrib.auth.models import User; from chat.models import Room\n"
        "from chat.store import room_actions\n"
        "room = Room.objects.get(title='Here'); room.archived_at = None; room.save()\n"
        "alice, bob = User.objects.filter(username__in=['alice', 'bob']).order_by('username')\n"
        "room_actions.open_direct([bob.pk], by=alice.pk)"
    )
    expect(alice.button("Here")).to_be_visible()
    expect(alice.page.get_by_role("list", name="People").get_by_role("listitem")).to_have_count(1)
    # The name of the composer's own room, below its box, opens them too.
    pane.locator("[data-part=room]").click()
    pane.get_by_role("button", name="All rooms…").click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("Staff")
    expect(dialog).not_to_contain_text("bob")
    dialog.get_by_role("button", name="Add these rooms").click()
    expect(box).to_be_focused()
    page.keyboard.type("for all")
    page.keyboard.press("Enter")
    expect(pane.get_by_text("Press Enter again to send")).to_be_visible()
    page.keyboard.press("Enter")
    until_texts(lambda texts: sum(text.endswith(": for all") for text in texts) == len(site.rooms))


def test_keys_of_an_input_method_choose_no_room_and_each_question_is_shown_before_enter_answers_it(visit, site):
    site.shell("from chat.models import Room; Room.objects.create(title='Doomed')")
    alice = visit("alice", site.address("Lobby"))
    pane, box = alice.pane("Lobby"), alice.box("Lobby")
    adding = pane.get_by_role("combobox", name="Add a room")
    pane.get_by_role("button", name="Also in other rooms").click()
    for title in ("Doomed", "Staff"):
        expect(adding).to_be_focused()
        alice.page.keyboard.type(title)
        option = pane.get_by_role("option", name=title)
        expect(option).to_have_attribute("aria-selected", "true")
        if title == "Doomed":
            for key in ("Enter", "Escape", "ArrowDown", "ArrowUp", "Backspace"):
                assert adding.evaluate(BY_INPUT_METHOD, key), f"{key} belongs to the input method"
            expect(adding).to_be_focused()
            expect(adding).to_have_value(title)
            expect(option).to_have_attribute("aria-selected", "true")
            expect(pane.get_by_role("button", name=f"Remove {title}")).to_have_count(0)
        alice.page.keyboard.press("Enter")
        expect(pane.get_by_role("button", name=f"Remove {title}")).to_be_visible()
    alice.page.keyboard.press("Enter")
    box.fill("power is out")
    site.shell("from chat.models import Room; Room.objects.get(title='Doomed').delete()")
    expect(alice.button("Doomed")).to_have_count(0)
    question = pane.locator("[data-part=again]")
    box.press("Enter")
    expect(question).to_contain_text("A room that you chose isn't available any more")
    # The first question was another one.
    box.press("Enter")
    expect(question).to_contain_text("Not everybody in")
    assert alice.commands("send") == []
    box.press("Enter")
    expect(alice.texts("Lobby")).to_have_text(["power is out"])
    wait_until(lambda: site.shell(TEXTS).splitlines() == ["Lobby: power is out", "Staff: power is out"], alice)
    # Two questions at once are shown together.
    pane.get_by_role("button", name="Also in other rooms").click()
    pane.get_by_role("button", name="All rooms…").click()
    alice.page.get_by_role("alertdialog").get_by_role("button", name="Add these rooms").click()
    expect(box).to_be_focused()
    box.fill("for all")
    box.press("Enter")
    expect(question).to_contain_text(f"This goes to {len(site.rooms)} rooms")
    expect(question).to_contain_text("Not everybody in")


def test_a_reload_loses_and_doubles_no_copy_that_is_not_acknowledged(visit, site):
    alice = visit("alice", "/healthz")
    page = alice.page
    gone = []

    def cut_after_one_send(socket):
        """Pass on the first message, whose acknowledgement never arrives, and nothing after it."""
        server = socket.connect_to_server()

        def ask(text):
            is_send = json.loads(text)["command"] == "send"
            if is_send:
                gone.append(text)
            if not is_send or len(gone) == 1:
                server.send(text)

        socket.on_message(ask)
        server.on_message(lambda text: None if gone else socket.send(text))

    page.route_web_socket("**/chat/stream/**", cut_after_one_send)
    alice.goto("/chat/Lobby/")
    alice.expect_state("Connected")
    pane = alice.pane("Lobby")
    pane.get_by_role("button", name="Also in other rooms").click()
    adding = pane.get_by_role("combobox", name="Add a room")
    expect(adding).to_be_focused()
    for title in ("Random", "Here"):
        page.keyboard.type(title)
        page.keyboard.press("Enter")
        expect(pane.get_by_role("button", name=f"Remove {title}")).to_be_visible()
    page.keyboard.press("Enter")
    expect(alice.box("Lobby")).to_be_focused()
    page.keyboard.type("power is out")
    page.keyboard.press("Enter")
    wait_until(lambda: len(gone) >= 2, alice)
    wait_until(lambda: len(site.shell(TEXTS).splitlines()) == 1, alice)
    waiting = "Object.keys(localStorage).filter((key) => key.includes('.outbox.')).length"
    assert page.evaluate(waiting) == 3
    page.route_web_socket("**/chat/stream/**", lambda socket: socket.connect_to_server())
    page.reload()
    wait_until(lambda: page.evaluate(waiting) == 0, alice)
    assert sorted(site.shell(TEXTS).splitlines()) == [f"{title}: power is out" for title in ("Here", "Lobby", "Random")]
    expect(alice.texts("Lobby")).to_have_text(["power is out"])
    expect(page.get_by_role("alert").filter(has_text="wasn't sent")).to_have_count(0)


def test_files_go_with_a_message_into_each_of_its_rooms(visit, site):
    bob = visit("bob", site.address("Random"))
    alice = visit("alice", site.address("Lobby"))
    page = alice.page
    pane, box = alice.pane("Lobby"), alice.box("Lobby")
    tray = pane.get_by_role("group", name="Attached files")
    adding = pane.get_by_role("combobox", name="Add a room")
    ids = {title: room for room, title, *_ in site.rooms}
    # Counted in the page. The requests that Playwright reported were two fewer in two of thirty runs.
    page.evaluate(COUNT_UPLOADS)
    page.add_init_script(COUNT_UPLOADS)

    def uploads_to(title):
        room, uploads = ids[title], page.evaluate("sessionStorage['tests.uploads']").splitlines()
        into = re.compile(rf"/rooms/{room}/files/|/copy/.*room={room}$")
        return len([url for url in uploads if into.search(url)])

    def stored():
        return int(site.shell("from chat.models import StoredFile; print(StoredFile.objects.count())"))

    def until_stored(number):
        for _ in range(100):
            if stored() == number:
                return
            page.wait_for_timeout(50)
        assert stored() == number

    def attach(*files):
        box.evaluate(PASTE, page.evaluate_handle(TRANSFER, list(files)))
        expect(tray.locator("li[data-state=done]")).to_have_count(len(files))

    def add(*titles):
        pane.get_by_role("button", name="Also in other rooms").click()
        expect(adding).to_be_focused()
        for title in titles:
            # A room's name is often typed as it stands in a text.
            page.keyboard.type(f"#{title[:4].lower()}")
            page.keyboard.press("Enter")
            expect(pane.get_by_role("button", name=f"Remove {title}")).to_be_visible()
        page.keyboard.press("Enter")
        expect(box).to_be_focused()

    attach(["cat.png", "image/png", PICTURE], ["notes.txt", "text/plain", TEXT])
    add("Random", "Here", "Third")
    page.keyboard.type("look at this")
    # One room refuses a file: nothing is sent, and the reason names the room.
    muted = {"error": "USER_MUTED", "detail": "You're muted."}
    refusing = re.compile(rf"/copy/.*room={ids['Random']}$")
    page.route(refusing, lambda route: route.fulfill(status=403, json=muted), times=1)
    page.keyboard.press("Enter")
    expect(tray.get_by_role("status")).to_contain_text(re.compile("Not sent.*Random"))
    expect(tray).to_contain_text(re.compile("Random.*: You're muted."))
    expect(tray.locator("li[data-state=failed]")).to_have_count(1)
    # What is around the pane is judged in other tests.
    assert violations(page, context=inside("room-pane")) == []
    expect(tray.locator("li[data-state=done]")).to_have_count(1)
    # The copies of a file whose copy into one room was refused go on, and a reload would end them.
    until_stored(7)
    assert alice.commands("send") == []
    expect(box).to_have_value("look at this")
    # A reload keeps the text, the rooms, the files and their copies. What is missing is copied then.
    page.unroute(refusing)
    page.reload()
    expect(tray.locator("li[data-state=done]")).to_have_count(2)
    expect(pane.get_by_role("button", name="Remove Third")).to_be_visible()
    # The copies for a room that is removed are removed at once.
    assert stored() == 7
    pane.get_by_role("button", name="Remove Third").click()
    until_stored(5)
    expect(box).to_have_value("look at this")
    box.press("Enter")
    expect(bob.texts("Random")).to_have_text(["look at this"])
    expect(tray).to_be_hidden()
    expect(box).to_have_value("")
    assert [uploads_to(title) for title in ("Lobby", "Here", "Third", "Random")] == [2, 2, 2, 3]
    # One command for each room, with files of its own, which its readers may open.
    sent = alice.commands("send")
    assert len({command["across"] for command in sent}) == 1
    assert {command["room"] for command in sent} == {str(ids[title]) for title in ("Lobby", "Random", "Here")}
    assert len({file for command in sent for file in command["files"]}) == 6
    expect(bob.log("Random").get_by_role("img", name="cat.png")).to_be_visible()
    until(bob.page, "document.querySelector('.thumb img').naturalWidth === 400")
    link = bob.log("Random").get_by_role("link", name="notes.txt")
    assert bob.page.request.get(site.url + link.get_attribute("href")).text() == "some notes"
    # Undo removes the files of all rooms with their messages.
    until_stored(6)
    pane.get_by_role("button", name="Undo").click()
    expect(bob.log("Random").get_by_role("article")).to_have_count(0)
    until_stored(0)
    # A message that waits for its file stays a draft when its pane is closed meanwhile.
    held = []
    page.route(re.compile("name=log|/copy/"), lambda route: held.append(route))
    box.fill("the log")
    box.evaluate(PASTE, page.evaluate_handle(TRANSFER, [["log.txt", "text/plain", TEXT]]))
    box.press("Enter")
    wait_until(lambda: held, alice)
    expect(tray.get_by_role("status")).to_contain_text("The message is sent as soon as")
    alice.toggle("Lobby").click()
    expect(pane).to_have_count(0)
    held.pop().continue_()
    until(page, "sessionStorage['multichat.files']?.includes('log.txt\",\"type')")
    alice.open("Lobby")
    expect(tray.locator("li[data-state=done]")).to_have_count(1)
    expect(box).to_have_value("the log")
    uploaded = "The files are uploaded, but the message isn't sent yet."
    expect(tray.get_by_role("status")).to_have_text(uploaded)
    # Without a text, and with a copy that takes a while. A user who types in another pane meanwhile goes on there.
    box.fill("")
    add("Random")
    page.keyboard.press("Enter")
    wait_until(lambda: held, alice)
    expect(tray).to_contain_text("1 of 2 rooms")
    alice.open("There")
    page.keyboard.type("only for ")
    held.pop().continue_()
    for visitor, room in ((bob, "Random"), (alice, "Lobby")):
        expect(visitor.log(room).get_by_role("link", name="log.txt")).to_be_visible()
    page.keyboard.type("There")
    expect(alice.box("There")).to_have_value("only for There")
    expect(box).to_have_value("")

    def send_with_file(title, name):
        files = page.evaluate_handle(TRANSFER, [[name, "text/plain", TEXT]])
        alice.box(title).evaluate(PASTE, files)
        alice.box(title).press("Enter")
        wait_until(lambda: held, alice)
        expect(status_in(title)).to_contain_text("The message is sent as soon as")

    def status_in(title):
        return alice.pane(title).get_by_role("group", name="Attached files").get_by_role("status")

    # A message that can't be sent when its files are uploaded says so, such as when its box has an edit.
    send_with_file("Lobby", "log2.txt")
    box.press("ArrowUp")
    expect(pane.get_by_text("Editing")).to_be_visible()
    held.pop().continue_()
    expect(tray.locator("li[data-state=done]")).to_have_count(1)
    expect(status_in("Lobby")).to_have_text(uploaded)
    box.press("Escape")
    expect(status_in("Lobby")).to_have_text(uploaded)
    # Either the tray promises to send the message, or the composer asks for another Enter.
    add("Staff")
    send_with_file("Lobby", "log3.txt")
    held.pop().continue_()
    again = pane.get_by_text("Press Enter again to send")
    expect(again).to_be_visible()
    expect(status_in("Lobby")).to_have_count(0)
    box.press("Enter")
    wait_until(lambda: len(held) == 2, alice)
    expect(status_in("Lobby")).to_contain_text("The message is sent as soon as")
    expect(again).to_be_hidden()
    while held:
        held.pop().continue_()
    expect(alice.log("Lobby").get_by_role("link", name="log3.txt")).to_be_visible()
    # The room was archived meanwhile.
    send_with_file("There", "log4.txt")
    site.shell(f"from chat.store import room_actions; room_actions.change_room({ids['There']}, is_archived=True)")
    expect(alice.box("There")).to_have_attribute("readonly", "")
    held.pop().fulfill(json={"id": str(uuid4()), "name": "log4.txt", "type": "text/plain", "size": 10})
    expect(status_in("There")).to_have_text("The message isn't sent because the room is archived.")
    expect(alice.box("There")).to_have_value("only for There")
