"""Replaces the database by a backup, while servers run: manage.py restore FILE [--yes]."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat import backups


class Command(BaseCommand):
    help = "Replaces the whole database by a backup. Servers can keep running; open pages reload their messages."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--yes", action="store_true", help="replace the database even if it has rooms or users")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backups.load(options["file"], replace=options["yes"])
        except (backups.BackupError, OSError) as error:
            raise CommandError(f"Nothing was restored. {error}") from None
        except backups.FilesNotRestoredError as error:
            raise CommandError(f"The database was restored, but not all files: {error} Restore it again.") from None
        self.stdout.write(f"Restored {options['file']}: {backups.describe_content()}. Every room has a new epoch.")
