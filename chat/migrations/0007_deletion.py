import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Exists, OuterRef

import chat.fields
import chat.models


def finish_deletions(apps, schema_editor):
    """Remove what earlier versions cannot handle: rooms whose deletion is unfinished, and rows of deleted users."""
    using = schema_editor.connection.alias

    def rows(name):
        return apps.get_model(name)._base_manager.using(using)

    closed = rows("chat.Room").filter(deleted_at__isnull=False)
    rows("chat.Mention").filter(event__room__in=closed).delete()
    for name in ("chat.Event", "chat.Membership", "chat.Presence", "chat.Room"):
        # Deleted by the database itself, because there may be millions of rows.
        rows(name).filter(**{"pk__in" if name == "chat.Room" else "room__in": closed})._raw_delete(using)
    users = rows(settings.AUTH_USER_MODEL)
    rows("chat.Event").filter(~Exists(users.filter(pk=OuterRef("author")))).update(author=None)
    for name in ("chat.Mention", "chat.Membership", "chat.Presence", "chat.Visit"):
        rows(name).filter(~Exists(users.filter(pk=OuterRef("user")))).delete()
    if schema_editor.connection.vendor == "postgresql":
        # PostgreSQL refuses to alter a table while constraint checks of its rows are pending.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0006_overtaken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeletedUser",
            fields=[("id", models.BigIntegerField(primary_key=True, serialize=False))],
        ),
        migrations.AddField(
            model_name="room",
            name="deleted_at",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.AlterField(
            model_name="room",
            name="title_key",
            field=chat.models.TitleKeyField(editable=False, max_length=2295),
        ),
        migrations.AddConstraint(
            model_name="room",
            constraint=models.UniqueConstraint(
                condition=models.Q(("deleted_at", None)),
                fields=("title_key",),
                name="room_title",
                violation_error_message="There is a room with this title already.",
            ),
        ),
        migrations.AddIndex(
            model_name="room",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", False)), fields=["deleted_at"], name="room_deleted"
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="author",
            field=chat.fields.FormerUserField(db_index=False, null=True, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name="mention",
            name="user",
            field=chat.fields.FormerUserField(db_index=False, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        # No index of their own, because their unique indexes begin with the room.
        migrations.AlterField(
            model_name="membership",
            name="room",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="memberships",
                to="chat.room",
            ),
        ),
        migrations.AlterField(
            model_name="presence",
            name="room",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.room"
            ),
        ),
        migrations.AlterField(
            model_name="membership",
            name="user",
            field=chat.fields.FormerUserField(related_name="memberships", to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name="presence",
            name="user",
            field=chat.fields.FormerUserField(related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        # Comes first when the migration is reversed, because these rows would break constraints of earlier versions.
        migrations.RunPython(migrations.RunPython.noop, finish_deletions, elidable=True),
    ]
