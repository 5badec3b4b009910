"""Backs up PostgreSQL with pg_dump, and restores it with pg_restore and psql, in one transaction with new epochs."""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from chat.backups import Applied, BackupError
from chat.store import access

TRIES = 5
PIECE_BYTES = 256 * 1024
STDERR_BYTES = 64 * 1024

# Does the same as chat.backups.start_new_epochs. Dumps leave the search path empty, so names need the schema.
START_OVER = """
UPDATE {schema}.chat_room SET epoch = left(md5('{salt}' || id), 8);
DELETE FROM {schema}.chat_presence;
DELETE FROM {schema}.chat_process;
UPDATE {schema}.chat_membership SET is_here = false WHERE is_here;
DO $$ BEGIN
IF to_regclass('{schema}.chat_accesschange') IS NOT NULL THEN
INSERT INTO {schema}.chat_accesschange (id) VALUES ('{change}');
END IF;
IF to_regclass('{schema}.chat_positioncounter') IS NOT NULL THEN
UPDATE {schema}.chat_positioncounter SET epoch = left(md5('{salt}'), 8);
END IF; END $$;
"""


class PostgreSQL:
    """A backup is a file in pg_dump's custom format, with only Multichat's tables."""

    def save(self, file: Path) -> None:
        tables = [f"--table={_schema()}.{table}" for table in _tables()]
        if not tables:
            raise BackupError("The database has no tables yet. Run manage.py migrate first.")
        _run(
            "pg_dump",
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            f"--file={file}",
            *tables,
            *_connection_arguments(),
        )

    def applied(self, file: Path) -> Applied:
        with file.open("rb") as opened:
            if opened.read(5) != b"PGDMP":
                raise BackupError(f"{file} is not a backup of Multichat on PostgreSQL.")
        data = _run("pg_restore", "--data-only", "--table=django_migrations", "--file=-", str(file))
        rows = re.findall(r"^\d+\t(\S+)\t(\S+)\t", data, re.MULTILINE)
        if not any(app == "chat" for app, _ in rows):
            raise BackupError(f"{file} is not a backup of Multichat.")
        return set(rows)

    def load(self, file: Path) -> None:
        drop = f"DROP TABLE IF EXISTS {', '.join(_tables())} CASCADE;\n" if _tables() else ""
        after = START_OVER.format(schema=_schema(), salt=secrets.token_hex(16), change=uuid.uuid4())
        connection.close()
        for tries_left in reversed(range(TRIES)):
            try:
                _replay(file, before=drop, after=after)
            except BackupError as error:
                # Running servers lock the same tables in another order. PostgreSQL ends one of the two, so try again.
                if tries_left and "deadlock detected" in str(error):
                    continue
                raise
            break
        # If the backup is of an older version, add the tables that came later, and what belongs in them.
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        access.record_change()


def _replay(file: Path, *, before: str, after: str) -> None:
    """Run a backup's script, which may be larger than memory, in one transaction between other statements."""
    # COMMIT is sent only after pg_restore has succeeded. If psql ends earlier, the database stays as it was.
    into = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", *_connection_arguments())
    out_of = ("--no-owner", "--no-privileges", "--file=-", str(file))
    with _Program("psql", *into, stdin=True) as writing, _Program("pg_restore", *out_of, stdout=True) as reading:
        assert writing.stdin is not None and reading.stdout is not None, "both are pipes"
        with suppress(BrokenPipeError):  # psql has ended, and has written why to stderr
            writing.stdin.write(f"BEGIN;\n{before}".encode())
            shutil.copyfileobj(reading.stdout, writing.stdin, PIECE_BYTES)
            if reading.wait() == 0:
                writing.stdin.write(f"{after}COMMIT;\n".encode())
        reading.stdout.close()
        with suppress(BrokenPipeError):
            writing.stdin.close()
        failed = [program for program in (writing, reading) if program.wait()]
    for program in failed:
        raise BackupError(program.error())


def _schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        return str(cursor.fetchone()[0])


def _tables() -> list[str]:
    """Return Multichat's tables. The database may have others."""
    return sorted(connection.introspection.django_table_names(only_existing=True) + _migrations())


def _migrations() -> list[str]:
    return [name for name in connection.introspection.table_names() if name == "django_migrations"]


def _connection_arguments() -> list[str]:
    """Return the arguments that name the database. The password goes into the environment, where it is not visible."""
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        # These programs set an empty search_path, which a pooler would pass on to the next client.
        raise BackupError("DATABASE_URL leads through a pooler. Set it to PostgreSQL's own address for this command.")
    return [f"--dbname={make_conninfo(**{**_connection_parameters(), 'password': None})}"]


def _connection_parameters() -> dict[str, Any]:
    """Return Django's connection parameters, as far as PostgreSQL's own programs know them."""
    names = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parameters: dict[str, Any] = connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name in names}


class _Program(subprocess.Popen[bytes]):
    """One of PostgreSQL's programs; keeps what it writes to stderr."""

    def __init__(self, name: str, *arguments: str, stdin: bool = False, stdout: bool = False) -> None:
        if (path := _find(name)) is None:
            raise BackupError(f"{name} is not installed. On Debian, run apt-get install postgresql-client.")
        self._name = name
        self._error = ""
        # A file, because a pipe that is not read would fill up.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  closed with the program
        super().__init__(
            [path, *arguments],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=self._stderr,
            env={**os.environ, "PGPASSWORD": str(_connection_parameters().get("password") or "")},
        )

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        with self._stderr as file:
            file.seek(0)
            output = file.read(STDERR_BYTES).decode(errors="replace")
        self._error = next((line for line in output.splitlines() if "error" in line.lower()), output.strip())

    def error(self) -> str:
        """Return a sentence that says what went wrong, after the program has ended."""
        return f"{self._name} says: {self._error}"


def _run(name: str, *arguments: str) -> str:
    """Run a program to its end, and return its output, which is small."""
    with _Program(name, *arguments, stdout=True) as program:
        assert program.stdout is not None, "it is a pipe"
        output = program.stdout.read().decode()
    if program.returncode:
        raise BackupError(program.error())
    return output


def _find(program: str) -> str | None:
    # On Debian, some of PostgreSQL's programs are not on the PATH.
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: float(path.parts[4]))
    return shutil.which(program) or (str(places[-1]) if places else None)
