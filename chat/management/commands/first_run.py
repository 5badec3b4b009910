"""Gives an empty installation its first rooms and an admin, so that a newcomer can sign in at once."""

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
    help = "On an empty database: make the rooms Lobby, Random and Staff and an admin, and print its password once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--beyond-loopback",
            action="store_true",
            help="also when the server listens beyond loopback; the password is printed to whoever reads the output",
        )

    def handle(self, **options: Any) -> None:
        if not (settings.FIRST_RUN or options["beyond_loopback"]):
            return
        try:
            password = furnish()
        except IntegrityError:
            return  # another first run was faster, and printed its password
        except DatabaseError:
            raise CommandError("The database is away, or has no tables yet: run manage.py migrate.") from None
        if password:
            self.stdout.write(frame(welcome(password)))


@transaction.atomic
def furnish() -> str | None:
    """Make the first rooms and the admin and return its password, or None if there is any user or room.

    Raises IntegrityError when another process does the same at the same moment; nothing of ours remains then.
    """
    users = get_user_model()._default_manager
    if users.exists() or Room.objects.exists():
        return None
    password = secrets.token_urlsafe(12)
    # The unique name makes the second of two first runs wait for the first and fail.
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
    """Draw a box around lines, in characters that every terminal has."""
    width = max(map(len, lines))
    rule = f"+{'-' * (width + 4)}+"
    return "\n".join(["", rule, *(f"|  {line:<{width}}  |" for line in ["", *lines, ""]), rule, ""])
