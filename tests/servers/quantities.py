"""How large the server tests are: small for script/test, full size for script/soak (FULL_SIZE in the environment)."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantities:
    # Faulty layer: how many messages each of three clients sends into each of six rooms.
    faulty_sends: int = 12
    deaf_sends: int = 6
    # How often the connection is cut between commit and ack.
    cuts: int = 6
    unknown_commits: int = 3
    # How often SIGTERM is sent under load, and how many rolling restarts there are.
    drains: int = 1
    rolls: int = 1
    # Pages of each of two users that write meanwhile.
    rolled_pages: int = 2
    # Sockets that are cut at once, and how often two processes lose a user's last sockets at the same time.
    herd: int = 40
    last_sockets: int = 3
    # How often the tabs of one user are cut or closed.
    reconnects: int = 10
    # How long messages are sent beside a locked room.
    locked_seconds: float = 2.0
    # Pages that read one room; the length of each turn with and without reads, and the number of turns.
    readers: int = 20
    reading_seconds: float = 1.0
    reading_rounds: int = 1
    # Pages with twelve rooms each, all cut at once.
    pages: int = 10
    # Pages that watch a room, and how many unread messages they have there.
    watchers: int = 10
    backlog: int = 1200
    # The scale of tests.servers.big; 1.0 has 10,000 rooms, 100,000 users and 10,000,000 events.
    large_scale: float = 0.002
    # Presence: its periods (at full size those of the server), and how long clients join, leave and crash.
    lease_seconds: float = 3.0
    lease_renew_seconds: float = 1.0
    grace_seconds: float = 1.5
    presence_seconds: float = 4.0
    # A client that never reads: how many frames it misses, and the bytes of each message.
    unread_frames: int = 300
    unread_bytes: int = 15_000
    stuck_seconds: float = 3.0
    # How long a service is away, and the pause between two faults.
    away_seconds: float = 1.5
    pause_seconds: float = 0.4
    # How long a sender waits between two messages.
    think_seconds: float = 0.15
    # How often each cause of losing access is tried, in two processes, with Redis and without.
    revocation_rounds: int = 1
    # Requests for a page, and for its health, at the same time.
    requests_at_once: int = 30
    # Connections that send nothing, or half a frame.
    idle_sockets: int = 300
    # Messages of a room that is deleted while others send.
    deleted_messages: int = 8_000
    # Frames of the fuzzer.
    hostile_frames: int = 2_500
    # Inputs that Hypothesis makes up for each function, and for each page.
    examples: int = 30
    page_examples: int = 5
    # How long each of the dearest frames is sent, at the rate that the limits allow.
    hostile_seconds: float = 0.2
    # Keys on a page whose panes come and go.
    keys: int = 140


FULL = Quantities(
    faulty_sends=1000,
    deaf_sends=100,
    cuts=100,
    unknown_commits=100,
    drains=10,
    rolls=5,
    rolled_pages=6,
    herd=2000,
    last_sockets=200,
    reconnects=50,
    locked_seconds=6.0,
    readers=150,
    reading_seconds=15.0,
    reading_rounds=3,
    pages=1000,
    watchers=50,
    backlog=200_000,
    large_scale=1.0,
    lease_seconds=15.0,
    lease_renew_seconds=5.0,
    grace_seconds=15.0,
    presence_seconds=120.0,
    unread_frames=200_000,
    unread_bytes=200,
    stuck_seconds=10.0,
    away_seconds=10.0,
    pause_seconds=2.0,
    think_seconds=0.02,
    revocation_rounds=13,
    requests_at_once=150,
    idle_sockets=2000,
    deleted_messages=1_000_000,
    hostile_frames=100_000,
    examples=2_000,
    page_examples=300,
    hostile_seconds=5.0,
    keys=10_000,
)

IS_FULL = bool(os.environ.get("FULL_SIZE"))
Q = FULL if IS_FULL else Quantities()
# A test that hangs fails; at full size tests may take longer.
TIMEOUT = 1200 if IS_FULL else 90


def seeds(count: int) -> range:
    """Return the seeds of a test with random steps: all at full size, otherwise a third."""
    return range(count if IS_FULL else max(2, count // 3))
