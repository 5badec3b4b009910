"""Random frames, forms, paths and query strings: each gets an answer, and none causes an error of the server."""

import json
import uuid

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from chat import protocol
from chat.conf import conf
from chat.consumers import _decode
from chat.exceptions import ClientError
from tests.servers.quantities import Q

QUICK = profile(max_examples=Q.examples, deadline=None)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
NAMES = st.sampled_from(
    ["command", "room", "message", "client_id", "msg_type", "seq", "since", "epoch", "before", "rooms"]
)
COMMANDS = st.sampled_from(["join", "leave", "send", "edit", "delete", "resume", "history", "ping"])
FIELDS = JSON | st.sampled_from(["1", 1, str(uuid.uuid4()), {"1": {"since": 0}}])


def decode(text):
    """Return a command, or the frame that refuses it."""
    try:
        command = _decode(text)
    except ClientError as error:
        answer = json.loads(protocol.refusal(error).text)
        assert answer["detail"]
        assert len(protocol.refusal(error).payload) < 2000, "the answer does not echo the frame"
        return answer
    assert isinstance(command, protocol.AnyCommand)
    return command


@QUICK
@given(st.text())
@example("")
@example("\ud800")
@example("\x00")
@example('{"command":"send","room":"1","message":"' + "\\ud800" * 1000 + '"}')
def test_any_text_is_decoded_or_refused(text):
    if len(text.encode("utf-8", "surrogatepass")) <= conf.FRAME_MAX_BYTES:
        try:
            text.encode()
        except UnicodeEncodeError:
            return  # impossible here, because the WebSocket server has checked the UTF-8
        decode(text)


@QUICK
@given(JSON)
def test_any_json_is_decoded_or_refused(value):
    decode(json.dumps(value))


@QUICK
@given(COMMANDS, st.dictionaries(NAMES, FIELDS))
def test_a_command_with_any_fields_is_decoded_or_refused(command, fields):
    decode(json.dumps(fields | {"command": command}))


pages = profile(
    max_examples=Q.page_examples, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def signed_in(rooms, bob):
    client = Client(raise_request_exception=True)
    client.force_login(bob)
    return client


@pages
@given(st.dictionaries(st.sampled_from(["rooms", "wide", "next", "x"]), st.text() | st.lists(st.text())))
@example({"rooms": ",".join(["9" * 5000] * 50)})
@example({"rooms": "1\x00"})
@example({"next": "//evil.example", "rooms": "١"})
def test_any_query_string_is_answered(signed_in, query):
    query = {
        name: json.loads(json.dumps(value).encode("utf-8", "replace").replace(b"\\ud", b"?"))
        for name, value in query.items()
    }
    for path in ("/", "/healthz", "/accounts/login/", "/chat/Lobby/", "/admin/login/"):
        assert signed_in.get(path, query).status_code < 500


@pages
@given(st.text(min_size=1, max_size=300))
@example("..")
@example("\x00")
@example("%00%ff")
@example("a/b?c#d")
def test_any_room_title_in_the_path_is_answered(signed_in, text):
    quoted = "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "replace"))
    for accept in ("text/html", "application/json"):
        assert signed_in.get(f"/chat/{quoted}/", headers={"Accept": accept}).status_code in (200, 301, 302, 400, 404)


@pages
@given(name=st.text(max_size=300), secret=st.text(max_size=300))
@example(name="bob\x00", secret="x")
@example(name="b" * 10_000, secret="x" * 10_000)
def test_any_form_is_answered(bob, settings, name, secret):
    settings.AXES_ENABLED = False
    form = {key: text.encode("utf-8", "replace").decode() for key, text in (("username", name), ("password", secret))}
    for path in ("/accounts/login/", "/admin/login/"):
        assert Client().post(path, form).status_code in (200, 302)
