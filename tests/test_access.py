"""Which changes of rights ring, with which concern; and rights that end during a sign-in, join, catch-up or batch."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as WebSession
from django.db import connection, transaction
from django.db.models.deletion import Collector
from django.test import Client
from django.utils import timezone

from chat import doorbell
from chat.exceptions import ErrorCode
from chat.live import commands, database, hub, revocation, runtime, writer
from chat.live.hub import Hub
from chat.live.session import Session
from chat.models import AccessChange, Room
from chat.store import access, actions, policies, web_sessions
from chat.store.concerns import about
from tests.fakes import FakeLog, FakeSocket, standing, turns, until
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.SEND_PRESENCE = False


@pytest.fixture
def rung(monkeypatch):
    """The concerns of the access bells that were rung."""
    rung = []
    monkeypatch.setattr(doorbell, "ring_access", rung.append)
    return rung


def recorded_concern():
    """Return the concern of the changes that are in the database."""
    return access.concern_of(access.recent_changes())


# Which changes ring


def new_session(user):
    client = Client()
    client.force_login(user)
    return client.session.session_key


def changed(user, **values):
    """Return a fresh instance of the user with these values, not saved."""
    fresh = User.objects.get(pk=user.pk)
    for name, value in values.items():
        setattr(fresh, name, value)
    return fresh


CHANGES = {
    "staff flag": lambda user, room, key: changed(user, is_staff=True).save(),
    "one field": lambda user, room, key: changed(user, is_active=False).save(update_fields=["is_active"]),
    "user deleted": lambda user, room, key: user.delete(),
    "users deleted at once": lambda user, room, key: User.objects.filter(pk=user.pk).delete(),
    "room changed": lambda user, room, key: room.save(),
    "room deleted": lambda user, room, key: room.delete(),
    "session deleted": lambda user, room, key: WebSession.objects.get(pk=key).delete(),
    "session flushed": lambda user, room, key: SessionStore(key).flush(),
}


# These write the same rows as another change.
SAME_ROWS = ("one field", "users deleted at once", "room changed", "session flushed")


@pytest.mark.parametrize(
    "cause",
    [pytest.param(cause, marks=[pytest.mark.any_database] * (cause in SAME_ROWS)) for cause in CHANGES],
)
def test_a_change_of_rights_is_recorded_and_rings_after_its_commit_with_its_concern(bob, rooms, rung, cause):
    key = new_session(bob)
    concerned = about(rooms=[rooms.lobby.pk]) if cause.startswith("room") else about(users=[bob.pk])
    AccessChange.objects.all().delete()
    with transaction.atomic():
        CHANGES[cause](bob, rooms.lobby, key)
        assert rung == []
    assert rung == [concerned]
    assert recorded_concern() == concerned


def test_a_change_that_is_no_change_of_rights_does_not_ring(bob, rung):
    User.objects.create_user("dora")
    new_session(bob)  # writes last_login
    WebSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    WebSession.objects.all().delete()  # as clearsessions does
    bob.save(update_fields=["email", "last_login"])
    with transaction.atomic():
        bob.email = "bob@example.com"
        bob.save()  # as a form does
    assert rung == []
    assert not recorded_concern()


RIGHTS = {
    "is_active": False,
    "is_staff": True,
    "is_superuser": True,
    "password": "!",
    "username": "robert",
    "first_name": "Robert",
}


@pytest.mark.any_database
@pytest.mark.parametrize("name", RIGHTS)
def test_a_save_in_a_transaction_rings_when_it_changes_a_right(bob, rung, name):
    with transaction.atomic():
        setattr(bob, name, RIGHTS[name])
        bob.save()
    assert rung == [about(users=[bob.pk])]


def test_a_save_of_stale_values_rings_when_the_database_has_other_rights(bob, rung):
    stale = User.objects.get(pk=bob.pk)
    User.objects.filter(pk=bob.pk).update(is_staff=True)
    with transaction.atomic():
        stale.save()
    assert rung == [about(users=[bob.pk])]


def test_a_save_outside_a_transaction_rings(bob, rung):
    # It cannot be compared safely, because the row may change between the comparison and the save.
    bob.save()
    assert rung == [about(users=[bob.pk])]


def test_a_change_that_is_rolled_back_does_not_ring(bob, charlie, rung):
    def change():
        with transaction.atomic():
            bob.is_staff = True
            bob.save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert rung == []
    assert not recorded_concern()
    # It does not ring with the next commit of this thread either.
    with transaction.atomic():
        charlie.is_staff = True
        charlie.save()
    assert rung == [about(users=[charlie.pk])]


def test_a_change_that_a_savepoint_rolls_back_does_not_ring_with_the_rest(bob, charlie, rung):
    with transaction.atomic():
        with suppress(ZeroDivisionError), transaction.atomic():
            bob.is_staff = True
            bob.save()
            raise ZeroDivisionError
        charlie.is_staff = True
        charlie.save()
    assert rung == [about(users=[charlie.pk])]
    assert recorded_concern() == about(users=[charlie.pk])


def test_many_changes_in_one_transaction_ring_once(rung):
    users = User.objects.bulk_create([User(username=f"user{number}") for number in range(8)])
    with transaction.atomic():
        for user in users:
            user.is_staff = True
            user.save()
    assert rung == [about(users=[user.pk for user in users])]


def test_more_changes_than_a_sweep_reads_are_all_kept_and_pruned(bob, monkeypatch):
    monkeypatch.setattr(access, "MAX_ROWS", 3)
    for _ in range(5):
        bob.save()
    assert len(access.recent_changes()) == 4
    assert len(access.stored_keys()) == 5
    access.prune(access.stored_keys()[:2])
    assert len(access.stored_keys()) == 3


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite allows one writer at a time")
def test_a_long_transaction_that_changed_a_user_blocks_no_other_change(bob, charlie, rooms):
    key = new_session(charlie)
    has_saved, may_end = threading.Event(), threading.Event()

    def long_transaction():
        with transaction.atomic():
            User.objects.get(pk=bob.pk).save()
            bob_again = User.objects.get(pk=bob.pk)
            bob_again.is_staff = True
            bob_again.save()
            has_saved.set()
            assert may_end.wait(20)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(long_transaction)
        try:
            assert has_saved.wait(10)
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '300ms'")
            SessionStore(key).flush()  # signing out
            charlie.save()
            rooms.lobby.save()
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
            early = set(access.stored_keys())
        finally:
            may_end.set()
        running.result(10)
    # Its change is found although it was written before the others and committed after them.
    late = [row for row in access.recent_changes() if row[0] not in early]
    assert access.concern_of(late) == about(users=[bob.pk])


def test_a_new_room_rings(db, rung):
    Room.objects.create(title="New")
    assert rung


# The end of a session


@pytest.mark.any_database
async def test_frames_do_not_prolong_a_session(bob):
    async with connected(bob) as socket:
        before = await database.read(list, WebSession.objects.values_list("pk", "expire_date"))
        for _ in range(20):
            await socket.ask(command="ping")
        assert await database.read(list, WebSession.objects.values_list("pk", "expire_date")) == before


async def test_a_session_that_expires_is_closed_by_the_sweep(bob, settings, monkeypatch):
    # As when the session could not be prolonged.
    monkeypatch.setattr(web_sessions, "is_due", lambda expires_at: False)
    settings.SWEEP_SECONDS = 0.02
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        [session] = hub.running().sessions
        soon = timezone.now() + timedelta(seconds=0.2)
        await database.write(WebSession.objects.update, expire_date=soon)
        session.standing = session.standing._replace(expires_at=soon)
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
        assert socket.closed == 4401
        assert timezone.now() >= soon


async def test_a_login_whose_end_several_checks_find_at_once_is_logged_once(bob, settings, caplog):
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_SECONDS = 60
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running()
        # As by plain SQL: no bell is rung.
        await database.write(WebSession.objects.update, expire_date=timezone.now())
        await asyncio.gather(*(running.revocation.check() for _ in range(3)))
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
    assert caplog.text.count('"event": "revoked"') == 1


# Races


def revoke_and_wait_for_check(change):
    """End a right from a database thread, and wait until the hub has begun a check."""
    # Hubs of earlier tests belong to loops that have ended.
    [running] = [one.hub for loop, one in runtime._runtimes.items() if loop.is_running() and one.hub]
    before = running.revocation.checks
    change()
    deadline = time.monotonic() + 5
    while running.revocation.checks == before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert running.revocation.checks > before


def outdate_first_answer(monkeypatch, name, change, to=None):
    """Make a change of rights between the first answer of a policy and its arrival. Returns the list of its calls.

    With `to`, it is the first answer to so many questions at once.
    """
    policy = getattr(policies, name)
    calls = []
    outdated = []

    def answer_and_change(keys):
        answer = policy(keys)
        calls.append(keys)
        if not outdated and to in (None, len(keys)):
            outdated.append(keys)
            revoke_and_wait_for_check(change)
        return answer

    monkeypatch.setattr(policies, name, answer_and_change)
    return calls


async def test_a_right_that_ends_while_a_socket_signs_in_closes_the_socket(bob, monkeypatch):
    def deactivate():
        bob.is_active = False
        bob.save()

    calls = outdate_first_answer(monkeypatch, "load_logins", deactivate)
    async with connected(bob) as socket:
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
        assert socket.closed == 4401
    assert len(calls) == 2


async def test_a_right_that_ends_during_a_join_refuses_the_join(bob, rooms, monkeypatch):
    def make_staff_only():
        rooms.lobby.staff_only = True
        rooms.lobby.save()

    outdate_first_answer(monkeypatch, "load_enterable_rooms", make_staff_only)
    async with connected(bob) as socket:
        answer = await socket.ask(command="join", room=rooms.lobby.pk)
        assert answer["error"] == "ROOM_ACCESS_DENIED"
        assert [frame for frame in await socket.rest() if "join" in frame] == []


@pytest.mark.any_database
async def test_a_right_that_ends_during_a_resume_refuses_that_room_alone(alice, bob, rooms, monkeypatch):
    def make_staff_only():
        rooms.lobby.staff_only = True
        rooms.lobby.save()

    calls = outdate_first_answer(monkeypatch, "load_enterable_rooms", make_staff_only, to=2)
    async with connected(alice) as other, connected(bob) as socket:
        # The feeds are open, so nothing else is waited for.
        for room in (rooms.lobby, rooms.random):
            await other.ask(command="join", room=room.pk)
        cursors = {str(room.pk): {"since": 0} for room in (rooms.lobby, rooms.random)}
        await socket.send(command="resume", rooms=cursors)
        frames = [await socket.next(), await socket.next()] + await socket.rest()
    assert [frame["join"] for frame in frames if "join" in frame] == [str(rooms.random.pk)]
    assert {"leave": str(rooms.lobby.pk), "reason": "ROOM_ACCESS_DENIED"} in frames
    # One question for both, and another one for what was outdated.
    assert 2 in [len(keys) for keys in calls[:-1]]


@pytest.mark.any_database
async def test_rights_that_keep_changing_delay_no_other_room_of_a_resume(alice, bob, rooms, monkeypatch):
    """The room whose answers are outdated again and again is asked for alone after some rounds."""
    lobby, random = str(rooms.lobby.pk), str(rooms.random.pk)
    resume_alone = commands._resume_one
    outdated, alone = [], {}
    is_changing = False

    def is_outdated(question, *, user, room=None):
        if is_changing and room == rooms.random.pk:
            outdated.append(room)
        return is_changing and room == rooms.random.pk

    def record(session, room_id, cursor):
        alone[str(room_id)] = len(outdated)
        return resume_alone(session, room_id, cursor)

    monkeypatch.setattr(revocation.Question, "is_outdated", is_outdated)
    monkeypatch.setattr(commands, "_resume_one", record)
    async with connected(alice) as other, connected(bob) as socket:
        await other.ask(command="join", room=random)
        is_changing = True
        await socket.send(command="resume", rooms={random: {"since": 0}, lobby: {"since": 0}})
        # The feed of this room is closed. It joins although the other one has not.
        assert (await socket.next())["join"] == lobby
        await until(lambda: random in alone)
        is_changing = False
        assert (await socket.next())["join"] == random
    assert alone == {lobby: 1, random: commands.RESUME_ROUNDS}


async def test_a_right_that_ends_during_a_batch_refuses_one_draft_and_no_other(alice, bob, rooms, monkeypatch):
    room = rooms.lobby
    commit = actions.commit

    def revoke_first(drafts):
        Room.objects.filter(pk=room.pk).update(staff_only=True)  # without a bell
        return commit(drafts)

    async with connected(bob) as loser, connected(alice) as other:
        for socket in (loser, other):
            await socket.ask(command="join", room=room.pk)
            await socket.rest()
        monkeypatch.setattr(actions, "commit", revoke_first)
        ids = "0f8e9f6e-3c1f-4d31-9d2e-000000000001", "0f8e9f6e-3c1f-4d31-9d2e-000000000002"
        await loser.send(command="send", room=room.pk, message="too late", client_id=ids[0])
        await other.send(command="send", room=room.pk, message="on time", client_id=ids[1])
        await other.until(lambda frame: frame.get("ack") == ids[1])
        frames = await loser.until(lambda frame: "error" in frame)
        assert (frames[-1]["error"], frames[-1]["client_id"]) == ("ROOM_ACCESS_DENIED", ids[0])
        # Because of the refusal this process checks rights, so the pane closes without a bell or a sweep. On a slow
        # machine, the periodic check may be faster.
        left = {"leave": str(room.pk), "reason": "ROOM_ACCESS_DENIED"}
        if left not in frames:
            assert (await loser.until(lambda frame: "leave" in frame))[-1] == left
        await writer.flush()
    assert await database.read(lambda: [event.body for event in room.events.all()]) == ["on time"]
    await database.close()


async def test_a_right_that_ends_during_a_catch_up_ends_the_catch_up(monkeypatch):
    log = FakeLog(monkeypatch)
    log.post(600)  # more than a ring holds
    running = Hub()
    socket = FakeSocket(room=3)
    session = Session(socket, hub=running)
    session.standing = standing(1, "bob")
    running.sessions.add(session)
    try:
        async with running.feed(1, title="Lobby", staff_only=False, head=0) as feed:
            feed.attach(session, cursor=0, reply=feed.joined())
        await until(lambda: len(socket.frames) == 3)  # the session is behind, because its socket is full
        log.gate.clear()
        socket.drain(room=None)
        await turns()  # a page of the log is being read
        running.dismiss(session, 1, ErrorCode.ROOM_ACCESS_DENIED)
        log.gate.set()
        await until(lambda: any("leave" in frame for frame in socket.frames))
        await turns(200)
        end = next(index for index, frame in enumerate(socket.frames) if "leave" in frame)
        assert socket.frames[end] == {"leave": "1", "reason": "ROOM_ACCESS_DENIED"}
        assert len(socket.frames) == end + 1
        assert len(socket.seqs()) < 600
    finally:
        session.end()
        await running.stop()
        await database.close()


def test_a_message_written_during_its_authors_deletion_does_not_stop_the_deletion(bob, rooms):
    key = bob.pk
    deletion = Collector(using="default")
    deletion.collect([bob])
    rooms.lobby.send_message("meanwhile", bob)
    with transaction.atomic():
        deletion.delete()
    assert not User.objects.filter(pk=key).exists()
