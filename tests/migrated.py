"""Databases with all tables and no rows, made once for all runs: migrating takes ten seconds of CPU time."""

import contextlib
import shutil
import sqlite3
from pathlib import Path

from tests.kept import BASE, keep, manage
from tests.servers.services import postgres_program

# What the tables depend on: the migrations, what they import, and the packages.
SOURCES = ["multichat/settings.py", "chat/fields.py", "chat/models.py", "chat/names.py", "requirements.lock"]


def copy_to(path):
    """Make a migrated SQLite database at `path`, without the optional parts, whose migrations can follow."""
    shutil.copyfile(keep("migrated", _sources(), _migrate), path)


def add_optional_to(path):
    """Add the tables of second factors and single sign-on to such a database."""
    sources = [*_sources(), BASE / "multichat/optional_accounts.py"]
    optional = keep("migrated_optional", sources, _migrate_optional)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ATTACH ? AS optional", [str(optional)])
        missing = (
            "SELECT sql FROM optional.sqlite_master WHERE sql NOT NULL"
            " AND name NOT IN (SELECT name FROM main.sqlite_master) ORDER BY rowid"
        )
        both = "optional.sqlite_master AS one JOIN main.sqlite_master AS other ON one.name = other.name"
        changed = connection.execute(f"SELECT one.name FROM {both} WHERE one.sql IS NOT other.sql").fetchall()
        assert not changed, f"the optional parts change {changed}, so migrate instead"
        for (statement,) in connection.execute(missing).fetchall():
            connection.execute(statement)
        connection.execute("INSERT OR IGNORE INTO django_migrations SELECT * FROM optional.django_migrations")


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


def _migrate_optional(folder: Path) -> Path:
    copy_to(folder / "db.sqlite3")
    issuer = {"OIDC_ISSUER": "http://localhost:1", "OIDC_CLIENT_ID": "multichat", "OIDC_CLIENT_SECRET": "a secret"}
    manage("migrate", "--skip-checks", VAR=str(folder), SECOND_FACTOR="on", SITE_URL="http://localhost:2", **issuer)
    return folder / "db.sqlite3"


def _migrate_postgres(cluster, folder: Path) -> Path:
    manage("migrate", "--skip-checks", VAR=str(folder), DATABASE_URL=cluster.create("to_dump"))
    cluster.dump("to_dump", folder / "tables.sql")
    return folder / "tables.sql"
