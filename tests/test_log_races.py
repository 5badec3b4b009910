"""Races that are the database's: several connections append to the same rooms."""

import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection, connections, transaction

from chat.exceptions import ErrorCode
from chat.models import Event, Membership, Presence, Room
from chat.store import actions, deletion, faults, lock_waits, presence
from chat.store.actions import Draft
from chat.store.log import Committed
from chat.store.room_user import RoomUser

postgresql = pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time is SQLite's own way")
WRITERS = 3
BATCHES = 25

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(*works):
    """Run all at once, each with a connection of its own; return what they return."""

    def run(work):
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(60) for future in [pool.submit(run, work) for work in works]]


def is_without_holes(room):
    numbers = list(Event.objects.filter(room=room).order_by("seq").values_list("seq", flat=True))
    return numbers == list(range(1, Room.objects.get(pk=room).head_seq + 1))


def draft(room, author, client_id=None):
    return Draft(room=room, author=author, username="bob", body="hi", client_id=client_id or uuid.uuid4(), trusted=True)


def test_r7_the_same_client_ids_from_several_connections_are_appended_once(bob, rooms):
    client_ids = [uuid.uuid4() for _ in range(60)]

    def write(seed):
        chance = random.Random(seed)
        places = {}
        for _ in range(BATCHES):
            drafts = [draft(rooms.lobby.pk, bob.pk, chance.choice(client_ids)) for _ in range(6)]
            for one, outcome in zip(drafts, actions.commit(drafts), strict=True):
                assert places.setdefault(one.client_id, outcome.seq) == outcome.seq
        return places

    answers = in_threads(*(lambda seed=seed: write(seed) for seed in range(WRITERS)))
    kept = dict(Event.objects.values_list("client_id", "seq"))
    assert is_without_holes(rooms.lobby.pk)
    assert len(kept) == Event.objects.count() == len(set().union(*answers))
    for places in answers:
        assert places.items() <= kept.items()


def test_r10_batches_that_lock_rooms_crosswise_do_not_wait_for_each_other(bob, rooms):
    def write(first, second):
        for _ in range(BATCHES):
            outcomes = actions.commit([draft(first, bob.pk), draft(second, bob.pk)])
            assert all(isinstance(one, Committed) for one in outcomes)

    one, other = rooms.lobby.pk, rooms.random.pk
    in_threads(lambda: write(one, other), lambda: write(other, one))
    assert Event.objects.count() == 4 * BATCHES
    assert is_without_holes(one)
    assert is_without_holes(other)


def test_r9_one_poisonous_draft_fails_alone(bob, rooms):
    # The database itself refuses it.
    poison = replace(draft(rooms.lobby.pk, bob.pk), msg_type=-1)
    drafts = [draft(rooms.lobby.pk, bob.pk) for _ in range(9)]
    drafts.insert(4, poison)
    outcomes = actions.commit(drafts)
    assert outcomes[4].code == ErrorCode.MESSAGE_INVALID
    assert [isinstance(one, Committed) for one in outcomes] == [True] * 4 + [False] + [True] * 5
    assert [one.seq for one in outcomes if isinstance(one, Committed)] == list(range(1, 10))
    assert is_without_holes(rooms.lobby.pk)


@contextmanager
def locked(sql):
    """Hold what a statement locks, as somebody in psql does."""
    parameters = connection.get_connection_params()
    with psycopg.connect(**{name: parameters[name] for name in parameters if name != "cursor_factory"}) as holder:
        holder.execute(sql)
        yield
        holder.rollback()


def codes(outcomes):
    return [one.seq if isinstance(one, Committed) else (one.code, one.is_locked) for one in outcomes]


LOCKED = (ErrorCode.SERVER_UNAVAILABLE, True)


@postgresql
@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR NO KEY UPDATE"])
@pytest.mark.parametrize("commit", [actions.commit, actions.commit_unlocked])
def test_in_the_writers_thread_a_locked_room_stops_only_its_own_drafts(bob, rooms, lock, commit):
    gone = 10**6
    drafts = [draft(room, bob.pk) for room in (rooms.lobby.pk, rooms.random.pk, gone, rooms.lobby.pk, rooms.random.pk)]
    with locked(f"SELECT 1 FROM chat_room WHERE id = {rooms.lobby.pk} {lock}"), lock_waits.brief():
        outcomes = commit(drafts)
    assert codes([outcomes[0], outcomes[1], outcomes[3], outcomes[4]]) == [LOCKED, 1, LOCKED, 2]
    # A room that does not exist is not taken for one that is locked.
    assert outcomes[2].code == ErrorCode.ROOM_INVALID
    # The same drafts again: those that were saved are not doubled.
    with lock_waits.brief():
        again = actions.commit([drafts[index] for index in (0, 1, 3, 4)])
    assert codes(again) == [1, 1, 2, 2]
    assert is_without_holes(rooms.lobby.pk)


