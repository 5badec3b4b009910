"""System checks for `manage.py check`: problems of an installation. The ids are stable."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

# The most names that one check lists.
NAMED = 20


@register(Tags.staticfiles)
def check_npm_files(**kwargs: Any) -> list[CheckMessage]:
    """chat.E001: the npm packages for the browser are missing."""
    folders = [Path(entry[1]) for entry in settings.STATICFILES_DIRS if isinstance(entry, tuple)]
    return [
        Error(f"{folder} is missing, so the page cannot connect.", hint="Run script/setup.", id="chat.E001")
        for folder in folders
        if not folder.is_dir()
    ]


@register(Tags.security)
def check_allowed_hosts(**kwargs: Any) -> list[CheckMessage]:
    """chat.W001: ALLOWED_HOSTS allows every host."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    hint = "List the host names that people use in their browsers, separated by commas."
    return [Warning("ALLOWED_HOSTS contains '*', so any Host header is accepted.", hint=hint, id="chat.W001")]


@register(Tags.security)
def check_trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    """chat.W002: TRUSTED_PROXIES trusts every address."""
    if not {"0.0.0.0/0", "::/0"} & {name.strip() for name in getattr(settings, "TRUSTED_PROXIES", [])}:
        return []
    hint = "List the addresses of your proxies, separated by commas."
    message = "TRUSTED_PROXIES trusts every address, so any visitor can forge theirs and evade the limits."
    return [Warning(message, hint=hint, id="chat.W002")]


@register(Tags.security, deploy=True)
def check_one_process(**kwargs: Any) -> list[CheckMessage]:
    """chat.W003: processes can share the database, but no channel layer connects them."""
    is_shared = not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if not is_shared or "InMemory" not in settings.CHANNEL_LAYERS["default"]["BACKEND"]:
        return []
    hint = "Set REDIS_URL before you start a second server. A server on another machine would not be refused."
    message = "Servers on this database are not connected, so messages between them arrive late, by the sweep."
    return [Warning(message, hint=hint, id="chat.W003")]


@register(Tags.database)
def check_names(databases: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """chat.W004: users and rooms have names that people take for each other's. Runs with --database default."""
    from chat.models import COLLIDED, Room
    from chat.store import names

    if not databases:
        return []
    try:
        users = [key.user.get_username() for key in names.collisions()[:NAMED]]
        rooms = list(Room.objects.filter(title_key__contains=COLLIDED).values_list("title", flat=True)[:NAMED])
    except DatabaseError:  # before the first `migrate`
        return []
    hint = "Rename them, so that no user or room is taken for another one."
    return [
        Warning(f"The {kind} {name!r} is called like another one, or like the system.", hint=hint, id="chat.W004")
        for kind, found in (("user", users), ("room", rooms))
        for name in found
    ]
