"""The users that a message mentions."""

import json
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chat.models import Event, Mention
from chat.store import actions, mentions
from chat.store.actions import Draft
from chat.store.policies import User


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


def test_mentions_are_case_sensitive(bob, rooms):
    User.objects.create_user("Bob")
    rooms.lobby.send_message("@Bob", bob)
    assert mentioned(rooms.lobby) == {"Bob"}


def test_a_message_without_names_takes_no_query(alice, rooms):
    rooms.lobby.send_message("hello", alice)
    event = Event.objects.get()
    with CaptureQueriesContext(connection) as captured:
        mentions.store(new=[event], changed=[])
    assert len(captured) == 0


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
    lookups = [sql for sql in queries if "username" in sql and sql.startswith("SELECT")]
    assert len(lookups) <= 128 * mentions.MOST_NAMES / mentions.NAMES_PER_QUERY + 3
    assert max(sql.count("'") // 2 for sql in lookups) <= mentions.NAMES_PER_QUERY


@pytest.mark.parametrize("case", json.loads((Path(__file__).parent / "mentions.json").read_text()))
def test_server_and_page_find_the_same_names(case):
    assert (case["name"] in mentions.names_in(case["text"])) == case["named"]
