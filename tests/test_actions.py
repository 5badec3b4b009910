"""Actions: which messages are valid, and the outcomes of drafts."""

import json
import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, DataError, InternalError, OperationalError, ProgrammingError, connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Room
from chat.protocol import Deleted, Edited, Overtaken, Posted
from chat.store import actions, log
from chat.store.actions import Draft, NotSaved
from chat.store.log import Committed, Kind

# Transactions are real, because a batch that fails must roll back.
pytestmark = pytest.mark.django_db(transaction=True)

FAMILY = "👨‍👩‍👧‍👦"
# Keys have names, so that tests are readable: key("a") is always the same client_id.
NAMESPACE = uuid.UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")


def key(name):
    return uuid.uuid5(NAMESPACE, name)


def refusal(call, *arguments, **named):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return caught.value.code


@pytest.mark.any_database
@pytest.mark.parametrize(
    "text",
    [
        "a",
        "0",
        "\u200ba",
        "x" * 4000,
        "e\u0301" * 4000,
        FAMILY * 1310,  # 25 bytes each
        "🏳️‍🌈" * 2340,
        "é" * 4000,
        "𝕏" * 4000,
        "क्षि" * 2700,
        "\r\n.".join(["x"] * 1000),
        "<img src=x onerror=alert(1)>",
        "👍🏽",
    ],
    ids=ascii,
)
def test_a_text_within_the_limits_is_accepted_unchanged(text):
    assert actions.check_text(text) == text


