"""Read positions, layouts and first visits in the database."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat.exceptions import ErrorCode
from chat.models import Membership, PositionCounter, Room, Visit
from chat.store import actions, layouts, memberships, unread
from chat.store.actions import Draft
from chat.store.layouts import Panes, UserLayout
from chat.store.memberships import Move
from chat.store.room_user import RoomUser
from tests.sockets import login_of

pytestmark = pytest.mark.django_db


def post(room, count=1):
    actions.commit([Draft(room=room.pk, author=None, body="hi", trusted=True) for _ in range(count)])


def move(moves):
    """Check and store moves; return the codes of those that were refused."""
    checked = memberships.check_moves(moves)
    memberships.store_moves(checked)
    return {pair: refusal.code for pair, refusal in checked.refused.items()}


def stored_positions():
    return set(Membership.objects.values_list("room_id", "user_id", "read_seq"))


def test_a_position_moves_only_forward_unless_it_is_set_and_never_beyond_the_head(bob, rooms):
    login, pair = login_of(bob), RoomUser(rooms.lobby.pk, bob.pk)
    post(rooms.lobby, 5)
    steps = [(3, False, 3), (2, False, 3), (1, True, 1), (99, False, 5), (0, False, 5), (99, True, 5), (0, True, 0)]
    for seq, is_set, position in steps:
        assert move({pair: Move(login, seq, is_set)}) == {}
        assert stored_positions() == {(*pair, position)}


def test_a_refused_position_changes_nothing_and_the_others_are_written(bob, charlie, rooms):
    post(rooms.lobby, 2)
    post(rooms.staff, 2)
    bobs, charlies = login_of(bob), login_of(charlie)
    charlie.is_active = False
    charlie.save()
    refused = move(
        {
            RoomUser(rooms.lobby.pk, bob.pk): Move(bobs, 1),
            RoomUser(rooms.staff.pk, bob.pk): Move(bobs, 1),
            RoomUser(10**6, bob.pk): Move(bobs, 1, is_set=True),
            RoomUser(rooms.lobby.pk, charlie.pk): Move(charlies, 1),
        }
    )
    assert refused == {
        RoomUser(rooms.staff.pk, bob.pk): ErrorCode.ROOM_ACCESS_DENIED,
        RoomUser(10**6, bob.pk): ErrorCode.ROOM_INVALID,
        RoomUser(rooms.lobby.pk, charlie.pk): ErrorCode.USER_HAS_TO_LOGIN,
    }
    assert stored_positions() == {(rooms.lobby.pk, bob.pk, 1)}


def test_reading_messages_from_before_the_first_visit_writes_no_position(bob, rooms):
    login, pair = login_of(bob), RoomUser(rooms.lobby.pk, bob.pk)
    post(rooms.lobby, 4)
    memberships.store_first_visits([bob.pk])
    move({pair: Move(login, 2)})
    assert stored_positions() == set()
    move({pair: Move(login, 2, is_set=True)})
    assert stored_positions() == {(*pair, 2)}


def test_presence_and_layout_do_not_change_the_position(bob, rooms, time_machine):
    login, pair = login_of(bob), RoomUser(rooms.lobby.pk, bob.pk)
    post(rooms.lobby, 4)
    memberships.store_first_visits([bob.pk])
    # Messages have times in milliseconds, so one from the same millisecond as the first visit would count as read.
    time_machine.move_to(timezone.now() + timedelta(milliseconds=1))
    post(rooms.lobby, 1)
    before = unread.count({pair: None})
    Membership.objects.create(user=bob, room=rooms.lobby, is_here=True)
    layouts.store_layouts([UserLayout(login, Panes([rooms.lobby.pk]))])
    assert unread.count({pair: None}) == before
    assert before[pair].read == 4
    move({pair: Move(login, 5)})
    assert Membership.objects.values_list("read_seq", "is_here", "position").get() == (5, True, 0)


def test_a_position_that_another_process_moved_further_is_kept(bob, rooms):
    login, pair = login_of(bob), RoomUser(rooms.lobby.pk, bob.pk)
    post(rooms.lobby, 5)
    behind = memberships.check_moves({pair: Move(login, 2)})
    move({pair: Move(login, 4)})
    memberships.store_moves(behind)
    assert stored_positions() == {(*pair, 4)}


def test_a_position_belongs_to_the_log_of_its_epoch(bob, rooms):
    login, pair = login_of(bob), RoomUser(rooms.lobby.pk, bob.pk)
    post(rooms.lobby, 5)
    before = Room.objects.get(pk=rooms.lobby.pk).epoch
    checked = memberships.check_moves({pair: Move(login, 2, epoch=before)})
    assert (len(checked.forward), checked.outdated) == (1, set())
    Room.objects.filter(pk=rooms.lobby.pk).update(epoch="another")
    # A backup that is restored between the check and the write.
    memberships.store_moves(checked)
    for is_set in (False, True):
        outdated = memberships.check_moves({pair: Move(login, 2, is_set, epoch=before)})
        assert (outdated.forward, outdated.exact, outdated.outdated) == ([], [], {pair})
    assert stored_positions() == set()
    assert move({pair: Move(login, 3, epoch="another")}) == {}
    assert stored_positions() == {(*pair, 3)}


def test_any_number_of_positions_is_written_with_few_queries(alice, bob, charlie, rooms):
    users = {user: login_of(user) for user in (alice, bob, charlie)}
    PositionCounter.objects.create(pk=1)
    for room in rooms[:2]:
        post(room, 9)
    counts = []
    for moved in (list(users)[:1], users):
        with CaptureQueriesContext(connection) as captured:
            move(
                {RoomUser(room.pk, user.pk): Move(users[user], len(counts) + 3) for user in moved for room in rooms[:2]}
            )
        counts.append(len(captured))
    assert max(counts) <= 10, counts
    assert len(stored_positions()) == 6


def test_each_write_has_its_own_number_by_which_other_processes_find_it(bob, charlie, rooms):
    post(rooms.lobby, 5)
    for seq, user in enumerate((bob, charlie, bob), 1):
        move({RoomUser(rooms.lobby.pk, user.pk): Move(login_of(user), seq)})
    assert PositionCounter.objects.get().changes == 3
    first = unread.moved_since(1)
    assert (first.changes, first.positions) == (
        3,
        {RoomUser(rooms.lobby.pk, bob.pk): 3, RoomUser(rooms.lobby.pk, charlie.pk): 2},
    )
    assert unread.moved_since(2).positions == {RoomUser(rooms.lobby.pk, bob.pk): 3}
    assert unread.moved_since(3).positions == {}
    assert unread.moved_since(None)[1:] == (3, {}, True, {})
    # A move that changes nothing takes no number.
    move({RoomUser(rooms.lobby.pk, bob.pk): Move(login_of(bob), 1)})
    assert PositionCounter.objects.get().changes == 3


def test_many_changes_are_found_in_parts(bob, charlie, rooms, monkeypatch):
    monkeypatch.setattr(unread, "MOVED_LIMIT", 2)
    post(rooms.lobby, 5)
    post(rooms.random, 5)
    for room in rooms[:2]:
        for user in (bob, charlie):
            move({RoomUser(room.pk, user.pk): Move(login_of(user), 1)})
    found, last, is_all = {}, 0, False
    while not is_all:
        _, last, positions, is_all, _ = unread.moved_since(last)
        found |= positions
    assert len(found) == 4


def test_a_second_visit_does_not_change_the_first(bob):
    memberships.store_first_visits([bob.pk, 10**6])
    first = Visit.objects.get().at
    memberships.store_first_visits([bob.pk])
    assert [(visit.user_id, visit.at) for visit in Visit.objects.all()] == [(bob.pk, first)]
    assert unread.visitors([bob.pk, 10**6]) == {bob.pk}
