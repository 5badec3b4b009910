"""Rooms and users in Django's admin. The page that confirms a deletion counts rows instead of listing them."""

from collections.abc import Iterable
from typing import Any

import axes.utils
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_lazy, ngettext

from chat import audit
from chat import bot_admin as bot_admin
from chat import webhook_admin as webhook_admin
from chat.admin_lists import as_text
from chat.admin_names import translate_names
from chat.exceptions import Sentence
from chat.made_in_admin import narrow_to_choices
from chat.models import Event, Room, RoomMember
from chat.store import deletion, display_names, explanations, names

# The most objects that the confirmation page names; the others are counted.
NAMED = 20
# The most rows that a count reads.
MAX_COUNT = 10_000
# The most users that one transaction deletes.
USERS_AT_ONCE = 100

# For Django's page: the lines to show, counts by name, missing permissions, objects that prevent the deletion.
Deleted = tuple[list[str], dict[str, Any], set[str], list[str]]

User = get_user_model()

# What each flag of a user means, said where it is set.
ROLES: dict[str, Sentence] = {
    "is_staff": gettext_lazy(
        "Staff see the rooms for staff, may delete any message where they can read, and may open this admin."
    ),
    "is_superuser": gettext_lazy(
        "Admins may change everything in this admin. They see no room of members that they are not in."
    ),
    "is_active": gettext_lazy("Take this away to sign the user out everywhere. Their messages stay."),
}


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "title", "who", "messages", "people", "last_written"]
    list_display_links = ["id", "title"]
    list_filter = ["staff_only", "members_only"]
    search_fields = ["title"]
    fields = ["title", "topic", "staff_only", "retention_days", "legal_hold", "who", "messages", "people", "why"]
    readonly_fields = ["who", "messages", "people", "why"]

    def has_view_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        # Users who make bots or webhooks choose from the rooms that they may enter, which they see on the page anyway.
        makes = request.user.has_perms
        is_choice = _is_choice(request) and (makes(["chat.add_bot"]) or makes(["chat.add_webhook"]))
        return is_choice or super().has_view_permission(request, obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Room], search_term: str
    ) -> tuple[QuerySet[Room], bool]:
        rooms = narrow_to_choices(queryset, request.user) if _is_choice(request) else queryset
        return super().get_search_results(request, rooms, search_term)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Room]:
        # By index for each row that is shown, so the lists take the same time whatever the log holds.
        last = Event.objects.filter(room=OuterRef("pk"), seq=OuterRef("head_seq")).values("at")[:1]
        members = RoomMember.objects.filter(room=OuterRef("pk")).order_by().values("room")
        counted = members.annotate(count=Count("pk")).values("count")
        rooms: QuerySet[Room] = super().get_queryset(request)
        return rooms.annotate(last_at=Subquery(last), member_count=Subquery(counted))

    def get_fields(self, request: HttpRequest, obj: Room | None = None) -> Any:
        return ["title", "topic", "staff_only", "retention_days", "legal_hold"] if obj is None else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Room | None = None) -> list[str]:
        # A room of members can't be opened to others here, because flags give no entry to it.
        fixed = ["staff_only"] if obj is not None and obj.members_only else []
        title = ["title", "topic"] if obj is not None and obj.direct_key is not None else []
        return [*self.readonly_fields, *fixed, *title]

    @admin.display(description=gettext_lazy("who can see it"))
    def who(self, room: Room) -> str:
        if room.direct_key is not None:
            return gettext("Its people (direct)")
        if room.members_only:
            return gettext("Members")
        return gettext("Staff") if room.staff_only else gettext("Everybody")

    @admin.display(description=gettext_lazy("messages"))
    def messages(self, room: Room) -> str:
        # From the log's numbers, without reading it. They include edits and reactions.
        return _grouped(max(room.head_seq - room.floor_seq + 1, 0))

    @admin.display(description=gettext_lazy("members"))
    def people(self, room: Room) -> str:
        return _grouped(getattr(room, "member_count", None) or 0) if room.members_only else "–"

    @admin.display(description=gettext_lazy("last written"), ordering="last_at")
    def last_written(self, room: Room) -> Any:
        return getattr(room, "last_at", None)

    @admin.display(description=gettext_lazy("Why can they see it?"))
    def why(self, room: Room) -> str:
        return as_text(explanations.explain_room(room))

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
            gettext("messages"): _grouped(sum(sizes)),
        }
        lines = [f"{room} ({_count_messages(size)})" for room, size in zip(rooms[:NAMED], sizes[:NAMED], strict=True)]
        # Django's page refuses to delete what is protected, and lists it.
        held = [gettext("%(room)s (legal hold)") % {"room": room} for room in rooms if room.legal_hold]
        return _with_rest(lines, len(rooms)), counts, _missing_permissions(self, request), held


