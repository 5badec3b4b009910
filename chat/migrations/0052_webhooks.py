import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chat.fields

PAUSES = [
    ("hand", "By Hand"),
    ("failing", "Failing"),
    ("gone", "Gone"),
    ("behind", "Behind"),
    ("maker", "Maker"),
    ("audience", "Audience"),
    ("key", "Key"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0050_user_pictures"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("host", models.CharField(editable=False, max_length=255)),
                ("address", models.TextField(editable=False)),
                ("signing_secret", models.CharField(editable=False, max_length=250)),
                ("with_bots", models.BooleanField(default=False, verbose_name="also what bots write")),
                ("audience", models.CharField(editable=False, max_length=10)),
                ("epoch", models.CharField(editable=False, max_length=16)),
                ("sent_seq", models.PositiveBigIntegerField(editable=False)),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("due_at", models.DateTimeField(editable=False)),
                ("taken_until", models.DateTimeField(editable=False, null=True)),
                ("tries", models.PositiveIntegerField(default=0, editable=False)),
                ("failing_since", models.DateTimeField(editable=False, null=True)),
                ("last_error", models.CharField(blank=True, editable=False, max_length=200)),
                ("paused_at", models.DateTimeField(editable=False, null=True)),
                ("pause", models.CharField(blank=True, choices=PAUSES, editable=False, max_length=10)),
                ("maker", chat.fields.FormerUserField(related_name="+", to=settings.AUTH_USER_MODEL)),
                (
                    "room",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="webhooks", to="chat.room"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("paused_at__isnull", True)), fields=["due_at"], name="webhook_due")
                ],
            },
        ),
    ]
