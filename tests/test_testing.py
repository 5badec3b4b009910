"""The testing kit itself: the checker finds planted bugs, and the faulty layer has the faults that it claims."""

import asyncio
import copy

import msgspec
import pytest
from channels.exceptions import ChannelFull

from chat.testing import FaultyChannelLayer, Recording, Row, Seen, Sent, check

AT = "2026-11-21T04:43:17.123Z"


def good_run():
    """Bob and charlie take turns to post three messages each in room 1; bob edits his first and deletes his second."""
    sent, events, rows = [], [], []
    for seq, username in enumerate(["bob", "charlie"] * 3, start=1):
        client_id, text = f"id-{seq}", f"text {seq}"
        sent.append(make_sent(username, client_id, "send", text, None, seq))
        events.append({"room": "1", "username": username, "message": text, "msg_type": 0, "seq": seq, "at": AT})
        events[-1]["client_id"] = client_id
        rows.append(Row(room="1", seq=seq, kind="send", username=username, text=text, client_id=client_id))
    sent += [make_sent("bob", "id-7", "edit", "better", 1, 7), make_sent("bob", "id-8", "delete", None, 3, 8)]
    events.append({"room": "1", "edited": 1, "message": "better", "seq": 7, "at": AT, "client_id": "id-7"})
    events.append({"room": "1", "deleted": 3, "seq": 8, "at": AT, "client_id": "id-8"})
    rows.append(Row(room="1", seq=7, kind="edit", username="bob", text="better", client_id="id-7", target=1))
    rows.append(Row(room="1", seq=8, kind="delete", username="bob", text=None, client_id="id-8", target=3))
    rows[0].text, rows[2].text = "better", None
    sent.append(make_sent("bob", "id-9", "send", "never acknowledged, not saved", None, None))
    seen = [Seen(client=name, room="1", base=0, events=copy.deepcopy(events)) for name in ("bob", "charlie")]
    return Recording(sent=sent, seen=seen, rows=rows)


def make_sent(username, client_id, kind, text, target, seq, **more):
    times = {"began": float(seq), "acked": seq + 0.5, "seqs": [seq, seq]} if seq else {"began": 9.0, "seqs": []}
    fields = {"client_id": client_id, "kind": kind, "text": text, "target": target}
    return Sent(client=username, username=username, room="1", **fields | times | more)


def run_with_reactions():
    """After a good run, both give the first message a thumb; charlie takes it back, and bob gives it once more."""
    run = good_run()
    for seq, username, is_on in ((9, "bob", True), (10, "charlie", True), (11, "charlie", False)):
        client_id = f"id-{seq + 100}"
        event = {"room": "1", "reacted": 1, "emoji": "👍", "username": username, "on": is_on, "seq": seq, "at": AT}
        for seen in run.seen:
            seen.events.append(event | {"client_id": client_id})
        fields = {"room": "1", "seq": seq, "kind": "react", "username": username, "text": "👍", "target": 1}
        run.rows.append(Row(client_id=client_id, is_on=is_on, **fields))
        run.sent.append(make_sent(username, client_id, "react", "👍", 1, seq, is_on=is_on))
    run.sent.append(run.sent.pop(8))  # the one that was never acknowledged
    run.sent.insert(-1, make_sent("bob", "id-112", "react", "👍", 1, 9, is_on=True, began=12.0, acked=12.5))
    run.rows[0].reactions = {"👍": 1}
    for seen in run.seen:
        event = {"room": "1", "confirmed": 1, "username": "bob", "seq": 12, "at": AT, "client_id": "id-113"}
        seen.events.append(event)
    confirmed = {"room": "1", "seq": 12, "kind": "confirm", "username": "bob", "text": None, "target": 1}
    run.rows.append(Row(client_id="id-113", **confirmed))
    run.sent.insert(-1, make_sent("bob", "id-113", "confirm", None, 1, 12))
    run.sent.insert(-1, make_sent("bob", "id-114", "confirm", None, 1, 12, began=13.0, acked=13.5))
    return run


