"""Carries out commands, each in a short function of its own."""

import asyncio
import logging
from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, TypeAlias

from django.utils.translation import gettext_lazy as _
from msgspec import UNSET, structs

from chat import limits, protocol
from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, unavailable
from chat.live import attendance, database, writer
from chat.live.audiences import Slice
from chat.live.feed import Feed, RoomView
from chat.live.revocation import Question
from chat.live.session import Session, Subscription
from chat.protocol import (
    Acknowledged,
    AnyCommand,
    Confirm,
    Copies,
    Cursor,
    Delete,
    Edit,
    History,
    Join,
    Layout,
    Leave,
    Left,
    Level,
    Mentions,
    Notifies,
    Notify,
    People,
    Ping,
    Pong,
    Quote,
    React,
    Read,
    ReadOlder,
    Resolve,
    Resume,
    RoomId,
    Send,
    Typing,
    Users,
    Watch,
)
from chat.store import actions, concerns, log, names, notifications, own_mentions, policies, quotes, unread
from chat.store.actions import Draft, Outcome
from chat.store.layouts import Panes, shapes_of
from chat.store.log import HistoryPlace, Kind
from chat.store.policies import EnterableRoom, Login

logger = logging.getLogger(__name__)
# Which process served which user: one line for each join and each saved command, without messages (LOG_SERVED).
served = logging.getLogger("chat.served")

# Refusals of a write that mean that the user's rights have ended.
RIGHTS_ENDED = (ErrorCode.USER_HAS_TO_LOGIN, ErrorCode.ROOM_ACCESS_DENIED, ErrorCode.ROOM_INVALID)

# How often a resume asks for all rooms whose answers are outdated, before it asks for each of them alone.
RESUME_ROUNDS = 3


async def run(session: Session, command: AnyCommand) -> None:
    """Carry out a command. Raises ClientError when it is refused."""
    if getattr(command, "client_id", None) is not None:
        session.is_original, session.gives_client_ids = False, True
    match command:
        case Join():
            await join(session, command)
        case Leave():
            leave(session, command)
        case Send():
            await send(session, command)
        case Edit():
            await edit(session, command)
        case Delete():
            await delete(session, command)
        case React():
            await react(session, command)
        case Confirm():
            await confirm(session, command)
        case Resolve():
            await resolve(session, command)
        case Resume():
            await resume(session, command)
        case History():
            await history(session, command)
        case Watch():
            session.is_original = False
            session.hub.watchers.add(session)
        case Read():
            read(session, command)
        case ReadOlder():
            await read_older(session, command)
        case Level():
            level(session, command)
        case Notify():
            await notify(session, command)
        case Layout():
            layout(session, command)
        case Mentions():
            await mentions(session, command)
        case Quote():
            await quote(session, command)
        case Copies():
            await find_copies(session, command)
        case People():
            await people(session, command)
        case Typing():
            typing(session, command)
        case Users():
            await users(session, command)
        case Ping():
            session.reply(protocol.encode(Pong(version=conf.PAGE_VERSION or UNSET)))


async def join(session: Session, command: Join) -> None:
    """Listen to a room, from its head or from a cursor on.

    Joining again is answered, and without a cursor changes nothing.
    """
    if command.since is not None or command.epoch is not None:
        session.is_original = False
    elif session.is_original is None:
        session.is_original = True
    cursor = Cursor(command.since, command.epoch) if command.since is not None else None
    await _attach(session, command.room, cursor)


async def resume(session: Session, command: Resume) -> None:
    """Join rooms from cursors, all in one frame; answered per room."""
    session.is_original = False
    # All keys are checked before any room is joined.
    cursors = {protocol.room_id(key): cursor for key, cursor in command.rooms.items()}
    limits.check_rooms(len(cursors) - 1)
    async with asyncio.TaskGroup() as alone:
        for _round in range(RESUME_ROUNDS):
            cursors, waiting = await _resume_open(session, cursors)
            for room_id, cursor in waiting.items():
                alone.create_task(_resume_one(session, room_id, cursor))
            if not cursors:
                return
        # Rights keep changing, so a question for many rooms takes too long.
        for room_id, cursor in cursors.items():
            alone.create_task(_resume_one(session, room_id, cursor))


