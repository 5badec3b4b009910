"""Limits on a stepped clock, and the errors that a socket gets for exceeding them."""

import time
from contextlib import suppress

import pytest

from chat import limits
from chat.exceptions import ClientError
from chat.live import database, hub
from chat.models import Room
from tests.sockets import connected, cookie_of, handshake


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limits, "clock", clock)
    return clock


@pytest.fixture
def limit(settings):
    """Set the given limits and keep all others."""

    def limit(**changed):
        settings.LIMITS = {**settings.LIMITS, **changed}

    return limit


def taken(bucket, key=None, most=1000):
    """Return how many calls are allowed at once."""
    for count in range(most):
        if bucket.take(key) > 0:
            return count
    return most


def test_a_bucket_allows_a_burst_and_then_a_rate(clock, limit):
    limit(MESSAGES_AT_ONCE=60, MESSAGES_PER_SECOND=10)
    bucket = limits.TokenBucket("MESSAGES")
    assert taken(bucket) == 60
    clock.now += 1
    assert taken(bucket) == 10
    clock.now += 3600
    assert taken(bucket) == 60


def test_a_retry_after_the_given_time_is_allowed(clock, limit):
    limit(MESSAGES_AT_ONCE=3, MESSAGES_PER_SECOND=0.7)
    bucket = limits.TokenBucket("MESSAGES")
    for _ in range(50):
        taken(bucket)
        clock.now += limits.too_fast("", bucket.take()).context["retry_after"]
        assert bucket.take() == 0


def test_each_key_has_a_bucket_of_its_own(clock, limit):
    limit(MESSAGES_AT_ONCE=2, MESSAGES_PER_SECOND=1)
    bucket = limits.TokenBucket("MESSAGES")
    assert [taken(bucket, key) for key in "abc"] == [2, 2, 2]


def test_zero_means_unlimited(clock, limit):
    limit(MESSAGES_AT_ONCE=0, SOCKETS_PER_USER=0, ROOMS_PER_SOCKET=0, JSON_DEPTH=0)
    assert taken(limits.TokenBucket("MESSAGES")) == 1000
    sockets = limits.ConcurrencyLimit("SOCKETS_PER_USER")
    assert all(sockets.acquire(1) for _ in range(1000))
    limits.check_rooms(1000)
    limits.check_depth("[" * 1000)


def test_full_buckets_are_pruned(clock, limit):
    limit(HANDSHAKES_AT_ONCE=2, HANDSHAKES_PER_SECOND=1)
    bucket = limits.TokenBucket("HANDSHAKES")
    for number in range(20 * limits.PRUNE_AT):
        bucket.take(number)
        clock.now += 0.01
    assert len(bucket._full_at) <= 2 * limits.PRUNE_AT


def test_a_concurrency_limit_counts_the_current_holders(limit):
    limit(SOCKETS_PER_USER=2)
    sockets = limits.ConcurrencyLimit("SOCKETS_PER_USER")
    assert [sockets.acquire(1), sockets.acquire(1), sockets.acquire(1), sockets.acquire(2)] == [True, True, False, True]
    sockets.release(1)
    assert sockets.acquire(1)
    for _ in range(5):
        sockets.release(1)
    assert [sockets.acquire(1), sockets.acquire(1), sockets.acquire(1)] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ('{"a":[[[1]]]}', True),
        ("[" * 9, False),
        ("[]" * 2000, True),
        ("[]" * 2001, False),
        ('["' + "[]" * 5000 + '"]', True),
        ('{"message":"' + "[{" * 1000 + '"}', True),
        ('{"message":"\\"' + "[" * 1000 + '\\\\"}', True),
        ('{"message":"' + "[" * 1000 + '","x":' + "[" * 9, False),
        ('"' + "[" * 30_000, True),  # the string never ends, so the parser refuses it
        ('{"":' * 9, False),
        ("[" * 8 + "]" * 8, True),
        ("[" * 9 + "]" * 9, False),
        ("[[],[]," * 8 + "1" + "]" * 8, False),
        ("[[],[]," * 7 + "1" + "]" * 7, True),
        ('{"a":["[[[[[[[[[[",{"b":"]]]"}]}', True),
        ("[[]]" * 1000, True),
        ('[{"é":[]}]' * 100, True),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_the_depth_of_json_is_checked_before_parsing(text, is_right):
    try:
        limits.check_depth(text)
    except ClientError as error:
        assert not is_right
        assert error.code == "JSON_INVALID"
    else:
        assert is_right


