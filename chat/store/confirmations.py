"""Keeps who has confirmed an alert, and who said that it is over: rows, and a summary in the alert itself."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode
from chat.models import Confirmation, Event
from chat.protocol import Confirmations, Person, Posted, Resolution
from chat.store import display_names, policies
from chat.store.display_names import Shown
from chat.store.event_rows import EventRow

# The most users whom the summary of an alert names. All are counted.
MOST_USERS = 50
# The most users in a list of those who have not confirmed an alert.
MOST_UNCONFIRMED = 100
# A message by its room and number.
Seq = tuple[int, int]

_confirmations = msgspec.json.Decoder(Confirmations)
_resolution = msgspec.json.Decoder(Resolution)
_encoder = msgspec.json.Encoder()


def of(alert: Event | EventRow) -> Confirmations | None:
    """Return who has confirmed an alert; None if no user has."""
    return _confirmations.decode(alert.confirmations) if alert.confirmations else None


def resolution_of(alert: Event | EventRow) -> Resolution | None:
    """Return who said that an alert is over; None if it is not."""
    return _resolution.decode(alert.resolved) if alert.resolved else None


def mark_own(room_id: int, messages: Sequence[Posted], reader: int | None) -> None:
    """Set `own` in the alerts of a room that a user has confirmed."""
    seqs = [message.seq for message in messages if message.confirmations]
    if not seqs or reader is None:
        return
    rows = Confirmation.objects.filter(user=reader, event__room=room_id, event__seq__in=seqs)
    own = set(rows.values_list("event__seq", flat=True))
    for message in messages:
        if message.confirmations:
            message.confirmations.own = message.seq in own


def list_unconfirmed(user: Any, room_id: int, seq: int) -> tuple[list[Shown], bool]:
    """Return the users who may enter the room and have not confirmed its alert `seq`, and whether there are more.

    The alert's author has nothing to confirm. Raises ClientError: as policies.load_room_for and
    check_can_see_unconfirmed; MESSAGE_INVALID when there is no such alert.
    """
    room = policies.load_room_for(user, room_id)
    policies.check_can_see_unconfirmed(user)
    posted = Event.objects.filter(room=room, kind=Event.Kind.POSTED, deleted_at=None)
    alert = posted.filter(seq=seq, msg_type=conf.MSG_TYPE_ALERT).first()
    if alert is None:
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=_("There is no such alert any more."))
    confirmed = Confirmation.objects.filter(event=alert, user=OuterRef("pk"))
    waiting = policies.users_who_may_enter(room).exclude(pk=alert.author_id).filter(~Exists(confirmed))
    found = list(waiting.order_by(get_user_model().USERNAME_FIELD)[: MOST_UNCONFIRMED + 1])
    return display_names.show(found[:MOST_UNCONFIRMED]), len(found) > MOST_UNCONFIRMED


class Changes:
    """The confirmations of one transaction. Its lock of the room keeps others from changing the same alerts."""

    def __init__(self) -> None:
        # The alerts whose summary has changed.
        self.alerts: dict[Seq, Event] = {}
        self._deleted: dict[Seq, Event] = {}
        self._rows: dict[tuple[Seq, int], Confirmation] = {}

    def confirmed(self, alert: Event, user: int) -> int | None:
        """Return the number of the event by which a user has confirmed an alert."""
        if row := self._rows.get((_seq(alert), user)):
            return row.seq
        if alert.pk is None:
            return None
        return Confirmation.objects.filter(event=alert, user=user).values_list("seq", flat=True).first()

    def confirm(self, alert: Event, user: int, username: str, *, seq: int) -> None:
        """Confirm an alert for a user, by event `seq`."""
        self._rows[_seq(alert), user] = Confirmation(event=alert, user_id=user, username=username, seq=seq)
        summary = of(alert) or Confirmations(count=0, users=[])
        summary.count += 1
        if len(summary.users) < MOST_USERS:
            summary.users.append(Person(user=user, username=username))
        alert.confirmations = _encoder.encode(summary).decode()
        self.alerts[_seq(alert)] = alert

    def resolve(self, alert: Event, resolution: Resolution) -> None:
        """Note that an alert is over."""
        alert.resolved = _encoder.encode(resolution).decode()
        self.alerts[_seq(alert)] = alert

    def forget(self, message: Event) -> None:
        """Remove all confirmations of a message, because it is deleted."""
        self._rows = {key: row for key, row in self._rows.items() if key[0] != _seq(message)}
        if message.confirmations is not None or message.resolved is not None:
            message.confirmations = message.resolved = None
            self._deleted[_seq(message)] = self.alerts[_seq(message)] = message

    def store(self, *, new: Collection[Seq]) -> None:
        """Write the rows, after the events. The messages `new` were written in this transaction."""
        if deleted := [message.pk for seq, message in self._deleted.items() if seq not in new]:
            Confirmation.objects.filter(event__in=deleted).delete()
        for row in self._rows.values():
            # Its key is known now, if the alert was posted in the same transaction.
            row.event_id = row.event.pk
        if self._rows:
            Confirmation.objects.bulk_create(self._rows.values())


def _seq(message: Event) -> Seq:
    return message.room_id, message.seq
