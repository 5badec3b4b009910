"""By which words the admin calls models and their fields.

They are set from outside, because in the models' own definitions each would need a migration. In English they are the
names that Django makes of the names in Python. Sentences of Django and django-axes that these have in English alone are
listed here, so that our catalogues translate them.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy

from chat.exceptions import Sentence
from chat.models import Bot, Room, Webhook

MADE_AT = pgettext_lazy("when it was made", "at")
MODELS: dict[type[models.Model], tuple[Sentence, Sentence]] = {
    Room: (_("room"), _("rooms")),
    Bot: (_("bot"), _("bots")),
    Webhook: (_("webhook"), _("webhooks")),
}
FIELDS: dict[type[models.Model], dict[str, Sentence]] = {
    Room: {"title": _("title"), "topic": _("topic"), "retention_days": _("retention days")},
    Bot: {"room": _("room"), "at": MADE_AT},
    Webhook: {"room": _("room"), "host": _("host"), "at": MADE_AT},
}

# Exactly as Django 5.2 and django-axes 8 have them.
OF_OTHERS = (
    gettext_noop("Access Attempt"),
    gettext_noop("access attempt expiration"),
    gettext_noop("access attempt expirations"),
    gettext_noop("After you’ve created a user, you’ll be able to edit more user options."),
    gettext_noop("Attempt Remaining"),
    gettext_noop("Clean up expired attempts"),
    gettext_noop("Conflicting form data submitted. Please try again."),
    gettext_noop("Disable password-based authentication"),
    gettext_noop("Disabled"),
    gettext_noop("Enable password-based authentication"),
    gettext_noop("Enable password-based authentication for this user by setting a password."),
    gettext_noop("Enabled"),
    gettext_noop("Expires At"),
    gettext_noop("Locked Out"),
    gettext_noop("Not set"),
    gettext_noop("Password-based authentication"),
    gettext_noop("Password-based authentication was disabled."),
    gettext_noop("Raw passwords are not stored, so there is no way to see the user’s password."),
    gettext_noop("Session key hash (sha256)"),
    gettext_noop("Set password: %s"),
    gettext_noop("The time when access attempt expires and is no longer valid."),
    gettext_noop(
        "Whether the user will be able to authenticate using a password or not. If disabled, they may still be able to "
        "authenticate using other backends, such as Single Sign-On or LDAP."
    ),
)


def translate_names() -> None:
    """Give models and fields names in all languages."""
    for model, (one, many) in MODELS.items():
        model._meta.verbose_name, model._meta.verbose_name_plural = one, many
    for model, names in FIELDS.items():
        for name, shown in names.items():
            model._meta.get_field(name).verbose_name = shown  # type: ignore[union-attr]
