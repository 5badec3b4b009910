"""Writes a backup of the database into a new file, while servers run: manage.py backup FILE."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat import backups


class Command(BaseCommand):
    help = "Writes a consistent backup of the whole database into a file. Servers can keep running."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backups.save(options["file"], overwrite=options["overwrite"])
        except (backups.BackupError, OSError) as error:
            raise CommandError(f"Nothing was saved. {error}") from None
        self.stdout.write(f"Saved in {options['file']}: {backups.describe_content() or 'an empty database'}.")
