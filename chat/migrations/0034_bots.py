import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chat.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0040_files"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Bot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token_hash", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("hook_hash", models.CharField(editable=False, max_length=64, null=True, unique=True)),
                ("signing_secret", models.CharField(blank=True, editable=False, max_length=250)),
                ("at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True)),
                (
                    "room",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="bots", to="chat.room"),
                ),
                ("user", chat.fields.FormerUserField(related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("room", "user"), name="bot_room_user")],
            },
        ),
    ]
