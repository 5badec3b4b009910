"""Who hears of changed rights, when, and the races: a right that ends during a sign-in, a join, a catch-up, a batch."""

import asyncio
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as WebSession
from django.db import transaction
from django.db.models.deletion import Collector
from django.test import Client
from django.utils import timezone

from chat import access, actions, database, doorbell, hub, policies, writer
from chat.exceptions import ErrorCode
from chat.hub import Hub
from chat.models import Room
from chat.session import Session
from tests.fakes import FakeLog, FakeSocket, standing, turns, until
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.TELL_WHO_IS_PRESENT = False


@pytest.fixture
def rung(monkeypatch):
    rung = []
    monkeypatch.setattr(doorbell, "ring_access", lambda: rung.append(access.generation()))
    return rung


# What is heard


def new_session(user):
    client = Client()
    client.force_login(user)
    return client.session.session_key


CHANGES = {
    "staff flag": lambda user, room, key: User.objects.get(pk=user.pk).save(),
    "one field": lambda user, room, key: user.save(update_fields=["is_active"]),
    "user deleted": lambda user, room, key: user.delete(),
    "users deleted at once": lambda user, room, key: User.objects.filter(pk=user.pk).delete(),
    "room changed": lambda user, room, key: room.save(),
    "room deleted": lambda user, room, key: room.delete(),
    "session deleted": lambda user, room, key: WebSession.objects.get(pk=key).delete(),
    "session flushed": lambda user, room, key: SessionStore(key).flush(),
}


@pytest.mark.parametrize("cause", CHANGES)
def test_a_change_of_rights_raises_the_counter_and_rings_after_its_commit(bob, rooms, rung, cause):
    key = new_session(bob)
    before = access.generation()
    with transaction.atomic():
        CHANGES[cause](bob, rooms.lobby, key)
        assert rung == []
    assert rung
    assert access.generation() > before
    assert rung[-1] == access.generation()


def test_what_is_nobodys_right_rings_nothing(bob, rung):
    before = access.generation()
    User.objects.create_user("dora")
    new_session(bob)  # writes last_login
    WebSession.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    WebSession.objects.all().delete()  # what clearsessions does
    assert rung == []
    assert access.generation() == before


def test_a_change_that_is_rolled_back_rings_nothing(bob, rung):
    def change():
        with transaction.atomic():
            bob.save()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        change()
    assert rung == []
    assert access.generation() == 0


# A session's time


def test_a_new_room_rings_for_those_who_may_enter_it(db, rung):
    Room.objects.create(title="New")
    assert rung


async def test_frames_do_not_prolong_a_session(bob):
    async with connected(bob) as socket:
        before = await database.read(list, WebSession.objects.values_list("pk", "expire_date"))
        for _ in range(20):
            await socket.ask(command="ping")
        assert await database.read(list, WebSession.objects.values_list("pk", "expire_date")) == before


async def test_a_session_that_expires_is_closed_by_the_sweep(bob, settings):
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


async def test_a_login_that_two_checks_at_once_find_ended_is_logged_once(bob, settings, caplog):
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_SECONDS = 60
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running()
        # As plain SQL does it: nobody is told.
        await database.write(WebSession.objects.update, expire_date=timezone.now())
        await asyncio.gather(*(running.rights.check() for _ in range(3)))
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
    assert caplog.text.count('"event": "revoked"') == 1


# Races


def revoke_and_be_heard(change):
    """In a database thread: end a right, and wait until the hub has looked."""
    # Those of earlier tests belong to loops that have ended.
    [running] = [running for loop, running in hub._hubs.items() if loop.is_running()]
    looked = running.rights.checks
    change()
    until_heard = time.monotonic() + 5
    while running.rights.checks == looked and time.monotonic() < until_heard:
        time.sleep(0.001)
    assert running.rights.checks > looked


def late(monkeypatch, name, change):
    """Let the first answer to a question of rights be old news when it arrives."""
    ask = getattr(policies, name)
    asked = []

    def ask_and_be_late(keys):
        answer = ask(keys)
        asked.append(keys)
        if len(asked) == 1:
            revoke_and_be_heard(change)
        return answer

    monkeypatch.setattr(policies, name, ask_and_be_late)
    return asked


async def test_revocation_while_a_socket_is_signed_in(bob, monkeypatch):
    def deactivate():
        bob.is_active = False
        bob.save()

    asked = late(monkeypatch, "sign_in", deactivate)
    async with connected(bob) as socket:
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None
        assert socket.closed == 4401
    assert len(asked) == 2


async def test_revocation_during_a_join(bob, rooms, monkeypatch):
    def close_it():
        rooms.lobby.staff_only = True
        rooms.lobby.save()

    late(monkeypatch, "enter_rooms", close_it)
    async with connected(bob) as socket:
        answer = await socket.ask(command="join", room=rooms.lobby.pk)
        assert answer["error"] == "ROOM_ACCESS_DENIED"
        assert [frame for frame in await socket.rest() if "join" in frame] == []


async def test_revocation_during_a_batch_refuses_one_draft_and_no_other(alice, bob, rooms, monkeypatch):
    room = rooms.lobby
    commit = actions.commit

    def revoke_first(drafts):
        Room.objects.filter(pk=room.pk).update(staff_only=True)  # not even told
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
        # The refusal told this process: the pane is closed without a bell, a sweep or the periodic look.
        frames += await loser.until(lambda frame: "leave" in frame)
        assert frames[-1] == {"leave": str(room.pk), "reason": "ROOM_ACCESS_DENIED"}
        await writer.flush()
    assert await database.read(lambda: [one.body for one in room.events.all()]) == ["on time"]
    await database.close()


async def test_revocation_during_a_catch_up(monkeypatch):
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
        await until(lambda: len(socket.frames) == 3)  # behind, and its socket is full
        log.gate.clear()
        socket.drain(room=None)
        await turns()  # a page of the log is being read
        feed.dismiss(session, ErrorCode.ROOM_ACCESS_DENIED)
        log.gate.set()
        await until(lambda: any("leave" in frame for frame in socket.frames))
        await turns(200)
        place = next(index for index, frame in enumerate(socket.frames) if "leave" in frame)
        assert socket.frames[place] == {"leave": "1", "reason": "ROOM_ACCESS_DENIED"}
        assert len(socket.frames) == place + 1
        assert len(socket.seqs()) < 600
    finally:
        session.end()
        await running.stop()
        await database.close()


@pytest.mark.parametrize("what", ["room", "user"])
def test_what_is_written_while_it_is_deleted_keeps_nothing_from_going(bob, rooms, what):
    gone = rooms.lobby if what == "room" else bob
    key = gone.pk
    deletion = Collector(using="default")
    deletion.collect([gone])
    rooms.lobby.send_message("meanwhile", bob)
    with transaction.atomic():
        deletion.delete()
    assert not type(gone).objects.filter(pk=key).exists()
