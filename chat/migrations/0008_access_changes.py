import uuid

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0007_deletion"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccessChange",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("user_id", models.BigIntegerField(null=True)),
                ("room_id", models.BigIntegerField(null=True)),
            ],
        ),
        migrations.DeleteModel(name="AccessCounter"),
    ]
