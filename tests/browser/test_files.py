"""Files in Chromium: dropped, pasted, cancelled, tried again, sent with a text, seen by another user, and gone."""

import base64
import os
import re

from playwright.sync_api import expect

from tests.browser.conftest import until
from tests.browser.test_notifications import wait_for
from tests.hostile_files import picture

PICTURE = base64.b64encode(picture(size=(400, 300))).decode()
# Files as a browser has them when they are dragged or copied: [name, type, base64].
TRANSFER = """(files) => {
  const data = new DataTransfer();
  for (const [name, type, content] of files)
    data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type}));
  return data;
}"""
PASTE = """(box, data) => box.dispatchEvent(
  new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}))"""
TEXT = base64.b64encode(b"some notes").decode()


# What handles files is loaded some seconds after the page.
TRAYS_LOADED = """['lazy/attachments', 'chat/lazy.'].every((part) =>
  performance.getEntriesByType('resource').some(({name}) => name.includes(part)))"""
SELECT_ALL = """(log) => {
  const messages = log.querySelectorAll('.message'), last = messages[messages.length - 1];
  getSelection().setBaseAndExtent(messages[0], 0, last, last.childNodes.length);
}"""


class Drag:
    """Files of the disk that are dragged over a page by the browser itself, which opens what the page does not take."""

    def __init__(self, page, files):
        self._devtools = page.context.new_cdp_session(page)
        self._data = {"items": [], "files": files, "dragOperationsMask": 1}

    def over(self, target):
        box = target.bounding_box()
        self._at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._send("dragEnter")
        self._send("dragOver")

    def drop(self):
        self._send("drop")

    def _send(self, kind):
        self._devtools.send("Input.dispatchDragEvent", {"type": kind, "data": self._data} | self._at)


