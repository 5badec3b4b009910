"""The users and rooms that a change of rights concerns, in memory and in a bell."""

import json

import pytest

from chat.store.concerns import ALL_USERS, MAX_IN_BELL, MAX_NAMED, NO_USERS, about, from_message


def test_a_concern_touches_the_users_and_rooms_that_it_names():
    concern = about(users=[1], rooms=[7])
    assert concern.touches(user=1)
    assert concern.touches(user=2, room=7)
    assert not concern.touches(user=2, room=1)
    assert not concern.touches(user=7)
    assert ALL_USERS.touches(user=99)
    assert not NO_USERS.touches(user=1, room=1)


def test_a_union_of_concerns_above_the_bound_concerns_all_users():
    assert about(users=[1]) | about(users=[2], rooms=[3]) == about(users=[1, 2], rooms=[3])
    assert about(users=[1]) | ALL_USERS is ALL_USERS
    assert about(users=range(MAX_NAMED)) | about(rooms=[1]) is ALL_USERS
    assert not NO_USERS | NO_USERS


@pytest.mark.parametrize(
    "concern", [NO_USERS, ALL_USERS, about(users=[3, 1]), about(rooms=[7]), about(users=[1], rooms=[2])]
)
def test_a_bell_carries_a_concern(concern):
    assert from_message(json.loads(json.dumps(concern.as_message()))) == concern


def test_a_bell_that_would_be_too_long_concerns_all_users():
    assert about(users=range(MAX_IN_BELL + 1)).as_message() is True


def test_a_bell_from_or_to_an_older_version_concerns_all_users():
    assert from_message(True) is ALL_USERS
    assert from_message(None) is NO_USERS
    assert about(users=[1]).as_message()