@pytest.mark.any_database
@pytest.mark.parametrize(
    "text",
    [
        "x" * 4001,
        "e\u0301" * 4001,
        "🇩🇪" * 4001,
        FAMILY * 1311,  # bytes
        "a" + "\u0301" * 16384,  # one visible character, 32,769 bytes
        "𝕏" * 8193,
        "x" * 1_000_000,
        " " * 32769,
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_a_text_beyond_the_limits_is_too_long(text):
    assert refusal(actions.check_text, text) == ErrorCode.MESSAGE_TOO_LONG


def test_a_text_of_exactly_the_limit_in_bytes_is_accepted():
    text = "a" + "\u0301" * 16383 + "b"
    assert len(text.encode()) == 32768
    assert actions.check_text(text) == text


BLANK = ["", " ", "\n\t\r\n", "\u3000", "\xa0", "\u200b", "\u200b\u200d\ufeff", "\u2060 \u00ad", "\u2028", "\x1f"]


@pytest.mark.any_database
@pytest.mark.parametrize("text", BLANK, ids=ascii)
def test_a_text_without_visible_characters_is_empty(text):
    assert refusal(actions.check_text, text) == ErrorCode.MESSAGE_EMPTY


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\x00" * 100])
def test_nul_is_refused(text):
    assert refusal(actions.check_text, text) == ErrorCode.MESSAGE_INVALID


@pytest.mark.any_database
@pytest.mark.parametrize("msg_type", [0, 1, 2, 3])
def test_these_message_types_are_valid(msg_type):
    assert actions.check_type(msg_type) == msg_type


@pytest.mark.any_database
@pytest.mark.parametrize("msg_type", [4, 5, 6, -1, 10**30])
def test_types_of_signals_and_unknown_types_are_refused(msg_type):
    assert refusal(actions.check_type, msg_type) == ErrorCode.MESSAGE_INVALID


def test_enter_and_leave_stay_signals_although_a_site_lists_them(settings):
    settings.MESSAGE_TYPES_LIST = [0, 4, 5]
    assert refusal(actions.check_type, 4) == ErrorCode.MESSAGE_INVALID


def post(room, author, body="hi", **fields):
    return Draft(room=room.pk, author=author and author.pk, body=body, **fields)


def edit(room, author, seq, body="new", **fields):
    return Draft(room=room.pk, author=author.pk, kind=Kind.EDITED, body=body, target_seq=seq, **fields)


def delete(room, author, seq, **fields):
    return Draft(room=room.pk, author=author.pk, kind=Kind.DELETED, target_seq=seq, **fields)


def results(drafts):
    """Return seqs and refusal codes of one batch, in order."""
    return [outcome.seq if isinstance(outcome, Committed) else outcome.code for outcome in actions.commit(drafts)]


def bodies(room):
    return list(Event.objects.filter(room=room).order_by("seq").values_list("seq", "kind", "body"))


def test_a_batch_is_numbered_in_order_in_each_room(alice, bob, rooms):
    drafts = [
        post(rooms.lobby, alice, "1"),
        post(rooms.random, bob, "2"),
        post(rooms.lobby, bob, "3"),
        post(rooms.lobby, alice, "4"),
    ]
    assert results(drafts) == [1, 1, 2, 3]
    assert bodies(rooms.lobby) == [(1, 0, "1"), (2, 0, "3"), (3, 0, "4")]
    assert bodies(rooms.random) == [(1, 0, "2")]
    assert list(Room.objects.order_by("pk").values_list("head_seq", flat=True)) == [3, 1, 0]


def test_a_batch_takes_the_same_number_of_statements_at_any_size(bob, rooms):
    def statements(count):
        with CaptureQueriesContext(connection) as captured:
            actions.commit([post(rooms.lobby, bob, client_id=uuid.uuid4()) for _ in range(count)])
        return len(captured)

    assert statements(40) == statements(1)


def test_a_commit_returns_the_frame_that_is_later_read_from_the_log(bob, rooms):
    drafts = [
        post(rooms.lobby, bob, "a", client_id=key("a")),
        post(rooms.lobby, bob, "b"),
        edit(rooms.lobby, bob, 1, client_id=key("e")),
        delete(rooms.lobby, bob, 2),
    ]
    committed = [outcome.logged.frame.text for outcome in actions.commit(drafts)]
    assert committed == [logged.frame.text for logged in log.read(rooms.lobby.pk, after=0, limit=10)]


def test_a_repeated_client_id_posts_once_within_a_batch(bob, rooms):
    draft = post(rooms.lobby, bob, client_id=key("a"))
    again = post(rooms.lobby, bob, "another text", client_id=key("a"))
    other = post(rooms.random, bob, client_id=key("a"))
    outcomes = actions.commit([draft, again, other])
    assert [(outcome.room, outcome.seq) for outcome in outcomes] == [(rooms.lobby.pk, 1)] * 3
    assert [outcome.logged is not None for outcome in outcomes] == [True, False, False]
    assert bodies(rooms.lobby) == [(1, 0, "hi")]
    assert bodies(rooms.random) == []


def test_a_repeated_client_id_posts_once_across_batches_rooms_and_texts(bob, rooms):
    first = actions.commit([post(rooms.lobby, bob, client_id=key("a"))])
    assert first[0].logged is not None
    for draft in (
        post(rooms.lobby, bob, client_id=key("a")),
        post(rooms.lobby, bob, "another text", client_id=key("a")),
        post(rooms.random, bob, client_id=key("a")),
    ):
        assert actions.commit([draft]) == [Committed(rooms.lobby.pk, 1)]
    assert results([post(rooms.lobby, bob, "next")]) == [2]
    assert results([post(rooms.random, bob, "next")]) == [1]


def test_two_authors_may_use_the_same_client_id(alice, bob, rooms):
    drafts = [post(rooms.lobby, author, client_id=key("a")) for author in (alice, bob)]
    assert results(drafts) == [1, 2]


def test_a_repeated_send_is_acknowledged_after_the_author_lost_the_right_to_write(alice, rooms):
    draft = post(rooms.staff, alice, client_id=key("a"))
    assert results([draft]) == [1]
    User.objects.update(is_staff=False)
    assert results([draft, post(rooms.staff, alice)]) == [1, ErrorCode.ROOM_ACCESS_DENIED]


def test_a_draft_without_a_client_id_is_posted_once_when_tried_twice(bob, rooms):
    draft = post(rooms.lobby, bob)
    assert results([draft]) == results([draft]) == [1]
    assert actions.commit([post(rooms.lobby, bob)])[0].logged.event.client_id is None


def test_a_draft_that_the_database_refuses_fails_alone(bob, rooms, monkeypatch):
    # Only the database finds out that this draft is invalid.
    failing(monkeypatch, lambda bodies: DataError("refused") if "poison" in bodies else None)
    drafts = [post(rooms.lobby, bob, body, client_id=key(body)) for body in ("a", "poison", "b")]
    assert results(drafts) == [1, ErrorCode.MESSAGE_INVALID, 2]
    assert bodies(rooms.lobby) == [(1, 0, "a"), (2, 0, "b")]
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 2


def failing(monkeypatch, fails):
    """Make saving raise the error that `fails(bodies)` returns, if any."""
    insert = log.insert

    def insert_or_fail(trip, events):
        if error := fails([event.body for event in events]):
            raise error
        insert(trip, events)

    monkeypatch.setattr(log, "insert", insert_or_fail)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("too many SQL variables"),
        OperationalError("Expression tree is too large (maximum depth 1000)"),
        OperationalError("canceling statement due to statement timeout"),
        TypeError("a fault of ours"),
        ProgrammingError("syntax error"),
    ],
    ids=str,
)
def test_a_draft_whose_statement_fails_fails_alone_and_may_be_sent_again(bob, charlie, rooms, monkeypatch, error):
    failing(monkeypatch, lambda bodies: error if "poison" in bodies else None)
    drafts = [post(rooms.lobby, bob, "a"), post(rooms.lobby, charlie, "poison"), post(rooms.lobby, bob, "b")]
    assert results(drafts) == [1, ErrorCode.SERVER_UNAVAILABLE, 2]


