"""Outgoing webhooks: what is written in a room is posted to addresses outside, in order, signed, at least once.

The queue is the room's log itself, and a webhook has a cursor in it. So a message that was deleted or edited before its
turn is not sent, and a receiver that is away costs no space. The users who may manage a room make its webhooks.
"""

import base64
import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone, translation
from django.utils.formats import number_format
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext_lazy, pgettext
from django.utils.translation import gettext_lazy as _

from chat import audit, outgoing, sealing
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, Sentence
from chat.models import Bot, Event, Room, RoomMember, Webhook
from chat.outgoing import OutgoingError
from chat.protocol import AnyEvent, Confirmed, Deleted, Edited, Posted, Resolved
from chat.store import actions, log, policies, room_actions

logger = logging.getLogger(__name__)

Pause = Webhook.Pause
MAX_WEBHOOKS = 10
SECRET_BYTES = 32
# As https://www.standardwebhooks.com/ has it.
SECRET_PREFIX = "whsec_"
ADDRESS, SIGNING = "chat.webhooks.address", "chat.webhooks.signing"
# A webhook that is further behind is paused.
MAX_BACKLOG = 10_000
# A receiver that fails is asked again after 10, 20, 40 … seconds, at most after an hour, and paused after a day.
FIRST_WAIT = 10.0
MAX_WAIT = 3600.0
MAX_FAILING = timedelta(days=1)
# How long one process has for its turn before another one may take the webhook.
TAKEN = timedelta(seconds=60)
# A request begins only this long before that, besides the time that it may take. Clocks of processes may differ.
SPARE = timedelta(seconds=5)
# How long a webhook waits after a turn that ended by an error of ours or of the database.
ERROR_WAIT = timedelta(seconds=60)
# Events that are read to find the next one to send.
ROWS = 8
GONE = 410

WHY = {
    Pause.BY_HAND: _("Paused. A user paused it."),
    Pause.FAILING: _("Paused. It failed for a day."),
    Pause.GONE: _("Paused. The receiver answered that it is gone for good (410)."),
    Pause.BEHIND: ngettext_lazy(
        "Paused. It was more than %(count)s event behind.",
        "Paused. It was more than %(count)s events behind.",
        MAX_BACKLOG,
    ),
    Pause.MAKER: _("Paused. The user who made or resumed it can't manage this room any more."),
    Pause.AUDIENCE: _("Paused. Other users can see this room now."),
    Pause.KEY: _("Paused. It was made with another SECRET_KEY. Remove it and add it again."),
}
# What was not a sentence of chat.outgoing, as the row has it.
ANSWERED = re.compile(r"The receiver answered (?P<status>\d+)\.")
UNANSWERED = re.compile(r"There was no answer: (?P<error>\w+)\.")

# Reasons that are checked again when the pause is written, because another manager may have just resumed the webhook.
CURABLE = (Pause.MAKER, Pause.AUDIENCE, Pause.BEHIND)


class Made(NamedTuple):
    """A webhook with its new signing secret, which can be shown now and never again."""

    webhook: Webhook
    secret: str


class Taken(NamedTuple):
    """A webhook that this process sends for, and until when."""

    pk: int
    until: datetime


class Place(NamedTuple):
    """How far a webhook is in a room's log."""

    epoch: str
    seq: int


class Request(NamedTuple):
    """An event to send."""

    url: str
    body: bytes
    headers: dict[str, str]


class Step(NamedTuple):
    """What a webhook does next: send a request, pause, or only pass over events. `place` is where it is after that."""

    place: Place
    request: Request | None = None
    pause: str = ""
    has_more: bool = True


class Failure(NamedTuple):
    """Why an event was not taken, in words without secrets."""

    error: str
    retry_after: float = 0.0
    is_gone: bool = False


def create(room_id: int, address: str, *, with_bots: bool = False, by: int) -> Made:
    """Make a webhook, which sends what is written in the room from now on.

    Raises ClientError: as check_can_manage, COMMAND_INVALID when the address cannot be used.
    """
    address = address.strip()
    try:
        outgoing.check_url(address)
    except OutgoingError as error:
        raise _invalid(_(str(error))) from None
    secret = _new_secret()
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        if Webhook.objects.filter(room=room).count() >= MAX_WEBHOOKS:
            sentence = ngettext_lazy(
                "A room can have at most {most} webhook. Remove it first.",
                "A room can have at most {most} webhooks. Remove one first.",
                MAX_WEBHOOKS,
            )
            raise _invalid(format_lazy(sentence, most=MAX_WEBHOOKS))
        webhook = Webhook.objects.create(
            room=room,
            maker_id=by,
            host=urlsplit(address).netloc,
            address=sealing.seal(address, ADDRESS),
            signing_secret=sealing.seal(secret, SIGNING),
            with_bots=with_bots,
            audience=_audience(room),
            epoch=room.epoch,
            sent_seq=room.head_seq,
            due_at=timezone.now(),
        )
    audit.write("webhook_made", user=by, room=room_id, webhook=webhook.pk, host=webhook.host)
    return Made(webhook, secret)


