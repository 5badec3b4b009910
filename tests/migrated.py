"""Databases with all tables and no rows, made once for all runs: migrating takes ten seconds of CPU time."""

import shutil
from pathlib import Path

from tests.kept import BASE, keep, manage
from tests.servers.services import postgres_program

# What the tables depend on: the migrations, what they import, and the packages.
SOURCES = ["multichat/settings.py", "chat/fields.py", "chat/models.py", "chat/names.py", "requirements.lock"]


def copy_to(path):
    """Make a migrated SQLite database at `path`, without the optional parts, whose migrations can follow."""
    shutil.copyfile(keep("migrated", _sources(), _migrate), path)


def copy_to_postgres(cluster, name):
    """Make such a database in a PostgreSQL cluster, and return its URL."""
    # Another version of PostgreSQL may not read it.
    sources = [*_sources(), Path(postgres_program("postgres"))]
    dump = keep("migrated_postgres", sources, lambda folder: _migrate_postgres(cluster, folder))
    url = cluster.create(name)
    cluster.load(name, dump)
    return url


def _sources():
    return [BASE / name for name in SOURCES] + sorted((BASE / "chat/migrations").glob("*.py"))


def _migrate(folder: Path) -> Path:
    manage("migrate", "--skip-checks", VAR=str(folder))
    return folder / "db.sqlite3"


def _migrate_postgres(cluster, folder: Path) -> Path:
    manage("migrate", "--skip-checks", VAR=str(folder), DATABASE_URL=cluster.create("to_dump"))
    cluster.dump("to_dump", folder / "tables.sql")
    return folder / "tables.sql"
