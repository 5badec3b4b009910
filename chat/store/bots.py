"""Bots: programs that post in one room and read it, by a token or by the secret address of a hook.

Secrets are shown once, when they are made, and the database has only their hashes. The signing secret of a hook is
stored encrypted, because signatures cannot be checked with a hash. The users who may change a room make its bots.
"""

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from chat import audit, sealing
from chat.exceptions import ClientError, ErrorCode, Sentence
from chat.models import Bot, Room
from chat.names import name_key
from chat.store import actions, log, names, policies, room_actions
from chat.store.actions import Draft
from chat.store.events import LoggedEvent
from chat.store.log import Kind
from chat.store.policies import BotKey

User = get_user_model()

Secret = Literal["token", "hook", "signature"]
SECRET_BYTES = 32
# The purpose for which signing secrets are sealed.
SIGNING = "chat.bots.signing"
# The most characters of a secret that are hashed.
SECRET_LENGTH = 100
MAX_BOTS = 50
# The namespace of the UUIDs that are made of a sender's keys.
KEYS = uuid.UUID("5b0c1ce6-1ab4-4b0e-9f3f-2a4c5a6f1d77")


class Made(NamedTuple):
    """A bot with its new secrets, which can be shown now and never again."""

    bot: Bot
    token: str = ""
    hook: str = ""
    signature: str = ""


class Post(NamedTuple):
    """What a bot has to say: a message, or that the alert with the same key is over."""

    text: str
    msg_type: int
    # The sender's own name for it: the same key posts once.
    key: str = ""
    is_resolved: bool = False


class Page(NamedTuple):
    """Events of a room as sockets get them; `is_reset` says that the cursor could not be served."""

    room: Room
    events: list[LoggedEvent]
    is_reset: bool