def test_the_checker_finds_nothing_in_a_good_run():
    assert check(good_run()) == []
    assert check(run_with_reactions()) == []


REACTIONS = {
    "a reaction is shown as taken back": ("I4", lambda run: run.seen[0].events[8].update(on=False)),
    "a reaction has another emoji at one client": ("I4", lambda run: run.seen[0].events[8].update(emoji="🎉")),
    "a repeated reaction is acknowledged with another one's number": (
        "I1",
        lambda run: run.sent[-4].seqs.clear() or run.sent[-4].seqs.append(10),
    ),
    "a reaction is saved that changes nothing": ("I11", lambda run: run.rows.append(copy_of(run.rows[8], 13))),
    "a message has lost a reaction": ("I11", lambda run: run.rows[0].reactions.clear()),
    "a confirmation names another alert at one client": ("I3", lambda run: run.seen[0].events[11].update(confirmed=2)),
    "a deleted message has reactions": ("I11", lambda run: run.rows[2].reactions.update({"👍": 1})),
}


@pytest.mark.parametrize("bug", REACTIONS)
def test_the_checker_finds_a_planted_bug_in_reactions(bug):
    promise, plant = REACTIONS[bug]
    run = run_with_reactions()
    plant(run)
    assert promise in {wrong.split()[0] for wrong in check(run)}, check(run)


def test_a_run_can_be_written_to_a_file_and_read_again(tmp_path):
    good_run().write(tmp_path / "run.json")
    assert Recording.read(tmp_path / "run.json") == good_run()


def swap(items, first, second):
    items[first], items[second] = items[second], items[first]


def swap_rows(run):
    """Swap two rows, so that the database has their messages in the other order."""
    for name in ("client_id", "text"):
        first, second = getattr(run.rows[4], name), getattr(run.rows[5], name)
        setattr(run.rows[4], name, second)
        setattr(run.rows[5], name, first)


def swap_everywhere(run, old, new):
    """Swap two messages everywhere: at the clients, in acks and in the database."""
    for seen in run.seen:
        for name in ("client_id", "message", "username"):
            first, second = seen.events[old - 1], seen.events[new - 1]
            first[name], second[name] = second[name], first[name]
    for name in ("client_id", "text", "username"):
        first, second = run.rows[old - 1], run.rows[new - 1]
        first_value = getattr(first, name)
        setattr(first, name, getattr(second, name))
        setattr(second, name, first_value)
    for sent in run.sent:
        sent.seqs = [{old: new, new: old}.get(seq, seq) for seq in sent.seqs]


PLANTED = {
    "an acknowledged message is not in the database": ("I1", lambda run: run.rows.pop(5)),
    "the last message is missing at one client": ("I3", lambda run: run.seen[1].events.pop()),
    "a message in the middle is missing at one client": ("I3", lambda run: run.seen[1].events.pop(3)),
    "an acknowledged message is missing everywhere": (
        "I1",
        lambda run: (run.rows.pop(7), [seen.events.pop(7) for seen in run.seen]),
    ),
    "a message is shown twice": ("I2", lambda run: run.seen[0].events.insert(3, run.seen[0].events[3])),
    "a message is saved twice": ("I6", lambda run: run.rows.append(copy_of(run.rows[5], 9))),
    "a message is shown under a second number": (
        "I2",
        lambda run: run.seen[0].events.append(run.seen[0].events[5] | {"seq": 9}),
    ),
    "two messages are swapped at one client": ("I3", lambda run: swap(run.seen[1].events, 1, 2)),
    "two texts are swapped at one client": (
        "I4",
        lambda run: run.seen[1].events[3].update(message="text 6"),
    ),
    "two messages are swapped in the database": ("I1", swap_rows),
    "a sender's own order is swapped everywhere": ("I7", lambda run: swap_everywhere(run, 4, 6)),
    "a later message is before an acknowledged message": ("I5", lambda run: swap_everywhere(run, 5, 6)),
    "a foreign message is shown": (
        "I4",
        lambda run: run.seen[0].events.append(run.seen[0].events[5] | {"seq": 9, "client_id": "id-x"}),
    ),
    "a foreign message is saved and shown": ("I4", lambda run: foreign_everywhere(run)),
    "a message is shown with another username": ("I4", lambda run: run.seen[0].events[1].update(username="alice")),
    "an ack and the event have different numbers": ("I1", lambda run: run.sent[0].seqs.append(2)),
    "an edit reached one client only": (
        "I3",
        lambda run: run.seen[1].events[6].update(edited=2),
    ),
    "a deleted text is shown at the end": (
        "I10",
        lambda run: [seen.events.__setitem__(7, seen.events[7] | {"deleted": 99}) for seen in run.seen],
    ),
    "the database has a hole": ("I3", lambda run: [row.__setattr__("seq", row.seq + 1) for row in run.rows[6:]]),
    "a message is saved and the one before is not": ("I7", lambda run: skip_one(run)),
}


