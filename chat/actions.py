"""What people do, as plain functions: policy, validation, log."""

import logging
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import regex
from django.db import IntegrityError, InterfaceError, OperationalError

from chat import conf, log, policies
from chat.exceptions import ClientError, ErrorCode
from chat.log import Batch, Committed, Kind
from chat.models import Event, Room
from chat.policies import Login, Standing

logger = logging.getLogger(__name__)

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
    if _BLANK.fullmatch(text):
        raise ClientError(ErrorCode.MESSAGE_EMPTY, detail="There is nothing in this message.")
    limit = conf.MESSAGE_MAX_GRAPHEMES
    if len(text) > limit and sum(1 for _ in regex.finditer(r"\X", text)) > limit:
        raise ClientError(ErrorCode.MESSAGE_TOO_LONG, detail=f"A message has at most {limit} characters.")
    return text


def check_type(msg_type: int) -> int:
    """Return a message's type if a message may have it. Raises ClientError: MESSAGE_INVALID."""
    if msg_type not in conf.MESSAGE_TYPES_LIST or msg_type in (conf.MSG_TYPE_ENTER, conf.MSG_TYPE_LEAVE):
        raise ClientError(ErrorCode.MESSAGE_INVALID, detail=f"There is no message type {msg_type}.")
    return msg_type


def post_message(room: Room, author: Any, text: str, *, msg_type: int = conf.MSG_TYPE_MESSAGE) -> int:
    """Post a message from Python and return its seq; no policy is asked. `author` may be None: the system.

    Raises ClientError: MESSAGE_EMPTY, MESSAGE_TOO_LONG, MESSAGE_INVALID, ROOM_INVALID when the room was deleted.
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

    A draft that the database cannot take fails alone: its batch is tried again one by one. Safe to run
    again after a lost connection: the client_ids keep it from appending twice.
    """
    try:
        return _commit(drafts)
    except (OperationalError, InterfaceError):
        # The database is away, or was when it should have said that it has committed.
        raise
    except Exception as error:
        if len(drafts) > 1:
            return [outcome for draft in drafts for outcome in commit([draft])]
        if isinstance(error, IntegrityError):
            with suppress(IntegrityError):
                # Another process was faster with the same client_id, in another room: now it is there to be found.
                return _commit(drafts)
        # A text this database refuses, or a fault of ours: its neighbours are not hurt.
        logger.exception("room=%s author=%s: a draft cannot be saved", drafts[0].room, drafts[0].author)
        return [ClientError(ErrorCode.MESSAGE_INVALID, detail="The database cannot take this message.")]


def _commit(drafts: Sequence[Draft]) -> list[Outcome]:
    with log.append(draft.room for draft in drafts) as batch:
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
    room = batch.rooms.get(draft.room)
    if draft.trusted:
        if room is None:
            raise ClientError(ErrorCode.ROOM_INVALID, detail="There is no such room.")
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
