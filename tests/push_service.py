"""A push service and a browser, faked on loopback by their protocol: RFC 8030, 8188, 8291 and 8292."""

import http.server
import json
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chat.web_push import decode, encode


def open_message(sealed, key, auth):
    """Return the text of an encrypted message as its browser does. Raises an exception when it is not for it."""
    salt, length = sealed[:16], sealed[20]
    sender, text = sealed[21 : 21 + length], sealed[21 + length :]
    own = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))

    def derive(salt, secret, info, length):
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)

    secret = derive(auth, shared, b"WebPush: info\0" + own + sender, 32)
    content_key = derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    padded = AESGCM(content_key).decrypt(nonce, text, None).rstrip(b"\0")
    assert padded[-1:] == b"\2", "the last record ends so"
    return padded[:-1]


def verify(authorization):
    """Return the claims of a request. Raises an exception when the signature is not that of its key."""
    token, key = (part.split("=", 1)[1] for part in authorization.removeprefix("vapid ").split(", "))
    head, claims, signature = token.split(".")
    numbers = decode(signature)
    assert len(numbers) == 64
    ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decode(key)).verify(
        encode_dss_signature(int.from_bytes(numbers[:32], "big"), int.from_bytes(numbers[32:], "big")),
        f"{head}.{claims}".encode(),
        ec.ECDSA(hashes.SHA256()),
    )
    assert json.loads(decode(head)) == {"typ": "JWT", "alg": "ES256"}
    return json.loads(decode(claims))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.service.receive(self, body)

    def log_message(self, *arguments):
        pass


class PushService:
    """Accepts messages that are signed and have a TTL, and keeps them by browser."""

    def __init__(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.service = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.received = {}
        # By browser: the status that it answers.
        self.answers = {}
        # By browser: where a redirect leads.
        self.locations = {}
        # By browser: the key of the site for which it subscribed, if the test has one. No other site may send to it.
        self.site_keys = {}
        self._has_received = threading.Condition()
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def receive(self, request, body):
        name = request.path.removeprefix("/")
        authorization = request.headers["Authorization"]
        claims = verify(authorization)
        assert authorization.endswith(f", k={self.site_keys.get(name, '')}") or name not in self.site_keys
        assert claims["aud"] == self.url
        assert claims["exp"] > time.time()
        assert int(request.headers["TTL"]) > 0
        assert request.headers["Content-Encoding"] == "aes128gcm"
        assert len(body) <= 4096
        with self._has_received:
            self.received.setdefault(name, []).append(body)
            self._has_received.notify_all()
        request.send_response(self.answers.get(name, 201))
        if name in self.locations:
            request.send_header("Location", self.locations[name])
        request.end_headers()

    def wait_for(self, name, number):
        """Wait until a browser was sent this many messages."""
        with self._has_received:
            assert self._has_received.wait_for(lambda: len(self.received.get(name, [])) >= number, timeout=20)

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Browser:
    """A browser that subscribed at a push service."""

    def __init__(self, service, name):
        self.service = service
        self.name = name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = name.encode().ljust(16, b"-")[:16]

    @property
    def endpoint(self):
        return f"{self.service.url}/{self.name}"

    def subscription(self):
        own = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"endpoint": self.endpoint, "keys": {"p256dh": encode(own), "auth": encode(self.auth)}}

    def messages(self):
        """Return what the service has for this browser, decrypted."""
        sealed = self.service.received.get(self.name, [])
        return [json.loads(open_message(body, self.key, self.auth)) for body in sealed]
