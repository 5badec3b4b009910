"""Runs the works of tests.servers.database beside a server, with its environment, each in a process of its own."""

import multiprocessing
import os
import traceback

SECONDS = 120
# Imported once, in the process from which the others are forked: none of them reads Django's settings, which each
# work has of its own. A work takes 0.2 s of processor time so, and 0.7 s in a new interpreter.
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


def ask(environment, work, *arguments):
    """Run a work, and return what it answers as JSON. Raises RuntimeError with its traceback when it fails."""
    ours, theirs = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_answer, args=(theirs, environment, work, arguments))
    process.start()
    theirs.close()
    try:
        if not ours.poll(SECONDS):
            raise TimeoutError(f"{work} takes longer than {SECONDS} s")
        answer, failure = ours.recv()
    except EOFError:
        raise RuntimeError(f"{work} ended without an answer") from None
    finally:
        ours.close()
        # It has answered, or never will.
        process.kill()
        process.join()
    if failure:
        raise RuntimeError(f"{work} failed: {failure}")
    return answer


def _answer(pipe, environment, work, arguments):
    os.environ.clear()
    os.environ.update(environment)
    try:
        from tests.servers import database

        outcome = database.answer(work, *arguments), None
    except BaseException:
        outcome = None, traceback.format_exc()
    pipe.send(outcome)
