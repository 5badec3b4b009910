from django.conf import settings
from django.db import migrations, models

import chat.fields
from chat.names import SYSTEM_KEY, name_key

PIECE = 500
# Ends the keys of rooms whose titles collide now, as chat.models.COLLIDED does.
COLLIDED = "\n"


def keep_usernames(apps, schema_editor):
    """Give each user a key. Of users whose names collide, the oldest one's is the rule, and the others are exempt."""
    using = schema_editor.connection.alias
    users = apps.get_model(settings.AUTH_USER_MODEL)._base_manager.using(using)
    keys = apps.get_model("chat", "UsernameKey")._base_manager.using(using)
    # The model of a migration has no USERNAME_FIELD.
    from django.contrib.auth import get_user_model

    field = get_user_model().USERNAME_FIELD
    seen = {"", SYSTEM_KEY}
    piece = []
    for pk, name in users.order_by("pk").values_list("pk", field).iterator(PIECE):
        key = name_key(str(name))
        piece.append(keys.model(user_id=pk, key=key, is_exempt=key in seen))
        seen.add(key)
        if len(piece) == PIECE:
            keys.bulk_create(piece)
            piece = []
    keys.bulk_create(piece)


def rename_rooms(apps, schema_editor):
    """Follow the new rule for titles. Rooms that collide now keep their titles, and are found in the list only."""
    rooms = apps.get_model("chat", "Room")._base_manager.using(schema_editor.connection.alias).filter(deleted_at=None)
    seen = set()
    changed = []
    for room in rooms.order_by("pk").iterator(PIECE):
        key = name_key(room.title)
        # Rooms of members may have any title.
        if not room.members_only:
            if (key, room.staff_only) in seen:
                key = f"{key}{COLLIDED}{room.pk}"
            seen.add((key, room.staff_only))
        if key != room.title_key:
            changed.append((room.pk, key))
    # In two steps, because the new key of a room may be the old one of another.
    for pk, _ in changed:
        rooms.filter(pk=pk).update(title_key=f"{COLLIDED}{pk}")
    for pk, key in changed:
        rooms.filter(pk=pk).update(title_key=key)
    if schema_editor.connection.vendor == "postgresql":
        # PostgreSQL refuses to alter a table while constraint checks of its rows are pending.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0020_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UsernameKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(db_index=True, max_length=300)),
                ("is_exempt", models.BooleanField(default=False)),
                ("user", chat.fields.FormerUserField(db_index=False, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user",), name="username_user"),
                    models.UniqueConstraint(
                        condition=models.Q(("is_exempt", False)), fields=("key",), name="username_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("is_exempt", True),
                            models.Q(("key__in", ["", "system"]), _negated=True),
                            _connector="OR",
                        ),
                        name="username_allowed",
                    ),
                ],
            },
        ),
        migrations.RunPython(keep_usernames, migrations.RunPython.noop),
        migrations.RunPython(rename_rooms, migrations.RunPython.noop),
    ]
