"""Has images re-encoded by `picture_worker`, at most a few at the same time."""

import json
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from django.utils.translation import gettext_lazy as _

from chat.exceptions import ClientError, ErrorCode, Sentence, unavailable

logger = logging.getLogger(__name__)

WORKER = Path(__file__).with_name("picture_worker.py")
# Each takes a core, and up to MEMORY_BYTES of the worker.
AT_ONCE = 2
WAIT_SECONDS = 10.0
# Longer than the worker's limit on CPU time, because the machine may be busy.
MOST_SECONDS = 40.0

# What users can do about an image that is refused: one that they send, and one that shows who they are.
ARCHIVE: dict[str, Sentence] = {
    "too large": _("This image has too many pixels. Make it smaller, or send it in an archive."),
    "invalid": _("This image is damaged. To send it as it is, put it into an archive."),
}
CHOOSE: dict[str, Sentence] = {
    "too large": _("This image has too many pixels. Make it smaller, or choose another one."),
    "invalid": _("This image is damaged. Choose another one."),
}

_slots = threading.BoundedSemaphore(AT_ONCE)


class Picture(NamedTuple):
    """An image that was re-encoded."""

    type: str
    width: int
    height: int


def reencode(source: Path, clean: Path, thumbnail: Path) -> Picture:
    """Re-encode an image without its metadata into `clean`, and its thumbnail (WebP).

    Raises ClientError: FILE_INVALID, FILE_TOO_LARGE, SERVER_UNAVAILABLE.
    """
    return _run(source, clean, thumbnail, advice=ARCHIVE)


def write_square(source: Path, square: Path) -> None:
    """Write the middle of an image into a small square (WebP), without metadata; of an animation its first frame.

    Raises ClientError: FILE_INVALID, FILE_TOO_LARGE, SERVER_UNAVAILABLE.
    """
    _run(source, square, advice=CHOOSE)


def _run(source: Path, *targets: Path, advice: dict[str, Sentence]) -> Picture:
    if not _slots.acquire(timeout=WAIT_SECONDS):
        raise unavailable(_("The server is busy with other images. Try again in a moment."))
    try:
        # -I: neither the environment nor the current directory decides what is imported.
        done = subprocess.run(
            [sys.executable, "-I", str(WORKER), str(source), *map(str, targets)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _refuse("too large", advice) from None
    finally:
        _slots.release()
    if done.returncode:
        # It ended by one of its limits.
        logger.warning("an image could not be read: the worker ended with %s", done.returncode)
        raise _refuse("too large", advice)
    answer = json.loads(done.stdout)
    if error := answer.get("error"):
        raise _refuse(error, advice)
    return Picture(answer["type"], answer["width"], answer["height"])


def _refuse(error: str, advice: dict[str, Sentence]) -> ClientError:
    if error == "too large":
        return ClientError(ErrorCode.FILE_TOO_LARGE, detail=advice["too large"])
    return ClientError(ErrorCode.FILE_INVALID, detail=advice["invalid"])
