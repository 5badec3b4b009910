"""Copies all rows of another database into this one. The engines may differ, as in a move from SQLite to PostgreSQL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, models, transaction
from django.db.migrations.executor import MigrationExecutor

from chat import backups
from chat.backups import BackupError
from multichat import claim

SOURCE = "source"
# The most rows in memory, and in one statement, so that it has fewer parameters than SQLite allows.
PIECE_ROWS = 500
# The tables that `migrate` fills. Their rows are replaced, because other rows refer to them by id.
MADE_BY_MIGRATE = {"contenttypes.ContentType", "auth.Permission"}

Model = type[models.Model]


def copy(source: dict[str, Any], *, report: Callable[[str, int], None] = lambda table, rows: None) -> int:
    """Copy the database of this configuration into the default one, and return the number of rows.

    The target must be empty. The copy is one transaction there, so an interrupted copy leaves no rows. The source is
    read as one consistent snapshot. Raises BackupError.
    """
    with _connected(source):
        _check_source_is_another()
        # Checked before the lock is taken, so that no lock file is left beside a file that is no database.
        _check_migrations()
        with _no_server(source):
            call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
            with _errors(), _at_one_moment(), transaction.atomic():
                check_empty()
                return _copy_all(report)


def tables() -> list[Model]:
    """Return the model of each table, including those of many-to-many relations."""
    found = apps.get_models(include_auto_created=True)
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def check_empty() -> None:
    """Raise BackupError when the database has rows besides those that `migrate` makes."""
    for model in tables():
        if model._meta.label not in MADE_BY_MIGRATE and model._base_manager.exists():
            raise BackupError(f"This database is not empty: {model._meta.db_table} has rows. Use a new database.")


def _copy_all(report: Callable[[str, int], None]) -> int:
    total = 0
    target = connections[DEFAULT_DB_ALIAS]
    # In any order, because both engines check foreign keys at the end of the transaction.
    for model in tables():
        if model._meta.label in MADE_BY_MIGRATE:
            model._base_manager.all()._raw_delete(DEFAULT_DB_ALIAS)
    for model in tables():
        rows = sum(_insert(model, piece) for piece in _pieces(model))
        total += rows
        report(model._meta.db_table, rows)
    with target.cursor() as cursor:
        for statement in target.ops.sequence_reset_sql(no_style(), tables()):
            cursor.execute(statement)
    target.check_constraints()
    return total


def _pieces(model: Model) -> Iterator[list[models.Model]]:
    """Yield the rows of a table in pieces, in the order of their keys."""
    rows = model._base_manager.using(SOURCE).order_by("pk")
    after: dict[str, Any] = {}
    while piece := list(rows.filter(**after)[:PIECE_ROWS]):
        yield piece
        after = {"pk__gt": piece[-1].pk}


def _insert(model: Model, piece: list[models.Model]) -> int:
    # Raw, so that values are copied unchanged, also those of fields that save() sets to the current time.
    manager: Any = model._base_manager
    manager._insert(piece, fields=model._meta.local_concrete_fields, raw=True, using=DEFAULT_DB_ALIAS)
    return len(piece)


@contextmanager
def _connected(source: dict[str, Any]) -> Iterator[None]:
    connections.databases[SOURCE] = {**connections.databases[DEFAULT_DB_ALIAS], "OPTIONS": {}, **source}
    try:
        yield
    finally:
        connections[SOURCE].close()
        del connections[SOURCE], connections.databases[SOURCE]


@contextmanager
def _no_server(source: dict[str, Any]) -> Iterator[None]:
    """Hold the lock that a server on this SQLite file would hold, so that none can start. Raises BackupError."""
    if connections[SOURCE].vendor != "sqlite":
        yield
        return
    try:
        held = claim.lock(claim.path_of(source))
    except claim.SecondServerError:
        raise BackupError(
            "A server is running on the source. Stop it first, or its new messages will be missing."
        ) from None
    with held:
        yield


@contextmanager
def _at_one_moment() -> Iterator[None]:
    with transaction.atomic(using=SOURCE):
        if connections[SOURCE].vendor == "postgresql":
            with connections[SOURCE].cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _check_source_is_another() -> None:
    source, target = (connections[alias].settings_dict for alias in (SOURCE, DEFAULT_DB_ALIAS))
    places = [(place["ENGINE"], place["HOST"], place["PORT"], str(place["NAME"])) for place in (source, target)]
    if places[0] == places[1]:
        raise BackupError("The source is the database that DATABASE_URL names. Set DATABASE_URL to the new one.")


def _check_migrations() -> None:
    with _errors():
        executor = MigrationExecutor(connections[SOURCE])
        applied = set(executor.loader.applied_migrations)
        if not any(app == "chat" for app, _ in applied):
            raise BackupError("The source is not a database of Multichat.")
        backups.check_migrations(applied)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise BackupError("The source is of an older version of Multichat. Run manage.py migrate on it first.")


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BackupError(f"The database says: {first}.") from error