def test_a_draft_that_fails_by_a_bug_is_answered_and_not_held(bob, rooms, monkeypatch, caplog):
    failing(monkeypatch, lambda bodies: TypeError("a fault of ours"))
    [outcome] = actions.commit([post(rooms.lobby, bob)])
    assert (outcome.code, outcome.context["retry_after"]) == (ErrorCode.SERVER_UNAVAILABLE, 1)
    assert not isinstance(outcome, NotSaved)


def test_a_refused_message_is_logged_without_its_text_and_without_a_traceback(bob, rooms, monkeypatch, caplog):
    failing(monkeypatch, lambda bodies: DataError("a secret"))
    assert results([post(rooms.lobby, bob)]) == [ErrorCode.MESSAGE_INVALID]
    [record] = caplog.records
    assert record.exc_info is None
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize(
    "error",
    [
        InternalError("cannot execute INSERT in a read-only transaction"),
        DatabaseError("database disk image is malformed"),
        ProgrammingError("permission denied for table chat_event"),
        OperationalError("database or disk is full"),
    ],
    ids=str,
)
def test_an_error_of_the_whole_database_refuses_no_draft(bob, rooms, monkeypatch, error):
    failing(monkeypatch, lambda bodies: error)
    with pytest.raises(type(error)):
        actions.commit([post(rooms.lobby, bob), post(rooms.lobby, bob)])


def test_drafts_after_a_failed_one_of_the_same_author_and_room_are_not_saved(bob, charlie, rooms, monkeypatch):
    failing(monkeypatch, lambda bodies: OperationalError("too many SQL variables") if "poison" in bodies else None)
    drafts = [post(rooms.lobby, bob, "poison"), post(rooms.lobby, bob, "next"), post(rooms.lobby, charlie, "other")]
    assert results(drafts) == [ErrorCode.SERVER_UNAVAILABLE] * 2 + [1]
    assert bodies(rooms.lobby) == [(1, 0, "other")]


def test_after_slow_failures_the_remaining_drafts_are_left_for_the_next_transaction(bob, charlie, rooms, monkeypatch):
    monkeypatch.setattr(actions, "ALONE_SECONDS", -1)
    failing(monkeypatch, lambda bodies: OperationalError("too many SQL variables") if "poison" in bodies else None)
    outcomes = actions.commit([post(rooms.lobby, bob, "poison"), post(rooms.lobby, charlie, "next")])
    assert [(type(outcome), bool(outcome.error)) for outcome in outcomes] == [(NotSaved, True), (NotSaved, False)]


def test_a_refused_draft_leaves_no_hole(alice, bob, rooms):
    drafts = [post(rooms.staff, alice), post(rooms.staff, bob), post(rooms.staff, alice)]
    assert results(drafts) == [1, ErrorCode.ROOM_ACCESS_DENIED, 2]


