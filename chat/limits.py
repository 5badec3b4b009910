"""Token buckets and ceilings: how much one socket, user or address may ask for.

Each limit is a number in settings.LIMITS, read at every use; 0 is no limit. They hold in each process
for itself. Nothing here waits, and no limit costs a socket a task: a bucket is one float.
"""

import time
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from typing import Any

from chat import conf
from chat.exceptions import ClientError, ErrorCode

# The key of the scope under which a socket finds its place under its address's ceiling.
ADDRESS_PLACE = "multichat.address_place"

# Tests step it.
clock = time.monotonic

# Above so many keys, those that are as good as new are forgotten.
PRUNE_AT = 1000
# Lists and objects in a frame: a `resume` of 1,000 rooms has 1,002. Each is an object that Python's collector counts.
MOST_CONTAINERS = 2000
# Brackets of either kind as one kind, and everything else taken out.
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# What tells a client that it speaks wrongly, and not that it asked for something it may not have.
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
    """Return a limit; 0 is none."""
    return float(conf.LIMITS.get(name, 0))


class Pace:
    """So many at once, then so many a second; for each key a bucket of its own.

    A bucket is the time at which it will be full again (the generic cell rate algorithm).
    """

    def __init__(self, name: str) -> None:
        self._at_once, self._per_second = f"{name}_AT_ONCE", f"{name}_PER_SECOND"
        self._full_at: dict[Hashable, float] = {}
        self._prune_at = PRUNE_AT

    def take(self, key: Hashable = None, *, count: int = 1) -> float:
        """Count one (or `count`) and return 0; or count nothing, and return in how many seconds it may come again."""
        at_once, per_second = of(self._at_once), of(self._per_second)
        if not at_once or not per_second:
            return 0.0
        now = clock()
        full_at = max(self._full_at.get(key, now), now)
        # What is more than all at once waits for a bucket that is full.
        wait = full_at - now - max(at_once - count, 0) / per_second
        # A hair of tolerance: who comes back exactly when told is not told once more.
        if wait > 1e-6:
            return wait
        self._full_at[key] = full_at + count / per_second
        if len(self._full_at) > self._prune_at:
            self._prune(now)
        return 0.0

    def clear(self) -> None:
        self._full_at.clear()

    def _prune(self, now: float) -> None:
        self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        # Doubled, so that a crowd is not walked through for each newcomer.
        self._prune_at = max(PRUNE_AT, 2 * len(self._full_at))


class Ceiling:
    """So many at the same time, for each key."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count: dict[Hashable, int] = {}

    def enter(self, key: Hashable = None) -> bool:
        """Count one more, and tell whether it may be; if not, nothing was counted."""
        count = self._count.get(key, 0)
        most = of(self._name)
        if most and count >= most:
            return False
        self._count[key] = count + 1
        return True

    def exit(self, key: Hashable = None) -> None:
        """Count one less."""
        if self._count.get(key, 0) <= 1:
            self._count.pop(key, None)
        else:
            self._count[key] -= 1

    def clear(self) -> None:
        self._count.clear()


class Place:
    """One place under a ceiling, given back once."""

    def __init__(self, ceiling: Ceiling, key: Hashable) -> None:
        self._ceiling, self._key = ceiling, key
        self._is_held = True

    def give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._ceiling.exit(self._key)


messages = Pace("MESSAGES")
handshakes = Pace("HANDSHAKES")
sign_ins = Pace("SIGN_INS")
sockets_of_user = Ceiling("SOCKETS_PER_USER")
sockets_of_address = Ceiling("SOCKETS_PER_ADDRESS")
unauthenticated = Ceiling("UNAUTHENTICATED_SOCKETS")
unauthenticated_of_address = Ceiling("UNAUTHENTICATED_PER_ADDRESS")


def clear() -> None:
    """Forget all that was counted: for tests."""
    ceilings = (sockets_of_user, sockets_of_address, unauthenticated, unauthenticated_of_address)
    for limit in (messages, handshakes, sign_ins, *ceilings):
        limit.clear()


class Patience:
    """What one socket may still do: commands, and frames that are refused."""

    __slots__ = ("_commands", "_dear", "_refused")

    def __init__(self) -> None:
        self._commands = Pace("COMMANDS")
        self._refused = Pace("BAD_FRAMES")
        # Commands that cost more than a ping have a bucket of their own. A room costs the same by join and by resume.
        joins = Pace("JOINS")
        self._dear = {"join": joins, "resume": joins, "history": Pace("HISTORY"), "watch": Pace("WATCH")}

    def check_command(self, kind: str, *, count: int = 1) -> None:
        """Count a command, which is about `count` rooms. Raises ClientError: RATE_LIMITED."""
        wait = self._commands.take()
        if not wait and (dear := self._dear.get(kind)):
            wait = dear.take(count=count)
        if wait:
            raise too_fast("This page asks for too much at once.", wait)

    def is_over(self, refusal: ClientError) -> bool:
        """Count a refusal, and tell whether this socket is a flood that is to be closed."""
        return refusal.code in BAD_FRAMES and self._refused.take() > 0


def check_message(user_id: int) -> None:
    """Count a message of a user, whatever page it comes from. Raises ClientError: RATE_LIMITED."""
    if wait := messages.take(user_id):
        raise too_fast("You are writing too fast.", wait)


def check_rooms(count: int) -> None:
    """Refuse a socket one more room than it may hold. Raises ClientError: RATE_LIMITED."""
    most = of("ROOMS_PER_SOCKET")
    if most and count >= most:
        raise too_fast(f"A page holds at most {most:.0f} rooms. Close one first.", 60)


def check_depth(text: str) -> None:
    """Look at a frame before it is parsed.

    Raises ClientError: JSON_INVALID when it is nested too deeply, or has too many parts.
    """
    most = of("JSON_DEPTH")
    # Counting is quick and settles nearly every frame.
    if not most or text.count("{") + text.count("[") <= most:
        return
    # Brackets in a string are text: what stands between quotes is left out, to the end where one is not closed.
    # No Python step for each bracket or quote, which took 20 ms for a frame full of them.
    outside = text.replace("\\\\", "").replace('\\"', "").split('"')[::2]
    brackets = "".join(outside).encode().translate(_BRACKETS, _NO_BRACKETS)
    if brackets.count(b"[") > MOST_CONTAINERS:
        detail = f"A frame has at most {MOST_CONTAINERS} lists and objects."
        raise ClientError(ErrorCode.JSON_INVALID, detail=detail)
    # Each round takes the innermost pairs out.
    for _ in range(int(most)):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if b"[" in brackets:
        raise ClientError(ErrorCode.JSON_INVALID, detail=f"A frame is nested at most {most:.0f} deep.")


def too_fast(detail: str, wait: float) -> ClientError:
    """Return the refusal of what may come again in `wait` seconds."""
    # Rounded up: who comes back exactly then is let through.
    return ClientError(ErrorCode.RATE_LIMITED, detail=detail, retry_after=max(0.1, int(wait * 10 + 0.999) / 10))


def address_of(scope: Any) -> str | None:
    """Return where a connection comes from, as limits count it; None when that is not known (a Unix socket).

    A network of IPv6 is handed out as a /64: who has one address there has them all.
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
