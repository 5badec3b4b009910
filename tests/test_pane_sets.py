"""Named sets of panes: kept for each user, merged change by change, and no way to learn of other rooms."""

import json

import pytest

from chat.live import database
from chat.models import PaneSet, Room
from chat.store import pane_sets
from chat.store.layouts import Panes
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/accounts/workspaces/"


def change(client, **body):
    return client.post(PATH, json.dumps(body), content_type="application/json")


def made(client, name, *rooms, **fields):
    return change(client, do="save", name=name, rooms=[str(room.pk) for room in rooms], **fields).json()["saved"]


def panes_of(user):
    return {one.name: (list(one.panes.rooms), one.panes.wide, one.is_current) for one in pane_sets.sets_of(user)}


def config(client, address="/"):
    page = client.get(address).context["config"]
    return page["open"], page["wide"], page["workspaces"]["current"]


def test_a_set_is_made_used_renamed_and_deleted(client, bob, rooms):
    client.force_login(bob)
    lobby, other = rooms.lobby.pk, rooms.random.pk
    assert config(client, "/")[2] == 0
    call = made(client, " On call ", rooms.random, rooms.lobby, wide=str(lobby))
    desk = made(client, "Desk", rooms.lobby)
    assert panes_of(bob) == {"Desk": ([lobby], None, True), "On call": ([other, lobby], lobby, False)}
    # A new window opens the set that was used last, an address with rooms opens none, and a set has an address too.
    assert config(client) == ([str(lobby)], None, desk)
    assert config(client, f"/?rooms={other}") == ([str(other)], None, 0)
    assert config(client, f"/?rooms={lobby}&workspace={call}") == ([str(other), str(lobby)], str(lobby), call)
    assert config(client, "/?workspace=0")[2] == 0
    # A message's link names no rooms but its own, and opens in the user's workspace.
    assert config(client, f"/?rooms={other}&at={other}.1") == ([str(lobby)], None, desk)
    change(client, do="rename", workspace=call, name="Night")
    assert change(client, do="use", workspace=call).status_code == 200
    change(client, do="delete", workspace=desk)
    assert panes_of(bob) == {"Night": ([other, lobby], lobby, True)}
    change(client, do="use", workspace=0)
    assert config(client)[2] == 0


def test_shapes_are_kept_with_a_set_and_stand_in_an_address(client, bob, rooms):
    client.force_login(bob)
    lobby, other = str(rooms.lobby.pk), str(rooms.random.pk)
    one = made(client, "One", rooms.lobby, rooms.random, shapes=[{"room": lobby, "strip": True}, {"room": "999"}])

    def shapes(address):
        return client.get(address).context["config"]["shapes"]

    assert shapes("/") == {lobby: {"strip": True}}
    layout = {"command": "layout", "shapes": [{"room": other, "below": True, "width": 150}, {"room": lobby}]}
    answer = change(client, do="arrange", workspace=one, change=layout).json()
    assert answer["workspaces"][0]["shapes"] == {other: {"below": True, "width": 150}}
    assert shapes(f"/?workspace={one}") == {other: {"below": True, "width": 150}}
    # An address has its own; what is invalid in it is left out.
    address = (
        f"/?rooms={lobby},{other}&shape={lobby}-strip,{other}-99999,{other}-x,{other}-120,{other}-below,7-strip,-,9"
    )
    assert shapes(address) == {lobby: {"strip": True}, other: {"width": 120, "below": True}}
    assert shapes(f"/?rooms={lobby}&shape={lobby}-1") == {lobby: {"width": 10}}
    assert shapes(f"/?rooms={lobby}&shape={lobby}-below,{lobby}-strip,{lobby}-below") == {lobby: {"strip": True}}
    # A number after h is the height of a lower half, and of nothing else.
    address = f"/?rooms={lobby},{other}&shape={lobby}-h40,{other}-h130,{other}-below,{other}-h,{other}-h9999"
    assert shapes(address) == {other: {"height": 130, "below": True}}
    assert shapes(f"/?rooms={lobby},{other}&shape={other}-below,{other}-h1")[other]["height"] == 20
    assert shapes(f"/?rooms={lobby}") == {}
    # What stood below a room that the user may not enter stands below no other one.
    hidden = rooms.staff.pk
    assert shapes(f"/?rooms={lobby},{hidden},{other}&shape={other}-below,{other}-h130") == {}
    layout = {"command": "layout", "put": [{"room": other, "after": lobby}], "shapes": [{"room": other, "below": True}]}
    change(client, do="arrange", workspace=one, change=layout)
    Room.objects.filter(pk=lobby).update(staff_only=True)
    assert shapes(f"/?workspace={one}") == {}


