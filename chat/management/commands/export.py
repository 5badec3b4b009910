"""Writes rooms and their messages as JSON lines, while servers run: manage.py export [ROOM] [--output FILE]."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chat.backups import BackupError, counted, save_draft
from chat.records import RecordError, exporting


class Command(BaseCommand):
    help = (
        "Writes the whole site, or one room, as JSON lines. Rooms of members and direct rooms are included, so keep the"
        " file as safe as the database. Servers can keep running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("room", nargs="?", help="the title or the number of a room; all rooms if it is left out")
        parser.add_argument("--output", type=Path, help="a new file; without it the lines go to the standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with exporting.snapshot() as alias:
                if options["output"] is None:
                    exporting.write(sys.stdout.buffer, room=options["room"], using=alias)
                    return
                with save_draft(options["output"]) as draft, draft.open("wb") as out:
                    rooms, messages = exporting.write(out, room=options["room"], using=alias)
        except (RecordError, BackupError, OSError) as error:
            raise CommandError(f"Nothing was exported. {error}") from None
        done = f"{counted(rooms, 'room')} and {counted(messages, 'message')}"
        self.stdout.write(f"Exported {done} into {options['output']}.")
