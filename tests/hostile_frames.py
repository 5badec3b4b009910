"""The dearest frames of each command, and what one of them may cost: a table for tests of every size.

A new command needs an entry: tests/test_hostile_frames.py fails without one.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

FLAG = "\U0001f1e9"
# Numbers that a message has in the room that tests prepare: `messages` of them, of which one was edited `edits` times.
MESSAGES, EDITS = 300, 200


class Place(NamedTuple):
    """Where the frames are sent: a room that the sender has joined, and others that they may enter."""

    room: str
    others: list[str]
    edited: int


class Hostile(NamedTuple):
    """Frames, and what each of them may cost: the loop's processor time, queries, and their parameters.

    The times are some three times what was measured, so that a machine that does other work passes too.
    """

    name: str
    # Its tag in chat.protocol; none: it is no command.
    command: str | None
    # Returns frame number n.
    frame: Callable[[Place, int], str]
    times: int = 20
    milliseconds: float = 3.0
    queries: float = 1.0
    parameters: float = 20.0

    def frames(self, place: Place) -> Iterator[str]:
        return (self.frame(place, number) for number in range(self.times))


def command(tag, **fields):
    return json.dumps({"command": tag, **fields}, ensure_ascii=False)


def send(text):
    """Return an entry's frame: a message with this text."""
    return lambda place, n: command("send", room=place.room, message=text, client_id=str(uuid.uuid4()))


def edit(text):
    return lambda place, n: command(
        "edit", room=place.room, seq=place.edited, message=text, client_id=str(uuid.uuid4())
    )


def history(**fields):
    return lambda place, n: command("history", room=place.room, **fields)


def of_room(tag, **fields):
    return lambda place, n: command(tag, room=place.room, **fields)


def join_and_leave(**fields):
    """Return a frame that joins and one that leaves, in turn."""

    def frame(place, n):
        return command("leave", room=place.others[0]) if n % 2 else command("join", room=place.others[0], **fields)

    return frame


def rooms_of(count):
    return {str(number): {"since": 0, "epoch": "x" * 8} for number in range(10**6, 10**6 + count)}


def plain(text):
    return lambda place, n: text


# A draft is written with others: its room, what is known of its client_id, login, user, event, mentions, head, target.
WRITE: Any = {"queries": 16.0, "parameters": 120.0}

