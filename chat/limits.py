"""Token buckets and concurrency limits: how much one socket, user or address may ask for.

Each limit is a number in settings.LIMITS, read at every use; 0 means unlimited. Limits count per process.
Nothing here waits, and no limit costs a socket a task, because a bucket is one float.
"""

import time
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy, ngettext_lazy

from chat.conf import conf
from chat.exceptions import ClientError, ErrorCode, Sentence

# The key of the scope under which a socket finds its slot in its address's limit.
ADDRESS_SLOT = "multichat.address_slot"

# Tests step this clock.
clock = time.monotonic

# With more keys than this, buckets that are full again are forgotten.
PRUNE_AT = 1000
# Lists and objects in a frame: a `resume` of 1,000 rooms has 1,002. Each is an object that Python's collector counts.
MAX_CONTAINERS = 2000
# Both kinds of brackets become one kind, and everything else is removed.
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Refusals that mean that the client speaks wrongly, and not that it asked for something it may not have.
BAD_FRAMES = frozenset(
    {
        ErrorCode.JSON_INVALID,
        ErrorCode.COMMAND_INVALID,
        ErrorCode.MESSAGE_INVALID,
        ErrorCode.MESSAGE_TOO_LONG,
        ErrorCode.RATE_LIMITED,
    }
)


def of(name: str) -> float:
    """Return a limit; 0 means unlimited."""
    return float(conf.LIMITS.get(name, 0))


