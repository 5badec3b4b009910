"""Gives every room a new epoch, for use after the database was restored in another way than by `restore`."""

from typing import Any

from django.core.management.base import BaseCommand

from chat import backups


class Command(BaseCommand):
    help = "Gives every room a new epoch, so that clients do not mistake new messages for old ones of the same number."

    def handle(self, *args: Any, **options: Any) -> None:
        rooms = backups.start_new_epochs()
        self.stdout.write(f"Gave {backups.counted(rooms, 'room')} a new epoch. Open pages will reload their messages.")
