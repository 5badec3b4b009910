"""The messages of Web Push: encrypted for one browser (RFC 8291), and signed by this site (VAPID, RFC 8292).

It needs no library but cryptography, which the site has anyway. The addresses of browsers come from their push
services; chat.outgoing sends to them.
"""

import base64
import hashlib
import hmac
import json
import os
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

# How long a push service keeps a message for a browser that is off. Later it is no news.
TTL_SECONDS = 3600
# How long a signature is valid. Push services refuse more than a day.
SIGNED_SECONDS = 12 * 3600
# The encrypted text has one of few lengths, so that its own length does not show.
STEP = 512
RECORD = 4096


def encode(data: bytes) -> str:
    """Return bytes as base64url without padding, as all of Web Push writes them."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of a base64url text. Raises ValueError when it is none."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return a public key as an uncompressed point."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_point(data: bytes) -> ec.EllipticCurvePublicKey:
    """Return the public key of an uncompressed point. Raises ValueError when it is not on the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)


def private_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key pair of a private number."""
    return ec.derive_private_key(int.from_bytes(data, "big"), ec.SECP256R1())


def site_key() -> ec.EllipticCurvePrivateKey:
    """Return the key by which push services know this site."""
    return private_key(decode(settings.VAPID_KEY))


def public_site_key() -> str:
    """Return the public half of the site's key, which a browser needs to subscribe."""
    return encode(point(site_key().public_key()))


def encrypt(
    text: bytes,
    p256dh: bytes,
    auth: bytes,
    *,
    own: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
    step: int = STEP,
) -> bytes:
    """Return a text that only the browser with these keys can read. `own` and `salt` are new for each message."""
    own = own or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    sender = point(own.public_key())
    shared = own.exchange(ec.ECDH(), read_point(p256dh))
    secret = _derive(auth, shared, b"WebPush: info\0" + p256dh + sender, 32)
    key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
    padding = b"\0" * (-(len(text) + 1) % step)
    header = salt + RECORD.to_bytes(4, "big") + bytes([len(sender)]) + sender
    return header + AESGCM(key).encrypt(nonce, text + b"\2" + padding, None)


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def headers(endpoint: str, *, topic: str, is_urgent: bool) -> dict[str, str]:
    """Return the headers of a request to a push service. A newer message of a topic replaces one that waits there."""
    # The topic must not tell the push service which room it is.
    digest = hmac.new(settings.SECRET_KEY.encode(), f"push topic {topic}".encode(), hashlib.sha256).digest()
    return {
        "Authorization": f"vapid t={_token(endpoint)}, k={public_site_key()}",
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TTL_SECONDS),
        "Topic": encode(digest)[:32],
        "Urgency": "high" if is_urgent else "normal",
    }


def _token(endpoint: str) -> str:
    """Return a signed statement that the request comes from this site, for one push service."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + SIGNED_SECONDS,
        "sub": settings.PUSH_CONTACT,
    }
    signed = ".".join(encode(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ES256"}, claims))
    r, s = decode_dss_signature(site_key().sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