Cursors: TypeAlias = dict[RoomId, Cursor]


async def _resume_open(session: Session, cursors: Cursors) -> tuple[Cursors, Cursors]:
    """Join the rooms whose feeds are open, after one question for all.

    After a cut, thousands of sockets come back to rooms whose feeds the first of them have opened. Returns the rooms
    whose answers are outdated, and those for which more has to be waited for.
    """
    with session.hub.revocation.question() as question:
        answers = await session.hub.rooms.get_all([(session.login, room_id) for room_id in cursors])
        return await session.hub.returning.run(_join_open(session, cursors, answers, question))


def _join_open(
    session: Session,
    cursors: Cursors,
    answers: Mapping[tuple[Login, int], EnterableRoom | Exception | None],
    question: Question,
) -> Generator[None, None, tuple[Cursors, Cursors]]:
    outdated: Cursors = {}
    left: Cursors = {}
    for room_id, cursor in cursors.items():
        yield
        if session.is_closed:
            return {}, {}
        # None also when the session has a new login since the question.
        room = answers.get((session.login, room_id))
        feed = session.hub.feeds.get(room_id)
        if isinstance(room, database.AWAY):
            _fail_resume(session, room_id, room)
        elif question.is_outdated(user=session.user_id, room=room_id):
            outdated[room_id] = cursor
        elif isinstance(room, ClientError):
            _refuse_resume(session, room_id, room)
        elif isinstance(room, Exception) or room is None or feed is None or not feed.has_reached(room.head_seq):
            left[room_id] = cursor
        else:
            feed.describe(title=room.title, staff_only=room.staff_only, view=_view_of(room))
            try:
                _attach_to(session, feed, cursor)
            except ClientError as refusal:
                _refuse_resume(session, room_id, refusal)
            except Exception as error:
                _fail_resume(session, room_id, error)
    return outdated, left


def _refuse_resume(session: Session, room_id: int, refusal: ClientError) -> None:
    if refusal.code in (ErrorCode.SERVER_UNAVAILABLE, ErrorCode.RATE_LIMITED):
        session.reply(session.refusal(refusal, command="resume", room=room_id))
        return
    session.hub.leave(session, room_id)
    session.reply(protocol.encode(Left(leave=str(room_id), reason=refusal.code.value)))


def _fail_resume(session: Session, room_id: int, error: Exception) -> None:
    # Each room is answered separately, so the others go on.
    database.warn(logger, f"user={session.user_id} room={room_id} command=resume", error)
    session.reply(session.refusal(unavailable(), command="resume", room=room_id))


async def _resume_one(session: Session, room_id: int, cursor: Cursor) -> None:
    try:
        await _attach(session, room_id, cursor)
    except ClientError as refusal:
        _refuse_resume(session, room_id, refusal)
    except Exception as error:
        _fail_resume(session, room_id, error)


async def _attach(session: Session, room_id: int, cursor: Cursor | None) -> None:
    while not session.is_gone:
        # A check of rights that begins between the question and the attaching finds no subscription to end. So the
        # question is asked again if there was one.
        with session.hub.revocation.question() as question:
            room = await session.hub.rooms.get((session.login, room_id))
            if isinstance(room, ClientError):
                raise room
            assert room is not None, "each question has an answer"
            if await _listen(session, room, cursor, question):
                return


async def _listen(session: Session, room: EnterableRoom, cursor: Cursor | None, question: Question) -> bool:
    """Attach the session; return False when its rights were checked again since the question."""
    opening = session.hub.feed(
        room.pk, title=room.title, staff_only=room.staff_only, head=room.head_seq, view=_view_of(room)
    )
    async with opening as feed:
        if session.is_gone or question.is_outdated(user=session.user_id, room=room.pk):
            return False
        _attach_to(session, feed, cursor)
    return True


