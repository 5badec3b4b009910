"""By which words the admin calls models and their fields.

They are set from outside, because in the models' own definitions each would need a migration. In English they are the
names that Django makes of the names in Python.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

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


def translate_names() -> None:
    """Give models and fields names in all languages."""
    for model, (one, many) in MODELS.items():
        model._meta.verbose_name, model._meta.verbose_name_plural = one, many
    for model, names in FIELDS.items():
        for name, shown in names.items():
            model._meta.get_field(name).verbose_name = shown  # type: ignore[union-attr]
