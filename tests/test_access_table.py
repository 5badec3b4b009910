"""Each cell of the tables in docs/access.md, tried against the database."""

import re
import uuid
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from chat.exceptions import ClientError
from chat.models import Room
from chat.store import actions, confirmations, files, policies, quotes, room_actions
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.sockets import login_of

pytestmark = pytest.mark.django_db

PAGE = (Path(__file__).parent.parent / "docs/access.md").read_text()
MEMBERS = ("member", "owner", "staff member")
ROLES = ("user", "staff", "superuser", *MEMBERS)


def table_below(heading):
    """Return the rows of the first table below a heading, each as cells by column."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


IN_A_ROOM = [
    (row["what"], row["room"], role, row[role])
    for row in table_below("In a room")
    for role in ROLES
    if row[role] != "–"
]
MAKING = [
    (row["room"], role, answer) for row in table_below("Making rooms") for role, answer in row.items() if role != "room"
]


def user_of(role):
    """Return a user who is signed in."""
    is_staff = role in ("staff", "superuser", "staff member")
    user = User.objects.create_user("asker", is_staff=is_staff, is_superuser=role == "superuser")
    user.login = login_of(user)
    return user


def room_of(kind, user, role):
    """Return a room with a message of another user, and that user."""
    other = User.objects.create_user("other")
    people = [user.pk, other.pk] if role in MEMBERS else [other.pk]
    if kind == "direct":
        third = User.objects.create_user("third")
        room = room_actions.open_direct([*people, third.pk], by=other.pk)
    elif kind == "members":
        room = room_actions.create_room("Room", who="members", members=people if role == "owner" else people[::-1])
    else:
        room = room_actions.create_room("Room", who="staff" if kind == "staff" else "everybody")
    room.send_message("hello", other)
    if kind == "archived":
        room_actions.change_room(room.pk, is_archived=True)
    return room, other


def write(room, user, **fields):
    draft = Draft(room=room.pk, author=user.pk, login=user.login, client_id=uuid.uuid4(), **fields)
    [outcome] = actions.commit([draft])
    if isinstance(outcome, ClientError):
        raise outcome


def alert_in(room, author):
    """Return the number of an alert, which may be older than the room's archiving."""
    archived_at = Room.objects.get(pk=room.pk).archived_at
    Room.objects.filter(pk=room.pk).update(archived_at=None)
    seq = Room.objects.get(pk=room.pk).send_message("Disk full", author, 2)
    Room.objects.filter(pk=room.pk).update(archived_at=archived_at)
    return seq


def join(room, user):
    policies.load_enterable_room(user.login, room.pk)


TRIES = {
    "join, read": lambda room, user, other: join(room, user),
    "send": lambda room, user, other: write(room, user, body="hi"),
    "send an alert": lambda room, user, other: write(room, user, body="hi", msg_type=2),
    "see who has not confirmed an alert": lambda room, user, other: confirmations.list_unconfirmed(
        user, room.pk, alert_in(room, other)
    ),
    "confirm an alert": lambda room, user, other: write(
        room, user, kind=Kind.CONFIRMED, target_seq=alert_in(room, other)
    ),
    "say that another's alert is over": lambda room, user, other: write(
        room, user, kind=Kind.RESOLVED, target_seq=alert_in(room, other)
    ),
    "quote, see quoted": lambda room, user, other: quotes.read(user.login, room.pk, [1], max_bytes=1000),
    "upload a file": lambda room, user, other: files.check_may_upload(files.UploadKey(user.pk, room.pk), 10),
    "react": lambda room, user, other: write(room, user, kind=Kind.REACTED, target_seq=1, body="👍"),
    "edit another's message": lambda room, user, other: write(
        room, user, kind=Kind.EDITED, target_seq=1, body="changed"
    ),
    "delete another's message": lambda room, user, other: write(room, user, kind=Kind.DELETED, target_seq=1),
    "rename, archive": lambda room, user, other: room_actions.change_room(
        room.pk, title="New", is_archived=True, by=user.pk
    ),
    "add a member": lambda room, user, other: room_actions.add_members(
        room.pk, [User.objects.create_user("added").pk], by=user.pk
    ),
    "remove another member": lambda room, user, other: room_actions.remove_member(room.pk, other.pk, by=user.pk),
    "leave for good": lambda room, user, other: room_actions.remove_member(room.pk, user.pk, by=user.pk),
}


def answer_of(work):
    try:
        work()
    except ClientError as refusal:
        return refusal.code.value
    return "yes"


@pytest.mark.parametrize(("kind", "role"), dict.fromkeys((kind, role) for _, kind, role, _ in IN_A_ROOM))
def test_what_each_role_may_do_in_each_room(kind, role):
    expected = {what: answer for what, *where, answer in IN_A_ROOM if where == [kind, role]}
    user = user_of(role)
    room, other = room_of(kind, user, role)
    answers = {}
    for what in expected:
        # A savepoint takes back what a try has changed, so that each one finds the room as it was.
        with transaction.atomic():
            answers[what] = answer_of(lambda what=what: TRIES[what](room, user, other))
            transaction.set_rollback(True)
    assert answers == expected
    may_list = Room.objects.enterable_by(user).filter(pk=room.pk).exists()
    assert may_list == (expected["join, read"] == "yes"), "the list of rooms and the policy say the same"


@pytest.mark.parametrize(("kind", "role", "expected"), MAKING)
def test_which_rooms_each_role_may_make(kind, role, expected, settings):
    settings.ROOMS_BY_EVERYBODY = "ROOMS_BY_EVERYBODY" in role
    user = user_of(role)
    other = User.objects.create_user("other")
    if kind == "direct":
        assert answer_of(lambda: room_actions.open_direct([other.pk], by=user.pk)) == expected
    else:
        assert answer_of(lambda: room_actions.create_room("New", who=kind, by=user.pk)) == expected


def test_the_table_has_all_that_is_tried_for_all_rooms():
    kinds = ("everybody", "staff", "members", "direct", "archived")
    assert {(what, kind) for what, kind, *_ in IN_A_ROOM} == {(what, kind) for what in TRIES for kind in kinds}
    assert len(MAKING) == 16
    assert all(re.fullmatch("yes|[A-Z_]+", expected) for *_, expected in IN_A_ROOM + MAKING)


def test_a_user_who_is_deactivated_may_do_nothing():
    user = user_of("superuser")
    room, _ = room_of("everybody", user, "superuser")
    User.objects.filter(pk=user.pk).update(is_active=False)
    with pytest.raises(ClientError, match="USER_HAS_TO_LOGIN"):
        policies.load_enterable_room(user.login, room.pk)
