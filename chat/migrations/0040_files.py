import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chat.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0039_push"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="RemovedFile",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="StoredFile",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255)),
                ("type", models.CharField(max_length=100)),
                ("size", models.PositiveBigIntegerField()),
                ("width", models.PositiveIntegerField(null=True)),
                ("height", models.PositiveIntegerField(null=True)),
                ("is_complete", models.BooleanField(default=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.AddField(
            model_name="event",
            name="files",
            field=models.TextField(null=True),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(condition=models.Q(("files__isnull", False)), fields=["id"], name="event_with_files"),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="author",
            field=chat.fields.FormerUserField(db_index=False, null=True, related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="event",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.event"
            ),
        ),
        migrations.AddField(
            model_name="storedfile",
            name="room",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="chat.room"),
        ),
        migrations.AddIndex(
            model_name="storedfile",
            index=models.Index(fields=["author", "size"], name="file_author_size"),
        ),
        migrations.AddIndex(
            model_name="storedfile",
            index=models.Index(condition=models.Q(("event", None)), fields=["at"], name="file_unposted"),
        ),
        migrations.AddConstraint(
            model_name="storedfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("event", None), ("is_complete", True), _connector="OR"),
                name="file_complete_if_posted",
            ),
        ),
        migrations.AddConstraint(
            model_name="storedfile",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("height", None), ("width", None)),
                    models.Q(("height__gte", 1), ("width__gte", 1)),
                    _connector="OR",
                ),
                name="file_width_and_height",
            ),
        ),
    ]
