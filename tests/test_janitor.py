"""A server continues deletions: its own, those of other processes, and those from before its start."""

import asyncio

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from chat.live import database, hub, janitor
from chat.models import DeletedUser, Event, Membership, Room
from chat.store import deletion
from tests.sockets import connected
from tests.test_deletion import fill

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch, settings):
    settings.GRACE_SECONDS = 0
    settings.SEND_PRESENCE = False
    monkeypatch.setattr(deletion, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(deletion, "PIECE_ROWS", 10)
    monkeypatch.setattr(janitor, "LOOK_SECONDS", 0.01)


def close(room, bob, count=35):
    fill(room, bob, count)
    deletion.close_rooms([room.pk])


async def until_count(count=2, model=Room, manager="all_objects"):
    """Wait until a table has this many rows; by default, until one of three rooms is gone."""
    async with asyncio.timeout(30):
        while await database.poll(getattr(model, manager).count) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_deletions_that_were_left_unfinished_are_continued_at_the_start(bob, rooms):
    await database.write(close, rooms.lobby, bob)
    janitor.acquire()
    await until_count()
    assert not await database.poll(Event.objects.exists)
    await janitor.release()
    await database.close()


async def test_a_room_deleted_in_a_transaction_is_removed_when_its_bell_rings(bob, rooms, settings):
    settings.JANITOR_SECONDS = settings.SWEEP_SECONDS = 60

    def delete():
        with transaction.atomic():
            rooms.lobby.delete()

    await database.write(fill, rooms.lobby, bob, 35)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        await socket.rest()
        key = rooms.lobby.pk
        await database.write(delete)
        frames = await socket.until(lambda frame: "leave" in frame)
        assert frames[-1] == {"leave": str(key), "reason": "ROOM_INVALID"}
        await until_count()
    await database.close()


async def test_without_a_bell_a_deleted_room_is_found_by_polling(bob, rooms, settings):
    settings.JANITOR_SECONDS = 0.02
    janitor.acquire()
    await asyncio.sleep(0.05)
    await database.write(close, rooms.lobby, bob)
    await until_count()
    await janitor.release()
    await database.close()


async def test_rows_of_deleted_users_are_removed(bob, rooms):
    def delete():
        users = User.objects.bulk_create(User(username=f"user{n}") for n in range(10))
        Membership.objects.bulk_create(Membership(room=room, user=user) for room in rooms for user in users)
        User.objects.filter(username__startswith="user").delete()

    await database.write(delete)
    janitor.acquire()
    await until_count(0, DeletedUser, "objects")
    assert not await database.poll(Membership.objects.exists)
    await janitor.release()
    await database.close()


@pytest.mark.any_database
async def test_a_deletion_that_fails_does_not_stop_the_others(bob, rooms, monkeypatch, caplog):
    for room in (rooms.lobby, rooms.random):
        await database.write(close, room, bob)
    remove = deletion.remove_piece_of_room

    def fail(room):
        if room == rooms.lobby.pk:
            raise OperationalError("it is locked")
        return remove(room)

    monkeypatch.setattr(deletion, "remove_piece_of_room", fail)
    janitor.acquire()
    await until_count()
    monkeypatch.setattr(deletion, "remove_piece_of_room", remove)
    await until_count(1)
    await janitor.release()
    await database.close()


async def test_the_hub_and_the_server_share_one_janitor(bob):
    first = janitor.acquire()
    async with connected(bob) as socket:
        await socket.ask(command="ping")
        assert hub.running()._janitor is first
    assert not first._task.done(), "the hub has stopped, but the server has not"
    await janitor.release()
    assert first._task.done()
    await database.close()
