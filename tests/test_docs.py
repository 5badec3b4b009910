"""The documents match the code: every code, command, frame, setting and folder is there, and every example is exact."""

import ast
import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from django.conf import settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from chat import protocol
from chat.conf import conf
from chat.exceptions import ErrorCode
from chat.live import database
from tests import schema
from tests.sockets import cookie_of, handshake

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROTOCOL = (ROOT / "docs/protocol.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
SOURCES = {path: path.read_text() for folder in ("chat", "multichat") for path in (ROOT / folder).rglob("*.py")}


def section(text, heading):
    """Return the text below a heading of the second level."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def table(text):
    """Return the rows of all tables, their cells without blanks and backticks."""
    lines = [line.strip().strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line] for line in lines]


def examples(arrow, text=PROTOCOL):
    return re.findall(rf"^    {arrow} (\{{.*\}})$", text, re.MULTILINE)


def named(items):
    return pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in items])


# docs/protocol.md


def test_every_error_code_says_what_a_client_should_do():
    rows = {row[0]: row[1:] for row in table(section(PROTOCOL, "Errors"))[1:]}
    assert set(rows) == set(ErrorCode)
    assert all(means and does for means, does in rows.values())


@pytest.mark.parametrize("code", ErrorCode)
def test_an_error_code_is_sent_unless_the_protocol_says_that_it_is_not(code):
    [row] = [row for row in table(section(PROTOCOL, "Errors")) if row[0] == code]
    is_sent = any(f"ErrorCode.{code}" in text for text in SOURCES.values())
    assert is_sent is ("Not sent by this version" not in row[2])


def test_every_close_code_says_what_a_client_should_do():
    written = {code for row in table(section(PROTOCOL, "Close codes"))[1:] for code in row[0].split(", ")}
    assert {str(code.value) for code in protocol.CloseCode} <= written


def test_every_command_has_a_row_that_names_its_keys():
    rows = {row[0]: row[1] for row in table(section(PROTOCOL, "Commands"))[1:]}
    assert set(rows) == {kind.__struct_config__.tag for kind in schema.COMMANDS}
    for kind in schema.COMMANDS:
        fields = msgspec.structs.fields(kind)
        assert re.findall(r"\w+", rows[kind.__struct_config__.tag]) == [field.encode_name for field in fields]


@pytest.mark.parametrize("text", examples("→") + examples("→", README))
def test_every_example_of_a_command_can_be_decoded(text):
    protocol.decode(text)


def kinds_of(text):
    """Return the frames that are exactly this text."""
    kinds = []
    for kind in schema.frames():
        with suppress(msgspec.ValidationError):
            if protocol.encode(msgspec.json.decode(text, type=kind)).text == text:
                kinds.append(kind.__name__)
    return kinds


@pytest.mark.parametrize("text", examples("←") + examples("←", README))
def test_every_example_of_a_frame_is_exact_to_the_byte(text):
    assert len(kinds_of(text)) == 1


def test_every_kind_of_frame_and_command_has_an_example():
    shown = {kind for text in examples("←") for kind in kinds_of(text)}
    assert shown == {kind.__name__ for kind in schema.frames()}
    commands = {type(protocol.decode(text)) for text in examples("→")}
    assert commands == set(schema.COMMANDS) - {protocol.Ping}  # it has no keys


def test_the_limits_match_the_code():
    for _, number, name in table(section(PROTOCOL, "Limits"))[1:]:
        assert float(number) == getattr(conf, name), name


def test_the_message_types_match_the_code():
    types = ", ".join(f"{number} {name}" for number, name in conf.MESSAGE_TYPES_CHOICES)
    assert types in section(PROTOCOL, "Message types")


def test_the_schema_matches_the_code():
    assert schema.PATH.read_text() == schema.schema(), "run: python -m tests.schema"


@pytest.mark.parametrize("file", ["commands.json", "server.json"])
def test_the_golden_frames_match_the_schema(file):
    whole = json.loads(schema.PATH.read_text())
    for frame in json.loads((ROOT / "tests/frames" / file).read_text())["frames"]:
        kind = Draft202012Validator({**whole, "anyOf": [{"$ref": f"#/$defs/{frame['kind']}"}]})
        assert list(kind.iter_errors(json.loads(frame["text"]))) == []


class Connection:
    """A socket in this process with the interface of a connection of `websockets`."""

    def __init__(self, communicator):
        self._communicator = communicator

    async def send(self, text):
        await self._communicator.send_input({"type": "websocket.receive", "text": text})

    async def __aiter__(self):
        while True:
            yield (await self._communicator.receive_output(5))["text"]


@pytest.mark.django_db(transaction=True)
async def test_the_client_in_30_lines_shows_and_sends_every_message_once(bob, rooms, settings):
    settings.GRACE_SECONDS = 0
    [code] = re.findall(r"```python\n(.*?)```", PROTOCOL, re.DOTALL)
    body = code.split("async def follow")[1].strip().splitlines()[1:]
    assert len(body) <= 30
    cookie = await database.write(cookie_of, bob)
    shown = []
    is_all = asyncio.Event()

    def show(frame):
        shown.append(frame)
        if len(shown) == 5:
            is_all.set()
        if len(shown) in (1, 4):
            raise ConnectionCut  # as if the connection were cut before the ack

    class ConnectionCut(Exception):
        code = 1006
        rcvd = None

    async def connect(address, *, origin, additional_headers):
        while True:
            communicator = handshake(cookie=additional_headers["Cookie"], origin=origin)
            assert (await communicator.connect(5))[0]
            yield Connection(communicator)
            # Written while the client is away.
            await database.write(rooms.lobby.send_message, "meanwhile", None)
            await communicator.disconnect(timeout=5)
            await communicator.wait(5)

    names = {}
    exec(compile(code, "docs/protocol.md", "exec"), names)
    names |= {"connect": connect, "ConnectionClosed": ConnectionCut}
    following = names["follow"]("localhost:8000", cookie, str(rooms.lobby.pk), ["one", "two", "three"], show)
    task = asyncio.create_task(following)
    async with asyncio.timeout(10):
        await is_all.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert [frame["seq"] for frame in shown] == [1, 2, 3, 4, 5]
    assert sorted(frame["message"] for frame in shown) == ["meanwhile", "meanwhile", "one", "three", "two"]
    await database.close()


# README.md and docs/configuration.md


def test_the_configuration_lists_every_variable_that_the_settings_read_and_no_other():
    tree = ast.parse(SOURCES[ROOT / "multichat/settings.py"])
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = [
        argument.value
        for call in calls
        if ast.unparse(call.func).startswith("environment.") and "refuse" not in ast.unparse(call.func)
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    read = {text for text in texts if re.fullmatch(r"[A-Z][A-Z_]+", text)}
    read |= {f"LIMIT_{name}" for name in settings.LIMITS}
    listed = [row[0] for row in table(section(CONFIGURATION, "Environment variables")) if row[0] != "variable"]
    assert len(listed) == len(set(listed))
    assert read == set(listed)


def test_the_readme_shows_eight_settings_of_the_configuration():
    listed = {row[0] for row in table(section(CONFIGURATION, "Environment variables"))}
    shown = [row[0] for row in table(section(README, "Settings"))[1:]]
    assert len(shown) == 8
    assert set(shown) <= listed


def test_the_readme_is_read_in_three_minutes():
    assert len(README.split()) <= 900


@pytest.mark.parametrize("heading", ["Behind a proxy", "What to monitor"])
def test_a_log_line_that_operators_should_know_is_in_the_code(heading):
    rows = re.findall(r"^\| (`.*?) \|", section((ROOT / "docs/operating.md").read_text(), heading), re.MULTILINE)
    lines = {line for row in rows for line in re.findall(r"`([^`]* [^`]*)`", row)}
    assert lines
    for line in lines - {"Invalid HTTP_HOST header"}:  # Django's
        parts = [part.strip(" :()") for part in re.split(r"…|\d+|\bwhy\b", line)]
        assert any(all(part in text for part in parts) for text in SOURCES.values()), line


@named(path for path in SOURCES if path.parent.name == "commands" and path.stem != "__init__")
def test_every_management_command_is_documented(path):
    assert any(f"manage.py {path.stem}" in document.read_text() for document in DOCUMENTS)


@named((ROOT / "script").iterdir())
def test_every_script_is_documented(path):
    if path.suffix != ".sh":
        assert any(f"script/{path.name}" in document.read_text() for document in DOCUMENTS)


# docs/architecture.md


def test_the_architecture_names_exactly_the_folders_that_exist():
    folders = {path.parent.relative_to(ROOT) for path in SOURCES if "management" not in path.parts}
    folders |= {path.parent.relative_to(ROOT) for path in (ROOT / "static/chat").rglob("*.*s")}
    folders -= {Path("chat/migrations"), Path("static/chat")}
    assert {row[0] for row in table(ARCHITECTURE) if row[0].endswith("/")} == {f"{folder}/" for folder in folders}


# All documents


@named(DOCUMENTS)
def test_links_and_file_names_exist(path):
    text = path.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|#|mailto:", target):
            assert (path.parent / target.split("#")[0]).exists(), target
    for name in re.findall(r"`((?:chat|docs|multichat|script|static/chat|templates|tests)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name


@named(sorted((ROOT / "docs/adr").glob("*.md")))
def test_a_decision_record_has_its_number_and_four_sections(path):
    text = path.read_text()
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Tried"]
    assert len(text.splitlines()) < 60, "one page"


def test_the_glossary_has_each_word_once():
    words = [row[0] for row in table((ROOT / "docs/glossary.md").read_text()) if row[0] != "word"]
    assert len(words) == len(set(words))
