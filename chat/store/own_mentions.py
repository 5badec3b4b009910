"""Lists the messages that mention a user, newest first, in the rooms that they may enter now."""

from chat import protocol
from chat.models import Event, Mention, Room
from chat.protocol import MentionPage
from chat.store import confirmations, policies, reactions
from chat.store.events import posted
from chat.store.mentions import EVERYONE
from chat.store.policies import Login

# Mentions that one query reads, and the most queries for one page: rooms that the user may not enter any more may have
# many of them.
ROWS_PER_QUERY = 64
MOST_QUERIES = 8


def read(login: Login, *, before: int | None, limit: int, max_bytes: int) -> MentionPage:
    """Return a page of messages that mention the login's user. Raises ClientError: USER_HAS_TO_LOGIN."""
    user = policies.load_user(login)
    page = MentionPage(mentioned=[])
    size = 0
    for _ in range(MOST_QUERIES):
        keys = _event_keys(user.pk, before)
        events = Event.objects.filter(pk__in=keys, deleted_at=None).exclude(author=user.pk)
        if since := getattr(user, "date_joined", None):
            # Mentions of all users were not meant for users who came later.
            events = events.filter(at__gte=since)
        rooms = Room.objects.enterable_by(user).order_by().filter(pk__in=events.values("room"))
        floors = dict(rooms.values_list("pk", "floor_seq"))
        for row in events.filter(room__in=list(floors)).order_by("-pk"):
            if row.seq < floors[row.room_id]:
                continue
            event = posted(row)
            size += len(protocol.encode(event).payload)
            if len(page.mentioned) == limit or (page.mentioned and size > max_bytes):
                return _own(page, user.pk)
            page.mentioned.append(event)
            page.next = row.pk
        if len(keys) < ROWS_PER_QUERY:
            page.next = None
            return _own(page, user.pk)
        page.next = before = min(keys)
    return _own(page, user.pk)


def _event_keys(user: int, before: int | None) -> list[int]:
    """Return the keys of the next messages that mention the user or all users, newest first."""
    keys: set[int] = set()
    for mentioned in (user, EVERYONE):
        rows = Mention.objects.filter(user_id=mentioned, **({} if before is None else {"event__lt": before}))
        keys |= set(rows.order_by("-event").values_list("event_id", flat=True)[:ROWS_PER_QUERY])
    return sorted(keys, reverse=True)[:ROWS_PER_QUERY]


def _own(page: MentionPage, user: int) -> MentionPage:
    for room in {event.room for event in page.mentioned}:
        events = [event for event in page.mentioned if event.room == room]
        reactions.mark_own(int(room), events, user)
        confirmations.mark_own(int(room), events, user)
    return page
