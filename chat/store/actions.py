"""Everything that users do to a room, as plain functions: checks the policy, validates, appends to the log."""

import logging
import time
import uuid
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import regex
from django.db import IntegrityError
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, unavailable
from chat.models import Bot, Event, Room
from chat.store import emoji, faults, graphemes, lock_waits, log, policies, quotes
from chat.store.faults import Blame
from chat.store.log import Batch, Committed, Kind
from chat.store.policies import BotKey, Login, Standing
from chat.store.room_user import RoomUser
from chat.store.round_trip import RoundTrip

logger = logging.getLogger(__name__)

TRY_AGAIN = _("The message could not be saved. Try again in a moment.")
NEW_LOG = _("This room was restored or reset after the message was written. Check the message and send it again.")
# A failing draft may take long. After this time the drafts behind it wait for the next transaction.
ALONE_SECONDS = 1.0
# More than any emoji has. Bounds the length for sites that allow more bytes.
CODE_POINTS_PER_GRAPHEME = 16
# A message of white space, control and invisible format characters alone is empty.
_BLANK = regex.compile(r"[\s\p{Cc}\p{Cf}\p{Z}]*")


@dataclass(frozen=True, slots=True)
class Draft:
    """A command that is to be appended to a room's log.

    The author of a draft without `author` is the system. No policy is checked for `trusted` drafts, which come
    from Python.
    """

    room: int
    author: int | None
    # The login by which the author acts. It has to be valid when the draft is written.
    login: Login | None = None
    # The bot by which the author acts, in place of a login.
    bot: BotKey | None = None
    kind: Kind = Kind.POSTED
    body: str = ""
    msg_type: int = conf.MSG_TYPE_MESSAGE
    target_seq: int | None = None
    # The message that a message answers.
    reply_to: int | None = None
    # The same for all copies of a message in several rooms.
    across: uuid.UUID | None = None
    # The room and the seq of the message that a message quotes.
    source: tuple[int, int] | None = None
    # The files of a message, which its author has uploaded to the room.
    files: tuple[uuid.UUID, ...] = ()
    # The epoch of the log for which a message was written, or in which the message to change stands. None: whatever log
    # the room has.
    epoch: str | None = None
    # Whether a reaction is given, or taken back. Its emoji is the body.
    is_on: bool = True
    # Whether a delete is its author's Undo.
    is_undo: bool = False
    # If None, the draft gets an `own_id`, so that it is appended once even when it is tried twice.
    client_id: uuid.UUID | None = None
    own_id: uuid.UUID | None = None
    username: str = ""
    trusted: bool = False

    def __post_init__(self) -> None:
        if self.client_id is None and self.own_id is None:
            object.__setattr__(self, "own_id", uuid.uuid4())

    @property
    def key(self) -> tuple[int, uuid.UUID] | None:
        """The unique key that keeps the draft from being appended twice; None for drafts of the system."""
        return (self.author, self.unique_id) if self.author is not None else None

    @property
    def unique_id(self) -> uuid.UUID:
        """Return the sender's id of the draft, otherwise its own."""
        found = self.client_id or self.own_id
        assert found is not None, "a draft without a client_id has an id of its own"
        return found


class NotSaved(ClientError):
    """A draft that could not be saved although the database works: its room is locked, or it failed alone.

    The cause is not the draft's content, so the same draft may be saved later.
    """

    def __init__(self, *, is_locked: bool = False, error: Exception | None = None) -> None:
        busy = _("This room is busy, so the message was not saved. Try again in a moment.")
        detail = busy if is_locked else TRY_AGAIN
        super().__init__(ErrorCode.SERVER_UNAVAILABLE, detail=detail, retry_after=1)
        self.is_locked = is_locked
        # Also None when the draft was not tried.
        self.error = error


Outcome = Committed | ClientError


