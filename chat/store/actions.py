"""What people do, as plain functions: policy, validation, log."""

import logging
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import regex
from django.db import IntegrityError

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, unavailable
from chat.models import Event, Room
from chat.store import faults, graphemes, lock_waits, log, policies
from chat.store.faults import Blame
from chat.store.log import Batch, Committed, Kind
from chat.store.policies import Login, Standing

logger = logging.getLogger(__name__)

TRY_AGAIN = "The message could not be saved. Nothing is lost: try again."
# One draft may fail slowly. After this time its neighbours have their turn in the next transaction.
ALONE_SECONDS = 1.0
# More than any emoji has: a bound for sites that allow more bytes.
CODE_POINTS_PER_GRAPHEME = 16
# White space, controls and invisible format characters alone say nothing.
_BLANK = regex.compile(r"[\s\p{Cc}\p{Cf}\p{Z}]*")


@dataclass(frozen=True, slots=True)
class Draft:
    """Something to append to a room's log, not yet in it.

    Without an author it is the system's; `trusted` drafts come from Python, and no policy is asked.
    """

    room: int
    author: int | None
    # By what its author acts: has to hold when it is written.
    login: Login | None = None
    kind: Kind = Kind.POSTED
    body: str = ""
    msg_type: int = conf.MSG_TYPE_MESSAGE
    target_seq: int | None = None
    # None: the server makes one, so that the draft is appended once even when it is tried twice.
    client_id: uuid.UUID | None = None
    own_id: uuid.UUID = field(default_factory=uuid.uuid4)
    username: str = ""
    trusted: bool = False

    @property
    def key(self) -> tuple[int, uuid.UUID] | None:
        """What makes it appended once; the system's drafts have none."""
        return (self.author, self.client_id or self.own_id) if self.author is not None else None


class NotSaved(ClientError):
    """A draft that could not be saved now although others could: its room is locked, or it failed alone.

    Neither is about the draft's content, so the same draft may be saved later.
    """

    def __init__(self, *, is_locked: bool = False, error: Exception | None = None) -> None:
        detail = "The room is busy. Nothing is lost: try again." if is_locked else TRY_AGAIN
        super().__init__(ErrorCode.SERVER_UNAVAILABLE, detail=detail, retry_after=1)
        self.is_locked = is_locked
        # None as well when it was not tried.
        self.error = error


Outcome = Committed | ClientError


def check_text(text: str) -> str:
    """Return a message's text if it may be posted.

    Raises ClientError: MESSAGE_EMPTY, MESSAGE_INVALID, MESSAGE_TOO_LONG.
    """
    if len(text) > conf.MESSAGE_MAX_BYTES or len(text.encode()) > conf.MESSAGE_MAX_BYTES:
        detail = f"A message takes at most {conf.MESSAGE_MAX_BYTES} bytes."
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=detail)
    # PostgreSQL refuses NUL, and would refuse the neighbours in the batch with it.
    if "\x00" in text:
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail="A message holds no NUL characters.")
    if is_blank(text):
        raise ClientError(ErrorCode.MESSAGE_EMPTY, detail="There is nothing in this message.")
    limit = conf.MESSAGE_MAX_GRAPHEMES
    is_long = len(text) > CODE_POINTS_PER_GRAPHEME * limit
    if is_long or (len(text) > limit and graphemes.count(text, most=limit) > limit):
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=f"A message has at most {limit} characters.")
    return text


def is_blank(text: str) -> bool:
    """Tell whether a text has nothing to show: white space, control and invisible characters alone."""
    return _BLANK.fullmatch(text) is not None


def check_type(msg_type: int) -> int:
    """Return a message's type if a message may have it. Raises ClientError: MESSAGE_INVALID."""
    if msg_type not in conf.MESSAGE_TYPES_LIST or msg_type in (conf.MSG_TYPE_ENTER, conf.MSG_TYPE_LEAVE):
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail="There is no such message type.")
    return msg_type


def post_message(room: Room, author: Any, text: str, *, msg_type: int = conf.MSG_TYPE_MESSAGE) -> int:
    """Post a message from Python and return its seq; no policy is asked. `author` may be None: the system.

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

    A draft that the database cannot take fails alone, because the batch is then tried again one by one. In the
    writer's thread, a room that another transaction has locked is waited for only briefly: its drafts are NotSaved.
    Raises what the database raised if it is away. Safe to run again after a lost connection: the client_ids keep it
    from appending twice.
    """
    return _save(drafts, skip_locked=False)


def commit_unlocked(drafts: Sequence[Draft]) -> list[Outcome]:
    """Do as `commit`, but wait for no locked room at all."""
    return _save(drafts, skip_locked=True)


