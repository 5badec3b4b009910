"""The panes that a user has open: pages send their changes."""

import random

import pytest
from django.test import Client

from chat import protocol
from chat.live import database, hub
from chat.models import Membership, Room
from chat.store import layouts, policies
from tests.servers.quantities import seeds
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def room_ids(db):
    return [Room.objects.create(title=title).pk for title in "abcdef"]


def login_of(user):
    client = Client()
    client.force_login(user)
    [standing] = policies.load_logins([client.session.session_key]).values()
    return standing.login


def change(**fields):
    fields["put"] = [protocol.Put(**put) for put in fields.get("put", ())]
    return protocol.Layout(**fields)


def saved(user):
    panes = Membership.objects.filter(user=user, position__isnull=False).order_by("position")
    rows = list(panes.values_list("room_id", "is_wide"))
    return [room for room, _ in rows], next((room for room, is_wide in rows if is_wide), None)


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
    for _ in range(20):
        room = chance.choice(chance.choice(halves))
        if room in opened:
            opened.discard(room)
            layouts.change_layout(login_of(bob), change(close=[room]))
        else:
            opened.add(room)
            layouts.change_layout(login_of(bob), change(put=[{"room": room, "after": chance.choice(room_ids)}]))
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