def test_a_draft_for_a_deleted_room_is_refused_and_the_others_are_posted(bob, rooms):
    gone = rooms.random.pk
    rooms.random.delete()
    drafts = [post(rooms.lobby, bob), Draft(room=gone, author=bob.pk, body="hi"), post(rooms.lobby, bob)]
    assert results(drafts) == [1, ErrorCode.ROOM_INVALID, 2]


def test_a_deactivated_author_has_to_log_in(bob, charlie, rooms):
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert results([post(rooms.lobby, bob), post(rooms.lobby, charlie)]) == [ErrorCode.USER_HAS_TO_LOGIN, 1]


def test_a_deleted_author_has_to_log_in(bob, rooms):
    draft = post(rooms.lobby, bob)
    bob.delete()
    assert results([draft]) == [ErrorCode.USER_HAS_TO_LOGIN]


def test_only_staff_post_warnings_through_a_socket(alice, bob, rooms):
    drafts = [post(rooms.lobby, author, msg_type=1) for author in (alice, bob)]
    assert results(drafts) == [1, ErrorCode.MESSAGE_TYPE_DENIED]


def test_an_edit_is_an_event_and_changes_the_message(bob, rooms):
    outcomes = actions.commit([post(rooms.lobby, bob)]) + actions.commit([edit(rooms.lobby, bob, 1)])
    posted, edited = (outcome.logged.event for outcome in outcomes)
    assert isinstance(posted, Posted)
    assert isinstance(edited, Edited)
    assert (edited.edited, edited.message, edited.seq) == (1, "new", 2)
    assert bodies(rooms.lobby) == [(1, 0, "new"), (2, 1, "new")]
    assert Event.objects.get(seq=1).edited_at is not None


def test_a_message_for_another_log_of_the_room_is_refused_alone(bob, rooms):
    stale, sent = post(rooms.lobby, bob, epoch="before"), post(rooms.lobby, bob, epoch=rooms.lobby.epoch)
    assert results([stale, sent, post(rooms.lobby, bob)]) == [ErrorCode.EPOCH_CHANGED, 1, 2]
    Room.objects.filter(pk=rooms.lobby.pk).update(epoch="after")
    # A message that the restored log has is acknowledged, whatever log its sender knows.
    assert results([post(rooms.lobby, bob, epoch=rooms.lobby.epoch), sent]) == [ErrorCode.EPOCH_CHANGED, 1]


@pytest.mark.any_database
def test_only_the_author_may_edit_and_only_the_author_and_staff_may_delete(alice, bob, charlie, rooms):
    actions.commit([post(rooms.lobby, bob), post(rooms.lobby, alice)])
    drafts = [
        edit(rooms.lobby, charlie, 1),
        edit(rooms.lobby, alice, 1),
        delete(rooms.lobby, bob, 2),
        edit(rooms.lobby, bob, 1),
        delete(rooms.lobby, alice, 1),
    ]
    denied = ErrorCode.NOT_AUTHOR
    assert results(drafts) == [denied, denied, denied, 3, 4]


def test_only_messages_can_be_edited_or_deleted(bob, rooms):
    actions.commit([post(rooms.lobby, bob), edit(rooms.lobby, bob, 1), delete(rooms.lobby, bob, 1)])
    for seq in (0, 2, 3, 99, 2**63 - 1):
        drafts = [edit(rooms.lobby, bob, seq), delete(rooms.lobby, bob, seq)]
        assert results(drafts) == [ErrorCode.MESSAGE_INVALID] * 2, seq
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 3


def test_an_author_takes_back_a_message_that_was_just_posted_and_no_other_one(alice, bob, rooms):
    results([post(rooms.lobby, bob, text) for text in ("undone", "old", "deleted", "by the staff")])
    Event.objects.filter(seq=2).update(at=timezone.now() - log.UNDO_WITHIN - timedelta(seconds=1))
    done = actions.commit(
        [
            delete(rooms.lobby, bob, 1, is_undo=True),
            delete(rooms.lobby, bob, 2, is_undo=True),
            delete(rooms.lobby, bob, 3),
            delete(rooms.lobby, alice, 4, is_undo=True),
        ]
    )
    assert [outcome.logged.event.taken_back for outcome in done] == [True, False, False, False]
    page = log.history(rooms.lobby, log.HistoryPlace(), limit=9, max_bytes=9999)
    assert [(event.deleted, event.taken_back) for event in page.events] == [
        (True, True),
        (True, False),
        (True, False),
        (True, False),
    ]


