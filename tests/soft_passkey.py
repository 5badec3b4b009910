"""A passkey in software: makes what a browser sends when it registers and uses one (Web Authentication, ES256)."""

import base64
import hashlib
import json
import secrets

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2 import cbor
from fido2.cose import ES256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SoftPasskey:
    def __init__(self, origin="http://localhost", flags=PRESENT | VERIFIED):
        self.origin, self.flags = origin, flags
        self.id = secrets.token_bytes(16)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.handle = ""

    def make(self, options):
        """Answer navigator.credentials.create()."""
        public = options["publicKey"]
        self.handle = public["user"]["id"]
        name = cbor.encode(ES256.from_cryptography_key(self.key.public_key()))
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + name
        data = self._data(public["rp"]["id"], ATTESTED) + attested
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", public["challenge"])
        return self._answer(clientDataJSON=encode(client), attestationObject=encode(attestation))

    def use(self, options):
        """Answer navigator.credentials.get()."""
        public = options["publicKey"]
        data = self._data(public["rpId"])
        client = self._client("webauthn.get", public["challenge"])
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer(
            clientDataJSON=encode(client),
            authenticatorData=encode(data),
            signature=encode(signature),
            userHandle=self.handle,
        )

    def _data(self, rp, more=0):
        return hashlib.sha256(rp.encode()).digest() + bytes([self.flags | more]) + bytes(4)

    def _client(self, kind, challenge):
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, **response):
        answer = {"id": encode(self.id), "rawId": encode(self.id), "type": "public-key"}
        return json.dumps(answer | {"response": response, "clientExtensionResults": {}})
