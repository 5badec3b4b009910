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


@register(Tags.security)
def check_trusted_proxies(**kwargs: Any) -> list[CheckMessage]:
    """chat.W002: forwarded headers are believed of proxies, not of everybody."""
    if not {"0.0.0.0/0", "::/0"} & {name.strip() for name in getattr(settings, "TRUSTED_PROXIES", [])}:
        return []
    hint = "Name the addresses of the proxies in front, separated by commas."
    told = "TRUSTED_PROXIES is everybody: any visitor may say where they come from, and get past limits by it."
    return [Warning(told, hint=hint, id="chat.W002")]


@register(Tags.security, deploy=True)
def check_one_process(**kwargs: Any) -> list[CheckMessage]:
    """chat.W003: a database that many processes can share, and nothing that connects these processes."""
    is_shared = not settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if not is_shared or "InMemory" not in settings.CHANNEL_LAYERS["default"]["BACKEND"]:
        return []
    hint = "Set REDIS_URL before a second server is started; on another machine nothing can refuse it."
    told = "Servers on this database would not hear of each other: messages would come late, by the sweep alone."
    return [Warning(told, hint=hint, id="chat.W003")]
