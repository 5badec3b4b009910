"""The most expensive frames of every command cost no more CPU time of the loop, queries and parameters than allowed."""

import asyncio
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from django.db.backends.signals import connection_created

from chat import protocol
from chat.live import hub, writer
from chat.models import Event, Room
from chat.store import actions
from chat.store.actions import Draft
from chat.store.log import Kind
from tests.copies import copy_event
from tests.hostile_frames import EDITS, MESSAGES, TABLE, FrameContext
from tests.servers.quantities import IS_FULL
from tests.sockets import connected

pytestmark = pytest.mark.django_db(transaction=True)

# How often each frame is sent.
TIMES = 20 if IS_FULL else 6
# Frames of one command share a room, because making it takes as long as sending them.
COMMANDS = list(dict.fromkeys(hostile.command for hostile in TABLE))


@pytest.fixture
def frame_context(rooms, bob, settings):
    """A room with many messages, one of which was edited often, and ten more rooms."""
    # No periodic task queries the database meanwhile, and no rate limit refuses a frame.
    settings.SWEEP_SECONDS = settings.SWEEP_DEGRADED_SECONDS = settings.LEASE_RENEW_SECONDS = 60
    settings.ACCESS_CHECK_SECONDS = 60
    settings.GRACE_SECONDS = 0
    settings.LIMITS = {"JSON_DEPTH": 8, "ROOMS_PER_SOCKET": 64}
    others = [Room.objects.create(title=f"Other {number}") for number in range(10)]
    for room in (rooms.lobby, others[0]):
        room.send_message("hi", bob)
        copy_event(Event.objects.get(room=room), 2, MESSAGES, client_id="NULL")
        Event.objects.filter(room=room, seq=2).update(msg_type=2)
        _set_head(room, MESSAGES)
    # The last edit overtakes the first one. The others are copies of the first, which has no text any more.
    edit = {"room": rooms.lobby.pk, "author": bob.pk, "kind": Kind.EDITED, "target_seq": 1}
    actions.commit([Draft(**edit, body="one")])
    _set_head(rooms.lobby, MESSAGES + EDITS - 1)
    actions.commit([Draft(**edit, body="two")])
    overtaken = Event.objects.get(room=rooms.lobby, seq=MESSAGES + 1)
    copy_event(overtaken, MESSAGES + 2, MESSAGES + EDITS - 1, client_id="NULL")
    return FrameContext(str(rooms.lobby.pk), [str(room.pk) for room in others], edited_seq=1)


def _set_head(room, seq):
    Room.objects.filter(pk=room.pk).update(head_seq=seq)


@contextmanager
def counted():
    """Count the queries and parameters of connections that are made meanwhile, in any thread."""
    counts = Counter()

    def count(execute, sql, params, many, context):
        if not sql.startswith(("PRAGMA", "SAVEPOINT", "RELEASE", "BEGIN", "SET ")):
            rows = params if many else [params or ()]
            # PostgreSQL gets several statements as one text, and many values as one array.
            counts["queries"] += sql.count(";\n") + 1
            counts["parameters"] += sum(count_values(value) for row in rows for value in row)
        return execute(sql, params, many, context)

    def wrap(connection, **kwargs):
        # The first one, because the job that connects takes away the last one when it ends.
        connection.execute_wrappers.insert(0, count)

    connection_created.connect(wrap)
    try:
        yield counts
    finally:
        connection_created.disconnect(wrap)


def count_values(parameter):
    """Return how many values a parameter has: an array has several."""
    if isinstance(parameter, str) and parameter.startswith("{"):
        return parameter.count(",") + 1
    return len(parameter) if isinstance(parameter, list) else 1


async def settle(socket):
    """Wait until all commands are done and answered; return the frames."""
    frames = await socket.rest()
    await writer.flush()
    return frames + await socket.rest()


async def cost_of(socket, frames):
    """Send frames one after another, so that each pays its own cost; return the CPU milliseconds per frame.

    None sends nothing: what is left is the cost of waiting until a frame is done.
    """
    start = time.thread_time()
    for text in frames:
        if text is not None:
            await socket.send_text(text)
        await settle(socket)
    return 1000 * (time.thread_time() - start) / len(frames)


@pytest.mark.parametrize("command", COMMANDS)
async def test_the_most_expensive_frames_stay_within_their_limits(command, frame_context, bob):
    # Debug mode is expensive, because it keeps a stack for every callback.
    asyncio.get_running_loop().set_debug(False)
    with counted() as counts:
        # Frames of one command share a socket too, because what connecting costs is not the question.
        async with connected(bob) as socket:
            await socket.ask(command="join", room=frame_context.room)
            await settle(socket)
            control = await cost_of(socket, [None] * TIMES)
            for hostile in (hostile for hostile in TABLE if hostile.command == command):
                counts.clear()
                frames = list(hostile.frames(frame_context))[:TIMES]
                milliseconds = await cost_of(socket, frames) - control
                # What is written later counts as well.
                await hub.flush()
                if hostile.name == "history with a huge limit":
                    assert counts["queries"] > 2 * len(frames), "the queries of each frame are counted"
                # The rest is for the hub's own queries.
                assert counts["queries"] <= (hostile.queries + 2.5) * len(frames), hostile.name
                assert counts["parameters"] <= (hostile.parameters + 10) * len(frames), hostile.name
                # Allow for other programs on the machine; a cost that matters is many times as high.
                assert milliseconds < 3 * hostile.milliseconds, hostile.name


LARGEST = protocol.MAX_ID
# A command for each field that takes the number of an event.
WITH_THE_LARGEST_NUMBER = [
    *({"command": name, "seq": LARGEST} for name in ("delete", "confirm", "resolve", "read", "notify")),
    {"command": "edit", "seq": LARGEST, "message": "x"},
    {"command": "react", "seq": LARGEST, "emoji": "👍"},
    {"command": "notify", "seq": LARGEST, "after": LARGEST},
    {"command": "quote", "seqs": [LARGEST]},
    {"command": "mentions", "before": LARGEST},
    *({"command": "history", side: LARGEST} for side in ("before", "after", "around")),
    {"command": "join", "since": LARGEST},
    {"command": "send", "message": "x", "reply_to": LARGEST},
]


async def test_no_number_of_an_event_is_too_large_for_the_database(bob, rooms):
    room = str(rooms.lobby.pk)
    async with connected(bob) as socket:
        await socket.ask(command="join", room=room)
        for fields in [*WITH_THE_LARGEST_NUMBER, {"command": "resume", "rooms": {room: {"since": LARGEST}}}]:
            await socket.send(**{"room": room} | fields)
            answers = [str(frame) for frame in await settle(socket)]
            assert "SERVER_UNAVAILABLE" not in "".join(answers), (fields, answers)
            if fields["command"] not in ("read", "resolve"):
                assert answers, fields


def test_every_command_has_an_entry():
    tags = {kind.__struct_config__.tag for kind in protocol.AnyCommand.__args__}
    assert {hostile.command for hostile in TABLE} == tags | {None}


@pytest.mark.parametrize("hostile", TABLE, ids=lambda hostile: hostile.name)
def test_an_entrys_frame_has_its_command_and_a_unique_name(hostile):
    text = next(hostile.frames(FrameContext("1", ["2"], 1)))
    assert (
        hostile.command is None or f'"command": "{hostile.command}"' in text or f'"command":"{hostile.command}"' in text
    )
    assert len({hostile.name for hostile in TABLE}) == len(TABLE)
