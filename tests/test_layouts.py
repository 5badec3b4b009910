"""The panes that a user has open: pages send their changes."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat import protocol
from chat.live import database, hub
from chat.models import Room
from chat.store import layouts
from chat.store.layouts import Panes, UserLayout
from tests.servers.quantities import seeds
from tests.sockets import connected, login_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room_ids(db):
    return [Room.objects.create(title=title).pk for title in "abcdef"]


def change(**fields):
    fields["put"] = [protocol.Put(**put) for put in fields.get("put", ())]
    fields["shapes"] = [protocol.Shape(**shape) for shape in fields.get("shapes", ())]
    return protocol.Layout(**fields)


def saved(user):
    panes = layouts.load_layout(user.pk)
    return list(panes.rooms), panes.wide


def lay_out(login, rooms, wide=None):
    layouts.store_layouts([UserLayout(login, Panes(rooms, wide))])


def test_the_changes_of_a_page_are_applied_to_the_saved_layout(bob, room_ids):
    a, b, c, d, e, f = room_ids
    layouts.change_layout(login_of(bob), change(put=[{"room": room} for room in (a, b, c)], wide=b))
    # A page that was opened by a link to d alone opens e there.
    layouts.change_layout(login_of(bob), change(put=[{"room": e, "after": d}]))
    assert saved(bob) == ([a, b, c, e], b)
    layouts.change_layout(login_of(bob), change(put=[{"room": d, "after": a}, {"room": f, "before": a}], close=[c]))
    assert saved(bob) == ([f, a, d, b, e], b)
    layouts.change_layout(login_of(bob), change(put=[{"room": e, "before": f}, {"room": a}]))
    assert saved(bob) == ([e, f, d, b, a], b)
    layouts.change_layout(login_of(bob), change(close=[c, e]))
    assert saved(bob) == ([f, d, b, a], b)


def test_a_layout_keeps_its_order_and_leaves_out_forbidden_rooms(bob, rooms):
    login = login_of(bob)
    lay_out(login, [rooms.random.pk, rooms.staff.pk, 10**6, rooms.lobby.pk], rooms.lobby.pk)
    assert saved(bob) == ([rooms.random.pk, rooms.lobby.pk], rooms.lobby.pk)
    lay_out(login, [rooms.lobby.pk])
    assert saved(bob) == ([rooms.lobby.pk], None)
    lay_out(login, [])
    assert saved(bob) == ([], None)


def test_layouts_of_any_number_of_users_are_written_with_the_same_queries(alice, bob, charlie, rooms):
    logins = [login_of(user) for user in (alice, bob, charlie)]
    counts = []
    for some in (logins[:1], logins):
        with CaptureQueriesContext(connection) as captured:
            layouts.store_layouts([UserLayout(login, Panes([rooms.lobby.pk, rooms.random.pk])) for login in some])
        counts.append(len(captured))
    assert counts[1] <= counts[0] <= 9
    assert saved(charlie) == ([rooms.lobby.pk, rooms.random.pk], None)


def test_a_layout_with_an_invalid_login_is_ignored(bob, rooms):
    login = login_of(bob)
    lay_out(login, [rooms.lobby.pk])
    bob.set_password("another one")
    bob.save()
    lay_out(login, [])
    assert saved(bob) == ([rooms.lobby.pk], None)


def test_shapes_are_kept_by_room_and_go_with_their_pane(bob, room_ids):
    a, b, c, d, *_ = room_ids
    login = login_of(bob)
    put = [{"room": room} for room in (a, b, c)]
    shapes = [{"room": a, "strip": True}, {"room": c, "below": True}, {"room": d, "width": 150}]
    layouts.change_layout(login, change(put=put, shapes=shapes))
    # Nothing is kept of a room that has no pane.
    assert layouts.load_layout(bob.pk).shapes == {a: {"strip": True}, c: {"below": True}}
    # Another window's change of one pane leaves the others.
    layouts.change_layout(login, change(shapes=[{"room": b, "width": 130}, {"room": c}]))
    assert layouts.load_layout(bob.pk).shapes == {a: {"strip": True}, b: {"width": 130}}
    layouts.change_layout(login, change(close=[a], put=[{"room": d, "before": b}]))
    assert layouts.load_layout(bob.pk) == Panes([d, b, c], None, {b: {"width": 130}})
    layouts.change_layout(login, change(put=[{"room": a}]))
    assert layouts.load_layout(bob.pk).shapes == {b: {"width": 130}}
    # Only a lower half has a height.
    layouts.change_layout(login, change(shapes=[{"room": b, "height": 60}, {"room": a, "below": True, "height": 60}]))
    assert layouts.load_layout(bob.pk).shapes == {a: {"below": True, "height": 60}}
    assert layouts.load_layout(bob.pk).limited_to({d, a}).shapes == {}


def test_at_most_one_pane_is_wide_and_only_the_wide_one_can_be_made_narrow(bob, room_ids):
    a, b, *_ = room_ids
    layouts.change_layout(login_of(bob), change(put=[{"room": a}, {"room": b}]))
    layouts.change_layout(login_of(bob), change(wide=a))
    assert saved(bob) == ([a, b], a)
    layouts.change_layout(login_of(bob), change(narrow=b))
    assert saved(bob) == ([a, b], a)
    layouts.change_layout(login_of(bob), change(wide=b))
    assert saved(bob) == ([a, b], b)
    layouts.change_layout(login_of(bob), change(narrow=b))
    assert saved(bob) == ([a, b], None)
    layouts.change_layout(login_of(bob), change(wide=a))
    layouts.change_layout(login_of(bob), change(close=[a]))
    assert saved(bob) == ([b], None)


def test_a_layout_leaves_out_forbidden_rooms_and_has_a_maximum_of_panes(bob, rooms, settings):
    settings.LAYOUT_PANES = 2
    layouts.change_layout(
        login_of(bob), change(put=[{"room": rooms.staff.pk}, {"room": 999}, {"room": rooms.lobby.pk}])
    )
    assert saved(bob) == ([rooms.lobby.pk], None)
    third = Room.objects.create(title="Third")
    layouts.change_layout(login_of(bob), change(put=[{"room": rooms.random.pk}, {"room": third.pk}]))
    assert saved(bob) == ([rooms.lobby.pk, rooms.random.pk], None)


@pytest.mark.parametrize("seed", seeds(5))
def test_changes_of_two_pages_are_all_kept(bob, room_ids, seed):
    """Each page opens and closes its own rooms, in any order."""
    chance = random.Random(seed)
    halves = room_ids[:3], room_ids[3:]
    opened: set[int] = set()
    login = login_of(bob)
    for _ in range(20):
        room = chance.choice(chance.choice(halves))
        if room in opened:
            opened.discard(room)
            layouts.change_layout(login, change(close=[room]))
        else:
            opened.add(room)
            layouts.change_layout(login, change(put=[{"room": room, "after": chance.choice(room_ids)}]))
        assert set(saved(bob)[0]) == opened


async def test_a_page_may_send_changes_or_a_whole_layout(bob, rooms):
    lobby, other = str(rooms.lobby.pk), str(rooms.random.pk)
    async with connected(bob) as socket:
        await socket.send(command="layout", rooms=[lobby], wide=lobby)
        await socket.send(command="layout", put=[{"room": other, "before": lobby}], narrow=lobby)
        assert await socket.rest() == []
        await hub.flush()
        assert await database.read(saved, bob) == ([rooms.random.pk, rooms.lobby.pk], None)
        await socket.send(command="layout", close=["x"])
        assert (await socket.next())["error"] == "ROOM_INVALID"


async def test_a_change_of_more_panes_than_a_page_can_have_is_cut(bob, rooms, settings):
    settings.LAYOUT_PANES = 1
    ids = [str(rooms.lobby.pk), str(rooms.random.pk)]
    shapes = [{"room": room, "strip": True} for room in ids]
    async with connected(bob) as socket:
        await socket.send(command="layout", put=[{"room": room} for room in ids], shapes=shapes, close=ids)
        assert await socket.rest() == []
        waiting = hub.running().positions.layout(bob.pk)
        assert waiting is not None
        [(_, cut)] = waiting.changes
        assert [len(cut.put), len(cut.shapes), len(cut.close)] == [1, 1, 1]
