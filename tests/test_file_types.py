"""Types judged by content, names made harmless, and ranges of bytes."""

import pytest

from chat import byte_ranges
from chat.byte_ranges import UNSATISFIABLE, ByteRange
from chat.store import file_types
from tests.hostile_files import NAMES, SVG, picture


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (picture("PNG"), "image/png"),
        (picture("JPEG"), "image/jpeg"),
        (picture("GIF"), "image/gif"),
        (picture("WEBP"), "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04rest", "application/zip"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"12345678WEBP", "text/plain"),
        (b"hello", "text/plain"),
        ("Привет".encode()[:-1], "text/plain"),
        (b"caf\xe9 and more", "application/octet-stream"),
        (SVG, "image/svg+xml"),
        (b"  <!DOCTYPE HTML><p>", "text/html"),
        (b"<?xml version='1.0'?><a/>", "text/xml"),
        (b"\x01\x02", "application/octet-stream"),
    ],
)
def test_a_type_is_judged_by_the_content(content, media_type):
    assert file_types.judge(content[: file_types.HEAD_BYTES]) == media_type


@pytest.mark.parametrize(("given", "stored"), NAMES)
def test_a_name_keeps_nothing_that_hides_or_leads_elsewhere(given, stored):
    assert file_types.clean_name(given) == stored


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", None),
        ("bytes=0-9", ByteRange(0, 10)),
        ("bytes=90-", ByteRange(90, 10)),
        ("bytes=90-500", ByteRange(90, 10)),
        ("bytes=-7", ByteRange(93, 7)),
        ("bytes=-700", ByteRange(0, 100)),
        ("bytes=100-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=9-0", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=-", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_one_range_of_bytes_is_understood(header, found):
    assert byte_ranges.parse(header, 100) == found
