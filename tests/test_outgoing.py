"""Requests to addresses that users give reach no private address, follow no redirect, and end in time."""

import http.server
import socket
import threading
import time

import pytest

from chat import outgoing
from chat.outgoing import OutgoingError

PUBLIC = "93.184.215.14"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((self.path, body, dict(self.headers)))
        if self.path == "/redirect":
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif self.path == "/large":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 1_000_000)
        elif self.path == "/slow":
            # Byte by byte, so that no single read takes long.
            while not self.server.is_over.wait(0.05):
                self.wfile.write(b"H")
                self.wfile.flush()
        else:
            self.send_response(429)
            self.send_header("Retry-After", "7")
            self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def service(settings):
    settings.OUTGOING_LOOPBACK = True
    settings.OUTGOING_SECONDS = 5
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received, server.is_over = [], threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    yield server
    server.is_over.set()
    server.shutdown()
    server.server_close()


def test_an_answer_has_its_status_and_when_to_come_back(service):
    answer = outgoing.post(f"{service.url}/hook?a=1", b"body", {"X-Test": "1"})
    assert (answer.status, answer.retry_after) == (429, 7)
    [(path, body, headers)] = service.received
    assert (path, body, headers["X-Test"]) == ("/hook?a=1", b"body", "1")


def test_a_redirect_is_not_followed(service):
    assert outgoing.post(f"{service.url}/redirect", b"", {}).status == 307
    assert [path for path, *_ in service.received] == ["/redirect"]


def test_only_the_beginning_of_an_answer_is_read(service):
    assert len(outgoing.post(f"{service.url}/large", b"", {}).body) == outgoing.MAX_ANSWER


def test_an_answer_that_comes_byte_by_byte_ends_in_time(service, settings):
    settings.OUTGOING_SECONDS = 0.3
    start = time.monotonic()
    with pytest.raises(OutgoingError, match="no answer"):
        outgoing.post(f"{service.url}/slow", b"", {})
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://push.example.com/",
        "https://user:password@push.example.com/",
        "https:///path",
        "https://push.example.com:port/",
        "ftp://push.example.com/",
        "https://push.example.com/\r\nX-Injected: 1",
        "https://push.example.com/" + "x" * 2000,
        "http://127.0.0.1/",
    ],
)
def test_an_address_that_is_not_plain_https_is_refused(url):
    with pytest.raises(OutgoingError):
        outgoing.check_url(url)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "172.16.5.5",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "255.255.255.255", "240.0.0.1"),
        # A private address inside another one.
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::1"),
    ],
)
def test_a_private_address_is_refused(address, monkeypatch):
    assert not outgoing.is_allowed(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # One private address among public ones is enough.
    found = [(socket.AF_INET, 1, 6, "", (PUBLIC, 443)), (family, 1, 6, "", (address, 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    monkeypatch.setattr(socket, "create_connection", lambda *arguments: pytest.fail("it connected"))
    with pytest.raises(OutgoingError, match="not on the public internet"):
        outgoing.post("https://push.example.com/", b"", {})


def test_a_name_is_resolved_once_and_its_checked_address_is_used(monkeypatch):
    answers = iter([PUBLIC, "127.0.0.1"])
    connected = []

    def resolve(host, port, **options):
        return [(socket.AF_INET, 1, 6, "", (next(answers), port))]

    def connect(address, timeout):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(OutgoingError, match="The connection was refused"):
        outgoing.post("https://push.example.com/", b"", {})
    assert connected == [(PUBLIC, 443)]
    assert next(answers) == "127.0.0.1", "the name was not resolved again"
