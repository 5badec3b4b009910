"""Alerts are confirmed, once by each user, and over: in history, in a join frame, in heads, and after deletions."""

import asyncio
import threading
import uuid

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from chat.exceptions import ErrorCode
from chat.live import database
from chat.models import Confirmation, Event, Room
from chat.store import actions, alerts, confirmations, log
from chat.store.actions import Draft
from chat.store.log import HistoryPlace, Kind
from chat.store.room_user import RoomUser
from tests.sockets import connected, login_of
from tests.test_alerts import explain

pytestmark = pytest.mark.django_db(transaction=True)
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"


@pytest.fixture(autouse=True)
def quick(settings):
    settings.GRACE_SECONDS = 0
    settings.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS = False


@pytest.fixture
def commit():
    """Returns a function that changes a message, for users who are signed in once."""
    logins = {}

    def draft(kind, room, user, seq):
        if user.pk not in logins:
            logins[user.pk] = login_of(user)
        return Draft(room=room.pk, author=user.pk, login=logins[user.pk], kind=kind, target_seq=seq)

    def commit(*arguments):
        [outcome] = actions.commit([draft(*arguments)])
        return getattr(outcome, "code", None) or outcome.seq

    commit.draft = draft
    return commit


def shown(room, seq=1, reader=None):
    """Return who has confirmed an alert (how many, their names, whether the reader) and who ended it, as in history."""
    page = log.history(Room.objects.get(pk=room.pk), HistoryPlace(around=seq), limit=2, max_bytes=10**6, reader=reader)
    [alert] = [event for event in page.events if event.seq == seq]
    known, resolution = alert.confirmations, alert.resolution
    names = known and (known.count, [person.username for person in known.users], known.own)
    return names, resolution and (resolution.username, resolution.seq)


def test_a_user_confirms_an_alert_once(alice, bob, rooms, commit):
    rooms.lobby.send_message("Disk full", None, 2)
    assert shown(rooms.lobby) == (None, None)
    confirm = [commit(Kind.CONFIRMED, rooms.lobby, user, 1) for user in (bob, bob, alice, bob)]
    assert confirm == [2, 2, 3, 2]
    assert shown(rooms.lobby, reader=alice.pk) == ((2, ["bob", "alice"], True), None)
    events = [logged.event for logged in log.read(rooms.lobby.pk, after=1, limit=10)]
    assert [(event.confirmed, event.username, event.user) for event in events] == [
        (1, "bob", bob.pk),
        (1, "alice", alice.pk),
    ]
    row = Confirmation.objects.get(user=bob)
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_staff_and_the_author_say_once_that_an_alert_is_over(alice, bob, rooms, commit):
    rooms.lobby.send_message("Disk full", bob, 2)
    rooms.lobby.send_message("Power cut", None, 2)
    assert commit(Kind.RESOLVED, rooms.lobby, bob, 2) == ErrorCode.NOT_AUTHOR
    assert [commit(Kind.RESOLVED, rooms.lobby, user, 1) for user in (bob, alice)] == [3, 3]
    assert [commit(Kind.RESOLVED, rooms.lobby, alice, 2)] == [4]
    assert (shown(rooms.lobby, 1), shown(rooms.lobby, 2)) == ((None, ("bob", 3)), (None, ("alice", 4)))


def test_only_alerts_that_exist_are_confirmed(alice, bob, rooms, commit):
    rooms.lobby.send_message("hi", alice)
    rooms.lobby.send_message("gone", alice, 2)
    commit(Kind.CONFIRMED, rooms.lobby, bob, 2)
    commit(Kind.RESOLVED, rooms.lobby, alice, 2)
    commit(Kind.DELETED, rooms.lobby, alice, 2)
    for kind in (Kind.CONFIRMED, Kind.RESOLVED):
        assert [commit(kind, rooms.lobby, alice, seq) for seq in (1, 2, 3, 99)] == [ErrorCode.MESSAGE_INVALID] * 4
    assert shown(rooms.lobby, 2) == (None, None)
    assert not Confirmation.objects.exists()


def test_changes_of_one_batch_see_each_other(alice, bob, rooms, commit):
    post = Draft(room=rooms.lobby.pk, author=bob.pk, body="Disk full", msg_type=2, trusted=True, username="bob")
    kinds = (Kind.CONFIRMED, Kind.CONFIRMED, Kind.RESOLVED, Kind.RESOLVED, Kind.CONFIRMED)
    outcomes = actions.commit([post, *(commit.draft(kind, rooms.lobby, alice, 1) for kind in kinds)])
    assert [outcome.seq for outcome in outcomes] == [1, 2, 2, 3, 3, 2]
    assert shown(rooms.lobby) == ((1, ["alice"], False), ("alice", 3))