def test_files_are_sent_with_a_text_and_seen_by_others_until_they_are_deleted(visit, site, tmp_path):
    charlie = visit("charlie", site.address("Lobby"))
    bob = visit("bob")
    page, pane = bob.page, bob.pane("Lobby")
    tray = pane.get_by_role("group", name="Attached files")

    # A file that is dropped beside a pane does not take the page's place, and no new tab shows it.
    (tmp_path / "cat.png").write_bytes(base64.b64decode(PICTURE))
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "slow.txt").write_bytes(b"some notes")
    until(page, TRAYS_LOADED)
    dropped = sorted(map(str, tmp_path.iterdir()))
    drag = Drag(page, dropped)
    page.evaluate("window.isStillHere = true")
    for beside in (bob.button("Lobby"), page.locator("header").first, bob.main):
        drag.over(beside)
        drag.drop()
    bob.open("Lobby", "Random")
    expect(page.get_by_role("group", name="Attached files")).to_have_count(0)

    # Three files with a text: one fails and is tried again, one is refused, and one is cancelled.
    bob.box("Lobby").fill("the picture")
    page.route(re.compile("name=slow"), lambda route: None)
    page.route(re.compile("name=cat"), lambda route: route.fulfill(status=500, body="{}"), times=1)
    drag.over(pane.get_by_role("log"))
    expect(pane).to_have_class(re.compile("dropping"))
    drag.drop()
    expect(pane).not_to_have_class(re.compile("dropping"))
    expect(tray.get_by_text("This file is empty. Choose another one.")).to_be_visible()
    expect(tray.get_by_role("progressbar", name="Uploading slow.txt")).to_be_visible()
    expect(tray.get_by_text("The upload was interrupted.")).to_be_visible()
    bob.box("Lobby").press("Enter")
    expect(tray.get_by_role("status")).to_contain_text("Not sent")
    expect(bob.box("Lobby")).to_have_value("the picture")
    tray.get_by_role("button", name="Remove: empty.txt").click()
    tray.get_by_role("button", name="Cancel: slow.txt").click()
    expect(tray.get_by_role("listitem")).to_have_count(1)
    tray.get_by_role("button", name="Try again: cat.png").click()
    expect(tray.locator("li[data-state=done]")).to_have_count(1)
    # A picture of what will be sent.
    until(page, "document.querySelector('.tray img').naturalWidth > 0")
    expect(tray.locator("img")).to_be_visible()
    expect(bob.box("Lobby")).to_be_focused()
    # The box of an image has its size before the image is there, so nothing moves when it comes.
    held = []
    charlie.page.route("**/thumbnail/", lambda route: held.append(route), times=1)
    bob.box("Lobby").press("Enter")
    coming = charlie.log("Lobby").get_by_role("img", name="cat.png")
    expect(coming).to_be_visible()
    wait_for(lambda: held, charlie.page)
    before = coming.bounding_box()
    held.pop().continue_()
    until(charlie.page, "document.querySelector('.thumb img').naturalWidth === 400")
    assert coming.bounding_box() == before
    for visitor in (bob, charlie):
        expect(visitor.texts("Lobby").last).to_have_text("the picture")
        image = visitor.log("Lobby").get_by_role("img", name="cat.png")
        expect(image).to_be_visible()
        until(visitor.page, "document.querySelector('.thumb img').naturalWidth === 400")
        assert image.evaluate("(image) => [image.offsetWidth, image.offsetHeight]") == [160, 120]
    expect(tray).to_be_hidden()
    expect(bob.box("Lobby")).to_have_value("")
    expect(bob.pane("Random").get_by_role("group", name="Attached files")).to_have_count(0)

    # A pasted image and chosen files, of which one fails once, without a text: sent by itself when they are there.
    failures = []
    page.route(
        re.compile("name=notes"),
        lambda route: route.fallback() if failures else (failures.append(1), route.abort())[1],
    )
    pasted = page.evaluate_handle(TRANSFER, [["pasted.png", "image/png", PICTURE]])
    bob.box("Lobby").evaluate(PASTE, pasted)
    expect(tray.get_by_role("listitem")).to_have_count(1)
    with page.expect_file_chooser() as chooser:
        pane.get_by_role("button", name="Attach files").click()
    chooser.value.set_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"some notes"}])
    expect(tray.get_by_role("listitem")).to_have_count(2)
    bob.box("Lobby").press("Enter")
    link = charlie.log("Lobby").get_by_role("link", name="notes.txt")
    expect(link).to_be_visible()
    assert failures
    expect(charlie.log("Lobby").get_by_role("img", name="pasted.png")).to_be_visible()
    expect(charlie.texts("Lobby").last).to_have_text("")  # the names stand at the files
    shown = charlie.page.request.get(site.url + link.get_attribute("href"))
    assert shown.headers["content-disposition"].startswith("attachment") and shown.text() == "some notes"

    # What is copied has what was typed, and the names and addresses of files.
    charlie.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    charlie.log("Lobby").evaluate(SELECT_ALL)
    charlie.page.keyboard.press("Control+c")
    copied = charlie.page.evaluate("navigator.clipboard.readText()")
    at = re.escape(f"{site.url}/files/") + "[0-9a-f-]{36}/"
    expected = rf"bob, \S+.*\nthe picture\ncat\.png {at}\n\nbob, \S+.*\npasted\.png {at}\nnotes\.txt {at}"
    assert re.fullmatch(expected, copied), copied

    assert page.evaluate("window.isStillHere") and page.context.pages == [page]

    # A reload keeps the text and the files that are on the server, and names the one that was still on its way.
    page.route(re.compile("name=huge"), lambda route: None)
    both = page.evaluate_handle(TRANSFER, [["kept.png", "image/png", PICTURE], ["huge.bin", "", TEXT]])
    bob.box("Lobby").fill("after a reload")
    bob.box("Lobby").evaluate(PASTE, both)
    expect(tray.locator("li[data-state=done]")).to_have_count(1)
    # The browser asks, because a file is lost.
    bob.may_leave = 1
    page.reload()
    assert bob.may_leave == 0
    expect(tray.get_by_role("status")).to_have_text(
        "Not uploaded before the page was reloaded: huge.bin. Attach again."
    )
    expect(tray.get_by_role("listitem")).to_have_count(1)
    expect(bob.box("Lobby")).to_have_value("after a reload")
    if pictures := os.environ.get("PICTURES"):
        page.screenshot(path=f"{pictures}/kept.png")
    expect(bob.pane("Random").get_by_role("group", name="Attached files")).to_have_count(0)
    page.reload()
    expect(tray.get_by_role("listitem")).to_have_count(1)
    expect(tray.get_by_role("status")).to_have_count(0)
    bob.box("Lobby").press("Enter")
    expect(charlie.log("Lobby").get_by_role("img", name="kept.png")).to_be_visible()
    expect(tray).to_be_hidden()
    assert page.evaluate("sessionStorage.getItem('multichat.files')") is None

    # The viewer by key.
    charlie.log("Lobby").get_by_role("article").last.focus()
    charlie.page.keyboard.press("Tab")
    charlie.page.keyboard.press("Tab")
    thumbnail = charlie.log("Lobby").get_by_role("link", name="pasted.png")
    thumbnail.focus()
    charlie.page.keyboard.press("Enter")
    viewer = charlie.page.get_by_role("dialog", name="pasted.png")
    expect(viewer).to_contain_text("2 of 3")
    charlie.page.keyboard.press("ArrowLeft")
    viewer = charlie.page.get_by_role("dialog", name="cat.png")
    expect(viewer.get_by_role("img", name="cat.png")).to_be_visible()
    charlie.page.keyboard.press("Escape")
    expect(charlie.page.get_by_role("dialog")).to_have_count(0)
    expect(thumbnail).to_be_focused()

    # Gone with its message.
    site.shell(
        "from chat.store import actions\n"
        "from chat.models import Event\n"
        "from chat.store.log import Kind\n"
        "event = Event.objects.get(body='the picture')\n"
        "actions.commit([actions.Draft(room=event.room_id, author=event.author_id, kind=Kind.DELETED, "
        "target_seq=event.seq)])"
    )
    expect(charlie.log("Lobby").get_by_role("img", name="cat.png")).to_have_count(0)


