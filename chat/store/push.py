"""Web Push: the browsers that users have subscribed, and the queue of what is sent to them."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from django.contrib.sessions.models import Session as WebSession
from django.db import connection, transaction
from django.db.models import F, Max
from django.db.models.functions import Now
from django.db.models.signals import post_delete
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat import outgoing, web_push
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Presence, PushDelivery, PushSubscription, Room
from chat.outgoing import Answer, OutgoingError
from chat.store import notifications, own_rooms, policies

# The most browsers of one user. The oldest one makes room for a new one.
MOST_BROWSERS = 10
# The most new messages that one look takes, and the most rows that one transaction queues.
MOST_NEWS = 500
MOST_ROWS = 200
# The most deliveries that one transaction takes for sending.
MOST_DELIVERIES = 20
# A message that waited longer is no news. While a page of the user is open, it is looked again until then.
FRESH = timedelta(minutes=5)
AGAIN = timedelta(seconds=10)
# How long a process has for a delivery before another one may take it.
TAKEN = timedelta(seconds=60)
# A push service that fails is asked again after 10, 20, 40 … seconds, this often.
TRIES = 5
# The most characters of a text in a push.
MOST_TEXT = 300
GONE = (404, 410)

_QUEUE = """
INSERT INTO chat_pushdelivery (subscription_id, room_id, seq, due_at, tries) VALUES {values}
ON CONFLICT (subscription_id, room_id) DO UPDATE SET seq = excluded.seq, tries = 0,
    due_at = COALESCE(chat_pushdelivery.due_at, excluded.due_at)