def _attach_to(session: Session, feed: Feed, cursor: Cursor | None) -> None:
    """Attach a session to an open feed. Nothing is awaited, so the head in the reply is right when it is attached.

    Raises ClientError: RATE_LIMITED.
    """
    is_new = feed.room not in session.subscriptions
    if is_new:
        limits.check_rooms(len(session.subscriptions))
    is_served = cursor is None or feed.serves(cursor.since, cursor.epoch)
    read = session.hub.watchers.position(session.user_id, feed.room)
    reply = feed.joined(reader=session.user_id, reset=not is_served, read=read)
    if cursor is not None:
        feed.attach(session, cursor=cursor.since if is_served else feed.head, reply=reply)
    elif is_new:
        feed.attach(session, cursor=feed.head, reply=reply)
    else:
        session.reply(reply)
    if is_new:
        session.hub.attendance.join(feed, session)
        served.info("join room=%s user=%s", feed.room, session.user_id)


def _view_of(room: EnterableRoom) -> RoomView:
    return RoomView(room.topic, room.kind, room.archived_at is not None, room.people)


def leave(session: Session, command: Leave) -> None:
    """Leave a room. This always succeeds; leaving a room that is not joined announces nothing."""
    if session.hub.leave(session, command.room) and conf.NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS:
        # As in the original, the user gets their own LEAVE before the pane closes.
        session.reply(attendance.came(command.room, session.username, conf.MSG_TYPE_LEAVE))
    session.reply(protocol.encode(Left(leave=str(command.room))))


async def send(session: Session, command: Send) -> None:
    """Post a message; acknowledged when it is saved."""
    _check_joined_or_copy(session, command)
    # Counted before the text is checked, because a refused message counts too.
    limits.check_message(session.user_id)
    is_blank = actions.is_blank(command.message)
    if not session.gives_client_ids and is_blank and not command.files:
        # The original server ignored an empty message, and the original client shows each error in a modal dialog.
        return
    draft = Draft(
        room=command.room,
        author=session.user_id,
        login=session.login,
        # A message of files alone gets their names as its text.
        body="" if is_blank and command.files else actions.check_text(command.message),
        msg_type=actions.check_type(command.msg_type),
        reply_to=command.reply_to,
        across=command.across,
        source=(command.source.room, command.source.seq) if command.source else None,
        files=tuple(dict.fromkeys(command.files)),
        epoch=command.epoch,
        client_id=command.client_id,
    )
    await _submit(session, draft, "send")


async def edit(session: Session, command: Edit) -> None:
    """Change the text of a message; acknowledged when it is saved."""
    _check_joined_or_copy(session, command)
    limits.check_message(session.user_id)
    body = actions.check_text(command.message)
    await _submit_change(session, command, Kind.EDITED, "edit", body=body, across=command.across)


async def delete(session: Session, command: Delete) -> None:
    """Delete a message; acknowledged when its text has left the database."""
    _check_joined_or_copy(session, command)
    limits.check_message(session.user_id)
    await _submit_change(session, command, Kind.DELETED, "delete", is_undo=command.undo, across=command.across)


async def react(session: Session, command: React) -> None:
    """Give a message an emoji, or take it back; acknowledged when it is saved, or when nothing changes."""
    _check_joined(session, command.room)
    limits.check_message(session.user_id)
    body = actions.check_emoji(command.emoji)
    await _submit_change(session, command, Kind.REACTED, "react", body=body, is_on=command.on)


# An alert's room need not be joined, because alerts show for all rooms that the user watches. `_submit` checks rights.


async def confirm(session: Session, command: Confirm) -> None:
    """Confirm an alert, in any room that the user may enter; acknowledged when it is saved, or was before."""
    limits.check_message(session.user_id)
    await _submit_change(session, command, Kind.CONFIRMED, "confirm")


async def resolve(session: Session, command: Resolve) -> None:
    """Say that an alert is over, in any room that the user may enter; acknowledged when it is saved."""
    limits.check_message(session.user_id)
    await _submit_change(session, command, Kind.RESOLVED, "resolve")


async def _submit_change(
    session: Session, command: Edit | Delete | React | Confirm | Resolve, kind: Kind, name: str, **fields: Any
) -> None:
    """Submit a change of the message that a command names. The caller has asked the limits, before any other work."""
    draft = Draft(
        room=command.room,
        author=session.user_id,
        login=session.login,
        kind=kind,
        target_seq=command.seq,
        epoch=command.epoch,
        client_id=command.client_id,
        **fields,
    )
    await _submit(session, draft, name)


