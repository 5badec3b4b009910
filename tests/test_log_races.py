"""Races in the database: several connections append to the same rooms."""

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
from django.test.utils import CaptureQueriesContext

from chat.exceptions import ErrorCode
from chat.models import Event, Membership, Presence, Room
from chat.store import actions, deletion, faults, lock_waits, presence
from chat.store.actions import Draft
from chat.store.log import Committed
from chat.store.policies import Login
from chat.store.room_user import RoomUser

postgresql = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite allows one writer at a time")
WRITERS = 3
BATCHES = 25

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(*functions):
    """Run all functions at once, each with its own connection; return their results."""

    def run(function):
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(60) for future in [pool.submit(run, function) for function in functions]]


def is_without_holes(room):
    numbers = list(Event.objects.filter(room=room).order_by("seq").values_list("seq", flat=True))
    return numbers == list(range(1, Room.objects.get(pk=room).head_seq + 1))


def draft(room, author, client_id=None):
    return Draft(room=room, author=author, username="bob", body="hi", client_id=client_id or uuid.uuid4(), trusted=True)


def test_r7_the_same_client_ids_from_several_connections_are_appended_once(bob, rooms):
    client_ids = [uuid.uuid4() for _ in range(60)]

    def write(seed):
        chance = random.Random(seed)
        seqs = {}
        for _ in range(BATCHES):
            drafts = [draft(rooms.lobby.pk, bob.pk, chance.choice(client_ids)) for _ in range(6)]
            for posted, outcome in zip(drafts, actions.commit(drafts), strict=True):
                assert seqs.setdefault(posted.client_id, outcome.seq) == outcome.seq
        return seqs

    answers = in_threads(*(lambda seed=seed: write(seed) for seed in range(WRITERS)))
    saved = dict(Event.objects.values_list("client_id", "seq"))
    assert is_without_holes(rooms.lobby.pk)
    assert len(saved) == Event.objects.count() == len(set().union(*answers))
    for seqs in answers:
        assert seqs.items() <= saved.items()


def test_r10_batches_with_rooms_in_opposite_order_do_not_deadlock(bob, rooms):
    def write(first, second):
        for _ in range(BATCHES):
            outcomes = actions.commit([draft(first, bob.pk), draft(second, bob.pk)])
            assert all(isinstance(outcome, Committed) for outcome in outcomes)

    lobby, random = rooms.lobby.pk, rooms.random.pk
    in_threads(lambda: write(lobby, random), lambda: write(random, lobby))
    assert Event.objects.count() == 4 * BATCHES
    assert is_without_holes(lobby)
    assert is_without_holes(random)


def test_r9_a_draft_that_the_database_refuses_fails_alone(bob, rooms):
    # A constraint of the database refuses this type.
    poison = replace(draft(rooms.lobby.pk, bob.pk), msg_type=-1)
    drafts = [draft(rooms.lobby.pk, bob.pk) for _ in range(9)]
    drafts.insert(4, poison)
    outcomes = actions.commit(drafts)
    assert outcomes[4].code == ErrorCode.MESSAGE_INVALID
    assert [isinstance(outcome, Committed) for outcome in outcomes] == [True] * 4 + [False] + [True] * 5
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, Committed)] == list(range(1, 10))
    assert is_without_holes(rooms.lobby.pk)


@contextmanager
def locked(sql):
    """Hold the locks of a statement from another connection, as a session in psql would."""
    parameters = connection.get_connection_params()
    with psycopg.connect(**{name: parameters[name] for name in parameters if name != "cursor_factory"}) as holder:
        holder.execute(sql)
        yield
        holder.rollback()


def codes(outcomes):
    return [
        outcome.seq if isinstance(outcome, Committed) else (outcome.code, outcome.is_locked) for outcome in outcomes
    ]


LOCKED = (ErrorCode.SERVER_UNAVAILABLE, True)


@postgresql
@pytest.mark.parametrize("lock", ["FOR UPDATE", "FOR NO KEY UPDATE"])
@pytest.mark.parametrize("commit", [actions.commit, actions.commit_unlocked])
def test_in_the_writers_thread_a_locked_room_delays_only_its_own_drafts(bob, rooms, lock, commit):
    gone = 10**6
    drafts = [draft(room, bob.pk) for room in (rooms.lobby.pk, rooms.random.pk, gone, rooms.lobby.pk, rooms.random.pk)]
    with locked(f"SELECT 1 FROM chat_room WHERE id = {rooms.lobby.pk} {lock}"), lock_waits.brief():
        outcomes = commit(drafts)
    assert codes([outcomes[0], outcomes[1], outcomes[3], outcomes[4]]) == [LOCKED, 1, LOCKED, 2]
    # A room that does not exist does not count as locked.
    assert outcomes[2].code == ErrorCode.ROOM_INVALID
    # When the same drafts are committed again, those that were saved are not doubled.
    with lock_waits.brief():
        again = actions.commit([drafts[index] for index in (0, 1, 3, 4)])
    assert codes(again) == [1, 1, 2, 2]
    assert is_without_holes(rooms.lobby.pk)


@postgresql
def test_a_message_that_was_already_saved_is_acknowledged_although_its_room_is_locked(bob, rooms):
    saved = draft(rooms.lobby.pk, bob.pk)
    actions.commit([saved])
    with locked(f"SELECT 1 FROM chat_room WHERE id = {rooms.lobby.pk} FOR UPDATE"), lock_waits.brief():
        assert codes(actions.commit([saved])) == [1]


