"""Finding a message in Chromium: from the box to the results, and from hit to hit, by keyboard."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_delivery import change
from tests.browser.test_panes import MOTION_ENDS

# Closes the results, and returns what moves in the next frame: each pane's way to the left and how long it takes.
CLOSE = """() => {
  document.querySelector('.search [data-part=close]').click();
  return new Promise((done) => requestAnimationFrame(() => done(Object.fromEntries(document.getAnimations()
    .filter(({ effect }) => effect.target.matches('room-pane'))
    .map(({ effect }) => [effect.target.ariaLabel,
      [parseFloat(effect.getKeyframes()[0].translate), effect.getTiming().duration]])))));
}"""


def test_search_leads_by_keyboard_from_the_box_to_each_message(visit, site):
    site.shell(
        "from chat.models import Room\n"
        "from django.contrib.auth.models import User\n"
        "alice = User.objects.get(username='alice')\n"
        "lobby, random, staff = (Room.objects.get(title=title) for title in ('Lobby', 'Random', 'Staff'))\n"
        "lobby.send_message('The Deployment of Monday failed', alice)\n"
        "for n in range(120): lobby.send_message(f'line {n}', alice)\n"
        "random.send_message('another déploy <b>here</b>', alice)\n"
        "staff.send_message('a secret deployment', alice)"
    )
    bob = visit("bob", "/chat/Lobby/")
    expect(bob.box("Lobby")).to_be_focused()
    page = bob.page
    page.keyboard.press("Control+k")
    page.keyboard.type("deploy")
    option = page.get_by_role("option", name="Search messages for “deploy”")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowUp")  # the last option
    page.keyboard.press("Enter")
    results = page.get_by_role("region", name="Search results")
    expect(results.get_by_role("status")).to_have_text("2 messages")
    # What stands in rooms that bob may not enter gives nothing, and no count.
    expect(results.locator("mark")).to_have_text(["déploy", "Deploy"])
    expect(results.locator(".hit").nth(0)).to_be_focused()
    # Walking the hits moves each room's own pane to the message, and opens a closed room.
    expect(bob.log("Random")).to_contain_text("another déploy <b>here</b>")
    page.keyboard.press("ArrowDown")
    expect(results.locator(".hit").nth(1)).to_be_focused()
    message = bob.log("Lobby").get_by_text("The Deployment of Monday failed")
    expect(message).to_be_in_viewport()
    expect(results.locator(".hit").nth(1)).to_have_attribute("aria-current", "true")
    page.keyboard.press("Enter")
    expect(bob.box("Lobby")).to_be_focused()
    # A query that cannot be run gets a sentence; nothing found says so.
    for typed, words in (("x", "Search for at least two letters."), ("absentword", "No messages found.")):
        page.keyboard.press("Control+k")
        page.keyboard.insert_text(typed)
        page.get_by_role("option", name="Search messages for").click()
        expect(results.get_by_role("status")).to_have_text(words)
    # An archived room is out of the list, and is found and opened all the same. The system has a name.
    site.shell(
        "from chat.models import Room\n"
        "from chat.store import room_actions\n"
        "room = Room.objects.create(title='Old')\n"
        "room.send_message('ancientword', None)\n"
        "room_actions.change_room(room.pk, is_archived=True)"
    )
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("ancientword")
    page.get_by_role("option", name="Search messages for").click()
    expect(results.locator(".hit")).to_contain_text("Old")
    expect(results.locator(".hit")).to_contain_text("System")
    results.locator(".hit").click()
    expect(bob.pane("Old")).to_contain_text("This room is archived.")
    expect(bob.log("Old")).to_contain_text("ancientword")
    results.get_by_role("button", name="Close search results").click()
    expect(results).to_have_count(0)


BUDGETS = """
from django.contrib.auth.models import User
from chat.models import Room
room, bob = Room.objects.get(title="Lobby"), User.objects.get(username="bob")
for month in ("May", "June", "July"):
    room.send_message(f"the budget of {month}", bob)
