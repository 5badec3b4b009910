"""The recent alerts that a join reply carries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import protocol
from chat.live import database
from chat.live.alerts import MAX_BYTES, Alerts
from chat.protocol import Confirmations, Confirmed, Deleted, Edited, Person, Posted
from chat.store import actions, alerts
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.sockets import connected


def ago(**time):
    return protocol.timestamp(timezone.now() - timedelta(**time))


def alert(seq, text="Disk full", at=None, **more):
    return Posted(
        room="1", username="", message=text, msg_type=more.pop("msg_type", 2), seq=seq, at=at or ago(hours=1), **more
    )


def seqs_and_messages(kept):
    return [(event.seq, event.message) for event in kept.recent()]


def test_alerts_are_listed_oldest_first_with_edits_and_deletions_applied():
    kept = Alerts([alert(5, "b"), alert(2, "a")])
    kept.apply_event(alert(6, "no alert", msg_type=1))
    kept.apply_event(Edited(room="1", edited=2, message="A", seq=7, at=ago(minutes=5)))
    kept.apply_event(Edited(room="1", edited=6, message="still none", seq=8, at=ago(minutes=5)))
    assert seqs_and_messages(kept) == [(2, "A"), (5, "b")]
    assert kept.recent()[0].edited_at
    kept.apply_event(Deleted(room="1", deleted=5, seq=9, at=ago(minutes=4)))
    assert seqs_and_messages(kept) == [(2, "A")]
    # The log's form of an edit whose message was deleted later.
    kept.apply_event(Edited(room="1", edited=2, message=None, seq=7, at=ago(minutes=5), deleted=True))
    kept.apply_event(alert(10, None, deleted=True))
    assert seqs_and_messages(kept) == []


def test_events_that_the_alerts_include_already_are_not_applied_again():
    def confirmed(seq, user):
        return Confirmed(room="1", confirmed=5, username=f"user{user}", user=user, seq=seq, at=ago(minutes=1))

    known = Confirmations(count=1, users=[Person(user=1, username="user1")])
    kept = Alerts([alert(5, confirmations=known)], as_of=7)
    kept.apply_event(confirmed(7, 1))
    assert kept.recent()[0].confirmations.count == 1
    kept.apply_event(confirmed(8, 2))
    assert kept.recent()[0].confirmations.count == 2
    # What a join frame was made of is not changed by later events.
    assert known.count == 1


def test_alerts_are_limited_in_age_number_and_size():
    assert seqs_and_messages(Alerts([alert(1, at=ago(days=8)), alert(2, at=ago(days=6))])) == [(2, "Disk full")]
    assert [seq for seq, _ in seqs_and_messages(Alerts(alert(seq) for seq in range(1, 100)))] == list(range(80, 100))
    large = "é" * (MAX_BYTES // 4 + 1)
    assert [seq for seq, _ in seqs_and_messages(Alerts(alert(seq, large) for seq in range(1, 4)))] == [3]


@pytest.mark.django_db(transaction=True)
def test_the_log_finds_alerts_by_their_index_after_many_later_messages(bob, rooms):
    actions.post_message(rooms.lobby, bob, "deleted", msg_type=2)
    actions.post_message(rooms.lobby, bob, "a warning", msg_type=1)
    actions.post_message(rooms.lobby, bob, "Disk full", msg_type=2)
    actions.post_message(rooms.random, bob, "elsewhere", msg_type=2)
    change = {"room": rooms.lobby.pk, "author": bob.pk}
    drafts = [
        Draft(**change, kind=Kind.DELETED, target_seq=1),
        Draft(**change, kind=Kind.EDITED, target_seq=3, body="Full"),
    ]
    actions.commit([*drafts, *(Draft(**change, body=f"text {n}") for n in range(100))])
    with CaptureQueriesContext(connection) as queries:
        found = alerts.recent([rooms.lobby.pk, rooms.random.pk, rooms.staff.pk])
    assert {room: [(event.seq, event.message) for event in recent.alerts] for room, recent in found.items()} == {
        rooms.lobby.pk: [(3, "Full")],
        rooms.random.pk: [(1, "elsewhere")],
        rooms.staff.pk: [],
    }
    assert len(queries) == 1
    # The query uses the index of alerts and does not scan all messages.
    assert "event_alerts" in explain(queries[0]["sql"])


def explain(sql):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
            cursor.execute(f"EXPLAIN {sql}")
        else:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return str(cursor.fetchall())


@pytest.mark.django_db(transaction=True)
async def test_a_join_reply_carries_earlier_alerts_and_those_posted_while_the_room_was_open(bob, rooms, settings):
    settings.GRACE_SECONDS = 0
    lobby = str(rooms.lobby.pk)
    await database.write(rooms.lobby.send_message, "before", bob, 2)
    async with connected(bob) as socket:
        joined = await socket.ask(command="join", room=lobby)
        assert [alert["message"] for alert in joined["alerts"]] == ["before"]
        assert "alerts" not in await socket.ask(command="join", room=rooms.random.pk)
        await database.write(rooms.lobby.send_message, "while it is open", None, 2)
        await socket.until(lambda frame: frame.get("message") == "while it is open")
        again = await socket.ask(command="join", room=lobby)
        assert [alert["message"] for alert in again["alerts"]] == ["before", "while it is open"]
        assert [alert.get("user") for alert in again["alerts"]] == [bob.pk, None]