def rotate(room_id: int, webhook_id: int, *, by: int) -> Made:
    """Replace the signing secret. Requests are signed with the new one from now on. Raises ClientError: as create."""
    secret = _new_secret()
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        webhook = _find(room, webhook_id)
        webhook.signing_secret = sealing.seal(secret, SIGNING)
        webhook.save(update_fields=["signing_secret"])
    audit.write("webhook_rotated", user=by, room=room_id, webhook=webhook_id)
    return Made(webhook, secret)


def pause(room_id: int, webhook_id: int, *, by: int) -> None:
    """Send nothing until a user resumes it. Raises ClientError: as create."""
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        found = Webhook.objects.filter(pk=_find(room, webhook_id).pk, paused_at=None)
        found.update(paused_at=timezone.now(), pause=Pause.BY_HAND)
    audit.write("webhook_paused", user=by, room=room_id, webhook=webhook_id)


def resume(room_id: int, webhook_id: int, *, from_now: bool, by: int) -> None:
    """Send again, by the right of `by`: from where it stopped, or `from_now`. Raises ClientError: as create."""
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        webhook = _find(room, webhook_id)
        oldest = room.head_seq if from_now else room.head_seq - MAX_BACKLOG // 2
        webhook.sent_seq = max(webhook.sent_seq, oldest)
        webhook.maker_id, webhook.audience = by, _audience(room)
        webhook.paused_at, webhook.pause, webhook.last_error = None, "", ""
        webhook.failing_since, webhook.tries, webhook.due_at = None, 0, timezone.now()
        if from_now:
            # Ends a turn that is under way, which would go on with what is skipped.
            webhook.taken_until = None
        fields = ["sent_seq", "maker", "audience", "paused_at", "pause", "last_error", "failing_since", "tries"]
        webhook.save(update_fields=[*fields, "due_at", "taken_until"])
    audit.write("webhook_resumed", user=by, room=room_id, webhook=webhook_id, from_now=from_now)


def remove(room_id: int, webhook_id: int, *, by: int) -> None:
    """Send nothing more, and forget the address. Raises ClientError: as create."""
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        _find(room, webhook_id).delete()
    audit.write("webhook_removed", user=by, room=room_id, webhook=webhook_id)


def list_webhooks(room_id: int, *, by: int) -> list[Webhook]:
    """Return the webhooks of a room, oldest first. Raises ClientError: as check_can_manage."""
    user = policies.load_users([by]).get(by)
    room = policies.load_room_for(user, room_id)
    policies.check_can_manage(
        user, room, is_owner=RoomMember.objects.filter(room=room, user=by, is_owner=True).exists()
    )
    return list(Webhook.objects.filter(room=room).order_by("pk"))


def state_of(webhook: Webhook) -> str:
    """Return in words how a webhook is, for those who manage its room, in the active language."""
    error = _error_of(webhook)
    if webhook.paused_at is not None:
        why = WHY[Pause(webhook.pause)] % {"count": number_format(MAX_BACKLOG, force_grouping=True)}
        return f"{why} {error}".rstrip() if webhook.pause == Pause.FAILING else why
    return " ".join([gettext("Failing, will be tried again."), error]) if error else pgettext("a webhook", "On")


def _error_of(webhook: Webhook) -> str:
    """Return why the receiver did not take an event; empty if it did. The row has the sentence in English."""
    if answered := ANSWERED.fullmatch(webhook.last_error):
        return gettext("The receiver answered %(status)s.") % {"status": answered["status"]}
    if unanswered := UNANSWERED.fullmatch(webhook.last_error):
        return gettext("There was no answer: %(error)s.") % {"error": unanswered["error"]}
    return gettext(webhook.last_error) if webhook.last_error else ""


def has_due() -> bool:
    """Return whether a webhook has something to send now."""
    return _due(timezone.now()).exists()