@pytest.mark.parametrize("text", ['"' + "\\" * 65_000, '"' * 65_000, "[" * 65_000, '"\\' * 32_000 + "[" * 20])
def test_the_depth_check_is_fast_for_hostile_strings(text):
    start = time.thread_time()
    with suppress(ClientError):
        limits.check_depth(text + "[" * 20)
    assert time.thread_time() - start < 0.2


@pytest.mark.parametrize(
    "text", ["[]" * 32_000, '[["",""]]' * 6000, '["",' * 8 + '"[",' * 12_000, "[[[[[[[[]]]]]]]]" * 4000]
)
def test_the_depth_check_is_fast_for_many_brackets(text):
    start = time.thread_time()
    for _ in range(5):
        with suppress(ClientError):
            limits.check_depth(text)
    assert (time.thread_time() - start) / 5 < 0.012


@pytest.mark.parametrize(
    ("client", "counted_as"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::"),
        (("fe80::1%eth0", 1), "fe80::"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (None, None),
        (("", 0), None),
    ],
)
def test_an_address_is_normalised_for_counting(client, counted_as):
    assert limits.address_of({"client": client}) == counted_as


def test_a_bucket_is_cheap(limit):
    bucket = limits.TokenBucket("COMMANDS")
    start = time.thread_time()
    for _ in range(10_000):
        bucket.take()
    assert time.thread_time() - start < 0.5  # 50 µs each would be a lot; it is about 3


# Over a socket


@pytest.fixture
def quick(settings):
    settings.GRACE_SECONDS = 0


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]
CLIENT_ID = "0f8e9f6e-3c1f-4d31-9d2e-{:012d}"


async def test_a_user_who_sends_too_fast_is_refused_with_a_time_to_retry(bob, rooms, clock, limit):
    limit(MESSAGES_AT_ONCE=3, MESSAGES_PER_SECOND=2)
    room = str(rooms.lobby.pk)
    async with connected(bob) as socket, connected(bob) as other:
        for page in (socket, other):
            await page.ask(command="join", room=room)
            await page.rest()
        for number in range(4):
            page = other if number == 1 else socket  # all pages of a user share a bucket
            await page.send(command="send", room=room, message="hi", client_id=CLIENT_ID.format(number))
            [*_, answer] = await page.until(lambda frame: "ack" in frame or "error" in frame)
        assert answer == {
            "error": "RATE_LIMITED",
            "command": "send",
            "room": room,
            "client_id": CLIENT_ID.format(3),
            "detail": "You're sending too fast.",
            "retry_after": 0.5,
        }
        clock.now += 0.5
        await socket.send(command="send", room=room, message="hi", client_id=CLIENT_ID.format(3))
        await socket.until(lambda frame: frame.get("ack") == CLIENT_ID.format(3))


async def test_a_limited_user_does_not_limit_others(alice, bob, rooms, clock, limit):
    limit(MESSAGES_AT_ONCE=1, MESSAGES_PER_SECOND=1)
    room = str(rooms.lobby.pk)
    async with connected(bob) as fast, connected(alice) as other:
        for socket in (fast, other):
            await socket.ask(command="join", room=room)
        for number in range(5):
            await fast.send(command="send", room=room, message="hi", client_id=CLIENT_ID.format(number))
        await fast.until(lambda frame: "error" in frame)
        await other.send(command="send", room=room, message="hi", client_id=CLIENT_ID.format(9))
        await other.until(lambda frame: "ack" in frame)


async def test_a_flood_of_bad_frames_closes_the_socket(bob, clock, limit):
    limit(BAD_FRAMES_AT_ONCE=40, BAD_FRAMES_PER_SECOND=1)
    async with connected(bob) as socket:
        for _ in range(60):
            await socket.send_text("{")
        answers = []
        while (frame := await socket.next()) is not None:
            answers.append(frame["error"])
    assert answers == ["JSON_INVALID"] * 41 + ["RATE_LIMITED"]
    assert socket.closed == 4429


