from django.conf import settings
from django.db import migrations, models

import chat.fields


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0043_display_names"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Appearance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("theme", models.CharField(default="system", max_length=8)),
                ("density", models.CharField(default="comfortable", max_length=12)),
                ("clock", models.CharField(blank=True, default="", max_length=2)),
                ("user", chat.fields.FormerUserField(db_index=False, related_name="+", to=settings.AUTH_USER_MODEL)),
            ],
            options={"constraints": [models.UniqueConstraint(fields=("user",), name="appearance_user")]},
        ),
    ]
