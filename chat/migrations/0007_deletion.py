import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import chat.fields
import chat.models


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
        # Their unique indexes begin with the room.
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
    ]
