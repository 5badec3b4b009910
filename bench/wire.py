"""WebSocket frames as bytes, and the command and the message that all contenders speak."""

import json
import os
from datetime import UTC, datetime

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT = 0x1
WORDS = "words of an ordinary message, written in passing while the build runs and the coffee gets cold " * 8


def frame(payload: bytes, *, is_masked: bool = False) -> bytes:
    """Return a text frame (RFC 6455)."""
    size = len(payload)
    mask_bit = 0x80 if is_masked else 0
    if size < 126:
        head = bytes((0x81, mask_bit | size))
    elif size < 65536:
        head = bytes((0x81, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x81, mask_bit | 127)) + size.to_bytes(8, "big")
    if not is_masked:
        return head + payload
    # A mask of zeros is valid and costs the server as much as any other.
    return head + bytes(4) + payload


def pong(payload: bytes) -> bytes:
    """Return the answer to a ping. A server closes the connection unless it has the ping's payload."""
    return bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload


def split(data: bytes | bytearray, start: int = 0) -> tuple[int, int, int] | None:
    """Return opcode, begin and end of the payload of the frame at `start`; None when it is not complete."""
    payload = _payload(data, start)
    return (data[start] & 0x0F, *payload) if payload is not None and len(data) >= payload[1] else None


def frame_end(data: bytes | bytearray, start: int) -> int | None:
    """Return where the frame at `start` ends, which may be beyond the data; None when its head is not complete."""
    payload = _payload(data, start)
    return payload[1] if payload is not None else None


def _payload(data: bytes | bytearray, start: int) -> tuple[int, int] | None:
    if len(data) - start < 2:
        return None
    size = data[start + 1] & 0x7F
    masked = 4 if data[start + 1] & 0x80 else 0
    at = start + 2
    if size >= 126:
        wide = 2 if size == 126 else 8
        if len(data) < at + wide:
            return None
        size = int.from_bytes(data[at : at + wide], "big")
        at += wide
    begin = at + masked
    return begin, begin + size


def frames_in(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the payloads of all complete text frames, unmasked, and the rest of the data."""
    payloads = []
    start = 0
    while whole := split(data, start):
        opcode, begin, end = whole
        if opcode == TEXT:
            payload = data[begin:end]
            if data[start + 1] & 0x80 and any(mask := data[begin - 4 : begin]):
                payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            payloads.append(payload)
        start = end
    return payloads, data[start:]


def send_command(number: int, size: int, room: str = "1") -> str:
    """Return the command that posts message `number`. It is Multichat's own, and all contenders understand it."""
    client_id = f"{os.urandom(4).hex()}-0000-4000-8000-{number:012x}"
    text = f"{number} {WORDS}"[:size]
    return json.dumps({"command": "send", "room": room, "message": text, "client_id": client_id})


def message_for(text: str) -> str:
    """Return the frame that a contender sends to all members, with the same keys as Multichat's."""
    command = json.loads(text)
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    number = int(command["message"].split(" ")[0])
    posted = {"room": "1", "username": "bob", "message": command["message"], "msg_type": 0, "seq": number, "at": at}
    return json.dumps(posted | {"client_id": command["client_id"]}, separators=(",", ":"))
