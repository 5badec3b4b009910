"""Reads an export, of Multichat or of Slack, into an empty database: manage.py import FILE."""

import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from chat.backups import counted, stored_files
from chat.records import RecordError, importing, slack


class Command(BaseCommand):
    help = (
        "Reads the JSON lines of `manage.py export`, or the ZIP file of an export from Slack, into an empty database."
        " The users need new passwords: by mail from the sign-in page, or from an admin."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--without-files", action="store_true", help="leave out the files, whose names stand in the messages"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        if not file.is_file():
            raise CommandError(f"There is no file {file}. Check its name.")
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        try:
            if zipfile.is_zipfile(file):
                rooms, messages = slack.load(file)
            else:
                archive = None if options["without_files"] else stored_files.beside(file)
                with file.open("rb") as lines:
                    rooms, messages = importing.load(lines, archive=archive)
        except (RecordError, OSError) as error:
            raise CommandError(f"Nothing was imported. {error}") from None
        self.stdout.write(f"Imported {counted(rooms, 'room')} and {counted(messages, 'message')} from {file}.")
