"""Who is here, in the database: presence rows that live as long as their process's lease.

Whether a user's coming or going is news is decided under the lock of their membership, so of any
number of processes exactly one tells it.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from chat import conf
from chat.models import Membership, Presence, Process, Room

Pair = tuple[int, int]  # room, user

User = get_user_model()


class Change(NamedTuple):
    """A user came to a room, or went."""

    room: int
    username: str
    is_here: bool


def renew(process: str) -> bool:
    """Prolong a process's lease; False when it was given up for dead, and its users with it."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    return bool(Process.objects.filter(pk=process).update(expires_at=until))


def begin(process: str) -> None:
    """Take a lease for a new process."""
    until = Now() + timedelta(seconds=conf.LEASE_SECONDS)
    # It may be there: a try before this one was committed, and its answer lost.
    Process.objects.update_or_create(pk=process, defaults={"expires_at": until})


def end(process: str) -> list[Change]:
    """Give a lease back, with whoever is still here by it."""
    with transaction.atomic():
        pairs = list(Presence.objects.filter(process=process).values_list("room_id", "user_id"))
        changes = settle(process, came=(), went=pairs)
        Process.objects.filter(pk=process).delete()
    return changes


def bury() -> list[Change]:
    """End the leases of processes that died, and tell who went with them."""
    changes: list[Change] = []
    for process in Process.objects.filter(expires_at__lt=Now()).values_list("pk", flat=True):
        with transaction.atomic():
            # Another process may be at it; and the dead one may have renewed after all.
            expired = Process.objects.filter(pk=process, expires_at__lt=Now())
            # Not the key, which a presence of this process refers to: whoever comes back to life and writes
            # one holds memberships that are waited for here.
            if expired.select_for_update(skip_locked=True, no_key=True).first():
                changes += end(process)
    return changes


def settle(process: str, *, came: Collection[Pair], went: Collection[Pair]) -> list[Change]:
    """Write that users have sessions in rooms by this process, or none any more; return what is news."""
    with transaction.atomic():
        came = _existing(came)
        Membership.objects.bulk_create(
            [Membership(room_id=room, user_id=user) for room, user in came], ignore_conflicts=True
        )
        pairs = {*came, *went}
        # The lock first, and all of the rest after it, each as a statement of its own: it sees what the
        # lock's last holder committed.
        memberships = [
            membership
            for membership in _of(Membership.objects.select_for_update(no_key=True), pairs).order_by("pk")
            if (membership.room_id, membership.user_id) in pairs
        ]
        Presence.objects.bulk_create(
            [Presence(room_id=room, user_id=user, process_id=process) for room, user in came], ignore_conflicts=True
        )
        gone = _of(Presence.objects.filter(process=process), set(went))
        Presence.objects.filter(
            pk__in=[pk for pk, room, user in gone.values_list("pk", "room_id", "user_id") if (room, user) in went]
        ).delete()
        here = set(_of(Presence.objects.all(), pairs).values_list("room_id", "user_id"))
        changed = [m for m in memberships if m.is_here != ((m.room_id, m.user_id) in here)]
        for is_here in (True, False):
            rows = [m.pk for m in changed if m.is_here is not is_here]
            Membership.objects.filter(pk__in=rows).update(is_here=is_here)
    names = dict(User.objects.filter(pk__in={m.user_id for m in changed}).values_list("pk", User.USERNAME_FIELD))
    return [Change(m.room_id, names[m.user_id], not m.is_here) for m in changed if m.user_id in names]


def present(rooms: Sequence[int]) -> dict[int, set[str]]:
    """Return the usernames of who is here, by room."""
    names: dict[int, set[str]] = {room: set() for room in rooms}
    here = Membership.objects.filter(room__in=rooms, is_here=True)
    for room, username in here.values_list("room_id", f"user__{User.USERNAME_FIELD}"):
        names[room].add(username)
    return names


def _existing(pairs: Collection[Pair]) -> set[Pair]:
    """Leave out who or what was deleted meanwhile."""
    rooms = set(Room.objects.filter(pk__in={room for room, _ in pairs}).values_list("pk", flat=True))
    users = set(User.objects.filter(pk__in={user for _, user in pairs}).values_list("pk", flat=True))
    return {(room, user) for room, user in pairs if room in rooms and user in users}


def _of(rows: QuerySet[Any], pairs: Collection[Pair]) -> QuerySet[Any]:
    """Narrow to the rooms and to the users of the pairs: a little too much, by the index."""
    return rows.filter(room_id__in={room for room, _ in pairs}, user_id__in={user for _, user in pairs})
