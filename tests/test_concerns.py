"""The users and rooms that a change of rights concerns, in memory and in a bell."""

import json

import pytest

from chat.store.concerns import EVERYBODY, MAX_IN_BELL, MAX_NAMED, NOBODY, from_message, of


def test_a_concern_touches_the_users_and_rooms_that_it_names():
    concern = of(users=[1], rooms=[7])
    assert concern.touches(user=1)
    assert concern.touches(user=2, room=7)
    assert not concern.touches(user=2, room=1)
    assert not concern.touches(user=7)
    assert EVERYBODY.touches(user=99)
    assert not NOBODY.touches(user=1, room=1)


def test_a_union_of_concerns_above_the_bound_concerns_all_users():
    assert of(users=[1]) | of(users=[2], rooms=[3]) == of(users=[1, 2], rooms=[3])
    assert of(users=[1]) | EVERYBODY is EVERYBODY
    assert of(users=range(MAX_NAMED)) | of(rooms=[1]) is EVERYBODY
    assert not NOBODY | NOBODY


@pytest.mark.parametrize("concern", [NOBODY, EVERYBODY, of(users=[3, 1]), of(rooms=[7]), of(users=[1], rooms=[2])])
def test_a_bell_carries_a_concern(concern):
    assert from_message(json.loads(json.dumps(concern.as_message()))) == concern


def test_a_bell_that_would_be_too_long_concerns_all_users():
    assert of(users=range(MAX_IN_BELL + 1)).as_message() is True


def test_a_bell_from_or_to_an_older_version_concerns_all_users():
    assert from_message(True) is EVERYBODY
    assert from_message(None) is NOBODY
    assert of(users=[1]).as_message()
