"""The most expensive frames of each command, and the most that one of them may cost: a table for tests of any size.

A new command needs an entry: tests/test_hostile_frames.py fails without one.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

FLAG = "\U0001f1e9"
# The room that tests prepare has this many messages, one of which was edited this often.
MESSAGES, EDITS = 300, 200


class FrameContext(NamedTuple):
    """What the frames refer to: a room that the sender has joined, others that they may enter, an edited message."""

    room: str
    others: list[str]
    edited_seq: int


class HostileFrame(NamedTuple):
    """A kind of frame, and the most that one may cost: the loop's CPU time, queries, and their parameters.

    The times are about three times what was measured, so that the tests also pass on a busy machine.
    """

    name: str
    # Its tag in chat.protocol; None if the frame is not a command.
    command: str | None
    # Returns frame number n.
    frame: Callable[[FrameContext, int], str]
    times: int = 20
    milliseconds: float = 3.0
    queries: float = 1.0
    parameters: float = 20.0

    def frames(self, context: FrameContext) -> Iterator[str]:
        return (self.frame(context, number) for number in range(self.times))


def command(tag, **fields):
    return json.dumps({"command": tag, **fields}, ensure_ascii=False)


def send(text):
    """Return the function that makes an entry's frames: messages with this text."""
    return lambda context, n: command("send", room=context.room, message=text, client_id=str(uuid.uuid4()))


def edit(text):
    return lambda context, n: command(
        "edit", room=context.room, seq=context.edited_seq, message=text, client_id=str(uuid.uuid4())
    )


def history(**fields):
    return lambda context, n: command("history", room=context.room, **fields)


def room_command(tag, **fields):
    return lambda context, n: command(tag, room=context.room, **fields)


def join_and_leave(**fields):
    """Return a function that makes frames that join and leave, in turn."""

    def frame(context, n):
        return command("leave", room=context.others[0]) if n % 2 else command("join", room=context.others[0], **fields)

    return frame


def rooms_of(count):
    return {str(number): {"since": 0, "epoch": "x" * 8} for number in range(10**6, 10**6 + count)}


def fixed(text):
    return lambda context, n: text


# Writing a draft takes queries for its room, client_id, login, user, event, mentions, head and target.
WRITE: Any = {"queries": 16.0, "parameters": 120.0}