@postgresql
def test_an_author_who_was_deactivated_under_the_rooms_lock_posts_nothing(bob, rooms):
    waiting = replace(draft(rooms.lobby.pk, bob.pk), trusted=False)
    is_locked = threading.Event()

    def deactivate():
        with transaction.atomic():
            Room.objects.select_for_update(no_key=True).get(pk=rooms.lobby.pk)
            User.objects.filter(pk=bob.pk).update(is_active=False)
            is_locked.set()
            until_waiting()

    def commit():
        assert is_locked.wait(30)
        return actions.commit([waiting])

    _, [outcome] = in_threads(deactivate, commit)
    assert outcome.code == ErrorCode.USER_HAS_TO_LOGIN
    assert not Event.objects.exists()


def until_waiting():
    """Wait until another connection waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(3000):
            cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
            if cursor.fetchone():
                return
            time.sleep(0.01)
    raise AssertionError("no connection waits for a lock")


@postgresql
def test_the_text_that_waits_for_locks_has_no_session_key(bob, rooms):
    # PostgreSQL writes a text that waited too long into its log, and who reads a key there could sign in with it.
    waiting = replace(draft(rooms.lobby.pk, bob.pk), trusted=False, login=Login("k" * 32, bob.pk, "x"))
    with CaptureQueriesContext(connection) as captured:
        actions.commit([waiting])
    [locking] = [query["sql"] for query in captured if "FOR NO KEY UPDATE" in query["sql"]]
    assert "k" * 32 not in locking
    assert any("k" * 32 in query["sql"] for query in captured)


@postgresql
def test_a_locked_author_delays_no_draft(bob, charlie, rooms):
    drafts = [draft(rooms.lobby.pk, author) for author in (bob.pk, charlie.pk, bob.pk)]
    with locked(f"SELECT 1 FROM auth_user WHERE id = {bob.pk} FOR UPDATE"), lock_waits.brief():
        outcomes = actions.commit(drafts)
    # There is no foreign key constraint for which an event would wait for its author's row.
    assert codes(outcomes) == [1, 2, 3]
    assert is_without_holes(rooms.lobby.pk)


@postgresql
def test_a_locked_table_is_an_error_of_the_database_and_refuses_no_draft(bob, rooms):
    drafts = [draft(rooms.lobby.pk, bob.pk), draft(rooms.random.pk, bob.pk)]
    lock = "LOCK TABLE chat_room IN ACCESS EXCLUSIVE MODE"
    with locked(lock), lock_waits.brief(), pytest.raises(faults.TableLockedError):
        actions.commit(drafts)


@postgresql
def test_outside_the_writers_thread_posting_waits_for_a_locked_room(bob, rooms):
    is_locked = threading.Event()

    def hold():
        with transaction.atomic():
            Room.objects.select_for_update().get(pk=rooms.lobby.pk)
            is_locked.set()
            until_lock_is_waited_for()
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


def until_lock_is_waited_for():
    """Wait until a connection waits for a lock."""
    with connection.cursor() as cursor:
        for _ in range(500):
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                break
            time.sleep(0.01)


def remove_the_rest():
    """Finish all deletions, as a server's janitor does."""
    while any(unfinished := deletion.unfinished()):
        for room in unfinished.rooms:
            deletion.remove_piece_of_room(room)
        for user in unfinished.users:
            deletion.remove_piece_of_user(user)


@postgresql
@pytest.mark.parametrize("gone", ["user", "room"])
def test_a_deletion_does_not_wait_for_a_transaction_that_writes_presence_and_neither_fails(
    bob, rooms, monkeypatch, gone
):
    Membership.objects.create(user=bob, room=rooms.lobby)
    presence.begin_lease("one")
    has_lock, insert_missing = threading.Event(), presence.insert_missing
    visible = User.objects.filter(pk=bob.pk) if gone == "user" else Room.objects.filter(pk=rooms.lobby.pk)

    def enter():
        presence.update_presence("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())

    def delete():
        assert has_lock.wait(10)
        (bob if gone == "user" else rooms.lobby).delete()

    def insert_late(rows):
        if not isinstance(rows[0], Presence):
            return insert_missing(rows)
        has_lock.set()
        # The transaction is open and holds the lock of the membership.
        deadline = time.monotonic() + 10
        while visible.exists():
            assert time.monotonic() < deadline, "the deletion waits for this transaction"
            time.sleep(0.01)
        return insert_missing(rows)

    monkeypatch.setattr(presence, "insert_missing", insert_late)
    in_threads(enter, delete)
    remove_the_rest()
    assert not Presence.objects.exists()
    assert not Membership.objects.exists()


@postgresql
@pytest.mark.parametrize("gone", ["user", "room"])
def test_a_deletion_and_a_users_first_join_do_not_deadlock(bob, rooms, gone):
    presence.begin_lease("one")
    has_locked, is_here, has_continued = threading.Event(), threading.Event(), threading.Event()

    def enter():
        assert has_locked.wait(10)
        Membership.objects.create(user=bob, room=rooms.lobby)
        with transaction.atomic():
            presence.update_presence("one", came={RoomUser(rooms.lobby.pk, bob.pk)}, went=())
            is_here.set()
            assert has_continued.wait(10), "the deletion waits for this transaction"

    def pause_after_lock(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if is_here.is_set():
            has_continued.set()
        # Let the user enter after the deletion has locked the memberships and before its next query.
        if "chat_membership" in sql and "FOR UPDATE" in sql and not has_locked.is_set():
            has_locked.set()
            assert is_here.wait(10)
        return result

    def delete():
        with connection.execute_wrapper(pause_after_lock):
            (bob if gone == "user" else rooms.lobby).delete()

    in_threads(enter, delete)
    remove_the_rest()
    assert not Presence.objects.exists()
    assert not Membership.objects.exists()
