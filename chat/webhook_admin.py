"""Webhooks in Django's admin. Each change is made with the rights of the user who asks."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from chat.exceptions import ClientError
from chat.made_in_admin import MadeByStore, sentence_of
from chat.models import Webhook
from chat.store import webhooks


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """Makes a webhook through the store, with the rights of the user who asks."""

    url = forms.CharField(
        label=_("address"),
        max_length=2000,
        help_text=_("Begins with https://. It is stored encrypted and not shown again."),
    )
    made: webhooks.Made
    by: int

    class Meta:
        model = Webhook
        fields = ["room", "with_bots"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.made = webhooks.create(
                    cleaned["room"].pk, cleaned["url"], with_bots=cleaned["with_bots"], by=self.by
                )
            except ClientError as refusal:
                raise forms.ValidationError(sentence_of(refusal)) from None
        return cleaned


@admin.register(Webhook)
class WebhookAdmin(MadeByStore):
    row_name = "webhook"
    one_at_a_time = _("Choose one webhook at a time.")
    form = WebhookForm
    fields = ["room", "url", "with_bots"]
    list_display = ["host", "room", "at", "state"]
    list_select_related = ["room"]
    actions = ["pause", "resume", "skip", "new_secret", "remove"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        found: QuerySet[Webhook] = super().get_queryset(request)
        return found.filter(room__deleted_at=None)

    @admin.display(description=_("state"))
    def state(self, webhook: Webhook) -> str:
        return webhooks.state_of(webhook)

    def secrets_of(self, request: HttpRequest, made: webhooks.Made) -> dict[str, Any]:
        return {"webhook": made.webhook.host, "secret": made.secret}

    @admin.action(description=_("Pause"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.pause(room, pk, by=by))

    @admin.action(description=_("Resume where it stopped"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.resume(room, pk, from_now=False, by=by))

    @admin.action(description=_("Skip what was missed, and resume"), permissions=["change"])
    def skip(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.resume(room, pk, from_now=True, by=by))

    @admin.action(description=_("Remove"), permissions=["change"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.remove(room, pk, by=by))

    @admin.action(description=_("Make a new signing secret (the old one ends)"), permissions=["change"])
    def new_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> HttpResponse | None:
        webhook = self.only_one(request, queryset)
        if webhook is None:
            return None
        try:
            made = webhooks.rotate(webhook.room_id, webhook.pk, by=request.user.pk or 0)
        except ClientError as refusal:
            self.refuse(request, refusal)
            return None
        return self.show_secrets(request, made)

    def _change_all(
        self, request: HttpRequest, queryset: QuerySet[Webhook], change: Callable[[int, int, int], None]
    ) -> None:
        for webhook in queryset[:100]:
            try:
                change(webhook.room_id, webhook.pk, request.user.pk or 0)
            except ClientError as refusal:
                self.refuse(request, refusal)
