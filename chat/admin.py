"""Rooms in Django's admin."""

from django.contrib import admin

from chat.models import Room


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "title", "staff_only"]
    list_display_links = ["id", "title"]
    list_filter = ["staff_only"]
    search_fields = ["title"]
