"""What the sweep asks for: everything on a small site, on a large one what is needed and a slice of the rest."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.live import hub as hubs
from chat.live import sweep
from chat.live.sweep import Sweep
from chat.models import Room
from tests.fakes import FakeLog, FakeSocket, standing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many_rooms():
    """Make so many rooms and return their ids in order."""

    def make(count):
        Room.objects.bulk_create(
            Room(title=f"Room {n}", title_key=f"room {n}", head_seq=n % 7) for n in range(1, count + 1)
        )
        return list(Room.objects.order_by("pk").values_list("pk", flat=True))

    return make


def looks(rooms, after=0):
    """Return what one look after the other sees, until the slices begin again."""
    while True:
        with CaptureQueriesContext(connection) as asked:
            heads, after = sweep.read_heads(rooms, after)
        yield set(heads), len(asked)
        if not after:
            return


@pytest.mark.parametrize(("count", "slices"), [(7, [7]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (25, [10, 10, 5])])
def test_above_a_slice_all_rooms_are_looked_at_in_turn(many_rooms, monkeypatch, count, slices):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(count)
    seen = [heads for heads, _ in looks([])]
    assert set().union(*seen) == set(ids)
    # One more than the slice is read, to know whether it is the last one.
    assert [min(len(heads), 10) for heads in seen] == slices


def test_rooms_with_listeners_are_in_every_look(many_rooms, monkeypatch):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(35)
    listened_to = [ids[2], ids[30]]
    for heads, queries in looks(listened_to):
        assert set(listened_to) <= heads
        assert len(heads) <= 13
        assert queries <= 2


def test_a_small_site_is_looked_at_in_one_query_also_when_a_room_is_gone(many_rooms, monkeypatch):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(10)
    [(heads, queries)] = looks([ids[0], 10**6])
    assert (heads, queries) == (set(ids), 1)


def test_where_nobody_watches_only_rooms_with_listeners_are_asked_for(many_rooms):
    ids = many_rooms(5)
    heads, after = sweep.read_heads(ids[:2], None)
    assert (set(heads), after) == (set(ids[:2]), 0)
    assert heads[ids[0]] == (1, 1, Room.objects.get(pk=ids[0]).epoch)
    with CaptureQueriesContext(connection) as asked:
        assert sweep.read_heads([], None) == ({}, 0)
    assert len(asked) == 0


def test_rooms_that_a_bell_named_are_asked_for_once_and_not_without_bound(monkeypatch):
    monkeypatch.setattr(sweep, "MAX_BELLS", 5)
    one = Sweep(hub=None)
    for room in (7, 7, 8):
        one.hear_bell(room)
    assert sorted(one.next_rooms([1, 7])) == [1, 7, 8]
    assert one.next_rooms([1]) == [1]
    for room in range(100):
        one.hear_bell(room)
    assert len(one.next_rooms([])) == 5


def test_a_look_at_10000_rooms_costs_as_much_as_one_at_1000(many_rooms):
    many_rooms(10_000)
    sweep.read_heads([], 0)
    start = time.thread_time()
    for _ in looks([]):
        pass
    # Ten looks are five seconds: one hundredth of a processor is 50 ms. What the database does is in it on SQLite.
    assert time.thread_time() - start < 0.5
    with CaptureQueriesContext(connection) as asked:
        sweep.read_heads([], 0)
    assert len(asked) == 1
    assert f"LIMIT {sweep.SLICE + 1}" in asked[0]["sql"]


async def test_a_bell_tells_those_who_watch_a_room_that_nobody_here_listens_to(monkeypatch, settings):
    settings.SWEEP_SECONDS = settings.PROBE_SECONDS = settings.FROZEN_SECONDS = 60
    log = FakeLog(monkeypatch)
    monkeypatch.setattr("chat.store.log.heads_after", lambda room, *, limit: {})
    session = hubs.add(lambda hub: hubs.Session(FakeSocket(), hub=hub))
    session.standing = standing(1, "bob")
    hub, seen = session.hub, []
    monkeypatch.setattr(type(hub.watchers), "is_idle", False)
    monkeypatch.setattr(hub.watchers, "note_heads", seen.append)
    log.post(3, room=2)
    hub.sweep.after = 1
    hub.hear_bell(2, 99)
    await hub.sweep.run()
    await hub.sweep.run()
    # What is true is asked of the database; the bell only says which room.
    assert seen == [{2: 3}, {}]
    await hubs.remove(session)
