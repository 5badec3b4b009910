"""What each user may do, and the reason of each refusal."""

import pytest
from django.contrib.auth.models import User

from chat.exceptions import ClientError, ErrorCode
from chat.models import Room
from chat.store import policies

ALICE = User(pk=1, username="alice", is_staff=True)
BOB = User(pk=2, username="bob")
GONE = User(pk=3, username="charlie", is_staff=True, is_active=False)
LOBBY = Room(pk=1, title="Lobby")
STAFF = Room(pk=3, title="Staff", staff_only=True)


def reason(check, *arguments, **named):
    """Return the code of the refusal, or None when it is allowed."""
    try:
        check(*arguments, **named)
    except ClientError as refusal:
        assert refusal.context["detail"]
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("user", "room", "code"),
    [
        (ALICE, LOBBY, None),
        (ALICE, STAFF, None),
        (BOB, LOBBY, None),
        (BOB, STAFF, ErrorCode.ROOM_ACCESS_DENIED),
        (BOB, None, ErrorCode.ROOM_INVALID),
        (GONE, LOBBY, ErrorCode.USER_HAS_TO_LOGIN),
        (GONE, None, ErrorCode.USER_HAS_TO_LOGIN),
        (None, LOBBY, ErrorCode.USER_HAS_TO_LOGIN),
    ],
)
def test_only_active_users_enter_and_only_staff_enter_staff_rooms(user, room, code):
    assert reason(policies.check_enterable, user, room) == code
    assert reason(policies.check_writable, user, room, msg_type=0) == code


@pytest.mark.parametrize("msg_type", [1, 2, 3, 7])
def test_only_staff_may_post_other_types(msg_type):
    assert reason(policies.check_writable, ALICE, LOBBY, msg_type=msg_type) is None
    assert reason(policies.check_writable, BOB, LOBBY, msg_type=msg_type) == ErrorCode.MESSAGE_TYPE_DENIED


def test_a_user_who_may_not_enter_gets_that_reason_first():
    assert reason(policies.check_writable, BOB, STAFF, msg_type=1) == ErrorCode.ROOM_ACCESS_DENIED


def test_only_authors_may_edit_and_only_authors_and_staff_may_delete():
    assert policies.can_edit(BOB, author_id=2)
    assert policies.can_delete(BOB, author_id=2)
    assert not policies.can_edit(ALICE, author_id=2)
    assert policies.can_delete(ALICE, author_id=2)
    assert not policies.can_delete(BOB, author_id=1)


def test_only_staff_may_delete_a_message_without_an_author():
    assert not policies.can_edit(BOB, author_id=None)
    assert not policies.can_edit(User(pk=None), author_id=None)
    assert policies.can_delete(ALICE, author_id=None)


@pytest.mark.django_db
def test_users_are_loaded_with_their_current_rights(bob):
    User.objects.filter(pk=bob.pk).update(is_staff=True, is_active=False)
    loaded = policies.load_users([bob.pk, 12345])
    assert set(loaded) == {bob.pk}
    assert (loaded[bob.pk].is_staff, loaded[bob.pk].is_active) == (True, False)
