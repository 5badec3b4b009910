"""Removes the messages that are older than their room keeps them, in pieces, and raises the room's floor.

Each piece removes its rows and raises the floor in one transaction, so an interruption leaves nothing half done.
"""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from chat import audit, doorbell
from chat.models import Event, Room
from chat.store import log
from chat.store.deletion import PAUSE_SECONDS, PIECE_ROWS


def due() -> list[int]:
    """Return the ids of the rooms that keep messages for a limited time, and have no legal hold."""
    rooms = Room.objects.filter(retention_days__isnull=False, legal_hold=False)
    return list(rooms.order_by("pk").values_list("pk", flat=True))


def count_expired(room_id: int, *, now: datetime | None = None) -> int:
    """Return how many messages of a room have expired."""
    room = Room.objects.filter(pk=room_id).first()
    if room is None:
        return 0
    below = Event.objects.filter(room=room_id, kind=Event.Kind.POSTED, seq__lt=_new_floor(room, now or timezone.now()))
    return below.count()


def prune_room(room_id: int, *, now: datetime | None = None) -> int:
    """Remove the messages of a room that have expired, and return how many they were."""
    moment = now or timezone.now()
    messages = 0
    while (removed := _remove_piece(room_id, moment)) is not None:
        messages += removed
        time.sleep(PAUSE_SECONDS)  # so that others can write in between
    if messages:
        audit.write("room_pruned", room=room_id, messages=messages)
    return messages


def _remove_piece(room_id: int, now: datetime) -> int | None:
    """Remove the oldest events; return how many were messages, or None when none has expired."""
    with transaction.atomic():
        # As the log locks it: no message is written meanwhile, and the legal hold is read as it is now.
        room = Room.objects.select_for_update(no_key=True).filter(pk=room_id).first()
        if room is None:
            return None
        floor = min(_new_floor(room, now), room.floor_seq + PIECE_ROWS)
        if floor <= room.floor_seq:
            return None
        events = Event._base_manager.filter(room=room_id, seq__gte=room.floor_seq, seq__lt=floor)
        messages = events.filter(kind=Event.Kind.POSTED).count()
        # With their mentions, reactions, confirmations and searchable texts.
        events.only("pk").delete()
        Room.objects.filter(pk=room_id).update(floor_seq=floor)
        # Wakes the processes at once; without it their sweep finds the floor.
        transaction.on_commit(lambda: doorbell.ring({room_id: room.head_seq}))
    return messages


def _new_floor(room: Room, now: datetime) -> int:
    if room.retention_days is None or room.legal_hold:
        return room.floor_seq
    try:
        since = now - timedelta(days=room.retention_days)
    except OverflowError:
        return room.floor_seq  # longer than the calendar is
    return max(log.first_since(room, since), room.floor_seq)