def check_text(text: str) -> str:
    """Return a message's text if it may be posted.

    Raises ClientError: MESSAGE_EMPTY, MESSAGE_INVALID, MESSAGE_TOO_LONG.
    """
    if len(text) > conf.MESSAGE_MAX_BYTES or len(text.encode()) > conf.MESSAGE_MAX_BYTES:
        sentence = ngettext_lazy(
            "This message is too long. Shorten it to at most {limit} byte.",
            "This message is too long. Shorten it to at most {limit} bytes.",
            conf.MESSAGE_MAX_BYTES,
        )
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=format_lazy(sentence, limit=conf.MESSAGE_MAX_BYTES))
    # PostgreSQL refuses NUL, and with it the whole batch.
    if "\x00" in text:
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=_("This message contains a NUL character. Remove it."))
    if is_blank(text):
        raise ClientError(ErrorCode.MESSAGE_EMPTY, detail=_("This message is empty. Add some text."))
    limit = conf.MESSAGE_MAX_GRAPHEMES
    is_long = len(text) > CODE_POINTS_PER_GRAPHEME * limit
    if is_long or (len(text) > limit and graphemes.count(text, most=limit) > limit):
        sentence = ngettext_lazy(
            "This message is too long. Shorten it to at most {limit} character.",
            "This message is too long. Shorten it to at most {limit} characters.",
            limit,
        )
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=format_lazy(sentence, limit=limit))
    return text


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: it has only white space, control and invisible characters."""
    # Most texts begin with a letter. `regex` lets other threads run while it matches, so the event loop would wait.
    return not text[:1].isalnum() and _BLANK.fullmatch(text) is not None


def check_emoji(text: str) -> str:
    """Return an emoji in its one spelling. Raises ClientError: MESSAGE_INVALID when the text is not one emoji."""
    if (found := emoji.canonical(text)) is None:
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=_("This is not an emoji. React with one emoji."))
    return found


def check_type(msg_type: int) -> int:
    """Return a message's type if a message may have it. Raises ClientError: MESSAGE_INVALID."""
    if msg_type not in conf.MESSAGE_TYPES_LIST or msg_type in (conf.MSG_TYPE_ENTER, conf.MSG_TYPE_LEAVE):
        detail = _("This message type does not exist, or a message cannot have it. Use another one.")
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=detail)
    return msg_type


def post_message(room: Room, author: Any, text: str, *, msg_type: int = conf.MSG_TYPE_MESSAGE) -> int:
    """Post a message from Python and return its seq. No policy is checked; the author None is the system.

    Raises ClientError: MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_INVALID, ROOM_INVALID when the room was deleted,
    SERVER_UNAVAILABLE when the room stays locked.
    """
    draft = Draft(
        room=room.pk,
        author=author.pk if author is not None else None,
        username=author.get_username() if author is not None else "",
        body=check_text(text),
        msg_type=check_type(msg_type),
        trusted=True,
    )
    [outcome] = commit([draft])
    if isinstance(outcome, ClientError):
        raise outcome
    return outcome.seq


def commit(drafts: Sequence[Draft]) -> list[Outcome]:
    """Append all drafts in one transaction and return an outcome for each, in order.

    A draft that the database refuses fails alone, because its batch is then tried again one by one. The writer's
    thread waits only briefly for a room that another transaction has locked; the room's drafts are then NotSaved.
    Raises the database's error if the database is away. Safe to run again after a lost connection, because the
    client_ids prevent duplicates.
    """
    return _save(drafts, skip_locked=False)


def commit_unlocked(drafts: Sequence[Draft]) -> list[Outcome]:
    """Append drafts as `commit` does, but without waiting for locked rooms."""
    return _save(drafts, skip_locked=True)


def _save(drafts: Sequence[Draft], *, skip_locked: bool) -> list[Outcome]:
    try:
        return _commit(drafts, skip_locked=skip_locked)
    except Exception as error:
        failure = error
    if faults.blame(failure) is Blame.DATABASE:
        # The database is away, or was away when it should have confirmed the commit.
        raise failure
    if not skip_locked and lock_waits.is_brief() and faults.is_lock_timeout(failure):
        return _save(drafts, skip_locked=True)
    if len(drafts) == 1:
        return [_fail(drafts[0], failure, skip_locked=skip_locked)]
    return _save_one_by_one(drafts, skip_locked=skip_locked)


