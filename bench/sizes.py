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
    # Echo latency.
    latency_rooms: int = 50
    latency_sockets: int = 500
    latency_rates: tuple[float, ...] = (100, 1000)
    latency_seconds: float = 4.0
    # Connections.
    sockets: int = 10_000
    idle_seconds: float = 5.0
    # Reconnect storm.
    storm_sockets: int = 5000
    storm_rooms: int = 100
    storm_rooms_each: int = 12
    storm_missed: int = 50
    # History and what grows.
    pages: int = 200
    page_reads: int = 20
    room_counts: tuple[int, ...] = (1, 10, 100)
    room_members: int = 200
    # Campfire's definitions.
    campfire_warm_up: float = 2.0
    campfire_seconds: float = 8.0
    subscribers: int = 1000
    posters: tuple[int, ...] = (4, 64)
    cable_seconds: float = 8.0
    # The page.
    page_rooms: int = 500
    page_messages: int = 100


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
    latency_rooms=5,
    latency_sockets=20,
    latency_rates=(20, 50),
    latency_seconds=1.0,
    sockets=100,
    idle_seconds=0.5,
    storm_sockets=40,
    storm_rooms=10,
    storm_rooms_each=3,
    storm_missed=5,
    pages=10,
    page_reads=3,
    room_counts=(1, 3, 10),
    room_members=20,
    campfire_warm_up=0.5,
    campfire_seconds=0.5,
    subscribers=50,
    posters=(2, 8),
    cable_seconds=0.5,
    page_rooms=20,
    page_messages=20,
)
