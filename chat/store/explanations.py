"""Says who may enter a room and by which rule, and which rooms a user may enter: for administrators.

The answers come from the same functions that decide (chat.store.policies), so they can't differ from what happens.
"""

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from chat.exceptions import ClientError
from chat.models import Room, RoomMember
from chat.store import policies
from chat.store.room_user import RoomUser

User = get_user_model()
# The most users or rooms that an explanation names.
MOST_NAMED = 50


class Explanation(NamedTuple):
    """A rule, whether it lets users in, and some of those whom it concerns (`is_cut`: there are more)."""

    rule: str
    may_enter: bool
    names: list[str]
    is_cut: bool = False


def explain_room(room: Room) -> list[Explanation]:
    """Return who may enter a room and who may not, each with the rule."""
    users = User._default_manager.order_by(User.USERNAME_FIELD)
    active, inactive = users.filter(is_active=True), users.filter(is_active=False)
    gone = _named(_("Can't sign in: the account isn't active."), False, inactive)
    if room.members_only:
        members = RoomMember.objects.filter(room=room).values("user")
        rule = _("One of the people of this direct room.") if room.direct_key else _("Member of this room.")
        others = _("No member. Staff and superuser flags make no difference.")
        return [
            _named(rule, True, active.filter(pk__in=members)),
            _named(others, False, active.exclude(pk__in=members)),
            gone,
        ]
    if room.staff_only:
        return [
            _named(_("Staff may enter rooms for staff."), True, active.filter(is_staff=True)),
            _named(_("Not staff."), False, active.filter(is_staff=False)),
            gone,
        ]
    return [_named(_("Everybody who can sign in may enter this room."), True, active), gone]


def explain_user(user: Any) -> list[Explanation]:
    """Return which rooms a user may enter, each with the rule. Rooms of members that they may not enter are counted."""
    shared = list(Room.objects.filter(members_only=False).order_by("title_key")[: MOST_NAMED + 1])
    own = list(Room.objects.filter(members_only=True, members__user=user.pk).order_by("title_key")[: MOST_NAMED + 1])
    groups: dict[tuple[str, bool], list[str]] = {}
    for room in [*shared[:MOST_NAMED], *own[:MOST_NAMED]]:
        groups.setdefault(_rule(user, room, is_member=room.members_only), []).append(room.title)
    is_cut = len(shared) > MOST_NAMED or len(own) > MOST_NAMED
    return [Explanation(rule, may, names, is_cut) for (rule, may), names in groups.items()]


def may_enter(user: Any, room: Room) -> bool:
    """Return what the policy says about one user and one room."""
    pair = RoomUser(room.pk, user.pk)
    try:
        policies.check_enterable(user, room, is_member=pair in policies.load_members([pair], {room.pk: room}))
    except ClientError:
        return False
    return True


def _rule(user: Any, room: Room, *, is_member: bool) -> tuple[str, bool]:
    try:
        policies.check_enterable(user, room, is_member=is_member)
    except ClientError as refusal:
        return refusal.detail, False
    if room.direct_key:
        return _("Direct rooms of this user."), True
    if room.members_only:
        return _("Member of these rooms."), True
    if room.staff_only:
        return _("Staff may enter rooms for staff."), True
    return _("For everybody who can sign in."), True


def _named(rule: str, may: bool, users: Any) -> Explanation:
    names = list(users.values_list(User.USERNAME_FIELD, flat=True)[: MOST_NAMED + 1])
    return Explanation(rule, may, names[:MOST_NAMED], len(names) > MOST_NAMED)
