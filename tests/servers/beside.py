"""Runs the tasks of tests.servers.database beside a server, with its environment, each in its own process."""

import multiprocessing
import os
import traceback

SECONDS = 120
# Imported once, in the process from which the others are forked. None of these libraries reads Django's settings,
# because each task has its own. A task takes 0.2 s of CPU time this way, and 0.7 s in a new interpreter.
LIBRARIES = [
    "__main__",
    "argon2",
    "channels.db",
    "channels_redis.pubsub",
    "cryptography.fernet",
    "django.contrib.auth.hashers",
    "django.contrib.messages",
    "django.contrib.sessions.backends.base",
    "django.contrib.staticfiles.finders",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.forms",
    "django.template",
    "django.test.utils",
    "django.views",
    "environ",
    "msgspec",
    "psycopg_pool",
    "redis.asyncio",
    "regex",
]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(LIBRARIES)


def ask(environment, task, *arguments):
    """Run a task and return its answer as JSON. Raises RuntimeError with its traceback when it fails."""
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_answer, args=(sender, environment, task, arguments))
    process.start()
    sender.close()
    try:
        if not receiver.poll(SECONDS):
            raise TimeoutError(f"{task} takes longer than {SECONDS} s")
        answer, failure = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{task} ended without an answer") from None
    finally:
        receiver.close()
        # It has answered, failed, or run out of time.
        process.kill()
        process.join()
    if failure:
        raise RuntimeError(f"{task} failed: {failure}")
    return answer


def _answer(pipe, environment, task, arguments):
    os.environ.clear()
    os.environ.update(environment)
    try:
        from tests.servers import database

        outcome = database.answer(task, *arguments), None
    except BaseException:
        outcome = None, traceback.format_exc()
    pipe.send(outcome)
