"""What a site may override in its Django settings, with defaults."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver


@dataclass(slots=True)
class Conf:
    """The settings. Some are read for each frame of each socket, so reading one is a plain attribute access."""

    MSG_TYPE_MESSAGE: ClassVar[int] = 0
    MSG_TYPE_WARNING: ClassVar[int] = 1
    MSG_TYPE_ALERT: ClassVar[int] = 2
    MSG_TYPE_MUTED: ClassVar[int] = 3
    MSG_TYPE_ENTER: ClassVar[int] = 4
    MSG_TYPE_LEAVE: ClassVar[int] = 5

    # Names and numbers are those of the original client's settings.
    NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS: bool = True
    MESSAGE_TYPES_CHOICES: tuple[tuple[int, str], ...] = (
        (MSG_TYPE_MESSAGE, "MESSAGE"),
        (MSG_TYPE_WARNING, "WARNING"),
        (MSG_TYPE_ALERT, "ALERT"),
        (MSG_TYPE_MUTED, "MUTED"),
        (MSG_TYPE_ENTER, "ENTER"),
        (MSG_TYPE_LEAVE, "LEAVE"),
    )
    # The numbers of the choices, unless the site sets it.
    MESSAGE_TYPES_LIST: list[int] = field(default_factory=list)

    # The size of a message as people count it (graphemes) and as it travels (bytes of UTF-8).
    MESSAGE_MAX_GRAPHEMES: int = 4000
    MESSAGE_MAX_BYTES: int = 32 * 1024
    # A larger text frame is refused unparsed. Above FRAME_CLOSE_BYTES the server closes the connection with 1009.
    FRAME_MAX_BYTES: int = 64 * 1024
    FRAME_CLOSE_BYTES: int = 1024 * 1024
    # What one socket, user or address may ask for, by name; 0 or absent means unlimited (chat/limits.py).
    LIMITS: dict[str, float] = field(default_factory=dict)
    HISTORY_PAGE: int = 50
    HISTORY_PAGE_MAX: int = 100
    HISTORY_PAGE_BYTES: int = 256 * 1024
    LAYOUT_PANES: int = 64
    # Whether users who are not staff may make rooms, for everybody and for members.
    ROOMS_BY_EVERYBODY: bool = False
    # Whether a message's earlier texts stay in the database after an edit. They are never sent to clients either way.
    KEEP_EDITED_TEXT: bool = False
    # Web Push: how long a message waits for an open page to show or read it, and how often the queue is looked at.
    PUSH_SECONDS: float = 5.0
    PUSH_LOOK_SECONDS: float = 2.0
    # How often each process polls for events that webhooks have to send.
    WEBHOOK_POLL_SECONDS: float = 1.0
    # Requests to addresses that users give (chat/outgoing.py): how long one may take, and whether it may go to this
    # machine, which only tests need.
    OUTGOING_SECONDS: float = 10.0
    OUTGOING_LOOPBACK: bool = False
    # The version of the page's files that is served; empty when they are not collected.
    PAGE_VERSION: str = ""
    # How long a socket without a session may stay connected when it sends no command.
    UNAUTHENTICATED_SECONDS: float = 5.0

    # Group commit: the size of one transaction, and how long a draft waits for a database that is away.
    # If drafts waited longer, uvicorn would stop reading the socket, miss the pong and close it.
    BATCH_DRAFTS: int = 128
    BATCH_BYTES: int = 256 * 1024
    DRAFT_QUEUE: int = 2000
    DRAFT_HOLD_SECONDS: float = 10.0
    DATABASE_SECONDS: float = 10.0
    SOCKET_UNACKNOWLEDGED: int = 64

    # The hub. A feed's ring serves sessions that are a little behind; pages of the log serve the rest. RING_BYTES
    # limits the ring's memory, CATCH_UP_BYTES the frames of a page. REACH_BACK_EVENTS limits how far back a ring is
    # filled from the log for sessions that reconnect.
    RING_EVENTS: int = 512
    RING_BYTES: int = 1024 * 1024
    REACH_BACK_EVENTS: int = 128
    CATCH_UP_PAGE: int = 500
    CATCH_UP_BYTES: int = 256 * 1024
    FAN_OUT_SLICE: int = 500
    GAP_SECONDS: float = 0.015
    SWEEP_SECONDS: float = 0.5
    SWEEP_DEGRADED_SECONDS: float = 0.25
    FROZEN_SECONDS: float = 2.0
    STUCK_SECONDS: float = 10.0
    STUCK_ABORT_SECONDS: float = 5.0
    DRAIN_SECONDS: float = 6.0
    DRAIN_REPLY_SECONDS: float = 1.0
    BYE_SPREAD_MS: int = 1500

    # How often read positions and layouts are written, and how long they wait while messages are being written.
    POSITIONS_SECONDS: float = 0.5
    POSITIONS_BUSY_SECONDS: float = 4.0

    # How often all rights are checked without a notification, because a change by plain SQL sends none.
    ACCESS_CHECK_SECONDS: float = 20.0
    # The least time from one check to the next while changes stream in, as when a script saves all users.
    ACCESS_CHECK_PAUSE_SECONDS: float = 0.2
    # How long the row of a change of rights stays after a process saw it, so that every other process sees it too.
    ACCESS_KEEP_SECONDS: float = 5.0

    # How often the janitor looks for rows of deleted rooms and users without a notification.
    JANITOR_SECONDS: float = 10.0

    # Presence: how long a lease lasts, how often a process renews its own and checks the others, and how long a
    # user whose connection was lost still counts as present.
    LEASE_SECONDS: float = 15.0
    LEASE_RENEW_SECONDS: float = 5.0
    GRACE_SECONDS: float = 15.0
    SEND_PRESENCE: bool = True
    # Whether users see who is writing in their rooms, and the least time between two signals of a socket in a room.
    SHOW_WHO_IS_TYPING: bool = True
    # Whether users see how many others are in the rooms that they may enter, who these are, and in which room each is.
    SHOW_WHO_IS_AROUND: bool = True
    TYPING_SECONDS: float = 3.0

    # How often expired sessions and old failed sign-ins are deleted.
    CLEAN_SECONDS: float = 3600.0

    # The doorbell: a bell that is not rung within its deadline is dropped, and no more are tried for a while.
    BELL_DEADLINE_SECONDS: float = 0.25
    BELL_BREAKER_SECONDS: float = 1.0
    PROBE_SECONDS: float = 1.0

    if not TYPE_CHECKING:  # mypy knows the settings, and would accept any other name as well

        def __getattr__(self, name: str) -> Any:
            # A slot is empty until it is first read. The settings cannot be read when this module is imported,
            # because Django's settings module imports it itself, by way of multichat.environment.
            value = _read(name)
            setattr(self, name, value)
            return value


_DEFAULTS = Conf()
# Renamed settings, which a site may still have under their old names.
_OLD_NAMES = {"SEND_PRESENCE": "TELL_WHO_IS_PRESENT"}
conf = object.__new__(Conf)


def _read(name: str) -> Any:
    """Return the site's value of a setting, or its default."""
    if name not in Conf.__dataclass_fields__:
        raise AttributeError(f"chat.conf has no setting {name!r}")
    if name == "MESSAGE_TYPES_LIST" and not hasattr(settings, name):
        return [number for number, _ in conf.MESSAGE_TYPES_CHOICES]
    old_name = _OLD_NAMES.get(name, name)
    return getattr(settings, name, getattr(settings, old_name, getattr(_DEFAULTS, name)))


@receiver(setting_changed)
def _on_setting_changed(setting: str, **kwargs: Any) -> None:
    """Forget a setting that a test has changed, and the one that is made of it."""
    clear({setting, "MESSAGE_TYPES_LIST"} & Conf.__dataclass_fields__.keys())


def clear(names: Iterable[str] = Conf.__dataclass_fields__) -> None:
    """Empty the slots of settings, so that they are read again: for tests."""
    for name in names:
        with suppress(AttributeError):
            delattr(conf, name)
