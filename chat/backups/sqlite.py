"""Backs up and restores SQLite with its online backup, which is consistent while a server runs."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections

from chat import backups
from chat.backups import Applied, BackupError

COPY = "restored"


class SQLite:
    """The database is one file, and a backup is another file."""

    @property
    def _path(self) -> str:
        return str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])

    def save(self, file: Path) -> None:
        if not Path(self._path).is_file():
            raise BackupError(f"There is no database at {self._path} yet.")
        with _errors(), closing(_open(self._path)) as live, closing(_open(file)) as copy:
            # Copies all pages in one step, so the copy is a consistent snapshot, whatever is written meanwhile.
            live.backup(copy)
            # The copy is one file, without a write-ahead log beside it.
            copy.execute("PRAGMA journal_mode=DELETE")
            _check(copy)

    def applied(self, file: Path) -> Applied:
        if file.resolve() == Path(self._path).resolve():
            raise BackupError(f"{file} is the database itself. Name a backup.")
        with file.open("rb") as opened:
            is_dump = opened.read(5) == b"PGDMP"
        if is_dump:
            raise BackupError(f"{file} is a backup of PostgreSQL, but DATABASE_URL names SQLite.")
        with _errors(f"{file} is not a backup of Multichat."), closing(_open(file, "ro")) as backup:
            _check(backup)
            backup.execute("SELECT epoch FROM chat_room LIMIT 1")
            return set(backup.execute("SELECT app, name FROM django_migrations"))

    def load(self, file: Path) -> None:
        with _errors(), backups.draft_beside(Path(self._path)) as draft:
            with closing(_open(file, "ro")) as backup, closing(_open(draft)) as copy:
                backup.backup(copy)
            with _as_database(draft):
                call_command("migrate", database=COPY, interactive=False, verbosity=0, skip_checks=True)
                backups.start_new_epochs(using=COPY)
            with closing(_open(draft)) as copy, closing(_open(self._path)) as live:
                copy.execute("PRAGMA journal_mode=DELETE")
                _check(copy)
                live.execute("PRAGMA journal_mode=WAL")
                live.execute("PRAGMA synchronous=FULL")
                # This is one transaction of the live database, so servers see either the old database or the new one.
                copy.backup(live)
        os.sync()


@contextmanager
def _as_database(path: Path) -> Iterator[None]:
    """Make a file available to Django as the database COPY."""
    connections.databases[COPY] = {**connections.databases[DEFAULT_DB_ALIAS], "NAME": str(path)}
    try:
        yield
    finally:
        connections[COPY].close()
        del connections[COPY], connections.databases[COPY]


def _open(path: str | Path, mode: str = "rwc") -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode={mode}", uri=True, timeout=20)


def _check(database: sqlite3.Connection) -> None:
    found = [line for (line,) in database.execute("PRAGMA quick_check")]
    if found != ["ok"]:
        raise BackupError(f"The database is damaged: {found[0]}.")


@contextmanager
def _errors(sentence: str = "") -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise BackupError(sentence or f"SQLite says: {error}.") from error
