"""Checks of rights: when they run, for which users and rooms, and their effect on a join meanwhile."""

import asyncio
import itertools
import time

import pytest
from django.db import OperationalError

from chat.live import database, hub
from chat.live.revocation import Revocation
from chat.models import AccessChange, Room
from chat.store import access, concerns, policies
from chat.store.concerns import ALL_USERS, NO_USERS, about
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.SEND_PRESENCE = False
    # No check starts by itself.
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_SECONDS = settings.FROZEN_SECONDS = 60


@pytest.fixture
def loads(monkeypatch):
    """The user ids and rooms of each query for rights."""
    load, queries = policies.load_rights, []

    def record(logins, rooms):
        queries.append(({login.user_id for login in logins}, rooms))
        return load(logins, rooms)

    monkeypatch.setattr(policies, "load_rights", record)
    return queries


async def test_a_check_reads_only_the_rights_of_the_users_and_rooms_concerned(alice, bob, rooms, loads):
    async with connected(alice) as first, connected(bob) as second:
        for socket in (first, second):
            await socket.ask(command="join", room=rooms.lobby.pk)
            await socket.rest()
        await first.send(command="join", room=rooms.random.pk)
        await first.until(lambda frame: frame.get("join") == str(rooms.random.pk))
        running = hub.running().revocation
        # Joins ask for rights too.
        loads.clear()
        await running.check(about(users=[bob.pk]))
        await running.check(about(rooms=[rooms.random.pk]))
        await running.check(about(rooms=[rooms.lobby.pk]))
        await running.check(about(users=[999], rooms=[999]))
        assert loads == [
            ({bob.pk}, {rooms.lobby.pk}),
            ({alice.pk}, {rooms.random.pk}),
            ({alice.pk, bob.pk}, {rooms.lobby.pk}),
        ]


async def test_a_join_is_not_delayed_by_changes_of_others(alice, bob, charlie, rooms, monkeypatch):
    """As while a script saves all users, each check starts while the answer to bob's question is on its way."""
    load_rooms, queries = policies.load_enterable_rooms, []
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running().revocation
        loop = asyncio.get_running_loop()

        def change_meanwhile(keys):
            queries.append(keys)
            answer = load_rooms(keys)
            asyncio.run_coroutine_threadsafe(running.check(about(users=[alice.pk, charlie.pk])), loop).result(5)
            return answer

        monkeypatch.setattr(hub.running().rooms, "_load", change_meanwhile)
        answer = await socket.ask(command="join", room=rooms.lobby.pk)
        assert answer["join"] == str(rooms.lobby.pk)
        assert len(queries) == 1


@pytest.mark.parametrize("concern", ["user", "room", "all users"])
async def test_a_join_repeats_its_question_when_a_check_about_it_began_meanwhile(bob, rooms, monkeypatch, concern):
    concerned = {"user": about(users=[bob.pk]), "room": about(rooms=[rooms.lobby.pk]), "all users": ALL_USERS}[concern]
    load_rooms, queries = policies.load_enterable_rooms, []
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running().revocation
        loop = asyncio.get_running_loop()

        def be_late(keys):
            queries.append(keys)
            answer = load_rooms(keys)
            if len(queries) == 1:
                # The update goes past Django's signals, so only the check below can notice it.
                Room.objects.filter(pk=rooms.lobby.pk).update(staff_only=True)
                asyncio.run_coroutine_threadsafe(running.check(concerned), loop).result(5)
            return answer

        monkeypatch.setattr(hub.running().rooms, "_load", be_late)
        answer = await socket.ask(command="join", room=rooms.lobby.pk)
        assert answer["error"] == "ROOM_ACCESS_DENIED"
        assert len(queries) == 2


async def test_a_join_notices_a_check_that_begins_between_its_answer_and_its_attaching(bob, rooms, monkeypatch):
    feed = hub.Hub.feed
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running()
        opened = []

        def open_late(self, *arguments, **named):
            entering = feed(self, *arguments, **named)
            enter = entering.__class__.__aenter__

            class Late:
                async def __aenter__(inner):
                    opened.append(await enter(entering))
                    if len(opened) == 1:
                        await database.write_behind(Room.objects.filter(pk=rooms.lobby.pk).update, staff_only=True)
                        await running.revocation.check(about(rooms=[rooms.lobby.pk]))
                    return opened[-1]

                async def __aexit__(inner, *error):
                    return await entering.__aexit__(*error)

            return Late()

        monkeypatch.setattr(hub.Hub, "feed", open_late)
        answer = await socket.ask(command="join", room=rooms.lobby.pk)
        assert answer["error"] == "ROOM_ACCESS_DENIED"
        assert running.sessions and not any(session.subscriptions for session in running.sessions)


async def test_the_first_change_is_checked_at_once_and_further_ones_at_a_limited_rate(bob, settings, monkeypatch):
    settings.ACCESS_CHECK_PAUSE_SECONDS = 0.1
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running().revocation
        began, loop, load = [], asyncio.get_running_loop(), Revocation._check
        await asyncio.sleep(settings.ACCESS_CHECK_PAUSE_SECONDS)

        async def note(self, *arguments):
            # When the check began. This task may have waited since then.
            began.append(self._began_at)
            await load(self, *arguments)

        monkeypatch.setattr(Revocation, "_check", note)
        start = loop.time()
        while loop.time() < start + 0.5:
            running.check_soon(about(users=[bob.pk]))
            await asyncio.sleep(0.002)
        assert began[0] - start < 0.05
        assert 2 <= len(began) <= 6
        assert all(later - earlier >= 0.099 for earlier, later in itertools.pairwise(began))