TABLE = [
    HostileFrame("join and leave", "join", join_and_leave(), queries=14, parameters=60),
    HostileFrame(
        "join from the beginning and leave", "join", join_and_leave(since=0), milliseconds=6, queries=16, parameters=60
    ),
    HostileFrame("join repeatedly", "join", room_command("join"), queries=5),
    HostileFrame(
        "join from far back, repeatedly",
        "join",
        room_command("join", since=1),
        milliseconds=20,
        queries=12,
        parameters=60,
    ),
    HostileFrame(
        "join from a number of 4,000 digits",
        "join",
        fixed('{"command":"join","room":1,"since":' + "9" * 4000 + "}"),
        queries=5,
    ),
    HostileFrame(
        "join of an epoch of 60,000 characters", "join", room_command("join", since=0, epoch="x" * 60_000), queries=0
    ),
    HostileFrame(
        "join of rooms that do not exist", "join", lambda context, n: command("join", room=10**9 + n), queries=5
    ),
    HostileFrame(
        "leave rooms that were never joined", "leave", lambda context, n: command("leave", room=10**9 + n), queries=0
    ),
    HostileFrame("send an endless name", "send", send("@x" + ".@+-" * 999), **WRITE),
    HostileFrame(
        "send as many names as fit",
        "send",
        send(" ".join(f"@{n:x}." for n in range(700))),
        **WRITE | {"parameters": 220},
    ),
    HostileFrame("send at signs", "send", send("@" * 3999), **WRITE),
    HostileFrame("send 8,000 flags", "send", send(FLAG * 8000), milliseconds=10, **WRITE),
    HostileFrame("send flags between letters", "send", send((FLAG * 7 + "a") * 1000), milliseconds=10, **WRITE),
    HostileFrame("send one character of 16,000 marks", "send", send("a" + "\u0301" * 16_000), milliseconds=6, **WRITE),
    HostileFrame("send joined emoji", "send", send("👩\u200d" * 4600), milliseconds=6, **WRITE),
    HostileFrame("send control characters", "send", send("\x01" * 4000), milliseconds=6, **WRITE),
    HostileFrame("send one character too many", "send", send("x" * 4001), milliseconds=8, queries=0),
    HostileFrame("send flags, one too many", "send", send(FLAG * 8001), milliseconds=10, queries=0),
    HostileFrame("send only invisible characters", "send", send("\u200b" * 10_000), queries=0),
    HostileFrame("send more than a message may hold", "send", send("x" * 60_000), queries=0),
    HostileFrame(
        "send a type of 4,000 digits",
        "send",
        fixed('{"command":"send","room":1,"message":"x","msg_type":' + "9" * 4000 + "}"),
        queries=0,
    ),
    HostileFrame(
        "send the same message again",
        "send",
        lambda context, n: command("send", room=context.room, message="again", client_id=str(uuid.UUID(int=7))),
        **WRITE,
    ),
    HostileFrame(
        "send files that do not exist",
        "send",
        lambda context, n: command(
            "send", room=context.room, message="x", files=[str(uuid.uuid4()) for _ in range(10)]
        ),
        **WRITE,
    ),
    HostileFrame(
        "send more files than a message may have",
        "send",
        room_command("send", message="x", files=[str(uuid.UUID(int=n)) for n in range(1500)]),
        milliseconds=6,
        queries=0,
    ),
    HostileFrame("edit a message that was edited often", "edit", edit("@x" + ".@+-" * 999), **WRITE),
    HostileFrame("edit with flags", "edit", edit(FLAG * 8000), milliseconds=10, **WRITE),
    HostileFrame("edit a message that does not exist", "edit", room_command("edit", seq=2**62, message="x"), **WRITE),
    HostileFrame(
        "delete a message that was edited often",
        "delete",
        lambda context, n: command("delete", room=context.room, seq=context.edited_seq),
        **WRITE,
    ),
    HostileFrame("delete a message that does not exist", "delete", room_command("delete", seq=2**62), **WRITE),
    HostileFrame(
        "react and take it back",
        "react",
        lambda context, n: command("react", room=context.room, seq=context.edited_seq, emoji="👍", on=not n % 2),
        **WRITE,
    ),
    HostileFrame(
        "react with another emoji each time",
        "react",
        lambda context, n: command("react", room=context.room, seq=context.edited_seq, emoji=chr(0x1F600 + n)),
        **WRITE,
    ),
    HostileFrame(
        "react with 64 code points",
        "react",
        room_command("react", seq=1, emoji="👩" + "\u200d👩" * 31 + "\u200d"),
        queries=0,
    ),
    HostileFrame(
        "react to a message that does not exist", "react", room_command("react", seq=2**62, emoji="👍"), **WRITE
    ),
    HostileFrame("confirm an alert again and again", "confirm", room_command("confirm", seq=2), **WRITE),
    HostileFrame("confirm an alert that does not exist", "confirm", room_command("confirm", seq=2**62), **WRITE),
    HostileFrame(
        "confirm in rooms that do not exist",
        "confirm",
        lambda context, n: command("confirm", room=10**9 + n, seq=1),
        **WRITE,
    ),
    HostileFrame("end an alert again and again", "resolve", room_command("resolve", seq=2), **WRITE),
    HostileFrame(
        "resume 60 rooms that do not exist",
        "resume",
        lambda context, n: command("resume", rooms=rooms_of(60)),
        times=3,
        milliseconds=40,
        queries=8,
        parameters=400,
    ),
    HostileFrame(
        "resume more rooms than a page holds",
        "resume",
        lambda context, n: command("resume", rooms=rooms_of(900)),
        milliseconds=10,
        queries=0,
    ),
    HostileFrame(
        "resume more rooms than a frame may name",
        "resume",
        fixed('{"command":"resume","rooms":{' + ",".join(f'"{n}":{{"since":0}}' for n in range(3400)) + "}}"),
        milliseconds=12,
        queries=0,
    ),
    HostileFrame(
        "resume the same rooms repeatedly",
        "resume",
        lambda context, n: command("resume", rooms={room: {"since": 0} for room in context.others}),
        milliseconds=40,
        queries=40,
        parameters=200,
    ),
    HostileFrame(
        "history with a huge limit", "history", history(limit=10**6), milliseconds=6, queries=9, parameters=60
    ),
    HostileFrame(
        "history around the middle",
        "history",
        history(around=MESSAGES // 2, limit=100),
        milliseconds=6,
        queries=11,
        parameters=60,
    ),
    HostileFrame(
        "history from the far future",
        "history",
        history(**{"from": "2999-01-01T00:00:00Z"}),
        queries=32,
        parameters=160,
    ),
    HostileFrame(
        "history from the earliest time",
        "history",
        history(**{"from": "0001-01-01T00:00:00+14:00"}),
        milliseconds=6,
        queries=32,
        parameters=160,
    ),
    HostileFrame("history after the largest number", "history", history(after=2**63 - 1), queries=8),
    HostileFrame("history before the first message", "history", history(before=0), queries=8),
    HostileFrame("history with an invalid limit", "history", history(limit=-1), queries=0),
    HostileFrame("people of any name", "people", room_command("people"), milliseconds=6, queries=11, parameters=120),
    HostileFrame(
        "people of the longest name",
        "people",
        room_command("people", prefix="\ufdfa" * 150),
        milliseconds=6,
        queries=9,
        parameters=60,
    ),
    HostileFrame("watch repeatedly", "watch", fixed(command("watch")), milliseconds=6, queries=10, parameters=60),
    HostileFrame(
        "read message by message",
        "read",
        lambda context, n: command("read", room=context.room, seq=n),
        milliseconds=4,
        queries=16,
        parameters=80,
    ),
    HostileFrame(
        "read forwards and backwards",
        "read",
        lambda context, n: command("read", room=context.room, seq=n % 2, back=True),
        milliseconds=4,
        queries=16,
        parameters=80,
    ),
    HostileFrame(
        "read to the largest number",
        "read",
        room_command("read", seq=2**63 - 1),
        milliseconds=4,
        queries=16,
        parameters=80,
    ),
    HostileFrame(
        "everything older read",
        "read_older",
        # Every second one has something to do.
        lambda context, n: (
            command("read", room=context.room, seq=0, back=True)
            if n % 2
            else command("read_older", before="9999-12-31T23:59:59Z")
        ),
        milliseconds=8,
        queries=16,
        parameters=80,
    ),
    HostileFrame(
        "level that changes each time",
        "level",
        lambda context, n: command("level", room=context.room, level=("all", "mentions", "quiet")[n % 3]),
        milliseconds=4,
        queries=12,
        parameters=80,
    ),
    HostileFrame(
        "notify of a later message each time",
        "notify",
        lambda context, n: command("notify", room=context.room, seq=n),
        milliseconds=4,
        queries=6,
    ),
    HostileFrame(
        "layout of 32,700 rooms",
        "layout",
        fixed('{"command":"layout","rooms":[' + ",".join(["1"] * 32_700) + "]}"),
        milliseconds=8,
        queries=0,
    ),
    HostileFrame(
        "layout of as many rooms as a frame may name",
        "layout",
        fixed(command("layout", rooms=list(range(10**6, 10**6 + 1000)))),
        milliseconds=6,
        queries=14,
        parameters=140,
    ),
    HostileFrame(
        "layout with as many shapes as a frame may name",
        "layout",
        fixed(
            command(
                "layout", shapes=[{"room": room, "width": 150, "below": True, "height": 60} for room in range(1000)]
            )
        ),
        milliseconds=8,
        queries=14,
        parameters=140,
    ),
    HostileFrame(
        "layout of empty lists",
        "layout",
        fixed('{"command":"layout","rooms":[' + ",".join(["[]"] * 21_000) + "]}"),
        milliseconds=8,
        queries=0,
    ),
    HostileFrame(
        "layout that changes each time",
        "layout",
        lambda context, n: command("layout", rooms=[*context.others[n % 5 :], context.room]),
        milliseconds=4,
        queries=16,
        parameters=400,
    ),
    HostileFrame(
        "send a quote of a message that does not exist",
        "send",
        lambda context, n: command("send", room=context.room, message="x", source={"room": 10**9 + n, "seq": 2**62}),
        **WRITE,
    ),
    HostileFrame(
        "quote as many messages as a frame may name",
        "quote",
        lambda context, n: command("quote", room=context.others[0], seqs=list(range(1 + n, 51 + n))),
        milliseconds=6,
        queries=10,
        parameters=100,
    ),
    HostileFrame(
        "quote more messages than a frame may name",
        "quote",
        room_command("quote", seqs=list(range(10_000))),
        milliseconds=6,
        queries=0,
    ),
    HostileFrame(
        "quote the same message often",
        "quote",
        room_command("quote", seqs=[1] * 50),
        milliseconds=6,
        queries=8,
        parameters=60,
    ),
    HostileFrame(
        "send mentions of all users",
        "send",
        send("@all @here " * 300),
        **WRITE | {"queries": 20.0},
    ),
    HostileFrame("mentions again and again", "mentions", fixed(command("mentions")), queries=12, parameters=100),
    HostileFrame(
        "mentions with a huge limit", "mentions", fixed(command("mentions", limit=10**9)), queries=12, parameters=100
    ),
    HostileFrame(
        "copies that do not exist",
        "copies",
        lambda context, n: command("copies", across=str(uuid.UUID(int=n))),
        queries=6,
        parameters=40,
    ),
    HostileFrame(
        "copies for rooms that were never joined",
        "send",
        lambda context, n: command(
            "send", room=10**9 + n, message="x", across=str(uuid.UUID(int=n)), client_id=str(uuid.uuid4())
        ),
        **WRITE,
    ),
    HostileFrame(
        "users who do not exist",
        "users",
        lambda context, n: command("users", names=[f"{n} {name}" for name in range(200)]),
        milliseconds=6,
        queries=3,
        parameters=450,
    ),
    HostileFrame(
        "the same user 200 times", "users", fixed(command("users", names=["bob"] * 200)), queries=3, parameters=450
    ),
    HostileFrame("type without a pause", "typing", room_command("typing"), queries=0),
    HostileFrame(
        "type in rooms that were never joined",
        "typing",
        lambda context, n: command("typing", room=10**9 + n),
        queries=0,
    ),
    HostileFrame(
        "ping with a large unknown field", "ping", lambda context, n: command("ping", other="x" * 60_000), queries=0
    ),
    HostileFrame("brackets", None, fixed("[" * 60_000), milliseconds=6, queries=0),
    HostileFrame(
        "brackets in a field", None, fixed('{"command":"join","room":' + "[" * 60_000), milliseconds=6, queries=0
    ),
    HostileFrame("quotes", None, fixed('"' * 60_000), milliseconds=6, queries=0),
    HostileFrame("backslashes", None, fixed('{"command":"' + "\\\\" * 30_000 + '"}'), milliseconds=6, queries=0),
    HostileFrame(
        "many keys", None, fixed("{" + ",".join(f'"k{n}":0' for n in range(6000)) + "}"), milliseconds=6, queries=0
    ),
    HostileFrame(
        "the same key many times",
        None,
        fixed('{"command":"ping"' + ',"room":[[]]' * 5000 + ',"command":"x"}'),
        milliseconds=12,
        queries=0,
    ),
    HostileFrame(
        "a number of 60,000 digits",
        None,
        fixed('{"command":"history","room":1,"limit":' + "9" * 60_000 + "}"),
        milliseconds=6,
        queries=0,
    ),
    HostileFrame(
        "escapes",
        None,
        fixed('{"command":"send","room":"1","message":"' + "\\ud83c\\udde9" * 5000 + '\\ud800"}'),
        milliseconds=6,
        queries=0,
    ),
    HostileFrame("a frame above the size limit", None, fixed("x" * 500_000), milliseconds=6, queries=0),
]