def _is_choice(request: HttpRequest) -> bool:
    """Tell whether a form asks for the rooms to choose from, and not for the list of rooms."""
    return request.resolver_match is not None and request.resolver_match.view_name == "admin:autocomplete"


class NameForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses a username or display name that looks like another user's, beside the field."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if name := cleaned.get(User.USERNAME_FIELD):
            try:
                names.check_username(name, self.instance.pk)
            except ValidationError as refusal:
                self.add_error(User.USERNAME_FIELD, refusal)
        if {*display_names.FIELDS} & {*self.changed_data}:
            wanted = " ".join(filter(None, (cleaned.get(name, "") for name in display_names.FIELDS)))
            try:
                display_names.check_display_name(wanted, self.instance.pk)
            except ValidationError as refusal:
                self.add_error(display_names.FIELDS[0], refusal)
        return cleaned


class UserCreation(NameForm, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class UserChange(NameForm, UserChangeForm):  # type: ignore[type-arg]
    pass


class ChatUserAdmin(UserAdmin):  # type: ignore[type-arg]
    add_form = UserCreation
    form = UserChange
    list_display = [User.USERNAME_FIELD, "email", "role", "is_active"]
    actions = ["let_try_again", "remove_second_factor"]
    # No user sets these times. As inputs, the date and the time of each would have no label.
    readonly_fields = ["last_login", "date_joined"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *(["why"] if obj is not None else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        rooms = [(gettext("Rooms"), {"fields": ["why"]})] if obj is not None else []
        return [*super().get_fieldsets(request, obj), *rooms]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in ROLES:
            field.help_text = ROLES[db_field.name]
        return field

    @admin.display(description=gettext_lazy("role"))
    def role(self, user: Any) -> str:
        if user.is_superuser:
            return gettext("Admin")
        return gettext("Staff") if user.is_staff else gettext("Member")

    @admin.display(description=gettext_lazy("Which rooms can they see, and why?"))
    def why(self, user: Any) -> str:
        return as_text(explanations.explain_user(user))

    @admin.action(
        description=gettext_lazy("Let them try again now (after too many failed logins)"), permissions=["change"]
    )
    def let_try_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        names = list(queryset.values_list(User.USERNAME_FIELD, flat=True)[:USERS_AT_ONCE])
        removed = sum(axes.utils.reset(username=name) for name in names)
        sentence = ngettext(
            "They can try again. %(count)s failed login was forgotten.",
            "They can try again. %(count)s failed logins were forgotten.",
            removed,
        )
        self.message_user(request, sentence % {"count": _grouped(removed)})

    @admin.action(
        description=gettext_lazy("Remove the second factor (they have lost it)"), permissions=["remove_factor"]
    )
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        from chat.store import second_factors  # allauth is an optional package

        for user in queryset[:USERS_AT_ONCE]:
            second_factors.remove_all(user)
            audit.write("second_factor_removed", user=user.pk, by=request.user.pk)
        sentence = gettext("They need only their password now, until they set up a second factor again.")
        self.message_user(request, sentence)

    def has_remove_factor_permission(self, request: HttpRequest) -> bool:
        return settings.SECOND_FACTOR and bool(getattr(request.user, "is_superuser", False))

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
            most = gettext("more than %(count)s") % {"count": _grouped(MAX_COUNT)}
            shown = _grouped(count) if count <= MAX_COUNT else most
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


translate_names()
# Importing Django's UserAdmin above has registered the user model.
admin.site.unregister(User)
admin.site.register(User, ChatUserAdmin)


def _with_rest(lines: list[str], count: int) -> list[str]:
    if count <= NAMED:
        return lines
    rest = count - NAMED
    return [*lines, ngettext("… and %(count)s more", "… and %(count)s more", rest) % {"count": _grouped(rest)}]


def _count_messages(count: int) -> str:
    return ngettext("%(count)s message", "%(count)s messages", count) % {"count": _grouped(count)}


def _name(model: type[models.Model], count: int) -> str:
    meta = model._meta
    return str(meta.verbose_name if count == 1 else meta.verbose_name_plural)


def _grouped(count: int) -> str:
    return number_format(count, force_grouping=True)


def _missing_permissions(model_admin: Any, request: HttpRequest) -> set[str]:
    allowed = model_admin.has_delete_permission(request)
    return set() if allowed else {str(model_admin.opts.verbose_name)}
