"""What a process writes of its users: in pieces, from snapshots, and a piece that fails alone."""

import threading

import pytest
from django.db import IntegrityError, OperationalError

from chat.live import database
from chat.live.lease_keeper import LeaseKeeper
from chat.models import Membership, Presence, Process, Room
from chat.store import presence
from chat.store.presence import PIECE_PAIRS, Change
from chat.store.room_user import RoomUser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def threads():
    yield
    await database.close()


@pytest.fixture
def here():
    """The pairs that are here in truth."""
    return set()


@pytest.fixture
def told():
    return []


@pytest.fixture
async def keeper(here, told):
    return LeaseKeeper("one", is_here=here.__contains__, announce=told.extend)


@pytest.fixture
def pairs(django_user_model):
    """More pairs than go into two pieces."""
    users = django_user_model.objects.bulk_create(django_user_model(username=f"user{n}") for n in range(50))
    rooms = Room.objects.bulk_create(Room(title=f"Room {n}") for n in range(10))
    return [RoomUser(room.pk, user.pk) for room in rooms for user in users]


@pytest.fixture
def pieces(monkeypatch):
    """What `settle` was given."""
    settle, given = presence.settle, []

    def record(process, *, came, went):
        given.append((len(came), len(went)))
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "settle", record)
    return given


async def test_many_pairs_are_written_in_pieces(keeper, here, told, pairs, pieces):
    here.update(pairs)
    assert await keeper.settle(pairs)
    assert pieces == [(PIECE_PAIRS, 0), (PIECE_PAIRS, 0), (100, 0)]
    assert len(told) == len(pairs)
    assert keeper.written == here
    assert await database.read(Presence.objects.count) == len(pairs)
    here.clear()
    assert await keeper.settle(pairs)
    assert not await database.read(Presence.objects.exists)
    assert not await database.read(Membership.objects.filter(is_here=True).exists)


async def test_a_user_who_came_and_went_while_others_were_written_never_came(keeper, here, told, pairs, pieces):
    here.update(pairs)
    late = sorted(pairs)[-1]
    tell = keeper._announce

    def tell_and_leave(changes):
        here.discard(late)
        tell(changes)

    keeper._announce = tell_and_leave
    assert await keeper.settle(pairs)
    assert len(told) == len(pairs) - 1
    assert late not in keeper.written


async def test_the_truth_is_read_on_the_loop_alone(here, told, pairs):
    asked_by = set()

    def is_here(pair):
        asked_by.add(threading.current_thread())
        return True

    assert await LeaseKeeper("one", is_here=is_here, announce=told.extend).settle(pairs)
    assert asked_by == {threading.current_thread()}


async def test_a_piece_that_fails_stops_no_other_and_is_tried_again(keeper, here, told, pairs, monkeypatch):
    here.update(pairs)
    settle, failures = presence.settle, [OperationalError("deadlock detected")]

    def fail_once(process, *, came, went):
        if failures and sorted(pairs)[0] in came:
            raise failures.pop()
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "settle", fail_once)
    assert not await keeper.settle(pairs)
    assert len(keeper.written) == len(pairs) - PIECE_PAIRS
    assert await keeper.settle(here - keeper.written)
    assert keeper.written == here
    assert len(told) == len(pairs)


async def test_a_pair_that_cannot_be_written_fails_alone(keeper, here, pairs, monkeypatch):
    here.update(pairs)
    settle, poisoned = presence.settle, pairs[7]

    def refuse(process, *, came, went):
        if poisoned in came:
            raise IntegrityError("refused")
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "settle", refuse)
    assert not await keeper.settle(pairs)
    assert here - keeper.written == {poisoned}


async def test_a_process_that_was_given_up_for_dead_takes_a_lease_of_another_name(keeper, here, told, pairs):
    here.update(pairs)
    await keeper.settle(pairs)
    # Another process has begun to tell that its users went, and is not done.
    await database.write_behind(Process.objects.update, expires_at=presence._ENDED)
    changes, is_more = await database.write_behind(presence.bury_piece, "one")
    assert (len(changes), is_more) == (PIECE_PAIRS, True)
    assert not await keeper.renew()
    told.clear()
    assert await keeper.settle(pairs)
    # The rest of the old lease is ended first, so every user is told gone and back.
    assert sum(not change.is_here for change in told) == len(pairs) - PIECE_PAIRS
    assert sum(change.is_here for change in told) == len(pairs)
    [process] = await database.read(list, Process.objects.values_list("pk", flat=True))
    assert process != "one"
    assert await keeper.renew()
    assert await database.read(Membership.objects.filter(is_here=True).count) == len(pairs)


async def test_a_dead_process_is_buried_in_pieces_however_many_users_it_had(keeper, told, pairs, settings):
    settings.LEASE_SECONDS = -1.0
    await database.write_behind(presence.begin, "dead")
    for piece in presence.pieces(pairs):
        await database.write_behind(presence.settle, "dead", came=piece, went=())
    await keeper.expire_dead()
    assert len(told) == len(pairs)
    assert not any(change.is_here for change in told)
    assert isinstance(told[0], Change)
    assert not await database.read(Process.objects.exists)
