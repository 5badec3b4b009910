"""Bots in Django's admin: made, given new secrets, and revoked. Secrets are shown once, in the answer itself."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from chat.exceptions import ClientError
from chat.made_in_admin import MadeByStore, sentence_of
from chat.models import Bot
from chat.room_views import secrets_of
from chat.store import bots


class BotForm(forms.ModelForm):  # type: ignore[type-arg]
    """Makes a bot through the store, by the rights of the user who asks."""

    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        help_text=_("Shown as the author of its messages. Letters, digits and @ . + - _ only."),
    )
    made: bots.Made
    by: int

    class Meta:
        model = Bot
        fields = ["room"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.made = bots.create_bot(cleaned["room"].pk, cleaned["name"], by=self.by)
            except ClientError as refusal:
                raise forms.ValidationError(sentence_of(refusal)) from None
        return cleaned


@admin.register(Bot)
class BotAdmin(MadeByStore):
    row_name = "bot"
    one_at_a_time = _("Choose one bot at a time.")
    form = BotForm
    fields = ["room", "name"]
    list_display = ["name", "room", "at", "signed"]
    list_select_related = ["room", "user"]
    actions = ["new_token", "new_hook", "new_signing_secret", "revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bot]:
        found: QuerySet[Bot] = super().get_queryset(request)
        return found.filter(revoked_at=None, room__deleted_at=None)

    @admin.display(description=_("name"))
    def name(self, bot: Bot) -> str:
        return bot.user.get_username() if bot.user is not None else "–"

    @admin.display(description=_("signed"), boolean=True)
    def signed(self, bot: Bot) -> bool:
        return bot.signing_secret != ""

    def secrets_of(self, request: HttpRequest, made: bots.Made) -> dict[str, Any]:
        return secrets_of(request, made)

    @admin.action(description=_("Make a new token (the old one ends)"), permissions=["change"])
    def new_token(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "token")

    @admin.action(description=_("Make a new hook address (the old one ends)"), permissions=["change"])
    def new_hook(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "hook")

    @admin.action(description=_("Make a signing secret for GitHub"), permissions=["change"])
    def new_signing_secret(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "signature")

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Bot]) -> None:
        for bot in queryset[: bots.MAX_BOTS]:
            try:
                bots.revoke(bot.room_id, bot.pk, by=request.user.pk or 0)
            except ClientError as refusal:
                self.refuse(request, refusal)

    def _rotate(self, request: HttpRequest, queryset: QuerySet[Bot], secret: bots.Secret) -> HttpResponse | None:
        bot = self.only_one(request, queryset)
        if bot is None:
            return None
        try:
            made = bots.rotate(bot.room_id, bot.pk, secret, by=request.user.pk or 0)
        except ClientError as refusal:
            self.refuse(request, refusal)
            return None
        return self.show_secrets(request, made)
