"""The rooms that a sweep reads: all on a small site; on a large one the rooms in use and a slice of the rest."""

import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.live import hub as hubs
from chat.live import sweep
from chat.live.sweep import Sweep
from chat.models import Room
from tests.copies import copy_row
from tests.fakes import FakeLog, FakeSocket, standing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def many_rooms():
    """Make `count` rooms and return their ids in order."""

    def make(count):
        first = Room.objects.create(title="Room 1", head_seq=1)
        copy_row(first, 2, count, title="'Room ' || n", title_key="'room ' || n", head_seq="n % 7")
        return list(Room.objects.order_by("pk").values_list("pk", flat=True))

    return make


def looks(rooms, after=0):
    """Yield the rooms and the number of queries of each look, until the slices start again."""
    while True:
        with CaptureQueriesContext(connection) as queries:
            heads, after = sweep.read_heads(rooms, after)
        yield set(heads), len(queries)
        if not after:
            return


@pytest.mark.parametrize(("count", "slices"), [(7, [7]), (10, [10]), (11, [10, 1]), (20, [10, 10]), (25, [10, 10, 5])])
def test_a_site_above_a_slice_is_swept_slice_by_slice(many_rooms, monkeypatch, count, slices):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(count)
    seen = [heads for heads, _ in looks([])]
    assert set().union(*seen) == set(ids)
    # One more room than the slice is read, to know whether this is the last slice.
    assert [min(len(heads), 10) for heads in seen] == slices


def test_rooms_with_listeners_are_in_every_sweep(many_rooms, monkeypatch):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(35)
    listened_to = [ids[2], ids[30]]
    for heads, queries in looks(listened_to):
        assert set(listened_to) <= heads
        assert len(heads) <= 13
        assert queries <= 2


def test_a_small_site_is_swept_in_one_query_even_if_a_room_is_gone(many_rooms, monkeypatch):
    monkeypatch.setattr(sweep, "SLICE", 10)
    ids = many_rooms(10)
    [(heads, queries)] = looks([ids[0], 10**6])
    assert (heads, queries) == (set(ids), 1)


def test_without_watchers_only_rooms_with_listeners_are_swept(many_rooms):
    ids = many_rooms(5)
    heads, after = sweep.read_heads(ids[:2], None)
    assert (set(heads), after) == (set(ids[:2]), 0)
    assert heads[ids[0]] == (1, 1, Room.objects.get(pk=ids[0]).epoch)
    with CaptureQueriesContext(connection) as queries:
        assert sweep.read_heads([], None) == ({}, 0)
    assert len(queries) == 0


def test_rooms_named_by_bells_are_swept_once_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(sweep, "MAX_BELLS", 5)
    one = Sweep(hub=None)
    for room in (7, 7, 8):
        one.hear_bell(room)
    assert sorted(one.next_rooms([1, 7])) == [1, 7, 8]
    assert one.next_rooms([1]) == [1]
    for room in range(100):
        one.hear_bell(room)
    assert len(one.next_rooms([])) == 5


def test_a_sweep_of_10000_rooms_costs_as_much_as_one_of_1000(many_rooms):
    many_rooms(10_000)
    sweep.read_heads([], 0)
    start = time.thread_time()
    for _ in looks([]):
        pass
    # Ten looks cover five seconds, so 1% of a core is 50 ms. On SQLite this includes the work of the database.
    assert time.thread_time() - start < 0.5
    with CaptureQueriesContext(connection) as queries:
        sweep.read_heads([], 0)
    assert len(queries) == 1
    assert f"LIMIT {sweep.SLICE + 1}" in queries[0]["sql"]


async def test_a_bell_of_a_room_without_listeners_updates_its_watchers(monkeypatch, settings):
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
    # The head is read from the database. The bell only names the room.
    assert seen == [{2: 3}, {}]
    await hubs.remove(session)
