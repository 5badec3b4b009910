"""Whether the database has all migrations, and whether it can be written."""

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


def check() -> tuple[bool, bool]:
    """Return whether migrations are missing, and whether the database refuses to write."""
    return _missing_migrations(), connection.vendor == "postgresql" and _is_read_only()


def _is_read_only() -> bool:
    # Queried here too, because the writer notices only when messages are sent.
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only')")
        return bool(cursor.fetchone() == ("on",))


def _missing_migrations() -> bool:
    global _known
    if _known is None:
        # Read the files only once, so that later checks are a single query.
        _known = set(MigrationLoader(None).disk_migrations or ())
    return not _known <= set(MigrationRecorder(connection).applied_migrations())


_known: set[tuple[str, str]] | None = None
