"""Judges what a file is by its content, and cleans the name that its sender gave it."""

import unicodedata

# The images that browsers may show inline. Each is decoded and re-encoded before it is stored.
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
MAX_NAME = 120
HEAD_BYTES = 4096

# Type by the first bytes: offset, bytes, type.
_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"MZ", "application/x-executable"),
)
_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<iframe", b"<style", b"<title")
# Controls, invisible and bidirectional characters, surrogates, characters without a meaning, line separators.
_NOT_ALLOWED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# They join and separate letters in some scripts and the parts of emoji.
_JOINERS = "\u200c\u200d"
_CONTROLS = set(range(32)) - set(b"\t\n\r\x0c\x1b")


def judge(head: bytes) -> str:
    """Return the media type of a file from its first HEAD_BYTES; the name that its sender gave it does not count."""
    for offset, signature, media_type in _SIGNATURES:
        if head.startswith(signature, offset) and (offset != 8 or head.startswith(b"RIFF")):
            return media_type
    if not is_text(head):
        return UNKNOWN
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "image/svg+xml"
    if start.startswith(_HTML) or any(tag in start for tag in _HTML[:2]):
        return "text/html"
    return "text/xml" if start.startswith(b"<?xml") else TEXT


def is_text(head: bytes) -> bool:
    """Return whether bytes are UTF-8 without control characters; a character may be cut at their end."""
    if _CONTROLS & set(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.end >= len(head) and error.reason == "unexpected end of data"
    return True


def clean_name(name: str) -> str:
    """Return a file's name without directories and without characters that hide or turn what stands there.

    Its ending is kept when it is shortened. A name of which nothing is left becomes `file`.
    """
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    kept = "".join(character for character in last if character in _JOINERS or _is_allowed(character))
    kept = unicodedata.normalize("NFC", " ".join(kept.split()))
    for forbidden in '<>:"|?*':
        kept = kept.replace(forbidden, "_")
    # Without dots and spaces at its ends: a file of a hidden name, and `..`.
    kept = kept.strip(". " + _JOINERS)
    if len(kept) > MAX_NAME:
        stem, dot, ending = kept.rpartition(".")
        kept = (
            f"{stem[: MAX_NAME - len(ending) - 1].rstrip()}.{ending}" if dot and len(ending) <= 16 else kept[:MAX_NAME]
        )
    return kept or "file"


def _is_allowed(character: str) -> bool:
    return unicodedata.category(character) not in _NOT_ALLOWED
