"""Who is named in a message."""

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
def test_a_name_stands_alone_and_may_end_a_sentence(text, names):
    found = mentions.names_in(text)
    assert {name for name in found if any(map(str.isalpha, name))} == names
    assert "" not in found


def named(room, seq=1):
    """Return who is named in a message, by the database."""
    return set(Mention.objects.filter(event__room=room, event__seq=seq).values_list("user__username", flat=True))


def commit(room, author, **fields):
    [outcome] = actions.commit([Draft(room=room.pk, author=author.pk, **fields)])
    return outcome.seq


def test_a_message_names_those_there_are_and_each_once(alice, bob, rooms):
    rooms.lobby.send_message("@bob, @alice, @bob and @nobody", alice)
    assert named(rooms.lobby) == {"alice", "bob"}
    assert Mention.objects.count() == 2


def test_an_edit_names_anew(alice, bob, charlie, rooms):
    seq = commit(rooms.lobby, alice, body="@bob")
    edit = commit(rooms.lobby, alice, kind=Event.Kind.EDITED, target_seq=seq, body="no, @charlie")
    assert named(rooms.lobby, seq) == {"charlie"}
    assert named(rooms.lobby, edit) == set()


def test_a_delete_names_nobody(alice, bob, rooms):
    seq = commit(rooms.lobby, alice, body="@bob")
    commit(rooms.lobby, alice, kind=Event.Kind.DELETED, target_seq=seq)
    assert Mention.objects.count() == 0


def test_a_batch_in_which_a_message_is_posted_and_changed_names_whom_it_names_at_its_end(alice, bob, charlie, rooms):
    first, second = (Draft(room=rooms.lobby.pk, author=alice.pk, body="@bob") for _ in range(2))
    actions.commit(
        [
            first,
            second,
            Draft(room=rooms.lobby.pk, author=alice.pk, kind=Event.Kind.EDITED, target_seq=1, body="@charlie"),
            Draft(room=rooms.lobby.pk, author=alice.pk, kind=Event.Kind.DELETED, target_seq=2),
        ]
    )
    assert named(rooms.lobby, 1) == {"charlie"}
    assert named(rooms.lobby, 2) == set()


def test_a_name_of_any_case_is_that_user_alone(bob, rooms):
    User.objects.create_user("Bob")
    rooms.lobby.send_message("@Bob", bob)
    assert named(rooms.lobby) == {"Bob"}


def test_messages_that_name_nobody_ask_nothing(alice, rooms):
    rooms.lobby.send_message("hello", alice)
    event = Event.objects.get()
    with CaptureQueriesContext(connection) as asked:
        mentions.store(new=[event], changed=[])
    assert len(asked) == 0


@pytest.mark.parametrize(
    "text",
    ["@x" + ".@+-" * 999, "@" * 4000, "@a." * 1300, "@" + "x" * 3999, " @a.." * 800],
    ids=lambda text: text[:5],
)
def test_a_message_names_few_and_none_longer_than_a_name_may_be(text):
    names = mentions.names_in(text)
    assert len(names) <= mentions.MOST_NAMES
    assert all(len(name) <= 150 for name in names)


def test_a_batch_of_messages_full_of_names_asks_for_them_in_bounded_queries(alice, bob, rooms):
    texts = [" ".join(f"@{draft:x}-{number:x}." for number in range(400)) for draft in range(128)]
    drafts = [Draft(room=rooms.lobby.pk, author=alice.pk, body=f"@bob {text}"[:4000]) for text in texts]
    with CaptureQueriesContext(connection) as asked:
        outcomes = actions.commit(drafts)
    assert [outcome.seq for outcome in outcomes] == list(range(1, 129))
    assert Mention.objects.filter(user=bob).count() == 128
    looking = [one["sql"] for one in asked if "username" in one["sql"] and one["sql"].startswith("SELECT")]
    assert len(looking) <= 128 * mentions.MOST_NAMES / mentions.NAMES_PER_QUERY + 3
    assert max(sql.count("'") // 2 for sql in looking) <= mentions.NAMES_PER_QUERY


@pytest.mark.parametrize("case", json.loads((Path(__file__).parent / "mentions.json").read_text()))
def test_a_name_is_found_as_the_page_finds_it(case):
    assert (case["name"] in mentions.names_in(case["text"])) == case["named"]