async def test_occasional_bad_frames_do_not_close_the_socket(bob, clock, limit):
    limit(BAD_FRAMES_AT_ONCE=2, BAD_FRAMES_PER_SECOND=1)
    async with connected(bob) as socket:
        for _ in range(20):
            await socket.send_text("{")
            assert (await socket.next())["error"] == "JSON_INVALID"
            clock.now += 1


async def test_a_flood_of_commands_closes_the_socket(bob, clock, limit):
    limit(COMMANDS_AT_ONCE=5, COMMANDS_PER_SECOND=1, BAD_FRAMES_AT_ONCE=2, BAD_FRAMES_PER_SECOND=1)
    async with connected(bob) as socket:
        for _ in range(20):
            await socket.send(command="ping")
        answers = []
        while (frame := await socket.next()) is not None:
            answers.append(frame.get("error", "pong"))
    assert answers == ["pong"] * 5 + ["RATE_LIMITED"] * 4
    assert socket.closed == 4429


async def test_an_honest_page_may_reopen_all_its_rooms_with_history_repeatedly(bob, clock):
    rooms = await database.write(lambda: [Room.objects.create(title=f"Room {n}").pk for n in range(64)])
    async with connected(bob) as socket:
        for _ in range(3):
            clock.now += 5
            await socket.send(command="watch")
            await socket.send(command="resume", rooms={str(room): {"since": 0} for room in rooms})
            frames = await socket.rest()
            for start in range(0, 64, 16):
                for room in rooms[start : start + 16]:
                    await socket.send(command="history", room=room)
                frames += await socket.rest()
            assert not [frame for frame in frames if "error" in frame]
            assert sum("history" in frame for frame in frames) == 64


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("JOINS", {"command": "join"}),
        ("JOINS", {"command": "resume"}),
        ("HISTORY", {"command": "history"}),
        ("WATCH", {"command": "watch"}),
    ],
    ids=str,
)
async def test_expensive_commands_have_their_own_limits(bob, rooms, clock, limit, name, command):
    room = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=room)
        limit(**{f"{name}_AT_ONCE": 3, f"{name}_PER_SECOND": 2})
        frame_fields = command | ({"rooms": {room: {"since": 0}}} if command["command"] == "resume" else {"room": room})
        for _ in range(6):
            await socket.send(**frame_fields)
        refused = [frame for frame in await socket.rest() if "error" in frame]
        assert {frame["error"] for frame in refused} == {"RATE_LIMITED"}
        assert {frame["command"] for frame in refused} == {command["command"]}
        # The join that opened the room was counted before the limit was lowered.
        assert len(refused) in (3, 4)
        clock.now += refused[-1]["retry_after"]
        await socket.send(**frame_fields)
        assert not [frame for frame in await socket.rest() if "error" in frame]


async def test_a_resume_counts_as_a_join_for_each_room(bob, rooms, clock, limit):
    limit(JOINS_AT_ONCE=4, JOINS_PER_SECOND=1)
    cursors = {str(room.pk): {"since": 0} for room in rooms[:2]}
    async with connected(bob) as socket:
        for _ in range(3):
            await socket.send(command="resume", rooms=cursors)
        [refused] = [frame for frame in await socket.rest() if "error" in frame]
        assert (refused["command"], refused["retry_after"]) == ("resume", 2.0)


async def test_a_refused_message_counts_towards_the_limit(bob, rooms, clock, limit):
    limit(MESSAGES_AT_ONCE=2, MESSAGES_PER_SECOND=1)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        errors = [
            (await socket.ask(command="send", room=rooms.lobby.pk, message="x" * 4001))["error"] for _ in range(3)
        ]
    assert errors == ["MESSAGE_TOO_LONG", "MESSAGE_TOO_LONG", "RATE_LIMITED"]


def test_a_request_above_the_burst_needs_a_full_bucket_and_overdraws_it(clock, limit):
    limit(JOINS_AT_ONCE=10, JOINS_PER_SECOND=1)
    bucket = limits.TokenBucket("JOINS")
    assert bucket.take(count=25) == 0
    assert bucket.take() > 15


async def test_a_socket_above_the_users_limit_is_closed_until_another_closes(bob, limit):
    limit(SOCKETS_PER_USER=2)
    async with connected(bob) as first:
        async with connected(bob):
            async with connected(bob) as third:
                answer = await third.next()
                assert (answer["error"], answer["retry_after"]) == ("RATE_LIMITED", 30)
                assert await third.next() is None
                assert third.closed == 4429
            assert await first.ask(command="ping") == {"pong": True}
        async with connected(bob) as again:
            assert await again.ask(command="ping") == {"pong": True}