async def test_all_users_are_checked_periodically_also_while_changes_stream_in(bob, charlie, settings, loads):
    settings.ACCESS_CHECK_PAUSE_SECONDS, settings.ACCESS_CHECK_SECONDS = 0.01, 0.1
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running().revocation
        async with asyncio.timeout(5):
            while not any(bob.pk in users for users, _ in loads):
                running.check_soon(about(users=[charlie.pk]))
                await asyncio.sleep(0.002)


async def test_a_failed_check_is_retried(bob, settings, monkeypatch):
    settings.SWEEP_SECONDS = settings.ACCESS_CHECK_PAUSE_SECONDS = 0.01
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        load, failures = policies.load_rights, [OperationalError("the database went away")] * 3

        def fail(*arguments):
            if failures:
                raise failures.pop()
            return load(*arguments)

        monkeypatch.setattr(policies, "load_rights", fail)
        bob.is_active = False
        await database.write_behind(bob.save)
        assert await socket.next() == {"error": "USER_HAS_TO_LOGIN"}
        assert await socket.next() is None


# What the sweep finds


@pytest.fixture
async def checked(monkeypatch):
    checked = []

    async def check(self, concern=ALL_USERS):
        checked.append(concern)

    monkeypatch.setattr(Revocation, "check", check)
    yield checked
    await database.close()


async def swept(running):
    began = asyncio.get_running_loop().time()
    await running.sweep(await database.poll(access.recent_changes), began=began)


async def test_the_sweep_finds_each_change_once_in_any_order_of_commits(checked):
    running = Revocation(set(), {}, dismiss=lambda *refusal: None, on_checked=lambda: None)
    await swept(running)
    assert checked == [ALL_USERS]
    checked.clear()
    await database.write_behind(access.record_change, users=[1])
    await swept(running)
    await swept(running)
    await database.write_behind(access.record_change, rooms=[7])
    await database.write_behind(access.record_change)
    await swept(running)
    await swept(running)
    assert checked == [about(users=[1]), ALL_USERS]
    # A sweep without changes has an empty concern, and checks nothing.
    assert not NO_USERS


async def test_a_late_sweep_checks_all_users(checked, settings):
    settings.ACCESS_KEEP_SECONDS = 0.05
    running = Revocation(set(), {}, dismiss=lambda *refusal: None, on_checked=lambda: None)
    await swept(running)
    checked.clear()
    await asyncio.sleep(settings.ACCESS_KEEP_SECONDS)
    await swept(running)
    assert checked == [ALL_USERS]


async def test_a_sweep_that_finds_too_many_changes_checks_all_users_each_time(checked, monkeypatch):
    monkeypatch.setattr(access, "MAX_ROWS", 3)
    running = Revocation(set(), {}, dismiss=lambda *refusal: None, on_checked=lambda: None)
    await swept(running)
    for user in range(5):
        await database.write_behind(access.record_change, users=[user])
    await swept(running)
    await swept(running)
    assert checked == [ALL_USERS] * 3


async def test_a_check_that_fails_in_a_sweep_is_repeated_by_the_next_sweep(monkeypatch):
    running = Revocation(set(), {}, dismiss=lambda *refusal: None, on_checked=lambda: None)
    await swept(running)
    failures, checked = [OperationalError("away")], []

    async def check(concern=ALL_USERS):
        if failures:
            raise failures.pop()
        checked.append(concern)

    monkeypatch.setattr(running, "check", check)
    await database.write_behind(access.record_change, users=[1])
    with pytest.raises(OperationalError):
        await swept(running)
    await swept(running)
    assert checked == [about(users=[1])]
    await database.close()


async def test_changes_are_removed_after_every_process_had_time_to_see_them(settings, checked, monkeypatch):
    settings.ACCESS_KEEP_SECONDS = 0.05
    called = []

    def record(name):
        whole = getattr(access, name)

        def recorded(*arguments):
            called.append((name, time.monotonic()))
            return whole(*arguments)

        monkeypatch.setattr(access, name, recorded)

    record("stored_keys")
    record("prune")
    running = Revocation(set(), {}, dismiss=lambda *refusal: None, on_checked=lambda: None)
    for user in range(3):
        await database.write_behind(access.record_change, users=[user])
    await swept(running)
    pruning = asyncio.ensure_future(running.prune_always())
    async with asyncio.timeout(5):
        while await database.poll(AccessChange.objects.exists):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    pruning.cancel()
    [(first, listed), (second, removed), *_] = called
    assert (first, second) == ("stored_keys", "prune")
    assert removed - listed >= 0.05, "seen here, but kept for the other processes"
    await asyncio.gather(pruning, return_exceptions=True)


async def test_the_list_of_rooms_is_sent_again_only_when_it_may_have_changed(bob, charlie, rooms):
    notifications = []
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        running = hub.running().revocation
        running._on_checked = lambda: notifications.append(True)
        await running.check(about(users=[bob.pk]))
        await running.check(about(users=[charlie.pk]))
        assert notifications == []
        await running.check(about(rooms=[rooms.lobby.pk]))
        assert len(notifications) == 1
        bob.is_staff = True
        await database.write_behind(bob.save)
        await running.check(concerns.about(users=[bob.pk]))
        assert len(notifications) >= 2