def create_bot(room_id: int, name: str, *, by: int) -> Made:
    """Make a bot for a room, with a token and the address of a hook. The same name in another room is the same user.

    Raises ClientError: as check_can_manage, COMMAND_INVALID when the name cannot be used.
    """
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        if Bot.objects.filter(room=room, revoked_at=None).count() >= MAX_BOTS:
            sentence = ngettext_lazy(
                "A room can have at most {most} bot. Revoke it first.",
                "A room can have at most {most} bots. Revoke one first.",
                MAX_BOTS,
            )
            raise _invalid(format_lazy(sentence, most=MAX_BOTS))
        author = _user_of_bot(name.strip())
        bot = Bot.objects.filter(room=room, user=author).first() or Bot(room=room, user=author)
        if bot.pk is not None and bot.revoked_at is None:
            raise _invalid(_("This room has a bot with this name already. Make a new token for it."))
        token, hook = secrets.token_urlsafe(SECRET_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        bot.token_hash, bot.hook_hash, bot.signing_secret = _hash(token), _hash(hook), ""
        bot.at, bot.revoked_at = timezone.now(), None
        bot.save()
    audit.write("bot_made", user=by, room=room_id, bot=bot.pk)
    return Made(bot, token=token, hook=hook)


def rotate(room_id: int, bot_id: int, secret: Secret, *, by: int) -> Made:
    """Replace a secret of a bot. The earlier one is refused from now on. Raises ClientError: as create_bot."""
    new = secrets.token_urlsafe(SECRET_BYTES)
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        bot = _find(room, bot_id)
        match secret:
            case "token":
                bot.token_hash = _hash(new)
            case "hook":
                bot.hook_hash = _hash(new)
            case "signature":
                bot.signing_secret = sealing.seal(new, SIGNING)
        bot.save(update_fields=["token_hash", "hook_hash", "signing_secret"])
    audit.write("bot_rotated", user=by, room=room_id, bot=bot_id, secret=secret)
    return Made(bot, **{secret: new})


def revoke(room_id: int, bot_id: int, *, by: int) -> None:
    """End all secrets of a bot at once. What it has posted stays. Raises ClientError: as create_bot."""
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        bot = _find(room, bot_id)
        bot.token_hash = bot.hook_hash = None
        bot.signing_secret = ""
        bot.revoked_at = timezone.now()
        bot.save(update_fields=["token_hash", "hook_hash", "signing_secret", "revoked_at"])
    audit.write("bot_revoked", user=by, room=room_id, bot=bot_id)


def list_bots(room_id: int, *, by: int) -> list[Bot]:
    """Return the bots of a room by name. Raises ClientError: as check_can_manage."""
    with room_actions.locked(room_id, by) as (room, user, member):
        policies.check_can_manage(user, room, is_owner=member is not None and member.is_owner)
        bots = Bot.objects.filter(room=room, revoked_at=None).select_related("user")
        return sorted((bot for bot in bots if bot.user is not None), key=lambda bot: bot.user.get_username())


def find_by_token(token: str) -> BotKey | None:
    """Return the bot that has this token."""
    return _find_by("token_hash", token)


def find_by_hook(secret: str) -> tuple[BotKey, int, str] | None:
    """Return the bot whose hook's address has this secret, its room, and the secret that signs its requests."""
    if (key := _find_by("hook_hash", secret)) is None:
        return None
    bot = policies.load_bots([key]).get(key)
    return None if bot is None else (key, bot.room_id, bot.signing_secret)


def is_signed(body: bytes, signature: str, signing_secret: str) -> bool:
    """Return whether a signature (`sha256=…`) was made of this body with the secret that is stored encrypted."""
    try:
        key = sealing.unseal(signing_secret, SIGNING)
    except sealing.SealError:
        return False
    expected = "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return constant_time_compare(expected, signature)


def check_room(key: BotKey, room_id: int) -> Room:
    """Return the room if the bot is for it. Raises ClientError: USER_HAS_TO_LOGIN, ROOM_INVALID."""
    room = Room.objects.filter(pk=room_id).first()
    return policies.check_bot_enterable(policies.load_bots([key]).get(key), room)


def post(key: BotKey, room_id: int, posts: Sequence[Post]) -> list[int]:
    """Post in the bot's room in one transaction, and return the number of each message.

    A key that was used before posts nothing and returns the first number. Raises ClientError for the first refusal.
    """
    bot = policies.load_bots([key]).get(key)
    policies.check_bot_writable(bot, Room.objects.filter(pk=room_id).first())
    assert bot is not None, "the policy refuses a bot that is not valid"
    drafts = [_draft(key, bot, room_id, item) for item in posts]
    seqs = []
    for outcome in actions.commit(drafts):
        if isinstance(outcome, ClientError):
            raise outcome
        seqs.append(outcome.seq)
    return seqs


def read(key: BotKey, room_id: int, *, after: int, epoch: str, limit: int) -> Page:
    """Return the events after a cursor. A cursor that cannot be served starts at the first event that is kept.

    Raises ClientError: as check_room.
    """
    room = check_room(key, room_id)
    is_served = room.floor_seq - 1 <= after <= room.head_seq and epoch in ("", room.epoch)
    start = after if is_served else room.floor_seq - 1
    return Page(room, log.read(room.pk, after=start, limit=limit), not is_served)


def _draft(key: BotKey, bot: Bot, room_id: int, item: Post) -> Draft:
    fields: dict[str, Any] = {"room": room_id, "author": bot.user_id, "bot": key}
    own_id = _own_id(room_id, item.key) if item.key else uuid.uuid4()
    if not item.is_resolved:
        text, msg_type = actions.check_text(item.text), actions.check_type(item.msg_type)
        return Draft(**fields, body=text, msg_type=msg_type, own_id=own_id)
    fields["own_id"] = _own_id(room_id, f"{item.key}\nresolved")
    posted = log.find_committed([(bot.user_id, own_id)]).get((bot.user_id, own_id))
    target = log.find_message(room_id, posted.seq) if posted is not None else None
    if target is not None and target.deleted_at is None and actions.is_alert(target):
        return Draft(**fields, kind=Kind.RESOLVED, target_seq=target.seq)
    # There is no alert to end, so the room is told in words.
    return Draft(**fields, body=actions.check_text(item.text), reply_to=target.seq if target is not None else None)


def _own_id(room_id: int, key: str) -> uuid.UUID:
    """Return the idempotency key of a sender's key. It is unique with the author, so with the bot."""
    return uuid.uuid5(KEYS, f"{room_id}\n{key}")


def _find(room: Room, bot_id: int) -> Bot:
    bot = Bot.objects.filter(room=room, pk=bot_id, revoked_at=None).first()
    if bot is None:
        raise _invalid(_("This bot does not exist. It may have been revoked."))
    return bot


def _find_by(field: str, secret: str) -> BotKey | None:
    digest = _hash(secret[:SECRET_LENGTH])
    found = Bot.objects.filter(**{field: digest}, revoked_at=None).values_list("pk", flat=True).first()
    return None if found is None else BotKey(found, digest)


def _user_of_bot(name: str) -> Any:
    """Return the user as whom a bot of this name writes: made if there is none. No other user's name is taken."""
    known = [row.user for row in Bot.objects.filter(user__in=_users_named(name)).select_related("user")]
    for user in known:
        if user is not None and not user.is_active and not user.has_usable_password():
            return user
    if not name:
        raise _invalid(_("A bot needs a name."))
    user = User(**{User.USERNAME_FIELD: name}, is_active=False)
    user.set_unusable_password()
    try:
        user.clean_fields(exclude={field.name for field in User._meta.fields} - {User.USERNAME_FIELD})
        with transaction.atomic():
            user.save()
    except ValidationError as error:
        raise _invalid(" ".join(error.messages)) from None
    except IntegrityError:
        raise _invalid(names.TAKEN) from None
    return user


def _users_named(name: str) -> list[int]:
    key = name_key(name)
    return list(names.of_key(key).values_list("user_id", flat=True)) if key else []


def _hash(secret: str) -> str:
    # Keyed, so that a copy of the database does not even allow a secret to be checked.
    return salted_hmac("chat.bots", secret, algorithm="sha256").hexdigest()


def _invalid(detail: Sentence) -> ClientError:
    return ClientError(ErrorCode.COMMAND_INVALID, detail=detail)
