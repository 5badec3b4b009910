from datetime import UTC, datetime

from django.conf import settings
from django.db import migrations, models
from django.utils import timezone

import chat.fields
import chat.models

# Before any message was posted.
LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)


def store_visits(apps, schema_editor):
    """Store a first visit for the users who have memberships, so that their unread counts stay the same.

    Watching used to write a position in every room of the user. So a room without a position was created or opened
    to them later, and is unread from its beginning. A user without any position has never watched.
    """
    membership = apps.get_model("chat", "Membership")
    visit = apps.get_model("chat", "Visit")
    # When a backup is restored, its copy is migrated, not the default database.
    using = schema_editor.connection.alias
    users = membership.objects.using(using).order_by().values_list("user_id").annotate(read=models.Max("read_seq"))
    now = timezone.now()
    visits = (visit(user_id=user, at=now if read is None else LONG_AGO) for user, read in users.iterator())
    visit.objects.using(using).bulk_create(visits, batch_size=1000)


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0004_reading"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PositionCounter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("epoch", models.CharField(default=chat.models.new_epoch, max_length=16)),
                ("changes", models.PositiveBigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Visit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    chat.fields.FormerUserField(db_index=False, related_name="+", to=settings.AUTH_USER_MODEL),
                ),
                ("at", models.DateTimeField()),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("user",), name="visit_user")]},
        ),
        migrations.RunPython(store_visits, migrations.RunPython.noop, elidable=True),
        migrations.AddField(
            model_name="membership",
            name="read_change",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddIndex(
            model_name="membership",
            index=models.Index(
                condition=models.Q(("read_change__gt", 0)), fields=["read_change"], name="membership_read_change"
            ),
        ),
        migrations.RemoveConstraint(model_name="mention", name="mention_user_event"),
        migrations.AddField(model_name="mention", name="room_id", field=models.PositiveBigIntegerField(null=True)),
        migrations.AddField(model_name="mention", name="seq", field=models.PositiveBigIntegerField(null=True)),
        migrations.RunSQL(
            "UPDATE chat_mention SET"
            " room_id = (SELECT room_id FROM chat_event WHERE chat_event.id = chat_mention.event_id),"
            " seq = (SELECT seq FROM chat_event WHERE chat_event.id = chat_mention.event_id)",
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(model_name="mention", name="room_id", field=models.PositiveBigIntegerField()),
        migrations.AlterField(model_name="mention", name="seq", field=models.PositiveBigIntegerField()),
        migrations.AddConstraint(
            model_name="mention",
            constraint=models.UniqueConstraint(fields=("user", "room_id", "seq"), name="mention_user_room_seq"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("kind", 0)),
                fields=["room", "seq", "author"],
                name="event_unread",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(condition=models.Q(("kind", 0)), fields=["room", "at", "seq"], name="event_room_at"),
        ),
    ]
