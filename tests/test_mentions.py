"""The users that a message mentions."""

import json
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.models import Event, Membership, Mention
from chat.names import name_key
from chat.store import actions, log, mentions, unread
from chat.store.actions import Draft
from chat.store.policies import User
from chat.store.room_user import RoomUser


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@bob", {"bob"}),
        ("ask @bob, or @alice!", {"bob", "alice"}),
        ("Thanks @bob.", {"bob", "bob."}),
        ("(@bob)", {"bob"}),
        ("@j.doe@example.com?", {"j.doe@example.com"}),
        ("@bob...", {"bob", "bob.", "bob..", "bob..."}),
        ("@Zoë and @李雷", {"Zoë", "李雷"}),
        ("write to bob@example.com", set()),
        ("1+@bob", set()),
        ("@ bob", set()),
        ("@@bob", {"@bob"}),
        ("@...", set()),
        ("", set()),
    ],
)
def test_names_follow_an_at_sign_and_may_end_a_sentence(text, names):
    found = mentions.names_in(text)
    assert {name for name in found if any(map(str.isalpha, name))} == names
    assert "" not in found


def mentioned(room, seq=1):
    """Return the usernames that a message mentions, as saved in the database."""
    return set(Mention.objects.filter(event__room=room, event__seq=seq).values_list("user__username", flat=True))


def commit(room, author, **fields):
    [outcome] = actions.commit([Draft(room=room.pk, author=author.pk, **fields)])
    return outcome.seq


def test_a_message_mentions_existing_users_once_each(alice, bob, rooms):
    rooms.lobby.send_message("@bob, @alice, @bob and @stranger", alice)
    assert mentioned(rooms.lobby) == {"alice", "bob"}
    assert Mention.objects.count() == 2


def test_an_edit_replaces_the_mentions_of_its_message(alice, bob, charlie, rooms):
    seq = commit(rooms.lobby, alice, body="@bob")
    edit = commit(rooms.lobby, alice, kind=Event.Kind.EDITED, target_seq=seq, body="no, @charlie")
    assert mentioned(rooms.lobby, seq) == {"charlie"}
    assert mentioned(rooms.lobby, edit) == set()


def test_a_delete_removes_the_mentions_of_its_message(alice, bob, rooms):
    seq = commit(rooms.lobby, alice, body="@bob")
    commit(rooms.lobby, alice, kind=Event.Kind.DELETED, target_seq=seq)
    assert Mention.objects.count() == 0


def test_a_message_posted_and_changed_in_one_batch_has_the_mentions_of_its_last_text(alice, bob, charlie, rooms):
    first, second = (Draft(room=rooms.lobby.pk, author=alice.pk, body="@bob") for _ in range(2))
    actions.commit(
        [
            first,
            second,
            Draft(room=rooms.lobby.pk, author=alice.pk, kind=Event.Kind.EDITED, target_seq=1, body="@charlie"),
            Draft(room=rooms.lobby.pk, author=alice.pk, kind=Event.Kind.DELETED, target_seq=2),
        ]
    )
    assert mentioned(rooms.lobby, 1) == {"charlie"}
    assert mentioned(rooms.lobby, 2) == set()


def test_mentions_are_matched_without_regard_to_case_and_composition(alice, bob, rooms):
    jurgen = User.objects.create_user("J\u00fcrgen")
    rooms.lobby.send_message("@BOB and @Ju\u0308rgen", alice)
    assert mentioned(rooms.lobby) == {"bob", jurgen.username}
    [logged] = log.read(rooms.lobby.pk, after=0, limit=1)
    assert [(each.name, each.user) for each in logged.event.mentions] == [
        ("BOB", bob.pk),
        ("Ju\u0308rgen", jurgen.pk),
    ]


def test_users_who_were_written_without_a_key_are_mentioned_by_their_exact_name(alice, rooms):
    User.objects.bulk_create([User(username="Imported", password="x")])
    rooms.lobby.send_message("@Imported", alice)
    rooms.lobby.send_message("@imported", alice)
    assert [mentioned(rooms.lobby, seq) for seq in (1, 2)] == [{"Imported"}, set()]


def test_a_user_is_mentioned_by_the_new_name_right_after_a_rename(alice, bob, rooms):
    rooms.lobby.send_message("@bob", alice)
    bob.username = "robert"
    bob.save()
    rooms.lobby.send_message("@bob", alice)
    rooms.lobby.send_message("@Robert", alice)
    assert [mentioned(rooms.lobby, seq) for seq in (1, 2, 3)] == [{"robert"}, set(), {"robert"}]
    # The message from before still says whom it meant.
    assert log.read(rooms.lobby.pk, after=0, limit=1)[0].event.mentions[0].user == bob.pk


def test_code_and_links_mention_nobody(alice, bob, rooms):
    for text in ("`@bob`", "```\n@bob\n```", "https://example.org/@bob", "[@bob](https://example.org)"):
        rooms.lobby.send_message(text, alice)
    assert not Mention.objects.exists()


