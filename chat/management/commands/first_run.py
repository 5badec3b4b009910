"""Creates the first rooms and an admin in an empty installation, so that you can sign in at once."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, IntegrityError, transaction

from chat.models import Room

ROOMS = {"Lobby": False, "Random": False, "Staff": True}  # title: staff only


class Command(BaseCommand):
    help = "Creates the rooms Lobby, Random and Staff and an admin in an empty database, and prints the password once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--beyond-loopback",
            action="store_true",
            help="run even if the server listens beyond loopback; all readers of the output see the password",
        )

    def handle(self, **options: Any) -> None:
        if not (settings.FIRST_RUN or options["beyond_loopback"]):
            return
        try:
            password = create_rooms_and_admin()
        except IntegrityError:
            return  # another first run was faster, and has printed its password
        except DatabaseError:
            raise CommandError(
                "The database is not reachable, or has no tables yet. Run manage.py migrate first."
            ) from None
        if password:
            self.stdout.write(frame(welcome(password)))


@transaction.atomic
def create_rooms_and_admin() -> str | None:
    """Create the first rooms and the admin, and return the password, or None if there are users or rooms already.

    Raises IntegrityError when another process does the same at the same time. Nothing is created here then.
    """
    users = get_user_model()._default_manager
    if users.exists() or Room.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    # Because the name is unique, the second of two simultaneous first runs waits for the first one, and fails.
    users.create_superuser("admin", password=password)
    for title, staff_only in ROOMS.items():
        Room.objects.create(title=title, staff_only=staff_only)
    return password


def welcome(password: str) -> list[str]:
    return [
        "Welcome to Multichat. This is shown only once:",
        "",
        f"   Address    {settings.URL}",
        "   Username   admin",
        f"   Password   {password}",
        "",
        "Rooms: Lobby, Random and Staff (staff only).",
        f"More rooms and users: {settings.URL}admin/",
    ]


def frame(lines: list[str]) -> str:
    """Draw a box around lines, with characters that every terminal shows."""
    width = max(map(len, lines))
    rule = f"+{'-' * (width + 4)}+"
    return "\n".join(["", rule, *(f"|  {line:<{width}}  |" for line in ["", *lines, ""]), rule, ""])
