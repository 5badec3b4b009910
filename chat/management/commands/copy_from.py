"""Moves to another database: copies all rows of the old one into that of DATABASE_URL: manage.py copy_from SOURCE."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from chat import backups
from chat.backups import copying
from multichat import database_url


class Command(BaseCommand):
    help = "Copies another database (SQLite or PostgreSQL) into the empty database that DATABASE_URL names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="an SQLite file, or an address in the form of DATABASE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = copying.copy(_source(options["source"]), report=self._report)
        except (backups.BackupError, OSError) as error:
            raise CommandError(f"Nothing was copied. {error}") from None
        self.stdout.write(
            f"Copied {backups.counted(rows, 'row')}: {backups.describe_content() or 'an empty database'}."
        )

    def _report(self, table: str, rows: int) -> None:
        if rows:
            self.stdout.write(f"  {table}: {rows}")


def _source(text: str) -> dict[str, Any]:
    if "://" in text:
        try:
            return database_url.parse("The source", text, settings.BASE_DIR, Path())
        except SystemExit as refusal:
            raise CommandError(str(refusal).removeprefix("Multichat: ")) from None
    path = Path(text)
    if not path.is_file():
        raise CommandError(f"There is no file {path}.")
    return {
        "ENGINE": "django.db.backends.sqlite3", "NAME": str(path.resolve()), "USER": "", "PASSWORD": "", "HOST": "",
        "PORT": "", "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
    }  # fmt: skip
