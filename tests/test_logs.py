"""Log lines are written by a separate thread, and are dropped rather than waited for."""

import fcntl
import logging
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from multichat import logs


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    for descriptor in (read, write):
        with suppress(OSError):  # the test may have closed it
            os.close(descriptor)


def test_log_lines_arrive_in_order(pipe):
    read, write = pipe
    writer = logs.LineWriter(write)
    for number in range(100):
        writer.put(b"line %d\n" % number)
    writer.flush()
    assert os.read(read, 65536) == b"".join(b"line %d\n" % number for number in range(100))


def test_a_full_pipe_delays_no_caller_and_dropped_lines_are_counted(pipe, monkeypatch):
    read, write = pipe
    monkeypatch.setattr(logs, "QUEUE_LINES", 50)
    writer = logs.LineWriter(write)
    size = fcntl.fcntl(write, fcntl.F_GETPIPE_SZ)
    line = b"x" * 999 + b"\n"
    count = size // 1000 + 500
    putting = threading.Thread(target=lambda: [writer.put(line) for _ in range(count)])
    putting.start()
    putting.join(10)
    assert not putting.is_alive(), "the caller waited for the pipe"
    writer.flush(0.01)
    output = b""
    # In one notice, or in several if the writer's thread was late.
    while sum(map(int, re.findall(rb"multichat: (\d+) [^\n]*left out", output))) <= 300:
        output += os.read(read, 65536)
    writer.flush()


def test_a_closed_pipe_is_no_error(pipe):
    read, write = pipe
    os.close(read)
    writer = logs.LineWriter(write)
    writer.put(b"line\n")
    writer.flush()
    assert not writer._lines.unfinished_tasks


def test_a_non_blocking_pipe_loses_no_line(pipe):
    read, write = pipe
    os.set_blocking(write, False)
    writer = logs.LineWriter(write)
    text = b"x" * (fcntl.fcntl(write, fcntl.F_GETPIPE_SZ) * 2) + b"\n"
    writer.put(text)
    output = b""
    while len(output) < len(text):
        output += os.read(read, 65536)
    assert output == text


def test_a_handler_formats_at_once_and_writes_the_traceback(pipe, monkeypatch):
    read, write = pipe
    monkeypatch.setattr(logs, "_writer", logs.LineWriter(write))
    handler = logs.Handler()
    changing = ["then"]
    handler.emit(logging.LogRecord("x", logging.INFO, "f", 1, "said %s \ud800", (changing,), None))
    changing[0] = "now"
    logs.flush()
    assert os.read(read, 65536) == b"said ['then'] \\ud800\n"


CODE = """
import logging.config
import multichat.settings as settings
logging.config.dictConfig(settings.LOGGING)
for number in range(2000): logging.getLogger("multichat").info("line %d", number)
logging.getLogger("multichat.security").info("{}")
"""


def test_a_process_writes_its_last_lines_before_it_exits(tmp_path):
    environment = {"PATH": os.environ["PATH"], "VAR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, timeout=30)
    lines = done.stderr.splitlines()
    assert len(lines) == 2001
    assert lines[-2].endswith("multichat: line 1999")
    assert lines[-1] == "{}"


def test_a_process_exits_although_its_log_is_not_read(tmp_path):
    environment = {"PATH": os.environ["PATH"], "VAR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", CODE], env=environment, stderr=subprocess.PIPE) as process:
        assert process.wait(30) == 0


def test_a_management_command_logs_without_the_thread():
    assert logs.handler_class(is_command=True) == "logging.StreamHandler"
