"""Writes rooms and their messages as JSON lines, while servers run: manage.py export [ROOM] [--output FILE]."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat.backups import BackupError, counted, save_draft, stored_files
from chat.records import RecordError, exporting, file_archive
from chat.records.file_archive import FileArchive


class Command(BaseCommand):
    help = (
        "Writes the whole site, or one room, as JSON lines. Rooms of members and direct rooms are included, so keep the"
        " file as safe as the database. Servers can keep running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("room", nargs="?", help="the title or the number of a room; all rooms if it is left out")
        parser.add_argument(
            "--output",
            type=Path,
            help="a new file, with an archive of the files beside it; without it the lines go to the standard output",
        )
        parser.add_argument("--without-files", action="store_true", help="write no archive of the files")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with exporting.snapshot() as alias:
                if options["output"] is None:
                    exporting.write(sys.stdout.buffer, room=options["room"], using=alias)
                    return
                archive = FileArchive()
                file: Path = options["output"]
                with_files = None if options["without_files"] else archive
                # The lines get their name last, so they are complete when they are there.
                with save_draft(file) as draft, file_archive.beside(file, archive), draft.open("wb") as out:
                    rooms, messages = exporting.write(out, room=options["room"], using=alias, archive=with_files)
        except (RecordError, BackupError, OSError) as error:
            raise CommandError(f"Nothing was exported. {error}") from None
        done = f"{counted(rooms, 'room')} and {counted(messages, 'message')}"
        self.stdout.write(f"Exported {done} into {options['output']}.")
        if archive.saved:
            self.stdout.write(f"{counted(archive.saved, 'file')} in {stored_files.beside(options['output'])}.")
        if archive.missing:
            sentence = f"{counted(archive.missing, 'file')} left out, because the storage does not have them."
            self.stderr.write(sentence)