def _save_one_by_one(drafts: Sequence[Draft], *, skip_locked: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    failed: set[tuple[int, int | None]] = set()
    until = float("inf")
    for draft in drafts:
        sender = (draft.room, draft.author)
        if sender in failed or time.monotonic() > until:
            # Not tried, because an author's messages in a room keep their order.
            outcomes.append(NotSaved())
            continue
        [outcome] = _save([draft], skip_locked=skip_locked)
        outcomes.append(outcome)
        if isinstance(outcome, NotSaved):
            failed.add(sender)
            until = min(until, time.monotonic() + ALONE_SECONDS)
    return outcomes


def _fail(draft: Draft, error: Exception, *, skip_locked: bool) -> Outcome:
    """Return the outcome of a draft that failed when it was tried alone."""
    match faults.blame(error):
        case Blame.DATA:
            if isinstance(error, IntegrityError):
                with suppress(IntegrityError):
                    # Another process has just saved the same client_id in another room, so now it can be found.
                    return _commit([draft], skip_locked=skip_locked)[0]
            logger.warning(
                "room=%s author=%s: the database refused a draft: %s", draft.room, draft.author, faults.reason(error)
            )
            detail = _("The database refused this message. Change its text and try again.")
            return ClientError(ErrorCode.MESSAGE_INVALID, detail=detail)
        case Blame.STATEMENT:
            return NotSaved(error=error)
    faults.log_once(logger, f"room={draft.room} author={draft.author}: a draft could not be saved", error)
    return unavailable(TRY_AGAIN)


def _commit(drafts: Sequence[Draft], *, skip_locked: bool) -> list[Outcome]:
    lookups = RoundTrip()
    ask_known = log.ask_committed(lookups, [draft.key for draft in drafts if draft.key])
    ask_standings = policies.ask_standings(lookups, {draft.login for draft in drafts if draft.login is not None})
    ask_users = policies.ask_users(lookups, (draft.author for draft in drafts if draft.author and not draft.login))
    with log.append((draft.room for draft in drafts), skip_locked=skip_locked) as batch:
        # After the locks, so that the answers include what the last holder of the locks committed.
        lookups.run()
        known, standings, users = ask_known(), ask_standings(), ask_users()
        written = {RoomUser(draft.room, draft.author) for draft in drafts if draft.author and not draft.trusted}
        members = policies.load_members(written, batch.rooms)
        keys = {draft.bot for draft in drafts if draft.bot is not None}
        bots = policies.load_bots(keys) if keys else {}
        results: list[Event | Outcome] = []
        for draft in drafts:
            if draft.key in known:
                results.append(known[draft.key])
                continue
            try:
                added = _add_event(batch, draft, _author(draft, standings, users), members, bots)
            except ClientError as refusal:
                results.append(refusal)
            else:
                results.append(added)
                if draft.key and isinstance(added, Event):
                    known[draft.key] = Committed(added.room_id, added.seq)
    return [_outcome(result) if isinstance(result, Event) else result for result in results]


def _outcome(event: Event) -> Committed:
    return Committed(event.room_id, event.seq, event.room.epoch, log.logged(event))


def _author(draft: Draft, standings: dict[Login, Standing], users: dict[int, Any]) -> Any:
    """Return the author as this transaction reads them; None when their login is not valid any more."""
    if draft.login is None:
        return users.get(draft.author or 0)
    return standings[draft.login].user if draft.login in standings else None


def _add_event(
    batch: Batch, draft: Draft, user: Any, members: Container[RoomUser], bots: Mapping[BotKey, Bot]
) -> Event | Committed:
    if draft.room in batch.busy:
        raise NotSaved(is_locked=True)
    room = batch.rooms.get(draft.room)
    if draft.trusted:
        if room is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail=_("This room does not exist. It may have been deleted."))
        if draft.author is not None and user is None:
            detail = _("The author of this message was deleted. Post it as another user.")
            raise ClientError(ErrorCode.MESSAGE_INVALID, detail=detail)
        return batch.post(room, body=draft.body, msg_type=draft.msg_type, **_signature(draft, draft.username))
    is_member = user is not None and RoomUser(draft.room, user.pk) in members
    if draft.bot is not None:
        bot = bots.get(draft.bot)
        room = policies.check_bot_writable(bot, room)
        assert bot is not None, "the policy refuses a bot that is not valid"
        user = bot.user
    elif draft.kind == Kind.CONFIRMED:
        # Readers confirm alerts, also where they may not write.
        room = policies.check_enterable(user, room, is_member=is_member)
    else:
        room = policies.check_writable(user, room, msg_type=draft.msg_type, is_member=is_member)
    # The room is locked, so a restore cannot come between this question and the commit.
    if draft.epoch not in (None, room.epoch):
        raise ClientError(ErrorCode.EPOCH_CHANGED, detail=NEW_LOG)
    signature = _signature(draft, user.get_username())
    if draft.kind == Kind.POSTED:
        if draft.reply_to is not None:
            # A message that was deleted meanwhile can still be answered, because the answer would be lost otherwise.
            _check_exists(batch, room, draft.reply_to)
        if draft.source is not None and not quotes.find_source(user, *draft.source):
            # The same for a message that does not exist and for one in a room that the author may not enter.
            detail = _("The quoted message does not exist, or you may not read it.")
            raise ClientError(ErrorCode.MESSAGE_INVALID, detail=detail)
        source_room, source_seq = draft.source or (None, None)
        return batch.post(
            room,
            body=draft.body,
            msg_type=draft.msg_type,
            reply_to=draft.reply_to,
            across=draft.across,
            source_room=source_room,
            source_seq=source_seq,
            attached=draft.files,
            **signature,
        )
    assert draft.target_seq is not None, "a change points at a message"
    target = _check_exists(batch, room, draft.target_seq)
    if target.deleted_at is not None or draft.across not in (None, target.across):
        raise _no_message()
    match draft.kind:
        case Kind.EDITED:
            if not policies.can_edit(user, author_id=target.author_id):
                raise ClientError(ErrorCode.NOT_AUTHOR, detail=_("You can edit only your own messages."))
            return batch.edit(room, target, draft.body, **signature)
        case Kind.DELETED:
            if not policies.can_delete(user, author_id=target.author_id):
                raise ClientError(ErrorCode.NOT_AUTHOR, detail=_("You can delete only your own messages."))
            is_undo = draft.is_undo and target.author_id == draft.author
            return batch.delete(room, target, is_undo=is_undo, **signature)
        case Kind.REACTED:
            return batch.react(room, target, draft.body, is_on=draft.is_on, **signature)
        case Kind.CONFIRMED:
            _check_alert(target)
            return batch.confirm(room, target, **signature)
        case Kind.RESOLVED:
            _check_alert(target)
            if not policies.can_resolve(user, author_id=target.author_id):
                raise ClientError(ErrorCode.NOT_AUTHOR, detail=_("You can end only your own alerts."))
            return batch.resolve(room, target, **signature)
    raise AssertionError(f"a kind of event without a rule: {draft.kind}")


def _check_exists(batch: Batch, room: Room, seq: int) -> Event:
    target = batch.target(room.pk, seq)
    if target is None or target.seq < room.floor_seq:
        raise _no_message()
    return target


def is_alert(message: Event) -> bool:
    """Return whether a message is an alert, which can be confirmed and be over."""
    return message.msg_type == conf.MSG_TYPE_ALERT


def _check_alert(message: Event) -> None:
    if not is_alert(message):
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=_("This message is not an alert."))


def _no_message() -> ClientError:
    return ClientError(ErrorCode.MESSAGE_INVALID, detail=_("This message does not exist. It may have been deleted."))


def _signature(draft: Draft, username: str) -> dict[str, Any]:
    return {
        "author_id": draft.author,
        "username": username,
        "client_id": draft.unique_id,
        "client_id_given": draft.client_id is not None,
    }