def test_changes_of_two_windows_are_merged_and_touch_no_other_set(client, bob, rooms):
    client.force_login(bob)
    third = Room.objects.create(title="Third")
    one, other = made(client, "One", rooms.lobby), made(client, "Other", rooms.lobby)
    for put in (rooms.random, third):
        change(client, do="arrange", workspace=one, change={"command": "layout", "put": [{"room": str(put.pk)}]})
    change(client, do="arrange", workspace=one, change={"command": "layout", "close": [str(rooms.lobby.pk)]})
    answer = change(
        client, do="arrange", workspace=one, change={"command": "layout", "put": [], "wide": str(third.pk)}
    ).json()
    shown = {entry["id"]: entry for entry in answer["workspaces"]}
    assert shown[one]["order"] == [str(rooms.random.pk), str(third.pk)]
    assert (shown[one]["wide"], shown[one]["version"]) == (str(third.pk), 5)
    assert (shown[other]["order"], shown[other]["version"]) == ([str(rooms.lobby.pk)], 1)
    assert answer["unnamed"] == {"order": [], "wide": None, "shapes": {}}


def test_rooms_that_are_gone_or_forbidden_drop_out_and_are_never_named(client, alice, bob, rooms):
    client.force_login(alice)
    made(client, "Hers", rooms.lobby)
    hers = PaneSet.objects.get().pk
    client.force_login(bob)
    third = Room.objects.create(title="Third")
    his = made(client, "His", rooms.staff, rooms.lobby, third)
    assert panes_of(bob)["His"][0] == [rooms.lobby.pk, third.pk]
    put = {"command": "layout", "put": [{"room": str(rooms.staff.pk)}, {"room": "999"}]}
    change(client, do="arrange", workspace=his, change=put)
    third.delete()
    assert panes_of(bob)["His"][0] == [rooms.lobby.pk]
    rooms.lobby.staff_only = True
    rooms.lobby.save()
    assert panes_of(bob)["His"][0] == []
    # Another user's set can be neither seen nor changed.
    for body in ({"do": "use"}, {"do": "delete"}, {"do": "rename", "name": "Mine"}, {"do": "arrange", "change": put}):
        assert "Hers" not in change(client, workspace=hers, **body).content.decode()
    assert panes_of(alice) == {"Hers": ([rooms.lobby.pk], None, True)}
    assert config(client, f"/?workspace={hers}")[2] == 0


INVALID = [
    {"do": "save", "name": " ", "rooms": []},
    {"do": "save", "name": "x" * 41, "rooms": []},
    {"do": "save", "name": "a\nb", "rooms": []},
    {"do": "save", "name": "a\u202eb", "rooms": []},
    {"do": "save", "name": "desk", "rooms": []},
    {"do": "save", "name": "x", "rooms": ["x"]},
    {"do": "save", "name": "x", "rooms": [1] * 1001},
    {"do": "arrange", "workspace": 1, "change": {"command": "ping"}},
    {"do": "delete", "workspace": -1},
    {"do": "nothing"},
    {},
]


def test_what_is_invalid_is_refused(client, bob):
    client.force_login(bob)
    made(client, "Desk")
    for body in INVALID:
        answer = change(client, **body)
        assert answer.status_code == 400, body
        assert answer.json()["detail"]
        assert list(panes_of(bob)) == ["Desk"]


def test_sets_are_bounded_and_need_a_user(client, bob):
    assert client.get(PATH).status_code == 401
    client.force_login(bob)
    PaneSet.objects.bulk_create(PaneSet(user=bob, name=str(n)) for n in range(pane_sets.MAX_SETS))
    assert "at most" in change(client, do="save", name="one more", rooms=[]).json()["detail"]
    bob.delete()
    assert not PaneSet.objects.exists()


async def test_open_pages_of_the_user_learn_of_the_version_and_no_others(alice, bob, rooms):
    async with connected(bob) as bobs, connected(bob) as tab, connected(alice) as alices:
        for socket in (bobs, tab, alices):
            await socket.ask(command="watch")
            await socket.rest()
        pk = await database.write(pane_sets.save, bob, "Desk", Panes([rooms.lobby.pk]))
        for socket in (bobs, tab):
            assert (await socket.until(lambda frame: "workspaces" in frame))[-1] == {"workspaces": {str(pk): 1}}
        await database.write(pane_sets.delete, bob, pk)
        assert (await bobs.until(lambda frame: "workspaces" in frame))[-1] == {"workspaces": {}}
        assert not [frame for frame in await alices.rest() if "workspaces" in frame]
