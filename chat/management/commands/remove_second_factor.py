"""Removes the second factor of a user who has lost it, for administrators who cannot log in themselves."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from chat import audit


class Command(BaseCommand):
    help = (
        "Removes the authenticator app, the passkeys and the recovery codes of a user, who then needs only a password."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SECOND_FACTOR:
            raise CommandError("SECOND_FACTOR is off, so no user is asked for a second factor.")
        from chat.store import second_factors

        model = get_user_model()
        user = model._default_manager.filter(**{model.USERNAME_FIELD: options["username"]}).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        count = second_factors.remove_all(user)
        audit.write("second_factor_removed", user=user.pk, by="command")
        self.stdout.write(f"Removed {count} second factor{'' if count == 1 else 's'} of {user.get_username()}.")
