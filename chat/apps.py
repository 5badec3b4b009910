"""Wires the app into Django."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin


class AdminConfig(admin.AdminConfig):
    default = False  # of this module
    default_site = "chat.accounts.AdminSite"


class ChatConfig(AppConfig):
    name = "chat"
    verbose_name = "Multichat"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from chat import audit
        from chat.store import access, deletion, display_names, names, push, sign_ins

        audit.connect()
        deletion.connect()
        # After deletion, which removes rows of a deleted user who had the same id.
        names.connect()
        # After names, which makes the row.
        display_names.connect()
        # After the names, so that they are stored when open pages are told to read them.
        access.connect()
        sign_ins.connect()
        push.connect()
