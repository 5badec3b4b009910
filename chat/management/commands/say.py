"""Posts a message from the command line: manage.py say ROOM TEXT [--type warning] [--user NAME]."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from chat.conf import conf
from chat.exceptions import ClientError
from chat.models import Room


class Command(BaseCommand):
    help = "Posts a message in a room. Open pages show it within a second and a half."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("room", help="the room's title (in any case) or its id")
        parser.add_argument("text")
        parser.add_argument("--type", default="message", help=f"one of: {', '.join(_types())} (default: message)")
        parser.add_argument("--user", help="the author's username (default: the system)")

    def handle(self, *args: Any, **options: Any) -> None:
        for name in ("room", "text", "type", "user"):
            _check_text(name, options[name])
        types = _types()
        if options["type"].lower() not in types:
            raise CommandError(f"There is no type {options['type']!r}. Use one of: {', '.join(types)}.")
        room = _find_room(options["room"])
        user = None
        if options["user"]:
            users = get_user_model().objects
            user = users.filter(**{get_user_model().USERNAME_FIELD: options["user"]}).first()
            if user is None:
                raise CommandError(f"There is no user {options['user']!r}.")
        try:
            seq = room.send_message(options["text"], user, types[options["type"].lower()])
        except ClientError as refusal:
            raise CommandError(str(refusal)) from None
        self.stdout.write(f"Posted in {room.title} as message {seq}.")


def _check_text(name: str, value: str | None) -> None:
    """Refuse bytes that are not UTF-8. Python passes them as lone surrogates, which databases refuse."""
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        raise CommandError(f"The {name} is not valid UTF-8 text. Set the terminal's character set to UTF-8.") from None


def _types() -> dict[str, int]:
    signals = (conf.MSG_TYPE_ENTER, conf.MSG_TYPE_LEAVE)
    choices = conf.MESSAGE_TYPES_CHOICES
    return {
        str(name).lower(): number
        for number, name in choices
        if number in conf.MESSAGE_TYPES_LIST and number not in signals
    }


def _find_room(name: str) -> Room:
    # A room with the title "7" takes precedence over the room with this id.
    room = Room.objects.titled(name).first()
    if room is None and name.isdecimal():
        room = Room.objects.filter(pk=int(name)).first()
    if room is None:
        titles = ", ".join(Room.objects.order_by("title_key").values_list("title", flat=True)[:20])
        raise CommandError(f"There is no room {name!r}. Rooms: {titles or 'none yet; create one in the admin'}.")
    return room
