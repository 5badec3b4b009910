"""Reads a part of a stored file in pieces, for as many downloads of a user as the limits allow (FileStream)."""

import threading
from collections.abc import Iterator
from typing import IO

from django.utils.translation import gettext_lazy as _

from chat import limits

PIECE_BYTES = 256 * 1024
# In the scope of a request: its body as a file, and a list that takes what is to be streamed (multichat/transfers.py).
BODY, STREAMED = "multichat.body", "multichat.streamed"

# Views run in several threads.
_lock = threading.Lock()


class FileStream(Iterator[bytes]):
    """The bytes of an open file from `first` on. It has to be closed, and then counts no longer.

    Raises ClientError: RATE_LIMITED when the user has too many already.
    """

    def __init__(self, opened: IO[bytes], first: int, length: int, *, user_id: int) -> None:
        with _lock:
            is_allowed = limits.downloads_of_user.acquire(user_id)
        if not is_allowed:
            opened.close()
            raise limits.too_fast(_("You are downloading too many files at once."), 5)
        self._slot = limits.Slot(limits.downloads_of_user, user_id)
        self._opened, self._left = opened, length
        # Its size may have been found by going to its end.
        opened.seek(first)

    def __next__(self) -> bytes:
        piece = self._opened.read(min(PIECE_BYTES, self._left))
        if not piece:
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._opened.close()
        with _lock:
            self._slot.release()
