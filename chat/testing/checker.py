"""Checks a recorded run against Multichat's promises: acknowledged messages are saved, shown once, and in order."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from chat.testing.recording import Recording, Row, Seen, Sent

# The commands that change a message, by the key of their events that names it.
CHANGES = {
    "edited": "edit",
    "deleted": "delete",
    "reacted": "react",
    "confirmed": "confirm",
    "resolved": "resolve",
}
HAVE_TEXT = ("send", "edit", "react")
# Those that change nothing when they are repeated.
REPEATABLE = ("react", "confirm", "resolve")


def check(run: Recording) -> list[str]:
    """Return a sentence for each violation in the run; an empty list means that every promise was kept."""
    return [wrong for judge in _JUDGES for wrong in judge(run)]


def kind_of(event: dict[str, Any]) -> str:
    """Return the command that makes such an event."""
    if "message" in event:
        return "edit" if "edited" in event else "send"
    return next(kind for key, kind in CHANGES.items() if key in event)


def _target(event: dict[str, Any]) -> int | None:
    return next((event[key] for key in CHANGES if key in event and kind_of(event) != "send"), None)


def _committed(run: Recording) -> dict[str, list[Row]]:
    by_id: dict[str, list[Row]] = defaultdict(list)
    for row in run.rows:
        if row.client_id is not None:
            by_id[row.client_id].append(row)
    return by_id


def acknowledged_is_saved_and_seen(run: Recording) -> Iterator[str]:
    """I1: every acknowledged command is in the database, at its seq, and in every log that covers this seq."""
    saved = _committed(run)
    rows = {(row.room, row.seq): row for row in run.rows}
    shown: dict[str, dict[str, int]] = {
        f"{seen.client}/{seen.room}": {event.get("client_id", ""): event["seq"] for event in seen.events}
        for seen in run.seen
    }
    for sent in run.sent:
        if sent.acked is None:
            continue
        if len(set(sent.seqs)) != 1:
            yield f"I1 {sent.client_id} was acknowledged as {sorted(set(sent.seqs))}"
            continue
        seq = sent.seqs[0]
        if sent.client_id not in saved and _is_repeated(sent, rows.get((sent.room, seq))):
            continue
        if [(row.room, row.seq) for row in saved.get(sent.client_id, [])] != [(sent.room, seq)]:
            yield f"I1 {sent.client_id} was acknowledged as {seq} in room {sent.room} but is not there in the database"
        for seen in run.seen:
            if seen.room == sent.room and seen.to_the_end and seen.base < seq:
                shown_seq = shown[f"{seen.client}/{seen.room}"].get(sent.client_id)
                if shown_seq != seq:
                    yield f"I1 {sent.client_id}, acknowledged as {seq}, is {shown_seq} at {seen.client}"


def _is_repeated(sent: Sent, row: Row | None) -> bool:
    """Tell whether a row is the event that had brought about already what a command asks for."""
    if sent.kind not in REPEATABLE or row is None:
        return False
    if sent.is_on is False and row.seq == sent.target:
        return True  # A reaction that was never given was taken back.
    if sent.kind == "resolve":
        return (row.kind, row.target) == (sent.kind, sent.target)  # An alert is over for all users.
    asked = (sent.kind, sent.username, sent.target, sent.text, sent.is_on)
    return (row.kind, row.username, row.target, row.text, row.is_on) == asked


def nothing_is_doubled(run: Recording) -> Iterator[str]:
    """I2, I6: no seq or client_id is in a log or in the database twice, even if it was not acknowledged."""
    for seen in run.seen:
        for name in ("seq", "client_id"):
            counts = Counter(event[name] for event in seen.events if name in event)
            for value, count in counts.items():
                if count > 1:
                    yield f"I2 {name} {value} is shown {count} times in room {seen.room} at {seen.client}"
    for client_id, places in _committed(run).items():
        if len(places) > 1:
            yield f"I6 {client_id} is in the database {len(places)} times"


def logs_agree(run: Recording) -> Iterator[str]:
    """I3: each log is without gaps, and equals the database's log, event by event."""
    by_room: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in run.rows:
        if row.seq in by_room[row.room]:
            yield f"I3 seq {row.seq} is twice in room {row.room} of the database"
        by_room[row.room][row.seq] = row
    for room, kept in by_room.items():
        if sorted(kept) != list(range(min(kept), max(kept) + 1)):
            yield f"I3 the database has gaps in room {room}"
    times: dict[tuple[str, int], str] = {}
    for seen in run.seen:
        kept = by_room[seen.room]
        numbers = [event["seq"] for event in seen.events]
        if numbers != list(range(seen.base + 1, seen.base + 1 + len(numbers))):
            yield f"I3 room {seen.room} at {seen.client} is not {seen.base + 1}, +1, +1 …"
        if seen.to_the_end and kept and (numbers[-1] if numbers else seen.base) != max(kept):
            yield f"I3 room {seen.room} at {seen.client} ends at {numbers[-1:]}, in the database at {max(kept)}"
        for event in seen.events:
            if (found := kept.get(event["seq"])) is None:
                yield f"I3 seq {event['seq']} of room {seen.room} at {seen.client} is not in the database"
            elif _identity(event) != (found.kind, found.target, found.client_id):
                yield f"I3 seq {event['seq']} of room {seen.room} at {seen.client} is another event in the database"
            if times.setdefault((seen.room, event["seq"]), event["at"]) != event["at"]:
                yield f"I3 seq {event['seq']} of room {seen.room} has two times"