def test_a_deleted_message_cannot_be_edited_or_deleted_again(bob, rooms):
    actions.commit([post(rooms.lobby, bob), delete(rooms.lobby, bob, 1)])
    assert results([edit(rooms.lobby, bob, 1), delete(rooms.lobby, bob, 1)]) == [ErrorCode.MESSAGE_INVALID] * 2


def test_a_message_cannot_be_deleted_by_its_number_in_another_room(bob, rooms):
    actions.commit([post(rooms.lobby, bob)])
    assert results([delete(rooms.random, bob, 1)]) == [ErrorCode.MESSAGE_INVALID]


def test_a_message_below_the_floor_cannot_be_deleted(bob, rooms):
    actions.commit([post(rooms.lobby, bob), post(rooms.lobby, bob)])
    Room.objects.update(floor_seq=2)
    assert results([delete(rooms.lobby, bob, 1), delete(rooms.lobby, bob, 2)]) == [ErrorCode.MESSAGE_INVALID, 3]


@pytest.mark.parametrize("batches", ["one", "each"])
def test_deleting_a_message_removes_its_text_and_its_edits_from_the_database(bob, rooms, batches):
    drafts = [
        post(rooms.lobby, bob, "secret 1"),
        post(rooms.lobby, bob, "kept"),
        edit(rooms.lobby, bob, 1, "secret 2"),
        edit(rooms.lobby, bob, 2, "kept still"),
        edit(rooms.lobby, bob, 1, "secret 3"),
        delete(rooms.lobby, bob, 1),
    ]
    for batch in [drafts] if batches == "one" else [[draft] for draft in drafts]:
        outcomes = actions.commit(batch)
    assert not Event.objects.filter(body__contains="secret").exists()
    assert [body for _, _, body in bodies(rooms.lobby)] == ["", "kept still", "", "kept still", "", ""]
    read = [logged.event for logged in log.read(rooms.lobby.pk, after=0, limit=10)]
    assert [getattr(event, "message", None) for event in read] == [None, "kept still", None, "kept still", None, None]
    assert [getattr(event, "deleted", None) for event in read] == [True, False, None, False, True, 1]
    assert isinstance(read[2], Overtaken)
    assert isinstance(outcomes[-1].logged.event, Deleted)
    if batches == "one":
        assert not any("secret" in outcome.logged.frame.text for outcome in outcomes)


@pytest.mark.parametrize("batches", ["one", "each"])
def test_editing_a_message_removes_its_earlier_texts_from_the_database(bob, rooms, batches):
    drafts = [
        post(rooms.lobby, bob, "secret 1"),
        edit(rooms.lobby, bob, 1, "secret 2", client_id=key("e")),
        post(rooms.lobby, bob, "other"),
        edit(rooms.lobby, bob, 1, "secret 3"),
        edit(rooms.lobby, bob, 3, "other edited"),
        edit(rooms.lobby, bob, 1, "last"),
    ]
    for batch in [drafts] if batches == "one" else [[draft] for draft in drafts]:
        actions.commit(batch)
    assert not Event.objects.filter(Q(body__contains="secret") | Q(first_body__isnull=False)).exists()
    read = [json.loads(logged.frame.text) for logged in log.read(rooms.lobby.pk, after=0, limit=10)]
    assert [frame.get("message") for frame in read] == ["last", None, "other edited", None, "other edited", "last"]
    at = read[1].pop("at")
    assert at.endswith("Z")
    lobby = str(rooms.lobby.pk)
    assert read[1] == {"room": lobby, "edited": 1, "overtaken": True, "seq": 2, "client_id": str(key("e"))}
    assert {name for name in read[3] if name != "at"} == {"room", "edited", "overtaken", "seq"}
    assert "secret" not in str(read)


