"""Runs servers, manage.py, and tasks of tests.servers.database, in processes forked from one that has the libraries.

Each has an environment of its own, because none of the libraries reads Django's settings when it is imported. The start
of a server takes 0.6 s of CPU time this way instead of 1.2, and the first task of an environment 0.2 s instead of 0.7.
Later tasks run in the same process.
"""

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import defaultdict
from pathlib import Path

from tests.servers.quantities import TIMEOUT

BASE = Path(__file__).resolve().parents[2]
# At full size, deleting a million messages takes minutes.
SECONDS = max(120, TIMEOUT)
LIBRARIES = [
    "__main__",
    "argon2",
    "asgiref.typing",
    "channels.db",
    "channels.generic.websocket",
    "channels.layers",
    "channels.routing",
    "channels.security.websocket",
    "channels_redis.pubsub",
    "cryptography.fernet",
    "django.contrib.auth.hashers",
    "django.contrib.messages",
    "django.contrib.messages.middleware",
    "django.contrib.sessions.backends.base",
    "django.contrib.sites.shortcuts",
    "django.contrib.staticfiles.finders",
    "django.core.asgi",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.loader",
    "django.db.models",
    "django.forms",
    "django.middleware.cache",
    "django.middleware.security",
    "django.shortcuts",
    "django.template",
    "django.test.utils",
    "django.views",
    "django.views.i18n",
    "environ",
    "msgspec",
    "psycopg_pool",
    "redis.asyncio",
    "regex",
    "servestatic.asgi",
    "servestatic.middleware",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.websockets.websockets_sansio_impl",
    "uvloop",
]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(LIBRARIES)


class Fork:
    """A forked process, with the part of subprocess.Popen that tests use."""

    def __init__(self, target, *arguments):
        self._process = _processes.Process(target=target, args=arguments)
        self._process.start()

    @property
    def pid(self):
        return self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds):
        self._process.join(seconds)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked process", seconds)
        return self.returncode


def serve(module, environment, output, listening=None):
    """Run a server's module on a listening socket, or on HOST and PORT. Returns its process, which writes to a file."""
    return Fork(_serve, module, environment, os.fspath(output), listening)


def _serve(module, environment, output, listening):
    _become(environment, output, output)
    sys.argv = [module] if listening is None else [module, "--fd", str(listening.detach())]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing does not call these.
        atexit._run_exitfuncs()


def manage(environment, *arguments):
    """Run manage.py, and return what subprocess.run returns."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder, "output"), Path(folder, "errors")
        process = Fork(_manage, environment, *map(str, files), arguments)
        try:
            process.wait(SECONDS)
        finally:
            process.send_signal(signal.SIGKILL)
        return subprocess.CompletedProcess(arguments, process.returncode, *(file.read_text() for file in files))


def _manage(environment, output, errors, arguments):
    _become(environment, output, errors)
    sys.argv = ["manage.py", *map(str, arguments)]
    try:
        runpy.run_path(str(BASE / "manage.py"), run_name="__main__")
    finally:
        atexit._run_exitfuncs()


def _become(environment, output, errors):
    """Take an environment, and write to these files."""
    for stream, path in (sys.stdout, output), (sys.stderr, errors):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    os.chdir(BASE)
    os.environ.clear()
    os.environ.update(environment)


class _Worker:
    """A process with one environment that runs tasks, one after another."""

    def __init__(self, environment):
        self._pipe, pipe = _processes.Pipe()
        self._process = _processes.Process(target=_work, args=(pipe, environment), daemon=True)
        self._process.start()
        pipe.close()

    def run(self, task, arguments):
        """Return the answer and None, or None and the traceback of the task."""
        self._pipe.send((task, arguments))
        if not self._pipe.poll(SECONDS):
            raise TimeoutError(f"{task} takes longer than {SECONDS} s")
        return self._pipe.recv()

    def end(self):
        self._process.kill()
        self._process.join()
        self._pipe.close()


# By environment: workers that run no task now. Threads may ask at the same time, each of a worker of its own.
_idle: defaultdict[frozenset[tuple[str, str]], list[_Worker]] = defaultdict(list)


def ask(environment, task, *arguments):
    """Run a task and return its answer as JSON. Raises RuntimeError with its traceback when it fails."""
    idle = _idle[frozenset(environment.items())]
    try:
        worker = idle.pop()
    except IndexError:
        worker = _Worker(environment)
    try:
        answer, failure = worker.run(task, arguments)
    except EOFError:
        worker.end()
        raise RuntimeError(f"{task} ended without an answer") from None
    except BaseException:
        worker.end()
        raise
    idle.append(worker)
    if failure:
        raise RuntimeError(f"{task} failed: {failure}")
    return answer


def end_workers(environment):
    """End the workers of an environment that no test asks again."""
    for worker in _idle.pop(frozenset(environment.items()), ()):
        worker.end()


def _work(pipe, environment):
    os.environ.clear()
    os.environ.update(environment)
    while True:
        try:
            task, arguments = pipe.recv()
        except EOFError:
            return
        try:
            from tests.servers import database

            outcome = database.answer(task, *arguments), None
        except BaseException:
            outcome = None, traceback.format_exc()
        pipe.send(outcome)