def test_many_users_confirm_an_alert_and_some_are_named(rooms, commit, monkeypatch):
    monkeypatch.setattr(confirmations, "MOST_USERS", 8)
    rooms.lobby.send_message("Disk full", None, 2)
    users = User.objects.bulk_create(User(username=f"user{number}", password="x") for number in range(12))
    for user in users:
        commit(Kind.CONFIRMED, rooms.lobby, user, 1)
    [(count, names, own), _] = shown(rooms.lobby, reader=users[-1].pk)
    assert (count, len(names), own) == (12, 8, True)
    users[0].delete()
    assert Confirmation.objects.count() == 12


def test_simultaneous_confirmations_leave_one_event_for_each_user(alice, bob, rooms, commit):
    rooms.lobby.send_message("Disk full", None, 2)
    drafts = [commit.draft(Kind.CONFIRMED, rooms.lobby, user, 1) for user in (alice, bob) for _ in range(2)]

    def write(draft):
        try:
            for _ in range(5):
                actions.commit([draft])
                actions.commit([Draft(room=draft.room, author=draft.author, login=draft.login, body="hi")])
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=[draft]) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Event.objects.filter(kind=Kind.CONFIRMED).count() == 2
    assert shown(rooms.lobby)[0][0] == 2


def test_the_alerts_that_wait_for_a_user_are_found_by_indexes(alice, bob, rooms, commit):
    rooms.lobby.send_message("own", bob, 2)
    for text in ("first", "second", "third"):
        rooms.lobby.send_message(text, None, 2)
    rooms.random.send_message("elsewhere", alice, 2)
    commit(Kind.CONFIRMED, rooms.lobby, bob, 2)
    commit(Kind.RESOLVED, rooms.lobby, alice, 3)
    actions.commit([Draft(room=rooms.lobby.pk, author=bob.pk, body="hi") for _ in range(100)])
    pairs = [RoomUser(room.pk, user.pk) for room in rooms for user in (alice, bob)]
    with CaptureQueriesContext(connection) as captured:
        waiting = alerts.unconfirmed(pairs)
    assert waiting == {
        (rooms.lobby.pk, alice.pk): (1, 2, 4),
        (rooms.lobby.pk, bob.pk): (4,),
        (rooms.random.pk, bob.pk): (1,),
    }
    assert len(captured) == 1
    plan = explain(captured[0]["sql"])
    assert "event_alerts" in plan
    assert "SCAN event" not in plan
    assert "Seq Scan on chat_event" not in plan
    assert "(event_id=? AND user_id=?)" in plan or "confirmation_event_user" in plan or "chat_confirmation_user" in plan


def test_old_alerts_do_not_wait(bob, rooms):
    rooms.lobby.send_message("old", None, 2)
    Event.objects.update(at="2020-01-01T00:00:00Z")
    assert alerts.unconfirmed([RoomUser(rooms.lobby.pk, bob.pk)]) == {}


async def test_all_devices_of_a_user_learn_that_an_alert_is_confirmed_and_others_who_did(alice, bob, rooms, settings):
    settings.SWEEP_SECONDS = 0.05
    lobby = str(rooms.lobby.pk)
    await database.write(rooms.lobby.send_message, "Disk full", alice, 2)

    def alerts_in(frame):
        return frame.get("heads", {}).get(lobby, {}).get("alerts")

    async with connected(bob) as phone, connected(bob) as desk, connected(alice) as alices:
        for socket in (phone, desk):
            await socket.send(command="watch")
            await socket.until(lambda frame: alerts_in(frame) == [1])
        await alices.send(command="watch")
        await alices.until(lambda frame: "heads" in frame)
        # The room need not be joined.
        await phone.send(command="confirm", room=lobby, seq=1, client_id=UUID)
        frames = await phone.until(lambda frame: "ack" in frame)
        for socket in (phone, desk):
            is_done = any(lobby in frame.get("heads", {}) for frame in frames) and socket is phone
            if not is_done:
                frame = (await socket.until(lambda frame: lobby in frame.get("heads", {})))[-1]
                assert alerts_in(frame) is None
        joined = await alices.ask(command="join", room=lobby)
        while "join" not in joined:
            joined = await alices.next()
        [alert] = joined["alerts"]
        assert alert["confirmations"] == {"count": 1, "users": [{"user": bob.pk, "username": "bob"}]}
        await alices.send(command="resolve", room=lobby, seq=1)
        [*_, resolved] = await alices.until(lambda frame: "resolved" in frame)
        assert (resolved["resolved"], resolved["seq"], resolved["username"]) == (1, 3, "alice")
        joined = await alices.ask(command="join", room=lobby)
        while "join" not in joined:
            joined = await alices.next()
        assert joined["alerts"][0]["resolution"]["seq"] == 3


