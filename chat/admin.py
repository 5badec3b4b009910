"""Rooms and users in Django's admin; deleting them is confirmed with numbers, not with a line for each row."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from chat.models import Room
from chat.store import deletion

# So many are named on the confirmation page; the others are counted.
NAMED = 20
# No count looks at more rows than this.
MAX_COUNT = 10_000
# Of one transaction.
USERS_AT_ONCE = 100

# What Django's page shows: lines, how many of what, permissions that are missing, what prevents the deletion.
Deleted = tuple[list[str], dict[str, Any], set[str], list[str]]

User = get_user_model()


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "title", "staff_only"]
    list_display_links = ["id", "title"]
    list_filter = ["staff_only"]
    search_fields = ["title"]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Room]) -> None:
        # The page does not wait until all messages are removed: a server does that.
        with transaction.atomic():
            queryset.delete()

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Deleted:
        rooms = list(objs)
        # Without a look at the log: its numbers tell. Edits and deletes are among them.
        sizes = [max(room.head_seq - room.floor_seq + 1, 0) for room in rooms]
        counts: dict[str, Any] = {
            _name(Room, len(rooms)): _grouped(len(rooms)),
            "messages": _grouped(sum(sizes)),
        }
        lines = [f"{room} ({_messages(size)})" for room, size in zip(rooms[:NAMED], sizes[:NAMED], strict=True)]
        return _listed(lines, len(rooms)), counts, _missing(self, request), []


class ChatUserAdmin(UserAdmin):  # type: ignore[type-arg]
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        # Not all in one transaction: on SQLite, messages wait for it.
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
            told = _grouped(count) if count <= MAX_COUNT else f"more than {_grouped(MAX_COUNT)}"
            if on_delete is models.CASCADE:
                counts[_name(relation.related_model, count)] = told
            else:
                protected.append(f"{told} {_name(relation.related_model, count)}")
        return _listed([str(user) for user in users[:NAMED]], len(users)), counts, _missing(self, request), protected


# Imported with its admin above, which registers it.
admin.site.unregister(User)
admin.site.register(User, ChatUserAdmin)


def _listed(lines: list[str], count: int) -> list[str]:
    return lines + [f"… and {_grouped(count - NAMED)} more"] * (count > NAMED)


def _messages(count: int) -> str:
    return f"{_grouped(count)} message{'' if count == 1 else 's'}"


def _name(model: type[models.Model], count: int) -> str:
    meta = model._meta
    return str(meta.verbose_name if count == 1 else meta.verbose_name_plural)


def _grouped(count: int) -> str:
    return f"{count:,}"


def _missing(model_admin: Any, request: HttpRequest) -> set[str]:
    allowed = model_admin.has_delete_permission(request)
    return set() if allowed else {str(model_admin.opts.verbose_name)}
