"""Requests to addresses that users give reach no private address, follow no redirect, and end in time."""

import contextlib
import http.server
import socket
import ssl
import struct
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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
        elif self.path == "/continue":
            # The client passes over such answers. They end with the connection.
            with contextlib.suppress(OSError):
                while not self.server.is_over.wait(0.01):
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif self.path == "/slow_body":
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not self.server.is_over.wait(0.05):
                    self.wfile.write(b"x")
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


@pytest.mark.parametrize("path", ["/slow", "/slow_body", "/continue"])
def test_an_answer_that_does_not_end_is_cut_in_time(path, service, settings):
    settings.OUTGOING_SECONDS = 0.3
    start = time.monotonic()
    # The beginning of a body is an answer.
    with contextlib.nullcontext() if path == "/slow_body" else pytest.raises(OutgoingError, match="in time"):
        assert outgoing.post(f"{service.url}{path}", b"", {}).status == 200
    assert time.monotonic() - start < 3


def test_an_answer_whose_body_ends_by_a_reset_is_an_answer(settings):
    settings.OUTGOING_LOOPBACK = True
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            accepted, _ = server.accept()
            accepted.recv(1000)
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()

        thread = threading.Thread(target=answer)
        thread.start()
        answered = outgoing.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"", {})
        thread.join()
    assert (answered.status, answered.body) == (200, b"the beginning")


def test_a_name_that_is_not_resolved_in_time_is_given_up(monkeypatch, settings):
    settings.OUTGOING_SECONDS = 0.1
    is_over = threading.Event()
    monkeypatch.setattr(outgoing, "resolve", lambda host, port: is_over.wait(10) and PUBLIC)
    start = time.monotonic()
    with pytest.raises(OutgoingError, match="in time"):
        outgoing.post("https://push.example.com/", b"", {})
    is_over.set()
    assert time.monotonic() - start < 5


def test_nothing_is_sent_after_a_handshake_that_outlives_the_deadline(monkeypatch, settings, tmp_path):
    settings.OUTGOING_LOOPBACK = True
    certificate = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    trusting.check_hostname = False
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    delay, received = 0.0, []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for _ in range(2):
                accepted, _ = server.accept()
                with accepted, contextlib.suppress(OSError):
                    time.sleep(delay)
                    with context.wrap_socket(accepted, server_side=True) as secure:
                        received.append(secure.recv(1000))
                        secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        settings.OUTGOING_SECONDS = 20
        assert outgoing.post(url, b"", {}).status == 204, "the server is one that can be reached"
        # Each of the two waits is shorter than the limit, and they are longer together.
        settings.OUTGOING_SECONDS, delay = 0.6, 0.45
        real = outgoing.resolve
        monkeypatch.setattr(outgoing, "resolve", lambda host, port: time.sleep(0.4) or real(host, port))
        with pytest.raises(OutgoingError, match="in time"):
            outgoing.post(url, b"", {})
        thread.join()
    assert [text[:4] for text in received if text] == [b"POST"]


def make_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


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
        f"https://{'a.' * 130}com/",
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
            "0.1.2.3",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "255.255.255.255", "240.0.0.1"),
        *("127.255.255.254", "100.127.255.255", "172.31.255.255", "fd12:3456::1", "2001:db8::1", "100::1"),
        # A private address inside another one.
        *("::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "2001:0:a00:1::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b:1::a00:1", "::127.0.0.1", "::ffff:0:127.0.0.1"),
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


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"),
        *("10.0.0.1", "169.254.169.254", "100.64.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"),
        *("[fd00::1]", "[fe80::1]"),
    ],
)
def test_no_way_to_write_a_private_address_leads_to_it(host, monkeypatch):
    # By the system's own resolver, which knows more ways than the standards.
    monkeypatch.setattr(socket, "create_connection", lambda *arguments: pytest.fail("it connected"))
    with pytest.raises(OutgoingError, match=r"not on the public internet|not found"):
        outgoing.post(f"https://{host}/", b"", {})


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
