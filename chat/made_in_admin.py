"""What bots and webhooks have in common in Django's admin: the store makes them, and shows a new secret once."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from chat.exceptions import ClientError, Sentence
from chat.models import Room


def sentence_of(refusal: ClientError) -> str:
    """Return what a refusal says to the user."""
    return refusal.detail or str(refusal)


def narrow_to_choices(rooms: QuerySet[Room], user: Any) -> QuerySet[Room]:
    """Narrow rooms to those for which `user` may choose to make a bot or a webhook, in the same order.

    Rooms of members that the user may not see are left out, because what is written there could be read.
    """
    return rooms.filter(pk__in=Room.objects.enterable_by(user).order_by().values("pk"), direct_key=None)


class MadeByStore(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that a form makes through the store, with the rights of the user who asks, and that only actions change.

    The form sets `made`: the row, in its attribute `row_name`, and its secrets.
    """

    row_name: str
    # What is said when an action for one row was chosen for more.
    one_at_a_time: Sentence
    list_display_links = None
    # A box that searches, because a site may have thousands of rooms.
    autocomplete_fields: ClassVar = ["room"]

    def secrets_of(self, request: HttpRequest, made: Any) -> dict[str, Any]:
        """Return what the page with new secrets shows, by name."""
        raise NotImplementedError

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.by = request.user.pk  # type: ignore[attr-defined]
        if obj is None:
            room: Any = form.base_fields["room"]
            room.queryset = narrow_to_choices(Room.objects.all(), request.user)
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # A row's own page, to which the recent actions link, shows what the list shows.
        return super().get_fields(request, obj) if obj is None else self.list_display

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The actions need it. There is no page to change a row.
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        row = getattr(form.made, self.row_name)
        row.made = form.made
        return row

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The form has saved it."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """There is nothing else to save."""

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> HttpResponse:
        return self.show_secrets(request, obj.made)

    def only_one(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any | None:
        """Return the chosen row. If there is not exactly one, say so."""
        chosen = list(queryset[:2])
        if len(chosen) == 1:
            return chosen[0]
        self.message_user(request, str(self.one_at_a_time), messages.ERROR)
        return None

    def refuse(self, request: HttpRequest, refusal: ClientError) -> None:
        """Show a refusal above the list."""
        self.message_user(request, sentence_of(refusal), messages.ERROR)

    def show_secrets(self, request: HttpRequest, made: Any) -> HttpResponse:
        """Answer with the secrets of a row, which are shown once."""
        shown = self.secrets_of(request, made)
        context = {**admin.site.each_context(request), "title": _("Copy this now"), "made": shown}
        response = render(request, "admin/bot_secret.html", context)
        response["Cache-Control"] = "no-store"
        return response
