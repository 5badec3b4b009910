"""Finds the message that a notification shows, once for all tabs and devices of a user."""

from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from chat.conf import conf
from chat.models import Event, Membership, Mention, Room
from chat.protocol import Posted
from chat.store import policies
from chat.store.events import posted
from chat.store.mentions import EVERYONE
from chat.store.policies import Login

Level = Membership.Level
# The most events that a search goes through, because only the newest messages are worth a notification.
MOST_EVENTS = 200
# A page that has slept, or was replayed what it missed, asks for old messages too. None of them is shown.
FRESH = timedelta(seconds=60)

_CLAIM = """
INSERT INTO chat_membership (room_id, user_id, is_here, is_wide, notified_seq) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (room_id, user_id) DO UPDATE SET notified_seq = excluded.notified_seq
WHERE chat_membership.notified_seq < excluded.notified_seq
"""


def take(login: Login, room_id: int, after: int, seq: int) -> Posted | None:
    """Return the newest message after `after` and up to `seq` that the login's user wants to hear of, only once.

    Later questions about it, from any tab or device of the user, get None. So do questions about earlier messages.
    Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID, ROOM_ACCESS_DENIED.
    """
    room = policies.load_enterable_room(login, room_id)
    event = find(login.user_id, room, after, seq)
    return posted(event) if event is not None and claim(login.user_id, room.pk, event.seq) else None


def find(user: int, room: Room, after: int, seq: int, *, fresh: timedelta = FRESH) -> Event | None:
    """Return the newest unread message in this range that a user's level lets through and no notification has shown."""
    own = Membership.objects.filter(user=user, room=room).values_list("level", "notified_seq", "read_seq").first()
    level, notified, read = own or (Level.ALL, 0, None)
    first = max(after, notified, read or 0, room.floor_seq - 1, seq - MOST_EVENTS)
    messages = Event.objects.filter(room=room, kind=Event.Kind.POSTED, seq__gt=first, seq__lte=seq, deleted_at=None)
    messages = messages.filter(at__gt=timezone.now() - fresh)
    # An author is null for messages of the system, which are for every user.
    messages = messages.filter(Q(author=None) | ~Q(author=user))
    if level != Level.ALL:
        heard = Q(msg_type=conf.MSG_TYPE_ALERT)
        if level == Level.MENTIONS and room.direct_key is None:
            mentions = Mention.objects.filter(user__in=(user, EVERYONE), room_id=room.pk, seq__gt=first, seq__lte=seq)
            heard |= Q(pk__in=mentions.values("event"))
        if level == Level.QUIET or room.direct_key is None:
            messages = messages.filter(heard)
    return messages.order_by("-seq").first()


def claim(user: int, room: int, seq: int) -> bool:
    """Return whether no device of this user has shown a notification of this message, or of a later one, before."""
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [room, user, False, False, seq])
        return bool(cursor.rowcount > 0)
