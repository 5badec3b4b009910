"""System checks: what `manage.py check` finds wrong with an installation. The ids are stable."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register


@register(Tags.staticfiles)
def check_npm_files(**kwargs: Any) -> list[CheckMessage]:
    """chat.E001: the browser's packages are there."""
    folders = [Path(entry[1]) for entry in settings.STATICFILES_DIRS if isinstance(entry, tuple)]
    return [
        Error(f"{folder} is missing: the page cannot connect.", hint="Run script/setup.", id="chat.E001")
        for folder in folders
        if not folder.is_dir()
    ]


@register(Tags.security)
def check_allowed_hosts(**kwargs: Any) -> list[CheckMessage]:
    """chat.W001: hosts are named one by one."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    hint = "Name the hosts people type into their browsers, separated by commas."
    return [Warning("ALLOWED_HOSTS contains '*': any Host header is believed.", hint=hint, id="chat.W001")]
