from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0013_username_keys"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="event",
            name="across",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="source_room",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="event",
            name="source_seq",
            field=models.PositiveBigIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(condition=models.Q(("across__isnull", False)), fields=["across"], name="event_across"),
        ),
    ]