def take_due(most: int) -> list[Taken]:
    """Take up to `most` webhooks that have something to send, so that no other process sends for them meanwhile."""
    now = timezone.now()
    with transaction.atomic():
        rows = _due(now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")
        taken = [Taken(pk, now + TAKEN) for pk in rows.values_list("pk", flat=True)[:most]]
        Webhook.objects.filter(pk__in=[pk for pk, _ in taken]).update(taken_until=now + TAKEN)
    return taken


def _due(now: datetime) -> QuerySet[Webhook]:
    has_news = ~Q(epoch=F("room__epoch")) | ~Q(sent_seq=F("room__head_seq"))
    is_free = Q(taken_until=None) | Q(taken_until__lt=now)
    return Webhook.objects.filter(has_news, is_free, paused_at=None, due_at__lte=now, room__deleted_at=None)


def has_time(taken: Taken) -> bool:
    """Return whether a request that begins now ends before another process may take the webhook.

    By the time of day, because other clocks stand still while a machine is suspended.
    """
    return timezone.now() < taken.until - SPARE - timedelta(seconds=conf.OUTGOING_SECONDS)


def next_step(taken: Taken, place: Place | None) -> Step | None:
    """Return what a webhook at this place (None: where the database has it) does next; None when its turn has ended.

    The right of its maker and the text of the event are read now, right before it is sent.
    """
    found = Webhook.objects.select_related("room").filter(pk=taken.pk, taken_until=taken.until)
    webhook = found.filter(paused_at=None, room__deleted_at=None).first()
    if webhook is None:
        return None
    room = webhook.room
    at = place or Place(webhook.epoch, webhook.sent_seq)
    if why := _reason_to_pause(webhook, room, at):
        return Step(at, pause=why)
    if at.epoch != room.epoch or at.seq > room.head_seq:
        # A backup was restored, and what it has was sent before, as far as the receiver wanted it.
        return Step(Place(room.epoch, room.head_seq), has_more=False)
    seq = max(at.seq, room.floor_seq - 1)
    events = log.read(room.pk, after=seq, limit=ROWS)
    by_bots = set() if webhook.with_bots else _written_by_bots(room, [event.event for event in events])
    for logged in events:
        seq = logged.seq
        if seq not in by_bots and _is_sent(logged.event):
            place = Place(room.epoch, seq)
            try:
                request = _request(webhook, place, logged.frame.payload)
            except sealing.SealError:
                return Step(at, pause=Pause.KEY)
            return Step(place, request, has_more=seq < room.head_seq)
    return Step(Place(room.epoch, seq), has_more=bool(events) and seq < room.head_seq)


def _reason_to_pause(webhook: Webhook, room: Room, at: Place) -> str:
    if webhook.audience != _audience(room):
        return Pause.AUDIENCE
    if not policies.may_still_manage(webhook.maker_id, room):
        return Pause.MAKER
    is_behind = at.epoch == room.epoch and room.head_seq - max(at.seq, room.floor_seq - 1) > MAX_BACKLOG
    return Pause.BEHIND if is_behind else ""


def _is_sent(event: AnyEvent) -> bool:
    """Return whether an event is sent: a message, its edit or end, and an alert's. Nothing whose text is gone."""
    match event:
        case Posted(deleted=is_deleted) | Edited(deleted=is_deleted):
            return not is_deleted
    return isinstance(event, Confirmed | Resolved | Deleted)


def _written_by_bots(room: Room, events: Sequence[AnyEvent]) -> set[int]:
    """Return the numbers of the events that bots wrote, and of edits and deletions of bots' messages."""
    changed = {event.seq: _changed(event) for event in events if isinstance(event, Edited | Deleted)}
    targets = Event.objects.filter(room=room, seq__in=set(changed.values())) if changed else Event.objects.none()
    author_of = dict(targets.values_list("seq", "author_id"))
    authors = {
        event.seq: author_of.get(changed[event.seq]) if event.seq in changed else getattr(event, "user", None)
        for event in events
    }
    bots = set(Bot.objects.filter(user__in={*authors.values()} - {None}).values_list("user_id", flat=True))
    return {seq for seq, author in authors.items() if author in bots}


def _changed(event: Edited | Deleted) -> int:
    return event.edited if isinstance(event, Edited) else event.deleted


def _request(webhook: Webhook, place: Place, body: bytes) -> Request:
    """Sign an event as https://www.standardwebhooks.com/ has it. Repeated, it has the same id."""
    name = f"{webhook.pk}-{place.epoch}-{place.seq}"
    timestamp = str(int(timezone.now().timestamp()))
    key = base64.b64decode(sealing.unseal(webhook.signing_secret, SIGNING).removeprefix(SECRET_PREFIX))
    signed = hmac.new(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Multichat",
        "Webhook-Id": name,
        "Webhook-Timestamp": timestamp,
        "Webhook-Signature": "v1," + base64.b64encode(signed).decode(),
    }
    return Request(sealing.unseal(webhook.address, ADDRESS), body, headers)


def send(request: Request) -> Failure | None:
    """Send an event; None when the receiver took it. It blocks, and asks no database."""
    try:
        answer = outgoing.post(request.url, request.body, request.headers)
    except OutgoingError as error:
        return Failure(str(error))
    if 200 <= answer.status < 300:
        return None
    return Failure(f"The receiver answered {answer.status}.", answer.retry_after or 0.0, answer.status == GONE)


def finish(
    taken: Taken,
    place: Place | None,
    *,
    is_sent: bool,
    failure: Failure | None = None,
    why: str = "",
    is_error: bool = False,
) -> None:
    """Note how far a webhook came (None: nowhere), whether it sent, what failed, and why it has to pause.

    `is_error`: the turn ended by an error that is not the receiver's.
    """
    now = timezone.now()
    with transaction.atomic():
        # Another process may have taken it, if this one stood still.
        found = Webhook.objects.select_for_update(of=("self",)).filter(pk=taken.pk, taken_until=taken.until)
        if (webhook := found.first()) is None:
            return
        # A user who resumed it meanwhile may have moved it further.
        if place is not None and (place.epoch != webhook.epoch or place.seq > webhook.sent_seq):
            webhook.epoch, webhook.sent_seq = place
        if is_sent or (place is not None and failure is None):
            webhook.tries, webhook.failing_since, webhook.last_error = 0, None, ""
        webhook.taken_until, webhook.due_at = None, now + ERROR_WAIT if is_error else now
        if why in CURABLE:
            why = _reason_to_pause(
                webhook, Room.objects.get(pk=webhook.room_id), Place(webhook.epoch, webhook.sent_seq)
            )
        if failure is not None:
            why = why or _fail(webhook, failure, now)
        is_new = bool(why) and webhook.paused_at is None
        if is_new:
            webhook.paused_at, webhook.pause = now, why
        fields = ["epoch", "sent_seq", "tries", "failing_since", "last_error", "taken_until", "due_at"]
        webhook.save(update_fields=[*fields, "paused_at", "pause"])
    if is_new:
        _announce_pause(webhook)


def _fail(webhook: Webhook, failure: Failure, now: datetime) -> str:
    webhook.tries += 1
    webhook.failing_since = webhook.failing_since or now
    webhook.last_error = failure.error[:200]
    wait = min(MAX_WAIT, max(FIRST_WAIT * 2 ** min(webhook.tries - 1, 20), failure.retry_after))
    webhook.due_at = now + timedelta(seconds=wait)
    if failure.is_gone:
        return Pause.GONE
    return Pause.FAILING if now - webhook.failing_since >= MAX_FAILING else ""


def _announce_pause(webhook: Webhook) -> None:
    """Say in the log and in the room that a webhook was paused. The room's settings have the reason."""
    logger.warning("a webhook was paused: webhook=%d room=%d why=%s", webhook.pk, webhook.room_id, webhook.pause)
    audit.write("webhook_paused", room=webhook.room_id, webhook=webhook.pk, why=webhook.pause)
    room = Room.objects.filter(pk=webhook.room_id).first()
    if room is not None and room.archived_at is None:
        # Stored once for all readers, so in the language of the site.
        with translation.override(settings.LANGUAGE_CODE):
            text = gettext(
                "A webhook of this room was paused, so another program no longer gets its messages."
                " Those who manage this room see the reason in its settings."
            )
        try:
            actions.post_message(room, None, text, msg_type=conf.MSG_TYPE_WARNING)
        except ClientError:
            logger.info("no warning was posted in room=%d, because it was deleted or archived", webhook.room_id)


def _audience(room: Room) -> str:
    return "members" if room.members_only else "staff" if room.staff_only else "everybody"


def _find(room: Room, webhook_id: int) -> Webhook:
    webhook = Webhook.objects.filter(pk=webhook_id, room=room).first()
    if webhook is None:
        raise _invalid(_("This webhook doesn't exist any more."))
    return webhook


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _invalid(detail: Sentence) -> ClientError:
    return ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
