"""PostgreSQL, by its own pg_dump, pg_restore and psql; in one transaction with the new epochs."""

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
COMPLAINT_BYTES = 64 * 1024

# As chat.backups.start_new_epochs does it. Dumps leave the search path empty, so names are whole.
START_OVER = """
UPDATE {schema}.chat_room SET epoch = left(md5('{salt}' || id), 8);
DELETE FROM {schema}.chat_presence;
DELETE FROM {schema}.chat_process;
UPDATE {schema}.chat_membership SET is_here = false WHERE is_here;
DO $$ BEGIN
IF to_regclass('{schema}.chat_accesschange') IS NOT NULL THEN
INSERT INTO {schema}.chat_accesschange (id) VALUES ('{change}');
END IF; END $$;
"""


class PostgreSQL:
    """A backup is a file of pg_dump's own format, with Multichat's tables and no others."""

    def save(self, file: Path) -> None:
        tables = [f"--table={_schema()}.{table}" for table in _tables()]
        if not tables:
            raise BackupError("There are no tables yet.")
        _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}", *tables, *_where())

    def applied(self, file: Path) -> Applied:
        with file.open("rb") as opened:
            if opened.read(5) != b"PGDMP":
                raise BackupError(f"{file} is not a backup of Multichat's with PostgreSQL.")
        data = _run("pg_restore", "--data-only", "--table=django_migrations", "--file=-", str(file))
        rows = re.findall(r"^\d+\t(\S+)\t(\S+)\t", data, re.MULTILINE)
        if not any(app == "chat" for app, _ in rows):
            raise BackupError(f"{file} is not a backup of Multichat.")
        return set(rows)

    def load(self, file: Path) -> None:
        drop = f"DROP TABLE IF EXISTS {', '.join(_tables())} CASCADE;\n" if _tables() else ""
        after = START_OVER.format(schema=_schema(), salt=secrets.token_hex(16), change=uuid.uuid4())
        connection.close()
        for left in reversed(range(TRIES)):
            try:
                _replay(file, before=drop, after=after)
            except BackupError as error:
                # Servers at work lock the same tables in another order: one of the two gives way, and tries again.
                if left and "deadlock detected" in str(error):
                    continue
                raise
            break
        # Of an older version: what came since, and what it had no table for.
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        access.record_change()


def _replay(file: Path, *, before: str, after: str) -> None:
    """Run a backup's script in one transaction, between other statements. It may be larger than memory."""
    # COMMIT is sent only once pg_restore has ended well. Whatever ends psql earlier leaves the database as it was.
    into = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", *_where())
    out_of = ("--no-owner", "--no-privileges", "--file=-", str(file))
    with _Program("psql", *into, stdin=True) as writing, _Program("pg_restore", *out_of, stdout=True) as reading:
        assert writing.stdin is not None and reading.stdout is not None, "both are pipes"
        with suppress(BrokenPipeError):  # psql has ended, and says why
            writing.stdin.write(f"BEGIN;\n{before}".encode())
            shutil.copyfileobj(reading.stdout, writing.stdin, PIECE_BYTES)
            if reading.wait() == 0:
                writing.stdin.write(f"{after}COMMIT;\n".encode())
        reading.stdout.close()
        with suppress(BrokenPipeError):
            writing.stdin.close()
        failed = [program for program in (writing, reading) if program.wait()]
    for program in failed:
        raise BackupError(program.complaint())


def _schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_schema())")
        return str(cursor.fetchone()[0])


def _tables() -> list[str]:
    """Return Multichat's tables: others may share the database."""
    return sorted(connection.introspection.django_table_names(only_existing=True) + _migrations())


def _migrations() -> list[str]:
    return [name for name in connection.introspection.table_names() if name == "django_migrations"]


def _where() -> list[str]:
    """Return the argument that says which database; the password goes by the environment, which others cannot see."""
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        # They set an empty search_path, and a pooler would hand it on to whoever comes next.
        raise BackupError("DATABASE_URL leads through a pooler; for this, give it PostgreSQL's own address.")
    return [f"--dbname={make_conninfo(**{**_address(), 'password': None})}"]


def _address() -> dict[str, Any]:
    """Return how Django connects, as far as PostgreSQL's own programs know the words."""
    words = {option.keyword.decode() for option in Conninfo.get_defaults()}
    parameters: dict[str, Any] = connection.get_connection_params()
    return {name: value for name, value in parameters.items() if name in words}


class _Program(subprocess.Popen[bytes]):
    """One of PostgreSQL's programs; what it complains of is kept."""

    def __init__(self, name: str, *arguments: str, stdin: bool = False, stdout: bool = False) -> None:
        if (path := _find(name)) is None:
            raise BackupError(f"{name} is not there. On Debian: apt-get install postgresql-client.")
        self._name = name
        self._words = ""
        # A file: a pipe that nobody reads would fill up.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  closed with the program
        super().__init__(
            [path, *arguments],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=self._complaints,
            env={**os.environ, "PGPASSWORD": str(_address().get("password") or "")},
        )

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        with self._complaints as file:
            file.seek(0)
            said = file.read(COMPLAINT_BYTES).decode(errors="replace")
        self._words = next((line for line in said.splitlines() if "error" in line.lower()), said.strip())

    def complaint(self) -> str:
        """Return a sentence with what went wrong, after the program has ended."""
        return f"{self._name} says: {self._words}"


def _run(name: str, *arguments: str) -> str:
    """Run a program to its end, and return what it writes, which is little."""
    with _Program(name, *arguments, stdout=True) as program:
        assert program.stdout is not None, "it is a pipe"
        output = program.stdout.read().decode()
    if program.returncode:
        raise BackupError(program.complaint())
    return output


def _find(program: str) -> str | None:
    # Debian keeps some of PostgreSQL's programs off the PATH.
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: float(path.parts[4]))
    return shutil.which(program) or (str(places[-1]) if places else None)