def test_an_edit_and_a_delete_change_whom_the_events_mention(alice, bob, charlie, rooms):
    seq = commit(rooms.lobby, alice, body="@bob")
    commit(rooms.lobby, alice, kind=Event.Kind.EDITED, target_seq=seq, body="no, @charlie")
    events = [logged.event for logged in log.read(rooms.lobby.pk, after=0, limit=5)]
    assert [[each.user for each in event.mentions] for event in events] == [[charlie.pk], [charlie.pk]]
    commit(rooms.lobby, alice, kind=Event.Kind.EDITED, target_seq=seq, body="nobody")
    commit(rooms.lobby, alice, kind=Event.Kind.EDITED, target_seq=seq, body="@bob again")
    commit(rooms.lobby, alice, kind=Event.Kind.DELETED, target_seq=seq)
    assert not Event.objects.filter(named__isnull=False).exists()


def unread_mentions(user, room):
    return unread.count({RoomUser(room.pk, user.pk): 0})[room.pk, user.pk].mentions


def test_staff_mention_all_users_and_each_counts_it_once(alice, bob, charlie, rooms):
    User.objects.bulk_create(User(username=f"user{number}", password="x") for number in range(20))
    commit(rooms.lobby, alice, body="@all: lunch, @bob!")
    assert [unread_mentions(user, rooms.lobby) for user in (alice, bob, charlie)] == [0, 1, 1]
    assert Mention.objects.count() == 1
    # Not staff, and the room is not small.
    commit(rooms.lobby, bob, body="@all @here")
    assert unread_mentions(charlie, rooms.lobby) == 1


def test_all_users_of_a_small_room_may_mention_all(alice, bob, charlie, rooms):
    commit(rooms.lobby, bob, body="@All")
    assert [unread_mentions(user, rooms.lobby) for user in (alice, bob, charlie)] == [1, 0, 1]
    [logged] = log.read(rooms.lobby.pk, after=0, limit=1)
    assert [(each.name, each.user) for each in logged.event.mentions] == [("All", None)]
    # The size of a room is the number of users who may enter it.
    User.objects.bulk_create(User(username=f"user{number}", password="x") for number in range(17))
    commit(rooms.lobby, bob, body="@all")
    assert unread_mentions(charlie, rooms.lobby) == 2
    User.objects.create_user("one too many")
    commit(rooms.lobby, bob, body="@all")
    assert unread_mentions(charlie, rooms.lobby) == 2


def test_here_mentions_the_users_who_are_in_the_room(alice, bob, charlie, rooms):
    Membership.objects.create(room=rooms.lobby, user=bob, is_here=True)
    Membership.objects.create(room=rooms.random, user=charlie, is_here=True)
    commit(rooms.lobby, alice, body="@here")
    assert mentioned(rooms.lobby) == {"bob"}
    assert [unread_mentions(user, rooms.lobby) for user in (bob, charlie)] == [1, 0]


def test_a_message_without_names_takes_no_query(alice, rooms):
    rooms.lobby.send_message("hello", alice)
    event = Event.objects.get()
    with CaptureQueriesContext(connection) as captured:
        mentions.store(mentions.find([event], {rooms.lobby.pk: rooms.lobby}), changed=[])
    assert len(captured) == 0


@pytest.mark.parametrize(
    "text", ["`" * 16_000, "` `` " * 4000, "[" * 16_000, "[a](" * 8000, "~~~\n" * 8000, "www." * 8000]
)
def test_finding_names_takes_linear_time(text):
    def seconds(text):
        times = []
        for _ in range(5):
            began = time.process_time()
            mentions.names_in("@" + text)
            times.append(time.process_time() - began)
        return min(times)

    # A quadratic search would take 16 times as long for four times the text.
    assert seconds(text) < 9 * seconds(text[: len(text) // 4]) + 0.002


@pytest.mark.parametrize(
    "text",
    ["@x" + ".@+-" * 999, "@" * 4000, "@a." * 1300, "@" + "x" * 3999, " @a.." * 800],
    ids=lambda text: text[:5],
)
def test_the_number_and_length_of_names_in_a_message_are_bounded(text):
    names = mentions.names_in(text)
    assert len(names) <= mentions.MOST_NAMES
    assert all(len(name) <= 150 for name in names)


def test_the_names_of_a_large_batch_are_looked_up_in_bounded_queries(alice, bob, rooms):
    texts = [" ".join(f"@{draft:x}-{number:x}." for number in range(400)) for draft in range(128)]
    drafts = [Draft(room=rooms.lobby.pk, author=alice.pk, body=f"@bob {text}"[:4000]) for text in texts]
    with CaptureQueriesContext(connection) as captured:
        outcomes = actions.commit(drafts)
    assert [outcome.seq for outcome in outcomes] == list(range(1, 129))
    assert Mention.objects.filter(user=bob).count() == 128
    queries = [query["sql"] for query in captured]
    lookups = [sql for sql in queries if "chat_usernamekey" in sql and sql.startswith("SELECT")]
    assert len(lookups) <= 128 * mentions.MOST_NAMES / mentions.NAMES_PER_QUERY + 3
    assert max(sql.count("'") // 2 for sql in lookups) <= mentions.NAMES_PER_QUERY


@pytest.mark.parametrize("case", json.loads((Path(__file__).parent / "mentions.json").read_text()))
def test_server_and_page_find_the_same_names(case):
    found = {name_key(name) for name in mentions.names_in(case["text"])}
    assert (name_key(case["name"]) in found) == case["named"]