@postgresql
def test_a_message_that_is_saved_already_is_acknowledged_although_its_room_is_locked(bob, rooms):
    one = draft(rooms.lobby.pk, bob.pk)
    actions.commit([one])
    with locked(f"SELECT 1 FROM chat_room WHERE id = {rooms.lobby.pk} FOR UPDATE"), lock_waits.brief():
        assert codes(actions.commit([one])) == [1]


@postgresql
def test_a_locked_author_stops_no_draft(bob, charlie, rooms):
    drafts = [draft(rooms.lobby.pk, author) for author in (bob.pk, charlie.pk, bob.pk)]
    with locked(f"SELECT 1 FROM auth_user WHERE id = {bob.pk} FOR UPDATE"), lock_waits.brief():
        outcomes = actions.commit(drafts)
    # No constraint makes an event wait for its author's row.
    assert codes(outcomes) == [1, 2, 3]
    assert is_without_holes(rooms.lobby.pk)


@postgresql
def test_a_locked_table_is_the_databases_and_no_drafts_matter(bob, rooms):
    drafts = [draft(rooms.lobby.pk, bob.pk), draft(rooms.random.pk, bob.pk)]
    lock = "LOCK TABLE chat_room IN ACCESS EXCLUSIVE MODE"
    with locked(lock), lock_waits.brief(), pytest.raises(faults.TableLockedError):
        actions.commit(drafts)


@postgresql
def test_elsewhere_a_locked_room_is_waited_for(bob, rooms):
    is_locked = threading.Event()

    def hold():
        with transaction.atomic():
            Room.objects.select_for_update().get(pk=rooms.lobby.pk)
            is_locked.set()
            until_somebody_waits()
            time.sleep(3 * lock_waits.LOCK_SECONDS)

    def post():
        assert is_locked.wait(10)
        return rooms.lobby.send_message("patiently", bob)

    assert in_threads(hold, post)[1] == 1


@postgresql
def test_the_writers_short_waits_end_with_its_transaction(bob, rooms):
    with lock_waits.brief():
        actions.commit([draft(rooms.lobby.pk, bob.pk)])
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        assert cursor.fetchone() == ("10s",)


def until_somebody_waits():
    """Wait until a connection waits for another's lock."""
    with connection.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                break
            time.sleep(0.01)


def remove_the_rest():
    """Do what a server does with deletions that are unfinished."""
    while any(unfinished := deletion.unfinished()):
        for room in unfinished.rooms:
            deletion.remove_piece_of_room(room)
        for user in unfinished.users:
            deletion.remove_piece_of_user(user)


@postgresql
@pytest.mark.parametrize("gone", ["user", "room"])
def test_a_deletion_takes_effect_before_one_who_comes_is_done_and_neither_fails(bob, rooms, monkeypatch, gone):
    Membership.objects.create(user=bob, room=rooms.lobby)
    presence.begin("one")
    has_lock, create = threading.Event(), Presence.objects.bulk_create
    there = User.objects.filter(pk=bob.pk) if gone == "user" else Room.objects.filter(pk=rooms.lobby.pk)

    def come():
        presence.settle("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())

    def delete():
        assert has_lock.wait(10)
        (bob if gone == "user" else rooms.lobby).delete()

    def create_late(*arguments, **named):
        has_lock.set()
        # In the middle of its transaction, with the membership's lock.
        until = time.monotonic() + 10
        while there.exists():
            assert time.monotonic() < until, "the deletion waits for this transaction"
            time.sleep(0.01)
        return create(*arguments, **named)

    monkeypatch.setattr(Presence.objects, "bulk_create", create_late)
    in_threads(come, delete)
    remove_the_rest()
    assert not Presence.objects.exists()
    assert not Membership.objects.exists()


@postgresql
@pytest.mark.parametrize("gone", ["user", "room"])
def test_a_deletion_and_one_who_comes_for_the_first_time_do_not_wait_for_each_other(bob, rooms, gone):
    presence.begin("one")
    has_locked, is_here, goes_on = threading.Event(), threading.Event(), threading.Event()

    def come():
        assert has_locked.wait(10)
        Membership.objects.create(user=bob, room=rooms.lobby)
        with transaction.atomic():
            presence.settle("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
            is_here.set()
            assert goes_on.wait(10), "the deletion waits for this transaction"

    def let_come(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if is_here.is_set():
            goes_on.set()
        # Between the deletion's look for memberships and what it does next.
        if "chat_membership" in sql and "FOR UPDATE" in sql and not has_locked.is_set():
            has_locked.set()
            assert is_here.wait(10)
        return result

    def delete():
        with connection.execute_wrapper(let_come):
            (bob if gone == "user" else rooms.lobby).delete()

    in_threads(come, delete)
    remove_the_rest()
    assert not Presence.objects.exists()
    assert not Membership.objects.exists()
