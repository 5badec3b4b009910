"""Webhooks in Django's admin. Each change is made with the rights of the user who asks."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from chat.exceptions import ClientError
from chat.models import Room, Webhook
from chat.store import webhooks


class WebhookForm(forms.ModelForm):  # type: ignore[type-arg]
    """Makes a webhook through the store, with the rights of the user who asks."""

    url = forms.CharField(
        label="address", max_length=2000, help_text="Begins with https://. It is stored encrypted and not shown again."
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
                raise forms.ValidationError(_sentence(refusal)) from None
        return cleaned


@admin.register(Webhook)
class WebhookAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = WebhookForm
    fields = ["room", "url", "with_bots"]
    list_display = ["host", "room", "at", "state"]
    list_display_links = None
    list_select_related = ["room"]
    actions = ["pause", "resume", "skip", "new_secret", "remove"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Webhook]:
        found: QuerySet[Webhook] = super().get_queryset(request)
        return found.filter(room__deleted_at=None)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.by = request.user.pk  # type: ignore[attr-defined]
        # Rooms of members that the user may not see are not offered, because a webhook sends what is written there.
        room: Any = form.base_fields["room"]
        room.queryset = Room.objects.enterable_by(request.user).filter(direct_key=None)
        return form

    def has_change_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        # The actions need it. There is no page to change a webhook.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Webhook | None = None) -> bool:
        return False

    @admin.display(description="state")
    def state(self, webhook: Webhook) -> str:
        return webhooks.state_of(webhook)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Webhook:
        webhook: Webhook = form.made.webhook
        webhook.made = form.made  # type: ignore[attr-defined]
        return webhook

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        """The form has saved it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing else to save."""

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: Any = None) -> HttpResponse:
        return self._show(request, obj.made)  # type: ignore[attr-defined]

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.pause(room, pk, by=by))

    @admin.action(description="Resume where it stopped", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.resume(room, pk, from_now=False, by=by))

    @admin.action(description="Skip what was missed, and resume", permissions=["change"])
    def skip(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.resume(room, pk, from_now=True, by=by))

    @admin.action(description="Remove", permissions=["change"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        self._change_all(request, queryset, lambda room, pk, by: webhooks.remove(room, pk, by=by))

    @admin.action(description="Make a new signing secret (the old one ends)", permissions=["change"])
    def new_secret(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> HttpResponse | None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, "Choose one webhook at a time.", messages.ERROR)
            return None
        [webhook] = chosen
        try:
            made = webhooks.rotate(webhook.room_id, webhook.pk, by=request.user.pk or 0)
        except ClientError as refusal:
            self.message_user(request, _sentence(refusal), messages.ERROR)
            return None
        return self._show(request, made)

    def _change_all(
        self, request: HttpRequest, queryset: QuerySet[Webhook], change: Callable[[int, int, int], None]
    ) -> None:
        for webhook in queryset[:100]:
            try:
                change(webhook.room_id, webhook.pk, request.user.pk or 0)
            except ClientError as refusal:
                self.message_user(request, _sentence(refusal), messages.ERROR)

    def _show(self, request: HttpRequest, made: webhooks.Made) -> HttpResponse:
        shown = {"webhook": made.webhook.host, "secret": made.secret}
        context = {**admin.site.each_context(request), "title": "Copy this now", "made": shown}
        response = render(request, "admin/bot_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _sentence(refusal: ClientError) -> str:
    return str(refusal.context.get("detail", refusal))