async def test_the_rooms_of_a_socket_are_limited(bob, rooms, limit):
    limit(ROOMS_PER_SOCKET=1)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=rooms.lobby.pk)
        answer = await socket.ask(command="join", room=rooms.random.pk)
        assert (answer["error"], answer["room"], answer["retry_after"]) == ("RATE_LIMITED", str(rooms.random.pk), 60)
        assert (await socket.ask(command="join", room=rooms.lobby.pk))["join"] == str(rooms.lobby.pk)
        cursors = {str(room.pk): {"since": 0} for room in rooms[:2]}
        assert (await socket.ask(command="resume", rooms=cursors))["error"] == "RATE_LIMITED"
        await socket.send(command="leave", room=rooms.lobby.pk)
        await socket.until(lambda frame: "leave" in frame)
        assert "join" in await socket.ask(command="join", room=rooms.random.pk)


async def test_too_many_anonymous_sockets_are_closed_and_users_still_connect(bob, limit):
    limit(UNAUTHENTICATED_SOCKETS=1)
    async with connected() as anonymous:
        assert (await anonymous.ask(command="ping"))["error"] == "USER_HAS_TO_LOGIN"
        # The first socket does not answer the close and stays open.
        async with connected() as second:
            assert (await second.next())["error"] == "SERVER_UNAVAILABLE"
            assert await second.next() is None
            assert second.closed == 1013
    async with connected(bob) as socket:
        assert await socket.ask(command="ping") == {"pong": True}


async def refused(client):
    communicator = handshake()
    communicator.scope["client"] = client
    communicator.scope["extensions"] = {"websocket.http.response": {}}
    await communicator.send_input({"type": "websocket.connect"})
    answer = await communicator.receive_output(5)
    if answer["type"] == "websocket.accept":
        await communicator.disconnect(timeout=5)
        await communicator.wait(5)
        return None
    await communicator.receive_output(5)
    await communicator.wait(5)
    return answer["status"], dict(answer["headers"])[b"retry-after"]


async def test_handshakes_from_an_address_are_rate_limited(clock, limit):
    limit(HANDSHAKES_AT_ONCE=3, HANDSHAKES_PER_SECOND=1)
    here, there = ("192.0.2.1", 5), ("192.0.2.2", 5)
    assert [await refused(here) for _ in range(4)] == [None, None, None, (429, b"2")]
    assert await refused(there) is None
    clock.now += 1
    assert await refused(here) is None


async def test_the_anonymous_sockets_of_an_address_are_limited(bob, limit):
    limit(SOCKETS_PER_ADDRESS=1)
    assert limits.sockets_of_address.acquire("192.0.2.1")
    assert await refused(("192.0.2.1", 5)) == (429, b"11")
    assert await refused(("192.0.2.2", 5)) is None
    limits.sockets_of_address.release("192.0.2.1")
    assert await refused(("192.0.2.1", 5)) is None


async def test_a_signed_in_socket_does_not_count_for_its_address(bob, limit):
    limit(SOCKETS_PER_ADDRESS=1)
    address = ("192.0.2.1", 5)
    cookie = await database.write(cookie_of, bob)
    communicator = handshake(cookie=cookie)
    communicator.scope["client"] = address
    assert (await communicator.connect(5))[0]
    await communicator.send_input({"type": "websocket.receive", "text": '{"command":"ping"}'})
    await communicator.receive_output(5)
    # Another client behind the same address may connect. Only sockets that are not signed in count.
    assert await refused(address) is None
    assert limits.sockets_of_address.acquire("192.0.2.1")
    assert await refused(address) == (429, b"11")
    limits.sockets_of_address.release("192.0.2.1")
    await communicator.disconnect(timeout=5)
    await communicator.wait(5)
    assert limits.sockets_of_address._count == {}
    await database.close()


async def test_closed_sockets_are_no_longer_counted(bob):
    async with connected(bob), connected():
        pass
    for ceiling in (limits.sockets_of_user, limits.sockets_of_address, limits.unauthenticated):
        assert ceiling._count == {}
    assert hub.running() is None
