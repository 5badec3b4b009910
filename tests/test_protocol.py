"""The protocol: golden frames in both directions, and decoding of arbitrary input."""

import json
import uuid
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat import protocol
from chat.exceptions import ClientError, ErrorCode
from chat.protocol import AnyCommand, Frame, Join, RoomId, Send
from tests.servers.quantities import IS_FULL, Q

FRAMES = Path(__file__).parent / "frames"
UUID = "6fa459ea-ee8a-3ca4-894e-db77e160355e"


def golden(file):
    frames = json.loads((FRAMES / file).read_text())["frames"]
    return pytest.mark.parametrize("frame", [pytest.param(frame, id=frame["name"]) for frame in frames])


def refusal_of(text):
    """Return the error frame that answers a text."""
    with pytest.raises(ClientError) as caught:
        protocol.decode(text)
    return json.loads(protocol.refusal(caught.value).text)


@golden("server.json")
def test_every_frame_of_the_server_is_encoded_to_its_golden_bytes(frame):
    struct = msgspec.convert(frame["fields"], getattr(protocol, frame["kind"]))
    assert protocol.encode(struct).payload == frame["text"].encode()


@golden("commands.json")
def test_every_command_is_decoded(frame):
    command = protocol.decode(frame["text"])
    assert type(command).__name__ == frame["kind"]
    fields = json.loads(protocol.encode(command).text)
    assert fields.pop("command").replace("_", "") == frame["kind"].lower()
    assert fields == frame["fields"]


@golden("refused.json")
def test_an_invalid_command_is_refused_with_the_fields_that_could_be_read(frame):
    answer = refusal_of(frame["text"])
    detail = answer.pop("detail")
    assert detail[0].isupper()
    assert answer == frame["answer"]


def test_every_command_and_every_kind_of_frame_has_a_golden_frame():
    def kinds(file):
        return {frame["kind"] for frame in json.loads((FRAMES / file).read_text())["frames"]}

    assert kinds("commands.json") == {kind.__name__ for kind in AnyCommand.__args__}
    parts = {
        "Appearance",
        "ShownUser",
        "Command",
        "Cursor",
        "ByeTime",
        "RoomTitle",
        "Head",
        "Person",
        "Reactions",
        "Confirmations",
        "Resolution",
        *kinds("commands.json"),
    }
    parts |= {"AttachedFile", "Shape", "Source", "QuoteSource", "Copy", "Mentioned"}
    structs = {name for name, value in vars(protocol).items() if isinstance(value, type(msgspec.Struct))}
    assert kinds("server.json") == structs - parts - {"Struct"}


def test_a_room_id_may_be_a_string_or_a_number():
    assert protocol.decode('{"command":"join","room":"7"}') == protocol.decode('{"command":"join","room":7}')
    assert protocol.decode('{"command":"join","room":"007"}') == Join(room=RoomId(7))


