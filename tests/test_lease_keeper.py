"""The presence that a process writes: in pieces, from snapshots, and each piece may fail alone."""

import threading

import pytest
from django.db import IntegrityError, OperationalError

from chat.live import database
from chat.live.lease_keeper import LeaseKeeper
from chat.models import Membership, Presence, Process, Room
from chat.store import presence
from chat.store.presence import Change
from chat.store.room_user import RoomUser

pytestmark = pytest.mark.django_db(transaction=True)
# The server's pieces have more pairs, which take longer to write.
PIECE_PAIRS = 20


@pytest.fixture(autouse=True)
async def threads():
    yield
    await database.close()


@pytest.fixture
def here():
    """The pairs that are present in this process."""
    return set()


@pytest.fixture
def announced():
    return []


@pytest.fixture
async def keeper(here, announced):
    return LeaseKeeper("one", is_here=here.__contains__, announce=announced.extend)


@pytest.fixture
def pairs(django_user_model, monkeypatch):
    """More pairs than fit into two pieces."""
    monkeypatch.setattr(presence, "PIECE_PAIRS", PIECE_PAIRS)
    users = django_user_model.objects.bulk_create(django_user_model(username=f"user{n}") for n in range(10))
    rooms = Room.objects.bulk_create(Room(title=f"Room {n}") for n in range(5))
    return [RoomUser(room.pk, user.pk) for room in rooms for user in users]


@pytest.fixture
def pieces(monkeypatch):
    """The sizes of the pieces that `settle` was given."""
    settle, given = presence.update_presence, []

    def record(process, *, came, went):
        given.append((len(came), len(went)))
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "update_presence", record)
    return given


async def test_many_pairs_are_written_in_pieces(keeper, here, announced, pairs, pieces):
    here.update(pairs)
    assert await keeper.settle(pairs)
    assert pieces == [(PIECE_PAIRS, 0), (PIECE_PAIRS, 0), (10, 0)]
    assert len(announced) == len(pairs)
    assert keeper.written == here
    assert await database.read(Presence.objects.count) == len(pairs)
    here.clear()
    assert await keeper.settle(pairs)
    assert not await database.read(Presence.objects.exists)
    assert not await database.read(Membership.objects.filter(is_here=True).exists)


async def test_a_user_who_came_and_left_during_the_writing_is_not_written(keeper, here, announced, pairs, pieces):
    here.update(pairs)
    late = sorted(pairs)[-1]
    tell = keeper._announce

    def tell_and_leave(changes):
        here.discard(late)
        tell(changes)

    keeper._announce = tell_and_leave
    assert await keeper.settle(pairs)
    assert len(announced) == len(pairs) - 1
    assert late not in keeper.written


async def test_only_the_loops_thread_reads_presence_in_memory(here, announced, pairs):
    calling_threads = set()

    def is_here(pair):
        calling_threads.add(threading.current_thread())
        return True

    assert await LeaseKeeper("one", is_here=is_here, announce=announced.extend).settle(pairs)
    assert calling_threads == {threading.current_thread()}


async def test_a_failed_piece_does_not_stop_the_others_and_is_retried(keeper, here, announced, pairs, monkeypatch):
    here.update(pairs)
    settle, failures = presence.update_presence, [OperationalError("deadlock detected")]

    def fail_once(process, *, came, went):
        if failures and sorted(pairs)[0] in came:
            raise failures.pop()
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "update_presence", fail_once)
    assert not await keeper.settle(pairs)
    assert len(keeper.written) == len(pairs) - PIECE_PAIRS
    assert await keeper.settle(here - keeper.written)
    assert keeper.written == here
    assert len(announced) == len(pairs)


async def test_a_pair_that_cannot_be_written_fails_alone(keeper, here, pairs, monkeypatch):
    here.update(pairs)
    settle, poisoned = presence.update_presence, pairs[7]

    def refuse(process, *, came, went):
        if poisoned in came:
            raise IntegrityError("refused")
        return settle(process, came=came, went=went)

    monkeypatch.setattr(presence, "update_presence", refuse)
    assert not await keeper.settle(pairs)
    assert here - keeper.written == {poisoned}


async def test_a_process_whose_lease_was_ended_starts_one_under_a_new_name(keeper, here, announced, pairs):
    here.update(pairs)
    await keeper.settle(pairs)
    # Another process has announced a part of its users as gone.
    await database.write_behind(Process.objects.update, expires_at=presence._ENDED)
    changes, is_more = await database.write_behind(presence.expire_piece, "one")
    assert (len(changes), is_more) == (PIECE_PAIRS, True)
    assert not await keeper.renew()
    announced.clear()
    assert await keeper.settle(pairs)
    # The rest of the old lease is ended first, so every user is announced as gone and then as back.
    assert sum(not change.is_here for change in announced) == len(pairs) - PIECE_PAIRS
    assert sum(change.is_here for change in announced) == len(pairs)
    [process] = await database.read(list, Process.objects.values_list("pk", flat=True))
    assert process != "one"
    assert await keeper.renew()
    assert await database.read(Membership.objects.filter(is_here=True).count) == len(pairs)


async def test_a_dead_process_with_many_users_is_removed_in_pieces(keeper, announced, pairs, settings):
    settings.LEASE_SECONDS = -1.0
    await database.write_behind(presence.begin_lease, "dead")
    for piece in presence.pieces(pairs):
        await database.write_behind(presence.update_presence, "dead", came=piece, went=())
    await keeper.expire_dead()
    assert len(announced) == len(pairs)
    assert not any(change.is_here for change in announced)
    assert isinstance(announced[0], Change)
    assert not await database.read(Process.objects.exists)
