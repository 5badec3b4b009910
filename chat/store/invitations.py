"""Invitations: links by which staff let new users in. The database has only a hash of each link's code.

An invitation is valid as long as its inviter may still invite. It opens the rooms that the inviter may enter when it
is used, and it never makes staff.
"""

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from chat import audit
from chat.conf import conf
from chat.exceptions import ClientError
from chat.models import Invitation, Membership, Room
from chat.store import policies, room_actions

CODE_BYTES = 18
# The most characters of a code that are hashed.
CODE_LENGTH = 64
MAX_DAYS = 365
MAX_USES = 1000
MAX_ROOMS = 200
# The most invitations that the page lists.
LISTED = 100


class UsedUpError(Exception):
    """The invitation ended while the new user filled in the form."""


def create(inviter: Any, *, days: int, uses: int, room_ids: Collection[int] = ()) -> tuple[Invitation, str]:
    """Make an invitation and return it with its code, which is shown only once. Raises PermissionDenied."""
    if not policies.can_invite(inviter):
        raise PermissionDenied
    assert 1 <= days <= MAX_DAYS and 1 <= uses <= MAX_USES, "an invitation is limited in time and in uses"
    code = secrets.token_urlsafe(CODE_BYTES)
    now = timezone.now()
    rooms = rooms_to_offer(inviter).filter(pk__in=list(room_ids)[:MAX_ROOMS])
    with transaction.atomic():
        invitation = Invitation.objects.create(
            code_hash=_hash(code), inviter=inviter, at=now, expires_at=now + timedelta(days=days), uses_left=uses
        )
        invitation.rooms.set(rooms)
    audit.write("invitation_created", user=inviter.pk, invitation=invitation.pk, uses=uses, days=days)
    return invitation, code


def find(code: str) -> Invitation | None:
    """Return the valid invitation with this code. Reading it uses nothing up."""
    code_hash = _hash(code[:CODE_LENGTH])
    invitation = _valid().filter(code_hash=code_hash).first()
    if invitation is None or not constant_time_compare(invitation.code_hash, code_hash):
        return None
    return invitation if policies.can_invite(invitation.inviter) else None


def find_followed(pk: Any) -> Invitation | None:
    """Return the invitation that a visitor followed before, if it is still valid."""
    invitation = _valid().filter(pk=pk).first()
    return invitation if invitation is not None and policies.can_invite(invitation.inviter) else None


def accept(invitation: Invitation, user: Any, *, address: str | None = None) -> list[int]:
    """Save a new user, count one use, and return the ids of the rooms that are opened for the user.

    Raises UsedUpError; IntegrityError when another user took the name meanwhile. Then nothing is used up.
    """
    user.is_staff = user.is_superuser = False
    with transaction.atomic():
        # The condition is part of the update, so that simultaneous users never exceed the number of uses.
        if not _valid().filter(pk=invitation.pk).update(uses_left=models.F("uses_left") - 1):
            raise UsedUpError
        inviter = policies.load_users([invitation.inviter_id]).get(invitation.inviter_id)
        if inviter is None or not policies.can_invite(inviter):
            raise UsedUpError
        user.save()
        rooms = _open_rooms(invitation, inviter, user)
        Membership.objects.bulk_create(
            Membership(room_id=room, user=user, position=position) for position, room in enumerate(rooms)
        )
    audit.write(
        "invitation_used", user=user.pk, username=user.get_username(), invitation=invitation.pk, address=address
    )
    return rooms


def revoke(invitation_id: int, user: Any) -> None:
    """End an invitation at once. Raises PermissionDenied."""
    if not policies.can_invite(user):
        raise PermissionDenied
    if _valid().filter(pk=invitation_id).update(revoked_at=timezone.now()):
        audit.write("invitation_revoked", user=user.pk, invitation=invitation_id)


def list_valid() -> list[Invitation]:
    """Return the invitations that can still be used, the newest first."""
    return list(_valid().select_related("inviter").order_by("-pk")[:LISTED])


def rooms_to_offer(inviter: Any) -> "models.QuerySet[Room]":
    """Return the rooms that an inviter may open for a new user: those that the inviter may enter and a guest can use.

    A new user is never staff, a direct room never gets more people, and in an archived room there is nothing to do.
    """
    return Room.objects.enterable_by(inviter).filter(staff_only=False, direct_key=None, archived_at=None)


def _open_rooms(invitation: Invitation, inviter: Any, user: Any) -> list[int]:
    """Return the rooms that are opened: those that the inviter may still enter. Rooms of members get a new member."""
    rooms = list(rooms_to_offer(inviter).filter(pk__in=invitation.rooms.values("pk")))
    closed = set()
    # Locked in the order in which the log locks rooms.
    for room in sorted(rooms, key=lambda room: room.pk):
        if room.members_only:
            try:
                # Each member may add others.
                room_actions.add_members(room.pk, [user.pk], by=inviter.pk)
            except ClientError:
                # The room is full, or was closed to the inviter or deleted meanwhile.
                closed.add(room.pk)
    return [room.pk for room in rooms if room.pk not in closed][: conf.LAYOUT_PANES]


def _valid() -> "models.QuerySet[Invitation]":
    return Invitation.objects.filter(revoked_at=None, uses_left__gt=0, expires_at__gt=timezone.now())


def _hash(code: str) -> str:
    # Keyed, so that a copy of the database does not even allow a code to be checked.
    return salted_hmac("chat.invitations", code, algorithm="sha256").hexdigest()
