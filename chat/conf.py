"""What a site may override in its Django settings, with defaults."""

from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

MSG_TYPE_MESSAGE: Final = 0
MSG_TYPE_WARNING: Final = 1
MSG_TYPE_ALERT: Final = 2
MSG_TYPE_MUTED: Final = 3
MSG_TYPE_ENTER: Final = 4
MSG_TYPE_LEAVE: Final = 5

# From the original client's settings: the same names, the same numbers.
NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS: bool
MESSAGE_TYPES_CHOICES: tuple[tuple[int, str], ...]
MESSAGE_TYPES_LIST: list[int]

# A message, as people count it (graphemes) and as it travels (bytes of UTF-8).
MESSAGE_MAX_GRAPHEMES: int
MESSAGE_MAX_BYTES: int
# A text frame above this is answered unparsed; above FRAME_CLOSE_BYTES the server closes with 1009.
FRAME_MAX_BYTES: int
FRAME_CLOSE_BYTES: int
# What one socket, user or address may ask for, by name; 0 or absent is no limit (chat/limits.py).
LIMITS: dict[str, float]
HISTORY_PAGE: int
HISTORY_PAGE_MAX: int
HISTORY_PAGE_BYTES: int
LAYOUT_PANES: int
# Whether texts that were edited away stay in the database. They are given to nobody either way.
KEEP_EDITED_TEXT: bool
# Which edition of the page's files is served; empty when they are not collected.
PAGE_VERSION: str
# How long a socket without a session may stay when it sends no command.
UNAUTHENTICATED_SECONDS: float

# Group commit: what one transaction may hold, and how long a draft waits for a database that is away.
# Held for longer, uvicorn stops reading the socket, misses the pong and closes it.
BATCH_DRAFTS: int
BATCH_BYTES: int
DRAFT_QUEUE: int
DRAFT_HOLD_SECONDS: float
DATABASE_SECONDS: float
SOCKET_UNACKNOWLEDGED: int

# The hub. A feed's ring serves who is a little behind; a page of the log serves the rest. The ring's bytes are what
# it takes in memory, a page's are those of its frames. A ring reaches back for those who come back a little later.
RING_EVENTS: int
RING_BYTES: int
REACH_BACK_EVENTS: int
CATCH_UP_PAGE: int
CATCH_UP_BYTES: int
FAN_OUT_SLICE: int
GAP_SECONDS: float
SWEEP_SECONDS: float
SWEEP_DEGRADED_SECONDS: float
FROZEN_SECONDS: float
STUCK_SECONDS: float
STUCK_ABORT_SECONDS: float
DRAIN_SECONDS: float
DRAIN_TELL_SECONDS: float
BYE_SPREAD_MS: int

# Read positions and layouts are written this often, and while messages are being written this late.
POSITIONS_SECONDS: float
POSITIONS_BUSY_SECONDS: float

# How often rights are looked at without being told: plain SQL tells nobody.
ACCESS_CHECK_SECONDS: float
# While changes stream in, as when a script saves all users: the least time from one check to the next.
ACCESS_PACE_SECONDS: float
# How long a change of rights stays in its table after a process saw it, so that every other one sees it, too.
ACCESS_KEEP_SECONDS: float

# How often rows of deleted rooms and users are looked for without being told.
JANITOR_SECONDS: float

# Presence: a process renews its lease and looks at the others'; a lost connection is waited for.
LEASE_SECONDS: float
LEASE_RENEW_SECONDS: float
GRACE_SECONDS: float
TELL_WHO_IS_PRESENT: bool

# How often ended sessions and old failed sign-ins are deleted.
CLEAN_SECONDS: float

# The doorbell: a bell that is not rung within its deadline is dropped, and no more are tried for a while.
BELL_DEADLINE_SECONDS: float
BELL_BREAKER_SECONDS: float
PROBE_SECONDS: float