TABLE = [
    Hostile("join and leave", "join", join_and_leave(), queries=14, parameters=60),
    Hostile(
        "join from the beginning and leave", "join", join_and_leave(since=0), milliseconds=6, queries=16, parameters=60
    ),
    Hostile("join again and again", "join", of_room("join"), queries=5),
    Hostile("join from far back again and again", "join", of_room("join", since=1), milliseconds=20, queries=12),
    Hostile(
        "join from a number of 4,000 digits",
        "join",
        plain('{"command":"join","room":1,"since":' + "9" * 4000 + "}"),
        queries=5,
    ),
    Hostile("join of an epoch of 60,000 characters", "join", of_room("join", since=0, epoch="x" * 60_000), queries=0),
    Hostile("join of rooms that do not exist", "join", lambda place, n: command("join", room=10**9 + n), queries=5),
    Hostile("leave what was never joined", "leave", lambda place, n: command("leave", room=10**9 + n), queries=0),
    Hostile("send a name without end", "send", send("@x" + ".@+-" * 999), **WRITE),
    Hostile(
        "send as many names as go in",
        "send",
        send(" ".join(f"@{n:x}." for n in range(700))),
        **WRITE | {"parameters": 220},
    ),
    Hostile("send at signs", "send", send("@" * 3999), **WRITE),
    Hostile("send 8,000 flags", "send", send(FLAG * 8000), milliseconds=10, **WRITE),
    Hostile("send flags between letters", "send", send((FLAG * 7 + "a") * 1000), milliseconds=10, **WRITE),
    Hostile("send one character of 16,000 marks", "send", send("a" + "\u0301" * 16_000), milliseconds=6, **WRITE),
    Hostile("send joined emoji", "send", send("👩\u200d" * 4600), milliseconds=6, **WRITE),
    Hostile("send control characters", "send", send("\x01" * 4000), milliseconds=6, **WRITE),
    Hostile("send one character too many", "send", send("x" * 4001), milliseconds=8, queries=0),
    Hostile("send flags, one too many", "send", send(FLAG * 8001), milliseconds=10, queries=0),
    Hostile("send nothing that shows", "send", send("\u200b" * 10_000), queries=0),
    Hostile("send what is larger than a message", "send", send("x" * 60_000), queries=0),
    Hostile(
        "send a type of 4,000 digits",
        "send",
        plain('{"command":"send","room":1,"message":"x","msg_type":' + "9" * 4000 + "}"),
        queries=0,
    ),
    Hostile(
        "send the same again",
        "send",
        lambda place, n: command("send", room=place.room, message="again", client_id=str(uuid.UUID(int=7))),
        **WRITE,
    ),
    Hostile("edit a message that was edited often", "edit", edit("@x" + ".@+-" * 999), **WRITE),
    Hostile("edit with flags", "edit", edit(FLAG * 8000), milliseconds=10, **WRITE),
    Hostile("edit what is not there", "edit", of_room("edit", seq=2**62, message="x"), **WRITE),
    Hostile(
        "delete a message that was edited often",
        "delete",
        lambda place, n: command("delete", room=place.room, seq=place.edited),
        **WRITE,
    ),
    Hostile("delete what is not there", "delete", of_room("delete", seq=2**62), **WRITE),
    Hostile(
        "resume 60 rooms that do not exist",
        "resume",
        lambda place, n: command("resume", rooms=rooms_of(60)),
        times=3,
        milliseconds=40,
        queries=8,
        parameters=400,
    ),
    Hostile(
        "resume more rooms than a page holds",
        "resume",
        lambda place, n: command("resume", rooms=rooms_of(900)),
        milliseconds=10,
        queries=0,
    ),
    Hostile(
        "resume more rooms than a frame may name",
        "resume",
        plain('{"command":"resume","rooms":{' + ",".join(f'"{n}":{{"since":0}}' for n in range(3400)) + "}}"),
        milliseconds=12,
        queries=0,
    ),
    Hostile(
        "resume the same rooms again and again",
        "resume",
        lambda place, n: command("resume", rooms={room: {"since": 0} for room in place.others}),
        milliseconds=40,
        queries=40,
        parameters=200,
    ),
    Hostile("history, as long as it gets", "history", history(limit=10**6), milliseconds=6, queries=9, parameters=60),
    Hostile(
        "history around the middle",
        "history",
        history(around=MESSAGES // 2, limit=100),
        milliseconds=6,
        queries=11,
        parameters=60,
    ),
    Hostile(
        "history from the far future",
        "history",
        history(**{"from": "2999-01-01T00:00:00Z"}),
        queries=32,
        parameters=160,
    ),
    Hostile(
        "history from the edge of time",
        "history",
        history(**{"from": "0001-01-01T00:00:00+14:00"}),
        milliseconds=6,
        queries=32,
        parameters=160,
    ),
    Hostile("history after the last there can be", "history", history(after=2**63 - 1), queries=8),
    Hostile("history before the first", "history", history(before=0), queries=8),
    Hostile("history of a wrong limit", "history", history(limit=-1), queries=0),
    Hostile("watch again and again", "watch", plain(command("watch")), milliseconds=6, queries=10, parameters=60),
    Hostile(
        "read on and on",
        "read",
        lambda place, n: command("read", room=place.room, seq=n),
        milliseconds=4,
        queries=16,
        parameters=80,
    ),
    Hostile(
        "read to and fro",
        "read",
        lambda place, n: command("read", room=place.room, seq=n % 2, back=True),
        milliseconds=4,
        queries=16,
        parameters=80,
    ),
    Hostile(
        "read to the end of numbers", "read", of_room("read", seq=2**63 - 1), milliseconds=4, queries=16, parameters=80
    ),
    Hostile(
        "layout of 32,700 rooms",
        "layout",
        plain('{"command":"layout","rooms":[' + ",".join(["1"] * 32_700) + "]}"),
        milliseconds=8,
        queries=0,
    ),
    Hostile(
        "layout of as many rooms as a frame may name",
        "layout",
        plain(command("layout", rooms=list(range(10**6, 10**6 + 1000)))),
        milliseconds=6,
        queries=14,
        parameters=140,
    ),
    Hostile(
        "layout of empty lists",
        "layout",
        plain('{"command":"layout","rooms":[' + ",".join(["[]"] * 21_000) + "]}"),
        milliseconds=8,
        queries=0,
    ),
    Hostile(
        "layout that changes each time",
        "layout",
        lambda place, n: command("layout", rooms=[*place.others[n % 5 :], place.room]),
        milliseconds=4,
        queries=16,
        parameters=400,
    ),
    Hostile("ping with luggage", "ping", lambda place, n: command("ping", other="x" * 60_000), queries=0),
    Hostile("brackets", None, plain("[" * 60_000), milliseconds=6, queries=0),
    Hostile("brackets in a field", None, plain('{"command":"join","room":' + "[" * 60_000), milliseconds=6, queries=0),
    Hostile("quotes", None, plain('"' * 60_000), milliseconds=6, queries=0),
    Hostile("backslashes", None, plain('{"command":"' + "\\\\" * 30_000 + '"}'), milliseconds=6, queries=0),
    Hostile(
        "many keys", None, plain("{" + ",".join(f'"k{n}":0' for n in range(6000)) + "}"), milliseconds=6, queries=0
    ),
    Hostile(
        "the same key again and again",
        None,
        plain('{"command":"ping"' + ',"room":[[]]' * 5000 + ',"command":"x"}'),
        milliseconds=12,
        queries=0,
    ),
    Hostile(
        "a number of 60,000 digits",
        None,
        plain('{"command":"history","room":1,"limit":' + "9" * 60_000 + "}"),
        milliseconds=6,
        queries=0,
    ),
    Hostile(
        "escapes",
        None,
        plain('{"command":"send","room":"1","message":"' + "\\ud83c\\udde9" * 5000 + '\\ud800"}'),
        milliseconds=6,
        queries=0,
    ),
    Hostile("more than a frame may hold", None, plain("x" * 500_000), milliseconds=6, queries=0),
]