class TokenBucket:
    """A burst of requests, then a rate per second, with a separate bucket for each key.

    A bucket is stored as the time at which it will be full again (the generic cell rate algorithm).
    """

    def __init__(self, name: str) -> None:
        self._at_once, self._per_second = f"{name}_AT_ONCE", f"{name}_PER_SECOND"
        self._full_at: dict[Hashable, float] = {}
        self._prune_at = PRUNE_AT

    def take(self, key: Hashable = None, *, count: int = 1) -> float:
        """Take tokens and return 0; or take none, and return the seconds until the caller may try again."""
        at_once, per_second = of(self._at_once), of(self._per_second)
        if not at_once or not per_second:
            return 0.0
        now = clock()
        full_at = max(self._full_at.get(key, now), now)
        # A count larger than the whole bucket waits until the bucket is full.
        wait = full_at - now - max(at_once - count, 0) / per_second
        # The tolerance lets a caller in that comes back exactly when it was asked to.
        if wait > 1e-6:
            return wait
        self._full_at[key] = full_at + count / per_second
        if len(self._full_at) > self._prune_at:
            self._prune(now)
        return 0.0

    def peek(self, key: Hashable = None) -> float:
        """Return the seconds until the caller may take a token, without taking one."""
        at_once, per_second = of(self._at_once), of(self._per_second)
        if not at_once or not per_second:
            return 0.0
        wait = self._full_at.get(key, 0.0) - clock() - max(at_once - 1, 0) / per_second
        return wait if wait > 1e-6 else 0.0

    def clear(self) -> None:
        self._full_at.clear()

    def _prune(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        # Doubled, so that a large table is not scanned again for each new key.
        self._prune_at = max(PRUNE_AT, 2 * len(self._full_at))


class ConcurrencyLimit:
    """At most so many holders at the same time, for each key."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count: dict[Hashable, int] = {}

    def acquire(self, key: Hashable = None) -> bool:
        """Count one more holder and return True; or return False when the limit is reached."""
        count = self._count.get(key, 0)
        most = of(self._name)
        if most and count >= most:
            return False
        self._count[key] = count + 1
        return True

    def release(self, key: Hashable = None) -> None:
        """Count one holder less."""
        if self._count.get(key, 0) <= 1:
            self._count.pop(key, None)
        else:
            self._count[key] -= 1

    def clear(self) -> None:
        self._count.clear()


class Slot:
    """One acquired slot of a concurrency limit, released only once."""

    def __init__(self, limit: ConcurrencyLimit, key: Hashable) -> None:
        self._limit, self._key = limit, key
        self._is_held = True

    def release(self) -> None:
        if self._is_held:
            self._is_held = False
            self._limit.release(self._key)


messages = TokenBucket("MESSAGES")
handshakes = TokenBucket("HANDSHAKES")
sign_ins = TokenBucket("SIGN_INS")
password_changes = TokenBucket("PASSWORD_CHANGES")
invitations = TokenBucket("INVITATIONS")
bot_posts = TokenBucket("BOT_POSTS")
bot_reads = TokenBucket("BOT_READS")
bot_refusals = TokenBucket("BOT_REFUSALS")
uploads = TokenBucket("UPLOADS")
uploads_of_address = ConcurrencyLimit("UPLOADS_PER_ADDRESS")
uploads_at_once = ConcurrencyLimit("UPLOADS_PER_PROCESS")
downloads_of_user = ConcurrencyLimit("DOWNLOADS_PER_USER")
sockets_of_user = ConcurrencyLimit("SOCKETS_PER_USER")
sockets_of_address = ConcurrencyLimit("SOCKETS_PER_ADDRESS")
unauthenticated = ConcurrencyLimit("UNAUTHENTICATED_SOCKETS")
unauthenticated_of_address = ConcurrencyLimit("UNAUTHENTICATED_PER_ADDRESS")


def clear() -> None:
    """Forget all counts: for tests."""
    buckets = (messages, handshakes, sign_ins, password_changes, invitations, uploads)
    of_bots = (bot_posts, bot_reads, bot_refusals)
    concurrency_limits = (sockets_of_user, sockets_of_address, unauthenticated, unauthenticated_of_address)
    transfers = (uploads_of_address, uploads_at_once, downloads_of_user)
    for limit in (*buckets, *of_bots, *concurrency_limits, *transfers):
        limit.clear()


class SocketLimits:
    """What one socket may still send: commands, and frames that are refused."""

    __slots__ = ("_commands", "_expensive", "_refused")

    def __init__(self) -> None:
        self._commands = TokenBucket("COMMANDS")
        self._refused = TokenBucket("BAD_FRAMES")
        # Commands that cost more than a ping have their own bucket. A room costs the same by join and by resume, and
        # what is read for a reader has one bucket.
        joins, history = TokenBucket("JOINS"), TokenBucket("HISTORY")
        self._expensive = {
            "join": joins,
            "resume": joins,
            "history": history,
            "quote": history,
            "mentions": history,
            "copies": history,
            "people": history,
            "users": history,
            # Each looks at all rooms of the user.
            "watch": TokenBucket("WATCH"),
            "read_older": TokenBucket("WATCH"),
        }

    def check_command(self, kind: str, *, count: int = 1) -> None:
        """Count a command, which is about `count` rooms. Raises ClientError: RATE_LIMITED."""
        wait = self._commands.take()
        if not wait and (bucket := self._expensive.get(kind)):
            wait = bucket.take(count=count)
        if wait:
            raise too_fast(gettext_lazy("This page sends too many requests."), wait)

    def is_flooding(self, refusal: ClientError) -> bool:
        """Count a refusal, and tell whether this socket has had so many that it should be closed."""
        return refusal.code in BAD_FRAMES and self._refused.take() > 0


def check_message(user_id: int) -> None:
    """Count a message of a user, from any of their pages. Raises ClientError: RATE_LIMITED."""
    if wait := messages.take(user_id):
        raise too_fast(gettext_lazy("You're sending too fast."), wait)


def check_bot(bucket: TokenBucket, bot_id: int, *, count: int = 1) -> None:
    """Count what a bot posts or asks for. Raises ClientError: RATE_LIMITED."""
    if wait := bucket.take(bot_id, count=count):
        seconds = round(wait)
        sentence = ngettext_lazy(
            "This bot is too fast. Try again in {seconds} second.",
            "This bot is too fast. Try again in {seconds} seconds.",
            seconds,
        )
        raise too_fast(format_lazy(sentence, seconds=seconds), wait)


def most_bytes(name: str) -> int:
    """Return a limit in megabytes (2^20 bytes) as bytes; 0 means unlimited."""
    return int(of(name) * 1024 * 1024)


def check_upload(user_id: int, *, count: int = 1) -> None:
    """Count an upload of a user, or work like that of `count` uploads. Raises ClientError: RATE_LIMITED."""
    if wait := uploads.take(user_id, count=count):
        raise too_fast(gettext_lazy("You're uploading too many files."), wait)


def check_rooms(count: int) -> None:
    """Refuse one more room for a socket that has `count`, if that is the limit. Raises ClientError: RATE_LIMITED."""
    most = of("ROOMS_PER_SOCKET")
    if most and count >= most:
        sentence = ngettext_lazy(
            "You can have at most {most} room open on one page. Close one first.",
            "You can have at most {most} rooms open on one page. Close one first.",
            round(most),
        )
        raise too_fast(format_lazy(sentence, most=round(most)), 60)


def check_depth(text: str) -> None:
    """Check a frame's nesting and size before it is parsed.

    Raises ClientError: JSON_INVALID when it is nested too deeply, or has too many lists and objects.
    """
    most = of("JSON_DEPTH")
    # Counting is quick and settles nearly every frame.
    if not most or text.count("{") + text.count("[") <= most:
        return
    # Brackets inside a JSON string do not count, so quoted parts are removed (to the end, if a quote is not closed).
    # There is no Python step for each bracket or quote: that took 20 ms for a frame full of them.
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode().translate(_BRACKETS, _NO_BRACKETS)
    if brackets.count(b"[") > MAX_CONTAINERS:
        sentence = ngettext_lazy(
            "A frame may have at most {most} list or object.",
            "A frame may have at most {most} lists and objects.",
            MAX_CONTAINERS,
        )
        raise ClientError(ErrorCode.JSON_INVALID, detail=format_lazy(sentence, most=MAX_CONTAINERS))
    # Each round removes the innermost pairs.
    for _ in range(int(most)):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if b"[" in brackets:
        sentence = ngettext_lazy(
            "A frame may be nested at most {most} level deep.",
            "A frame may be nested at most {most} levels deep.",
            round(most),
        )
        raise ClientError(ErrorCode.JSON_INVALID, detail=format_lazy(sentence, most=round(most)))


def too_fast(detail: Sentence, wait: float) -> ClientError:
    """Return the refusal of a request that may be repeated in `wait` seconds."""
    # Rounded up, so that a client that comes back exactly then is let in.
    return ClientError(ErrorCode.RATE_LIMITED, detail=detail, retry_after=max(0.1, int(wait * 10 + 0.999) / 10))


def address_of(scope: Any) -> str | None:
    """Return a connection's address as limits count it; None when it is unknown (a Unix socket).

    For IPv6 it is the /64 network, because providers assign whole /64 networks to one customer.
    """
    client = scope.get("client")
    if not client or not client[0]:
        return None
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return str(client[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> 64 << 64))
    return str(address)
