"""Everything that users do about rooms themselves: make, rename and archive them, and change their members.

`by` is the id of the user who asks. Without it the change comes from Python, and no policy is asked. Each function
locks the room's row first, as `log.append` does, so a message is written by the rights before the change or after it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy

from chat import audit
from chat.exceptions import ClientError, ErrorCode, Sentence
from chat.models import Room, RoomMember
from chat.store import access, own_rooms, policies

Access = Literal["everybody", "staff", "members"]
WHO: tuple[Access, ...] = ("everybody", "staff", "members")
# The most people of a direct room, its maker included. A room of members is better for more.
MAX_DIRECT = 8
# The most users that one request adds, and the most members that are added to a room from the page.
MAX_ADDED = 100
MAX_MEMBERS = 1000


def create_room(
    title: str, *, topic: str = "", who: Access = "everybody", members: Collection[int] = (), by: int | None = None
) -> Room:
    """Make a room. Its maker is the first member of a room of members, and its owner.

    Raises ClientError: ROOM_ACCESS_DENIED when `by` may not make such a room, COMMAND_INVALID.
    """
    room = Room(title=title, topic=topic.strip(), staff_only=who == "staff", members_only=who == "members")
    with transaction.atomic():
        if by is not None:
            policies.check_can_create(policies.load_users([by]).get(by), who)
        _save(room)
        if who == "members":
            _add(room, [*([by] if by is not None else []), *members])
    audit.write("room_made", user=by, room=room.pk, who=who)
    return room


def change_room(
    room_id: int,
    *,
    title: str | None = None,
    topic: str | None = None,
    is_archived: bool | None = None,
    by: int | None = None,
) -> Room:
    """Rename a room, set its topic, or archive it or open it again; None leaves a value as it is.

    Raises ClientError: as check_can_manage, COMMAND_INVALID.
    """
    with locked(room_id, by) as (room, user, member):
        if by is not None:
            policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        if room.direct_key is not None:
            raise _is_direct()
        room.title = room.title if title is None else title
        room.topic = room.topic if topic is None else topic.strip()
        if is_archived is not None and is_archived != (room.archived_at is not None):
            room.archived_at = timezone.now() if is_archived else None
        _save(room, update_fields=["title", "topic", "archived_at"])
    audit.write("room_changed", user=by, room=room_id, archived=is_archived)
    return room


def add_members(room_id: int, users: Collection[int], *, by: int | None = None) -> None:
    """Let users see and enter a room of members. Users who are members already change nothing.

    Raises ClientError: as check_enterable; COMMAND_INVALID when the room is not for members, or a user does not exist.
    """
    with locked(room_id, by) as (room, _, _):
        _check_has_members(room)
        _add(room, users)
    audit.write("members_added", user=by, room=room_id, members=sorted(users))


def remove_member(room_id: int, user_id: int, *, by: int | None = None) -> None:
    """End a member's right to see and enter a room; members may remove themselves.

    If the last owner goes, the member who was added first becomes the owner.
    Raises ClientError: as add_members, and ROOM_ACCESS_DENIED when `by` may remove only themselves.
    """
    with locked(room_id, by) as (room, _, member):
        _check_has_members(room)
        if by is not None and by != user_id:
            policies.check_can_remove(is_owner=member is not None and member.is_owner)
        if RoomMember.objects.filter(room=room, user=user_id).delete()[0]:
            _set_owner(room)
            access.record_change(users=[user_id])
    audit.write("member_removed", user=by, room=room_id, member=user_id)


def open_direct(people: Collection[int], *, by: int) -> Room:
    """Return the direct room of `by` and these people; made if there is none. There is one for each set of people.

    Raises ClientError: USER_HAS_TO_LOGIN, COMMAND_INVALID.
    """
    everyone = sorted({*people, by})
    if not 2 <= len(everyone) <= MAX_DIRECT:
        sentence = ngettext_lazy(
            "Choose at least one other person, and at most {most}.",
            "Choose at least one other person, and at most {most}.",
            MAX_DIRECT - 1,
        )
        raise _invalid(format_lazy(sentence, most=MAX_DIRECT - 1))
    key = own_rooms.direct_key(everyone)
    users = policies.load_users(everyone)
    if by not in users or not users[by].is_active:
        raise ClientError(ErrorCode.USER_HAS_TO_LOGIN, detail=gettext_lazy("You are signed out. Sign in again."))
    if (found := _find_direct(key, by)) is not None:
        return found
    if any(user not in users or not users[user].is_active for user in everyone):
        raise _invalid(gettext_lazy("One of these people doesn't exist, or can't sign in any more."))
    title = ", ".join(users[user].get_username() for user in everyone)
    room = Room(title=title[:255], members_only=True, direct_key=key)
    try:
        with transaction.atomic():
            room.save()
            RoomMember.objects.bulk_create([RoomMember(room=room, user_id=user) for user in everyone])
            access.record_change(users=everyone)
    except IntegrityError:
        # One of the others has made it at the same moment.
        found = _find_direct(key, by)
        if found is None:
            # The room of a deleted user whose id was used again. It stays with the people it was for.
            detail = gettext_lazy("You can't open a direct room with these people. Make a room of members.")
            raise _invalid(detail) from None
        return found
    audit.write("direct_room_made", user=by, room=room.pk, members=everyone)
    return room


def list_members(room_id: int, *, by: int) -> tuple[Room, list[RoomMember]]:
    """Return a room of members as it is now, and its members with their users, by the time they were added.

    Raises ClientError: as check_enterable.
    """
    room = policies.load_room_for(policies.load_users([by]).get(by), room_id)
    return room, list(RoomMember.objects.filter(room=room).select_related("user").order_by("pk")[:MAX_MEMBERS])


@contextmanager
def locked(room_id: int, by: int | None) -> Iterator[tuple[Room, Any, RoomMember | None]]:
    """Hold a room that `by` may enter under its lock, with the user and their membership as they are now."""
    if by is not None:
        # Asked before the lock too. Otherwise users could hold the locks of rooms that they may not enter, and learn
        # from the time that they wait for one that there is such a room.
        policies.load_room_for(policies.load_users([by]).get(by), room_id)
    with transaction.atomic():
        room = Room.objects.select_for_update(no_key=True).filter(pk=room_id).first()
        # Statements of their own, after the lock, so that they see what its last holder committed.
        user = policies.load_users([by]).get(by) if by is not None else None
        member = RoomMember.objects.filter(room=room_id, user=by).first() if by is not None else None
        if by is not None:
            room = policies.check_enterable(user, room, is_member=member is not None)
        if room is None:
            raise policies.no_room()
        yield room, user, member


def _save(room: Room, **options: Any) -> None:
    try:
        room.full_clean(exclude=["epoch"])
        with transaction.atomic():
            room.save(**options)
    except ValidationError as error:
        raise _invalid(" ".join(error.messages)) from None
    except IntegrityError:
        # Another room has got the title since it was checked.
        raise _invalid(gettext_lazy("There is a room with this title already.")) from None


def _add(room: Room, users: Collection[int]) -> None:
    ids = sorted(set(users))
    if len(ids) > MAX_ADDED:
        sentence = ngettext_lazy("Add at most {most} person at once.", "Add at most {most} people at once.", MAX_ADDED)
        raise _invalid(format_lazy(sentence, most=MAX_ADDED))
    known = policies.load_users(ids)
    if len(known) < len(ids):
        raise _invalid(gettext_lazy("One of these people doesn't exist."))
    present = set(RoomMember.objects.filter(room=room, user__in=ids).values_list("user_id", flat=True))
    new = [user for user in dict.fromkeys(users) if user not in present]
    if RoomMember.objects.filter(room=room).count() + len(new) > MAX_MEMBERS:
        sentence = ngettext_lazy(
            "A room can have at most {most} member.",
            "A room can have at most {most} members.",
            MAX_MEMBERS,
        )
        raise _invalid(format_lazy(sentence, most=MAX_MEMBERS))
    # In the order given, so that the room's maker comes first.
    RoomMember.objects.bulk_create([RoomMember(room=room, user_id=user) for user in new])
    if new:
        _set_owner(room)
        access.record_change(users=new)


def _set_owner(room: Room) -> None:
    """Make sure that a room with members has an owner."""
    members = RoomMember.objects.filter(room=room)
    first = members.order_by("pk").first()
    if first is not None and not members.filter(is_owner=True).exists():
        RoomMember.objects.filter(pk=first.pk).update(is_owner=True)


def _find_direct(key: str, by: int) -> Room | None:
    # Only through the membership: a key may be that of a deleted user whose id was used again.
    return Room.objects.filter(direct_key=key, members__user=by).first()


def _check_has_members(room: Room) -> None:
    if room.direct_key is not None:
        raise _is_direct()
    if not room.members_only:
        raise _invalid(gettext_lazy("This room isn't only for members, so it has no list of them."))


def _is_direct() -> ClientError:
    return _invalid(
        gettext_lazy("The people of a direct room never change. Make another room with the people you want.")
    )


def _invalid(detail: Sentence) -> ClientError:
    return ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
