"""Rooms in Django's admin."""

from typing import ClassVar

from django.contrib import admin

from chat.models import Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display: ClassVar = ["id", "title", "staff_only"]
    list_display_links: ClassVar = ["id", "title"]
    list_filter: ClassVar = ["staff_only"]
    search_fields: ClassVar = ["title"]