_DEFAULTS: dict[str, Any] = {
    "NOTIFY_USERS_ON_ENTER_OR_LEAVE_ROOMS": True,
    "MESSAGE_TYPES_CHOICES": (
        (MSG_TYPE_MESSAGE, "MESSAGE"),
        (MSG_TYPE_WARNING, "WARNING"),
        (MSG_TYPE_ALERT, "ALERT"),
        (MSG_TYPE_MUTED, "MUTED"),
        (MSG_TYPE_ENTER, "ENTER"),
        (MSG_TYPE_LEAVE, "LEAVE"),
    ),
    "MESSAGE_MAX_GRAPHEMES": 4000,
    "MESSAGE_MAX_BYTES": 32 * 1024,
    "FRAME_MAX_BYTES": 64 * 1024,
    "FRAME_CLOSE_BYTES": 1024 * 1024,
    "LIMITS": {},
    "HISTORY_PAGE": 50,
    "HISTORY_PAGE_MAX": 100,
    "HISTORY_PAGE_BYTES": 256 * 1024,
    "LAYOUT_PANES": 64,
    "KEEP_EDITED_TEXT": False,
    "PAGE_VERSION": "",
    "UNAUTHENTICATED_SECONDS": 5.0,
    "BATCH_DRAFTS": 128,
    "BATCH_BYTES": 256 * 1024,
    "DRAFT_QUEUE": 2000,
    "DRAFT_HOLD_SECONDS": 10.0,
    "DATABASE_SECONDS": 10.0,
    "SOCKET_UNACKNOWLEDGED": 64,
    "RING_EVENTS": 512,
    "RING_BYTES": 1024 * 1024,
    "REACH_BACK_EVENTS": 128,
    "CATCH_UP_PAGE": 500,
    "CATCH_UP_BYTES": 256 * 1024,
    "FAN_OUT_SLICE": 500,
    "GAP_SECONDS": 0.015,
    "SWEEP_SECONDS": 0.5,
    "SWEEP_DEGRADED_SECONDS": 0.25,
    "FROZEN_SECONDS": 2.0,
    "STUCK_SECONDS": 10.0,
    "STUCK_ABORT_SECONDS": 5.0,
    "DRAIN_SECONDS": 6.0,
    "DRAIN_TELL_SECONDS": 1.0,
    "BYE_SPREAD_MS": 1500,
    "POSITIONS_SECONDS": 0.5,
    "POSITIONS_BUSY_SECONDS": 4.0,
    "ACCESS_CHECK_SECONDS": 20.0,
    "ACCESS_PACE_SECONDS": 0.2,
    "ACCESS_KEEP_SECONDS": 5.0,
    "JANITOR_SECONDS": 10.0,
    "LEASE_SECONDS": 15.0,
    "LEASE_RENEW_SECONDS": 5.0,
    "GRACE_SECONDS": 15.0,
    "TELL_WHO_IS_PRESENT": True,
    "CLEAN_SECONDS": 3600.0,
    "BELL_DEADLINE_SECONDS": 0.25,
    "BELL_BREAKER_SECONDS": 1.0,
    "PROBE_SECONDS": 1.0,
}


def __getattr__(name: str) -> Any:
    # Asked for the first time: from then on it is a name of this module, because some are read for each frame and
    # socket, and Django's settings take a microsecond to say that something is not set.
    if name == "MESSAGE_TYPES_LIST":
        default: Any = [number for number, _ in __getattr__("MESSAGE_TYPES_CHOICES")]
    elif name in _DEFAULTS:
        default = _DEFAULTS[name]
    else:
        raise AttributeError(f"chat.conf has no setting {name!r}")
    value = globals()[name] = getattr(settings, name, default)
    return value


@receiver(setting_changed)
def _forget(setting: str, **kwargs: Any) -> None:
    """Read a setting anew that a test has changed, and what is made of it."""
    for name in (setting, "MESSAGE_TYPES_LIST"):
        globals().pop(name, None)