"""


def test_results_follow_what_others_do_with_the_messages_meanwhile(visit, site):
    site.shell(BUDGETS)
    alice = visit("alice", "/chat/Lobby/")
    page = alice.page
    expect(alice.texts("Lobby")).to_have_count(3)
    page.keyboard.press("Control+k")
    page.keyboard.type("budget")
    page.get_by_role("option", name="Search messages for “budget”").click()
    results = page.get_by_role("region", name="Search results")
    expect(results.locator(".hit")).to_have_count(3)
    # Oldest relevance first is another order of the same hits.
    results.get_by_label("Order of results").select_option("best")
    expect(results.get_by_role("status")).to_have_text("3 messages")
    results.get_by_label("Order of results").select_option("newest")
    expect(results.locator(".hit").first).to_contain_text("July")
    change(site, ("Lobby", [(2, None)]))
    expect(results.locator(".hit")).to_have_count(2)
    expect(results.get_by_role("status")).to_have_text("2 messages")
    change(site, ("Lobby", [(3, "the budget of August")]))
    expect(results.locator(".hit").first).to_contain_text("August")
    # What expired is gone, too.
    site.shell(
        "from chat.models import Room\nfrom chat.store import retention\n"
        "Room.objects.filter(title='Lobby').update(retention_days=1)\n"
        "from chat.models import Event\nfrom datetime import timedelta\nfrom django.db.models import F\n"
        "Event.objects.filter(room__title='Lobby', seq=1).update(at=F('at') - timedelta(days=9))"
    )
    site.manage("prune")
    expect(results.locator(".hit")).to_have_count(1)
    expect(alice.log("Lobby").get_by_text("the budget of May")).to_have_count(0)


def test_on_a_phone_the_first_search_shows_its_results_and_a_hit_its_message(visit, site):
    site.shell("from chat.models import Room; Room.objects.get(title='Lobby').send_message('the needle is here', None)")
    alice = visit("alice", "/chat/Random/", viewport={"width": 360, "height": 740})
    expect(alice.box("Random")).to_be_focused()
    page = alice.page
    page.keyboard.press("Control+k")
    page.keyboard.type("needle")
    page.get_by_role("option", name="Search messages for").click()
    results = page.get_by_role("region", name="Search results")
    expect(results.get_by_role("button", name="the needle is here")).to_be_visible()
    expect(results.get_by_role("button", name="the needle is here")).to_be_focused()
    results.get_by_role("button", name="the needle is here").click()
    expect(results).to_have_count(0)
    expect(alice.texts("Lobby").last).to_be_visible()


@pytest.mark.parametrize(
    "rooms", [("Lobby", "Random", "Third"), pytest.param(("Lobby",), marks=pytest.mark.full_size)], ids=["three", "one"]
)
def test_results_come_and_go_with_the_motion_of_panes(visit, site, rooms):
    path, size = site.address(*rooms), {"width": 1320, "height": 780}
    bob = visit("bob", path, viewport=size)
    page, results = bob.page, bob.page.get_by_role("region", name="Search results")
    expect(bob.box(rooms[-1])).to_be_visible()
    page.evaluate(MOTION_ENDS)
    for motion in ("no-preference", "reduce"):
        page.emulate_media(reduced_motion=motion)
        page.keyboard.press("Control+k")
        page.keyboard.insert_text("absentword")
        page.get_by_role("option", name="Search messages for").click()
        expect(results.get_by_role("status")).to_have_text("No messages found.")
        # They come as a pane does.
        motions = [
            element.evaluate("(e) => [getComputedStyle(e).animationName, getComputedStyle(e).animationDuration]")
            for element in (results, bob.pane("Lobby"))
        ]
        assert motions == [["open", "0s" if motion == "reduce" else "0.15s"]] * 2
        page.evaluate(MOTION_ENDS)
        before = [bob.pane(title).bounding_box()["x"] for title in rooms]
        if len(rooms) == 3:
            expect(page.locator(".overflow:not([hidden])")).to_have_count(1)
        moves = page.evaluate(CLOSE)
        page.evaluate(MOTION_ENDS)
        ways = [x - bob.pane(title).bounding_box()["x"] for x, title in zip(before, rooms, strict=True)]
        assert ways[0] == 328
        if motion == "reduce":
            assert moves == {}
        else:
            assert moves == {title: [pytest.approx(way, abs=1), 150] for title, way in zip(rooms, ways, strict=True)}
        # The panes that are in view now are no longer said to be beyond an edge.
        expect(page.locator(".overflow:not([hidden])")).to_have_count(0)
        expect(results).to_have_count(0)
