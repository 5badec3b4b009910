"""Removes the messages that are older than their rooms keep them: manage.py prune [--dry-run]."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from chat.backups import counted
from chat.models import Room
from chat.store import retention


class Command(BaseCommand):
    help = (
        "Removes the expired messages of all rooms with a number of retention days and without a legal hold (both are"
        " set in the admin). Servers can keep running; open pages drop what expired. Run it once a day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many messages would be removed")

    def handle(self, *args: Any, **options: Any) -> None:
        total = 0
        for room_id in retention.due():
            is_dry = options["dry_run"]
            removed = retention.count_expired(room_id) if is_dry else retention.prune_room(room_id)
            total += removed
            if removed:
                title = Room.objects.filter(pk=room_id).values_list("title", flat=True).first()
                self.stdout.write(f"  {title} ({room_id}): {counted(removed, 'message')}")
        what = "Would remove" if options["dry_run"] else "Removed"
        self.stdout.write(f"{what} {counted(total, 'message')}.")
