"""`manage.py prune` removes what is older than a room keeps it; servers and open pages forget it too."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from chat.live import database
from chat.models import Event, Mention, Reaction, Room, SearchText
from chat.store import actions, retention
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.sockets import connected

DAY = timedelta(days=1)


def fill(room, author, *, old, new):
    """Post messages that are ten days old, then messages of now."""
    for number in range(old + new):
        room.send_message(f"text {number + 1} @bob", author)
    Event.objects.filter(room=room, seq__lte=old).update(at=timezone.now() - 10 * DAY)


@pytest.mark.django_db
def test_prune_removes_expired_messages_with_everything_beside_them(rooms, alice, bob, capsys):
    room = rooms.lobby
    fill(room, alice, old=5, new=2)
    actions.commit([Draft(room=room.pk, author=bob.pk, kind=Kind.REACTED, target_seq=3, body="👍")])
    fill(rooms.random, alice, old=3, new=0)
    Room.objects.filter(pk=room.pk).update(retention_days=7)
    call_command("prune", "--dry-run")
    assert "Lobby" in capsys.readouterr().out and Event.objects.filter(room=room).count() == 8
    call_command("prune")
    assert capsys.readouterr().out.endswith("Removed 5 messages.\n")
    room.refresh_from_db()
    assert (room.floor_seq, room.head_seq) == (6, 8)
    assert list(Event.objects.filter(room=room).order_by("seq").values_list("seq", flat=True)) == [6, 7, 8]
    assert not Reaction.objects.exists()
    assert Mention.objects.filter(room_id=room.pk).count() == 2
    assert SearchText.objects.filter(room_id=room.pk).count() == 2
    assert rooms.random.events.count() == 3, "a room without a number of days keeps everything"
    assert room.send_message("the numbers go on", alice) == 9
    call_command("prune")
    assert capsys.readouterr().out == "Removed 0 messages.\n"


@pytest.mark.django_db
def test_a_legal_hold_keeps_everything(rooms, alice):
    fill(rooms.lobby, alice, old=2, new=0)
    Room.objects.filter(pk=rooms.lobby.pk).update(retention_days=1, legal_hold=True)
    assert retention.due() == []
    assert retention.prune_room(rooms.lobby.pk) == 0
    Room.objects.filter(pk=rooms.lobby.pk).update(legal_hold=False)
    assert retention.prune_room(rooms.lobby.pk) == 2


@pytest.mark.django_db
def test_a_large_room_is_pruned_in_pieces_and_an_interruption_leaves_nothing_half_done(rooms, alice, monkeypatch):
    monkeypatch.setattr(retention, "PIECE_ROWS", 2)
    fill(rooms.lobby, alice, old=5, new=1)
    Room.objects.filter(pk=rooms.lobby.pk).update(retention_days=7)

    def interrupt(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(retention.time, "sleep", interrupt)
        retention.prune_room(rooms.lobby.pk)
    rooms.lobby.refresh_from_db()
    assert rooms.lobby.floor_seq == rooms.lobby.events.order_by("seq").first().seq == 3
    assert retention.prune_room(rooms.lobby.pk) == 3


@pytest.mark.django_db(transaction=True)
async def test_open_sockets_learn_of_the_floor_and_unread_counts_follow(rooms, alice, bob):
    room = rooms.lobby
    await database.write(fill, room, alice, old=4, new=2)
    await database.write(Room.objects.filter(pk=room.pk).update, retention_days=7)
    async with connected(bob) as socket:
        joined = await socket.ask(command="join", room=room.pk)
        assert (joined["floor"], joined["head"]) == (1, 6)
        await socket.send(command="read", room=room.pk, seq=1, back=True)
        await socket.send(command="watch")
        await socket.until(lambda frame: frame.get("heads", {}).get(str(room.pk), {}).get("unread") == 5)
        assert await database.write(retention.prune_room, room.pk) == 4
        frames = await socket.until(lambda frame: frame.get("heads", {}).get(str(room.pk), {}).get("unread") == 2)
        assert {"room": str(room.pk), "floor": 5} in frames
        # A cursor below the floor starts over; one above it goes on.
        again = await socket.ask(command="join", room=room.pk, since=2, epoch=joined["epoch"])
        assert (again["floor"], again["reset"]) == (5, True)
        later = await socket.ask(command="join", room=room.pk, since=4, epoch=joined["epoch"])
        assert "reset" not in later
        frames = await socket.until(lambda frame: frame.get("seq") == 6)
        assert [frame["seq"] for frame in frames if "seq" in frame] == [5, 6]
        page = await socket.ask(command="history", room=room.pk)
        assert [event["seq"] for event in page["events"]] == [5, 6] and page["more"] is False
        assert "text 4" not in json.dumps(page)