async def test_confirmations_while_a_room_is_opened_are_counted_once(alice, bob, charlie, rooms):
    await database.write(rooms.lobby.send_message, "Disk full", None, 2)
    async with connected(alice) as alices, connected(bob) as bobs, connected(charlie) as charlies:
        confirm = [
            socket.ask(command="confirm", room=rooms.lobby.pk, seq=1, client_id=str(uuid.uuid4()))
            for socket in (bobs, charlies)
        ]
        await asyncio.gather(alices.send(command="join", room=rooms.lobby.pk), *confirm)
        await database.write(rooms.lobby.send_message, "the end", None)
        await alices.until(lambda frame: frame.get("message") == "the end")
        again = await alices.ask(command="join", room=rooms.lobby.pk)
        assert again["alerts"][0]["confirmations"]["count"] == 2


async def test_a_user_who_may_not_enter_a_room_can_neither_confirm_nor_see_its_alerts(alice, bob, rooms):
    staff = str(rooms.staff.pk)
    await database.write(rooms.staff.send_message, "secret", None, 2)
    async with connected(bob) as bobs, connected(alice) as alices:
        await bobs.send(command="watch")
        await alices.send(command="watch")
        await alices.until(lambda frame: frame.get("heads", {}).get(staff, {}).get("alerts") == [1])
        for command in ("confirm", "resolve"):
            await bobs.send(command=command, room=staff, seq=1, client_id=UUID)
            [*_, refused] = await bobs.until(lambda frame: "error" in frame)
            assert (refused["error"], refused["room"]) == ("ROOM_ACCESS_DENIED", staff)
        assert not any(staff in str(frame) for frame in await bobs.rest())
        assert not await database.read(Confirmation.objects.exists)


async def test_a_room_that_a_user_may_not_enter_is_not_locked_for_their_changes(bob, rooms, monkeypatch):
    secret = await database.read(Room.objects.create, title="Secret", members_only=True)
    locked = []
    append = log.append
    monkeypatch.setattr(log, "append", lambda rooms, **options: append(locked.extend(rooms) or locked[-1:], **options))
    copy = {"across": UUID, "client_id": UUID}
    async with connected(bob) as socket:
        for room in (rooms.staff.pk, secret.pk, 99999):
            answers = [
                await socket.ask(room=room, **command)
                for command in (
                    {"command": "confirm", "seq": 1},
                    {"command": "resolve", "seq": 1},
                    {"command": "send", "message": "hi", **copy},
                    {"command": "edit", "seq": 1, "message": "hi", **copy},
                    {"command": "delete", "seq": 1, **copy},
                )
            ]
            refusal = "ROOM_ACCESS_DENIED" if room == rooms.staff.pk else "ROOM_INVALID"
            assert {answer["error"] for answer in answers} == {refusal}
        assert locked == []
        await socket.ask(command="confirm", room=rooms.lobby.pk, seq=1, client_id=UUID)
        assert locked == [rooms.lobby.pk]


def test_staff_see_who_has_not_confirmed_an_alert_without_its_author_bots_and_strangers(
    client, alice, bob, charlie, rooms, commit, monkeypatch
):
    User.objects.create_user("gone", is_active=False)
    seq = rooms.lobby.send_message("Disk full", alice, 2)
    plain = rooms.lobby.send_message("hello", alice)
    commit(Kind.CONFIRMED, rooms.lobby, charlie, seq)
    path = f"/rooms/{rooms.lobby.pk}/alerts/{{}}/unconfirmed/".format
    client.force_login(bob)
    assert client.get(path(seq)).json()["error"] == "ROOM_ACCESS_DENIED"
    client.force_login(alice)
    assert client.get(path(seq)).json() == {"people": [{"username": "bob", "name": ""}], "more": False}
    for wrong in (plain, 99, 10**30):
        assert client.get(path(wrong)).json()["error"] == "MESSAGE_INVALID"
    # In a room of members others have nothing to confirm, and staff who are no members learn nothing.
    hidden = Room.objects.create(title="Hidden", members_only=True)
    hidden.add_member(bob)
    own = hidden.send_message("Secret", None, 2)
    missing = client.get("/rooms/999/alerts/1/unconfirmed/")
    answer = client.get(f"/rooms/{hidden.pk}/alerts/{own}/unconfirmed/")
    assert (answer.status_code, answer.content) == (missing.status_code, missing.content)
    hidden.add_member(alice)
    shown = client.get(f"/rooms/{hidden.pk}/alerts/{own}/unconfirmed/").json()["people"]
    assert [person["username"] for person in shown] == ["alice", "bob"]
    # A list of a large site is cut.
    monkeypatch.setattr(confirmations, "MOST_UNCONFIRMED", 1)
    User.objects.create_user("zoe")
    assert client.get(path(seq)).json() == {"people": [{"username": "bob", "name": ""}], "more": True}
