"""Finds messages that others refer to: the source of a quote, the message that is answered, and copies."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F

from chat import protocol
from chat.exceptions import ClientError
from chat.models import Event, Room
from chat.protocol import MAX_ROOMS, CopiesFound, Copy, Quoted
from chat.store import confirmations, policies, reactions
from chat.store.events import posted
from chat.store.policies import Login

# Messages that one query reads, because texts may be large and the answer may be full before.
ROWS_PER_QUERY = 16


def find_source(user: Any, room_id: int, seq: int) -> bool:
    """Return whether there is such a message, deleted or not, in a room that the user may enter."""
    try:
        room = policies.load_room_for(user, room_id)
    except ClientError:
        return False
    rows = Event.objects.filter(room=room, seq=seq, kind=Event.Kind.POSTED)
    return seq >= room.floor_seq and rows.exists()


def read(login: Login, room_id: int, seqs: Sequence[int], *, max_bytes: int) -> Quoted:
    """Return messages of a room as they stand now, in the order of the seqs; those that do not exist are left out.

    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED.
    """
    room = policies.load_enterable_room(login, room_id)
    wanted = [seq for seq in dict.fromkeys(seqs) if seq >= room.floor_seq]
    found = Quoted(quote=str(room.pk), events=[], as_of=room.head_seq)
    size = 0
    for start in range(0, len(wanted), ROWS_PER_QUERY):
        piece = wanted[start : start + ROWS_PER_QUERY]
        rows = Event.objects.filter(room=room, seq__in=piece, kind=Event.Kind.POSTED)
        by_seq = {row.seq: row for row in rows}
        for row in (by_seq[seq] for seq in piece if seq in by_seq):
            event = posted(row)
            size += len(protocol.encode(event).payload)
            if found.events and size > max_bytes:
                return _own(found, room, login, more=True)
            found.events.append(event)
    return _own(found, room, login, more=False)


def _own(found: Quoted, room: Room, login: Login, *, more: bool) -> Quoted:
    found.more = more
    reactions.mark_own(room.pk, found.events, login.user_id)
    confirmations.mark_own(room.pk, found.events, login.user_id)
    return found


def find_copies(login: Login, across: UUID) -> CopiesFound:
    """Return the undeleted messages that share `across`, in the rooms that the login's user may enter, by room.

    Raises ClientError: USER_HAS_TO_LOGIN.
    """
    user = policies.load_user(login)
    rows = Event.objects.filter(
        across=across,
        kind=Event.Kind.POSTED,
        deleted_at=None,
        room__in=Room.objects.enterable_by(user).order_by(),
        seq__gte=F("room__floor_seq"),
    )
    found = rows.order_by("room_id", "seq").values_list("room_id", "seq", "author_id")[:MAX_ROOMS]
    return CopiesFound(
        copies=across, messages=[Copy(room=str(room), seq=seq, user=author) for room, seq, author in found]
    )
