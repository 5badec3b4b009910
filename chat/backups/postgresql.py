"""PostgreSQL, by its own pg_dump, pg_restore and psql; in one transaction with the new epochs."""

import os
import re
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from chat import backups
from chat.backups import Applied, BackupError

TRIES = 5

# As chat.backups.start_over does it. Dumps leave the search path empty, so names are whole.
START_OVER = """
UPDATE {schema}.chat_room SET epoch = left(md5('{salt}' || id), 8);
DELETE FROM {schema}.chat_presence;
DELETE FROM {schema}.chat_process;
UPDATE {schema}.chat_membership SET is_here = false WHERE is_here;
DELETE FROM {schema}.chat_accesscounter;
INSERT INTO {schema}.chat_accesscounter (id, changes) VALUES (1, {changes});
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
        script = _run("pg_restore", "--no-owner", "--no-privileges", "--file=-", str(file))
        drop = f"DROP TABLE IF EXISTS {', '.join(_tables())} CASCADE;\n" if _tables() else ""
        after = START_OVER.format(schema=_schema(), salt=secrets.token_hex(16), changes=backups.generation())
        connection.close()
        self._write(drop + script + after)
        # Of an older version: what came since.
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)

    def _write(self, sql: str) -> None:
        for left in reversed(range(TRIES)):
            try:
                options = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--file=-"]
                _run("psql", *options, *_where(), given=sql)
            except BackupError as error:
                # Servers at work lock the same tables in another order: one of the two gives way, and tries again.
                if left and "deadlock detected" in str(error):
                    continue
                raise
            return


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


def _run(program: str, *arguments: str, given: str | None = None) -> str:
    if (path := _find(program)) is None:
        raise BackupError(f"{program} is not there. On Debian: apt-get install postgresql-client.")
    environment = {**os.environ, "PGPASSWORD": str(_address().get("password") or "")}
    done = subprocess.run(
        [path, *arguments], input=given, stdin=None if given else subprocess.DEVNULL, capture_output=True,
        text=True, env=environment,
    )  # fmt: skip
    if done.returncode:
        words = next((line for line in done.stderr.splitlines() if "error" in line.lower()), done.stderr.strip())
        raise BackupError(f"{program} says: {words}")
    return done.stdout


def _find(program: str) -> str | None:
    # Debian keeps some of PostgreSQL's programs off the PATH.
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: float(path.parts[4]))
    return shutil.which(program) or (str(places[-1]) if places else None)
