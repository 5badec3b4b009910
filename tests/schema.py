"""Makes docs/protocol.schema.json from chat.protocol: python -m tests.schema."""

import json
from pathlib import Path
from typing import Any

import msgspec

from chat import protocol
from chat.exceptions import ErrorCode
from chat.protocol import (
    MAX_ROOMS,
    AnyCommand,
    Appearance,
    AttachedFile,
    ByeTime,
    Command,
    Confirmations,
    Copy,
    Cursor,
    Head,
    Mentioned,
    Person,
    QuoteSource,
    Reactions,
    Resolution,
    RoomId,
    RoomIds,
    RoomTitle,
    Shape,
    ShownUser,
    Source,
)

PATH = Path(__file__).parent.parent / "docs" / "protocol.schema.json"
COMMANDS: tuple[type, ...] = AnyCommand.__args__


def frames() -> list[type]:
    """Return the structs that the server sends, in the order of chat.protocol."""
    structs = [value for value in vars(protocol).values() if isinstance(value, type(msgspec.Struct))]
    parts: tuple[type, ...] = (
        msgspec.Struct,
        Cursor,
        ByeTime,
        Head,
        Mentioned,
        Person,
        Reactions,
        Confirmations,
        Resolution,
        RoomTitle,
    )
    parts += (Appearance, AttachedFile, Copy, QuoteSource, Shape, ShownUser, Source)
    return [struct for struct in structs if struct not in parts and not issubclass(struct, Command)]


def schema() -> str:
    """Return the JSON Schema of all commands and frames, as written to the file."""
    kinds = [*COMMANDS, *frames()]
    _, definitions = msgspec.json.schema_components(kinds, schema_hook=_of_own_type, ref_template="#/$defs/{name}")
    definitions["Refused"]["properties"]["error"]["examples"] = [code.value for code in ErrorCode]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Multichat",
        "description": "Every command of a client and every frame of the server; see protocol.md.",
        "anyOf": [{"$ref": "#/$defs/AnyCommand"}, {"$ref": "#/$defs/AnyFrame"}],
        "$defs": {
            "AnyCommand": _any_of(COMMANDS),
            "AnyFrame": _any_of(frames()),
            **definitions,
        },
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _any_of(kinds: Any) -> dict[str, Any]:
    return {"anyOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]}


def _of_own_type(kind: type) -> dict[str, Any]:
    if kind is RoomIds:
        return {"type": "array", "items": _of_own_type(RoomId), "maxItems": MAX_ROOMS}
    assert kind is RoomId, f"no schema for {kind}"
    number = {"type": "integer", "minimum": 0, "maximum": protocol.MAX_ID}
    return {"anyOf": [{"type": "string", "pattern": "^[0-9]{1,18}$"}, number]}


if __name__ == "__main__":
    PATH.write_text(schema())
