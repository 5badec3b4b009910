"""Writes log lines to stderr in a thread of its own: a pipe that nobody reads stops no server."""

import atexit
import logging
import os
import queue
import select
import sys
import threading
import time
from contextlib import suppress

# Lines that wait for a reader; then lines are left out, and counted.
QUEUE_LINES = 10_000
# How long a process that ends waits for its last lines to be read.
FLUSH_SECONDS = 2.0


class Writer:
    """Takes lines from any thread without waiting, and writes them in their order."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(QUEUE_LINES)
        self._left_out = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_ending = False

    def put(self, line: bytes) -> None:
        """Write a line soon, or count it as left out when too many wait."""
        if self._thread is None:
            self._start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            with self._lock:
                self._left_out += 1

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until what was put is written, for so long at most."""
        until = time.monotonic() + seconds
        # Polled, because Queue.join() knows no time limit.
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                # A daemon, because it may hang in a write for ever.
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
                self._write(b"multichat: %d lines were left out here, because nobody read this log\n" % left_out)
            self._lines.task_done()

    def _write(self, line: bytes) -> None:
        # Not by sys.stderr: its lock would be held while this thread hangs, and the process could not end.
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                with suppress(OSError):
                    select.select([], [self._descriptor], [], 1.0)
            except OSError:
                return  # the reader is gone


_writer = Writer(2)


def flush() -> None:
    """Write what waits: for a process that is about to replace itself."""
    _writer.flush()


class Handler(logging.Handler):
    """Formats in the thread that logs, and writes in another."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            _writer.put(line.encode("utf-8", "backslashreplace"))
        except Exception:
            self.handleError(record)


def handler_class(*, is_command: bool) -> str:
    """Return which handler a process gets: a command waits for its terminal, as its other output does."""
    return "logging.StreamHandler" if is_command or "pytest" in sys.modules else "multichat.logs.Handler"
