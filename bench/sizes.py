"""How large each part is: full for the document, tiny for the unit tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    # Rounds that alternate between the contenders; medians of them count.
    rounds: int = 3
    seconds: float = 0.8
    warm_up: float = 0.2
    settle_seconds: float = 1.5
    # Names of the contenders to measure; empty means all.
    contenders: tuple[str, ...] = ()
    # Fan-out.
    members: tuple[int, ...] = (2000, 200)
    windows: tuple[int, ...] = (1, 4, 16)
    # Posts.
    posts_seconds: float = 1.5
    post_rooms: tuple[int, ...] = (1, 100)
    post_clients: tuple[int, ...] = (16, 64)


FULL = Sizes()
SMALL = Sizes(
    rounds=1,
    seconds=0.3,
    warm_up=0.1,
    settle_seconds=0.5,
    members=(60, 20),
    windows=(1, 4),
    posts_seconds=0.4,
    post_rooms=(1, 10),
    post_clients=(4, 8),
)