def test_the_ring_and_the_log_have_the_same_frames_after_every_change(bob, rooms):
    seqs, live = [], []
    for draft in [
        post(rooms.lobby, bob, "one"),
        post(rooms.lobby, bob, "two"),
        edit(rooms.lobby, bob, 1, "one 1", client_id=key("e")),
        edit(rooms.lobby, bob, 2, "two 1"),
        edit(rooms.lobby, bob, 1, "one 2"),
        edit(rooms.lobby, bob, 2, "two 2"),
        edit(rooms.lobby, bob, 2, "two 3"),
        delete(rooms.lobby, bob, 2),
    ]:
        [outcome] = actions.commit([draft])
        live = [event.changed_by(outcome.logged.event) for event in live] + [outcome.logged]
        seqs.append(outcome.seq)
        read = log.read(rooms.lobby.pk, after=0, limit=10)
        assert [logged.frame.text for logged in live] == [logged.frame.text for logged in read]
    assert seqs == list(range(1, 9))


def test_an_edit_or_delete_costs_the_same_after_any_number_of_edits(bob, rooms):
    actions.commit([post(rooms.lobby, bob), edit(rooms.lobby, bob, 1)])
    costs = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            actions.commit([edit(rooms.lobby, bob, 1)])
        costs.append(len(captured))
        actions.commit([edit(rooms.lobby, bob, 1, str(number)) for number in range(30)])
    assert costs[0] == costs[1]
    with CaptureQueriesContext(connection) as captured:
        actions.commit([delete(rooms.lobby, bob, 1)])
    updates = [query["sql"] for query in captured if "UPDATE " in query["sql"].partition("FOR ")[0]]
    # One each for the message, its latest edit, and the room's head.
    assert len(updates) == 3
    assert not any("target_seq" in sql.partition("WHERE")[2] for sql in updates)
    assert costs[1] <= costs[0] + 2


def test_a_site_may_keep_earlier_texts_but_does_not_send_them_to_any_client(bob, rooms, settings):
    settings.KEEP_EDITED_TEXT = True
    actions.commit([post(rooms.lobby, bob, "text 1"), edit(rooms.lobby, bob, 1, "text 2")])
    actions.commit([edit(rooms.lobby, bob, 1, "text 3")])
    actions.commit([edit(rooms.lobby, bob, 1, "text 4")])
    assert [body for _, _, body in bodies(rooms.lobby)] == ["text 4", "text 2", "text 3", "text 4"]
    assert Event.objects.get(seq=1).first_body == "text 1"
    frames = [json.loads(logged.frame.text) for logged in log.read(rooms.lobby.pk, after=0, limit=10)]
    assert [frame.get("message") for frame in frames] == ["text 4", None, None, "text 4"]
    # A delete removes all texts, even if the setting was changed since.
    settings.KEEP_EDITED_TEXT = False
    actions.commit([delete(rooms.lobby, bob, 1)])
    assert not Event.objects.filter(Q(body__contains="text") | Q(first_body__contains="text")).exists()


def test_a_repeated_edit_or_delete_is_done_once(bob, rooms):
    actions.commit([post(rooms.lobby, bob)])
    change = edit(rooms.lobby, bob, 1, client_id=key("e"))
    assert results([change, change]) == [2, 2]
    assert results([change]) == [2]
    removal = delete(rooms.lobby, bob, 1, client_id=key("d"))
    assert results([removal, removal]) == [3, 3]
    assert results([removal]) == [3]


def test_the_system_posts_without_an_author(rooms):
    assert actions.post_message(rooms.lobby, None, "Backup tonight", msg_type=1) == 1
    event = Event.objects.get()
    assert (event.author, event.username) == (None, "")


@pytest.mark.parametrize("author", ["alice", None])
def test_posting_into_a_deleted_room_is_refused(alice, rooms, author):
    room = Room.objects.get(pk=rooms.lobby.pk)
    rooms.lobby.delete()
    assert refusal(actions.post_message, room, alice if author else None, "hi") == ErrorCode.ROOM_INVALID


def test_posting_from_python_accepts_a_deactivated_author(bob, rooms):
    User.objects.update(is_active=False)
    assert actions.post_message(rooms.lobby, bob, "hi") == 1


def test_posting_as_a_user_who_was_deleted_meanwhile_is_refused(bob, rooms):
    stale = User.objects.get(pk=bob.pk)
    bob.delete()
    assert refusal(actions.post_message, rooms.lobby, stale, "hi") == ErrorCode.MESSAGE_INVALID
    assert Room.objects.get(pk=rooms.lobby.pk).head_seq == 0
