"""Keeps who gave a message which emoji: a row for each user and emoji, and a summary in the message itself."""

from collections.abc import Collection, Sequence

import msgspec
from django.utils.text import format_lazy
from django.utils.translation import ngettext_lazy

from chat.exceptions import ClientError, ErrorCode
from chat.models import Event, Reaction
from chat.protocol import Person, Posted, Reactions
from chat.store.event_rows import EventRow

# The most different emoji of one message, and the most users whom a summary names for each of them. Together they
# bound the size of a message with any number of reactions.
MOST_EMOJI = 20
MOST_USERS = 10

# A message by its room and number.
Seq = tuple[int, int]

_decoder = msgspec.json.Decoder(list[Reactions])
_encoder = msgspec.json.Encoder()


def of(message: Event | EventRow) -> list[Reactions]:
    """Return the reactions of a message, in the order in which its emoji were first given."""
    return _decoder.decode(message.reactions) if message.reactions else []


def mark_own(room_id: int, messages: Sequence[Posted], reader: int | None) -> None:
    """Set `own` in the reactions that a user gave to these messages of a room."""
    seqs = [message.seq for message in messages if message.reactions]
    if not seqs or reader is None:
        return
    rows = Reaction.objects.filter(user=reader, is_on=True, event__room=room_id, event__seq__in=seqs)
    own = set(rows.values_list("event__seq", "emoji"))
    for message in messages:
        for each in message.reactions:
            each.own = (message.seq, each.emoji) in own


class Changes:
    """The reactions that one transaction changes. Its lock of the room keeps others from changing the same ones."""

    def __init__(self) -> None:
        # The messages whose summary has changed. By room and seq, because one of the same transaction has no key yet.
        self.messages: dict[Seq, Event] = {}
        self._deleted: dict[Seq, Event] = {}
        self._rows: dict[tuple[Seq, str, int | None], Reaction] = {}

    def state(self, message: Event, emoji: str, user: int | None) -> Reaction | None:
        """Return the state of a user's reaction, with the changes of this transaction; None if it was never given."""
        key = (_seq(message), emoji, user)
        if key not in self._rows and message.pk is not None:
            known = Reaction.objects.filter(event=message, emoji=emoji, user=user).first()
            self._rows |= {key: known} if known else {}
        return self._rows.get(key)

    def set(self, message: Event, emoji: str, person: Person, *, is_on: bool, seq: int) -> None:
        """Give a reaction, or take it back, by event `seq`.

        Raises ClientError: MESSAGE_INVALID when the message has too many different emoji.
        """
        row = self.state(message, emoji, person.user) or Reaction(event=message, emoji=emoji, user_id=person.user)
        summary = _with(of(message), emoji, person) if is_on else self._without(message, emoji, person)
        message.reactions = _encoder.encode(summary).decode() if summary else None
        row.username, row.is_on, row.seq = person.username, is_on, seq
        self._rows[_seq(message), emoji, person.user] = row
        self.messages[_seq(message)] = message

    def _without(self, message: Event, emoji: str, person: Person) -> list[Reactions]:
        summary = of(message)
        for each in summary:
            if each.emoji == emoji:
                each.count -= 1
                each.users = [other for other in each.users if other.user != person.user]
                if len(each.users) < min(each.count, MOST_USERS) and message.pk is not None:
                    each.users += self._others(message, each, person)
        return [each for each in summary if each.count > 0]

    def _others(self, message: Event, known: Reactions, person: Person) -> list[Person]:
        """Return users who gave the same emoji and are not named yet, in the place of one who took it back."""
        # The database does not have the changes of this transaction yet.
        changed = [user for seq, emoji, user in self._rows if (seq, emoji) == (_seq(message), known.emoji)]
        named = [other.user for other in known.users]
        rows = Reaction.objects.filter(event=message, emoji=known.emoji, is_on=True).exclude(user__in=changed + named)
        users = rows.exclude(user=person.user).order_by("seq").values_list("user_id", "username")
        return [Person(user=user, username=username) for user, username in users[: MOST_USERS - len(known.users)]]

    def forget(self, message: Event) -> None:
        """Remove all reactions of a message, because it is deleted."""
        self._rows = {key: row for key, row in self._rows.items() if key[0] != _seq(message)}
        self._deleted[_seq(message)] = message
        if message.reactions is not None:
            message.reactions = None
            self.messages[_seq(message)] = message

    def store(self, *, new: Collection[Seq]) -> None:
        """Write the rows, after the events. The messages `new` were written in this transaction."""
        if deleted := [message.pk for seq, message in self._deleted.items() if seq not in new]:
            Reaction.objects.filter(event__in=deleted).delete()
        rows = list(self._rows.values())
        for row in rows:
            # Its key is known now, if the message was posted in the same transaction.
            row.event_id = row.event.pk
        if changed := [row for row in rows if row.pk is not None]:
            Reaction.objects.bulk_update(changed, ["username", "is_on", "seq"])
        if added := [row for row in rows if row.pk is None]:
            Reaction.objects.bulk_create(added)


def _seq(message: Event) -> Seq:
    return message.room_id, message.seq


def _with(summary: list[Reactions], emoji: str, person: Person) -> list[Reactions]:
    for each in summary:
        if each.emoji == emoji:
            each.count += 1
            if len(each.users) < MOST_USERS:
                each.users.append(person)
            return summary
    if len(summary) >= MOST_EMOJI:
        sentence = ngettext_lazy(
            "This message has {count} reaction already. Use it too.",
            "This message has {count} different reactions already. Use one of them.",
            MOST_EMOJI,
        )
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=format_lazy(sentence, count=MOST_EMOJI))
    return [*summary, Reactions(emoji=emoji, count=1, users=[person])]