def _save(drafts: Sequence[Draft], *, skip_locked: bool) -> list[Outcome]:
    try:
        return _commit(drafts, skip_locked=skip_locked)
    except Exception as error:
        failure = error
    if faults.blame(failure) is Blame.DATABASE:
        # It is away, or was when it should have said that it has committed.
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
            # Not tried: what one sends in a room keeps its order.
            outcomes.append(NotSaved())
            continue
        [outcome] = _save([draft], skip_locked=skip_locked)
        outcomes.append(outcome)
        if isinstance(outcome, NotSaved):
            failed.add(sender)
            until = min(until, time.monotonic() + ALONE_SECONDS)
    return outcomes


def _fail(draft: Draft, error: Exception, *, skip_locked: bool) -> Outcome:
    """Return the outcome of a draft that was tried alone."""
    match faults.blame(error):
        case Blame.DATA:
            if isinstance(error, IntegrityError):
                with suppress(IntegrityError):
                    # Another process was faster with the same client_id, in another room: now it is there to be found.
                    return _commit([draft], skip_locked=skip_locked)[0]
            logger.warning(
                "room=%s author=%s: the database refuses a draft: %s", draft.room, draft.author, faults.reason(error)
            )
            return ClientError(ErrorCode.MESSAGE_INVALID, detail="The database cannot take this message.")
        case Blame.STATEMENT:
            return NotSaved(error=error)
    faults.log_once(logger, f"room={draft.room} author={draft.author}: a draft could not be saved", error)
    return unavailable(TRY_AGAIN)


def _commit(drafts: Sequence[Draft], *, skip_locked: bool) -> list[Outcome]:
    with log.append((draft.room for draft in drafts), skip_locked=skip_locked) as batch:
        # Each a statement of its own, after the locks: it sees what their last holder committed.
        known = log.find([draft.key for draft in drafts if draft.key])
        standings = policies.load_standings({draft.login for draft in drafts if draft.login is not None})
        users = policies.load_users(draft.author for draft in drafts if draft.author and draft.login is None)
        decided: list[Event | Outcome] = []
        for draft in drafts:
            if draft.key in known:
                decided.append(known[draft.key])
                continue
            try:
                event = _decide(batch, draft, _author(draft, standings, users))
            except ClientError as refusal:
                decided.append(refusal)
            else:
                decided.append(event)
                if draft.key:
                    known[draft.key] = Committed(event.room_id, event.seq)
    return [
        Committed(one.room_id, one.seq, one.room.epoch, log.logged(one)) if isinstance(one, Event) else one
        for one in decided
    ]


def _author(draft: Draft, standings: dict[Login, Standing], users: dict[int, Any]) -> Any:
    """Return who writes, as the database knows them in this transaction; None when they may not any more."""
    if draft.login is None:
        return users.get(draft.author or 0)
    return standings[draft.login].user if draft.login in standings else None


def _decide(batch: Batch, draft: Draft, user: Any) -> Event:
    if draft.room in batch.busy:
        raise NotSaved(is_locked=True)
    room = batch.rooms.get(draft.room)
    if draft.trusted:
        if room is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail="There is no such room.")
        if draft.author is not None and user is None:
            raise ClientError(ErrorCode.MESSAGE_INVALID, detail="The author of this message was deleted.")
        return batch.post(room, body=draft.body, msg_type=draft.msg_type, **_signature(draft, draft.username))
    room = policies.check_writable(user, room, msg_type=draft.msg_type)
    signature = _signature(draft, user.get_username())
    if draft.kind == Kind.POSTED:
        return batch.post(room, body=draft.body, msg_type=draft.msg_type, **signature)
    assert draft.target_seq is not None, "an edit or delete points at a message"
    target = batch.target(room.pk, draft.target_seq)
    if target is None or target.deleted_at is not None or target.seq < room.floor_seq:
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail="There is no such message any more.")
    if draft.kind == Kind.EDITED:
        if not policies.can_edit(user, author_id=target.author_id):
            raise ClientError(ErrorCode.NOT_AUTHOR, detail="Only its author may edit a message.")
        return batch.edit(room, target, draft.body, **signature)
    if not policies.can_delete(user, author_id=target.author_id):
        raise ClientError(ErrorCode.NOT_AUTHOR, detail="Only its author or staff may delete a message.")
    return batch.delete(room, target, **signature)


def _signature(draft: Draft, username: str) -> dict[str, Any]:
    return {
        "author_id": draft.author,
        "username": username,
        "client_id": draft.client_id or draft.own_id,
        "client_id_given": draft.client_id is not None,
    }