def _identity(event: dict[str, Any]) -> tuple[Any, ...]:
    return kind_of(event), _target(event), event.get("client_id")


def texts_are_as_sent(run: Recording) -> Iterator[str]:
    """I4: every text was sent by the author it names. I10: at the end each client shows what the database has."""
    sent_by_id = {sent.client_id: sent for sent in run.sent}
    changes: dict[tuple[str, int | None], set[str | None]] = defaultdict(set)
    for sent in run.sent:
        if sent.kind in ("edit", "delete"):
            changes[sent.room, sent.target].add(sent.text if sent.kind == "edit" else None)
    shown: list[tuple[Any, ...]] = [
        (
            seen.room,
            event.get("client_id"),
            event.get("username"),
            event.get("message", event.get("emoji")),
            _target(event) or event["seq"],
            kind_of(event),
            "overtaken" in event,
            event.get("on"),
        )
        for seen in run.seen
        for event in seen.events
    ]
    kept: list[tuple[Any, ...]] = [
        (row.room, row.client_id, row.username, row.text, row.target or row.seq, row.kind, row.overtaken, row.is_on)
        for row in run.rows
    ]
    for room, client_id, username, text, seq, kind, overtaken, is_on in dict.fromkeys(shown + kept):
        origin = sent_by_id.get(client_id or "")
        if origin is None or (origin.room, origin.kind) != (room, kind):
            yield f"I4 {client_id} ({kind}) in room {room} was never sent"
        elif username is not None and username != origin.username:
            yield f"I4 {client_id} is shown as {username}'s but was sent by {origin.username}"
        elif is_on != origin.is_on:
            yield f"I4 {client_id} in room {room} is given where it was taken back, or the other way round"
        elif overtaken and text is not None:
            yield f"I4 {client_id} in room {room} still has a text that was edited away"
        elif kind in HAVE_TEXT and not overtaken and text != origin.text and text not in changes[room, seq]:
            yield f"I4 {client_id} in room {room} has a text that was never sent"
    final = {(row.room, row.seq): row.text for row in run.rows if row.kind == "send"}
    for seen in run.seen:
        if seen.to_the_end:
            for seq, text in messages(seen).items():
                if final.get((seen.room, seq)) != text:
                    yield f"I10 message {seq} of room {seen.room} at {seen.client} is not what the database has"


def messages(seen: Seen) -> dict[int, str | None]:
    """Return the texts that a client shows once it has applied its log, by seq."""
    texts: dict[int, str | None] = {}
    for event in seen.events:
        target = _target(event)
        if target is None:
            texts[event["seq"]] = event["message"]
        elif (
            kind_of(event) in ("edit", "delete")
            and "overtaken" not in event
            and target in texts
            and texts[target] is not None
        ):
            texts[target] = event.get("message")
    return texts


def reactions_agree(run: Recording) -> Iterator[str]:
    """I11: each reaction changes something, and each message has the reactions that its room's log leaves."""
    given: dict[tuple[str, int | None], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in sorted(run.rows, key=lambda row: (row.room, row.seq)):
        emoji = given[row.room, row.target]
        if row.kind == "delete":
            emoji.clear()
        elif row.kind == "react":
            users = emoji[row.text or ""]
            if row.is_on == (row.username in users):
                yield f"I11 reaction {row.seq} of room {row.room} changes nothing"
            (users.add if row.is_on else users.discard)(row.username)
    for row in run.rows:
        left = {emoji: len(users) for emoji, users in given[row.room, row.seq].items() if users}
        if row.kind == "send" and row.reactions != left:
            yield f"I11 message {row.seq} of room {row.room} has the reactions {row.reactions} and should have {left}"


def order_is_kept(run: Recording) -> Iterator[str]:
    """I5: a command acknowledged before another began is before it. I7: a client's commands keep their order."""
    by_room: dict[str, list[Sent]] = defaultdict(list)
    for sent in run.sent:
        by_room[sent.room].append(sent)
    saved = _committed(run)
    for room, all_sent in by_room.items():
        # Without those that changed nothing: they are acknowledged with an earlier number.
        own_seqs = [sent for sent in all_sent if sent.seqs and (sent.kind not in REPEATABLE or sent.client_id in saved)]
        ends = sorted((sent.acked, sent.seqs[0]) for sent in own_seqs if sent.acked is not None)
        begins = sorted((sent.began, sent.seqs[0]) for sent in own_seqs if sent.began is not None)
        highest = done = 0
        for began, seq in begins:
            while done < len(ends) and ends[done][0] < began:
                highest = max(highest, ends[done][1])
                done += 1
            if seq < highest:
                yield f"I5 seq {seq} of room {room} was sent after {highest} was acknowledged"
        for client in {sent.client for sent in all_sent}:
            own = [sent for sent in all_sent if sent.client == client and sent.refused is None]
            own = [sent for sent in own if sent in own_seqs or not sent.seqs]
            places = [saved[sent.client_id][0].seq if sent.client_id in saved else None for sent in own]
            saved_places = [place for place in places if place is not None]
            if any(later < earlier for earlier, later in pairwise(saved_places)):
                yield f"I7 {client}'s messages in room {room} are not in the order of sending"
            if None in places[: len(saved_places)]:
                yield f"I7 {client}'s messages in room {room} skip one that was not refused"


_JUDGES = (
    acknowledged_is_saved_and_seen,
    nothing_is_doubled,
    logs_agree,
    texts_are_as_sent,
    order_is_kept,
    reactions_agree,
)