def test_a_message_with_files_waits_until_they_can_be_attached_and_for_the_connection(visit, site):
    charlie = visit("charlie", site.address("Lobby", "Random"))
    bob = visit("bob", "/healthz", keep=False)
    lazy = re.compile("lazy/attachments")
    bob.page.route(lazy, lambda route: route.abort())
    bob.goto("/chat/Lobby/")
    pane, box = bob.pane("Lobby"), bob.box("Lobby")
    pasted = bob.page.evaluate_handle(TRANSFER, [["map.txt", "text/plain", TEXT]])
    unattached = pane.get_by_text("Your files aren't attached yet")
    box.evaluate(PASTE, pasted)
    expect(unattached).to_be_visible()
    box.fill("see the map")
    for _ in range(2):
        box.press("Enter")
        bob.page.wait_for_timeout(100)
        expect(box).to_have_value("see the map")
    # The user decides to send it without the file.
    pane.get_by_role("button", name="Remove files").click()
    expect(unattached).to_be_hidden()
    expect(box).to_be_focused()
    bob.page.keyboard.press("Enter")
    expect(charlie.texts("Lobby")).to_have_text(["see the map"])
    # Enter tries again, and sends the message with all its files.
    for _ in range(2):
        box.evaluate(PASTE, pasted)
    expect(unattached).to_be_visible()
    box.fill("now with the map")
    bob.page.unroute(lazy)
    box.press("Enter")
    expect(charlie.texts("Lobby").last).to_have_text("now with the map")
    expect(charlie.log("Lobby").get_by_role("link", name="map.txt")).to_have_count(2)
    expect(unattached).to_be_hidden()
    expect(box).to_have_value("")

    # Without a connection, a message waits with its files, and is sent once in all its rooms.
    tray = pane.get_by_role("group", name="Attached files")
    pane.get_by_role("button", name="Also in other rooms").click()
    expect(pane.get_by_role("combobox", name="Add a room")).to_be_focused()
    bob.page.keyboard.type("Rand")
    bob.page.keyboard.press("Enter")
    expect(pane.get_by_role("button", name="Remove Random")).to_be_visible()
    # What handles files is loaded soon after the page, so the first one may be attached without a connection.
    until(bob.page, TRAYS_LOADED)
    pasted = bob.page.evaluate_handle(TRANSFER, [["plan.txt", "text/plain", TEXT], ["cat.png", "image/png", PICTURE]])
    bob.page.context.set_offline(True)
    box.evaluate(PASTE, pasted)
    box.fill("written in a tunnel")
    box.press("Enter")
    expect(tray.get_by_role("status")).to_contain_text("Keep this page open: the message is sent once")
    # Longer than what was tried before it was given up.
    expect(tray.get_by_text("The upload was interrupted.")).to_have_count(2)
    bob.page.wait_for_timeout(100)
    expect(box).to_have_value("written in a tunnel")
    uploads = []
    # A try may begin before the browser is really online again, and fail.
    bob.page.on("requestfinished", lambda request: uploads.append(request.url) if "name=" in request.url else None)
    bob.page.context.set_offline(False)
    for room, earlier in (("Lobby", ["see the map", "now with the map"]), ("Random", [])):
        expect(charlie.texts(room)).to_have_text([*earlier, "written in a tunnel"])
        expect(charlie.log(room).get_by_role("link", name="plan.txt")).to_have_count(1)
        expect(charlie.log(room).get_by_role("img", name="cat.png")).to_be_visible()
    expect(box).to_have_value("")
    expect(tray).to_be_hidden()
    # The server copies them into the other room.
    assert len(uploads) == 2
