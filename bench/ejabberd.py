"""ejabberd, a chat server in Erlang, with one XMPP room over WebSocket: installed from Debian, run without its service.

Clients sign in anonymously, and the room keeps no history. Each stanza names its receiver; the rest of it is the same
for all, and that is compared.
"""

import html
import json
import re
import shutil
from pathlib import Path

from bench.load import Dialect

HOST, ROOM = "localhost", "1@conference.localhost"
# The rooms of ejabberd announce to all members who enters, which the other contenders do not do: left out.
CONFIG = """
hosts: [{host}]
loglevel: error
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_http
    backlog: 4096
    request_handlers:
      /ws: ejabberd_http_ws
auth_method: [anonymous]
anonymous_protocol: sasl_anon
allow_multiple_connections: true
websocket_timeout: 86400
modules:
  mod_muc:
    access: all
    access_create: all
    history_size: 0
    max_users: 10000
    min_message_interval: 0
    min_presence_interval: 0
    default_room_options:
      presence_broadcast: []
      max_users: 10000
"""
_OPEN = f"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{HOST}' version='1.0'/>".encode()
_AUTH = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
_BIND = b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
_FEATURES = b"<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"
_RECEIVER = re.compile(rb" to='[^']*'")


def code_path() -> Path | None:
    """Return the directory of ejabberd's code; None when it or Erlang is not installed."""
    found = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.app"))
    return found[-1].parent if found and shutil.which("erl") else None


def command(state: Path, port: int) -> list[str]:
    """Return the command that runs it in a directory of its own. Its node has no name, so it needs no other service."""
    code = code_path()
    assert code is not None, "ejabberd is not installed"
    config = state / "ejabberd.yml"
    config.write_text(CONFIG.format(host=HOST, port=port))
    options = ["-mnesia", "dir", json.dumps(str(state / "database")), "-ejabberd", "config", json.dumps(str(config))]
    return ["erl", "-noinput", *options, "-pa", str(code), "-s", "ejabberd"]


def dialect(number: int) -> Dialect:
    """Return how a client signs in and enters the room under a nickname of its own."""
    history = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
    return Dialect(
        path="/ws",
        headers="Sec-WebSocket-Protocol: xmpp\r\n",
        answers={
            None: _OPEN,
            _FEATURES + b"<mechanisms": _AUTH,
            b"<success": _OPEN,
            _FEATURES + b"<bind": _BIND,
            b"<iq": f"<presence to='{ROOM}/user{number:05d}'>{history}</presence>".encode(),
        },
        # The room's subject comes last.
        ready=b"<message",
        wrap=_stanza,
        common=lambda frame: _RECEIVER.sub(b"", frame, count=1),
    )


def _stanza(text: str) -> bytes:
    command = json.loads(text)
    body = html.escape(command["message"], quote=False)
    return f"<message to='{ROOM}' type='groupchat' id='{command['client_id']}'><body>{body}</body></message>".encode()