async def history(session: Session, command: History) -> None:
    """Send a page of messages: older ones, or the newest."""
    session.is_original = False
    _check_joined(session, command.room)
    limit = min(conf.HISTORY_PAGE if command.limit is None else command.limit, conf.HISTORY_PAGE_MAX)
    if limit < 1:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=_("Ask for at least one message."))
    place = HistoryPlace(command.before, command.after, command.around, command.since_time)
    given = [seq for seq in (place.before, place.after, place.around) if seq is not None]
    if len(given) + (place.since_time is not None) > 1:
        raise ClientError(
            ErrorCode.COMMAND_INVALID, detail=_("Give only one of `before`, `after`, `around` and `from`.")
        )
    if place.since_time is not None and place.since_time.tzinfo is None:
        detail = _("Give the time zone in `from`, as in 2026-11-21T00:00:00Z.")
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
    # One at a time, so that one user's pages never take all the threads that other users' joins need.
    async with database.only_one(("history", session.user_id)):
        page = await database.read(_read_history, session.login, command.room, place, limit)
    # Check again: the right may have ended, or the room been left, while the log was read.
    _check_joined(session, command.room)
    session.reply(page)


def _read_history(login: Login, room_id: int, place: HistoryPlace, limit: int) -> protocol.Frame:
    room = policies.load_enterable_room(login, room_id)
    page = log.history(room, place, limit=limit, max_bytes=conf.HISTORY_PAGE_BYTES, reader=login.user_id)
    return protocol.encode(page)


async def people(session: Session, command: People) -> None:
    """Send some names of users who may enter the room, which begin like what was typed."""
    session.is_original = False
    _check_joined(session, command.room)
    # One at a time, so that one user's typing never takes all the threads that other users' joins need.
    async with database.only_one(("people", session.user_id)):
        found = await database.read(names.people_named, session.login, command.room, command.prefix)
        await session.hub.display_names.answer(session, found.names, only_named=True)
    # Check again: the right may have ended, or the room been left, while the names were read.
    _check_joined(session, command.room)
    session.reply(protocol.encode(found))


async def users(session: Session, command: Users) -> None:
    """Send by which names these users are shown, and from now on the changes."""
    session.is_original = False
    # One at a time, so that one user's questions never take all the threads that other users' joins need.
    async with database.only_one(("users", session.user_id)):
        await session.hub.display_names.answer(session, command.names)


def read(session: Session, command: Read) -> None:
    """Move the user's read position. Their sockets that watch are notified; it is written soon, behind messages."""
    session.hub.move_position(session, command.room, command.seq, back=command.back, epoch=command.epoch)


async def read_older(session: Session, command: ReadOlder) -> None:
    """Move the user's read positions in all rooms that they may enter now, each as by `read`."""
    session.is_original = False
    if command.before.tzinfo is None:
        detail = _("Give the time zone in `before`, as in 2026-11-21T00:00:00Z.")
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
    async with database.only_one(("read_older", session.user_id)):
        last = await database.read_aside(unread.last_before, session.login, command.before)
        share = Slice()
        for room, seq in last.items():
            session.hub.move_position(session, room, seq, back=False)
            if await share.pause_if_used() and session.standing is None:
                return


def level(session: Session, command: Level) -> None:
    """Keep what the user wants to hear of a room. Their sockets that watch are notified; it is written soon."""
    session.hub.set_level(session, command.room, protocol.LEVELS.index(command.level))


async def notify(session: Session, command: Notify) -> None:
    """Send the message that a notification may show: only the first of the user's sockets that asks gets it."""
    session.is_original = False
    async with database.only_one(("notify", session.user_id)):
        event = await database.write_behind(notifications.take, session.login, command.room, command.after, command.seq)
    session.reply(protocol.encode(Notifies(notify=str(command.room), seq=command.seq, event=event)))


def layout(session: Session, command: Layout) -> None:
    """Keep the user's layout: as a whole, or what changed. It is written soon, behind messages."""
    if command.rooms is None:
        session.hub.positions.change_layout(session, _limited(command))
        return
    rooms = list(dict.fromkeys(command.rooms))[: conf.LAYOUT_PANES]
    panes = Panes(rooms, command.wide, shapes_of(command.shapes)).limited_to(frozenset(rooms))
    session.hub.positions.set_layout(session, panes)