WHERE chat_pushdelivery.seq < excluded.seq
"""


class News(NamedTuple):
    """A message that was posted."""

    pk: int
    room: int
    seq: int


class Push(NamedTuple):
    """A message to send to one browser, as it was when it was taken from the queue."""

    delivery: int
    seq: int
    endpoint: str
    body: bytes
    headers: dict[str, str]


def connect() -> None:
    """Connect the signal handler. Called once, when the app is ready."""
    post_delete.connect(_on_session_delete, sender=WebSession, dispatch_uid="push-session-delete")


def _on_session_delete(instance: WebSession, **kwargs: Any) -> None:
    PushSubscription.objects.filter(session_key=instance.session_key).delete()


def subscribe(user: int, session_key: str, *, endpoint: str, p256dh: str, auth: str, shows_text: bool) -> None:
    """Remember a browser of a user, for as long as the web session in which it subscribed.

    Raises ClientError: COMMAND_INVALID when the address or the keys are not those of a browser.
    """
    try:
        outgoing.check_url(endpoint)
        web_push.read_point(web_push.decode(p256dh))
        is_valid = len(web_push.decode(auth)) == 16
    except (OutgoingError, ValueError):
        is_valid = False
    if not is_valid:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=_("This is no subscription of a browser."))
    fields = {"user_id": user, "session_key": session_key, "p256dh": p256dh, "auth": auth, "shows_text": shows_text}
    with transaction.atomic():
        # A browser belongs to the user who subscribed it last.
        PushSubscription.objects.update_or_create(
            endpoint_hash=_hash(endpoint), defaults={"endpoint": endpoint, "at": timezone.now(), **fields}
        )
        kept = PushSubscription.objects.filter(user=user).order_by("-at", "-pk").values_list("pk", flat=True)
        PushSubscription.objects.filter(pk__in=list(kept[MOST_BROWSERS : 2 * MOST_BROWSERS])).delete()


def unsubscribe(user: int, endpoint: str) -> None:
    """Forget a browser of a user."""
    PushSubscription.objects.filter(user=user, endpoint_hash=_hash(endpoint)).delete()


def pause(user: int, endpoint: str, until: float) -> None:
    """Send nothing to a browser of a user until a time, in seconds since 1970."""
    at = timezone.now() + timedelta(seconds=min(max(0.0, until - timezone.now().timestamp()), 7 * 24 * 3600))
    PushSubscription.objects.filter(user=user, endpoint_hash=_hash(endpoint)).update(paused_until=at)


def _hash(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()


def has_subscriptions() -> bool:
    """Return whether any browser is subscribed, so that a site without one does nothing more."""
    return PushSubscription.objects.exists()


def newest() -> int:
    """Return the key of the newest event."""
    return int(Event.objects.aggregate(newest=Max("pk"))["newest"] or 0)


def news(after: int) -> list[News]:
    """Return fresh messages whose key is above `after`. Keys are committed out of order, so callers look again."""
    rows = Event.objects.filter(pk__gt=after, kind=Event.Kind.POSTED, deleted_at=None)
    rows = rows.filter(at__gt=timezone.now() - FRESH).order_by("pk")
    return [News(*row) for row in rows.values_list("pk", "room_id", "seq")[:MOST_NEWS]]


def queue(heads: Mapping[int, int]) -> None:
    """Queue the newest messages of rooms, by seq, for the browsers of all users who may enter and are not quiet.

    Rights, levels and what was read are asked again when a delivery is sent.
    """
    browsers: dict[int, list[int]] = {}
    for pk, user in PushSubscription.objects.values_list("pk", "user_id"):
        browsers.setdefault(user, []).append(pk)
    rows: list[tuple[int, int, int]] = []
    for room in Room.objects.filter(pk__in=heads):
        for user in _audience(room, list(browsers)):
            rows += [(browser, room.pk, heads[room.pk]) for browser in browsers[user]]
    due = timezone.now() + timedelta(seconds=conf.PUSH_SECONDS)
    for start in range(0, len(rows), MOST_ROWS):
        _queue(rows[start : start + MOST_ROWS], due)


def _audience(room: Room, users: list[int]) -> Iterable[int]:
    for start in range(0, len(users), MOST_ROWS):
        piece = users[start : start + MOST_ROWS]
        yield from (user.pk for user in policies.load_users_who_may_enter(room, piece))


def _queue(rows: Collection[tuple[int, int, int]], due: Any) -> None:
    sql = _QUEUE.format(values=", ".join(["(%s, %s, %s, %s, 0)"] * len(rows)))
    at = connection.ops.adapt_datetimefield_value(due)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, [part for row in sorted(rows) for part in (*row, at)])


def take_due(here: Collection[int]) -> list[Push]:
    """Take deliveries that are due, and return what may be sent now. `here`: users with an open socket.

    A right that ended, a sign-out, a level, a message that was read or deleted: each ends the delivery.
    """
    now = timezone.now()
    with transaction.atomic():
        due = PushDelivery.objects.select_for_update(skip_locked=True, of=("self",)).filter(due_at__lte=now)
        taken = list(due.select_related("subscription").order_by("due_at", "pk")[:MOST_DELIVERIES])
        PushDelivery.objects.filter(pk__in=[row.pk for row in taken]).update(due_at=now + TAKEN, tries=F("tries") + 1)
    found = []
    for row in taken:
        push = _prepare(row, here)
        if push is not None:
            found.append(push)
    return found


def _prepare(row: PushDelivery, here: Collection[int]) -> Push | None:
    browser = row.subscription
    standing = policies.load_logins([browser.session_key]).get(browser.session_key)
    if standing is None or standing.login.user_id != browser.user_id:
        # The user has signed out, was deactivated, or has another password now.
        browser.delete()
        return None
    try:
        room = policies.load_enterable_room(standing.login, row.room_id)
    except ClientError:
        _end(row)
        return None
    event = notifications.find(browser.user_id, room, 0, row.seq, fresh=FRESH)
    if event is None or (browser.paused_until is not None and browser.paused_until > timezone.now()):
        _end(row)
        return None
    if _is_here(browser.user_id, here):
        # A page of the user shows it, unless the user goes in the next minutes without having read it.
        PushDelivery.objects.filter(pk=row.pk).update(due_at=timezone.now() + AGAIN, tries=0)
        return None
    shown: dict[str, Any] = {"room": str(room.pk), "seq": event.seq}
    if browser.shows_text:
        title = room.title
        if room.direct_key is not None:
            title = own_rooms.title_for(own_rooms.others(room.people, browser.user_id))
        is_alert = event.msg_type == conf.MSG_TYPE_ALERT
        shown |= {"title": title, "author": event.username, "text": event.body[:MOST_TEXT], "alert": is_alert}
    return Push(
        row.pk,
        row.seq,
        browser.endpoint,
        web_push.encrypt(
            json.dumps(shown, ensure_ascii=False).encode(),
            web_push.decode(browser.p256dh),
            web_push.decode(browser.auth),
        ),
        web_push.headers(
            browser.endpoint,
            topic=f"{browser.pk} {room.pk}",
            is_urgent=event.msg_type == conf.MSG_TYPE_ALERT,
        ),
    )


def _end(row: PushDelivery) -> None:
    """Send nothing, unless a later message was queued meanwhile."""
    PushDelivery.objects.filter(pk=row.pk, seq=row.seq).update(due_at=None)


def _is_here(user: int, here: Collection[int]) -> bool:
    return user in here or Presence.objects.filter(user=user, process__expires_at__gt=Now()).exists()


def send(push: Push) -> Answer | None:
    """Send to the push service; None when it did not answer. It blocks, and asks no database."""
    try:
        return outgoing.post(push.endpoint, push.body, push.headers)
    except OutgoingError:
        return None


def finish(push: Push, answer: Answer | None) -> None:
    """Note how a push service answered: what it took is done, what failed is tried again later, some times."""
    row = PushDelivery.objects.filter(pk=push.delivery).first()
    if row is None:
        return
    if answer is not None and answer.status in GONE:
        PushSubscription.objects.filter(pk=row.subscription_id).delete()
    elif answer is None or answer.status == 429 or answer.status >= 500:
        wait = max(10.0 * 2 ** (row.tries - 1), (answer and answer.retry_after) or 0)
        is_over = row.tries >= TRIES or wait > FRESH.total_seconds()
        due = None if is_over else timezone.now() + timedelta(seconds=wait)
        PushDelivery.objects.filter(pk=row.pk, seq=push.seq).update(due_at=due)
    else:
        # A refusal of any other kind would come again.
        _end(PushDelivery(pk=row.pk, seq=push.seq))