def test_the_refusal_of_an_invalid_list_of_rooms_names_the_field():
    assert "$.rooms" in refusal_of('{"command":"resume","rooms":[]}')["detail"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"command":"layout","rooms":[' + ",".join(["1"] * 1001) + "]}", "$.rooms"),
        ('{"command":"layout","rooms":{}}', "$.rooms"),
        ('{"command":"resume","rooms":{' + ",".join(f'"{n}":{{"since":0}}' for n in range(1001)) + "}}", "$.rooms"),
        ('{"command":"join","room":"1","since":1,"epoch":"' + "x" * 65 + '"}', "$.epoch"),
        ('{"command":"read","room":"1","seq":-1}', "$.seq"),
        ('{"command":"edit","room":"1","seq":9223372036854775808,"message":"hi"}', "$.seq"),
        ('{"command":"delete","room":"1","seq":-5}', "$.seq"),
        ('{"command":"history","room":"1","before":-1}', "$.before"),
        ('{"command":"history","room":"1","around":1e30}', "$.around"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_field_out_of_bounds_is_refused_with_its_name(text, field):
    answer = refusal_of(text)
    assert answer["error"] == "COMMAND_INVALID"
    assert field in answer["detail"]
    assert answer["command"] in text


def test_a_list_of_rooms_may_have_1000_entries():
    rooms = ",".join(f'"{number}"' for number in range(1000))
    command = protocol.decode(f'{{"command":"layout","rooms":[{rooms}]}}')
    assert command.rooms == list(range(1000))
    assert protocol.decode(protocol.encode(command).text) == command
    assert refusal_of('{"command":"layout","rooms":["1","x"]}')["error"] == "ROOM_INVALID"


def test_a_list_of_rooms_that_is_too_long_is_refused_before_its_rooms_are_decoded(monkeypatch):
    monkeypatch.setattr(protocol, "room_id", lambda value: pytest.fail("decoded"))
    assert refusal_of('{"command":"layout","rooms":[' + ",".join(["1"] * 32_000) + "]}")["error"] == "COMMAND_INVALID"


AFTER = protocol.apply_change
POSTED = protocol.Posted(room="1", username="bob", message="hi", msg_type=0, seq=1, at="T1")
EDITED = protocol.Edited(room="1", edited=1, message="new", seq=2, at="T2", client_id=uuid.UUID(UUID))
LATER = protocol.Edited(room="1", edited=1, message="newer", seq=3, at="T3")
DELETED = protocol.Deleted(room="1", deleted=1, seq=4, at="T4")


def test_an_event_after_a_change_is_as_the_log_has_it():
    assert (AFTER(POSTED, EDITED).message, AFTER(POSTED, EDITED).edited_at) == ("new", "T2")
    overtaken = AFTER(EDITED, LATER)
    assert json.loads(protocol.encode(overtaken).text) == {
        "room": "1",
        "edited": 1,
        "overtaken": True,
        "seq": 2,
        "at": "T2",
        "client_id": UUID,
    }
    assert AFTER(overtaken, DELETED) is overtaken
    assert AFTER(LATER, DELETED).message is None
    gone = AFTER(AFTER(POSTED, LATER), DELETED)
    assert (gone.message, gone.deleted, gone.edited_at) == (None, True, "T3")
    # An edit that arrives late does not bring the text back.
    assert AFTER(gone, EDITED) is gone


def test_a_change_of_another_message_does_not_change_an_event():
    other = protocol.Edited(room="1", edited=9, message="other", seq=5, at="T5")
    for event in (POSTED, EDITED, AFTER(EDITED, LATER), DELETED):
        for change in (other, protocol.Deleted(room="1", deleted=9, seq=6, at="T6"), POSTED):
            assert AFTER(event, change) is event


@pytest.mark.parametrize("character", ["[", '{"a":', '{"command":', '{"command":"join","room":['])
def test_100000_brackets_are_refused(character):
    assert refusal_of(character * 100_000)["error"] in ("JSON_INVALID", "COMMAND_INVALID", "ROOM_INVALID")
    assert refusal_of('{"command":"join","room":' + "[" * 100_000)["error"] == "JSON_INVALID"
    nested = '{"command":"join","room":"1","other":' + "[" * 100_000 + "]" * 100_000 + "}"
    assert refusal_of(nested)["error"] == "JSON_INVALID"


@pytest.mark.parametrize("field", ["room", "since"])
def test_a_number_of_5000_digits_is_refused(field):
    digits = "9" * 5000
    text = f'{{"command":"join","room":"1","{field}":{digits}}}'
    assert refusal_of(text)["error"] in ("ROOM_INVALID", "COMMAND_INVALID", "JSON_INVALID")
    assert refusal_of(json.dumps({"command": "join", "room": digits}))["error"] == "ROOM_INVALID"


def test_a_long_room_or_client_id_is_not_sent_back():
    answer = refusal_of(json.dumps({"command": "dance", "room": "x" * 1000, "client_id": "y" * 1000}))
    assert set(answer) == {"error", "command", "detail"}


def test_a_raw_lone_surrogate_is_refused():
    assert refusal_of('{"command":"send","room":"1","message":"\ud800"}')["error"] == "JSON_INVALID"


@given(st.text())
def test_decoding_any_text_raises_only_a_refusal(text):
    try:
        command = protocol.decode(text)
    except ClientError as error:
        json.loads(protocol.refusal(error).text)
    else:
        assert protocol.decode(protocol.encode(command).text) == command


def anything():
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", UUID, "join"])
    return st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


COMMANDS = ["join", "leave", "send", "edit", "delete", "resume", "history", "ping", "read", ""]
FIELDS = ["room", "message", "client_id", "msg_type", "seq", "since", "epoch", "rooms", "before", "limit", "other"]


@settings(max_examples=100 if IS_FULL else Q.examples)
@given(
    st.sampled_from(COMMANDS),
    st.dictionaries(st.sampled_from(FIELDS), anything()),
    st.booleans(),
    st.data(),
)
def test_decoding_any_mutated_command_raises_only_a_refusal(name, fields, is_ascii, data):
    text = json.dumps({"command": name, "room": "1", "message": "hi", **fields}, ensure_ascii=is_ascii)
    cut = data.draw(st.integers(0, len(text)))
    for mutated in (text, text[:cut], text[:cut] + data.draw(st.text(max_size=3)) + text[cut:]):
        try:
            command = protocol.decode(mutated)
        except ClientError as error:
            assert error.code in (
                ErrorCode.JSON_INVALID,
                ErrorCode.COMMAND_INVALID,
                ErrorCode.ROOM_INVALID,
                ErrorCode.MESSAGE_INVALID,
            )
            json.loads(protocol.refusal(error).text)
        else:
            assert protocol.decode(protocol.encode(command).text) == command
            if (room := getattr(command, "room", None)) is not None:
                assert type(room) is RoomId
                assert 0 <= room <= protocol.MAX_ID


def test_the_context_of_a_refusal_overrides_that_of_the_command():
    error = ClientError(ErrorCode.ROOM_INVALID, room=7, client_id=uuid.UUID(UUID), detail=None)
    frame = protocol.refusal(error, room=1, command="send", client_id=None)
    assert json.loads(frame.text) == {"error": "ROOM_INVALID", "command": "send", "room": "7", "client_id": UUID}


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_the_wire_bytes_of_a_frame_are_one_unmasked_text_frame(length):
    wire = Frame(b"x" * length).wire
    assert wire[0] == 0x81  # FIN, text
    header = 2 if length < 126 else 4 if length < 65536 else 10
    assert wire[1] == min(length, 126 if length < 65536 else 127)
    assert wire[header:] == b"x" * length


def test_a_client_id_is_sent_back_in_its_canonical_spelling():
    command = protocol.decode(json.dumps({"command": "send", "room": 1, "message": "", "client_id": UUID.upper()}))
    assert isinstance(command, Send)
    assert str(command.client_id) == UUID
