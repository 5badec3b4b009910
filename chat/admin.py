"""Rooms and users in Django's admin. The page that confirms a deletion counts rows instead of listing them."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from chat.models import Room
from chat.store import deletion, names

# The most objects that the confirmation page names; the others are counted.
NAMED = 20
# The most rows that a count reads.
MAX_COUNT = 10_000
# The most users that one transaction deletes.
USERS_AT_ONCE = 100

# For Django's page: the lines to show, counts by name, missing permissions, objects that prevent the deletion.
Deleted = tuple[list[str], dict[str, Any], set[str], list[str]]

User = get_user_model()


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "title", "staff_only"]
    list_display_links = ["id", "title"]
    list_filter = ["staff_only"]
    search_fields = ["title"]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        # In a transaction, so that a server removes the messages and the page need not wait for it.
        with transaction.atomic():
            queryset.delete()

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Deleted:
        rooms = list(objs)
        # Computed from the log's numbers, without reading it. The numbers include edits and deletes.
        sizes = [max(room.head_seq - room.floor_seq + 1, 0) for room in rooms]
        counts: dict[str, Any] = {
            _name(Room, len(rooms)): _grouped(len(rooms)),
            "messages": _grouped(sum(sizes)),
        }
        lines = [f"{room} ({_count_messages(size)})" for room, size in zip(rooms[:NAMED], sizes[:NAMED], strict=True)]
        return _with_rest(lines, len(rooms)), counts, _missing_permissions(self, request), []


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a username that looks like another user's, beside the field."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if name := cleaned.get(User.USERNAME_FIELD):
            try:
                names.check_username(name, self.instance.pk)
            except ValidationError as refusal:
                self.add_error(User.USERNAME_FIELD, refusal)
        return cleaned


class UserCreation(NameForm, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class UserChange(NameForm, UserChangeForm):  # type: ignore[type-arg]
    pass


class ChatUserAdmin(UserAdmin):  # type: ignore[type-arg]
    add_form = UserCreation
    form = UserChange

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        # In several transactions, because on SQLite messages wait for each.
        ids = list(queryset.values_list("pk", flat=True))
        for start in range(0, len(ids), USERS_AT_ONCE):
            User._default_manager.filter(pk__in=ids[start : start + USERS_AT_ONCE]).delete()

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Deleted:
        users = list(objs)
        counts: dict[str, Any] = {_name(User, len(users)): _grouped(len(users))}
        protected: list[str] = []
        for relation in deletion.relations_to(User):
            on_delete = relation.on_delete
            if on_delete not in (models.CASCADE, models.PROTECT, models.RESTRICT):
                continue
            rows = relation.related_model._base_manager.filter(**{f"{relation.field.name}__in": users})
            if not (count := rows.order_by()[: MAX_COUNT + 1].count()):
                continue
            shown = _grouped(count) if count <= MAX_COUNT else f"more than {_grouped(MAX_COUNT)}"
            if on_delete is models.CASCADE:
                counts[_name(relation.related_model, count)] = shown
            else:
                protected.append(f"{shown} {_name(relation.related_model, count)}")
        return (
            _with_rest([str(user) for user in users[:NAMED]], len(users)),
            counts,
            _missing_permissions(self, request),
            protected,
        )


# Importing Django's UserAdmin above has registered the user model.
admin.site.unregister(User)
admin.site.register(User, ChatUserAdmin)


def _with_rest(lines: list[str], count: int) -> list[str]:
    return lines + [f"… and {_grouped(count - NAMED)} more"] * (count > NAMED)


def _count_messages(count: int) -> str:
    return f"{_grouped(count)} message{'' if count == 1 else 's'}"


def _name(model: type[models.Model], count: int) -> str:
    meta = model._meta
    return str(meta.verbose_name if count == 1 else meta.verbose_name_plural)


def _grouped(count: int) -> str:
    return f"{count:,}"


def _missing_permissions(model_admin: Any, request: HttpRequest) -> set[str]:
    allowed = model_admin.has_delete_permission(request)
    return set() if allowed else {str(model_admin.opts.verbose_name)}
