"""Reads the header Range (RFC 9110, section 14) as far as it is served: one range of bytes."""

import re
from typing import NamedTuple

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")


class ByteRange(NamedTuple):
    first: int
    length: int


# A range beyond the end.
UNSATISFIABLE = ByteRange(-1, 0)


def parse(header: str, size: int) -> ByteRange | None:
    """Return the wanted part of `size` bytes; None for all of them, also when the header is not understood."""
    match = _ONE_RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        return ByteRange(size - length, length) if length else UNSATISFIABLE
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        return UNSATISFIABLE
    return ByteRange(int(first), min(int(last), size - 1) - int(first) + 1 if last else size - int(first))