def copy_of(row, seq):
    return msgspec.structs.replace(row, seq=seq)


def foreign_everywhere(run):
    run.rows.append(Row(room="1", seq=9, kind="send", username="bob", text="not me", client_id="id-x"))
    for seen in run.seen:
        seen.events.append(seen.events[5] | {"seq": 9, "client_id": "id-x", "username": "bob", "message": "not me"})


def skip_one(run):
    """Bob's last message was not saved, but the one that he sent after it was."""
    run.sent.append(make_sent("bob", "id-10", "send", "later", None, 9))
    run.rows.append(Row(room="1", seq=9, kind="send", username="bob", text="later", client_id="id-10"))
    for seen in run.seen:
        seen.events.append(seen.events[5] | {"seq": 9, "client_id": "id-10", "username": "bob", "message": "later"})


@pytest.mark.parametrize("bug", PLANTED)
def test_the_checker_finds_the_planted_bug(bug):
    promise, plant = PLANTED[bug]
    run = good_run()
    plant(run)
    assert promise in {wrong.split()[0] for wrong in check(run)}, check(run)


async def send_numbers(layer, count):
    """Send this many numbers through a layer, and return those that arrive."""
    channel = await layer.new_channel()
    await layer.group_add("bells", channel)
    numbers = []

    async def listen():
        while True:
            numbers.append((await layer.receive(channel))["number"])

    listening = asyncio.ensure_future(listen())
    for number in range(count):
        await layer.group_send("bells", {"type": "bell", "number": number})
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)  # longer than the layer may hold a message
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    return numbers


async def test_a_layer_without_faults_delivers_everything_in_order():
    assert await send_numbers(FaultyChannelLayer(capacity=1000), 50) == list(range(50))


async def test_a_faulty_layer_drops_doubles_and_reorders():
    numbers = await send_numbers(FaultyChannelLayer(capacity=1000, drop=0.3, double=0.1, reorder=0.2, delay=0.01), 400)
    assert 220 < len(set(numbers)) < 340
    assert 10 < len(numbers) - len(set(numbers)) < 60
    assert numbers != sorted(numbers)


async def test_a_faulty_layer_repeats_its_faults_with_the_same_seed():
    def fates(seed):
        layer = FaultyChannelLayer(drop=0.5, seed=seed)
        return [layer._happens("drop") for _ in range(100)]

    assert fates(1) == fates(1) != fates(2)


async def test_a_layer_that_drops_everything_delivers_nothing():
    assert await send_numbers(FaultyChannelLayer(drop=1.0), 20) == []


async def test_a_faulty_layer_can_refuse_messages_as_if_full():
    with pytest.raises(ChannelFull):
        await FaultyChannelLayer(full=1.0).group_send("bells", {"type": "bell"})