def _limited(change: Layout) -> Layout:
    """Return a change of no more panes than a page can have, because many changes may wait to be written."""
    most = conf.LAYOUT_PANES
    if max(len(change.put), len(change.shapes), len(change.close)) <= most:
        return change
    close = protocol.RoomIds(change.close[:most])
    return structs.replace(change, put=change.put[:most], shapes=change.shapes[:most], close=close)


async def mentions(session: Session, command: Mentions) -> None:
    """Send a page of the messages that mention the user, in the rooms that they may enter now."""
    session.is_original = False
    limit = min(conf.HISTORY_PAGE if command.limit is None else command.limit, conf.HISTORY_PAGE_MAX)
    if limit < 1:
        raise ClientError(ErrorCode.COMMAND_INVALID, detail=_("Ask for at least one message."))
    async with database.only_one(("history", session.user_id)):
        page = await database.read(_read_mentions, session.login, command.before, limit)
    session.reply(page)


def _read_mentions(login: Login, before: int | None, limit: int) -> protocol.Frame:
    page = own_mentions.read(login, before=before, limit=limit, max_bytes=conf.HISTORY_PAGE_BYTES)
    return protocol.encode(page)


async def quote(session: Session, command: Quote) -> None:
    """Send single messages of any room that the user may enter now."""
    session.is_original = False
    async with database.only_one(("history", session.user_id)):
        found = await database.read(_read_quotes, session.login, command)
    session.reply(found)


def _read_quotes(login: Login, command: Quote) -> protocol.Frame:
    return protocol.encode(quotes.read(login, command.room, command.seqs, max_bytes=conf.HISTORY_PAGE_BYTES))


async def find_copies(session: Session, command: Copies) -> None:
    """Send where else a message was sent, as far as the user may enter these rooms now."""
    session.is_original = False
    async with database.only_one(("history", session.user_id)):
        found = await database.read(quotes.find_copies, session.login, command.across)
    session.reply(protocol.encode(found))


def typing(session: Session, command: Typing) -> None:
    """Show the other users in the room that this one is writing, at most once in three seconds."""
    subscription = _check_joined(session, command.room)
    now = asyncio.get_running_loop().time()
    if conf.SHOW_WHO_IS_TYPING and now - subscription.typed_at >= conf.TYPING_SECONDS:
        subscription.typed_at = now
        session.hub.show_typing(session, command.room)


def _check_joined_or_copy(session: Session, command: Send | Edit | Delete) -> None:
    # The room of a copy need not be joined, because one message may go into more rooms than a page shows. The write
    # checks the right.
    if command.across is None:
        _check_joined(session, command.room)


def _check_joined(session: Session, room: int) -> Subscription:
    subscription = session.subscriptions.get(room)
    if subscription is None:
        raise ClientError(ErrorCode.ROOM_ACCESS_DENIED, detail=_("Join the room first."))
    return subscription


async def _submit(session: Session, draft: Draft, command: str) -> None:
    if draft.room not in session.subscriptions:
        # The write asks under the room's lock. It is asked before too. Otherwise users could hold the locks of rooms
        # that they may not enter, and learn from the time that they wait for one that there is such a room.
        room = await session.hub.rooms.get((session.login, draft.room))
        if isinstance(room, ClientError):
            raise room
        # As for commands that come after the `bye`: the sender keeps it and sends it elsewhere.
        if session.is_gone or session.hub.is_draining:
            return
    writer.running().submit(draft, partial(_answer, session, draft, command))
    session.add_draft()


def _answer(session: Session, draft: Draft, command: str, outcome: Outcome) -> None:
    """Send the author the outcome of a draft."""
    if isinstance(outcome, ClientError):
        if outcome.code in RIGHTS_ENDED:
            # The write noticed it before any bell. The user's other panes are checked now.
            session.hub.revocation.check_soon(concerns.about(users=[session.user_id], rooms=[draft.room]))
        session.answer_draft(session.refusal(outcome, command=command, room=draft.room, client_id=draft.client_id))
        return
    if draft.client_id is None:
        session.answer_draft(None)
    else:
        ack = Acknowledged(ack=draft.client_id, room=str(outcome.room), seq=outcome.seq)
        session.answer_draft(protocol.encode(ack))
    served.info("%s room=%s seq=%s user=%s", command, outcome.room, outcome.seq, session.user_id)
