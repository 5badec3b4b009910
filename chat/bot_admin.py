"""Bots in Django's admin: made, given new secrets, and revoked. Secrets are shown once, in the answer itself."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from chat.exceptions import ClientError
from chat.models import Bot, Room
from chat.room_views import secrets_of
from chat.store import bots


class BotForm(forms.ModelForm):  # type: ignore[type-arg]
    """Makes a bot through the store, by the rights of the user who asks."""

    name = forms.CharField(
        max_length=150, help_text="Shown as the author of its messages. Letters, digits and @ . + - _ only."
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
                raise forms.ValidationError(str(refusal.context.get("detail", refusal))) from None
        return cleaned


@admin.register(Bot)
class BotAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = BotForm
    fields = ["room", "name"]
    list_display = ["name", "room", "at", "signed"]
    list_display_links = None
    list_select_related = ["room", "user"]
    actions = ["new_token", "new_hook", "new_signing_secret", "revoke"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Bot]:
        found: QuerySet[Bot] = super().get_queryset(request)
        return found.filter(revoked_at=None, room__deleted_at=None)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.by = request.user.pk  # type: ignore[attr-defined]
        # Rooms of members that the user may not see are not offered, because a bot's token reads its room.
        room: Any = form.base_fields["room"]
        room.queryset = Room.objects.enterable_by(request.user).filter(direct_key=None)
        return form

    def has_change_permission(self, request: HttpRequest, obj: Bot | None = None) -> bool:
        # The actions need it. There is no page to change a bot.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Bot | None = None) -> bool:
        return False

    @admin.display(description="name")
    def name(self, bot: Bot) -> str:
        return bot.user.get_username() if bot.user is not None else "–"

    @admin.display(description="signed", boolean=True)
    def signed(self, bot: Bot) -> bool:
        return bot.signing_secret != ""

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Bot:
        bot: Bot = form.made.bot
        bot.made = form.made  # type: ignore[attr-defined]
        return bot

    def save_model(self, request: HttpRequest, obj: Bot, form: Any, change: bool) -> None:
        """The form has saved it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing else to save."""

    def response_add(self, request: HttpRequest, obj: Bot, post_url_continue: Any = None) -> HttpResponse:
        return self._show(request, obj.made)  # type: ignore[attr-defined]

    @admin.action(description="Make a new token (the old one ends)", permissions=["change"])
    def new_token(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "token")

    @admin.action(description="Make a new hook address (the old one ends)", permissions=["change"])
    def new_hook(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "hook")

    @admin.action(description="Make a signing secret for GitHub", permissions=["change"])
    def new_signing_secret(self, request: HttpRequest, queryset: QuerySet[Bot]) -> HttpResponse | None:
        return self._rotate(request, queryset, "signature")

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Bot]) -> None:
        for bot in queryset[: bots.MAX_BOTS]:
            try:
                bots.revoke(bot.room_id, bot.pk, by=request.user.pk or 0)
            except ClientError as refusal:
                self.message_user(request, str(refusal.context.get("detail", refusal)), messages.ERROR)

    def _rotate(self, request: HttpRequest, queryset: QuerySet[Bot], secret: bots.Secret) -> HttpResponse | None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, "Choose one bot at a time.", messages.ERROR)
            return None
        [bot] = chosen
        try:
            made = bots.rotate(bot.room_id, bot.pk, secret, by=request.user.pk or 0)
        except ClientError as refusal:
            self.message_user(request, str(refusal.context.get("detail", refusal)), messages.ERROR)
            return None
        return self._show(request, made)

    def _show(self, request: HttpRequest, made: bots.Made) -> HttpResponse:
        context = {**admin.site.each_context(request), "title": "Copy this now", "made": secrets_of(request, made)}
        response = render(request, "admin/bot_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response
