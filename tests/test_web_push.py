"""Messages of Web Push are those of the standards: RFC 8291's own example, and a signature that its service accepts."""

import json
import time

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from chat import web_push
from chat.web_push import decode, encode
from multichat import environment
from tests.push_service import open_message, verify


def test_a_text_is_encrypted_as_in_the_standard():
    # RFC 8291, appendix A.
    sealed = web_push.encrypt(
        b"When I grow up, I want to be a watermelon",
        decode("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        decode("BTBZMqHH6r4Tts7J_aSIgg"),
        own=web_push.private_key(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")),
        salt=decode("DGv6ra1nlYgDCS1FRnbzlw"),
        step=1,
    )
    assert encode(sealed) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru"
        "3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_only_the_browser_can_read_a_message_and_its_length_does_not_show():
    browser, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    auth = b"a" * 16
    p256dh = web_push.point(browser.public_key())
    short, long = (web_push.encrypt(text, p256dh, auth) for text in (b"hi", b"x" * 400))
    assert len(short) == len(long)
    assert open_message(short, browser, auth) == b"hi"
    assert open_message(long, browser, auth) == b"x" * 400
    for key, secret in ((other, auth), (browser, b"b" * 16)):
        with pytest.raises(InvalidTag):
            open_message(short, key, secret)


def test_a_request_is_signed_for_its_push_service_alone(settings):
    settings.PUSH_CONTACT = "mailto:admin@example.com"
    headers = web_push.headers("https://push.example.com/send/abc", topic="1", is_urgent=True)
    claims = verify(headers["Authorization"])
    assert claims["aud"] == "https://push.example.com"
    assert claims["sub"] == "mailto:admin@example.com"
    assert 0 < claims["exp"] - time.time() <= 24 * 3600
    assert (headers["Urgency"], headers["Content-Encoding"]) == ("high", "aes128gcm")
    assert len(headers["Topic"]) == 32
    # A topic is the same for the same room, and does not name it.
    again = web_push.headers("https://push.example.com/send/abc", topic="1", is_urgent=False)
    assert again["Topic"] == headers["Topic"] != web_push.headers("https://a.b/", topic="2", is_urgent=False)["Topic"]


def test_a_forged_signature_is_not_accepted():
    headers = web_push.headers("https://push.example.com/", topic="1", is_urgent=False)
    token, key = (part.split("=", 1)[1] for part in headers["Authorization"].removeprefix("vapid ").split(", "))
    head, _, signature = token.split(".")
    forged = encode(json.dumps({"aud": "https://evil.example"}).encode())
    r, s = decode(signature)[:32], decode(signature)[32:]
    with pytest.raises(InvalidSignature):
        web_push.read_point(decode(key)).verify(
            encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big")),
            f"{head}.{forged}".encode(),
            ec.ECDSA(hashes.SHA256()),
        )


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path, monkeypatch):
    monkeypatch.delenv("VAPID_KEY", raising=False)
    key = environment.vapid_key("VAPID_KEY", tmp_path)
    assert environment.vapid_key("VAPID_KEY", tmp_path) == key
    assert (tmp_path / "vapid_key").stat().st_mode & 0o777 == 0o600
    assert web_push.private_key(decode(key)).public_key()
    monkeypatch.setenv("VAPID_KEY", key[:-1])
    with pytest.raises(SystemExit, match="VAPID_KEY"):
        environment.vapid_key("VAPID_KEY", tmp_path)
