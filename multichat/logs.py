"""Writes log lines to stderr in a thread of its own, so that an unread pipe does not stop the server."""

import atexit
import logging
import os
import queue
import select
import sys
import threading
import time
from contextlib import suppress

# Lines that may wait for a reader. Further lines are left out and counted.
QUEUE_LINES = 10_000
# How long an ending process waits for its last lines to be read.
FLUSH_SECONDS = 2.0


class LineWriter:
    """Accepts lines from any thread without blocking, and writes them in order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(QUEUE_LINES)
        self._left_out = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_ending = False

    def put(self, line: bytes) -> None:
        """Queue a line, or count it as left out if too many wait."""
        if self._thread is None:
            self._start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            with self._lock:
                self._left_out += 1

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all queued lines are written, but not longer than `seconds`."""
        deadline = time.monotonic() + seconds
        # Polled, because Queue.join() has no timeout.
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                # A daemon, because it may block in a write forever.
                self._thread = threading.Thread(target=self._write_always, name="log", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _write_always(self) -> None:
        while True:
            line = self._lines.get()
            self._write(line)
            with self._lock:
                left_out, self._left_out = self._left_out, 0
            if left_out:
                self._write(
                    b"multichat: %d lines were left out here, because this log was not read in time\n" % left_out
                )
            self._lines.task_done()

    def _write(self, line: bytes) -> None:
        # Not through sys.stderr: this thread would hold its lock while it blocks, and the process could not end.
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                with suppress(OSError):
                    select.select([], [self._descriptor], [], 1.0)
            except OSError:
                return  # the reader has closed the pipe


_writer = LineWriter(2)


def flush() -> None:
    """Write all queued lines, before the process replaces itself."""
    _writer.flush()


class Handler(logging.Handler):
    """Formats in the thread that logs, and writes in the writer's thread."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            _writer.put(line.encode("utf-8", "backslashreplace"))
        except Exception:
            self.handleError(record)


def handler_class(*, is_command: bool) -> str:
    """Return the handler for this process. A command writes directly, in order with its other output."""
    return "logging.StreamHandler" if is_command or "pytest" in sys.modules else "multichat.logs.Handler"
