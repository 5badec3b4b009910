import uuid

from django.conf import settings
from django.db import migrations, models

import chat.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0048_workspaces"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UserPicture",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.UUIDField(default=uuid.uuid4, unique=True)),
                ("content", models.BinaryField()),
                ("user", chat.fields.FormerUserField(db_index=False, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("user",), name="picture_user")]},
        ),
    ]
